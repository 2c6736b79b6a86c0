"""The driver of the labellers: every record is asked once and answered once, whatever happens meanwhile."""

import hashlib

import pytest
from conftest import ROOT

from mindgauge import labellers, labelling, labels, repro, sft
from mindgauge.backends import BACKENDS
from mindgauge.config import Backend, Settings, overlaid
from mindgauge.errors import UserError
from mindgauge.files import read_json, read_jsonl, write_json, write_jsonl
from mindgauge.labellers import label_file
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labellers.journal import Journal
from mindgauge.minimising import Buckets, Minimised, asked
from mindgauge.records import Record, Turn, write_records

LABELS = {"depression_level": 0, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 0}
TEXTS = ["每天都很低落", "喘不上气，月考没考好", "有点低落", "我真的不想活了", "  "]


@pytest.fixture
def entry(tmp_path):
    """Student and gold records, as minimise leaves them."""
    records = [
        Record("s", str(number), "qa", [Turn("client", text)], id=f"{number * 64:02x}{number:014x}")
        for number, text in enumerate(TEXTS[:4])
    ]
    empty = Record("g", "e", "qa", [Turn("client", TEXTS[4])], id="ff" + "0" * 14)
    write_records(tmp_path / "unified_min.jsonl", records)
    write_records(tmp_path / "gold.jsonl", [empty])
    return tmp_path


def label(entry, out, answers, scheme, buckets=("00", "40", "80", "c0", "ff"), **options):
    out.mkdir(exist_ok=True)
    labellers.label(
        {"minimise": entry, **options.pop("inputs", {})},
        out,
        answers,
        backend=options.pop("backend", "keywords"),
        labels=scheme.to_dict(),
        buckets=list(buckets),
        options=options,
        pace={},
    )
    return {row["id"]: row for row in read_jsonl(out / "labels.jsonl")}


def test_every_record_has_one_answer_and_an_empty_one_a_fault(entry, tmp_path, scheme):
    found = label(entry, tmp_path / "out", None, scheme)
    assert len(found) == 5 and found["c0" + "0" * 13 + "3"]["labels"]["risk_flag"] == "suicidal"
    empty = found["ff" + "0" * 14]
    assert empty["labels"] is None and empty["fault"] == labellers.EMPTY
    assert read_json(tmp_path / "out/log.json")["failed"] == {labellers.EMPTY: 1}


def test_shards_hold_every_record_once(entry, tmp_path, scheme):
    shards = [
        label(entry, tmp_path / str(n), None, scheme, buckets)
        for n, buckets in enumerate((("00", "80"), ("40", "c0", "ff")))
    ]
    assert len(shards[0]) == 2 and len(shards[1]) == 3 and not shards[0].keys() & shards[1].keys()


def test_what_was_answered_is_not_asked_again(entry, tmp_path, scheme):
    answers = tmp_path / "answers"
    answers.mkdir()
    first = label(entry, tmp_path / "one", answers, scheme, ("00", "40"))
    # a kill cut the last line off
    (held,) = answers.iterdir()
    held.write_text(held.read_text() + '{"asked": "00", "id": "80')
    second = label(entry, tmp_path / "two", answers, scheme)
    assert read_json(tmp_path / "two/log.json")["known"] == 2 and second.items() >= first.items()
    third = label(entry, tmp_path / "three", answers, scheme)
    assert third == second and read_json(tmp_path / "three/log.json")["known"] == 4
    assert len(list(answers.iterdir())) == 2  # the third run had nothing to add


def test_the_journal_knows_an_answer_by_record_and_words(tmp_path):
    with Journal(tmp_path) as journal:
        journal.add(Asked("a", "甲"), Answer("a", dict(LABELS), {"risk_flag": {"none": 1.0}}))
        journal.add(Asked("b", "乙"), Answer("b", None, None, fault="cut off"))
    again = Journal(tmp_path)
    assert again.get(Asked("a", "甲")) == Answer("a", dict(LABELS), {"risk_flag": {"none": 1.0}})
    assert again.get(Asked("a", "甲甲")) is None and again.get(Asked("b", "乙")) is None
    assert "甲" not in next(tmp_path.iterdir()).read_text()


def test_one_more_record_changes_one_bucket():
    def content(*names):
        buckets = Buckets()
        for name in names:
            record = Record("s", "k", "qa", [Turn("client", "甲")], id=name)
            buckets.add(Minimised("s", name, asked=asked(record)))
        return buckets.to_dict()

    one, two, three = "00" + "a" * 14, "00" + "b" * 14, "c1" + "0" * 14
    before, after = content(one, three), content(three, one, two)
    assert before["c1"] == after["c1"] and before["00"] != after["00"] and content(one, two) == content(two, one)


