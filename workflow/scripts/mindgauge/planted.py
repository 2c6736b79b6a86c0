"""A test set of planted identities, made here from templates and a seed: how many does the replacement find, by kind, and how
many ordinary words that look like one does it take for one. Nothing in it names a person; unify runs it and prints the figures.

The templates were written before the rules and look like what is typed to a counsellor; they are still ours, so the recall on
them is an upper bound for real text.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

SEED, PLANTS = 20261124, 40
NUMBERS = ("mobile", "landline", "qq", "wechat", "email", "url", "national id", "account", "student number")
DIGITS = "0123456789"
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁沈姚卢姜崔钟谭陆汪范廖贾夏韦付邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
COMPOUND = ("欧阳", "司马", "上官", "诸葛", "慕容")
GIVEN = [
    "明",
    "芳",
    "伟",
    "娜",
    "静",
    "敏",
    "强",
    "磊",
    "洋",
    "艳",
    "勇",
    "军",
    "杰",
    "娟",
    "涛",
    "超",
    "霞",
    "平",
    "刚",
    "玲",
    "浩然",
    "子涵",
    "雨欣",
    "思远",
    "婷婷",
    "佳怡",
    "志强",
    "建国",
    "晓东",
    "文博",
    "欣怡",
    "梓轩",
    "雅琪",
    "俊豪",
    "若曦",
    "嘉懿",
    "一诺",
    "宇航",
    "诗涵",
    "海燕",
    "春梅",
    "国庆",
    "天佑",
    "可馨",
    "语桐",
    "立新",
    "秀英",
    "鹏飞",
    "晨曦",
    "楠",
]
SCHOOLS = [
    "海宁市第三中学",
    "浙江大学",
    "青岛二中",
    "成都七中",
    "复旦大学",
    "衡水中学",
    "武汉理工大学",
    "临安区实验小学",
    "华东师范大学",
    "大连外国语大学",
    "宜昌市夷陵中学",
    "南昌职业技术学院",
    "北京四中",
    "西安交通大学",
    "县一中",
    "湖南师大附中",
]
PLACES = [
    "杭州",
    "成都",
    "青岛",
    "石家庄",
    "哈尔滨",
    "广州",
    "宜昌",
    "昆明",
    "乌鲁木齐",
    "洛阳",
    "温州",
    "大连",
    "长沙",
    "贵阳",
    "厦门",
    "呼和浩特",
]


def _digits(rng: random.Random, count: int, first: str = "123456789") -> str:
    return rng.choice(first) + "".join(rng.choices(DIGITS, k=count - 1))


def _name(rng: random.Random) -> str:
    return (rng.choice(COMPOUND) if rng.random() < 0.05 else rng.choice(SURNAMES)) + rng.choice(GIVEN)


def _mobile(rng: random.Random) -> str:
    number = "1" + rng.choice("3456789") + _digits(rng, 9, DIGITS)
    form = rng.randrange(6)
    if form == 0:
        return f"{number[:3]} {number[3:7]} {number[7:]}"
    if form == 1:
        return f"{number[:3]}-{number[3:7]}-{number[7:]}"
    if form == 2:
        return f"+86{number}"
    if form == 3:
        return number.translate(str.maketrans(DIGITS, "０１２３４５６７８９"))
    return number


def _handle(rng: random.Random) -> str:
    return (
        rng.choice(["wx", "sky", "li_", "Moon", "abc-"])
        + rng.choice(["smile", "rain", "happy", "star"])
        + _digits(rng, 3)
    )


def _date(rng: random.Random) -> str:
    year, month, day = rng.randint(1995, 2024), rng.randint(1, 12), rng.randint(1, 28)
    numerals = "零一二三四五六七八九十"
    return rng.choice(
        [
            f"{year}年{month}月{day}日",
            f"{month}月{day}号",
            f"{year}-{month:02d}-{day:02d}",
            f"{year}.{month}.{day}",
            f"{numerals[rng.randint(1, 9)]}月{rng.choice(['', '十', '二十'])}{numerals[rng.randint(1, 9)]}号",
            f"{year}/{month}/{day}",
        ]
    )


# kind -> (what is planted, sentences it is planted in). `{}` is the place; what must be gone afterwards is the plant.
KINDS: dict[str, tuple[Callable[[random.Random], str], tuple[str, ...]]] = {
    "mobile": (
        _mobile,
        (
            "我的电话是{}，晚上都在。",
            "打{}能找到我。",
            "老师你记一下我的手机号：{}",
            "他一直用{}给我发骚扰短信。",
            "我换号了，现在是{}，之前那个停机了。",
        ),
    ),
    "landline": (
        lambda rng: f"0{rng.randint(10, 999)}-{_digits(rng, rng.choice([7, 8]))}",
        ("家里座机{}没人接。", "学校心理中心的电话{}总是占线。", "我妈单位的号码是{}。"),
    ),
    "qq": (
        lambda rng: _digits(rng, rng.randint(6, 11)),
        (
            "加我QQ{}聊吧。",
            "我的qq号是{}，备注一下。",
            "QQ：{}",
            "扣扣{}，随时可以说话。",
            "企鹅号{}，加的时候写名字。",
            "我的Q是{}。",
        ),
    ),
    "wechat": (
        _handle,
        (
            "微信号是{}，加我。",
            "我微信：{}",
            "加我vx {}，这里说不清。",
            "薇信{}，谢谢老师。",
            "他的WX号{}我一直没删。",
            "微信搜{}就能找到我。",
        ),
    ),
    "email": (
        lambda rng: f"{_handle(rng).replace('-', '.')}@{rng.choice(['qq.com', '163.com', 'gmail.com', 'stu.edu.cn'])}",
        ("可以发邮件到{}给我。", "邮箱{}，我每天都看。", "她把截图发到了{}。"),
    ),
    "url": (
        lambda rng: (
            rng.choice(["https://www.", "http://", "www."]) + f"weibo.com/u/{_digits(rng, 8)}?x={_digits(rng, 2)}"
        ),
        ("我写的都在{}上面。", "他们在{}发帖骂我。", "链接是{}，你看看就懂了。"),
    ),
    "national id": (
        lambda rng: (
            f"{rng.randint(110000, 659000)}{rng.randint(1990, 2010)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{_digits(rng, 3, DIGITS)}{rng.choice('0123456789X')}"
        ),
        ("我的身份证号{}被他拿去贷款了。", "报名填的是{}，填错了一位。", "身份证：{}"),
    ),
    "account": (
        lambda rng: "62" + _digits(rng, rng.choice([14, 17])),
        ("钱都转到{}这张卡上了。", "他要我的银行卡{}。"),
    ),
    "student number": (
        lambda rng: "20" + _digits(rng, rng.choice([6, 8])),
        ("学号{}，是我自己查的成绩。", "我的学号是{}。"),
    ),
    "own name": (
        _name,
        (
            "我叫{}，今年大二。",
            "老师好，我是{}，又来打扰了。",
            "我的名字是{}，您叫我什么都行。",
            "你可以叫我{}。",
            "大家好我叫{}",
            "我叫{}是个很内向的人。",
        ),
    ),
    "name of another": (
        _name,
        (
            "我的室友{}从来不跟我说话。",
            "班上有个男生叫{}，总是嘲笑我。",
            "我喜欢上了{}，可是不敢说。",
            "昨天{}又当着全班的面骂我。",
            "我和{}吵了一架，到现在没和好。",
            "同桌{}把我的本子扔了。",
            "那个人名叫{}。",
            "我男朋友{}提了分手。",
            "{}说我装病。",
            "班长{}和我是初中同学。",
        ),
    ),
    "name with title": (
        lambda rng: (
            rng.choice(SURNAMES.replace("向", ""))
            + rng.choice(["老师", "同学", "阿姨", "叔叔", "医生", "教授", "主任", "学姐", "校长"])
        ),
        (
            "{}找我谈过一次话。",
            "我不敢看{}的眼睛。",
            "后来{}给我妈打了电话。",
            "上次{}说我可以试试别的办法。",
            "我去问了{}，她没理我。",
        ),
    ),
    "nickname": (
        lambda rng: (
            rng.choice(["小", "小", "小", "老", "阿"])
            + rng.choice(
                "王李张刘陈杨黄赵吴周徐孙朱胡郭林罗郑梁宋唐许韩冯邓曹彭曾肖董袁潘蒋蔡丁沈姚卢明芳丽红军娟敏玲琴"
            )
        ),
        (
            "我最好的朋友{}转学了。",
            "{}也不理我了。",
            "我跟{}说了这件事，他没当回事。",
            "大家都叫我{}。",
            "您好，我是{}。",
            "其实{}人挺好的。",
        ),
    ),
    "name masked": (
        lambda rng: rng.choice(SURNAMES) + rng.choice(["某", "某某", "XX", "某"]),
        ("同班的{}一直针对我。", "我前任{}又来找我。", "{}在群里发了我的照片。"),
    ),
    "school": (
        lambda rng: rng.choice(SCHOOLS),
        (
            "我在{}读书。",
            "我是{}的学生。",
            "去年考上了{}，但是不开心。",
            "{}的压力真的很大。",
            "高中在{}，每天学到半夜。",
        ),
    ),
    "place": (
        lambda rng: rng.choice(PLACES),
        (
            "我家在{}，每年才回一次。",
            "从{}转学过来以后没有朋友。",
            "我爸妈在{}打工。",
            "我一个人在{}上学。",
            "他约我去{}见面。",
        ),
    ),
    "date": (_date, ("{}那天他跳下去了。", "我的生日是{}。", "从{}开始我就睡不着。", "{}考完试以后就这样了。")),
    "age": (
        lambda rng: rng.choice(
            [
                f"{rng.randint(11, 25)}岁",
                f"{rng.choice(['十', '二十'])}{rng.choice('一二三四五六')}岁",
                f"{rng.randint(11, 25)}周岁",
            ]
        ),
        ("我今年{}。", "我{}，女生。", "{}那年父母离了婚。", "弟弟才{}，什么都不懂。"),
    ),
    "address": (
        lambda rng: (
            rng.choice(["人民", "解放", "中山", "新华", "建设"])
            + rng.choice(["路", "街", "大道"])
            + f"{rng.randint(2, 300)}号"
        ),
        ("我住在{}，一出门就遇到他。", "他每天在{}门口等我。"),
    ),
}

# Written after the first rules, then looked at.
FURTHER: dict[str, tuple[str, ...]] = {
    "mobile": (
        "麻烦回个电话，{}。",
        "紧急联系人写的是{}，其实没人接。",
        "手机{}微信同号",
        "她让我打给{}问问。",
    ),
    "landline": (
        "热线{}我打过，排不上。",
        "办公室：{}",
        "从{}打来的我都不接。",
    ),
    "qq": (
        "我Q号{}，在线等。",
        "QQ群里有人发了他的qq {}",
        "扣我{}。",
        "小号QQ{}也被她拉黑了。",
    ),
    "wechat": (
        "V信：{}",
        "我的微信{}，验证写咨询。",
        "vx是{}",
        "微博叫{}的那个人就是他。",
    ),
    "email": (
        "文件发我{}吧",
        "联系方式：{}",
        "老师的邮箱是{}，我写了删删了写。",
    ),
    "url": (
        "原帖在这里{}",
        "点开{}全是嘲笑我的话。",
        "我把日记放在{}了",
    ),
    "national id": (
        "他拿{}注册了账号。",
        "证件号{}不能改。",
        "我{}的身份被冒用。",
    ),
    "account": (
        "卡号{}，每月都要还。",
        "我把{}发给了他，钱就没了。",
    ),
    "student number": (
        "我的考号{}，查不到分。",
        "宿舍门上写着学号{}。",
    ),
    "own name": (
        "本人{}，在校生。",
        "我是{}的话，大概早就放弃了。",
        "这里是{}，又失眠了。",
        "叫我{}就好。",
        "署名：{}",
        "我姓名{}，预约了今天。",
        "我是新来的{}。",
        "名字写{}就可以了。",
        "我叫做{}，读高二。",
    ),
    "name of another": (
        "后来才知道是{}告的密。",
        "{}不理我以后，整个寝室都不理我。",
        "老师当众表扬了{}，我心里很酸。",
        "我妈天天拿{}跟我比。",
        "听说{}也休学了。",
        "跟我同班的{}住院了。",
        "我跟闺蜜{}绝交了。",
        "分手以后{}还给我发消息。",
        "其实{}没有错，是我太敏感。",
        "看到{}和别人走在一起我就难受。",
        "那次{}帮我解了围。",
        "我把秘密告诉{}以后就后悔了。",
        "新转来的{}坐我旁边。",
        "我哥{}已经不读书了。",
        "除了{}没有人跟我说话。",
    ),
    "name with title": (
        "听{}讲课我会走神。",
        "隔壁班的{}总盯着我。",
        "给{}发了消息，没有回。",
        "教我们的{}很凶。",
        "我最怕{}点名。",
        "是{}建议我来的。",
        "{}在办公室训了我一小时。",
    ),
    "nickname": (
        "和{}一起长大的。",
        "那天{}哭了很久。",
        "不是{}的错。",
        "我喊了一声{}，没人应。",
        "只有{}懂我。",
        "{}，我对不起你。",
        "听{}说你们这里可以咨询。",
    ),
    "name masked": (
        "那个{}天天骚扰我。",
        "我跟{}是网友。",
        "作案的是{}，我亲眼看见。",
        "后来{}退学了。",
        "我举报了{}。",
    ),
    "school": (
        "{}毕业以后就没见过面。",
        "听说{}的心理老师很好。",
        "我弟在{}。",
        "保送{}的名额给了别人。",
    ),
    "place": (
        "下个月要去{}集训。",
        "{}的冬天太冷了。",
        "老家{}的，不会说普通话。",
        "在{}租了房子陪读。",
    ),
    "date": (
        "{}是我爸的忌日。",
        "约在{}复诊。",
        "医生让我{}再来。",
    ),
    "age": (
        "{}的我什么都没有。",
        "我妹{}。",
        "到了{}还是一个人。",
    ),
    "address": (
        "快递寄到{}，他就知道我住哪了。",
        "家住{}。",
    ),
}

# Written after the rules were, and left as they came out: the honest half. Who changes the rules by looking at them moves them up
# and writes new ones.
HELD_OUT: dict[str, tuple[str, ...]] = {
    "mobile": (
        "有事就拨{}吧。",
        "{}是我爸的号，不要打给他。",
        "备注：{}（晚上十点后）",
    ),
    "landline": (
        "我拨了{}，没人。",
        "学校总机{}转心理室。",
    ),
    "qq": (
        "加一下，QQ {}。",
        "群主的qq是{}，你可以问他。",
    ),
    "wechat": (
        "我wx：{}",
        "微信名改成{}了，还是被她找到。",
    ),
    "email": (
        "发到{}也行。",
        "{}这个邮箱我不用了。",
    ),
    "url": (
        "可以看{}，里面有截图。",
        "群里转了{}。",
    ),
    "national id": (
        "我报一下身份证，{}。",
        "他记得我的身份证号码{}。",
    ),
    "account": (
        "打到{}就行。",
        "农行{}，户名不是我。",
    ),
    "student number": (
        "我学号是{}，能帮我改一下预约吗？",
        "准考证号{}被我弄丢了。",
    ),
    "own name": (
        "我这边是{}。",
        "请叫我{}吧，别叫同学。",
        "我的真名叫{}，别告诉别人。",
        "预约人：{}",
        "我，{}，今年复读。",
    ),
    "name of another": (
        "我发现{}偷看了我的日记。",
        "小组里还有{}，从来不干活。",
        "为什么{}什么都比我好。",
        "她最好的朋友是{}。",
        "他们都围着{}转。",
        "我梦到{}了。",
        "如果{}在就好了。",
    ),
    "name with title": (
        "没想到{}会当众念我的检讨。",
        "除了{}，没有老师愿意听我说。",
        "下节是{}的课。",
    ),
    "nickname": (
        "我只告诉过{}。",
        "昨晚{}给我发了很长的消息。",
        "{}他爸也打人。",
    ),
    "name masked": (
        "我被{}骗了三次。",
        "{}是隔壁学校的。",
        "班里的{}又在起哄。",
    ),
    "school": (
        "被{}录取的那天我没有笑。",
        "转到{}以后更糟了。",
        "我从{}退学了。",
    ),
    "place": (
        "小时候在{}长大。",
        "考到{}去了。",
        "想离开{}。",
    ),
    "date": (
        "截止到{}还没消息。",
        "{}是我们的纪念日。",
    ),
    "age": (
        "都{}了还这么没用。",
        "我是{}的男生。",
    ),
    "address": (
        "地址是{}，三楼。",
        "他在{}等了我一夜。",
    ),
}

# Sentences in which nothing may be replaced: words that look like names, schools, places, numbers.
ORDINARY = tuple(
    [
        "我每天只睡四个小时，上课的时候总走神。",
        "小组作业都是我一个人做的，小心翼翼地怕得罪人。",
        "小学的时候我还挺开朗的，小说也看得多。",
        "我是高三的学生，马上就要高考了。",
        "我是高中生，高一的时候成绩还可以。",
        "我是独生女，从小什么都要自己扛。",
        "我叫不出她的名字，我是真的记不住人。",
        "任课老师都说我变了，我向老师请教也没用。",
        "连老师都放弃我了，全班同学都不理我。",
        "和同学吃饭的时候我总是安静地听。",
        "我和老师说过，老师让我和同学好好相处。",
        "对于同学的看法我特别在意，对方同学也没道歉。",
        "于是我常常一个人走，何必呢，何况也没人在乎。",
        "任何事情都提不起劲，万一失败了怎么办。",
        "我许多天没有出门，余下的时间都在睡觉。",
        "高兴的时候很少，温柔的人也会离开我。",
        "这次考了589分，年级第37名，离重点线差12分。",
        "我从2019年开始就这样，到现在好几年了。",
        "三月份的时候状态最差，九月开学以后好一点。",
        "十几岁的人心思重，几岁的时候我就这样了。",
        "体重从一百二十斤掉到九十斤，瘦了30斤。",
        "我看了10000多字的帖子，还是不明白。",
        "王者荣耀打到凌晨，金钱观也出了问题。",
        "黄昏的时候最难过，夏天也觉得冷。",
        "毛病越来越多，石头一样压在心里。",
        "方法都试过了，方向也没有，方便的话帮帮我。",
        "白天上课晚上失眠，白费力气。",
        "成长的路上总要经历这些，成绩不代表一切。",
        "常识告诉我不该这样，常常又忍不住。",
        "我是周末才回家的，周围没有人懂我。",
        "我是马上要毕业的大学生，马虎的性格改不了。",
        "我是单亲家庭，单独面对他们的时候很害怕。",
        "我是金牛座，水瓶座的人都很奇怪。",
        "老公和老婆吵架的事我不想听，老是这样。",
        "老人家身体不好，老家也回不去。",
        "阿姨在楼下喊我，我不敢应。",
        "这所大学不是我想去的，那所中学也不好。",
        "重点高中竞争太激烈，普通中学又怕被看不起。",
        "我的大学生活一团糟，上了大学以后更孤单。",
        "我想考研，可是英语和政治都不行。",
        "中国的父母都这样吧，美国的电影里不是这样的。",
        "江湖义气害了我，钱也花光了。",
        "严重的时候喘不上气，严格的家教让我喘不过气。",
        "谢谢你愿意听我说，谢天谢地终于说出来了。",
        "许愿也没有用，许久没有笑过了。",
        "付出了那么多，付之东流。",
        "熊猫一样的黑眼圈，龙卷风一样的情绪。",
        "路上遇到同学我会绕开，街上人多我就慌。",
        "住在学校宿舍四楼，312寝室，六个人。",
        "期末考了三次，分别是61分、58分和72分。",
        "我打了好几个电话都没人接，微信也不回。",
        "QQ空间里全是她的动态，微信朋友圈我屏蔽了。",
        "我加了他的微信，但是从来不敢说话。",
        "邮箱里收到了拒信，网站上也查不到。",
        "我叫了外卖，叫了好几声都没人理。",
        "我是男生，但是我很爱哭。",
        "我是不是病了，我是认真的。",
        "他是班里的班长，她是学习委员。",
        "那个老师很凶，这位同学挺好的。",
        "小声说话，小事也会想很久，小区里没有朋友。",
        "小时候被关在家里，小偷一样地活着。",
        "万一同学问起来，我就说没事。",
        "时间过得很快，时老是想起以前的事。",
        "向同学求助也没用，向父母开口更难。",
        "安慰我的人很少，安全感几乎没有。",
        "明白是明白，明天又会忘记。",
        "祝福我吧，祝你好运。",
        "康复需要时间，康乐的日子回不来了。",
        "关心我的人不多，关于未来我没有想法。",
        "华丽的外表下面很空虚，段时间以来都这样。",
        "段考之后我就崩溃了，汤也喝不下。",
        "程度越来越深，程序都背下来了。",
        "陈旧的观念，陈述的时候我会哭。",
        "张口就骂人，张望半天也没有人。",
        "胡思乱想停不下来，胡乱吃药。",
        "余生很长，余光里都是嘲笑。",
        "彭彭的心跳，心怦怦跳个不停。",
        "杨柳都绿了，梅花开了，我还是这样。",
        "雷声一响我就害怕，孟母三迁的故事听了一百遍。",
        "马路对面就是学校，牛马一样地学习。",
        "黎明前最黑，童年没有快乐。",
        "汪汪叫的狗吓到我了，叶子都掉光了。",
        "万物都没有颜色，千万别告诉我妈。",
        "武断的评价，武术课我都请假了。",
        "孔子说的道理我都懂，孟子也背过。",
        "史学是我的专业，田径队把我除名了。",
    ]
)


@dataclass(frozen=True)
class Plant:
    """A sentence with an identity of a kind in it."""

    kind: str
    text: str
    what: str


def plants(seed: int = SEED, each: int = PLANTS, *, held_out: bool = False) -> list[Plant]:
    """`each` plants of every kind, drawn with a seed."""
    rng = random.Random(seed + held_out)
    found = []
    for kind, (draw, sentences) in KINDS.items():
        sentences = HELD_OUT[kind] if held_out else (*sentences, *FURTHER[kind])
        for number in range(each):
            what = draw(rng)
            found.append(Plant(kind, sentences[number % len(sentences)].format(what), what))
    return found


def _left(plant: Plant, replaced: str) -> bool:
    """Is the identity, or a telling piece of it, still there?"""
    what = plant.what
    if plant.kind in ("own name", "name of another"):
        pieces = {what[:2], what[-2:]}
    elif plant.kind == "school":
        pieces = {what[:2]}
    elif len(what) >= 6 and what.isascii():
        pieces = {what[:4], what[-4:]}
    else:
        pieces = {what}
    return any(piece in replaced for piece in pieces)


def _figures(found: list[Plant], replace: Callable[[str], str]) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {kind: {"planted": 0, "found": 0} for kind in KINDS}
    for plant in found:
        kinds[plant.kind]["planted"] += 1
        kinds[plant.kind]["found"] += not _left(plant, replace(plant.text))

    def recall(of: Iterable[str]) -> float:
        names = list(of)
        return round(sum(kinds[kind]["found"] for kind in names) / sum(kinds[kind]["planted"] for kind in names), 4)

    return {
        "planted": len(found),
        "recall_numbers_and_handles": recall(NUMBERS),
        "recall_names": recall(kind for kind in KINDS if "name" in kind),
        "recall_all": recall(KINDS),
        "kinds": {kind: {**of, "recall": round(of["found"] / of["planted"], 4)} for kind, of in kinds.items()},
    }


def measure(replace: Callable[[str], str]) -> dict[str, Any]:
    """Recall by kind, on the sentences the rules were made with (`seen`) and on those written afterwards (`held_out`); and how
    many of the ordinary sentences were changed. `replace` makes of a text the text without identities."""
    return {
        "seen": _figures(plants(), replace),
        "held_out": _figures(plants(held_out=True), replace),
        "ordinary_sentences": len(ORDINARY),
        "ordinary_changed": sum(replace(text) != text for text in ORDINARY),
    }
