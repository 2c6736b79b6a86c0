"""The store's scenarios on the cluster, after the chain was made there: each tells the jobs that SLURM was given for a change, and that
what is put back submits none."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from clone import COSTLY
from conftest import ROOT

from mindgauge.files import read_json

pytestmark = pytest.mark.slow

# Both trainings, and all that is made of data.
TRAINED = [f"results/models/{name}/adapter/run.json" for name in ("tiny-qwen2", "tiny-llama")]
# Those that read a model, all but its evaluation.
OF_MODELS = {"make_train", "make_merge", "make_convert", "make_quantise"}
WAYS = (
    're.sub(r"[ \\t\\u3000\\xa0]+", " ", line).strip()',
    '" ".join(re.split(r"[ \\t\\u3000\\xa0]+", line)).strip()',
)
UNIFIED = "results/data/unified.jsonl"
UNIFYING = "workflow/scripts/mindgauge/unifying.py"


def entries(store):
    """Every file of every entry, with what would change if it was written anew."""
    found = [path for path in store.rglob("*") if not path.relative_to(store).parts[0].startswith(".")]
    return {
        path: (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        for path in found
        if path.is_file()
        for stat in [path.stat()]
    }


def program(clone, name, *arguments):
    """Runs a program of the clone on its store; what it said."""
    done = subprocess.run(
        [sys.executable, f"workflow/scripts/{name}.py", *arguments],
        cwd=clone.root,
        env={**os.environ, **clone.environment, "MINDGAUGE_STORE": str(clone.store)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("moved", [False, True])
def test_a_new_clone_submits_nothing_wherever_its_store_lies(clone, submitted, another, tmp_path, moved):
    store = tmp_path / "elsewhere/store" if moved else clone.store
    if moved:
        shutil.copytree(clone.store, store, symlinks=True)
    other = another(tmp_path / "clone", store)
    assert not submitted(clone=other)
    lists = [read_json(of.root / "results/manifest.json")["views"] for of in (clone, other)]
    content = [{view: of["sha256"] for view, of in views.items()} for views in lists]
    assert content[0] and content[0] == content[1]


def test_what_is_damaged_or_gone_is_made_again_and_nothing_else(clone, submitted):
    """A file of one entry, the manifest of another, a third altogether; a gate; and what stands in the place of a view."""
    model = clone.root / "results/models/tiny-qwen2"

    def flipped(path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.chmod(0o600)
        path.write_bytes(content)

    flipped((model / "gguf/tiny-qwen2-Q4_K_M.gguf").resolve())
    flipped((model / "eval/base.json").resolve().parent / "manifest.json")
    shutil.rmtree((model / "gguf/tiny-qwen2-f16.gguf").resolve().parent)
    flipped(clone.root / "results/.gates/sft.json")
    view = model / "adapter/run.json"
    text = view.read_text()
    view.unlink()
    view.write_text(text.replace("tiny", "my"))
    said = clone.snakemake("verify", overlays=("minutes.yaml",), check=False)
    wanted = re.findall(r"(?:set aside|missing): (\w+)/tiny-qwen2/.*ask for it: (\S+)", said)
    assert clone.status != 0 and {"quantise", "evaluate", "convert"} <= {step for step, _ in wanted}, said
    assert f"{view.name}.edited" in said and "sft.json is not as this version wrote it" in said
    asked = [target for step, target in wanted if step in ("quantise", "evaluate", "convert")]
    assert submitted(*asked) == {"make_quantise": 1, "make_evaluate": 1, "make_convert": 1}
    assert not OF_MODELS & set(submitted()) and view.is_symlink()
    assert "0 wrong" in clone.snakemake("verify", overlays=("minutes.yaml",))


def test_a_training_that_fails_withdraws_the_model_that_was(clone, submitted):
    (clone.root / "fails.yaml").write_text("extra_models: {tiny-llama: {train: {target_modules: [no_such_layer]}}}")
    view = clone.root / TRAINED[1]
    assert submitted(TRAINED[1], overlays=("fails.yaml",), fails=True, MINDGAUGE_RETRIES="0") == {"make_train": 1}
    # Though `models` does not list it: it was asked for by its file.
    assert "were withdrawn" in submitted.said and not view.is_symlink() and (clone.root / TRAINED[0]).is_file()
    assert not submitted() and view.is_file()


def test_a_changed_byte_with_an_old_date_is_read_again(clone, submitted):
    path = clone.root / "data/sample/CPsyCounD/case_0.txt"
    text, date = path.read_bytes(), path.stat()
    path.write_bytes(text.replace("。".encode(), "！".encode(), 1))
    os.utime(path, ns=(date.st_atime_ns, date.st_mtime_ns))
    assert path.stat().st_size == date.st_size and path.stat().st_mtime_ns == date.st_mtime_ns
    # Of all sources one; whether more is made its content decides.
    ran = submitted("data")
    assert ran["make_ingest"] == 1 and ran["make_unify"] == 1 and not COSTLY & set(ran)
    path.write_bytes(text)
    assert not submitted()


def test_of_ten_new_records_these_alone_are_asked(clone, submitted):
    """By a model, on a GPU."""
    gguf = (clone.root / "results/models/tiny-qwen2/gguf/tiny-qwen2-Q4_K_M.gguf").resolve()
    (clone.root / "voter.yaml").write_text(f"label: {{backend: llama-cpp, model: {gguf}, context: 1024}}")
    submitted("labels", overlays=("voter.yaml",))

    def asked():
        shards = [of["log"] for of in read_json(clone.root / "results/labels/repro_package/shards.json")]
        return Counter(
            records=sum(of["records"] for of in shards), asked=sum(of["records"] - of["known"] for of in shards)
        )

    before = asked()["records"]
    path = clone.root / "data/sample/PsyQA/psyqa.json"
    text = path.read_text(encoding="utf-8")
    held = json.loads(text)
    kept = [row for row in held if "我现在读高三" in (row["description"] or "")][:10]
    new = [
        {**row, "questionID": 900 + n, "description": f"{row['description']}这是第{n}回。"}
        for n, row in enumerate(kept)
    ]
    path.write_text(json.dumps([*held, *new], ensure_ascii=False), encoding="utf-8")
    ran = submitted("labels", overlays=("voter.yaml",))
    assert ran["make_ingest"] == 1 and ran["make_label_by_model"] == 1 and not ran["make_label"]
    assert 0 < asked()["asked"] == asked()["records"] - before <= 10
    path.write_text(text, encoding="utf-8")
    assert not submitted()


def test_code_edited_while_a_job_waits_is_refused_and_the_same_output_goes_no_further(cluster, clone, submitted):
    """A normalisation written otherwise, and once more while its job waits in the queue."""
    node = f"nodename={cluster.host}"
    cluster.run("scontrol", "update", node, "state=drain", "reason=test")
    clone.edit(UNIFYING, *WAYS)

    def edited(driver):
        cluster.until("a job that waits", lambda: cluster.run("squeue", "-h", "-t", "PD", "-o", "%i"))
        clone.edit(UNIFYING, WAYS[1], f"({WAYS[1]})")
        (clone.root / UNIFYING).write_text((clone.root / UNIFYING).read_text() + "\n\nEDITED = True\n")
        cluster.run("scontrol", "update", node, "state=resume")

    assert submitted("data", fails=True, meanwhile=edited, MINDGAUGE_RETRIES="0") == {"make_unify": 1}
    assert "code changed after this job was planned" in submitted.said, submitted.said[-4000:]
    ran = submitted("data", "sft")
    assert ran["make_unify"] == 1 and not COSTLY & set(ran) and not ran["make_sft"]
    clone.edit(UNIFYING, "\n\nEDITED = True\n", "")
    clone.edit(UNIFYING, f"({WAYS[1]})", WAYS[0])
    assert not submitted()


def test_a_newer_training_library_trains_all_and_reads_and_labels_nothing(clone, submitted):
    lock = clone.root / "envs/lock.txt"
    text = lock.read_text()
    newer, found = re.subn(r"^(trl==[^\s;]+)", r"\g<1>.1", text, flags=re.MULTILINE)
    assert found == 1
    lock.write_text(newer)
    assert submitted("data", *TRAINED) == {"make_train": len(TRAINED)}
    lock.write_text(text)
    assert not submitted()


def test_a_new_model_alone_is_trained(clone, submitted):
    base = (clone.root / "build/tiny/tiny-llama").resolve()
    (clone.root / "more.yaml").write_text(
        "models: [tiny-qwen2, tiny-new]\n"
        f"extra_models: {{tiny-new: {{path: {base}, licence: MIT, family: llama3, context: 2048}}}}"
    )
    assert submitted("train", overlays=("more.yaml",)) == {"make_train": 1}
    assert submitted.jobs[0]["wildcards"].startswith("tiny-new_")


def test_a_new_quant_alone_is_made_and_evaluated(clone, submitted):
    (clone.root / "quants.yaml").write_text("quants: [Q4_K_M, Q8_0]")
    made = ("gguf/tiny-qwen2-Q8_0.gguf", "eval/Q8_0.json")
    ran = submitted(*(f"results/models/tiny-qwen2/{view}" for view in made), overlays=("quants.yaml",))
    assert ran == {"make_quantise": 1, "make_evaluate": 1}


def test_another_evaluation_evaluates_every_variant_and_trains_nothing(clone, submitted, jobs):
    variants = [job["wildcards"].split("_", 1)[1].rpartition("_")[0] for job in jobs["make_evaluate"]]
    assert {"base", "adapter", "merged", "f16", "Q4_K_M"} <= set(variants)
    path = clone.root / "workflow/scripts/mindgauge/evaluating.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\n\nCHANGED = True\n", encoding="utf-8")
    ran = submitted(*(f"results/models/tiny-qwen2/eval/{variant}.json" for variant in variants))
    assert ran == {"make_evaluate": len(variants)}
    # Back, what was is shown.
    path.write_text(text, encoding="utf-8")
    assert not submitted()


def test_another_clone_that_fails_forces_or_is_cancelled_harms_nothing(cluster, clone, submitted, another, tmp_path):
    other = another(tmp_path / "clone", clone.store)
    before = entries(clone.store)

    def unharmed():
        now = entries(clone.store)
        return {path: now.get(path) for path in before} == before

    work = "    unifying.unify("

    def instead(code):
        text = (ROOT / "workflow/scripts/unify.py").read_text(encoding="utf-8")
        assert work in text
        (other.root / "workflow/scripts/unify.py").write_text(text.replace(work, f"{code}{work}"), encoding="utf-8")

    instead("    raise RuntimeError(step.names)\n")
    assert submitted(UNIFIED, clone=other, fails=True, MINDGAUGE_RETRIES="0") == {"make_unify": 1}
    assert unharmed()

    # Every job of it runs, and finds its entry made.
    instead("")
    assert submitted(UNIFIED, clone=other, options=("--forceall",)) == {"make_ingest": 4, "make_unify": 1}
    assert unharmed() and len(entries(clone.store)) == len(before)

    instead("    import time\n\n    time.sleep(60)\n")

    def cancelled(driver):
        cluster.until("its work", lambda: list((other.store / ".leases").glob("unify+*")))
        driver.interrupt()

    assert submitted(UNIFIED, clone=other, fails=True, meanwhile=cancelled) == {"make_unify": 1}
    assert unharmed() and not submitted()


def test_what_gc_leaves_is_all_that_is_needed(clone, submitted):
    named = "config/demo.yaml,overlay.yaml,minutes.yaml"
    made = (clone.root / TRAINED[1]).resolve().parent
    unreached = made.with_name("0" * 20)
    shutil.copytree(made, unreached)
    before = entries(clone.store)
    assert "nothing was removed" in program(clone, "collect_garbage", "--days", "0", named)
    assert entries(clone.store) == before
    program(clone, "collect_garbage", "--days", "0", "--apply", named)
    assert not unreached.exists() and made.is_dir()
    assert not submitted()


def test_of_a_withdrawn_record_nothing_is_left_and_its_shard_alone_is_labelled_again(clone, submitted):
    record = json.loads((clone.root / "results/data/unified_min.jsonl").read_text(encoding="utf-8").splitlines()[0])
    words = next(turn["text"] for turn in record["turns"] if len(turn["text"]) > 15).encode()

    def holding():
        files = [path for path in clone.store.rglob("*") if path.is_file()]
        return [path for path in files if words in path.read_bytes() or record["id"].encode() in path.read_bytes()]

    configured = ("--configfile", "config/demo.yaml", "overlay.yaml", "minutes.yaml")
    assert "nothing was removed" in program(clone, "forget", record["id"], *configured) and holding()
    said = program(clone, "forget", record["id"], "--apply", *configured)
    assert "tiny-qwen2" in said and words.decode() not in said and not holding()
    ran = submitted("data", "labels")
    assert ran["make_label"] == 1 and not OF_MODELS & set(ran)
    assert not holding()
