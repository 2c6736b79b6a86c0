"""The harness of a step's program: it reads the recipe, checks that the key still holds and that the inputs are whole,
lets the step work aside, and makes the result an entry of the store."""

import argparse
import contextlib
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgauge import disk, lease, progress
from mindgauge.code import code_hash
from mindgauge.errors import UserError
from mindgauge.files import read_json, write_json, write_link, write_text
from mindgauge.hashing import KEY_DIGITS, digest
from mindgauge.lock import packages
from mindgauge.placeless import Placeless
from mindgauge.progress import span
from mindgauge.recipe import STAMPS, recipe_file
from mindgauge.store import Store


@dataclass
class Step:
    """What a step works with. It writes all its results into `out`; `work` is scratch that outlives a killed job;
    `facts` go into the manifest, where gates read them; `threads` and `pace` decide how fast it is, never what comes out.
    `answers` is a directory for what was found of single records, if the recipe says that each stands alone. `settled` are params
    that were open when the job was planned and are no more (the commit of a model): the entry is that of a recipe which says them."""

    names: tuple[str, ...]
    params: dict[str, Any]
    inputs: dict[str, Path]
    lists: dict[str, list[Path]]
    out: Path
    work: Path
    facts: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    pace: dict[str, Any] = field(default_factory=dict)
    answers: Path | None = None
    settled: dict[str, Any] = field(default_factory=dict)


def _where(stamp: Path) -> str:
    try:
        return stamp.relative_to(STAMPS).as_posix()
    except ValueError:
        raise UserError(
            "this is not the stamp of an entry",
            where=str(stamp),
            instead=f"{STAMPS}/<step>/<names>/<key>, as Snakemake asks for it",
        ) from None


def _check_key(where: str, found: dict[str, Any]) -> None:
    """Raises UserError if code or software changed after the recipe was written, or the recipe was edited."""
    recipe = found["recipe"]
    code = code_hash(recipe["step"], tuple(found["uses"]))
    now = {**recipe, "code": code, "packages": list(packages(found["group"]))}
    if _place(now) != where:
        changed = [part for part in ("code", "packages") if now[part] != recipe[part]] or ["the recipe file"]
        raise UserError(
            f"{' and '.join(changed)} changed after this job was planned; its result would not be what its key says",
            where=where,
            instead="start Snakemake again: it plans the job anew",
        )


def _checked_inputs(store: Store, found: dict[str, Any]) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    def path(source: list[Any]) -> Path:
        where, outside, _ = source
        if where is None:
            return Path(str(outside))
        if wrong := store.verify(where):
            if store.path(where).is_dir():
                store.set_aside(where)
            raise UserError(
                f"an input is damaged ({'; '.join(wrong)}) and was set aside",
                where=str(store.path(where)),
                instead="start Snakemake again: it is made anew",
            )
        return store.path(where)

    return (
        {name: path(source) for name, source in found["inputs"].items()},
        {name: [path(source) for source in sources] for name, sources in found["lists"].items()},
    )


def _answers(store: Store, found: dict[str, Any]) -> Path | None:
    """Where the answers of single records are kept: by all that decides them but the records themselves."""
    if not found["by_record"]:
        return None
    recipe = found["recipe"]
    decides = {part: recipe[part] for part in ("step", "code", "packages", "lists")}
    for part in ("params", "inputs"):
        decides[part] = {name: value for name, value in recipe[part].items() if name not in found["by_record"]}
    return store.answers(digest(decides)[:KEY_DIGITS])


