"""What the tests share."""

import fcntl
import os
import shutil

# Many threads beside another load make evaluation many times slower (FIELD_NOTES 1).
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mindgauge import bundling, converting, evaluating, gguf_metadata, merging, quantising, tiny_models, training
from mindgauge.answers import all_answers
from mindgauge.config import TRAIN_PACE, Train
from mindgauge.files import read_json, read_jsonl, write_json, write_jsonl
from mindgauge.gates import Gates, decide
from mindgauge.labels import Scheme
from mindgauge.records import Record, Turn, write_records

ROOT = Path(__file__).parents[1]


# Tests that share what takes minutes to make, by the beginnings of their files' names.
ON_THE_CLUSTER = ("tests/slurm/test_cha", "tests/slurm/test_failures")
TOGETHER = (ON_THE_CLUSTER, ("tests/docs/",))
# The longest of all, each of one worker, begin first. Those on the cluster mostly wait.
FIRST = (*ON_THE_CLUSTER, "tests/workflow/test_workflow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deals the tests to workers by file, those that share what takes minutes to make to one. (The group that a mark names is lost
    with pytest 9.2: pytest-xdist 3.8 writes it into an attribute that is not read any more.)"""
    from xdist.scheduler import LoadScopeScheduling

    class ByRun(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return next((names[0] for names in TOGETHER if path.startswith(names)), path)

    return ByRun(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests first that one worker is the longest at."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


@pytest.fixture(scope="session")
def scheme() -> Scheme:
    """The default label scheme."""
    return Scheme.load(ROOT / "config/labels.yaml")


@pytest.fixture
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test in the repository's root."""
    monkeypatch.chdir(ROOT)


# A tiny model of each family, for real, a few steps each.

FAMILIES = {
    "tiny-qwen2": "deepseek-r1",
    "tiny-qwen3": "qwen3",
    "tiny-llama": "llama3",
    "tiny-gemma2": "gemma3",
    "tiny-gemma3": "gemma3",
    "tiny-mistral": "mistral",
}
SLOW = ("tiny-qwen3", "tiny-gemma2", "tiny-gemma3", "tiny-mistral")
INSTRUCTION = "读学生的话，输出一行 JSON。"
STRINGS = [
    "我睡不着😢，怎么办？",
    "１２３　ＡＢＣ",
    "第一行\n第二行\n\n第四行",
    "a'll I'm 3.14 1000",
    "“引号”……——《书》",
    "\t空白  两个",
    '{"a": 1}',
    "考试650分 100%",
    "🏫👩‍🎓",
    "ﬁ ﬀ ㎏",
]


def numbers(**change):
    return {
        **{name: value for name, value in Train().model_dump().items() if name not in TRAIN_PACE},
        "gradient_accumulation": 1,
        "max_steps": 12,
        "eval_steps": 6,
        "save_steps": 6,
        "learning_rate": 3e-3,
        "lora_dropout": 0.0,
        **change,
    }


PACE = {name: Train().model_dump()[name] for name in TRAIN_PACE}


def template(family):
    return (ROOT / f"config/templates/{family}.jinja").read_text()


