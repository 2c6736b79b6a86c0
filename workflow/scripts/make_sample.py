"""Writes data/sample: synthetic records in the corpora's on-disk formats, from templates of our own and a seed.

No sentence comes from any corpus. Who speaks (student, parent, adult), how heavy it is and which risk there is are drawn
first, the words after them; names and numbers in it are made up.
"""

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

from mindgauge.files import write_jsonl, write_text

SEED = 20261124
DIALOGUES, EVALUATION, QUESTIONS, GOLD = 260, 90, 250, 60

STAGES = [
    "我是一名高二的学生",
    "我现在读高三",
    "我今年上大一",
    "我是大二的学生",
    "我在读初三",
    "我是一名大学生，读大三",
    "我现在上高一",
    "我是研一的研究生",
    "我今年读初二",
    "我是一名高中生",
]
PLACES = ["住校", "走读", "刚转学过来", "在外地念书", "每周回一次家", "换了新的班级", "在县里念书", "跟外婆住"]
OPENERS = [
    "最近想找人聊聊。",
    "不知道从哪里说起。",
    "这件事憋在心里很久了。",
    "第一次来这里，有些不好意思。",
    "犹豫了好几天才来。",
    "不太会表达，您别介意。",
    "谢谢您愿意听我讲。",
    "想把这学期的事说一说。",
]
DEPRESSION = {
    0: ["平时过得还算平稳。", "吃得好睡得也好。", "周末照样打球。", "跟平常一样该笑就笑。", "日子过得挺踏实。"],
    1: [
        "这阵子有点低落。",
        "做题的时候提不起劲。",
        "回到家总是闷闷不乐。",
        "从上周开始心情不好。",
        "看到空座位有些失落。",
        "偶尔难过一下，过两天又好。",
    ],
    2: [
        "一个多月了，每天都很低落。",
        "晚上经常哭，第二天眼睛是肿的。",
        "什么都不想做，连画画也放下了。",
        "吃不下饭，瘦了好几斤。",
        "老觉得自己没用。",
        "近来一直很低落，谁叫也不想出门。",
    ],
    3: [
        "我对以后只剩绝望。",
        "早上根本起不了床，课也不去了。",
        "觉得自己一无是处，拖累所有人。",
        "整个人垮了，连洗脸的力气都没有。",
        "我恨自己，恨得说不出话。",
        "躺了半个月，下不了床。",
    ],
}
ANXIETY = {
    0: ["上台发言也不怵。", "遇事还算沉得住气。", "夜里一觉到天亮。", "对接下来的安排心里有数。", "跟老师说话很自然。"],
    1: [
        "对下个月的安排有点担心。",
        "轮到我发言会有点紧张。",
        "换了环境，有些不安。",
        "担心自己跟不上进度。",
        "交表的时候有点紧张，过后就好。",
    ],
    2: [
        "这几周总是紧张，书看不进去。",
        "一直很焦虑，坐下来就想站起来。",
        "躺下以后心里发慌。",
        "睡前反复想白天说错的话。",
        "自习时静不下心，一页书看半天。",
    ],
    3: [
        "一进教学楼就喘不上气。",
        "点到我名字时浑身发抖。",
        "有两回像是惊恐发作，以为要晕过去。",
        "我怕得不敢去教室，在门口站到打铃。",
        "手抖得写不了字，胸口发闷。",
    ],
}
BURDENS = {
    "exams": ["月考之后排名一直往下掉。", "离高考没有多少天了。", "期末有两门可能要挂科。", "成绩单发下来我不敢看。"],
    "peers": [
        "室友把我挤出了小群。",
        "同桌不再跟我说话。",
        "刚分手，天天还要在一个教室碰面。",
        "在班里没有朋友，吃饭都是一个人。",
    ],
    "family": ["父母总拿我跟表哥比。", "爸妈吵着要分开过。", "家里出了些事，没人顾得上我。", "父母逼我改志愿。"],
    "body": ["头疼得厉害，校医说没大毛病。", "失眠好多天了。", "上楼都没力气。", "胃疼，一到周一就犯。"],
}
LIGHT = [
    "社团的事挺多，也算充实。",
    "新来的老师讲课有意思。",
    "图书馆的位置不好占。",
    "正在学着自己安排时间。",
    "食堂换了师傅。",
    "参加了合唱队。",
]
RISK = {
    "suicidal": [
        "有几个晚上我真的不想活了。",
        "我站在天台上，想过跳下去。",
        "脑子里老冒出自杀的念头。",
        "想死，连遗书的第一句都想好了。",
        "我想结束自己的生命，觉得那样大家都轻松。",
    ],
    "self_harm": [
        "难受的时候我会用小刀划自己的手臂，不是要寻短见。",
        "我会掐自己，掐出印子才平静。",
        "袖子底下有划手臂留下的疤。",
        "半夜忍不住割手腕，只为让心里松一下。",
        "一着急就用头撞墙。",
    ],
    "violence": [
        "我真的想打他，拳头都攥紧了。",
        "昨天在走廊我动手打了那个人。",
        "书包里带了刀，想吓住欺负我的人。",
        "我一直盘算着怎么报复他。",
        "我想捅他，想了不止一次。",
    ],
}
SAFE = ["我没想过自杀，您放心。", "再难我也从来没有想死。", "我不会伤害自己。", "没有要打他的意思，只是生气。"]
FIGURES = [
    "这周军训累死了。",
    "那道题难得要命，我快烦死了。",
    "食堂的辣椒辣得我要笑死。",
    "困死了，早读都睁不开眼。",
    "听说延期，大家都急死了。",
    "好想你们，想死你们了。",
]
OTHERS = ["听说隔壁学校有同学想过自杀，我没有。", "新闻里有人想死的事，看了心里沉。"]
CLOSERS = [
    "我该怎么办呢？",
    "想听听您的看法。",
    "接下来要从哪里做起？",
    "我这样算正常吗？",
    "您能帮我理一理吗？",
    "说出来好一点了。",
]
PARENT = [
    "我儿子读高二，最近成绩掉得厉害，回家就关上门。",
    "我女儿上初三，总说不想去学校，我急得整夜睡不着。",
    "我孩子今年高考，脾气一天比一天大。",
    "我家孩子说同学不理他，我不知道怎么开导。",
]
ADULT = [
    "我在公司做了六年，上司天天让加班，回家只想躺着。",
    "我老公下班就看手机，我们已经一个月没好好说话。",
    "我跟婆婆住在一起，为孩子的事天天拌嘴。",
    "我刚辞职，投了几十份简历没有回音，总是焦虑。",
    "离婚以后一个人带着行李搬了三次家，晚上经常哭。",
]
TEACHER = ["我是一名中学老师，班上的孩子不听课，我很挫败。", "我带的学生这次月考没考好，我一直自责。"]
MORE = [
    "这种情况断断续续有三个月了。",
    "跟好朋友也没提过。",
    "放学路上想得最多。",
    "周末稍微好些。",
    "老师找我谈过一次话。",
    "写日记写了又撕。",
    "我试过早睡，没什么用。",
    "妹妹说我变了。",
    "有时候听歌能缓一缓。",
    "笔记都是空白的。",
    "下雨天更明显。",
    "晚自习的时候尤其这样。",
]
ASK = [
    "能多讲讲是从什么时候开始的吗？",
    "当时身边有谁陪着你？",
    "这种感觉一天里什么时候最重？",
    "你希望事情变成什么样子？",
    "以前有没有过类似的时候，那次是怎么过来的？",
    "你刚才说到这里停了一下，是想到了什么？",
]
MIRROR = [
    "听起来你已经一个人扛了很久，愿意讲出来需要勇气。",
    "我能感觉到这件事压在你身上的分量，换成别人也会吃不消。",
    "谢谢你信任我，把这么细的地方都告诉我。",
    "你一边想把事情做好，一边又担心做不好，这样来回很耗力气。",
]
ADVISE = [
    "我们先把眼前的事分成几小块，今天只挑最小的一块去做，做完就记下来，看看心里的重量有没有变化。",
    "可以试着每天固定一个时间散步二十分钟，走路的时候只留意脚步和呼吸，不去评价自己。",
    "下次这种感觉上来的时候，先把脚踩实，慢慢数十次呼吸，再决定要不要回应它。",
    "建议找一位你信得过的老师或家人，把今天对我说的话说给他听，也请他陪你去学校的心理中心。",
    "如果念头强烈到难以控制，请立刻联系身边的大人，也可以拨打12356，不要独自承受。",
]
ANSWERS = ["你好，抱抱你。", "看到你的留言，想先对你说一声辛苦了。", "你能把这些写下来，已经是在照顾自己了。"]
IDENTITIES = [
    "我叫周明远，",
    "我的电话是13800000001，",
    "可以加我QQ：100000017，",
    "我在海宁市第三中学，",
    "同学都叫我小林，",
]
TOPICS = ["Education", "Family", "Peers", "Emotion&Stress", "Self-growth"]
RARE = ["来访者（姚同学）：", "来访者1：", "A："]


