"""Is it a student who speaks, and of themselves? Evidence from the client's own words and the set's keywords, named."""

import re
from dataclasses import dataclass

from mindgauge.records import Record

# name of the evidence -> (weight, pattern). The weights are judgements; issue 4 measures them on a labelled set.
EVIDENCE: dict[str, tuple[int, re.Pattern[str]]] = {
    "own stage": (
        3,
        re.compile(
            r"我(?:现在|今年|刚|是)?(?:一名|一个|个)?(?:在?(?:读|上))?(?:小学|初[一二三中]|高[一二三中]|大[一二三四]|大学|研[一二三]|研究生|中学|职高|中专)"
        ),
    ),
    "student": (
        3,
        re.compile(r"我(?:是|作为)(?:一名|一个|个)?[^，。\n]{0,6}(?:学生|大学生|高中生|初中生|考生|研究生)"),
    ),
    "stage": (1, re.compile(r"初[一二三中]|高[一二三中考]|大[一二三四](?:的|了|上|下|，|。)|大学|考研|研究生|中考")),
    "school": (
        1,
        re.compile(
            r"班主任|宿舍|室友|舍友|同桌|辅导员|同学|学校|期[中末]考|月考|模考|作业|课堂|上课|晚自习|挂科|专业课|导师|志愿|成绩"
        ),
    ),
    "work": (-2, re.compile(r"公司|上班|同事|领导|老板|客户|加班|辞职|跳槽|单位")),
    "marriage": (-2, re.compile(r"我(?:的)?(?:老公|老婆|丈夫|妻子|前夫|前妻)|婆婆|离婚|我们结婚|儿媳|女婿")),
    "parent": (-4, re.compile(r"我(?:的|们|家)?(?:家)?(?:儿子|女儿|孩子|小孩|大宝|二宝)")),
    "teacher": (
        -4,
        re.compile(r"我(?:的|班上的?|班里的?|带的)学生|我是(?:一名|一个)?[^，。\n]{0,6}(?:老师|教师|班主任)"),
    ),
}
KEYWORDS = re.compile(r"学业|学生|校园|考试|大学|高中|初中|Education")
THRESHOLD = 2
THEMES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("exam", re.compile(r"考试|高考|中考|考研|月考|模考|期末|成绩|分数|排名")),
    ("study", re.compile(r"学习|作业|专业|听课|上课|论文|功课|复习")),
    ("relationships", re.compile(r"室友|舍友|同学|朋友|恋爱|分手|男朋友|女朋友|喜欢|孤立|欺负")),
    ("family", re.compile(r"父母|爸爸?|妈妈?|家里|家人|爷爷|奶奶")),
    ("emotion", re.compile(r"难过|焦虑|抑郁|紧张|害怕|低落|哭|失眠|压力")),
)


@dataclass(frozen=True)
class Verdict:
    """Whether a record is a student's, its score, and the names of the evidence that counted."""

    student: bool
    score: int
    evidence: tuple[str, ...]


def judge(record: Record) -> Verdict:
    """Scores the client's words; each kind of evidence counts once."""
    words = record.words("client")
    found = [name for name, (_, pattern) in EVIDENCE.items() if pattern.search(words)]
    score = sum(EVIDENCE[name][0] for name in found)
    if any(KEYWORDS.search(word) for word in record.keywords):
        found.append("keywords")
        score += 1
    return Verdict(score >= THRESHOLD, score, tuple(found))


def theme(record: Record) -> str:
    """The theme most often touched in the client's words; `other` if none is."""
    words = record.words("client")
    counts = [(len(pattern.findall(words)), -number, name) for number, (name, pattern) in enumerate(THEMES)]
    best = max(counts)
    return best[2] if best[0] else "other"
