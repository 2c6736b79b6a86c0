"""What a check of a site found, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mindgauge.errors import UserError

State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Finding:
    """`about` names what was looked at; `said` what was found; `instead` what to do, empty if it is ok."""

    state: State
    about: str
    said: str
    instead: str = ""


def ok(about: str, said: str) -> Finding:
    """Nothing is to be done."""
    return Finding("ok", about, said)


def warning(about: str, said: str, instead: str) -> Finding:
    """A run may start, and may meet this."""
    return Finding("warning", about, said, instead)


def failure(about: str, said: str, instead: str) -> Finding:
    """A run would fail, or hang."""
    return Finding("failure", about, said, instead)


def refused(about: str, error: UserError) -> Finding:
    """What a run itself would refuse."""
    return failure(about, f"{error.what} ({error.where})" if error.where else error.what, error.instead)


def table(found: Iterable[Finding]) -> str:
    """The findings as text, a line each, with the remedy below what is not ok."""
    found = list(found)
    width = max(len(one.about) for one in found)
    lines = []
    for one in found:
        lines.append(f"{one.state:7}  {one.about:{width}}  {one.said}")
        if one.instead:
            lines.append(f"{'':7}  {'':{width}}  instead: {one.instead}")
    counts = {state: sum(one.state == state for one in found) for state in ("ok", "warning", "failure")}
    return "\n".join([*lines, "", ", ".join(f"{state}: {count}" for state, count in counts.items())])
