import random

import numpy as np
import pytest

from mindgauge import dealing, leaks, sft, splitting
from mindgauge.records import Record, Turn
from mindgauge.shingles import shingles

LONG = "这学期开始以后我每天都睡不好，白天上课总是走神，回到宿舍也不想跟人说话，周末也不想出门。"
STORY = "上个月室友把我写给别人的信拍下来发到班级群里还配了一句嘲笑的话"


def records(*of, source="s"):
    return [
        Record(
            source if isinstance(source, str) else source[number],
            str(number),
            "qa",
            [Turn("client", text)],
            question=question,
            id=f"{number:016x}",
        )
        for number, (text, question) in enumerate(of)
    ]


def groups(*of, **options):
    return splitting.group(records(*of, **options), 0.7, 128)[1]


def test_near_duplicates_and_one_question_share_a_group():
    found = groups(
        (LONG, None),
        (LONG + "怎么办", None),
        ("完全不同的一段话，讲的是社团里排练合唱的事情。", "同一个问题写在这里给大家看"),
        ("又一段别的话，说图书馆座位和食堂新菜。", "同一个问题写在这里给大家看"),
        ("嗯", None),
    )
    assert found[0] == found[1] and found[2] == found[3] and len(set(found)) == 3


def test_a_question_retold_as_a_dialogue_in_another_set_shares_its_group():
    question = "被室友在群里嘲笑以后不敢回宿舍怎么办"
    retold = f"{question}？我真的很难受。"
    told_later = f"我最近不太好。{STORY}。你能帮我吗？"
    found = splitting.group(
        [
            *records((f"{question}\n{STORY}，我不知道怎么面对。{STORY}。", question), source="psyqa"),
            Record("smile", "a", "dialogue", [Turn("client", retold)], id="a" * 16),
            Record("smile", "b", "dialogue", [Turn("client", told_later)], id="b" * 16),
            Record(
                "smile",
                "c",
                "dialogue",
                [Turn("client", "谢谢你的建议我会试着去做希望能够慢慢好起来吧。")],
                id="c" * 16,
            ),
            Record(
                "smile",
                "d",
                "dialogue",
                [Turn("client", made_up(random.Random(4)) + "。谢谢你的建议我会试着去做希望能够慢慢好起来吧。")],
                id="d" * 16,
            ),
        ],
        0.7,
        128,
    )
    assert found[1][0] == found[1][1] == found[1][2] and found[1][3] != found[1][0]
    assert found[1][3] != found[1][4]


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_minhash_finds_what_is_alike_and_nothing_else(threshold):
    """Against exact Jaccard similarities of made-up shingle sets."""
    rng = random.Random(1)
    words = ["".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(300)) for _ in range(40)]
    texts = words + [
        text[: int(300 * share)] + other
        for text, share, other in zip(words, [0.97] * 40, words[1:] + words[:1], strict=True)
        for other in (other[: int(300 * (1 - share))],)
    ]
    pairs = {tuple(pair) for pair in splitting.alike(splitting.signatures_of(texts, 128), threshold).tolist()}

    def jaccard(one, other):
        a, b = shingles(texts[one]), shingles(texts[other])
        both = len(np.intersect1d(a, b))
        return both / (len(a) + len(b) - both)

    surely = {(n, n + 40) for n in range(40) if jaccard(n, n + 40) > threshold + 0.1}
    assert surely <= pairs and all(jaccard(*pair) > threshold - 0.15 for pair in pairs)


def made_up(rng, length=160):
    return "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(length))


@pytest.mark.parametrize(
    ("owners", "groups_left"), [(2, 1), (splitting.COMMON, 1), (splitting.COMMON + 1, splitting.COMMON + 1)]
)
def test_a_sentence_joins_and_a_phrase_of_many_records_does_not(owners, groups_left):
    rng = random.Random(3)
    texts = [(f"{made_up(rng)}。{STORY}。{made_up(rng)}", None) for _ in range(owners)]
    assert len(set(groups(*texts))) == groups_left


def strata(count, risk="none", source="s", start=0):
    return {f"{number:016x}": dealing.Stratum(risk, source) for number in range(start, start + count)}


RULES = {"val": 0.05, "test": 0.1, "seed": 7, "safe": "none", "min_per_class": 10}


def test_every_source_and_risk_gets_its_share():
    given = strata(1000) | strata(500, source="t", start=1000) | strata(60, risk="suicidal", start=2000)
    found = dealing.deal(given, **RULES)
    assert found.keys() == given.keys()

    def count(split, stratum):
        return sum(found[group] == split for group, of in given.items() if of == stratum)

    assert count("test", dealing.Stratum("none", "s")) == 100 and count("test", dealing.Stratum("none", "t")) == 50
    assert count("test", dealing.Stratum("suicidal", "s")) == 10 and count("val", dealing.Stratum("suicidal", "s")) == 3


def test_rare_classes_keep_half_for_training():
    found = list(dealing.deal(strata(7, risk="violence"), **RULES).values())
    assert found.count("test") == 3 and found.count("train") == 4


def test_added_groups_move_few_of_the_old():
    old, new = strata(1000), strata(1100)
    before, after = dealing.deal(old, **RULES), dealing.deal(new, **RULES)
    assert sum(before[group] != after[group] for group in old) <= 30
    assert dealing.deal(dict(reversed(old.items())), **RULES) == before


def test_the_leak_report_finds_a_planted_copy():
    rng = random.Random(2)
    rows = [
        {"id": f"{number:016x}", "input": "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(120))}
        for number in range(200)
    ]
    train, test = rows[:150], rows[150:]
    clean = leaks.leak_report(train, test)
    assert clean["rows"] == 50 and clean["max"] < 0.05 and clean["near"] == 0
    copied = {"id": "f" * 16, "input": train[77]["input"] + "改"}
    found = leaks.leak_report(train, [*test, copied])
    assert found["near"] == 1 and found["nearest"][0]["id"] == "f" * 16
    assert found["nearest"][0]["train"] == train[77]["id"] and found["max"] > 0.95


def test_few_cases_in_test_are_said(scheme):
    fields = {name: {"risk_flag": {"none": 90, "suicidal": 12 if name == "test" else 40}} for name in sft.SPLITS}
    counts = {name: {"fields": fields[name]} for name in sft.SPLITS}
    said = sft.few_in_test(counts, scheme["risk_flag"], 10)
    assert len(said) == 2 and said[0].startswith("risk_flag self_harm: 0 of 0 rows")


def test_moved_records_are_told(tmp_path):
    from mindgauge.files import write_jsonl

    write_jsonl(tmp_path / "train.jsonl", [{"id": "a"}, {"id": "b"}])
    write_jsonl(tmp_path / "test.jsonl", [{"id": "c"}])
    rows = {"train": [{"id": "a"}, {"id": "new"}], "val": [], "test": [{"id": "b"}]}
    assert sft.moved_since(tmp_path, rows).startswith("1 of 2 records")
    assert sft.moved_since(tmp_path / "none", rows) == ""