@dataclass
class Case:
    """One made-up person: what they say, and what was drawn for them."""

    lines: list[str]
    labels: dict[str, int | str]
    question: str


def pick(rng: random.Random, pool: list[str]) -> str:
    """One line of a pool."""
    return pool[rng.randrange(len(pool))]


def draw(rng: random.Random, who: str) -> Case:
    """A case of `student`, `parent`, `adult` or `teacher`."""
    depression, anxiety = (rng.choices([0, 1, 2, 3], [28, 30, 25, 17])[0] for _ in range(2))
    risk = rng.choices(["none", *RISK], [64, 14, 12, 10])[0]
    burdens = rng.sample(list(BURDENS), rng.choices([0, 1, 2], [40, 35, 25])[0])
    if who == "student":
        lines = [f"{pick(rng, STAGES)}，{pick(rng, PLACES)}。"]
    else:
        lines = [pick(rng, {"parent": PARENT, "adult": ADULT, "teacher": TEACHER}[who])]
    lines += [pick(rng, DEPRESSION[depression]), pick(rng, ANXIETY[anxiety])]
    lines += [pick(rng, BURDENS[name]) for name in burdens] or [pick(rng, LIGHT)]
    if risk != "none":
        lines.append(pick(rng, RISK[risk]))
    else:
        lines += [
            pick(rng, pool) for pool, share in ((SAFE, 0.25), (FIGURES, 0.3), (OTHERS, 0.08)) if rng.random() < share
        ]
    head, rest = lines[0], lines[1:] + rng.sample(MORE, rng.randint(1, 3))
    rng.shuffle(rest)
    if rng.random() < 0.12:
        head = pick(rng, IDENTITIES) + head
    distress = min(9, depression + anxiety + len(burdens) + (3 if risk != "none" else 0))
    labels: dict[str, int | str] = {
        "depression_level": depression,
        "anxiety_level": anxiety,
        "risk_flag": risk,
        "student_distress_score": distress,
    }
    return Case([head, *rest], labels, f"{head.rstrip('。')}，{pick(rng, CLOSERS)}")


