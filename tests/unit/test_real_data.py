"""The data steps on the real corpora, where they are at hand. Nothing of their text is shown, whatever fails."""

import csv
import os
import tarfile
from pathlib import Path

import pytest
from conftest import ROOT, template
from supervised import supervise

from mindgauge import comparing, evaluating, ingesting, keywords, minimising, sft, splitting, unifying
from mindgauge.files import read_json, read_jsonl
from mindgauge.labeller_report import Compared, report
from mindgauge.leaks import leak_report
from mindgauge.readers.roles import PREFIX
from mindgauge.records import read_records

HELD = Path(os.environ.get("MINDGAUGE_REALDATA", ROOT / "data/raw"))
# name: reader, role, what the set's files hold (FIELD_NOTES; the development subsets of CPsyCounD and SMILE)
SETS = {
    "cpsycound": ("cpsycound", "CPsyCounD", "train", 1200),
    "cpsycoune": ("cpsycoune", "CPsyCounE", "train", 45),
    "smile": ("smile", "SMILE", "train", 2957),
    "psysuicide": ("psysuicide", "PsySUICIDE", "gold", 1480),
}
RULES = {"threshold": 2.5, "min_chars": 80, "length_rule": "total", "max_turns": 12, "max_chars": 2000}
pytestmark = pytest.mark.realdata


def raw(folder: str, unpacked: Path) -> Path | None:
    """The folder of a set, unpacked from <set>*.tar.xz if it lies packed; None if it is not there."""
    if (HELD / folder).is_dir():
        return HELD / folder
    for packed in HELD.glob(f"{folder}*.tar.xz"):
        with tarfile.open(packed) as archive:
            archive.extractall(unpacked, filter="data")
        return unpacked / folder
    return None


@pytest.fixture(scope="module")
def real(tmp_path_factory, scheme):
    """The entries of the data steps over all sets that are there."""
    root = tmp_path_factory.mktemp("real")
    made = {"root": root, "sets": {}}
    for name, (reader, folder, role, _) in SETS.items():
        if path := raw(folder, root / "raw"):
            out = root / "ingest" / name
            out.mkdir(parents=True)
            ingesting.ingest(path, out, name, reader, role, {}, scheme.to_dict())
            made["sets"][name] = out
    if "cpsycound" not in made["sets"]:
        pytest.skip(f"the real corpora are not in {HELD} (MINDGAUGE_REALDATA names their folder; data/README.md)")
    for step in ("unify", "minimise", "split"):
        (root / step).mkdir()
    unifying.unify(list(made["sets"].values()), root / "unify", threads=2)
    minimising.minimise(root / "unify", root / "minimise", threads=2, **RULES)
    splitting.split(root / "minimise", root / "split", 0.7, 128)
    return made


def test_the_accounts_reconcile(real):
    unified, student = (read_json(real["root"] / name) for name in ("unify/stats.json", "minimise/stats_min.json"))
    for name, out in real["sets"].items():
        stats = read_json(out / "stats.json")
        assert stats["read"] == stats["kept"] + stats["quarantined"] == SETS[name][3] or stats["read"] > 3000
        assert (
            stats["quarantined"]
            == sum(stats["by_reason"].values())
            == sum(1 for _ in read_jsonl(out / "quarantine.jsonl"))
        )
        of = unified["sources"][name]
        assert of["read"] == stats["kept"] == of["kept"] + sum(of["dropped"].values())
        if SETS[name][2] == "gold":
            assert student["gold"] == of["kept"]
        else:
            left = student["sources"][name]
            assert left["read"] == of["kept"] == left["kept"] + sum(left["dropped"].values())
    assert unified["kept"] == sum(1 for _ in read_records(real["root"] / "unify/unified.jsonl"))
    assert student["kept"] == sum(1 for _ in read_records(real["root"] / "minimise/unified_min.jsonl"))


def test_no_dialogue_is_lost_in_reading(real):
    for name in ("cpsycound", "cpsycoune", "smile"):
        if name in real["sets"]:
            assert read_json(real["sets"][name] / "stats.json")["quarantined"] == 0, name


def test_no_text_matches_a_role_prefix(real):
    leaks = [
        record.id
        for record in read_records(real["root"] / "unify/unified.jsonl")
        if any(PREFIX.match(line) for turn in record.turns for line in turn.text.split("\n"))
    ]
    assert leaks == []


def test_the_clients_last_turn_is_kept(real):
    """FIELD_NOTES: in about a quarter of CPsyCounD the client has the last word."""
    last = [record.turns[-1].role for record in read_records(real["sets"]["cpsycound"] / "records.jsonl")]
    assert 0.15 < last.count("client") / len(last) < 0.35


def test_few_ordinary_words_are_taken_for_identities(real):
    stats = read_json(real["root"] / "unify/stats.json")
    assert stats["words"] > 500_000 and stats["over_replacement"] <= 0.005
    assert stats["identities"]["姓名"] > 100


