"""Made-up openings of dialogues, labelled with who speaks, on which the student filter is measured: precision and recall stand
in stats_min.json and in the report. Their structure (who says how much of themselves, and where) was taken from real dialogues,
their words are ours. Half of them are hard: students who never say so, adults who speak of school days, of children, of pupils.
"""

import random
from typing import Any

from mindgauge.records import Record, Turn
from mindgauge.students import judge

SEED, EACH = 20261124, 24
GREETINGS = ("", "", "您好，", "老师，您好。", "你好，咨询师。", "不知道从哪里说起。", "憋了很久才来问。", "心理咨询师，您好，我想请教一件事。")
LATER = ("好的，我试试看。", "嗯，我明白了。", "谢谢您，我会照着做。", "我还是有些担心。", "那我们从哪里开始？")
# who -> lines of which two or three are said. True: a student who speaks of themselves.
CASES: dict[tuple[str, bool], tuple[str, ...]] = {
    ("says the stage", True): (
        "我是一名高二的学生，最近总是睡不着。",
        "我现在上初三，一写卷子手心就冒汗。",
        "我今年大一，跟宿舍的人合不来。",
        "本人大三，专业是家里替我挑的，一点也不想念。",
        "我是研二的，论文卡了半年。",
        "我在读高一，没有人愿意跟我坐一起。",
        "我[年龄15-19]，女生，高三，觉得撑不下去。",
        "我是个复读生，第二年了，比去年还怕。",
    ),
    ("stage at the front", True): (
        "大四，论文和工作都没着落，整夜睡不着怎么办？",
        "高三，一模掉了一百多名，不敢回家。",
        "初二女生，被全班孤立，怎么办？",
        "大二了，还是一个朋友也没有，正常吗？",
        "高一，跟同桌闹翻以后天天想哭。",
        "研一，导师让我天天跑腿，想退学。",
    ),
    ("never says so", True): (
        "快期末考试了，一翻开书就想吐，室友都在复习，只有我看不进去。",
        "班主任当着全班的面念了我的成绩，同桌笑出了声，我不想去学校了。",
        "宿舍四个人，她们三个一起上课一起吃饭，我像空气一样。",
        "数学课我完全听不懂，作业都是抄的，月考肯定又要垫底。",
        "爸妈不让我学画画，志愿都替我填好了，高考还有四个月。",
        "军训的时候认识了一个男生，现在上课老忍不住看他，成绩也掉下来了。",
        "辅导员找我谈话，说我旷课太多，挂科再多就要留级了。",
        "分班以后新班级里谁也不认识，晚自习我一个人坐在最后一排。",
    ),
    ("student with a job on the side", True): (
        "我是大三的学生，周末在奶茶店打工，同事总把累活给我。",
        "大二在校，暑假去公司实习，领导让我天天加班，开学了还让我去。",
        "我上大四，一边实习一边写毕业论文，两头都做不好。",
    ),
    ("student about the parents", True): (
        "我上初二，爸妈要离婚，他们都问我跟谁。",
        "我读高二，妈妈整天说为了我才不离婚，我在家写作业都不敢出声。",
        "我是大一学生，爸爸再婚以后，我放假都不知道回哪里。",
    ),
    ("parent of a student", False): (
        "我儿子今年高三，成绩一直掉，我说什么他都不听。",
        "女儿上初二，最近总说同学欺负她，班主任也不管，我急得睡不着。",
        "孩子马上中考了，天天抱着手机，作业也不写，怎么办？",
        "我家孩子上五年级，老师说他上课坐不住，我该怎么教育孩子？",
        "作为母亲，我看着孩子高考前瘦成那样，心里特别难受。",
        "我女儿大二，她说宿舍待不下去想退学，我要不要同意？",
    ),
    ("teacher", False): (
        "我是一名初中班主任，班上的学生不交作业，我一上课就烦。",
        "我是小学老师，带毕业班，期末考试排名又是年级倒数。",
        "我的一个学生总在课堂上捣乱，我不知道怎么办。",
        "作为一名高中老师，高考前我比学生还紧张。",
    ),
    ("working adult", False): (
        "我在公司做了三年，领导总把别人的活给我，同事也不说话。",
        "刚入职两个月，主管天天骂我，想辞职又不敢。",
        "工作以后一直一个人住，下班回来就不想说话。",
        "投了几十份简历没有回音，毕业一年了还在家里。",
        "我大学毕业以后换了四份工作，每一份都做不长。",
    ),
    ("married adult", False): (
        "我老公下班就打游戏，我们一个月没好好说话。",
        "结婚三年了，婆婆什么都要管，我快窒息了。",
        "我想离婚，可是又怕对孩子不好。",
        "前夫又来找我，我心里很乱。",
    ),
    ("adult about school days", False): (
        "我今年[年龄30-34]，初中的时候被同学孤立过，现在上班也不敢跟同事说话。",
        "记得高中时班主任当着全班骂过我，这么多年我在单位还是怕领导。",
        "工作五年了，还是常常梦见高考考砸，醒来一身汗。",
        "大学时候的室友结婚了没叫我，我跟老公说，他说我小心眼。",
        "小时候考试没考好就挨打，现在我对自己的孩子也忍不住吼。",
    ),
    ("adult who studies beside the job", False): (
        "在公司上班，下班回来备考教师编，已经考了两年，领导还总让加班。",
        "辞职在家考公务员，天天看书，父母说我不如早点找工作。",
        "我[年龄25-29]，工作三年以后想考研，同事都说我疯了。",
    ),
    ("sibling or friend of a student", False): (
        "我弟弟上高三，最近总说活着没意思，我在外地上班，不知道怎么帮他。",
        "我表妹读初二，她在学校被欺负，我是做会计的，请假去看她又怕公司不批。",
        "朋友的女儿今年高考，她让我劝劝孩子，我跟我老公说了他说别管。",
    ),
    ("nothing said", False): (
        "最近总是莫名其妙地难过，提不起劲。",
        "我好像对什么都没有感觉了，是不是病了？",
        "分手半年了，还是每天翻他的朋友圈。",
        "我特别怕跟人打电话，手机一响心就慌。",
    ),
}


def cases(seed: int = SEED, each: int = EACH) -> list[tuple[str, bool, Record]]:
    """(group, is a student, the record), `each` a group."""
    rng = random.Random(seed)
    found = []
    for (group, student), lines in CASES.items():
        for number in range(each):
            said = rng.choice(GREETINGS) + lines[number % len(lines)]
            turns = [Turn("client", said), *(Turn("client", text) for text in rng.sample(LATER, rng.randint(0, 3)))]
            found.append((group, student, Record("made up", f"{group}-{number}", "dialogue", turns)))
    return found


def measure(threshold: float) -> dict[str, Any]:
    """Precision and recall of the filter at a threshold, and by group the share that is taken for a student."""
    taken: dict[str, list[bool]] = {}
    hits = misses = false = 0
    for group, student, record in cases():
        kept = judge(record).score >= threshold
        taken.setdefault(group, []).append(kept)
        hits, misses, false = hits + (kept and student), misses + (student and not kept), false + (kept and not student)
    return {
        "cases": sum(map(len, taken.values())),
        "precision": round(hits / (hits + false), 4) if hits + false else 0.0,
        "recall": round(hits / (hits + misses), 4),
        "taken_for_students": {group: round(sum(of) / len(of), 4) for group, of in taken.items()},
    }