def _reads(found: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    """Where the entries lie that a recipe's job reads, and the files of each that count."""
    sources = [*found["inputs"].values(), *(source for sources in found["lists"].values() for source in sources)]
    return [(where, files) for where, _, files in sources if where is not None]


def _make_entry(
    store: Store, where: str, found: dict[str, Any], work: Callable[[Step], None], threads: int
) -> dict[str, Any]:
    """Makes an entry whose lease is held; returns its recipe, which is the one planned but for what the step settled."""
    inputs, lists = _checked_inputs(store, found)
    start = time.monotonic()
    step = Step(
        tuple(found["recipe"]["names"]),
        found["recipe"]["params"],
        inputs,
        lists,
        store.aside(where),
        store.work(where),
        threads=threads,
        pace=found["pace"],
        answers=_answers(store, found),
    )
    print(f"{progress.job} {where.rpartition('/')[2]}", file=sys.stderr, flush=True)
    try:
        work(step)
        recipe: dict[str, Any] = {**found["recipe"], "params": {**found["recipe"]["params"], **step.settled}}
        store.put(_place(recipe), step.out, recipe, step.facts, _reads(found))
    finally:
        shutil.rmtree(step.out, ignore_errors=True)
    shutil.rmtree(step.work, ignore_errors=True)
    print(f"{found['recipe']['step']}: done in {span(time.monotonic() - start)}", file=sys.stderr, flush=True)
    return recipe


def _place(recipe: dict[str, Any]) -> str:
    """Where the entry of a recipe lies below the store."""
    return "/".join([recipe["step"], *recipe["names"], digest(recipe)[:KEY_DIGITS]])


def make(name: str, stamp: Path, work: Callable[[Step], None], threads: int = 1) -> None:
    """Makes the entry that `stamp` names, unless it is there, and stamps it; where the step settled what was open, the stamp is a link
    to the stamp of the entry that was made. Raises UserError."""
    where = _where(stamp)
    file = recipe_file(stamp)
    if not file.is_file():
        raise UserError(
            "the recipe of this entry is missing",
            where=str(file),
            instead="let Snakemake start the step: it writes the recipe",
        )
    found = read_json(file)
    if found["recipe"]["step"] != name:
        raise UserError(
            f"this is an entry of the step {found['recipe']['step']!r}",
            where=str(stamp),
            instead=f"an entry of {name!r}",
        )
    os.umask(0o007 if found["store"]["group"] else 0o077)
    store = Store(Path(found["store"]["path"]), group=found["store"]["group"])
    if isinstance(sys.stderr, Placeless):
        sys.stderr.name(store.root, "(store)")
    progress.job = " ".join([name, *found["recipe"]["names"]])
    store.open()
    _check_key(where, found)
    if not store.has(where):
        with lease.held(store.lease(where), [read for read, _ in _reads(found)]):
            if not store.has(where):  # or it was waited for
                recipe = _make_entry(store, where, found, work, threads)
                if (settled := _place(recipe)) != where:
                    own = STAMPS / settled
                    write_json(recipe_file(own), {**found, "recipe": recipe})
                    write_text(own, settled + "\n")
                    write_link(stamp, own)
                    return
    write_text(stamp, where + "\n")


def run(name: str, work: Callable[[Step], None], doc: str | None) -> None:
    """The command line of a step: `--entry STAMP`. A UserError is printed without a traceback; exit status 1."""
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=doc)
    parser.add_argument(
        "--entry",
        type=Path,
        required=True,
        metavar="STAMP",
        help=f"{STAMPS}/{name}/<names>/<key>; its recipe lies in results/.recipes",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="processes it may use, where it can (default: 1)"
    )
    arguments = parser.parse_args()
    with logged():
        make(name, arguments.entry, work, arguments.threads)


@contextlib.contextmanager
def logged() -> Any:
    """Around all that a job of the workflow does: nothing on its stderr says where things lie, a traceback neither. As
    `exit_on_user_error` beside that."""
    with contextlib.redirect_stderr(Placeless(sys.stderr)):  # type: ignore[type-var]
        try:
            with exit_on_user_error():
                yield
        except Exception:  # Python would print it when stderr is no longer redirected
            traceback.print_exc()
            raise SystemExit(1) from None


@contextlib.contextmanager
def exit_on_user_error() -> Any:
    """Turns a UserError, and a full disk, into its message on stderr, and of a job on the terminal of `make demo`, and exit status 1."""
    try:
        yield
    except UserError as error:
        told = error
    except OSError as error:
        if not disk.full(error):
            raise
        where = str(error.filename) if error.filename else "the file system of the store, or of TMPDIR"
        told = UserError("the disk is full; nothing half-written was kept", where=where, instead=disk.INSTEAD)
    else:
        return
    progress.tell(told.message())
    raise SystemExit(1)
