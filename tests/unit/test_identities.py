import pytest

from mindgauge import identities, planted


@pytest.fixture(scope="module")
def measured():
    return planted.measure(lambda text: identities.replace([text]).texts[0])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("我叫周明远，电话13800000001", "我叫[姓名1]，电话[电话1]"),
        ("加我QQ：100000017，再说一遍100000017", "加我QQ：[QQ1]，再说一遍[QQ1]"),
        ("电话１３８００００００１７，", "电话[电话1]，"),
        ("发到 a.b@example.com 或 https://example.com/x?y=1", "发到 [邮箱1] 或 [网址1]"),
        ("小林，我在海宁市第三中学", "[姓名1]，我在[学校1]"),
        ("等了一小时，小组里没人", "等了一小时，小组里没人"),
        ("我考了650分，排在1200名", "我考了650分，排在1200名"),
        ("我今年十七岁，弟弟5岁，十几岁的人", "我今年[年龄15-19]，弟弟[年龄5-9]，十几岁的人"),
        ("我是高三学生，向老师请教，任何老师都行", "我是高三学生，向老师请教，任何老师都行"),
        ("2021年3月4日转学，三月份回来", "[日期1]转学，三月份回来"),
        ("王老师说李某又来了", "[姓名1]老师说[姓名2]又来了"),
    ],
)
def test_identities(text, wanted):
    assert identities.replace([text]).texts == [wanted]


def test_one_thing_has_one_placeholder_in_a_record():
    found = identities.replace(["13800000001", "第一行\n13800000002和13800000001", ""])
    assert found.texts == ["[电话1]", "第一行\n[电话2]和[电话1]", ""] and found.counts == {"电话": 3}


def test_a_name_told_once_is_replaced_everywhere():
    found = identities.replace(["我叫何晓峰。", "何晓峰这三个字我自己都不想看到。"])
    assert not any("何晓峰" in text for text in found.texts)


def test_the_planted_set_is_as_large_as_it_should_be():
    for held_out in (False, True):
        found = planted.plants(held_out=held_out)
        assert len(found) >= 500 and len({plant.kind for plant in found}) >= 10
        assert all(plant.what in plant.text for plant in found)
    assert found == planted.plants(held_out=True)


@pytest.mark.parametrize("half", ["seen", "held_out"])
def test_recall_on_planted_identities(measured, half):
    assert measured[half]["recall_numbers_and_handles"] >= 0.98
    assert measured[half]["recall_names"] >= 0.9


def test_ordinary_words_are_left_alone(measured):
    assert measured["ordinary_changed"] <= 0.005 * measured["ordinary_sentences"]


def test_the_measure_can_fail():
    blind = planted.measure(lambda text: text)
    assert blind["held_out"]["recall_all"] == 0 and blind["ordinary_changed"] == 0
    assert planted.measure(lambda text: "")["ordinary_changed"] == blind["ordinary_sentences"]
