"""A private one-node SLURM without systemd, cgroups or anything under /etc: munged, MariaDB, slurmdbd, slurmctld, slurmd, two fake
A40s, a partition A40 and a partition cpu. It lies in a directory of its own, and any user can start it."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

# Program -> the Debian package it comes in.
PROGRAMS = {
    "munged": "munge",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "sbatch": "slurm-wlm",
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "mariadb": "mariadb-server",
}
COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr", "sshare")
SEARCH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
ACCOUNT = "lab"


def missing() -> list[str]:
    """The packages of which a program is not installed."""
    return sorted({package for name, package in PROGRAMS.items() if not shutil.which(name, path=SEARCH)})


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """The cluster below `root`, a short path (a socket's may have 107 bytes); `environment` is what a user on it has."""

    def __init__(self, root: Path) -> None:
        self.root, self.host = root, socket.gethostname().split(".")[0]
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        # A wrapper for each command: the executor's plugin drops SLURM_CONF before its inner srun.
        self.environment = {**os.environ, "PATH": f"{root / 'bin'}:{SEARCH}", "SLURM_CONF": str(root / "slurm.conf")}
        # One line, the time, for each question of the plugin after the state of its jobs.
        self.polls = root / "log/polls"

    def _start(self, *command: str) -> None:
        name = command[0]
        with (self.root / f"log/{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command,
                env={**self.environment, "PATH": SEARCH},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C in the tests' terminal is not theirs
            )

    def until(self, what: str, ready: Callable[[], object], seconds: float = 60) -> None:
        """Waits until something holds. Raises RuntimeError with the daemons' logs if it does not come to that."""
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end or any(daemon.poll() is not None for daemon in self.daemons.values()):
                logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in (self.root / "log").iterdir())
                queue = self.run("squeue", "-o", "%i %T %r %S %k")
                raise RuntimeError(f"{what}: not within {seconds} s\n{queue}\n{logs}")
            time.sleep(0.2)

    def run(self, *command: str) -> str:
        """What one of SLURM's commands prints; empty if it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def _sql(self, statement: str) -> bool:
        command = ["mariadb", "--no-defaults", f"--socket={self.root}/sql.socket", "-u", "root", "-e", statement]
        return subprocess.run(command, capture_output=True).returncode == 0

    def _files(self) -> None:
        root, user = self.root, self.user
        for name in ("bin", "log", "munge", "spool/ctld", "spool/d", "dev"):
            (root / name).mkdir(parents=True)
        root.chmod(0o755)
        (root / "munge").chmod(0o700)
        (root / "munge/key").write_bytes(os.urandom(1024))
        (root / "munge/key").chmod(0o600)
        for number in range(2):  # a GPU must be a character device whose name ends with its number
            (root / f"dev/nvidia{number}").symlink_to("/dev/null")
        (root / "gres.conf").write_text(
            f"AutoDetect=off\nName=gpu Type=a40 File={root}/dev/nvidia[0-1] Flags=nvidia_gpu_env\n"
        )
        database, self.sql_port = _port(), _port()
        # The time between two attempts of a job that is put back in the queue is that of a credential: 120 s by default.
        (root / "slurm.conf").write_text(
            f"""ClusterName=test