def test_a_label_file_is_joined_by_id_or_by_words(tmp_path, scheme):
    rows = [{"id": "a", **LABELS}, {"text": "乙，乙。", "labels": {**LABELS, "anxiety_level": 2}}]
    write_jsonl(tmp_path / "l.jsonl", rows)
    found = list(
        label_file.label([Asked("a", "甲"), Asked("b", "乙乙"), Asked("c", "丙")], scheme, tmp_path / "l.jsonl")
    )
    assert [of.labels and of.labels["anxiety_level"] for of in found] == [0, 2, None]
    assert found[2].fault == label_file.MISSING


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "a", **LABELS}, {"id": "a", **LABELS, "anxiety_level": 1}], "l.jsonl:2"),
        ([{"id": "a", **LABELS, "anxiety_level": 4}], "anxiety_level is not one of"),
        ([{"id": "a", "anxiety_level": 1}], "depression_level is missing"),
        ([LABELS], "neither id nor text"),
    ],
)
def test_a_wrong_label_file_is_told_by_line(tmp_path, scheme, rows, said):
    write_jsonl(tmp_path / "l.jsonl", rows)
    with pytest.raises(UserError, match=said):
        list(label_file.label([Asked("a", "甲")], scheme, tmp_path / "l.jsonl"))


# The configuration of labellers


def settings(in_root, **label):
    return Settings({**overlaid([ROOT / "config/demo.yaml"]), "label": label})


def test_voters_take_what_the_label_section_says(in_root):
    found = settings(
        in_root, backend="openai", url="http://h/v1", model="m", voters=[{}, {"model": "n"}, {"backend": "keywords"}]
    )
    assert list(found.voters) == ["0-openai", "1-openai", "2-keywords"]
    assert found.voters["1-openai"].model == "n" and found.voters["1-openai"].url == "http://h/v1"
    assert set(BACKENDS) == set(Backend.__args__)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"backend": "llama-cpp"}, "needs model"),
        ({"backend": "openai", "model": "m"}, "needs url"),
        ({"voters": [{}, {}]}, "two voters are the same"),
        ({"voters": [{"backnd": "file"}]}, "unknown key 'backnd'"),
        ({"voters": [{"prompt": "no/such.txt"}], "backend": "file", "file": "x"}, "prompt does not exist"),
    ],
)
def test_a_wrong_labeller_is_told(in_root, label, said):
    with pytest.raises(UserError, match=said) as error:
        found = settings(in_root, **label)
        found.instruction_of(next(iter(found.voters)))
    assert "label" in str(error.value)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("depression_level 0-3", "no {{ keys }}"),
        ("{{ keys }} depression_level（0-4）", "depression_level to be 0-4"),
        ("{{ keys }} student_distress_score: 1到10", "student_distress_score to be 1-10"),
        ("{{ keys }} risk_flag（none|suicidal|high）", "risk_flag to be high"),
    ],
)
def test_a_prompt_against_the_scheme_is_refused(scheme, prompt, said):
    with pytest.raises(UserError) as error:
        scheme.instruction(prompt, "p.txt")
    assert said in str(error.value) and "p.txt" in str(error.value)


def test_the_projects_prompts_fit_the_scheme(scheme):
    for path in (ROOT / "config/prompts").glob("*.txt"):
        assert all(name in scheme.instruction(path.read_text(encoding="utf-8")) for name in scheme.names)
    assert isinstance(scheme, labels.Scheme)


# Several voters become one set of labels


def answers(directory, rows):
    """The entry of a shard."""
    directory.mkdir()
    write_jsonl(
        directory / "labels.jsonl",
        (Answer(name, labels, probabilities).to_dict() for name, labels, probabilities in rows),
    )
    write_json(directory / "log.json", {"records": len(rows)})
    return directory


@pytest.fixture
def merged(tmp_path, scheme):
    """Three voters over three student records and a gold one: a clear case, a doubtful one, one without an answer."""
    names = [f"{number:016x}" for number in range(4)]
    records = [Record("s", name, "qa", [Turn("client", f"第{name[-1]}段话")], id=name) for name in names]
    gold = Record(
        "g", "g", "qa", [Turn("client", "另一段话")], id=names[3], role="gold", labels={"risk_flag": "suicidal"}
    )
    write_records(tmp_path / "unified_min.jsonl", records[:3])
    write_records(tmp_path / "gold.jsonl", [gold])
    alarmed = {**LABELS, "risk_flag": "suicidal", "depression_level": 3}
    given = [(LABELS, LABELS, None, alarmed), (LABELS, alarmed, None, LABELS), (LABELS, LABELS, None, alarmed)]
    shards = {
        f"{n}-file": [
            answers(tmp_path / f"voter{n}", [(name, labels, None) for name, labels in zip(names, of, strict=True)])
        ]
        for n, of in enumerate(given)
    }
    out = tmp_path / "out"
    out.mkdir()
    voters = {name: {"backend": "file", "instruction": None, "file": "l.jsonl", "sha256": name} for name in shards}
    options = {"vote": "majority", "min_confidence": 0.8, "audit_per_class": 2, "labels": scheme.to_dict()}
    labelling.merge(tmp_path, shards, out, voters=voters, **options)
    return out, names, shards, (tmp_path, voters, options)


