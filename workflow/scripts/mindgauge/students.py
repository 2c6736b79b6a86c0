"""Is it a student who speaks, and of themselves? Scored on the client's own words and the set's keywords, each piece of evidence
named; and what it is about.

The weights are judgements, measured on the cases of `student_cases` (figures in stats_min.json and the report) and looked over on
the real dialogues by the audit sheet.
"""

import re
from dataclasses import dataclass

from mindgauge.records import Record

STAGE = r"(?:小学|[一二三四五六七八九]年级|高职|初[一二三中]|高[一二三中]|大[一二三四五](?!家|人|声|点)|大学|研[一二三]|研究生|博士|本科|专科|大专|中专|职高|技校|中学|预科|高复|复读)"
# What makes a stage one of the past, or of somebody else's.
PAST = re.compile(
    r"(?:记得|以前|曾经|当年|那时|从前|小时候|回忆|当时|毕业|自从|因为在|我[儿女]|孩子|弟|妹|哥|姐|侄|表|堂|学历|文化)[^。！？\n]{0,8}$"
)
NOT_ANY_MORE = re.compile(
    r"^[^。！？，\n]{0,6}(?:的?时候|那年|那会|毕业|期间|时期|时，)|^[^。！？，\n]{0,3}(?:班主任|老师|教师|教授|辅导员|教(?!学楼|室))|^(?:女生|男生|学生)?的(?:父亲|母亲|家长|妈妈|爸爸|老师|姐|哥)"
)

