"""Training: batches, recipes, what it survives, several processes. On a tiny model, for real, a few steps each."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import FAMILIES, PACE, ROOT, numbers, template
from transformers import AutoModelForCausalLM

from mindgauge import (
    batches,
    callbacks,
    chat,
    curves,
    distributed,
    fitting,
    merging,
    run_record,
    tracking,
    trainer,
    training,
)
from mindgauge.config import Train
from mindgauge.errors import UserError
from mindgauge.files import read_json, read_jsonl, write_jsonl
from mindgauge.fitting import Fit

OPTIONS = {"model": "m", "family": "llama3", "template": template("llama3"), "context": 512}


@pytest.fixture
def learn(bases, rows, tmp_path, scheme):
    """Trains the tiny Llama in this process; returns where the adapter is."""

    def train(name="out", *, sft=rows, work=None, pace=PACE, context=OPTIONS["context"], **change):
        out, work = tmp_path / name, work or tmp_path / f"{name}-work"
        out.mkdir(exist_ok=True)
        work.mkdir(exist_ok=True)
        given = numbers(**{"max_steps": 6, "eval_steps": 3, "save_steps": 3, **change})
        options = {**OPTIONS, "context": context, "labels": scheme.to_dict(), "numbers": given, "pace": pace}
        training.train(sft, bases / "tiny-llama", out, work, **options)
        return out

    return train


def history(out):
    """The losses by step, without what a clock says."""
    kept = ("step", "loss", "eval_loss", "grad_norm", "learning_rate", "mean_token_accuracy")
    return [{name: row[name] for name in kept if name in row} for row in read_json(out / "log_history.json")][:-1]


# Batches


def test_the_shared_beginning_leaves_each_row_a_token_that_predicts_its_answer():
    assert batches.shared([[1, 2, 3, 9], [1, 2, 4, 9]], [3, 3]) == 2
    assert (
        batches.shared([[1, 2, 3, 9], [1, 2, 3, 8]], [3, 3]) == 2
    )  # the same prompt: its last token stays with the row
    assert batches.shared([[1, 5], [2, 5]], [1, 1]) == 0
    assert batches.layout([4, 5], 2) == ([0, 1, 2, 3, 2, 3, 4], [-1, -1, 0, 0, 1, 1, 1])
    positions, owners = (torch.tensor(of) for of in batches.layout([3, 3], 2))
    assert batches.mask(positions, owners)[0, 0].int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [1, 1, 0, 1],
    ]
    assert batches.mask(positions, owners, 2)[0, 0].int().tolist()[3] == [0, 1, 0, 1]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", FAMILIES)
def test_rows_of_a_packed_batch_say_what_they_say_alone(bases, rows, name, attention):
    way = "eager" if name == "tiny-gemma2" else attention  # whose attention caps its scores, which sdpa cannot
    loaded = AutoModelForCausalLM.from_pretrained(str(bases / name), dtype=torch.float32, attn_implementation=way)
    loaded.eval()
    if "sliding_attention" in (getattr(loaded.config, "layer_types", None) or []):
        loaded.config.sliding_window = 24  # shorter than the rows
        for layer in loaded.model.layers:
            if layer.self_attn.sliding_window:
                layer.self_attn.sliding_window = 24
    talk = chat.Chat.load(bases / name, template(FAMILIES[name]), FAMILIES[name])
    made = batches.rows_of(training.examples(talk, list(read_jsonl(rows / "train.jsonl"))[:5], 512), [1.0] * 5)
    batch = batches.packer(loaded.config)(made)
    assert batch["input_ids"].shape[1] < 0.9 * sum(len(row["input_ids"]) for row in made)
    labels, places, targets = (batch.pop(name) for name in ("labels", "places", "targets"))
    assert batch.pop("weights").shape == targets.shape and labels[0, places + 1].equal(targets)
    with torch.no_grad():
        together = loaded(**batch).logits[0].log_softmax(-1)
        alone = [loaded(input_ids=torch.tensor([row["input_ids"]])).logits[0].log_softmax(-1) for row in made]
    expected = [
        float(one[place - 1, target])
        for row, one in zip(made, alone, strict=True)
        for place, target in enumerate(row["labels"])
        if target != batches.IGNORED
    ]
    found = together[places, targets].tolist()
    assert len(found) == len(expected)
    assert found == pytest.approx(expected, abs=2e-4)


def test_packed_and_padded_batches_learn_the_same(learn):
    packed, padded = learn("packed"), learn("padded", batching="padded")
    for one, other in zip(history(packed), history(padded), strict=True):
        assert one == pytest.approx(other, rel=2e-3, abs=1e-5)
    tokens = [read_json(out / "run.json")["tokens_a_row"] for out in (packed, padded)]
    assert tokens[0]["row"] == tokens[1]["row"] and tokens[0]["computed"] < tokens[0]["row"] < tokens[1]["computed"]


def test_what_a_rare_class_weighs_is_what_scikit_learn_says():
    from sklearn.utils.class_weight import compute_class_weight

    values = ["none"] * 6 + ["suicidal"] * 2 + ["violence"]
    outputs = [json.dumps({"risk_flag": value}) for value in values]
    held = dict(
        zip(
            ["none", "suicidal", "violence"],
            compute_class_weight("balanced", classes=np.array(["none", "suicidal", "violence"]), y=values),
            strict=True,
        )
    )
    found = batches.class_weights(outputs, "risk_flag", "balanced")
    assert found == pytest.approx([held[value] for value in values]) and sum(found) / 9 == pytest.approx(1)
    roots = batches.class_weights(outputs, "risk_flag", "sqrt")
    assert roots[6] / roots[0] == pytest.approx(math.sqrt(3)) and sum(roots) / 9 == pytest.approx(1)
    assert batches.class_weights(outputs, "risk_flag", "none") == [1.0] * 9


def test_a_row_takes_its_weight_to_every_token_of_its_answer(bases, rows):
    loaded = AutoModelForCausalLM.from_pretrained(str(bases / "tiny-llama"), dtype=torch.float32)
    talk = chat.Chat.load(bases / "tiny-llama", template("llama3"), "llama3")
    made = training.examples(talk, list(read_jsonl(rows / "train.jsonl"))[:2], 512)
    batch = batches.packer(loaded.config)(batches.rows_of(made, [3.0, 0.0]))
    assert batch["weights"].tolist() == [3.0] * len(made[0].completion) + [0.0] * len(made[1].completion)


# Recipes


@pytest.mark.parametrize(
    "change",
    [
        {"use_rslora": True, "optimiser": "adafactor", "lr_scheduler": "constant_with_warmup"},
        {"use_dora": True, "class_weights": "balanced", "max_samples": 20},
        {"load_in_4bit": True, "upcast": ["norms"], "double_quant": False, "target_modules": ["q_proj", "v_proj"]},
        {"neftune_noise_alpha": 5.0, "batching": "padded", "deterministic": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_recipe_trains_and_merges_into_the_full_base(bases, rows, tmp_path, learn, change):
    out = learn(max_steps=12, **change)
    config, run = read_json(out / "adapter_config.json"), read_json(out / "run.json")
    assert (config["use_rslora"], config["use_dora"]) == (run["numbers"]["use_rslora"], run["numbers"]["use_dora"])
    losses = [row["loss"] for row in read_json(out / "log_history.json") if "loss" in row]
    assert len(losses) == 12 and losses[-1] < losses[0]
    assert read_json(out / "train_results.json")["rows"] == (change.get("max_samples") or 44)
    merged = tmp_path / "merged"
    merged.mkdir()
    options = {"family": "llama3", "template": template("llama3"), "context": 512}
    merging.merge(bases / "tiny-llama", out, rows, merged, **options)
    check = read_json(merged / "merge_check.json")["fp32"]
    assert check["same_answers"] == 1.0 and check["max_abs_logit"] < merging.BOUND


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("upcast", [[], ["norms"], ["norms", "lm_head"]], ids=",".join)
def test_norms_and_head_are_held_in_fp32_where_it_is_asked_for_and_nothing_else(bases, name, upcast):
    loaded = training._model(bases / name, numbers(upcast=upcast), "bf16")
    head = loaded.get_output_embeddings().weight  # the embeddings too, where they are tied
    found = {of: weights.dtype is torch.float32 for of, weights in loaded.named_parameters()}
    norms = {of for of in found if "norm" in of}
    heads = {of for of, weights in loaded.named_parameters() if weights is head}
    assert (
        norms
        and heads
        and heads == {"model.embed_tokens.weight" if loaded.config.tie_word_embeddings else "lm_head.weight"}
    )
    expected = (norms if "norms" in upcast else set()) | (heads if "lm_head" in upcast else set())
    assert {of for of, exact in found.items() if exact} == expected


def test_rows_that_are_too_long_are_shortened_counted_and_trained_on(bases, rows, learn, capsys):
    talk = chat.Chat.load(bases / "tiny-llama", template("llama3"), "llama3")
    lengths = sorted(
        len(of.prompt) + len(of.completion)
        for of in training.examples(talk, list(read_jsonl(rows / "train.jsonl")), 512)
    )
    context = lengths[len(lengths) // 2]
    out = learn(context=context)
    found = read_json(out / "train_results.json")
    cut = sum(of.shortened for of in training.examples(talk, list(read_jsonl(rows / "train.jsonl")), context))
    assert found["rows"] == len(lengths) and 0 < found["shortened"] == cut < len(lengths)
    assert f"train: {len(lengths)} rows, {cut} shortened to {context} tokens" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("target_modules", ["lm_head"], "lm_head"),
        ("target_modules", "embed_tokens", "embeddings"),
        ("neftune_noise_alpha", 5, "batching: padded"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(key, value, told):
    with pytest.raises(ValueError, match=told):
        Train(**{key: value})


def test_early_stopping_takes_the_best_adapter(learn):
    out = learn(max_steps=60, eval_steps=2, early_stopping=2, learning_rate=0.2)
    steps = read_json(out / "train_results.json")
    losses = {row["step"]: row["eval_loss"] for row in read_json(out / "log_history.json")[:-1] if "eval_loss" in row}
    assert steps["steps"] < 60 and steps["best_checkpoint"] == f"checkpoint-{min(losses, key=losses.get)}"
    assert read_json(out / "eval_results.json")["eval_loss"] == pytest.approx(min(losses.values()), rel=1e-4)


def test_no_rows_are_refused(learn, rows, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    shutil.copy(rows / "val.jsonl", empty)
    write_jsonl(empty / "train.jsonl", [])
    with pytest.raises(UserError, match="no row to train on"):
        learn(sft=empty)


# What it survives


def test_where_memory_runs_out_batches_are_halved_and_steps_keep_their_rows(learn, monkeypatch, capsys):
    whole = learn("whole", batch_size=8, gradient_accumulation=1)
    first = trainer.AnswerTrainer.compute_loss

    def tight(self, model, inputs, *args, **options):
        if inputs["input_ids"].shape[1] > 120:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return first(self, model, inputs, *args, **options)

    monkeypatch.setattr(trainer.AnswerTrainer, "compute_loss", tight)
    pace = {**PACE, "activation_checkpointing": "off"}
    small = learn("small", batch_size=8, gradient_accumulation=1, pace=pace)
    fit = read_json(small / "run.json")["fit"]
    assert fit["batch"] < 8 and fit["batch"] * fit["accumulation"] == 8
    assert "memory ran out with 8 rows at once x 1" in capsys.readouterr().err
    for one, other in zip(history(whole), history(small), strict=True):
        if "loss" in one:
            assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
    monkeypatch.setattr(
        trainer.AnswerTrainer,
        "compute_loss",
        lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory.")),
    )
    with pytest.raises(UserError, match="not even one row"):
        learn("none")


def test_what_memory_allowed_is_remembered(tmp_path):
    start = fitting.first(8, 4, 1, "auto", "w")
    assert start == Fit(8, 4, 1, False, True) and start.smaller() == Fit(8, 4, 1, True, True)
    assert start.smaller().smaller() == Fit(4, 8, 1, True, True)
    assert Fit(1, 32, 1, True, True).smaller() is None
    assert fitting.first(8, 4, 4, "on", "w") == Fit(8, 1, 4, True, False)
    assert fitting.first(8, 1, 2, "off", "w") == Fit(4, 1, 2, False, False)
    with pytest.raises(UserError, match="32 rows of a step"):
        fitting.first(8, 4, 3, "auto", "w")
    assert fitting.divided(12, 5) == (4, 3)
    fitting.keep(tmp_path / "fit.json", Fit(2, 16, 1, True, True))
    assert fitting.kept(tmp_path / "fit.json", start) == Fit(2, 16, 1, True, True)
    assert fitting.kept(tmp_path / "fit.json", fitting.first(8, 8, 1, "auto", "w")).batch == 8


def test_a_loss_that_is_no_number_is_told_at_its_step(learn, tmp_path):
    with pytest.raises(UserError, match=r"is not a number at step \d+") as refused:
        learn(learning_rate=1e20, max_steps=40, max_grad_norm=1e9)
    assert "learning_rate" in refused.value.message() and not list((tmp_path / "out").iterdir())


def test_a_disk_that_fills_up_while_a_checkpoint_is_saved_is_told(learn, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root alone")
    try:
        with pytest.raises(UserError, match="the disk is full"):
            learn(work=small)
        assert not list((tmp_path / "out").iterdir())
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def launched(bases, rows, out, work, scheme, *, name="tiny-llama", pace=None, **change):
    """A training in a process of its own, as its step starts it."""
    code = (
        "import json, sys; from pathlib import Path; from mindgauge import training; a = json.loads(sys.argv[1]);"
        "training.train(*map(Path, a['paths']), **a['options'])"
    )
    for path in (out, work):
        path.mkdir(exist_ok=True)
    options = {
        **OPTIONS,
        "family": FAMILIES[name],
        "template": template(FAMILIES[name]),
        "labels": scheme.to_dict(),
        "numbers": numbers(**change),
        "pace": {**PACE, **(pace or {})},
    }
    given = {"paths": [str(rows), str(bases / name), str(out), str(work)], "options": options}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow/scripts"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(given)], stderr=subprocess.PIPE, text=True, env=environment
    )


def stopped_and_resumed(bases, rows, tmp_path, scheme, how, **change):
    """A training to its end, and another that is stopped by a signal after its first checkpoint and started again; what the second
    start said. Asserts that both made the same."""
    many = {"max_steps": 40, "save_steps": 8, "eval_steps": 20, "lora_dropout": 0.1, **change}
    whole = launched(bases, rows, tmp_path / "whole", tmp_path / "whole-work", scheme, **many)
    assert whole.wait() == 0, whole.stderr.read()
    stopped = launched(bases, rows, tmp_path / "out", tmp_path / "work", scheme, **many)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "work/checkpoints").glob("*/whole")) and time.monotonic() < deadline:
        time.sleep(0.02)
    stopped.send_signal(how)
    assert stopped.wait() == (-9 if how == signal.SIGKILL else training.TEMPORARY), stopped.stderr.read()
    assert not list((tmp_path / "out").iterdir())
    again = launched(bases, rows, tmp_path / "out", tmp_path / "work", scheme, **many)
    said = again.communicate()[1]
    assert again.returncode == 0 and "resuming from checkpoint-" in said, said
    one, other = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "out"))
    assert one == other and history(tmp_path / "whole") == history(tmp_path / "out")
    assert read_json(tmp_path / "out/run.json")["runs"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_killed_training_resumes_to_the_same_adapter_and_curve(bases, rows, tmp_path, scheme, name):
    stopped_and_resumed(bases, rows, tmp_path, scheme, signal.SIGKILL, name=name)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGUSR1])
def test_a_training_that_is_told_to_stop_resumes_to_the_same_adapter_and_curve(bases, rows, tmp_path, scheme, how):
    stopped_and_resumed(bases, rows, tmp_path, scheme, how)


@pytest.mark.slow
def test_a_stopped_training_remembers_how_long_it_waited_for_a_better_loss(bases, rows, tmp_path, scheme):
    stopped_and_resumed(
        bases, rows, tmp_path, scheme, signal.SIGKILL, eval_steps=2, early_stopping=3, learning_rate=0.05
    )


def test_a_checkpoint_that_was_cut_off_is_not_gone_on_from(tmp_path):
    for step, last in ((8, "whole"), (16, "trainer_state.json"), (24, "adapter_model.safetensors")):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / last).touch()
    assert training._last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-8")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-8"]


# Several processes


def test_two_processes_train_on_the_rows_of_one(learn, bases, rows, tmp_path, scheme):
    one = learn("one", batch_size=2, gradient_accumulation=2)
    started = launched(
        bases, rows, tmp_path / "two", tmp_path / "two-work", scheme,
        max_steps=6, eval_steps=3, save_steps=3, batch_size=2, gradient_accumulation=2, pace={"gpus": 2},
    )  # fmt: skip
    said = started.communicate()[1]
    assert started.returncode == 0, said
    run = read_json(tmp_path / "two/run.json")
    assert run["fit"] == {"batch": 2, "accumulation": 1, "processes": 2, "checkpointing": False, "open": True}
    assert "2 rows at once x 1 on 2 processes" in said
    for first, second in zip(history(one), history(tmp_path / "two"), strict=True):
        for name in ("loss", "eval_loss"):
            if name in first:
                assert first[name] == pytest.approx(second[name], rel=2e-3)


@pytest.mark.slow
def test_two_processes_stop_together_and_resume_to_the_same_adapter(bases, rows, tmp_path, scheme):
    change = {"gradient_accumulation": 2, "pace": {"gpus": 2}}
    stopped_and_resumed(bases, rows, tmp_path, scheme, signal.SIGUSR1, **change)


@pytest.mark.slow
def test_two_processes_share_the_base(learn, bases, rows, tmp_path, scheme):
    one = learn("one", batch_size=2, gradient_accumulation=2)
    started = launched(
        bases, rows, tmp_path / "two", tmp_path / "two-work", scheme,
        max_steps=6, eval_steps=3, save_steps=3, batch_size=2, gradient_accumulation=2, pace={"gpus": 2, "parallel": "fsdp"},
    )  # fmt: skip
    said = started.communicate()[1]
    assert started.returncode == 0, said
    for first, second in zip(history(one), history(tmp_path / "two"), strict=True):
        if "loss" in first:
            assert first["loss"] == pytest.approx(second["loss"], rel=2e-3)
    assert read_json(tmp_path / "two/adapter_config.json") == read_json(one / "adapter_config.json")


def test_several_nodes_start_torchrun_once_on_each(tmp_path, monkeypatch):
    file = tmp_path / "arguments.json"
    found = distributed.command("mindgauge.train_process", file, gpus=4, nodes=2, host="n1", job="77", cpus="32")
    assert found[0] == "srun" and "--nodes=2" in found and "--ntasks-per-node=1" in found
    assert "--cpus-per-task=32" in found and found.index("--cpus-per-task=32") < found.index(sys.executable)
    assert "--nnodes=2" in found and "--rdzv-endpoint=n1:29477" in found and "--nproc-per-node=4" in found
    assert found[-3:] == ["-m", "mindgauge.train_process", str(file)]
    assert "--standalone" in distributed.command("m", file, gpus=2)
    unsaid = distributed.command("m", file, gpus=1, nodes=2, host="n1", job="78")
    assert "--rdzv-endpoint=n1:29478" in unsaid and not any("cpus" in part for part in unsaid)
    # Below the ports that Linux gives to whoever asks for any.
    assert {distributed.port(str(job)) for job in range(2**20)} == set(range(29400, 32400))
    monkeypatch.delenv("SLURM_JOB_NODELIST", raising=False)
    with pytest.raises(UserError, match="outside a SLURM job"):
        distributed.run("m", {}, tmp_path, gpus=1, nodes=2)


def test_a_job_of_several_nodes_gives_srun_its_cores_and_its_own_port(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    for name, body in {"scontrol": "echo n7; echo n8", "srun": f'echo "$@" > {tmp_path}/srun'}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    job = {"SLURM_JOB_NODELIST": "n[7-8]", "SLURM_JOB_ID": "3001", "SLURM_CPUS_PER_TASK": "16"}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    assert distributed.run("m", {}, tmp_path, gpus=2, nodes=2) == {}
    said = (tmp_path / "srun").read_text()
    assert "--cpus-per-task=16" in said and "--rdzv-endpoint=n7:29401" in said and "--rdzv-id=3001" in said


# What is written down


def test_the_run_says_what_it_was_made_of(learn, bases, rows):
    out = learn()
    run = read_json(out / "run.json")
    assert run["data"] == {name: run_record.sha256_file(rows / f"{name}.jsonl") for name in ("train", "val")}
    assert run["base"]["sha256"] == run_record.base_identity(bases / "tiny-llama")["sha256"]
    assert run["versions"]["trl"] and run["versions"]["torch build"] == run_record.torch_build()
    assert run["rows_per_second"] > 0 and run["peak_resident_bytes"] > 1e8 and run["runs"] == 1
    assert all(len(run[name]) == 64 for name in ("template_sha256", "lock_sha256", "code"))
    said = json.dumps(run)
    assert str(bases) not in said and str(rows) not in said


def test_tensorboard_is_written_below_results(learn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learn(pace={**PACE, "tracker": "tensorboard"})
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (run,) = (tmp_path / tracking.TRACKING / "tensorboard").iterdir()
    seen = EventAccumulator(str(run)).Reload()
    assert [event.step for event in seen.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("tracker", "said"),
    [
        ("none", {}),
        ("tensorboard", {"TENSORBOARD_LOGGING_DIR": "{place}/run"}),
        ("wandb", {"WANDB_MODE": "offline", "WANDB_DIR": "{place}", "WANDB_PROJECT": "mindgauge"}),
        ("mlflow", {"MLFLOW_TRACKING_URI": "sqlite:///{place}/mlflow.db", "MLFLOW_EXPERIMENT_NAME": "mindgauge"}),
        ("trackio", {"TRACKIO_DIR": "{place}"}),
    ],
)
def test_a_tracker_is_told_to_stay_below_results(tmp_path, monkeypatch, tracker, said):
    monkeypatch.chdir(tmp_path)
    environment = {"WANDB_MODE": "online"}
    monkeypatch.setattr(tracking.os, "environ", environment)
    assert tracking.start(tracker, "run") == ([] if tracker == "none" else [tracker])
    place = tmp_path / "results/tracking" / tracker
    assert place.is_dir() == (tracker != "none")
    assert environment == environment | {name: value.format(place=place) for name, value in said.items()}


def test_the_curve_is_smoothed_by_an_exponential_moving_average():
    assert curves.smoothed([]) == [] and curves.smoothed([3.0]) == [3.0]
    # 0.8 x 1 + 0.2 x 2; 0.8 x 1.2 + 0.2 x 0; and a half of each.
    assert curves.smoothed([1.0, 2.0, 0.0]) == pytest.approx([1.0, 1.2, 0.96])
    assert curves.smoothed([1.0, 2.0, 0.0], 0.5) == pytest.approx([1.0, 1.5, 0.75])


@pytest.mark.parametrize(("visible", "joules"), [(None, 7.0), ("", 7.0), ("1", 2.0), ("0,GPU-b", 6.0), ("5", None)])
def test_energy_is_that_of_the_gpus_this_process_sees(monkeypatch, visible, joules):
    millijoules = {"0": 1000, "1": 2000, "2": 4000, "GPU-b": 5000}
    fake = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 3,
        nvmlDeviceGetHandleByIndex=lambda number: {0: "0", 1: "1", 2: "2"}[number],
        nvmlDeviceGetHandleByUUID=lambda name: name,
        nvmlDeviceGetTotalEnergyConsumption=millijoules.__getitem__,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert callbacks.joules() == joules
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as if it were not installed
    assert callbacks.joules() is None


def test_a_tracker_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setitem(tracking.PACKAGES, "wandb", ("no_such_package",))
    with pytest.raises(UserError, match="wandb is not installed") as refused:
        tracking.check("wandb", "w")
    assert "pip install" in refused.value.message()
    tracking.check("none", "w")
