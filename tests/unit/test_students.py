import pytest

from mindgauge import student_cases
from mindgauge.records import Record, Turn
from mindgauge.students import judge, themes

THRESHOLD = 2.5


def said(*texts, keywords=()):
    return Record("s", "k", "dialogue", [Turn("client", text) for text in texts], keywords=list(keywords))


@pytest.mark.parametrize(
    ("text", "student"),
    [
        ("我现在读高三，月考没考好。", True),
        ("大四，论文没写完，怎么办？", True),
        ("我女儿上初三，成绩掉得厉害。", False),
        ("我是一位高二女生的父亲，她不肯上学。", False),
        ("我是初中班主任，学生不交作业。", False),
        ("我在公司上班，领导总是骂我。", False),
        ("我大三，在公司实习，领导天天让我加班。", True),
        ("记得高一那年被同学笑过，现在上班了还会梦到。", False),
    ],
)
def test_who_speaks(text, student):
    assert (judge(said(text)).score >= THRESHOLD) is student, judge(said(text))


def test_the_evidence_is_named_with_its_weight():
    assert judge(said("我女儿上初三。")).evidence[0] == "parent -6"
    assert "keywords +2" in judge(said("不想说话", keywords=["学业"])).evidence


def test_only_the_clients_words_count():
    record = Record("s", "k", "dialogue", [Turn("client", "我很累。"), Turn("counsellor", "你是一名高三的学生吗？")])
    assert judge(record).score == 0


def test_the_filter_on_made_up_cases():
    found = student_cases.measure(THRESHOLD)
    for half in ("seen", "held_out"):
        assert found[half]["cases"] >= 200
        assert found[half]["precision"] >= 0.95 and found[half]["recall"] >= 0.75


def test_the_measure_can_fail():
    assert student_cases.measure(-99)["held_out"]["precision"] < 0.5
    assert student_cases.measure(99)["held_out"]["recall"] == 0


def test_themes_stand_in_the_order_of_their_weight():
    assert themes(said("考试考试，室友")) == ["exam", "peers"] and themes(said("嗯")) == ["other"]
