"""One training in several processes: started by torchrun, on one node or, inside a SLURM job of several nodes, on each of them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError
from mindgauge.files import read_json, write_json

OUTCOME = "outcome.json"
PORTS = range(
    29400, 32400
)  # from torchrun's own default up to below those that Linux gives to whoever asks for any (32768)


def first_host(nodes: str) -> str:
    """The first of SLURM's list of hosts, as scontrol spells it out."""
    done = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def port(job: str) -> int:
    """Where the nodes of a SLURM job meet: another for each of two jobs that share a host."""
    return PORTS[int(job) % len(PORTS)]


def command(
    module: str, arguments: Path, *, gpus: int, nodes: int = 1, host: str = "", job: str = "", cpus: str = ""
) -> list[str]:
    """What starts `module` with the file of its arguments in `gpus` processes on each of `nodes` nodes: torchrun, on several nodes once
    on each by srun, with the job's `cpus` a task (which srun does not take over by itself since SLURM 22.05), meeting at `host`."""
    worker = [f"--nproc-per-node={gpus}", "-m", module, str(arguments)]
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    if nodes == 1:
        return [*torchrun, "--standalone", *worker]
    meeting = [f"--nnodes={nodes}", f"--rdzv-id={job}", "--rdzv-backend=c10d", f"--rdzv-endpoint={host}:{port(job)}"]
    return [
        "srun",
        "--overlap",
        f"--nodes={nodes}",
        f"--ntasks={nodes}",
        "--ntasks-per-node=1",
        *([f"--cpus-per-task={cpus}"] if cpus else []),
        *torchrun,
        *meeting,
        *worker,
    ]


def outcome(work: Path, **said: Any) -> None:
    """Written by a process that ends without a result, for the one that started it."""
    write_json(work / OUTCOME, said)


def run(module: str, arguments: dict[str, Any], work: Path, *, gpus: int, nodes: int) -> dict[str, Any]:
    """Runs the processes, their stderr passed on line by line, SIGTERM and SIGUSR1 too; returns what they left by `outcome`, empty if
    they ended well. Raises UserError if they failed without a word, or nodes are asked for outside SLURM."""
    file = work / "arguments.json"
    write_json(file, arguments)
    (work / OUTCOME).unlink(missing_ok=True)
    host = job = ""
    if nodes > 1:
        if "SLURM_JOB_NODELIST" not in os.environ:
            raise UserError(
                f"{nodes} nodes are asked for outside a SLURM job",
                where="train.nodes",
                instead="nodes: 1, or snakemake --profile profiles/slurm",
            )
        host, job = first_host(os.environ["SLURM_JOB_NODELIST"]), os.environ["SLURM_JOB_ID"]
    library = str(Path(__file__).parents[1])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([library, *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    child = subprocess.Popen(
        command(
            module,
            file,
            gpus=gpus,
            nodes=nodes,
            host=host,
            job=job,
            cpus=os.environ.get("SLURM_CPUS_PER_TASK", ""),
        ),
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    held = {}
    for number in (signal.SIGTERM, signal.SIGUSR1):
        # torchrun hands SIGTERM down; of SIGUSR1 it would die.
        held[number] = signal.signal(number, lambda *_: child.send_signal(signal.SIGTERM))
    try:
        assert child.stderr is not None
        for line in child.stderr:
            sys.stderr.write(line)
        status = child.wait()
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    if (work / OUTCOME).is_file():
        return dict(read_json(work / OUTCOME))
    if status:
        raise UserError(
            f"the training's processes ended with status {status}",
            where=f"{gpus} GPUs on {nodes} nodes",
            instead="what they said stands above; the same command again resumes from the last checkpoint",
        )
    return {}


def arguments_of(argv: Sequence[str]) -> dict[str, Any]:
    """What `run` wrote, read by the module it started."""
    found: dict[str, Any] = json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    return found
