"""Who speaks: the prefixes with which the corpora begin a turn."""

import re
from collections.abc import Iterable

from mindgauge.readers.text import Seen
from mindgauge.records import Speaker, Turn

SPEAKERS: dict[str, Speaker] = {
    **dict.fromkeys(("来访者", "求助者", "来访", "咨客", "案主", "求询者", "当事人", "患者", "用户"), "client"),
    **dict.fromkeys(("孩子", "儿子", "女儿", "学生", "同学", "男孩", "女孩", "A", "B", "甲", "乙"), "client"),
    **dict.fromkeys(
        ("心理咨询师", "咨询师", "支持者", "心理医生", "心理老师", "心理专家", "治疗师", "咨询员", "助手"), "counsellor"
    ),
    **dict.fromkeys(("妈妈", "母亲", "爸爸", "父亲", "家长", "奶奶", "爷爷", "丈夫", "妻子", "老师"), "other"),
}
# A role, perhaps numbered, perhaps with who or as whom in brackets, perhaps in bold, and a colon of either width.
PREFIX = re.compile(
    rf"^\s*(?:\*\*|【)?(?P<role>{'|'.join(sorted(SPEAKERS, key=len, reverse=True))})\s*[\dA-Z一二三]?\s*"
    r"(?:[（(][^）)\n]{1,20}[）)])?(?:\*\*|】)?\s*[：:](?:\*\*)?\s*"
)
# Notes of the set's makers, which no one in the dialogue says.
NOTE = re.compile(r"^\s*[（(]\s*(?:后续反馈|请注意|注|备注|未完待续)\s*[：:，,]")
# Roles as JSON names them.
NAMED: dict[str, Speaker] = {
    **dict.fromkeys(("user", "human", "client", "seeker", "usr", "patient"), "client"),
    **dict.fromkeys(
        ("assistant", "gpt", "counselor", "counsellor", "supporter", "bot", "sys", "therapist"), "counsellor"
    ),
}


def turns_of(lines: Iterable[str], seen: Seen) -> list[Turn]:
    """Turns of lines that begin with a role prefix; a line without one goes on with the turn before it. Lines before the
    first prefix, and notes with all below them, are left out (and counted in `seen.roles`)."""
    turns: list[Turn] = []
    noted = False
    for line in lines:
        if noted or NOTE.match(line):
            noted = True
            seen.roles["(note)"] += 1
        elif match := PREFIX.match(line):
            seen.roles[match["role"]] += 1
            turns.append(Turn(SPEAKERS[match["role"]], line[match.end() :].strip()))
        elif line.strip():
            if turns:
                turns[-1].text = f"{turns[-1].text}\n{line.strip()}".strip()
            else:
                seen.roles["(before the first role)"] += 1
    return turns
