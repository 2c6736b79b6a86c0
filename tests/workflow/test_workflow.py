"""The workflow as a user runs it: end to end, then every kind of change, by the jobs it causes."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from clone import COSTLY, Clone
from conftest import ROOT

# What is made anew of the demo for one model that is trained anew.
CHAIN = {
    "make_train": 1,
    "make_merge": 1,
    "make_convert": 1,
    "make_imatrix": 1,
    "make_quantise": 1,
    "make_evaluate": 4,
    "make_fidelity": 1,
    "make_bench": 1,
    "make_judge": 1,
    "make_bundle": 1,
    "make_report": 1,
    "make_catalogue": 1,
}


def made_by(planned):
    """Of the jobs of a dry run those that make entries."""
    return {rule: count for rule, count in planned.items() if rule.startswith("make_")}


def test_everything_is_there(first):
    results = first.root / "results"
    manifest = json.loads((results / "manifest.json").read_text())
    assert len(manifest["views"]) > 50 and all((results / view).is_file() for view in manifest["views"])
    page = (results / "report/index.html").read_text()
    assert "not a diagnosis" in page and "tiny-llama" in page and "Majority value" in page
    assert not re.search(r"""(?:src|href)=["']https?:""", page) and str(first.root) not in page
    records = [json.loads(line) for line in (results / "data/unified_min.jsonl").read_text().splitlines()]
    phrases = {turn["text"][:20] for record in records for turn in record["turns"] if len(turn["text"]) > 20}
    shown = (
        page
        + (results / "manifest.json").read_text()
        + "".join(path.read_text() for path in (results / "logs").rglob("*.log"))
    )
    assert phrases and not any(phrase in shown for phrase in phrases)


def test_everything_is_private(first):
    for path in [first.root / "results", *(first.root / "results").rglob("*")]:
        assert path.is_symlink() or path.stat().st_mode & 0o077 == 0, path
    assert first.store.stat().st_mode & 0o077 == 0


def test_a_second_run_does_nothing(first):
    assert first.ran("all") == []


def test_snakemakes_report_shows_every_result_with_caption_and_labels_and_nothing_private(first, tmp_path):
    zipped = tmp_path / "report.zip"
    first.snakemake("--report", str(zipped), "--", "all")
    shutil.unpack_archive(zipped, tmp_path)
    page = next(tmp_path.glob("*/report.html"))
    text = page.read_text(encoding="utf-8")

    def held(name):
        return json.loads(
            re.search(rf'<script id="{name}">\s*var {name} = (\{{.*?\}});\s*</script>', text, re.DOTALL)[1]
        )

    results, categories = held("results"), held("categories")
    assert sorted(categories) == ["Data", "Evaluation", "Export", "Labels", "Training"]
    assert len(results) > 40
    for path, result in results.items():
        assert re.sub("<[^>]*>", "", result["caption"]).strip(), path
        assert result["labels"]["result"] and (page.parent / result["data_uri"]).is_file(), path
        assert result["mime_type"] in ("text/html", "image/png"), path
    for category in ("Training", "Export", "Evaluation"):
        shown = [results[path]["labels"] for path in categories[category]["Other"]]
        assert {"tiny-qwen2", "tiny-llama"} <= {labels["model"] for labels in shown}
    assert {results[path]["labels"]["variant"] for path in categories["Evaluation"]["Other"]} >= {"base", "Q4_K_M"}
    whole = text + "".join(file.read_text(encoding="utf-8") for file in page.parent.rglob("data/**/*.html"))
    for private in (str(first.root), str(first.store), str(ROOT), os.path.expanduser("~") + "/"):
        assert private not in whole
    records = [json.loads(line) for line in (first.root / "results/data/unified_min.jsonl").read_text().splitlines()]
    assert not any(
        turn["text"][:20] in whole for record in records for turn in record["turns"] if len(turn["text"]) > 20
    )
    if chromium := shutil.which("chromium") or shutil.which("google-chrome"):
        look = '<script>addEventListener("load", () => setTimeout(() => app.showCategory("Evaluation"), 500))</script>'
        before, end, after = text.rpartition("</body>")
        (page.parent / "look.html").write_text(before + look + end + after, encoding="utf-8")
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
        dom = subprocess.run(
            [*command, (page.parent / "look.html").as_uri()], capture_output=True, text=True, timeout=120, check=True
        ).stdout
        body = re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)
        assert "variants in pairs" in body and "tiny-llama" in body and "everything at a glance" in body


