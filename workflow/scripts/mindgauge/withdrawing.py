"""Views that no longer show what the configuration asks for are taken away when a run fails: a model, a bundle or a report of an
earlier configuration must not stand there as if it were the current one. Their entries stay in the store, and come back when asked
for."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

RESULTS = Path("results")
SHOWN = 3
# What ends the name of a file that stood where a link to the store should be.
EDITED = ".edited"


def _below(root: Path) -> Iterator[Path]:
    """All below a directory, hidden directories (store, stamps, gates) left out."""
    for directory, inside, files in os.walk(root):
        inside[:] = [name for name in inside if not name.startswith(".")]
        yield from (Path(directory, name) for name in [*inside, *files])


def links(root: Path) -> Iterator[Path]:
    """The symbolic links among the views."""
    return filter(Path.is_symlink, _below(root))


def edited(results: Path = RESULTS) -> list[Path]:
    """The files that a person had put in the place of a view."""
    return sorted(path for path in _below(results) if path.name.endswith(EDITED) and path.is_file())


def drop_dangling(results: Path = RESULTS) -> None:
    """Removes the links that lead nowhere: their entries were removed."""
    for view in links(results):
        if not view.exists():
            view.unlink()


def outdated(store: Path, planned: Mapping[str, str | None], results: Path = RESULTS) -> list[Path]:
    """The views that show another entry than the planned one. `planned`: `<step>/<names…>` -> where in the store the entry is that
    the configuration asks for; None where that is not known, since what decides it has changed and was not made again. Links that
    lead elsewhere, or show what is not planned at all, are none of them."""
    found = []
    for view in links(results):
        try:
            parts = view.resolve().relative_to(store.resolve()).parts
        except ValueError:
            continue
        for end in range(1, len(parts)):
            name = "/".join(parts[:end])
            if name in planned:
                if planned[name] != "/".join(parts[: end + 1]):
                    found.append(view)
                break
    return sorted(found)


def withdraw(store: Path, planned: Mapping[str, str | None]) -> None:
    """Takes the outdated views away, and says so."""
    views = outdated(store, planned)
    for view in views:
        view.unlink()
    if views:
        shown = "".join(f"\n  {view}" for view in views[:SHOWN]) + ("\n  …" if len(views) > SHOWN else "")
        print(
            f"mindgauge: {len(views)} files under {RESULTS}/ showed results of an earlier configuration and were withdrawn; "
            f"the store keeps them:{shown}",
            file=sys.stderr,
        )