def people(rng: random.Random, count: int, students: float) -> list[str]:
    """Who speaks, in random order, with a fixed share of students."""
    of = round(count * students)
    others = ["parent", "adult", "teacher"]
    found = ["student"] * of + [others[number % 3] for number in range(count - of)]
    rng.shuffle(found)
    return found


def talk(rng: random.Random, case: Case) -> list[tuple[str, str]]:
    """A dialogue: (`client` or `counsellor`, text). What the client says is dealt over the turns."""
    lines = [pick(rng, OPENERS) + case.lines[0], *case.lines[1:]]
    per = rng.choice([1, 2, 2, 3])
    parts = ["".join(lines[start : start + per]) for start in range(0, len(lines), per)]
    turns = []
    short = rng.random() < 0.06  # a counsellor who says too little: dropped by the length rule
    for number, part in enumerate(parts):
        turns.append(("client", part))
        last = number == len(parts) - 1
        if short:
            turns.append(("counsellor", "嗯，我在听。" if number % 2 else "好的。"))
        else:
            turns.append(
                (
                    "counsellor",
                    pick(rng, MIRROR) + (pick(rng, ADVISE) if last or rng.random() < 0.3 else pick(rng, ASK)),
                )
            )
    if rng.random() < 0.25:
        turns.append(("client", pick(rng, CLOSERS)))
    return turns