def test_touching_every_file_does_nothing(first):
    paths = [
        path
        for path in first.root.rglob("*")
        if not path.is_symlink() and path.is_file() and ".snakemake" not in path.parts
    ]
    for path in [*paths, *first.store.rglob("*")]:
        os.utime(path)
    for path in sorted((first.root / "results").rglob("*"), reverse=True):
        os.utime(path, follow_symlinks=False)
    assert first.ran("all") == []


def test_every_program_reformatted_and_commented_does_nothing(first):
    programs = {path: path.read_text(encoding="utf-8") for path in (first.root / "workflow/scripts").rglob("*.py")}
    for path, text in programs.items():
        path.write_text(f"# a comment\n\n\n{ast.unparse(ast.parse(text))}\n\n# the end\n", encoding="utf-8")
    planned = first.would_run()
    for path, text in programs.items():
        path.write_text(text, encoding="utf-8")
    assert planned == {}


def test_a_change_of_the_evaluation_evaluates_every_variant_and_trains_nothing(first):
    path = first.root / "workflow/scripts/mindgauge/evaluating.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\n\nCHANGED = True\n", encoding="utf-8")
    planned = first.would_run()
    path.write_text(text, encoding="utf-8")
    assert planned["make_evaluate"] == 10
    assert not planned.keys() & {
        "make_label",
        "make_train",
        "make_merge",
        "make_convert",
        "make_imatrix",
        "make_quantise",
    }


def test_a_new_quant_is_made_and_evaluated_and_nothing_else_of_the_model(first):
    (first.root / "quants.yaml").write_text("quants: [Q4_K_M, Q8_0]")
    planned = first.would_run(overlays=("quants.yaml",))
    assert planned["make_quantise"] == 2 and planned["make_evaluate"] == 2
    assert not planned.keys() & {"make_train", "make_merge", "make_convert", "make_imatrix", "make_baselines"}


@pytest.mark.parametrize(
    ("package", "runs", "stays"),
    [
        ("trl", {"make_train": 2, "make_merge": 2}, {"make_ingest", "make_unify", "make_label", "make_sft"}),
        ("rensa", {"make_ingest": 4, "make_unify": 1}, {"make_train", "make_merge", "make_convert", "make_quantise"}),
    ],
)
def test_a_newer_package_runs_what_is_made_with_it(first, package, runs, stays):
    lock = first.root / "envs/lock.txt"
    text = lock.read_text()
    newer, found = re.subn(rf"^({package}==[^\s;]+)", r"\g<1>.1", text, flags=re.MULTILINE)
    assert found == 1
    lock.write_text(newer)
    planned = first.would_run()
    lock.write_text(text)
    assert runs.items() <= planned.items() and not planned.keys() & stays


COUNTER = """
import builtins, hashlib, os
_digest = hashlib.file_digest
def tell(size, name):
    with builtins.open(os.environ["COUNTED"], "a") as told:
        told.write(f"{size} {name}\\n")
def file_digest(file, *rest, **options):
    tell(os.fstat(file.fileno()).st_size, file.name)
    return _digest(file, *rest, **options)
hashlib.file_digest = file_digest
tell(0, "begin")
"""


def test_while_a_run_is_planned_no_large_file_is_hashed(first, tmp_path):
    """Weights least of all; after every date was changed, too."""
    (tmp_path / "sitecustomize.py").write_text(COUNTER)
    for path in first.store.rglob("*"):
        os.utime(path)
    environment = {"PYTHONPATH": str(tmp_path), "COUNTED": str(tmp_path / "counted")}
    assert first.would_run(environment=environment) == {}
    counted = [line.split(" ", 1) for line in (tmp_path / "counted").read_text().splitlines()]
    assert counted[0] == ["0", "begin"]  # somebody counts
    assert sum(int(size) for size, _ in counted) < 5_000_000
    assert not any(str(first.store) in name or ".gguf" in name or ".safetensors" in name for _, name in counted)


