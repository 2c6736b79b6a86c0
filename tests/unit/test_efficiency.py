import json

import pytest

from mindgauge import efficiency
from mindgauge.efficiency import look, parse, seconds, submitted, table
from mindgauge.errors import UserError

KEY = "0123456789abcdef0123"
LOG = f"""
Job 1 has been submitted with SLURM jobid 7 (log: /x/.snakemake/slurm_logs/rule_make_train/tiny-llama_{KEY}/7.log).
Job 2 has been submitted with SLURM jobid 8 (log: /x/.snakemake/slurm_logs/rule_make_sft/{KEY}/8.log).
"""
# Of a training on a GPU that was killed, and of a step of 1 min 40 s on two cores, one of them in use.
SACCT = """7|CANCELLED by 0|01:00:00|12:00:00|02:00:00|| billing=8,cpu=8,gres/gpu=1,gres/gpu:a40=1,mem=32768M,node=1
7.batch|CANCELLED|01:00:00||00:01.000|100M|cpu=8,mem=32768M,node=1
7.0|CANCELLED|01:00:00||01:59:59|8192.50M|cpu=8,mem=32768M,node=1
8|COMPLETED|00:01:40|01:00:00|01:40.500|| billing=2,cpu=2,mem=2000M,node=1
8.0|COMPLETED|00:01:40||01:40.500|500M|cpu=2,mem=2000M,node=1
""".replace("| billing", "|billing")


def test_times_as_sacct_writes_them():
    assert [seconds(text) for text in ("1-02:03:04", "02:03:04", "03:04.500", "UNLIMITED", "")] == [
        93784.0, 7384.0, 184.5, 0.0, 0.0,
    ]  # fmt: skip


def test_what_a_job_is_and_its_key_stand_in_snakemakes_log():
    assert submitted(LOG) == {"7": ("train tiny-llama", KEY), "8": ("sft", KEY)}


def test_asked_and_used_by_hand():
    first, second = parse(SACCT, submitted(LOG))
    assert (first.state, first.ran, first.limit, first.cpu) == ("CANCELLED", 3600.0, 43200.0, 7200.0)
    assert (first.cpus, first.gpus, first.asked, first.memory) == (8, 1, 32768.0, 8192.5)
    assert (second.cpus, second.gpus, second.asked, second.memory, second.cpu) == (2, 0, 2000.0, 500.0, 100.5)
    text = table([first, second]).splitlines()
    assert text[2].split("  ")[0] == "7" and "2.0 of 8 (25%)" in text[2] and "8.0 of 32.0 (25%)" in text[2]
    assert "1 min 40 s of 1 h 00 min (3%)" in text[3] and "1.0 of 2 (50%)" in text[3]
    # 7200 + 100.5 core seconds of 8 x 3600 + 2 x 100.
    assert text[-1] == "2 jobs: 2.03 core hours used of 8.06 held (25%), 1.00 GPU hours held"


def test_the_last_run_or_all_and_how_long_of_its_time_a_training_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no run has submitted a job"):
        look()
    logs, entry = tmp_path / ".snakemake/log", tmp_path / f"store/train/tiny-llama/{KEY}"
    recipe = tmp_path / f"results/.recipes/train/tiny-llama/{KEY}.json"
    for directory in (logs, entry, recipe.parent):
        directory.mkdir(parents=True)
    first, second = LOG.strip().splitlines()
    for name, text in {"1": first, "2": second, "3": "a dry run"}.items():
        (logs / f"{name}.snakemake.log").write_text(text)
    recipe.write_text(json.dumps({"store": {"path": str(tmp_path / "store")}}))
    (entry / "run.json").write_text('{"seconds": 900}')
    asked = []

    def answer(*command):
        asked.append(command[command.index("-j") + 1])
        lines = SACCT.replace("CANCELLED by 0", "COMPLETED").splitlines()
        return "\n".join(line for line in lines if line[0] in asked[-1])

    monkeypatch.setattr(efficiency, "ask", answer)
    assert [job.number for job in look()] == ["8"]
    trained, other = look(everything=True)
    assert (trained.trained, other.trained) == (900.0, None) and asked == ["8", "7,8"]
    assert table([trained]).splitlines()[2].endswith("1.00       25%")
    monkeypatch.setattr(efficiency, "ask", lambda *command: None)
    with pytest.raises(UserError, match="SLURM tells nothing"):
        look()
