"""What goes wrong on a cluster, for real: each failure in a run of the workflow's own training, which is told by SLURM's accounting."""

import re
import time

import pytest

from mindgauge.files import read_json

from .driver import Driver, steps

pytestmark = pytest.mark.slow

RUN = "results/models/{}/adapter/run.json"
# Done once a step, in the library's own callback.
EACH_STEP = "now = time.monotonic()"
# A step of training takes at least so long in these tests, whatever the machine: enough time for something to happen. A checkpoint
# that SIGTERM asks for is saved at the end of a step, so that it also takes as long as that of a large model.
SECONDS_A_STEP = 3


@pytest.fixture(scope="module")
def ready(clone):
    """The clone with its rows and bases made; its training waits a while at each step."""
    clone.snakemake("sft", *(f"results/base/{name}/config.json" for name in ("tiny-qwen2", "tiny-llama")))
    library = clone.root / "workflow/scripts/mindgauge"
    texts = {path: path.read_text(encoding="utf-8") for path in library.glob("*.py")}
    found = next(path for path, text in texts.items() if "def on_step_end" in text and EACH_STEP in text)
    clone.edit(str(found.relative_to(clone.root)), EACH_STEP, f"time.sleep({SECONDS_A_STEP}); {EACH_STEP}")
    return clone


@pytest.fixture
def train(ready, cluster):
    """Starts the training of some models, each with training numbers and other keys of its stanza, as no other test does."""
    drivers = []

    def start(seed, environment=None, **models):
        # No checkpoint but those that a signal asks for.
        common = {"save_steps": 100000, "eval_steps": 100000, "batch_size": 1, "seed": seed}
        lines = []
        for name, (stanza, numbers) in models.items():
            name = name.replace("_", "-")
            keys = {"path": "build/tiny/tiny-llama", "licence": "MIT", "family": "llama3", "context": 2048}
            keys = keys if name not in ("tiny-llama", "tiny-qwen2") else {}
            lines.append(f"  {name}: { ({**keys, **stanza, 'train': {**common, **numbers}}) }")
        (ready.root / "models.yaml").write_text("extra_models:\n" + "\n".join(lines) + "\n")
        targets = (RUN.format(name.replace("_", "-")) for name in models)
        drivers.append(Driver(ready, *targets, overlays=("models.yaml",), **(environment or {})))
        return drivers[-1]

    yield start
    for driver in drivers:
        if driver.process.poll() is None:
            driver.kill()
    left = cluster.run("squeue", "-h", "-o", "%i").split()
    if left:
        cluster.run("scancel", *left)
        cluster.until("an empty queue", lambda: not cluster.run("squeue", "-h", "-o", "%i"))
    Driver(ready, options=("--unlock",)).wait()


def job_of(driver, model, but=None):
    """Waits until a training of the model has been submitted (another one than `but`); SLURM's number and the log of the training."""
    other = f"(?!{but}\\b)" if but else ""
    pattern = rf"SLURM jobid {other}(\d+) \(log: \S+/rule_make_train/{model}_([0-9a-f]+)/"
    match = driver.until(pattern)
    return match[1], driver.log.parent / f"results/logs/train/{model}/{match[2]}.log"


def trained(cluster, log, least=2):
    """Waits until the training has come so far."""
    cluster.until(f"step {least} in {log}", lambda: steps(log) >= least, 600)


def states(cluster, number):
    """How each run of a job ended, by the accounting."""
    return [job["State"].split(" ")[0] for job in cluster.accounted("JobIDRaw", "State") if job["JobIDRaw"] == number]


def running_again(cluster, count):
    """Waits until so many jobs run. SLURM holds back for a minute or two what it has put back in the queue; here it need not."""

    def ready():
        jobs = [line.split(None, 2) for line in cluster.run("squeue", "-h", "-o", "%i %T %r").splitlines()]
        for number, _, reason in jobs:
            if reason == "BeginTime":
                cluster.run("scontrol", "update", f"JobId={number}", "StartTime=now")
        return [state for _, state, _ in jobs].count("RUNNING") == count

    # A job that starts in the second in which it was put back is killed by slurmd ("Job credential revoked"), whose dates are seconds.
    time.sleep(2)
    cluster.until(f"{count} jobs at work", ready, 300)


def resumed_at(clone, model):
    """The step that a training went on from."""
    return int(read_json(clone.root / RUN.format(model))["resumed_from"].removeprefix("checkpoint-"))


def test_time_is_up_memory_runs_out_and_a_training_fails(train, ready, cluster):
    driver = train(
        1,
        {"MINDGAUGE_RETRIES": "3", "MINDGAUGE_GPU_MEM_MB": "600 if wildcards.model == 'tiny-heavy' else 32768"},
        # More work than a job has time for; a family that is not the model's; and more memory than is asked for.
        tiny_llama=({"minutes": 5}, {"max_steps": 30}),
        tiny_qwen2=({"family": "gemma3"}, {}),
        tiny_heavy=({}, {"max_steps": 4}),
    )
    late, log = job_of(driver, "tiny-llama")
    trained(cluster, log)
    # SLURM's shortest limit, which it looks at every half minute.
    cluster.run("scontrol", "update", f"JobId={late}", "TimeLimit=1")
    heavy, _ = job_of(driver, "tiny-heavy")
    assert driver.wait(1200) == 1, driver.said[-4000:]
    said = driver.said
    # The one that cannot succeed says why, and the run went on with the others.
    assert "mindgauge: the tokenizer has no token" in said and "where: models.yaml: family: gemma3" in said
    assert not (ready.root / RUN.format("tiny-qwen2")).exists()
    # TIMEOUT: reported, submitted again, and resumed from the checkpoint that SLURM's warning made.
    assert f"SLURM-job '{late}' failed, SLURM status is: 'TIMEOUT'" in said and states(cluster, late) == ["TIMEOUT"]
    assert 0 < resumed_at(ready, "tiny-llama") < 30
    # Memory: killed, and submitted again with twice as much.
    jobs = [
        (job["ReqMem"], job["State"])
        for job in cluster.accounted("Comment", "ReqMem", "State")
        if "_tiny-heavy_" in job["Comment"]
    ]
    assert jobs == [("600M", "FAILED"), ("1200M", "COMPLETED")]
    assert f"SLURM-job '{heavy}' failed" in said


