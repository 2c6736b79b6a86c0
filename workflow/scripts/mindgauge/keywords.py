"""The keyword labeller: rules over the client's words, negation- and figurative-aware, that say which of them fired.

It is the embedded default, so that the chain runs without a labelling model, and one of the plain baselines. It labels the
default scheme only. Its phrases follow the anchors of config/labels.yaml.
"""

import re
from dataclasses import dataclass

from mindgauge.errors import UserError
from mindgauge.labels import Scheme, Value

NAMES = ("depression_level", "anxiety_level", "risk_flag", "student_distress_score")

# Said of anything but oneself or one's death: taken out before any rule looks.
FIGURATIVE = re.compile(
    r"(?:累|困|笑|气|烦|急|饿|热|冷|忙|尴尬|无聊|吵|羡慕|丢人|难吃|后悔|爱)死(?:了|人|我|你|他|她|个人)?|想死(?:你|他|她|大家|我妈|老家)们?(?:了|啦)|要死要活|死党|死板|死记硬背|死磕|拼死拼活|打死(?:我)?(?:也|都)不|该死|往死里学"
)
NEGATED = re.compile(
    r"(?:没有?|不会|不想|不曾|从没|从来没有?|从未|绝不会?|并没有?|不至于|谈不上)(?:真的|过|要|去|想过?|什么|任何|到)*[^，。！？\n]{0,4}$|不$"
)
OTHERS = re.compile(
    r"(?:同学|朋友|室友|别人|新闻里|网上|电视里|他|她|有人)(?:说|想|曾经|有过|以前)?[^，。！？\n]{0,4}$"
)

LEVELS: dict[str, dict[int, str]] = {
    "depression_level": {
        1: r"有点低落|情绪不太好|偶尔难过|提不起劲|兴趣少了|有些失落|闷闷不乐|心情不好|难过",
        2: r"每天都很低落|一直很低落|经常哭|整夜睡不着|吃不下饭|什么都不想做|做什么都没意思|觉得自己没用|抑郁|自我怀疑",
        3: r"绝望|一无是处|起不了床|下不了床|活着没有?意义|没有活下去的动力|整个人垮了|恨自己",
    },
    "anxiety_level": {
        1: r"有点担心|有点紧张|有些不安|担心",
        2: r"总是紧张|一直很焦虑|焦虑|心里发慌|静不下心|睡前反复想|停不下来地想",
        3: r"惊恐|喘不上气|浑身发抖|手抖得|心跳得快要|怕得不敢去|不敢进教室|胸口发闷",
    },
}
RISKS: dict[str, str] = {
    "suicidal": r"不想活|想死|自杀|轻生|结束(?:自己的)?生命|从楼上跳|跳下去|离开这个世界|写好了遗书|攒了.{0,4}药",
    "self_harm": r"割(?:自己的?)?(?:手腕|手臂|胳膊|腿)|划(?:自己的?)?(?:手臂|胳膊|手腕)|自残|自伤|伤害自己|用头撞墙|掐自己|烫自己",
    "violence": r"想(?:打|揍|捅|杀)(?:他|她|人|死他|了他)|打了?(?:他|她|人)一顿|动手打|报复他|带(?:了)?刀|拿(?:着)?刀.{0,4}(?:他|她|人)|砸(?:他|她)的头",
}
BURDENS: dict[str, str] = {
    "exams": r"考试|成绩|高考|中考|考研|挂科|排名|月考|期末",
    "peers": r"室友|舍友|同桌|孤立|嘲笑|排挤|分手|没有朋友",
    "family": r"父母(?:吵|总|要|逼|不)|家里(?:吵|没钱|出)|爸妈(?:吵|总|要|逼|不)|离异|打骂",
    "body": r"头疼|胃疼|失眠|睡不着|吃不下|没力气",
}


@dataclass(frozen=True)
class Labelled:
    """The labels of a text, and for each the names of the rules that fired (never the text)."""

    labels: dict[str, Value]
    evidence: dict[str, list[str]]


def check(scheme: Scheme) -> None:
    """Raises UserError if the scheme is not the default one, which the rules are written for."""
    if scheme.names != NAMES:
        raise UserError(
            "the keyword labeller knows the default labels only",
            where="config: label.backend",
            instead="llama-cpp or file, for another scheme",
        )


def _fires(pattern: str, text: str, *, own: bool = False) -> bool:
    """Does a phrase stand in the text un-negated (and, with `own`, not said of others)?"""
    for match in re.finditer(pattern, text):
        before = text[max(0, match.start() - 12) : match.start()]
        if NEGATED.search(before) or (own and OTHERS.search(before)):
            continue
        return True
    return False


def label(text: str) -> Labelled:
    """The four labels of what a client says.

    The distress score is the sum of both levels and the burdens touched (at most 2), and 3 more at any risk; at most 9.
    Order when several risks hold: suicidal, self_harm, violence.
    """
    plain = FIGURATIVE.sub("〇", text)
    labels: dict[str, Value] = {}
    evidence: dict[str, list[str]] = {}
    for name, levels in LEVELS.items():
        fired = [level for level, pattern in levels.items() if _fires(pattern, plain)]
        labels[name] = max(fired, default=0)
        evidence[name] = [f"level {level}" for level in fired]
    risks = [risk for risk, pattern in RISKS.items() if _fires(pattern, plain, own=True)]
    labels["risk_flag"] = risks[0] if risks else "none"
    evidence["risk_flag"] = risks
    burdens = [name for name, pattern in BURDENS.items() if _fires(pattern, plain)]
    score = int(labels["depression_level"]) + int(labels["anxiety_level"]) + min(2, len(burdens)) + (3 if risks else 0)
    labels["student_distress_score"] = min(9, score)
    evidence["student_distress_score"] = burdens
    return Labelled(labels, evidence)
