"""Who speaks: the prefixes with which the corpora begin a turn."""

import re
from collections.abc import Iterable

from mindgauge.records import Speaker, Turn

CLIENT = ("来访者", "求助者", "来访", "咨客", "妈妈", "母亲", "爸爸", "父亲", "孩子", "A", "B", "用户", "学生")
COUNSELLOR = ("心理咨询师", "咨询师", "支持者", "心理医生", "心理老师", "治疗师", "助手")
# A role, perhaps numbered, perhaps with who or as whom in brackets, and a colon of either width.
PREFIX = re.compile(
    rf"^\s*(?P<role>{'|'.join(sorted(CLIENT + COUNSELLOR, key=len, reverse=True))})\s*\d?\s*(?:[（(][^）)\n]{{1,20}}[）)])?\s*[：:]\s*"
)
# Notes of the set's makers, which no one in the dialogue says.
NOTE = re.compile(r"^\s*[（(]\s*(?:后续反馈|请注意|注|备注|未完待续)\s*[：:，,]")


def speaker(name: str) -> Speaker:
    """The side a role's name stands for."""
    return "counsellor" if name in COUNSELLOR else "client"


def turns_of(lines: Iterable[str]) -> list[Turn]:
    """Turns of lines that begin with a role prefix; a line without one goes on with the turn before it. Lines before the
    first prefix, and notes with all below them, are left out."""
    turns: list[Turn] = []
    for line in lines:
        if NOTE.match(line):
            break
        if match := PREFIX.match(line):
            turns.append(Turn(speaker(match["role"]), line[match.end() :].strip()))
        elif turns and line.strip():
            turns[-1].text = f"{turns[-1].text}\n{line.strip()}".strip()
    return turns