def cpsycound(rng: random.Random, out: Path) -> list[Case]:
    """`case_N.txt`: a role prefix a turn, two thirds with CRLF, some with rare prefixes, stage directions, notes."""
    cases = []
    for number, who in enumerate(people(rng, DIALOGUES, 0.74)):
        case = draw(rng, who)
        rare = pick(rng, RARE) if rng.random() < 0.05 else None
        counsellor = "心理咨询师（扮演母亲）：" if rng.random() < 0.02 else "心理咨询师："
        lines = []
        for role, text in talk(rng, case):
            direction = pick(rng, ["（沉默）", "（低头）", "（叹气）"]) if rng.random() < 0.05 else ""
            lines.append((rare or "来访者：") + direction + text if role == "client" else counsellor + text)
        if rng.random() < 0.03:
            lines.insert(2, "妈妈：" + "他在家里也是这样。")
        if rng.random() < 0.03:
            lines.append("（后续反馈：一周后来访者说好些了。）")
        end = "\r\n" if rng.random() < 0.66 else "\n"
        path = out / "CPsyCounD" / f"case_{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((end.join(lines) + end).encode())
        cases.append(case)
    # Two files nobody can read: they belong into quarantine.
    (out / "CPsyCounD" / f"case_{DIALOGUES}.txt").write_bytes("记录缺失".encode())
    (out / "CPsyCounD" / f"case_{DIALOGUES + 1}.txt").write_bytes(b"")
    return cases


def cpsycoune(rng: random.Random, out: Path) -> None:
    """`<topic>/N.json`: a list of strings."""
    for number, who in enumerate(people(rng, EVALUATION, 0.8)):
        names = {"client": "求助者：", "counsellor": "支持者："}
        items = [names[role] + text for role, text in talk(rng, draw(rng, who))]
        write_text(
            out / "CPsyCounE" / TOPICS[number % len(TOPICS)] / f"{number // len(TOPICS)}.json",
            json.dumps(items, ensure_ascii=False, indent=1) + "\n",
        )


def psyqa(rng: random.Random, out: Path, dialogues: list[Case]) -> None:
    """One array: 1 to 10 answers, nulls among them; every tenth question retells a dialogue of the other set."""
    rows = []
    for number, who in enumerate(people(rng, QUESTIONS, 0.72)):
        case = dialogues[number * 7 % len(dialogues)] if number % 10 == 0 else draw(rng, who)
        answers = []
        for _ in range(rng.choices(range(1, 11), [30, 22, 14, 10, 8, 6, 4, 3, 2, 1])[0]):
            text = (
                None
                if rng.random() < 0.05
                else "题主你好，" + pick(rng, ANSWERS) + pick(rng, MIRROR) + pick(rng, ADVISE) + pick(rng, ADVISE)
            )
            if rng.random() < 0.08:
                text = pick(rng, ANSWERS)
            answers.append({"answer_text": text, "has_label": False, "labels_sequence": None})
        keywords = (
            pick(rng, ["学业,考试", "人际,室友", "情绪", "成长,校园", "家庭"])
            if who == "student"
            else pick(rng, ["职场", "婚恋", "亲子"])
        )
        rows.append(
            {
                "questionID": 100000 + number,
                "question": case.question,
                "description": "".join(case.lines) if rng.random() > 0.03 else None,
                "keywords": keywords,
                "answers": answers,
            }
        )
    write_text(out / "PsyQA" / "psyqa.json", json.dumps(rows, ensure_ascii=False, indent=1) + "\n")


def gold(rng: random.Random, out: Path) -> None:
    """Human-style gold: the labels are what was drawn, with a neighbouring level now and then, as a second reader would say."""
    rows = []
    for number in range(GOLD):
        case = draw(rng, "student")
        for name in ("depression_level", "anxiety_level", "student_distress_score"):
            top = 9 if name == "student_distress_score" else 3
            if rng.random() < 0.12:
                case.labels[name] = max(0, min(top, int(case.labels[name]) + rng.choice([-1, 1])))
        rows.append({"key": f"gold-{number:03d}", "text": "".join(case.lines), "labels": case.labels})
    write_jsonl(out / "gold.jsonl", rows)


def main() -> None:
    """Writes the sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/sample"), help="the directory to write to")
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed gives the same bytes")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    cases = cpsycound(rng, arguments.out)
    cpsycoune(rng, arguments.out)
    psyqa(rng, arguments.out, cases)
    gold(rng, arguments.out)
    print(
        f"{DIALOGUES + 2} files of CPsyCounD's form, {EVALUATION} of CPsyCounE's, {QUESTIONS} questions of PsyQA's, {GOLD} gold rows in {arguments.out}"
    )


if __name__ == "__main__":
    main()
