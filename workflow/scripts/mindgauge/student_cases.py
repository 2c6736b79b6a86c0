"""Made-up openings of dialogues, labelled with who speaks, on which the student filter is measured: precision and recall stand
in stats_min.json and in the report. Their structure (who says how much of themselves, and where) was taken from real dialogues,
their words are ours. Half of them are hard: students who never say so, adults who speak of school days, of children, of pupils.
"""

import random
from typing import Any

from mindgauge.records import Record, Turn
from mindgauge.students import judge

SEED, EACH = 20261124, 24
GREETINGS = (
    "",
    "",
    "您好，",
    "老师，您好。",
    "你好，咨询师。",
    "不知道从哪里说起。",
    "憋了很久才来问。",
    "心理咨询师，您好，我想请教一件事。",
)
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
        "我是今年刚上高一的新生，听不懂物理。",
        "我在一所专科念大二，觉得前途一片灰。",
        "我目前就读初一，特别想回小学。",
    ),
    ("stage at the front", True): (
        "大四，论文和工作都没着落，整夜睡不着怎么办？",
        "高三，一模掉了一百多名，不敢回家。",
        "初二女生，被全班孤立，怎么办？",
        "大二了，还是一个朋友也没有，正常吗？",
        "高一，跟同桌闹翻以后天天想哭。",
        "研一，导师让我天天跑腿，想退学。",
        "研二延毕，不敢告诉家里，怎么办？",
        "高二转学，融不进新的圈子。",
        "初三上学期，成绩跌到班里倒数。",
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
        "卷子发下来那一刻我脑子一片空白，回到座位上就开始掉眼泪，后桌还在对答案。",
        "我住校，熄灯以后躲在被子里哭，第二天还要跑操。",
        "学校要求每天打卡跑步，我身体不好，体测肯定过不了，不及格就拿不到毕业证。",
        "英语老师总点我起来念课文，全班都盯着我看，我声音都在抖。",
        "家里让我选理科，可我喜欢历史，明天就要交选科表了。",
    ),
    ("student with a job on the side", True): (
        "我是大三的学生，周末在奶茶店打工，同事总把累活给我。",
        "大二在校，暑假去公司实习，领导让我天天加班，开学了还让我去。",
        "我上大四，一边实习一边写毕业论文，两头都做不好。",
        "我是高职二年级的学生，现在顶岗实习，厂里的师傅总骂我。",
        "白天在图书馆备考研究生，晚上去便利店上班挣生活费，舍友都说我想不开。",
    ),
    ("student about the parents", True): (
        "我上初二，爸妈要离婚，他们都问我跟谁。",
        "我读高二，妈妈整天说为了我才不离婚，我在家写作业都不敢出声。",
        "我是大一学生，爸爸再婚以后，我放假都不知道回哪里。",
        "我上大二，爸爸公司破产了，妈妈天天跟我说活着没意思。",
        "高三了，爸妈天天为了我的志愿吵架，我宁愿不考。",
    ),
    ("parent of a student", False): (
        "我儿子今年高三，成绩一直掉，我说什么他都不听。",
        "女儿上初二，最近总说同学欺负她，班主任也不管，我急得睡不着。",
        "孩子马上中考了，天天抱着手机，作业也不写，怎么办？",
        "我家孩子上五年级，老师说他上课坐不住，我该怎么教育孩子？",
        "作为母亲，我看着孩子高考前瘦成那样，心里特别难受。",
        "我女儿大二，她说宿舍待不下去想退学，我要不要同意？",
        "小孩今年升初中，脾气越来越大，一说作业就摔门。",
        "我和爱人都是上班族，女儿住校，每次打电话都哭着要回家。",
        "孩子他爸不管事，儿子逃学去网吧，老师天天打电话来。",
    ),
    ("teacher", False): (
        "我是一名初中班主任，班上的学生不交作业，我一上课就烦。",
        "我是小学老师，带毕业班，期末考试排名又是年级倒数。",
        "我的一个学生总在课堂上捣乱，我不知道怎么办。",
        "作为一名高中老师，高考前我比学生还紧张。",
        "刚带完一届高三，新接的班太难管，我整夜做上课的梦。",
        "我教三年级语文，班里有个孩子总打人，家长还投诉我。",
    ),
    ("working adult", False): (
        "我在公司做了三年，领导总把别人的活给我，同事也不说话。",
        "刚入职两个月，主管天天骂我，想辞职又不敢。",
        "工作以后一直一个人住，下班回来就不想说话。",
        "投了几十份简历没有回音，毕业一年了还在家里。",
        "我大学毕业以后换了四份工作，每一份都做不长。",
        "在国企待了六年，每天就是开会写材料，一想到周一就反胃。",
        "做销售的，这个季度又没完成任务，晚上翻来覆去睡不着。",
        "创业失败欠了三十万，不敢接电话。",
    ),
    ("married adult", False): (
        "我老公下班就打游戏，我们一个月没好好说话。",
        "结婚三年了，婆婆什么都要管，我快窒息了。",
        "我想离婚，可是又怕对孩子不好。",
        "前夫又来找我，我心里很乱。",
        "我们结婚以后一直分床睡，他从来不问我累不累。",
        "丈夫出轨被我发现了，他跪下来求我别说。",
    ),
    ("adult about school days", False): (
        "我今年[年龄30-34]，初中的时候被同学孤立过，现在上班也不敢跟同事说话。",
        "记得高中时班主任当着全班骂过我，这么多年我在单位还是怕领导。",
        "工作五年了，还是常常梦见高考考砸，醒来一身汗。",
        "大学时候的室友结婚了没叫我，我跟老公说，他说我小心眼。",
        "小时候考试没考好就挨打，现在我对自己的孩子也忍不住吼。",
        "都三十多了，想起初中班主任当众撕我的作业本，还是会发抖。",
        "高考那年发挥失常去了个普通学校，这件事让我自卑到现在，面试的时候都不敢提学历。",
    ),
    ("adult who studies beside the job", False): (
        "在公司上班，下班回来备考教师编，已经考了两年，领导还总让加班。",
        "辞职在家考公务员，天天看书，父母说我不如早点找工作。",
        "我[年龄25-29]，工作三年以后想考研，同事都说我疯了。",
        "一边带娃一边备考注册会计师，每天只有孩子睡了才能看书。",
        "工作八年了想去读在职研究生，怕同事笑话。",
    ),
    ("sibling or friend of a student", False): (
        "我弟弟上高三，最近总说活着没意思，我在外地上班，不知道怎么帮他。",
        "我表妹读初二，她在学校被欺负，我是做会计的，请假去看她又怕公司不批。",
        "朋友的女儿今年高考，她让我劝劝孩子，我跟我老公说了他说别管。",
        "侄子今年中考，我姐天天骂他，我这个做舅舅的看着心疼。",
        "我女朋友还在上大学，我已经工作了，她最近总说不想活，我该怎么劝？",
    ),
    ("nothing said", False): (
        "最近总是莫名其妙地难过，提不起劲。",
        "我好像对什么都没有感觉了，是不是病了？",
        "分手半年了，还是每天翻他的朋友圈。",
        "我特别怕跟人打电话，手机一响心就慌。",
        "家里的猫走了以后我一直缓不过来。",
        "我是不是太敏感了，别人一句话我能想一整天。",
    ),
}