# name -> (weight, pattern, how often it may count). A pattern counts once for each different text it finds.
EVIDENCE: dict[str, tuple[float, re.Pattern[str], int]] = {
    "own stage": (
        5,
        re.compile(
            rf"(?:我|本人|自己)(?:现在|今年|目前|刚刚?|才|已经|正|马上|快|是|在|上|读|念|升|就读|属于|要|一名|一位|一个|一所|个|于|[，,])*(?:\[[^\]]*\][^。！？\n]{{0,3}})?(?:普通|重点|全日制|应届|国内|住校|专科|民办)?的?(?:念|读|上)?{STAGE}"
        ),
        1,
    ),
    "stage of a student": (
        5,
        re.compile(
            rf"{STAGE}(?:的|在读|在校)?(?:学生|女生|男生|新生|考生|学子|党|狗|生(?!活))|(?:一名|一位|是个?|作为(?:一名|一个)?)(?:中|大|高中|初中|小|高三|复读)?学生(?!的?(?:家长|老师))"
        ),
        1,
    ),
    "stage at the beginning of a clause": (
        4,
        re.compile(
            r"(?:^|[，,。！？!?；;：:\n])(?:本人|目前|现在|今年|刚|已经|马上|女|男|女生|男生|[，,])*(?:在|就|上|读|念|升)*(?:初[一二三]|高[一二三]|大[一二三四五]|研[一二三]|(?:小学)?[一二三四五六七八九]年级)(?![点些家人声块步半楼层小])"
        ),
        1,
    ),
    "exam to come": (
        3,
        re.compile(
            r"(?:马上|快要?|即将|明年|今年|准备|正在|面临|还有\S{1,6}天|就要|备战|临近)[^，。！？\n]{0,6}(?:中考|高考|考研|期末|升学|小升初|四六级|会考|考试周)|(?:中考|高考|考研)(?:压力|倒计时|在即|复习|志愿|焦虑)"
        ),
        1,
    ),
    "age of a student": (
        3,
        re.compile(
            r"(?:我|本人|女|男)[^。！？\n]{0,6}\[年龄(?:10-14|15-19|20-24)\]|\[年龄(?:10-14|15-19)\]的?(?:女|男|学|高|初|大|[，,。])"
        ),
        1,
    ),
    "school every day": (
        1.5,
        re.compile(
            r"班主任|宿舍|寝室|室友|舍友|宿友|同桌|辅导员|班里|班上|全班|分班|晚自习|作业|月考|期[中末]考|模考|挂科|旷课|逃课|军训|选科|转专业|开学|背单词|刷题|文理分科|上课|课堂|听课|试?卷子?发|前桌|后桌|住校|熄灯|跑操|体测|课文|选[文理]科|打铃|课间|(?:英语|数学|语文|物理|化学|生物|历史|地理|政治|体育)(?:课|老师)"
        ),
        3,
    ),
    "school life": (
        1,
        re.compile(
            r"导师|班级|班长|校园|专业课|考试|成绩|学习压力|学不[下进]去|上学|学校|同学|社团|学生会|论文|答辩|保研|考研|高考|中考|分数|排名|休学|退学|学期|校友|年级|志愿|(?<!心理)(?<!，)(?<!好)(?<!谢)(?<!\])老师(?![，。！]|您|你)"
        ),
        4,
    ),
    "parents decide": (
        0.5,
        re.compile(
            r"(?:爸|妈|父母|爸妈|家长|妈妈|爸爸)(?:总是|老是|都|又|就|一直|不)?(?:逼|骂|要求|不让|不许|管着|让我(?:学|考|报|读)|拿我)"
        ),
        2,
    ),
    "parent": (
        -6,
        re.compile(
            r"我(?:的|们|家)?(?:家)?的?(?:大|小|个|那)?(?:儿子|女儿|孩子|小孩|娃|大宝|二宝|宝宝|闺女)(?!气)|(?:儿子|女儿|孩子|娃)(?:现在|今年|最近|上了?|才|刚|经常|总是|老是|已经|的老师|的班主任|的学习|的成绩|不(?:听|愿|想|肯|爱)|[他她]|在学校|出生|迷上|沉迷)|作为(?:一个|一名)?(?:家长|父母|妈妈|母亲|爸爸|父亲)|我是[^，。\n]{0,5}(?:家长|妈妈|母亲|爸爸|父亲)|(?:带|教育|管教|辅导)(?:孩子|儿子|女儿)|怀孕|产后|(?:我家|年级的?)孩子|(?:^|[，。！？\n])孩子(?!气|们|一样|的时候)|孩子[^，。！？\n]{0,4}年级"
        ),
        1,
    ),
    "marriage": (
        -5,
        re.compile(
            r"(?:我|俺)(?:的|和|跟|与)?(?:我)?(?:老公|老婆|丈夫|妻子|前夫|前妻|爱人|先生|媳妇|婆婆|公婆)|婆媳|我(?:想|要|已经|决定|刚|和[他她]|跟[他她]|们|也|都|才)+[^，。！？\n]{0,3}(?:离婚|结婚)|结婚(?:已经|了|\S{0,3}年)|婚后|我们结婚|相亲|催婚|闪婚|未婚夫|未婚妻|老公"
        ),
        1,
    ),
    "work": (
        -1.5,
        re.compile(
            r"公司|上班|同事|领导|老板|客户|加班|辞职|离职|跳槽|单位|工资|职场|创业|业绩|下属|入职|失业|裁员|(?:我的?|在|现在|目前的?|找|换|新|份)工作(?!日|室|坊)|工作(?:中|上|后|了|以后|压力|单位)"
        ),
        3,
    ),
    "graduated": (
        -3,
        re.compile(
            r"(?:刚|已经?|大学|本科|研究生|从\S{2,6})毕业(?!论文|设计|答辩|季|生)|毕业(?:后|以后|了(?!怎么)|\S{0,3}年|工作)"
        ),
        1,
    ),
    "teacher": (
        -8,
        re.compile(
            r"我(?:的|们?班上?的?|班里的?|带的|教的|所带)(?:一个|一名|几个)?学生|我是[^，。\n]{0,8}(?:老师|教师|班主任|辅导员|教授|校长)(?![的们])|作为(?:一名|一个)?(?:老师|教师|班主任)|带(?:完|过|了)?[一两这]届|接的班|我教[^，。\n]{0,6}(?:语文|数学|英语|年级|书|班)|家长[^，。\n]{0,3}投诉|备课|教案|评职称"
        ),
        1,
    ),
    "another's": (
        -5,
        re.compile(
            r"(?:侄[子女]|外甥女?|[表堂][弟妹哥姐]|我?[弟妹]{1,2}|朋友的?(?:女儿|儿子|孩子)|[女男]朋友|邻居家?的?孩子)[^，。！？\n]{0,8}(?:[上读念]|今年|高考|中考)[^，。！？\n]{0,4}(?:学|考|[初高大研][一二三四])"
        ),
        1,
    ),
    "school days long ago": (
        -3,
        re.compile(
            r"(?:那年|当年|这么多年|多年以后|三十多|四十多|奔三|奔四|年过)|(?:想起|回想|记得|梦[见到]|从)[^，。！？\n]{0,4}(?:初中|高中|小学|大学|高考)|(?:初中|高中|小学|大学|上学|读书)的?(?:时候|那会|那年|时代)"
        ),
        1,
    ),
    "age of an adult": (-4, re.compile(r"(?:我|本人|女|男)[^。！？\n]{0,6}\[年龄(?:2[5-9]|[3-9]\d)-"), 1),
}
STAGES = ("own stage", "stage of a student", "stage at the beginning of a clause")
# Work beside one's studies.
BESIDE = re.compile(r"实习|兼职|打工|寒假|暑假|校招|秋招|春招")
KEYWORDS = re.compile(r"学业|学生|校园|考试|大学|高中|初中|学习|Education|升学|高考|考研")
ADULT_KEYWORDS = re.compile(r"职场|婚姻|婚恋|亲子|婆媳|育儿|Career|Marriage")
THEMES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("exam", re.compile(r"考试|高考|中考|考研|月考|模考|期末|期中|分数|排名|挂科|四六级|考砸|考不")),
    ("study", re.compile(r"学习|作业|专业|听课|上课|论文|功课|复习|成绩|读书|学业|休学|退学|志愿")),
    (
        "peers",
        re.compile(
            r"室友|舍友|宿舍|寝室|同学|同桌|朋友|恋爱|分手|男朋友|女朋友|男友|女友|喜欢(?:上|的人|他|她)|暗恋|孤立|欺负|霸凌|闺蜜|社交|人际|对象"
        ),
    ),
    ("family", re.compile(r"父母|爸|妈|家里|家人|爷爷|奶奶|姥|外婆|外公|弟弟|妹妹|哥哥|姐姐|父亲|母亲|原生家庭")),
    ("emotion", re.compile(r"难过|焦虑|抑郁|紧张|害怕|低落|哭|失眠|压力|自卑|烦躁|崩溃|孤独|绝望|痛苦|内疚|恐惧|情绪")),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score, and the names of the evidence that counted, with how much."""

    score: float
    evidence: tuple[str, ...]


def _found(name: str, pattern: re.Pattern[str], words: str) -> int:
    """In how many different texts a pattern is found; a stage of the past, or of another person, is none."""
    found = set()
    for match in pattern.finditer(words):
        if name in STAGES and (
            PAST.search(words, max(0, match.start() - 14), match.start())
            or NOT_ANY_MORE.match(words[match.end() : match.end() + 10])
        ):
            continue
        found.add(match[0])
    return len(found)


def judge(record: Record) -> Verdict:
    """Scores the client's words. The strongest kind of stage counts, not all three."""
    words = record.words("client")
    parts: dict[str, float] = {}
    for name, (weight, pattern, most) in EVIDENCE.items():
        if count := min(most, _found(name, pattern, words)):
            parts[name] = weight * count
    held = [name for name in STAGES if name in parts]
    for name in held[1:]:
        del parts[name]
    if held:
        for name in ("another's", "school days long ago"):
            parts.pop(name, None)
    if held and "work" in parts and BESIDE.search(words):
        parts["work"] = -0.5
    topics = " ".join(record.keywords)
    if KEYWORDS.search(topics):
        parts["keywords"] = 2
    if ADULT_KEYWORDS.search(topics):
        parts["keywords of adults"] = -2
    return Verdict(sum(parts.values()), tuple(f"{name} {value:+g}" for name, value in parts.items()))


def themes(record: Record) -> list[str]:
    """The themes touched in the client's words, the most frequent first; `other` if there is none."""
    words = record.words("client")
    counts = [(len(pattern.findall(words)), -number, name) for number, (name, pattern) in enumerate(THEMES)]
    return [name for count, _, name in sorted(counts, reverse=True) if count] or ["other"]
