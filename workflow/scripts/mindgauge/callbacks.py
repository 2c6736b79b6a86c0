"""What watches a training step by step: progress, a stop that was asked for, a loss that is no number, the time it took."""

import math
import os
import signal
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from mindgauge.errors import UserError
from mindgauge.files import read_json, write_json
from mindgauge.progress import span, tell

WHOLE = "whole"  # the file that marks a checkpoint


class Progress(TrainerCallback):
    """Prints step, rate, time left and loss: a line every few seconds, in the log as on a terminal."""

    def __init__(self) -> None:
        self.start, self.first, self.last = time.monotonic(), 0, 0.0
        self.losses: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Rate and time left are of this run, not of what it resumes."""
        self.start, self.first = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any) -> None:
        """Keeps the newest losses."""
        self.losses |= {name: float(logs[name]) for name in ("loss", "eval_loss") if name in (logs or {})}

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Tells, not more often than every five seconds."""
        now = time.monotonic()
        if not state.is_world_process_zero or (now - self.last < 5 and state.global_step < state.max_steps):
            return
        self.last = now
        rate = (state.global_step - self.first) / max(now - self.start, 1e-9)
        left = span((state.max_steps - state.global_step) / rate) if rate else "?"
        losses = "".join(f", {name} {value:.4f}" for name, value in self.losses.items())
        tell(f"step {state.global_step}/{state.max_steps}, {rate:.2f}/s, {left} left{losses}")


class Stop(TrainerCallback):
    """Saves and ends the training after the step in which SIGTERM or SIGUSR1 came, to any of its processes.

    transformers' own (enable_jit_checkpoint) saves in the midst of a step, where the random numbers of its first half are gone, and
    each process by its own clock; here a step is finished first, so that what resumes is the same to the bit.
    """

    def __init__(self, accelerator: Any) -> None:
        self.accelerator, self.asked, self.stopped = accelerator, False, False
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Asks all processes whether one of them was told to stop."""
        if self.asked:
            self.accelerator.set_trigger()
        if self.accelerator.check_trigger() and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True


class Finite(TrainerCallback):
    """Ends a training whose loss or gradient is no number any more, at the step where it is seen (transformers would log zero)."""

    def __init__(self, where: str) -> None:
        self.where = where

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any) -> None:
        """Raises UserError."""
        for name in ("loss", "eval_loss", "grad_norm"):
            if name in (logs or {}) and not math.isfinite(float(logs[name])):
                raise UserError(
                    f"{'the gradient' if name == 'grad_norm' else 'the ' + name.replace('eval_', 'validation ')} is not a number at step {state.global_step}",
                    where=self.where,
                    instead="a lower learning_rate, a longer warmup, or precision: fp32",
                )


class Clock(TrainerCallback):
    """Seconds of training and energy over all runs of it: what was before lies in a file beside the checkpoints."""

    def __init__(self, file: Path, energy: Any) -> None:
        self.file, self.energy = file, energy
        self.before = read_json(file) if file.is_file() else {"seconds": 0.0, "joules": 0.0, "runs": 0}
        self.start, self.joules = time.monotonic(), energy()

    def total(self) -> dict[str, Any]:
        """`seconds`, `joules` (None if no driver tells) and `runs` up to now."""
        now = self.energy()
        known = now is not None and self.joules is not None and self.before["joules"] is not None
        return {
            "seconds": round(self.before["seconds"] + time.monotonic() - self.start, 1),
            "joules": round(self.before["joules"] + now - self.joules, 1) if known else None,
            "runs": self.before["runs"] + 1,
        }

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Writes what this run took up to its newest checkpoint."""
        if state.is_world_process_zero:
            write_json(self.file, self.total())


class Seal(TrainerCallback):
    """Marks a checkpoint as whole, when all processes have written theirs of it and it is on disk: transformers writes it in place, file
    by file. The last to be called of those that save something."""

    def __init__(self, accelerator: Any) -> None:
        self.accelerator = accelerator

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Waits for the other processes, and marks the checkpoint."""
        self.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir, f"checkpoint-{state.global_step}")
            for path in filter(Path.is_file, checkpoint.rglob("*")):
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            (checkpoint / WHOLE).touch()


def joules() -> float | None:
    """The energy that this process's GPUs have used since their driver was loaded, in joules; None if no driver tells (NVML,
    nvmlDeviceGetTotalEnergyConsumption)."""
    try:
        import pynvml

        pynvml.nvmlInit()
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else [str(n) for n in range(pynvml.nvmlDeviceGetCount())]
        found = [
            pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else pynvml.nvmlDeviceGetHandleByUUID(name)
            for name in names
        ]
        return sum(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in found) / 1000
    except Exception:  # no driver, no such counter, no package: each is no figure, never a reason to fail
        return None