# Written after the filter was, and left as they came out: the honest half. Who changes the filter by looking at them moves them
# up and writes new ones.
HELD_OUT: dict[str, tuple[str, ...]] = {
    "says the stage": (
        "我现在是大学二年级，学会计的，天天想转专业。",
        "我，女，高二，文科班，历史越考越差。",
        "我在县城读初中，住在亲戚家。",
    ),
    "stage at the front": (
        "大三，四级还没过，全寝室就剩我一个。",
        "高三复读，第一次联考就砸了。",
        "初一男生，被人起外号，怎么办？",
    ),
    "never says so": (
        "下周要交期末论文，我连题目都没想好，室友都写完了。",
        "排座位的时候没有人愿意跟我一组，老师把我安排在讲台旁边。",
        "昨天体育课自由活动，她们围成一圈说我坏话，我听见了。",
        "模拟考完对答案，我比估的少了四十分，我妈一晚上没跟我说话。",
        "社团招新没有选上我，觉得自己哪里都比不上别人，课也不想去上。",
        "成绩单要家长签字，我不敢拿回家，自己模仿了签名，被班主任发现了。",
    ),
    "student with a job on the side": (
        "我读大四，已经签了公司，可是毕业设计做不出来，天天失眠。",
        "我是研究生，一边给导师干活一边在外面兼职家教，快撑不住了。",
    ),
    "student about the parents": (
        "我今年高一，爸爸喝醉了就打妈妈，我晚上不敢睡。",
        "我在读大学，家里重男轻女，学费都是自己贷款，爸妈的钱都给弟弟买房。",
    ),
    "parent of a student": (
        "我儿子刚上大学，整天不联系家里，打电话就说烦。",
        "家有高考生，全家人大气不敢出，我这个当妈的都快抑郁了。",
        "闺女十六了，谈恋爱被老师发现，她爸要打断她的腿。",
    ),
    "teacher": (
        "当班主任第二年，学生当面顶撞我，校长还让我写检查。",
        "我在一所职高任教，课堂上没有人听，我觉得自己毫无价值。",
    ),
    "working adult": (
        "程序员，三十五岁危机，每天怕被裁。",
        "在医院做护士，夜班太多，整个人都是麻木的。",
        "刚换了新单位，开会不敢发言，怕领导觉得我没能力。",
    ),
    "married adult": (
        "我和我先生是相亲认识的，婚后才发现没有话说。",
        "二胎生完以后婆婆不肯带，我情绪一点就炸。",
    ),
    "adult about school days": (
        "我四十了，一直忘不了高中暗恋的同桌，觉得对不起现在的妻子。",
        "当年考研失败以后一直没缓过来，如今在小公司混日子。",
    ),
    "adult who studies beside the job": (
        "在职考教资，下班学到半夜，白天开会直打瞌睡。",
        "三十岁从国企辞职去读博，家里人都反对。",
    ),
    "sibling or friend of a student": (
        "表弟今年读高二，突然说不念了，舅舅让我去劝，我嘴笨。",
        "室友们都结婚了，我妹还在念初中，爸妈身体不好，家里就靠我的工资。",
    ),
    "nothing said": (
        "觉得活着像完成任务，每天都一样。",
        "跟最好的朋友吵翻了，不知道怎么开口和好。",
    ),
}