@pytest.mark.slow
def test_gc_removes_what_no_named_configuration_reaches(first, tmp_path):
    """On a copy of the store, with one entry more that nothing reaches."""
    first.snakemake("results/models/tiny-llama/train_tiny-llama_lora.yaml")  # made on demand, and reached all the same
    store = tmp_path / "store"
    shutil.copytree(first.store, store, symlinks=True)
    reached = next(store.glob("train/tiny-llama/*"))
    unreached = reached.with_name("0" * 20)
    shutil.copytree(reached, unreached, symlinks=True)
    environment = {**os.environ, "MINDGAUGE_STORE": str(store)}

    def gc(*arguments):
        command = [sys.executable, "workflow/scripts/collect_garbage.py", "--days", "0", *arguments]
        return subprocess.run(command, cwd=first.root, env=environment, capture_output=True, text=True)

    manifest = json.loads((first.root / "results/manifest.json").read_text())["entries"]
    aside = store / ".aside" / ("train+tiny-llama+" + "0" * 20 + ".elsewhere.1")
    aside.mkdir(parents=True)
    # A link to what nothing reaches goes with it.
    entries = {path.parent for path in store.glob("*/**/manifest.json")}
    view = first.root / "results/models/old/run.json"
    view.parent.mkdir()
    view.symlink_to(unreached / "run.json")
    dry = gc("config/demo.yaml,overlay.yaml")
    assert dry.returncode == 0 and "nothing was removed" in dry.stdout, dry.stdout + dry.stderr
    assert {path.parent for path in store.glob("*/**/manifest.json")} == entries and aside.is_dir()
    (first.root / "unmade.yaml").write_text("train: {learning_rate: 0.5}")
    refused = gc("--apply", "config/demo.yaml,overlay.yaml", "config/demo.yaml,overlay.yaml,unmade.yaml")
    assert refused.returncode == 1 and "unmade.yaml is not all made" in refused.stderr

    assert gc("--apply", "config/demo.yaml,overlay.yaml").returncode == 0 and not view.is_symlink()
    assert list(store.glob("llama_factory/tiny-llama/*/manifest.json"))
    left = {path.parent.relative_to(store).as_posix() for path in store.glob("*/**/manifest.json")}
    assert set(manifest) <= left and not unreached.exists() and not aside.exists()
    again = gc("--apply", "config/demo.yaml,overlay.yaml")
    assert "unreached: 0 entries" in again.stdout
    assert first.would_run(environment={"MINDGAUGE_STORE": str(store)}) == {}


def test_one_learning_rate_reruns_that_models_chain_only(first):
    made = {name: set(first.store.glob(f"*/{name}/**/manifest.json")) for name in ("tiny-llama", "tiny-qwen2")}
    first.edit(
        "config/demo.yaml",
        "path: build/tiny/tiny-llama,",
        "path: build/tiny/tiny-llama, train: {learning_rate: 0.001},",
    )
    assert made_by(first.would_run()) == CHAIN
    first.snakemake("all")
    assert set(first.store.glob("*/tiny-qwen2/**/manifest.json")) == made["tiny-qwen2"]
    assert set(first.store.glob("*/tiny-llama/**/manifest.json")) > made["tiny-llama"]
    first.edit("config/demo.yaml", " train: {learning_rate: 0.001},", "")
    assert not COSTLY & set(first.ran("all"))


def test_a_normalisation_rewritten_to_the_same_output_trains_nothing(first):
    ways = [
        're.sub(r"[ \\t\\u3000\\xa0]+", " ", line).strip()',
        '" ".join(re.split(r"[ \\t\\u3000\\xa0]+", line)).strip()',
    ]
    first.edit("workflow/scripts/mindgauge/unifying.py", *ways)
    ran = set(first.ran("all"))
    assert "make_unify" in ran and not ran & (COSTLY | {"make_split", "make_sft"})
    first.edit("workflow/scripts/mindgauge/unifying.py", *reversed(ways))
    assert not {rule for rule in first.ran("all") if rule.startswith("make_")}


