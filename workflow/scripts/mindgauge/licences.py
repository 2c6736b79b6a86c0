"""What may leave the machine: text of a source whose terms forbid passing it on may not, whatever it hides in."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mindgauge.errors import UserError
from mindgauge.records import Record
from mindgauge.shingles import shingles

# So many characters in a row are no coincidence.
RUN = 16
TEXT_SUFFIXES = frozenset({".txt", ".md", ".json", ".jsonl", ".jinja", ".gbnf", ".csv", ".yaml", ""})


def restricted(sources: dict[str, Any]) -> list[str]:
    """The names of the sources whose text may not be passed on."""
    return [name for name, source in sources.items() if not source["redistribute"]]


def refuse_sources(used: Iterable[str], sources: dict[str, Any], what: str) -> None:
    """Raises UserError naming the sources among `used` whose text may not be passed on."""
    if forbidden := sorted(set(used) & set(restricted(sources))):
        raise UserError(
            f"{what} would hold text of {', '.join(forbidden)}, which may not be passed on",
            where=", ".join(f"sources.{name}.redistribute" for name in forbidden),
            instead="export: {leave_out_restricted: true} to leave those records out, or `redistribute: true` if their terms allow it",
        )


def refuse_text(files: Iterable[Path], records: Iterable[Record], sources: dict[str, Any]) -> None:
    """Looks into files for RUN characters in a row of a record of a restricted source. Raises UserError naming file and source,
    never the text."""
    forbidden = set(restricted(sources))
    texts = {file: shingles(file.read_text(encoding="utf-8"), RUN) for file in files if file.suffix in TEXT_SUFFIXES}
    if not forbidden or not texts:
        return
    leaving = np.unique(np.concatenate(list(texts.values())))
    for record in records:
        if record.source not in forbidden:
            continue
        said = shingles("\n".join(turn.text for turn in record.turns), RUN)
        if np.isin(said, leaving, assume_unique=True).any():
            file = next(file for file, held in texts.items() if np.isin(said, held, assume_unique=True).any())
            raise UserError(
                f"{file.name} holds text of {record.source}, which may not be passed on",
                where=f"sources.{record.source}.redistribute, record {record.id}",
                instead="take the text out of the file (the prompt and the notices are written by you)",
            )


def notices(base: str, sources: dict[str, Any]) -> str:
    """Licences and notices of the base model (a line of its own) and of the sources, which travel with what is made of them."""
    lines = ["# Notices", "", *([base, ""] if base else [])]
    for name, source in sources.items():
        passed = "" if source["redistribute"] else "not "
        lines.append(
            f"- {name}: licence {source['licence']}; {source['notice'] or 'no notice'}; its text may {passed}be passed on"
        )
    return "\n".join(lines) + "\n"