def cases(seed: int = SEED, each: int = EACH, *, held_out: bool = False) -> list[tuple[str, bool, Record]]:
    """(group, is a student, the record), `each` a group."""
    rng = random.Random(seed)
    found = []
    for (group, student), lines in CASES.items():
        lines = HELD_OUT[group] if held_out else lines
        for number in range(each):
            said = rng.choice(GREETINGS) + lines[number % len(lines)]
            turns = [Turn("client", said), *(Turn("client", text) for text in rng.sample(LATER, rng.randint(0, 3)))]
            found.append((group, student, Record("made up", f"{group}-{number}", "dialogue", turns)))
    return found


def _figures(found: list[tuple[str, bool, Record]], threshold: float) -> dict[str, Any]:
    taken: dict[str, list[bool]] = {}
    hits = misses = false = 0
    for group, student, record in found:
        kept = judge(record).score >= threshold
        taken.setdefault(group, []).append(kept)
        hits, misses, false = hits + (kept and student), misses + (student and not kept), false + (kept and not student)
    return {
        "cases": len(found),
        "precision": round(hits / (hits + false), 4) if hits + false else 0.0,
        "recall": round(hits / (hits + misses), 4),
        "taken_for_students": {group: round(sum(of) / len(of), 4) for group, of in taken.items()},
    }


def measure(threshold: float) -> dict[str, Any]:
    """Precision and recall of the filter at a threshold, and by group the share that is taken for a student: on the cases it
    was made with (`seen`) and on those written afterwards (`held_out`)."""
    return {"seen": _figures(cases(), threshold), "held_out": _figures(cases(held_out=True), threshold)}
