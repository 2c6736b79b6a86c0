"""Views: the names people use, as links to files of store entries."""

from collections.abc import Iterable
from pathlib import Path

from mindgauge.errors import UserError
from mindgauge.files import read_json, write_link, write_text
from mindgauge.pages import PAGES, page
from mindgauge.recipe import STAMPS, recipe_file
from mindgauge.store import Store, write_sealed


def opened(stamp: Path) -> tuple[Store, str]:
    """The store and the place in it of the entry that a stamp names. Raises UserError if it is not there."""
    found = read_json(recipe_file(stamp))
    store = Store(Path(found["store"]["path"]), group=found["store"]["group"])
    # A stamp that leads to another is of an entry whose recipe was settled by its own step (see step.make).
    where = stamp.resolve().relative_to(STAMPS.resolve()).as_posix()
    if not store.has(where):
        raise UserError(
            "this entry is not in the store",
            where=f"{where} in the store",
            instead="start Snakemake again: it is made anew",
        )
    return store, where


def link(stamp: Path, views: Iterable[Path], file: str | None, everything: bool) -> None:
    """Points each view at the file of the same name in the entry (at `file`, if given). With `everything`, all files of
    the entry are shown in the directory of the first view, and links to files it no longer has are taken away. A view
    below PAGES is no link but a page: `x.html` shows the entry's `x.json` as tables."""
    store, where = opened(stamp)
    entry, files = store.path(where), store.manifest(where)["files"]
    views = list(views)
    for view in views:
        paged = view.is_relative_to(PAGES)
        asked = view.with_suffix(".json") if paged else view
        name = file or (
            asked.name if asked.name in files else next((f for f in files if str(asked).endswith("/" + f)), asked.name)
        )
        if name not in files:
            raise UserError(
                f"the entry {where} holds no {name}", where=str(view), instead=f"one of {', '.join(sorted(files))}"
            )
        if paged:
            title = view.relative_to(PAGES).with_suffix("").as_posix().replace("/", " · ")
            write_text(view, page(title, read_json(entry / name)))
        else:
            write_link(view, entry / name)
    if everything:
        directory = views[0].parent
        for old in [
            path
            for path in directory.rglob("*")
            if path.is_symlink() and path.relative_to(directory).as_posix() not in files
        ]:
            if ".part" not in old.name and not any(old == view for view in views):
                old.unlink()
        for name in files:
            write_link(directory / name, entry / name)


def write_gate(stamp: Path, gate: Path) -> None:
    """Writes what a gate says of an entry: where it is, the hash of each file, and its facts."""
    store, where = opened(stamp)
    manifest = store.manifest(where)
    write_sealed(gate, {"where": where, "files": manifest["files"], "facts": manifest["facts"]})