@pytest.fixture(scope="session")
def rows(tmp_path_factory, scheme):
    """Supervised rows in which the text decides the answer."""
    root = tmp_path_factory.mktemp("sft")
    answers = all_answers(scheme)[::160]
    made = [
        {
            "id": f"{n:016x}",
            "source": "s",
            "group": str(n),
            "themes": [],
            "instruction": INSTRUCTION,
            "input": f"{'甲乙丙丁'[n % 4]}事第{n}次，{STRINGS[n % 10]}",
            "output": answers[n % 4],
        }
        for n in range(60)
    ]
    for name, of in {"train": made[:44], "val": made[44:48], "test": made[48:54], "gold": made[54:]}.items():
        write_jsonl(root / f"{name}.jsonl", of)
    write_jsonl(root / "other_view.jsonl", ({**row, "input": f"学生：{row['input']}"} for row in made[48:54]))
    return root


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]) -> Path:
    """A copy of a directory that `make` fills once for all files and workers of a run: pytest makes a fixture with parameters anew
    for each file, and each worker of pytest-xdist its own."""
    run = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    kept = run / "made-once" / name
    kept.parent.mkdir(exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_dir():
            part = kept.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(kept)
    return Path(shutil.copytree(kept, factory.mktemp(name), symlinks=True, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def bases(tmp_path_factory, scheme):
    """The tiny models, hardly trained."""

    def make(root):
        for name in FAMILIES:
            tiny_models.make(name, ROOT / "data/sample", all_answers(scheme)[::37], root / name, steps=2)

    return made_once(tmp_path_factory, "bases", make)


@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in FAMILIES]
)
def made(request, tmp_path_factory, bases, rows, scheme):
    """One model through train, merge, convert and quantise."""
    name, family = request.param, FAMILIES[request.param]

    def make(root):
        chain(root, name, family, bases, rows, scheme)

    root = made_once(tmp_path_factory, name, make)
    return {"name": name, "family": family, "base": bases / name, **{part: root / part for part in PARTS}}


PARTS = ("train", "merge", "convert", "quantise", "work")


def chain(root, name, family, bases, rows, scheme):
    """One model through train, merge, convert and quantise, below `root`."""
    parts = {part: root / part for part in PARTS}
    for path in parts.values():
        path.mkdir()
    options = {"family": family, "template": template(family), "context": 512}
    # Long enough that it writes its answers in the tokens it was trained on, whatever others a grammar allows, and that no two
    # values are so close that a quant's rounding decides.
    steps = 96 if family in ("gemma3", "mistral") else 48
    enough = numbers(max_steps=steps, eval_steps=24, save_steps=24)
    training.train(
        rows,
        bases / name,
        parts["train"],
        parts["work"],
        model=name,
        labels=scheme.to_dict(),
        numbers=enough,
        pace=PACE,
        **options,
    )
    merging.merge(bases / name, parts["train"], rows, parts["merge"], **options)
    described = gguf_metadata.described(name, rows, licence="MIT", base="owner/base", revision="abc", sources=SOURCES)
    converting.convert(parts["merge"], parts["convert"], parts["work"], name, "f16", described)
    quantising.quantise(parts["convert"], parts["quantise"], "Q4_K_M")


SOURCES = {
    "s": {"licence": "none", "notice": "a notice", "redistribute": False},
    "unused": {"licence": "none", "notice": "of no use here", "redistribute": False},
}
OPTIONS = {"context": 512, "batch_size": 4, "false_alarms": 0.1, "urgent": ["suicidal", "self_harm"]}


def evaluated(made, rows, out, scheme, variant, max_new_tokens=48):
    """One variant on the held-out rows, and its metrics."""
    weights, kind = {
        "base": (made["base"], "hf"),
        "adapter": (made["train"], "hf"),
        "merged": (made["merge"], "hf"),
        "f16": (made["convert"], "gguf"),
        "Q4_K_M": (made["quantise"], "gguf"),
    }[variant]
    artifacts = {"weights": weights, "tokenizer": made["base"] if variant in ("base", "adapter") else made["merge"]}
    if variant == "adapter":
        artifacts["base"] = made["base"]
    out.mkdir(exist_ok=True)
    evaluating.evaluate(
        rows,
        artifacts,
        out,
        model=made["name"],
        variant=variant,
        kind=kind,
        family=made["family"],
        template=template(made["family"]),
        max_new_tokens=max_new_tokens,
        labels=scheme.to_dict(),
        threads=1,
        **OPTIONS,
    )
    return read_json(out / "metrics.json")


@pytest.fixture(scope="session")
def bundled(made, rows, tmp_path_factory, scheme):
    """The quant of `made` as a bundle, and its evaluation on the held-out rows."""
    root = made_once(
        tmp_path_factory,
        f"{made['name']}-bundle",
        lambda root: evaluated(made, rows, root / "eval", scheme, "Q4_K_M"),
    )
    write_json(root / "gates.json", {"Q4_K_M": decide(Gates(), {})})
    out = root / "bundle"
    out.mkdir()
    stanza = {"hub": None, "licence": "MIT", "family": made["family"], "context": 512, "quants": None}
    split = {"sources": {"s": 44}}
    write_json(root / "stats.json", {"splits": {"train": split, "val": split}, "view": "client"})
    held = [
        Record("s", row["id"], "qa", [Turn("client", row["input"])], id=row["id"])
        for row in read_jsonl(rows / "train.jsonl")
    ]
    write_records(root / "unified_min.jsonl", held)
    inputs = {
        "quantise": made["quantise"],
        "evaluate": root / "eval",
        "judge": root,
        "minimise": root,
        "sft": root,
    }
    options = {
        "model": made["name"],
        "quant": "Q4_K_M",
        "stanza": stanza,
        "template": template(made["family"]),
        "instruction": INSTRUCTION,
        "labels": scheme.to_dict(),
        "sources": SOURCES,
        "notice": "synthetic",
    }
    bundling.bundle(inputs, out, **options, despite_gates=True)
    return {**made, "bundle": out, "eval": root / "eval", "asked": (inputs, options)}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, scheme):
    """The demo's two base models, hardly trained."""

    def make(root):
        for name in ("tiny-qwen2", "tiny-llama"):
            tiny_models.make(name, ROOT / "data/sample", all_answers(scheme)[::37], root / name, steps=2)

    return made_once(tmp_path_factory, "tiny", make)


@pytest.fixture(scope="session")
def first(tmp_path_factory, tiny):
    """A clone in which everything has been made, in a few steps of training. A test that changes it puts it back."""
    from clone import Clone  # which imports this module

    def make(root):
        ran = Clone.new(root / "clone", root / "store", tiny).ran("all")
        assert {"make_train", "make_evaluate", "make_report", "view_manifest"} <= set(ran)

    root = made_once(tmp_path_factory, "first", make)
    return Clone(root / "clone", root / "store")