def test_a_changed_byte_with_an_old_date_is_seen(first):
    path = first.root / "data/sample/CPsyCounD/case_0.txt"
    text, date = path.read_bytes(), path.stat()
    path.write_bytes(text.replace("。".encode(), "！".encode(), 1))
    os.utime(path, ns=(date.st_atime_ns, date.st_mtime_ns))
    now = path.stat()
    assert (now.st_mtime_ns, now.st_size, now.st_ino) == (date.st_mtime_ns, date.st_size, date.st_ino)
    # Of four sources one is read again; whether more is made its content decides.
    ran = first.snakemake("data")
    assert re.findall(r"Finished jobid: \d+ \(Rule: (make_ingest|make_unify)\)", ran) == ["make_ingest", "make_unify"]
    path.write_bytes(text)
    assert not {rule for rule in first.ran("all") if rule.startswith("make_")}


def test_a_new_clone_with_the_same_store_trains_nothing(first, tmp_path, tiny):
    other = Clone.new(tmp_path / "clone", first.store, tiny)
    ran = set(other.ran("all"))
    assert "view_adapter" in ran and not {rule for rule in ran if rule.startswith("make_")}
    manifests = [json.loads((clone.root / "results/manifest.json").read_text())["views"] for clone in (first, other)]
    content = [{view: of["sha256"] for view, of in views.items()} for views in manifests]
    assert content[0] == content[1]


def test_another_labeller_is_seen_and_put_back_costs_nothing(first):
    """A gate that was never asked before is no reason for Snakemake to look again; the epoch is."""
    rows = (first.root / "results/labels/dataset.jsonl").read_text().splitlines()
    labels = {"depression_level": 0, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 0}
    (first.root / "labels.jsonl").write_text(
        "\n".join(json.dumps({"id": json.loads(row)["id"], **labels}) for row in rows)
    )
    (first.root / "label.yaml").write_text("label: {backend: file, file: labels.jsonl}")
    assert {"make_label", "make_merge_labels"} <= set(first.ran("labels", overlays=("label.yaml",)))
    assert '"labeller": "file"' in (first.root / "results/labels/dataset.jsonl").read_text()
    assert not {"make_label", *COSTLY} & set(first.ran("all"))
    assert '"labeller": "keywords"' in (first.root / "results/labels/dataset.jsonl").read_text()
    assert first.ran("all") == []


