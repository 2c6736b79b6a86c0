"""A private one-node SLURM without systemd, cgroups or anything under /etc: munged, slurmctld, slurmd, two fake A40s.

Without accounting: Snakemake polls with squeue, as profiles/slurm says.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "squeue")
COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr")
SEARCH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def missing() -> list[str]:
    """SLURM's programs that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name, path=SEARCH)]


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """The cluster in a directory of its own; `environment` is what a user on it has."""

    def __init__(self, root: Path) -> None:
        self.root, self.host = root, socket.gethostname().split(".")[0]
        self.daemons: list[subprocess.Popen[bytes]] = []
        # A wrapper for each command: the executor's plugin drops SLURM_CONF before its inner srun.
        self.environment = {**os.environ, "PATH": f"{root / 'bin'}:{SEARCH}", "SLURM_CONF": str(root / "slurm.conf")}

    def _start(self, *command: str) -> None:
        log = (self.root / "log" / f"{Path(command[0]).name}.out").open("wb")
        self.daemons.append(
            subprocess.Popen(
                command, env={**self.environment, "PATH": SEARCH}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        )

    def _until(self, what: str, ready: Callable[[], bool], seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end or any(daemon.poll() is not None for daemon in self.daemons):
                logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in (self.root / "log").iterdir())
                raise RuntimeError(f"{what} did not come up\n{logs}")
            time.sleep(0.2)

    def run(self, *command: str) -> str:
        """What one of SLURM's commands prints; empty if it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def start(self) -> None:
        """Brings it up. Raises RuntimeError with the daemons' logs if it does not come."""
        root, user = self.root, subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("bin", "log", "munge", "spool/ctld", "spool/d", "dev"):
            (root / name).mkdir(parents=True)
        for directory in (root, root / "munge"):
            directory.chmod(0o755 if directory == root else 0o700)
        (root / "munge/key").write_bytes(os.urandom(1024))
        (root / "munge/key").chmod(0o600)
        for number in range(2):  # a GPU must be a character device whose name ends with its number
            (root / f"dev/nvidia{number}").symlink_to("/dev/null")
        (root / "gres.conf").write_text(
            f"AutoDetect=off\nName=gpu Type=a40 File={root}/dev/nvidia[0-1] Flags=nvidia_gpu_env\n"
        )
        (root / "slurm.conf").write_text(
            f"""ClusterName=test
SlurmctldHost={self.host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
SlurmctldPort={_port()}
SlurmdPort={_port()}
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
StateSaveLocation={root}/spool/ctld
SlurmdSpoolDir={root}/spool/d
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
MinJobAge=600
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={root}/log/jobs.txt
NodeName={self.host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=65536 Gres=gpu:a40:2 State=UNKNOWN
PartitionName=A40 Nodes={self.host} Default=YES MaxTime=1-00:00:00 DefMemPerCPU=500 State=UP
"""
        )
        for name in COMMANDS:
            if real := shutil.which(name, path=SEARCH):
                wrapper = root / "bin" / name
                wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={root}/slurm.conf exec {real} "$@"\n')
                wrapper.chmod(0o755)
        self._start(
            "munged", "--foreground", "--force", f"--key-file={root}/munge/key", f"--socket={root}/munge/socket",
            f"--pid-file={root}/munge/pid", f"--log-file={root}/log/munged.log", f"--seed-file={root}/munge/seed",
        )  # fmt: skip
        self._until("munged", lambda: (root / "munge/socket").exists())
        self._start("slurmctld", "-D")
        self._until("slurmctld", lambda: "UP" in self.run("scontrol", "ping"))
        self._start("slurmd", "-D")
        self._until("the node", lambda: self.run("sinfo", "-h", "-o", "%T").strip() in ("idle", "mixed"))

    def stop(self) -> None:
        """Takes it down, its jobs first."""
        for job in self.run("squeue", "-h", "-o", "%i").split():
            self.run("scancel", job)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