SlurmctldHost={self.host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket,cred_expire=5
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
KillWait=30
MessageTimeout=5
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={database}
AccountingStoragePass={root}/munge/socket
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu,gres/gpu:a40
AccountingStoreFlags=job_comment
NodeName={self.host} NodeAddr=127.0.0.1 CPUs=20 RealMemory=262144 Gres=gpu:a40:2 State=UNKNOWN
PartitionName=cpu Nodes={self.host} Default=YES MaxTime=1-00:00:00 DefMemPerCPU=500 State=UP
PartitionName=A40 Nodes={self.host} MaxTime=1-00:00:00 DefMemPerCPU=500 State=UP
"""
        )
        (root / "slurmdbd.conf").write_text(
            f"""AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={database}
SlurmUser={user}
LogFile={root}/log/slurmdbd.log
PidFile={root}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={self.sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""
        )
        (root / "slurmdbd.conf").chmod(0o600)
        for name in COMMANDS:
            real = shutil.which(name, path=SEARCH)
            note = f'case "$*" in *--states=all*) date +%s.%N >> {self.polls};; esac\n' if name == "squeue" else ""
            wrapper = root / "bin" / name
            wrapper.write_text(f'#!/bin/sh\n{note}SLURM_CONF={root}/slurm.conf exec {real} "$@"\n')
            wrapper.chmod(0o755)

    def _database(self) -> None:
        """MariaDB and slurmdbd."""
        root = self.root
        subprocess.run(
            [
                "mariadb-install-db", "--no-defaults", f"--datadir={root}/sql", f"--user={self.user}",
                "--auth-root-authentication-method=normal", "--skip-test-db",
            ],
            env={**self.environment, "PATH": SEARCH}, check=True, capture_output=True,
        )  # fmt: skip
        self._start(
            "mariadbd", "--no-defaults", f"--user={self.user}", f"--datadir={root}/sql", f"--socket={root}/sql.socket",
            f"--pid-file={root}/sql.pid", "--bind-address=127.0.0.1", f"--port={self.sql_port}",
            "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0",
            "--performance-schema=OFF",
        )  # fmt: skip
        self.until("MariaDB", lambda: self._sql("SELECT 1"))
        for host in ("localhost", "127.0.0.1"):
            self._sql(f"CREATE USER slurm@'{host}' IDENTIFIED BY 'slurm'; GRANT ALL ON slurm.* TO slurm@'{host}'")
        self._sql("CREATE DATABASE slurm")
        self._start("slurmdbd", "-D")
        self.until("slurmdbd", lambda: self.run("sacctmgr", "-n", "-P", "show", "account", "format=account"))
        self.run("sacctmgr", "-i", "add", "cluster", "test")
        self.run("sacctmgr", "-i", "add", "account", ACCOUNT, "Cluster=test")
        self.run("sacctmgr", "-i", "add", "user", self.user, f"Account={ACCOUNT}", f"DefaultAccount={ACCOUNT}")

    def controller(self) -> None:
        """Starts slurmctld."""
        self._start("slurmctld", "-D")
        self.until("slurmctld", lambda: "UP" in self.run("scontrol", "ping"))

    def stop_controller(self) -> None:
        """Ends slurmctld, as an administrator does who restarts it."""
        daemon = self.daemons.pop("slurmctld")
        daemon.terminate()
        daemon.wait(30)

    def _registered(self) -> bool:
        """Does slurmctld know the accounts, and has slurmdbd all it was told? Jobs before that are recorded in part."""
        known = self.run("sacctmgr", "-n", "-P", "show", "cluster", "test", "format=controlhost").strip()
        return bool(known) and f"Account={ACCOUNT}" in self.run("scontrol", "-o", "show", "assoc_mgr", "flags=assoc")

    def start(self) -> None:
        """Brings it up. Raises RuntimeError with the daemons' logs if it does not come."""
        root = self.root
        self._files()
        self._start(
            "munged", "--foreground", "--force", f"--key-file={root}/munge/key", f"--socket={root}/munge/socket",
            f"--pid-file={root}/munge/pid", f"--log-file={root}/log/munged.log", f"--seed-file={root}/munge/seed",
        )  # fmt: skip
        self.until("munged", (root / "munge/socket").exists)
        self._database()
        self.controller()
        self._start("slurmd", "-D")
        self.until("the node", lambda: set(self.run("sinfo", "-h", "-o", "%T").split()) == {"idle"})
        self.until("slurmctld at slurmdbd", self._registered)

    def stop(self) -> None:
        """Takes it down, its jobs first."""
        if jobs := self.run("squeue", "-h", "-o", "%i").split():
            self.run("scancel", *jobs)
            time.sleep(1)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def crash(self) -> None:
        """Ends all that runs in jobs, at once, as a node does that loses its power; SLURM learns nothing of it. (Of a node that is only
        set down the jobs would live on, and SLURM drains it for the duplicates that it starts.)"""
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                held = b"\0" + (directory / "environ").read_bytes()
                job = b"\0SLURM_JOB_ID=" in held or b"slurmstepd" in (directory / "cmdline").read_bytes()
                if job and str(self.root).encode() in held:
                    os.kill(int(directory.name), signal.SIGKILL)

    def accounted(self, *fields: str) -> list[dict[str, str]]:
        """Every job, of one requeued each of its runs, as sacct tells: `fields` by name, oldest first."""
        text = self.run("sacct", "--duplicates", "-X", "-P", "-n", "-S", "now-1days", "-o", ",".join(fields))
        return [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]