def test_a_model_labels_and_new_records_alone_are_asked(first):
    """The demo's own GGUF as the labeller, beside the rules; then ten more questions."""
    gguf = (first.root / "results/models/tiny-llama/gguf/tiny-llama-Q4_K_M.gguf").resolve()
    voters = f"[{{backend: llama-cpp, model: {gguf}, context: 1024}}, {{backend: keywords}}]"
    (first.root / "label.yaml").write_text(f"label: {{shards: 2, min_confidence: 0.4, voters: {voters}}}")
    assert {"make_label_by_model", "make_merge_labels"} <= set(first.ran("labels", overlays=("label.yaml",)))

    def shards():
        package = json.loads((first.root / "results/labels/repro_package/shards.json").read_text())
        return [of["log"] for of in package if of["voter"] == "0-llama-cpp"]

    stats = json.loads((first.root / "results/labels/stats.json").read_text())
    records = stats["records"] + 60  # gold is labelled, too
    assert stats["labelled"] == stats["records"] and stats["agreement"]["voters"] == 2
    assert (
        len(shards()) == 2
        and sum(of["records"] for of in shards()) == records
        and not any(of["known"] for of in shards())
    )

    path = first.root / "data/sample/PsyQA/psyqa.json"
    text = path.read_text(encoding="utf-8")
    questions = json.loads(text)
    held = [row for row in questions if "我现在读高三" in (row["description"] or "")][:10]
    new = [
        {**row, "questionID": 900 + n, "description": row["description"] + f"这是第{n}回。"}
        for n, row in enumerate(held)
    ]
    path.write_text(json.dumps([*questions, *new], ensure_ascii=False), encoding="utf-8")
    first.snakemake("labels", overlays=("label.yaml",))
    asked = sum(of["records"] - of["known"] for of in shards())
    added = sum(of["records"] for of in shards()) - records
    assert 0 < added <= 10 and asked == added
    sample = subprocess.run(
        [sys.executable, "workflow/scripts/relabel.py", "--sample", "20", "--configfile", "config/demo.yaml", "overlay.yaml", "label.yaml"],
        cwd=first.root, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "1-keywords: 20 of 20 answers are the same" in sample.stdout, sample.stdout + sample.stderr
    assert "0-llama-cpp" in sample.stdout
    path.write_text(text, encoding="utf-8")
    assert not {"make_label", "make_label_by_model", *COSTLY} & set(first.ran("all"))


@pytest.mark.slow
def test_auto_takes_the_first_quant_that_passes_and_says_which(first):
    (first.root / "auto.yaml").write_text(
        "quants: [AUTO]\nmodels: [tiny-llama]\nquantise: {auto: [Q2_K, Q8_0]}\n"
        "gates: {kld_mean_max: 0.001, qwk_drop_max: null, risk_lost_max: null}"
    )
    ran = set(first.ran("all", overlays=("auto.yaml",)))
    assert "make_choose" in ran and not ran & {"make_train", "make_merge", "make_convert", "make_quantise"}
    model = first.root / "results/models/tiny-llama"
    choice = json.loads((model / "gguf/verify.json").read_text())["variants"]["AUTO"]["choice"]
    assert [one["gate"] for one in choice["tries"]] == ["fail", "pass"] and choice["passed"] == "Q8_0"
    assert (model / "bundle/AUTO/tiny-llama-Q8_0.gguf").is_file()
    assert "AUTO: Q8_0" in (first.root / "results/report/index.html").read_text()
    assert not COSTLY & set(first.ran("all"))


@pytest.mark.slow
def test_a_failed_run_leaves_no_earlier_result_as_if_it_were_current(first):
    """A bundle that the gates refuse now, and what hangs on a training that fails."""
    results = first.root / "results"
    (first.root / "refused.yaml").write_text("bundle: {despite_gates: [tiny-qwen2]}")
    said = first.snakemake("all", check=False, overlays=("refused.yaml",))
    assert first.status != 0 and "were withdrawn" in said
    assert not [path for path in (results / "models/tiny-llama/bundle/Q4_K_M").rglob("*") if path.is_symlink()]
    assert (results / "models/tiny-qwen2/bundle/Q4_K_M/README.md").is_file()
    assert (results / "models/tiny-llama/adapter/run.json").is_file() and not COSTLY & set(first.ran("all"))
    assert (results / "models/tiny-llama/bundle/Q4_K_M/README.md").is_file()

    (first.root / "fails.yaml").write_text("extra_models: {tiny-llama: {train: {target_modules: [no_such_layer]}}}")
    # Of this model alone: the run asks none of the gates that the other's views hang on.
    first.snakemake("results/models/tiny-llama/adapter/run.json", check=False, overlays=("fails.yaml",))
    assert first.status != 0
    for gone in ("adapter/run.json", "gguf/tiny-llama-Q4_K_M.gguf", "bundle/Q4_K_M/README.md", "eval/gates.json"):
        assert not (results / "models/tiny-llama" / gone).is_symlink(), gone
        assert (results / "models/tiny-qwen2" / gone.replace("tiny-llama", "tiny-qwen2")).is_file()
    assert not (results / "report/index.html").exists() and not (results / "manifest.json").exists()
    assert not COSTLY & set(first.ran("all")) and (results / "report/index.html").is_file()


def test_verify_names_damage_and_the_next_run_mends_it(first):
    assert "0 wrong" in first.snakemake("verify")
    target = (first.root / "results/models/tiny-llama/gguf/tiny-llama-Q4_K_M.gguf").resolve()
    bundle = first.root / "results/models/tiny-llama/bundle/Q4_K_M/README.md"
    target.chmod(0o600)
    target.write_bytes(b"damaged")
    said = first.snakemake("verify", check=False)
    assert first.status != 0 and "damaged and set aside: quantise/tiny-llama/Q4_K_M" in said
    # The bundle holds the same file, and is named as well.
    wanted = re.search(r"set aside: quantise/tiny-llama/.* ask for it: (\S+)", said)
    assert first.ran(wanted[1]) == ["make_quantise"]
    assert not {"make_train", "make_merge", "make_convert", "make_quantise"} & set(first.ran("all"))
    assert "0 wrong" in first.snakemake("verify") and bundle.is_file()


@pytest.mark.slow
def test_what_snakemake_forgot_costs_nothing_dear_and_hides_no_change(first):
    views = ["results/models/tiny-llama/adapter/run.json", "results/.gates/sft.json"]
    first.snakemake("--cleanup-metadata", *views, "--")
    assert not COSTLY & set(first.ran("all"))
    for path in (first.root / ".snakemake/metadata").iterdir():
        path.unlink() if path.is_file() else shutil.rmtree(path)
    (first.root / "one.yaml").write_text("extra_models: {tiny-llama: {train: {learning_rate: 0.004}}}")
    assert first.ran("train", overlays=("one.yaml",)).count("make_train") == 1
    run = (first.root / "results/models/tiny-llama/adapter/run.json").read_text()
    assert "0.004" in run
    assert not COSTLY & set(first.ran("all")) and first.would_run() == {}


def test_lost_results_cost_nothing_dear(first):
    shutil.rmtree(first.root / ".snakemake")
    assert not COSTLY & set(first.ran("all"))
    shutil.rmtree(first.root / "results")
    assert not COSTLY & set(first.ran("all"))


@pytest.fixture
def no_slurm(tmp_path, monkeypatch):
    """A PATH without any of SLURM's commands, wherever this runs."""
    for directory in ("/usr/bin", "/bin"):
        for program in Path(directory).iterdir():
            link = tmp_path / program.name
            if not program.name.startswith("s") and not link.is_symlink():
                link.symlink_to(program)
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("sbatch") is None and shutil.which("bash")


@pytest.mark.usefixtures("no_slurm")
def test_the_slurm_profile_plans_the_training_jobs_without_slurm(first):
    first.edit(
        "config/demo.yaml",
        "path: build/tiny/tiny-llama,",
        "path: build/tiny/tiny-llama, train: {learning_rate: 0.002, gradient_accumulation: 4, gpus: 2, nodes: 2},",
    )
    # Where a rule has a message, a dry run tells that alone.
    message = '    message:\n        "Train {wildcards.model} by LoRA on the supervised rows"\n'
    first.edit("rules/train.smk", message, "")
    # Without --cores a dry run gives every job one thread, by which a training says how many GPUs it wants.
    said = first.snakemake("-n", "--cores", "64", "--", "all", profile="slurm")
    shell = "    # exec, so that"
    first.edit("rules/train.smk", shell, message + shell)
    several = " train: {learning_rate: 0.002, gradient_accumulation: 4, gpus: 2, nodes: 2},"
    first.edit("config/demo.yaml", several, "")
    job = re.search(r"rule make_train:.*?(?=\n\n)", said, re.DOTALL)
    assert job, said[-3000:]
    for part in ("slurm_partition=A40", "gres=gpu:2", "cpus_per_task=16", "mem_mb=65536", "nodes=2"):
        assert part in job[0], job[0]


def test_one_model_by_its_file(first):
    first.edit(
        "config/demo.yaml",
        "path: build/tiny/tiny-llama,",
        "path: build/tiny/tiny-llama, train: {learning_rate: 0.002},",
    )
    first.edit(
        "config/demo.yaml",
        "path: build/tiny/tiny-qwen2,",
        "path: build/tiny/tiny-qwen2, train: {learning_rate: 0.002},",
    )
    planned = first.would_run("results/models/tiny-llama/gguf/tiny-llama-Q4_K_M.gguf")
    first.edit("config/demo.yaml", " train: {learning_rate: 0.002},", "")
    first.edit("config/demo.yaml", " train: {learning_rate: 0.002},", "")
    assert planned["make_train"] == 1 and "make_evaluate" not in planned


def test_a_gpu_that_is_too_small_is_told_before_a_training_is_queued(first):
    (first.root / "small.yaml").write_text("{site: {gpu_memory_gib: 0.5}}")
    assert "make_train" not in first.would_run("train", overlays=("small.yaml",))  # what is made is shown
    (first.root / "small.yaml").write_text("{site: {gpu_memory_gib: 0.5}, train: {learning_rate: 0.0005}}")
    said = first.snakemake("-n", "--", "train", overlays=("small.yaml",), check=False)
    assert first.status == 1 and said.count("mindgauge: ") == 1 and "Traceback" not in said, said
    assert "takes about 1." in said and "the GPU has 0.5 GiB" in said and "site.gpu_memory_gib" in said


def test_llama_factory_is_told_the_same_recipe(first):
    path = "results/models/tiny-llama/train_tiny-llama_lora.yaml"
    assert first.ran(path) == ["make_llama_factory", "view_llama_factory"]
    told = yaml.safe_load((first.root / path).read_text())
    assert (
        told["max_steps"] == 4
        and told["template"] == "llama3"
        and told["model_name_or_path"] == "results/base/tiny-llama"
    )
    info = json.loads((first.root / told["dataset_dir"] / "dataset_info.json").read_text())
    for name in (told["dataset"], told["eval_dataset"]):
        file = first.root / told["dataset_dir"] / info[name]["file_name"]
        assert {*info[name]["columns"].values()} <= set(json.loads(file.read_text().splitlines()[0]))
    assert (first.root / told["model_name_or_path"] / "config.json").is_file()


@pytest.mark.parametrize(
    ("overlay", "target", "said"),
    [
        ("{modles: []}", "all", ["unknown key 'modles'", "instead: models"]),
        ("{train: {lora_r: zero}}", "all", ["'train.lora_r' is 'zero'"]),
        ("{}", "results/models/qwen3/eval/base.json", ["no model 'qwen3'", "valid models", "tiny-llama", "qwen3-0.6b"]),
        ("{}", "results/models/tiny-llama/gguf/tiny-llama-Q9_K.gguf", ["no quant 'Q9_K'", "Q4_K_M"]),
        (
            "{sources: {psyqa: {path: data/raw/none}}}",
            "all",
            ["raw files of psyqa are not there", "data/raw/none", "sources.psyqa"],
        ),
        ("{sources: {psyqa: {path: empty}}}", "all", ["raw directory of psyqa is empty", "data/README.md"]),
        (
            "{sources: {psyqa: {path: data/sample/CPsyCounE}}}",
            "all",
            ["not of the format 'psyqa'", "reader: cpsycoune"],
        ),
        ("{extra_models: {tiny-llama: {path: no/such}}}", "all", ["no/such"]),
        (
            "{sources: {psyqa: {redistribute: false}}}",
            "export",
            ["text of psyqa, which may not be passed on", "sources.psyqa.redistribute", "leave_out_restricted"],
        ),
    ],
)
def test_bad_input_is_one_message_before_any_job(tmp_path_factory, tiny, overlay, target, said):
    root = tmp_path_factory.mktemp("bad")
    clone = Clone.new(root / "clone", root / "store", tiny)
    (clone.root / "empty").mkdir()
    (clone.root / "bad.yaml").write_text(overlay)
    out = clone.snakemake(target, check=False, overlays=("bad.yaml",))
    assert clone.status == 1
    assert all(part in out for part in said), out
    assert out.count("mindgauge: ") == 1 and "Traceback" not in out and "Finished jobid" not in out


def test_every_step_has_a_help_text():
    for program in sorted(Path(ROOT / "workflow/scripts").glob("*.py")):
        done = subprocess.run([sys.executable, program, "--help"], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0 and "usage:" in done.stdout, program