def test_cancelled_from_outside_put_back_in_the_queue_node_down_controller_away(train, ready, cluster):
    # Long enough that the one which starts first is still at work when the other comes.
    driver = train(2, tiny_llama=({}, {"max_steps": 44}), tiny_qwen2=({}, {"max_steps": 50}))
    (first, log), (other, other_log) = (job_of(driver, name) for name in ("tiny-llama", "tiny-qwen2"))
    trained(cluster, log)
    trained(cluster, other_log)

    for each in (log, other_log):
        each.unlink()  # what it says from here on is of the next run
    cancelled = time.time()
    cluster.run("scancel", first)
    cluster.run("scontrol", "requeue", other)
    driver.until(rf"SLURM-job '{first}' failed, SLURM status is: 'CANCELLED'")
    polls = [float(line) for line in cluster.polls.read_text().split()]
    assert len([poll for poll in polls if poll > cancelled]) <= 2
    second, _ = job_of(driver, "tiny-llama", but=first)
    running_again(cluster, 2)
    for each in (log, other_log):
        trained(cluster, each)

    for each in (log, other_log):
        each.unlink()
    cluster.run("scontrol", "update", f"nodename={cluster.host}", "state=down", "reason=test")
    cluster.crash()
    cluster.until("no job on the node", lambda: not cluster.run("squeue", "-h", "-t", "R"))
    cluster.run("scontrol", "update", f"nodename={cluster.host}", "state=resume")
    running_again(cluster, 2)
    # A job's step is made by the controller: training is under way before that goes.
    for each in (log, other_log):
        trained(cluster, each)

    cluster.stop_controller()
    time.sleep(45)
    cluster.controller()

    assert driver.wait(1200) == 0, driver.said[-4000:]
    assert states(cluster, first) == ["CANCELLED"]
    assert states(cluster, second)[-1] == "COMPLETED" and len(states(cluster, second)) == 2
    assert states(cluster, other)[-1] == "COMPLETED" and len(states(cluster, other)) == 3
    # Each went on from where it was: past the step that its first run had come to, by a step at least of its second.
    assert resumed_at(ready, "tiny-llama") >= 2 and resumed_at(ready, "tiny-qwen2") >= 3


def test_the_driver_is_interrupted_and_killed(train, ready, cluster):
    model = {"tiny_llama": ({}, {"max_steps": 30})}
    driver = train(3, **model)
    number, log = job_of(driver, "tiny-llama")
    trained(cluster, log)
    driver.interrupt()
    assert driver.wait(60) != 0
    cluster.until("the end of its job", lambda: states(cluster, number) == ["CANCELLED"])
    # It saves a checkpoint first, and is at work until then, though it counts as cancelled.
    cluster.until("its leaving", lambda: not cluster.run("squeue", "-h", "-o", "%i"))
    done = steps(log)

    # A second start needs no unlocking, and resumes.
    driver = train(3, **model)
    number, log = job_of(driver, "tiny-llama")
    trained(cluster, log, done + 2)
    driver.kill()

    refused = train(3, **model)
    assert refused.wait() == 1 and re.search(r"Directory cannot be locked.*--unlock", refused.said, re.DOTALL)
    assert Driver(ready, options=("--unlock",)).wait() == 0
    # Its job still works: two trainings at once would share one directory of checkpoints.
    refused = train(3, **model)
    assert refused.wait() == 1 and states(cluster, number) == ["RUNNING"]
    assert (
        f"mindgauge: jobs of an earlier run, whose driver was killed, still wait or work here: {number}\n"
        in refused.said
    )
    assert "has been submitted" not in refused.said

    # The job left alone ends well, and what it made counts: nothing is submitted again.
    cluster.until("the end of the job", lambda: states(cluster, number) == ["COMPLETED"], 240)
    driver = train(3, **model)
    assert driver.wait() == 0 and "has been submitted" not in driver.said, driver.said[-4000:]
    assert resumed_at(ready, "tiny-llama") >= done


@pytest.mark.parametrize(
    ("environment", "said", "remedy"),
    [
        ({"MINDGAUGE_PARTITION": "A4O"}, "the cluster has no partition 'A4O' for you", "A40   (valid here: cpu, A40)"),
        ({"MINDGAUGE_ACCOUNT": "nobody"}, "the cluster has no account 'nobody' for you", "(valid here: lab"),
    ],
)
def test_a_partition_or_an_account_that_is_not_there_is_one_message(train, environment, said, remedy):
    driver = train(4, environment, tiny_llama=({}, {"max_steps": 1}))
    assert driver.wait() == 1 and "has been submitted" not in driver.said
    assert driver.said.count("mindgauge: ") == 1 and f"mindgauge: {said}\n" in driver.said
    assert f"  instead: {remedy}" in driver.said and "profiles/slurm/config.yaml" in driver.said