def test_votes_become_labels_with_a_confidence(merged):
    out, names, _, _ = merged
    clear, doubtful = read_jsonl(out / "dataset.jsonl")
    assert (clear["id"], clear["confidence"], clear["labeller"]) == (names[0], 1.0, "3 voters")
    assert doubtful["labels"] == LABELS and doubtful["confidences"]["risk_flag"] == pytest.approx(2 / 3, abs=1e-6)
    stats = read_json(out / "stats.json")
    assert (stats["records"], stats["labelled"], stats["without_a_label"], stats["doubtful"]) == (3, 2, 1, 1)
    assert stats["agreement"]["voters"] == 3 and stats["agreement"]["fields"]["risk_flag"]["agreed"] == 1
    assert stats["by_source"]["s"]["risk_flag"] == {"none": 2}
    assert all(of["sha256"] == name and of["prompt_sha256"] is None for name, of in stats["voters"].items())


def test_a_voters_instruction_is_told_by_its_hash():
    told = labelling._told({"backend": "llama-cpp", "instruction": "读学生的话。"})
    assert told == {"backend": "llama-cpp", "prompt_sha256": hashlib.sha256("读学生的话。".encode()).hexdigest()}


def test_what_is_doubtful_or_missing_is_told_and_shows_no_text(merged):
    out, names, _, _ = merged
    sheet = (out / "needs_review.csv").read_text(encoding="utf-8-sig")
    assert sheet.index(names[2]) < sheet.index(names[1]) and names[0] not in sheet and "段话" not in sheet


def test_the_labeller_is_held_against_gold(merged):
    found = read_json(merged[0] / "gold.json")
    assert found["n"] == 1 and found["any_risk"]["recall"] == 1.0 and list(found["fields"]) == ["risk_flag"]


def test_the_repro_package_can_be_checked_and_repeated(merged, tmp_path):
    out, names, _, (data, _, _) = merged
    package = out / "repro_package"
    held = {row["voter"]: row for row in read_jsonl(package / "labels.jsonl") if row["id"] == names[0]}
    assert set(held) == {"0-file", "1-file", "2-file"} and "段话" not in "".join(
        p.read_text() for p in package.rglob("*.*")
    )
    # Labels as the voters gave them, but for one of the second voter.
    files = {}
    for number, name in enumerate(held):
        files[name] = tmp_path / f"{number}.jsonl"
        rows = [
            {"id": row["id"], **row["labels"]}
            for row in read_jsonl(package / "labels.jsonl")
            if row["voter"] == name and row["labels"]
        ]
        if number == 1:
            rows[0]["anxiety_level"] = 3
        write_jsonl(files[name], rows)
    found = repro.relabel(package, data, files, {}, 50)
    assert found["0-file"] == {"asked": 4, "same": 4, "differ": []} and found["1-file"]["differ"] == [names[0]]
    (package / "config.json").write_text("{}")
    with pytest.raises(UserError, match="the package was changed"):
        repro.relabel(package, data, files, {}, 50)


def test_a_lost_or_doubled_answer_stops_the_merge(merged, tmp_path):
    _, names, shards, (data, voters, options) = merged
    doubled = {**shards, "1-file": shards["1-file"] * 2}
    with pytest.raises(UserError, match=f"{names[0]} is labelled twice"):
        labelling.merge(data, doubled, tmp_path / "x", voters=voters, **options)
    lost = {**shards, "1-file": [answers(tmp_path / "lost", [(names[0], LABELS, None)])]}
    with pytest.raises(UserError, match="3 records have no answer"):
        labelling.merge(data, lost, tmp_path / "x", voters=voters, **options)


def test_labels_for_none_is_one_clear_error(merged, tmp_path):
    _, names, shards, (data, voters, options) = merged
    none = {name: [answers(tmp_path / name, [(of, None, None) for of in names])] for name in shards}
    with pytest.raises(UserError, match="none of 3 records has a label"):
        labelling.merge(data, none, tmp_path / "x", voters=voters, **options)


def test_rows_of_risk_stand_more_often_in_train_alone(scheme):
    rows = [{"output": '{"risk_flag": "none"}'}, {"output": '{"risk_flag": "self_harm"}'}]
    assert sft.oversampled(rows, scheme["risk_flag"], 3) == [rows[0], *[rows[1]] * 3]
    assert sft.oversampled(rows, None, 3) == sft.oversampled(rows, scheme["risk_flag"], 1) == rows
