"""What a run on SLURM is refused for before its first job, by what SLURM's commands print; tests/slurm has the real ones."""

import os
from types import SimpleNamespace as Made

import pytest

from mindgauge import starting
from mindgauge.errors import UserError

KEY = "0123456789abcdef0123"


@pytest.fixture
def start(monkeypatch):
    """Starts a run of a local rule and of one for the queue, with given resources, where commands print what is given."""

    def run(executor="slurm", resources=None, **printed):
        monkeypatch.setattr(starting, "ask", lambda command, *_: printed.get(command))
        of = {name: Made(raw=value) for name, value in (resources or {}).items()}
        rules = [Made(name="view", resources={"slurm_partition": Made(raw="none")}), Made(name="make", resources=of)]
        plugin = Made(name=executor) if executor else None
        starting.refuse(Made(executor_plugin=plugin, rules=rules, is_local=lambda rule: rule.name == "view"))

    return run


def test_a_run_elsewhere_and_a_cluster_that_does_not_answer_are_left_alone(start):
    for executor in (None, "local"):
        start(executor, {"slurm_partition": "nowhere"}, sinfo="A40\n")
    start(resources={"slurm_partition": "A40", "slurm_account": "lab"})


def test_partitions_and_accounts(start):
    printed = {"sinfo": "cpu\nA40\nA40\n", "sacctmgr": "lab\n"}
    start(resources={"slurm_partition": "A40,cpu", "slurm_account": "lab"}, **printed)
    with pytest.raises(UserError, match=r"no partition 'A4O'.*\n.*slurm_partition.*\n.*A40   \(valid here: cpu, A40\)"):
        start(resources={"slurm_partition": "cpu,A4O"}, **printed)
    with pytest.raises(UserError, match=r"no account 'lob'.*\n.*MINDGAUGE_ACCOUNT.*\n.*lab   \(valid here: lab\)"):
        start(resources={"slurm_account": "lob"}, **printed)


def test_no_account_at_all_matters_where_the_cluster_wants_one(start):
    start(sacctmgr="", scontrol="AccountingStorageEnforce = none\n")
    with pytest.raises(UserError, match="no account on this cluster"):
        start(sacctmgr="", scontrol="ClusterName = x\nAccountingStorageEnforce = associations,limits\n")


def test_jobs_that_a_killed_driver_left_here(start, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    elsewhere = f"5|{tmp_path}|rule_make_train_wildcards_a_{KEY}\n"
    other = f"6|{os.getcwd()}|my | own job\n7|{os.getcwd()}|\n"
    start(squeue=elsewhere + other)
    with pytest.raises(UserError, match=r"still wait or work here: 8, 9\n.*\n.*scancel 8 9"):
        start(
            squeue=f"{elsewhere}8|{tmp_path}/link|rule_make_train_wildcards_a_{KEY}\n{other}9|{os.getcwd()}|x_{KEY}\n"
        )