def test_rewritten_questions_share_a_group(real):
    stats = read_json(real["root"] / "split/stats_split.json")
    student = read_json(real["root"] / "minimise/stats_min.json")
    assert stats["records"] == student["kept"] + student["gold"] > stats["groups"] and stats["joined"] > 0
    assert stats["largest"] < 0.05 * stats["records"]


def test_no_student_row_has_its_like_in_another_group(real):
    """Exact similarities, where the split step estimates them."""
    group_of = {row["id"]: row["group"] for row in read_jsonl(real["root"] / "split/groups.jsonl")}
    rows = [
        {"id": record.id, "input": sft.view(record, "client")}
        for record in read_records(real["root"] / "minimise/unified_min.jsonl")
    ]
    held_out = {group for group in set(group_of.values()) if int(group, 16) % 7 == 0}
    test = [row for row in rows if group_of[row["id"]] in held_out]
    found = leak_report([row for row in rows if group_of[row["id"]] not in held_out], test)
    assert found["rows"] > 100 and found["max"] < 0.75 and found["near"] <= 0.01 * found["rows"]


def test_the_audit_sheet_covers_every_source(real):
    with (real["root"] / "minimise/student_audit.csv").open(encoding="utf-8-sig", newline="") as sheet:
        sources = {row["source"] for row in csv.DictReader(sheet)}
    assert sources == {name for name in real["sets"] if SETS[name][2] == "train"}


@pytest.fixture
def psysuicide(real):
    """The ingested set of human labels. It may not be passed on (data/README.md), so it is never in the repository."""
    if "psysuicide" not in real["sets"]:
        pytest.skip(
            f"PsySUICIDE is not in {HELD} (MINDGAUGE_REALDATA names its folder; data/README.md says where it is had)"
        )
    return real["sets"]["psysuicide"]


def test_the_keyword_labeller_against_the_humans_of_psysuicide(real, psysuicide, scheme):
    """The figures in the docs: whoever changes the keyword rules or the mapping of the classes renews them."""
    found = report(
        scheme,
        [
            Compared(record.source, keywords.label(record.words("client")).labels, record.labels)
            for record in read_records(real["root"] / "minimise/gold.jsonl")
        ],
    )
    risk = found["sources"]["psysuicide"]["fields"]["risk_flag"]
    assert risk["confusion"] == [[1064, 3, 8, 0, 0], [98, 210, 3, 0, 0], [4, 0, 10, 0, 0], [23, 0, 0, 4, 0]]
    assert read_json(psysuicide / "stats.json")["repeated_keys"] == 0


@pytest.mark.usefixtures("psysuicide")
def test_psysuicide_is_the_human_gold_of_every_evaluation(real, bases, scheme):
    """The baselines learn from the keyword rules' labels of the real student records, and all are asked the humans' rows. A tiny
    model that was hardly trained goes the same way; its figures say nothing, that they are of these rows does."""
    made = {name: real["root"] / name for name in ("minimise", "split", "label", "labels", "sft", "baselines", "base")}
    for name in ("label", "labels", "sft", "baselines", "base"):
        made[name].mkdir()
    supervise(made, scheme)
    judged_by = {"false_alarms": 0.1, "urgent": ["suicidal", "self_harm"]}
    comparing.compare(
        made["sft"], made["labels"] / "gold_labels.jsonl", made["baselines"], **judged_by, labels=scheme.to_dict()
    )
    evaluating.evaluate(
        made["sft"],
        {"weights": bases / "tiny-qwen2", "tokenizer": bases / "tiny-qwen2"},
        made["base"],
        model="tiny-qwen2",
        variant="base",
        kind="hf",
        family="deepseek-r1",
        template=template("deepseek-r1"),
        context=512,
        max_new_tokens=16,
        batch_size=32,
        threads=1,
        **judged_by,
        labels=scheme.to_dict(),
    )
    entries = {name: made["baselines"] / name for name in ("majority", "keywords", "tfidf", "labeller")}
    found = {
        name: read_json(entry / "metrics.json")["results"]["constrained"]["gold"]
        for name, entry in {**entries, "base": made["base"]}.items()
    }
    assert len({of["rows_sha256"] for of in found.values()}) == 1
    for name, of in found.items():
        figures = of["figures"]
        assert of["reference"] == "human" and list(figures["fields"]) == ["risk_flag"], name
        assert (figures["n"], figures["any_risk"]["support"]) == (1427, 352), name
        # Of none found, or all, every resample gives the same: there is no interval.
        alike = figures["any_risk"]["hits"] in (0, 352)
        assert (figures["intervals"]["any_risk_recall"]["low"] is None) == alike, name
    # The rules and the labeller are one here, and what they say is what the test above holds.
    assert found["keywords"]["figures"]["any_risk"] == found["labeller"]["figures"]["any_risk"]
    assert found["keywords"]["figures"]["any_risk"]["hits"] == 227
    print({name: of["figures"]["any_risk"] for name, of in found.items()})
