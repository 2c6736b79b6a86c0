"""How the rows of an optimiser step are dealt: to processes, and to batches that fit the memory.

The rows of a step stay as many and the same, whatever the memory and however many GPUs; only how they are added up changes.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from mindgauge.errors import UserError
from mindgauge.files import read_json, write_json


@dataclass(frozen=True)
class Fit:
    """`batch` rows at once in each of `processes`, over `accumulation` batches; `checkpointing` computes activations again instead of
    keeping them, and may be switched on where memory runs out if it was left open (`open`)."""

    batch: int
    accumulation: int
    processes: int
    checkpointing: bool
    open: bool

    def smaller(self) -> "Fit | None":
        """The next try after memory ran out: activations computed again, or half the batch; None if nothing is left to save."""
        if self.open and not self.checkpointing:
            return Fit(self.batch, self.accumulation, self.processes, True, self.open)
        if self.batch == 1:
            return None
        batch, accumulation = divided(self.batch * self.accumulation, self.batch // 2)
        return Fit(batch, accumulation, self.processes, self.checkpointing, self.open)

    def describe(self) -> str:
        """In words, for the log."""
        again = ", activations computed again" if self.checkpointing else ""
        processes = f" on {self.processes} processes" if self.processes > 1 else ""
        return f"{self.batch} rows at once x {self.accumulation}{processes}{again}"


def divided(rows: int, most: int) -> tuple[int, int]:
    """The greatest batch up to `most` that divides `rows` evenly, and how many of them there are."""
    batch = next(size for size in range(min(most, rows), 0, -1) if rows % size == 0)
    return batch, rows // batch


def first(batch: int, accumulation: int, processes: int, checkpointing: str, where: str) -> Fit:
    """The first try for steps of `batch` x `accumulation` rows; `checkpointing` is on, off or auto. Raises UserError if the processes
    cannot share a step's rows evenly."""
    rows = batch * accumulation
    if rows % processes:
        raise UserError(
            f"the {rows} rows of a step ({batch} x {accumulation}) cannot be dealt to {processes} GPUs evenly",
            where=where,
            instead=f"a multiple of {processes}, such as gradient_accumulation: {processes * max(1, accumulation // processes)}",
        )
    return Fit(*divided(rows // processes, batch), processes, checkpointing == "on", checkpointing == "auto")


def kept(file: Path, start: Fit) -> Fit:
    """What an earlier run came down to, if it dealt the same rows to as many processes; else `start`."""
    if not file.is_file():
        return start
    found = Fit(**read_json(file))
    same = found.batch * found.accumulation == start.batch * start.accumulation and found.processes == start.processes
    return found if same and found.open == start.open else start


def keep(file: Path, fit: Fit) -> None:
    """Writes what the next run starts with."""
    write_json(file, asdict(fit))
