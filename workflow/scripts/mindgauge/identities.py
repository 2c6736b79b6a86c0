"""Identities: what names a person or leads to one, replaced by typed placeholders such as `[姓名1]`, the same one for the same
thing within a record. Ages become bands of five years.

Numbers, handles, dates and addresses are patterns. Names, schools and places are patterns too, but each finding must agree with
the words a segmenter cuts (rjieba, jieba's dictionary and HMM in Rust): `高三学生` is no surname 高, `小时` no nickname. What was
tried and left out: phonenumbers and python-stdnum find valid numbers only, and a mistyped one names a person as well; the
segmenter's own person tag alone takes 安静, 明白 and 谢谢 for names (docs/performance.md has the figures).
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import rjieba

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施牛洪安常乔赖庞樊兰殷齐伍葛翟柳鲁岳俞裴阮欧童柯梅游易章邢倪申伊凌霍辛管祝左涂尤宁骆纪"
COMPOUND = "欧阳|司马|上官|诸葛|慕容|皇甫|令狐|夏侯|司徒|东方|南宫|独孤|尉迟|长孙|宇文"
# Surnames that are everyday words: with a title or 小 alone they are no name.
WORDLIKE = frozenset("于向任何高方白万钱金石安常时明水温康牛易管左宁江马雷龙毛叶孔章祝辛尤欧伊游梅黄武贺顾段程史")
# Characters that given names are mostly made of, and those that follow 小 alone.
NAMELIKE = frozenset("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚玲桂兰英华玉秀珍红梅建国文志海燕春花雪林峰辉波宁鹏飞宇浩轩然博雅琪佳怡欣悦涵曦晨阳思远雨婷俊豪若嘉懿诺航诗可馨语桐立新天佑庆晓东子梓一鑫淼森炎昊睿哲瀚铭泽楷恒毅凯旭彤颖倩蕾薇莹瑶璐珊琳瑜瑾瑞祥荣富贵福康健安乐仁义礼智信忠孝廉德才学成功胜利光亮星月云霄龙虎凤鸣翔翼骏驰腾达通顺昌盛兴旺发展进步升腾宏伟大少小卫保民爱党生根本源泉清澈洁冰霜雯露霖沐沛渊润泓涌涟漪潇湘江河湖川岳嵩岩石磐坚固钢铁铜金银钰钧锋锐剑戈弓舟帆朗晴朝暮曙晖晗昕昱昭昀景秋冬夏颜紫青蓝绿丹朱白素黛墨竹菊莲荷蓉芙芸芝苗蕊萱蓓蕙茜茹莎菲菡苒若莉莘婉婧妍妮姝娴婕媛嫣婵嫦娅娇柔惠慧心忆念恩慈悠恬愉愿意情怀谦诚诗书礼琴棋画画韵音律歌舞舒展延庭廷启元亨利贞乾坤正直方圆中和谐均衡奇伦卓越群英豪侠士君帝王皇臣相尔其乃亦也之以")
NICKED_GIVEN = "明芳丽红军娟敏玲琴婷静杰伟磊艳勇霞兰莉萍鹏辉斌轩琪瑶佳怡欣悦涵晨峰浩哲凯旭彤颖倩蕾"
TITLES = "老师|同学|阿姨|叔叔|伯伯|医生|大夫|教授|主任|校长|院长|教练|师傅|先生|女士|小姐|学姐|学长|学弟|学妹|师兄|师姐|师弟|师妹|老板|经理|警官|哥哥|姐姐|弟弟|妹妹|奶奶|爷爷|姐|哥|总|导"
RELATIONS = "室友|舍友|同桌|前桌|后桌|同学|朋友|男友|女友|男朋友|女朋友|闺蜜|闺密|班长|班主任|老师|导师|辅导员|表哥|表姐|表弟|表妹|堂哥|堂姐|堂弟|堂妹|弟弟|妹妹|哥哥|姐姐|前任|前男友|前女友|对象|网友|学长|学姐|学弟|学妹|师兄|师姐|男生|女生|同事|邻居|喜欢上了|喜欢上|喜欢|暗恋|认识了|遇到了|遇见了|爱上了|爱上"
# What may follow a name, and what may stand before one that no relation announces.
AFTER = re.compile(r"[，。,.！!？?、；;：:\s”\"’）)】…~～]|$|和|跟|与|同|的|说|是|也|都|又|还|就|却|在|给|对|把|被|让|叫|找|约|骂|打|问|告|知|来|去|从|没|不|总|老|一直|经常|突然|提|要|想|会|能|很|太|真|最|已|曾|竟|居然|后来|因|因为|为|人|这|那|他|她|当|以|站|走|坐|看|笑|哭|发|写|送|喜|喊|当着")
STOPS = "的了是在我你他她它们这那有和就不也都很说要去会着没看好自己上还能对吗吧呢啊么个人时后前里来过得地把被让给从跟向为以之与及或但而且因所如若虽然可只又再才已最更太真每各某另几多少些什怎哪谁何啥嘛呀哦哈唉哎喂嗯呃常总老是叫做"
NUMERAL = "零〇一二三四五六七八九十百两\\d"
# Provinces and cities at prefecture level, and some county cities. The segmenter's own place tag is of no use: 东西, 长大, 城市.
CITIES = frozenset(
    "北京 上海 天津 重庆 石家庄 唐山 秦皇岛 邯郸 邢台 保定 张家口 承德 沧州 廊坊 衡水 太原 大同 阳泉 长治 晋城 朔州 晋中 运城 忻州 临汾 吕梁 呼和浩特 包头 乌海 赤峰 通辽 鄂尔多斯 呼伦贝尔 巴彦淖尔 乌兰察布 沈阳 大连 鞍山 抚顺 本溪 丹东 锦州 营口 阜新 辽阳 盘锦 铁岭 葫芦岛 长春 吉林 四平 辽源 通化 白山 松原 白城 延边 哈尔滨 齐齐哈尔 鸡西 鹤岗 双鸭山 大庆 伊春 佳木斯 七台河 牡丹江 黑河 绥化 南京 无锡 徐州 常州 苏州 南通 连云港 淮安 盐城 扬州 镇江 泰州 宿迁 昆山 江阴 杭州 宁波 温州 嘉兴 湖州 绍兴 金华 衢州 舟山 台州 丽水 义乌 海宁 慈溪 合肥 芜湖 蚌埠 淮南 马鞍山 淮北 铜陵 安庆 黄山 滁州 阜阳 宿州 六安 亳州 池州 宣城 福州 厦门 莆田 三明 泉州 漳州 南平 龙岩 宁德 晋江 南昌 景德镇 萍乡 九江 新余 鹰潭 赣州 吉安 宜春 抚州 上饶 济南 青岛 淄博 枣庄 东营 烟台 潍坊 济宁 泰安 威海 日照 临沂 德州 聊城 滨州 菏泽 郑州 开封 洛阳 平顶山 安阳 鹤壁 新乡 焦作 濮阳 许昌 漯河 三门峡 南阳 商丘 信阳 周口 驻马店 济源 武汉 黄石 十堰 宜昌 襄阳 鄂州 荆门 孝感 荆州 黄冈 咸宁 随州 恩施 长沙 株洲 湘潭 衡阳 邵阳 岳阳 常德 张家界 益阳 郴州 永州 怀化 娄底 湘西 广州 深圳 珠海 汕头 佛山 韶关 湛江 肇庆 江门 茂名 惠州 梅州 汕尾 河源 阳江 清远 东莞 中山 潮州 揭阳 云浮 南宁 柳州 桂林 梧州 北海 防城港 钦州 贵港 玉林 百色 贺州 河池 来宾 崇左 海口 三亚 三沙 儋州 成都 自贡 攀枝花 泸州 德阳 绵阳 广元 遂宁 内江 乐山 南充 眉山 宜宾 广安 达州 雅安 巴中 资阳 西昌 凉山 贵阳 六盘水 遵义 安顺 毕节 铜仁 昆明 曲靖 玉溪 保山 昭通 丽江 普洱 临沧 大理 红河 拉萨 日喀则 昌都 林芝 西安 铜川 宝鸡 咸阳 渭南 延安 汉中 榆林 安康 商洛 兰州 嘉峪关 金昌 白银 天水 武威 张掖 平凉 酒泉 庆阳 定西 陇南 西宁 海东 银川 石嘴山 吴忠 固原 中卫 乌鲁木齐 克拉玛依 吐鲁番 哈密 喀什 和田 阿克苏 伊犁 石河子 香港 澳门 台北 高雄 台中 台南 河北 山西 辽宁 江苏 浙江 安徽 福建 江西 山东 河南 湖北 湖南 广东 广西 海南 四川 贵州 云南 西藏 陕西 甘肃 青海 宁夏 新疆 内蒙古 黑龙江".split()
)
# Words the dictionary tags as places or persons that are neither.
ORDINARY = frozenset("许诺 孙子 余生 王子 唐诗 钟爱 张大 张开 施暴 施加 施展 顾客 顾虑 顾及 毛绒绒 安逸 戴眼镜 钱可以 方刚 任教 孔子 孟子 白天 白云 长安 安康 平安 永安 高山 平静 大同 和平 太原始 太和 明水 安宁 安静 文静 明白 明智 谢谢 祝福 幸福感 安全感 高三 康复 关怀 宁静 温柔 高兴 华为 常常 和谐 金钱 方法 白玫瑰 段时间 连连 任性 任务 马上 何必 何况 易怒 万一 万分 于是 白白 常识 程度 石头 许多 余下 向往 方便 方向 严重 严格 安慰 成长 江湖 黄昏 夏天 毛病 童年 黎明 雷声 梅花 叶子 龙卷风 熊猫 孔雀 胡思 汤圆 钟头 施压 左右 管教 柳树 章节 游戏 易燃 辛苦 洪水 凌晨 纪念 申请 岳父 岳母 鲁莽 尤其 祝愿 武断 武侠 左边 牛奶 牛仔 牛马 金牛 康乐 安心 安排 安抚 安稳 白纸 白眼 高考 高数 高中 高一 高二 高手 高压 高冷 万万 万事 万物 万能 方式 方面 石化 常年 常规 温暖 温和 温馨 马虎 马路 向上 向前 向来 任由 任课 任何".split())

CONTACTS: tuple[tuple[str, str], ...] = (
    ("网址", r"(?:https?://|www\.)[\w./?=&%#:~+@!,;-]+"),
    ("邮箱", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("证件号", r"(?<![\dA-Za-z])\d{17}[\dXx](?![\dA-Za-z])"),
    ("电话", r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"),
    ("电话", r"(?<!\d)0\d{2,3}[- ]\d{7,8}(?!\d)"),
    ("电话", r"(?<!\d)400-?\d{3}-?\d{4}(?!\d)"),
    ("银行卡", r"(?<!\d)(?:\d{4}[ -]?){3,4}\d{3,4}(?!\d)"),
    ("QQ", r"(?:[Qq]{1,2}|扣扣?|企鹅|球球)(?:号码|号)?[^\d\n，。]{0,4}(?<!\d)(?P<it>[1-9]\d{4,11})(?!\d)"),
    ("微信", r"(?:微信|薇信|威信|[Vv][Xx]|[Ww][Xx]|[Vv]信|抖音|微博|小红书|快手|B站|账号|帐号)[^A-Za-z\d\n，。]{0,5}(?P<it>[A-Za-z][\w-]{5,19}|\d{6,12})"),
    ("账号", r"(?P<it>@[\w\u4e00-\u9fff-]{2,20})(?=[\s，。]|$)"),
    ("学号", r"(?:学号|考号|准考证号?|工号|编号)[^\d\n，。]{0,4}(?P<it>[A-Za-z]?\d{5,14})"),
    ("号码", r"(?<![\d.])\d{7,14}(?![\d.]|多|个|元|块|人|次|字)"),
)
DATES: tuple[tuple[str, str], ...] = (
    ("日期", r"(?<!\d)(?:19|20)\d{2}\s*年\s*\d{1,2}\s*月(?:份)?(?:\s*\d{1,2}\s*[日号])?"),
    ("日期", r"(?<!\d)(?:19|20)\d{2}([-/.])\d{1,2}\1\d{1,2}(?!\d)"),
    ("日期", r"(?<!\d)\d{1,2}\s*月\s*\d{1,2}\s*[日号]"),
    ("日期", r"[二一][零〇一二三四五六七八九]{3}年[一二三四五六七八九十]{1,3}月(?:[一二三四五六七八九十]{1,3}[日号])?"),
    ("日期", r"[一二三四五六七八九十]{1,2}月(?:初[一二三四五六七八九十]|[一二三四五六七八九十]{1,3}[日号])"),
    ("地点", r"[\u4e00-\u9fff]{2,5}?(?:路|街|巷|大道|弄)[0-9一二三四五六七八九十百]{1,5}号(?:楼|院)?(?:\d{1,4}[室栋单元]{1,2}){0,3}"),
)
AGE = re.compile(r"(?<![\d多几])(?P<it>[1-9]\d?|[一二三四五六七八九]?十[一二三四五六七八九]?|[一二三四五六七八九两])\s*(?:周岁|岁)(?!月)")
CALLED = re.compile(rf"(?P<how>(?<=[我他她人生孩友个，字姐妹哥弟桌长学])叫做?|叫我|称呼我|名叫|叫做|名字是|姓名[是为：:]|取名|本人|这里是|署名[是为：:]|落款[是为：:]|自称|我是)\s*(?=(?P<it>(?:{COMPOUND})[\u4e00-\u9fff]{{1,2}}|[{SURNAMES}][\u4e00-\u9fff]{{1,2}}))")
RELATED = re.compile(rf"(?:{RELATIONS})(?=(?P<it>(?:{COMPOUND})[\u4e00-\u9fff]{{1,2}}|[{SURNAMES}][\u4e00-\u9fff]{{1,2}}))")
# Anywhere: a surname, and characters that given names are made of.
ANYWHERE = re.compile(
    rf"(?=(?P<it>(?:{COMPOUND})[{''.join(sorted(NAMELIKE))}]{{1,2}}|[{SURNAMES}][{''.join(sorted(NAMELIKE))}]{{1,2}}))"
)
TITLED = re.compile(rf"(?=(?P<it>(?:{COMPOUND})|[{SURNAMES}][\u4e00-\u9fff]{{0,2}}?)(?P<title>{TITLES}))")
NICKED = re.compile(rf"(?P<it>[小老阿](?:[{SURNAMES}]|[{NICKED_GIVEN}]))")
MASKED = re.compile(rf"(?P<it>(?![于向任管])[{SURNAMES}](?:某某|某人|某(?![个种些件次])|[Xx×＊*]{{1,2}}))")
SCHOOL = re.compile(r"(?P<kind>大学|学院|中学|小学|高中|初中|附中|附小|实验学校|职校|技校|职高|[一二三四五六七八九十]中)(?=(?P<after>.?))")
SCHOOL_PARTS = re.compile(r"第?[一二三四五六七八九十\d]+|师范|理工|科技|实验|外国语|外语|财经|医科|工业|农业|林业|交通|民族|职业|技术|职业技术|电子|邮电|政法|体育|艺术|音乐|美术|中医药|附属|市|县|省|区|镇|国际|双语|育才|希望")
GENERIC = frozenset("美国 英国 法国 德国 日本 韩国 外国 国外 本科 三本 二本 一本 重点 普通 初 高 海洋 老年 商 这所 那所 名牌 好 理想 中国".split())
PLACE = re.compile(rf"(?:{'|'.join(sorted(CITIES, key=len, reverse=True))})[市省]?")
ABBREVIATED = re.compile("人大附中|湖南师大|哈工大|北师大|华师大|北大|清华|复旦|浙大|武大|同济|厦大|川大|华科|西电|上交|中传|央美|北影|衡中")
FULLWIDTH = {**{0xFF01 + offset: 0x21 + offset for offset in range(94)}, 0x3000: 0x20}
FULLWIDTH = {code: plain for code, plain in FULLWIDTH.items() if chr(plain).isalnum() or chr(plain) in "+-@._: /"}
# Given names of one character that are no words of their own after a surname.
SINGLE = frozenset("明军平红波峰辉斌云龙飞琴珍秀凤莲梅芳娜敏静丽磊洋艳勇娟涛超霞刚玲兰英燕鹏宇轩琪佳怡欣悦涵晨婷俊豪嘉懿诺馨桐鑫淼炎昊睿哲瀚铭楷毅凯旭彤颖倩蕾薇莹瑶璐珊琳瑜瑾雯沐洁妍妮婧媛嫣娇慧伟强杰斌楠")
# Surnames that count things after a number.
COUNTERS = frozenset("张周段章项卷")
CLAUSE_END = re.compile(r"[，。,.！!？?、\s]|$")
# Where these find nothing, none of the patterns can: most turns are let through at once.
HINT_CONTACT = re.compile(r"\d{4}|[A-Za-z@][\w.@-]{2}")
HINT_DATE = re.compile(r"\d\s*[年月/.-]|年[一二三四五六七八九十]|月[初一二三四五六七八九十]|[路街巷道弄][\d一二三四五六七八九十百]")
WIDE = re.compile(r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff20]")
SPELLED = re.compile(r"[零〇一二三四五六七八九幺]{11}")


@dataclass(frozen=True, slots=True)
class Found:
    """An identity in a text: where it stands, and of which kind."""

    start: int
    end: int
    kind: str


class Words:
    """The words of a text with their tags, by position."""

    def __init__(self, text: str) -> None:
        self.words: list[tuple[str, str]] = rjieba.tag(text)
        self.starts = [0, *accumulate([len(word) for word, _ in self.words])][: len(self.words)]

    def at(self, position: int) -> tuple[int, str, str]:
        """Start, word and tag of what covers a position."""
        number = bisect_right(self.starts, position) - 1
        return (self.starts[number], *self.words[number])

    def ordinary(self, start: int, end: int) -> int:
        """How many words of the dictionary that are tagged neither as person nor as place nor as institution lie within."""
        count = 0
        for number in range(bisect_right(self.starts, start) - 1, len(self.starts)):
            if self.starts[number] >= end:
                break
            word, tag = self.words[number]
            known = len(word) > 1 and tag[:2] not in ("nr", "ns", "nt", "nz") and word[:2] not in CITIES
            count += known and word[:1] not in "小老阿" and _listed(word)
        return count

    def begins(self, position: int) -> bool:
        """Does a word begin here?"""
        number = bisect_right(self.starts, position) - 1
        return self.starts[number] == position


@cache
def _known(word: str) -> bool:
    """Is it a word of the dictionary as a whole, and no person's name?"""
    if word in ORDINARY:
        return True
    tagged = rjieba.tag(word)
    return len(tagged) == 1 and not tagged[0][1].startswith("nr") and tagged[0][1] != "x" and len(word) > 1 and _listed(word)


@cache
def _listed(word: str) -> bool:
    """Cut without the HMM a word stays whole only if the dictionary has it."""
    return rjieba.cut(word, False) == [word]


def _is_name(words: Words, start: int, name: str, *, sure: bool) -> bool:
    """Can `name` at `start` be a person's? Not if an everyday word begins there, nor if the segmenter sees it inside one.
    Given names are of characters such names are made of; where what stands before announces a name (`sure`), of any but particles."""
    at, word, tag = words.at(start)
    if at < start and _listed(word):
        return False  # the surname is the end of another word: 对方, 一向
    compound = re.match(COMPOUND, name)
    if at == start and len(word) > 1 and not tag.startswith("nr") and _known(word) and not (compound and word == compound[0]):
        return False
    if name in ORDINARY or name[:2] in ORDINARY or _known(name) or (
        not compound and _known(name[:2]) and not (at == start and len(word) == 1)
    ):
        return False
    given = name[2:] if compound else name[1:]
    if all(char in NAMELIKE for char in given) and not (len(given) == 1 and given in STOPS):
        return True
    return (sure or (at == start and word == name and tag.startswith("nr"))) and not any(char in STOPS for char in given)


def _fit(words: Words, text: str, start: int, longest: str, *, sure: bool) -> int:
    """The end of the name that begins at `start`, at most `longest`; 0 if there is none. The longer reading is taken if what
    follows it can follow a name and the segmenter does not begin a word inside it."""
    least = 3 if re.match(COMPOUND, longest) else 2
    for length in range(len(longest), least - 1, -1):
        name, end = longest[:length], start + length
        if not _is_name(words, start, name, sure=sure):
            continue
        inner, word, _ = words.at(end - 1)
        if inner + len(word) > end and inner > start and _listed(word):
            continue  # its last character belongs to an everyday word that goes on
        if length > least and inner == end - 1 and name[-1] in STOPS and not AFTER.match(text, end):
            continue
        if AFTER.match(text, end) or (inner + len(word) == end and all(char in NAMELIKE for char in name[1:])):
            return end
    return 0


def _announced(text: str, words: Words) -> Iterator[Found]:
    """Names that what stands before them announces: 我叫…, 室友…"""
    for pattern in (CALLED, RELATED):
        for match in pattern.finditer(text):
            start, own = match.start("it"), pattern is CALLED and match["how"] == "我是"
            end = _fit(words, text, start, match["it"], sure=pattern is CALLED and not own)
            if end and (not own or CLAUSE_END.match(text, end)):
                yield Found(start, end, "姓名")


def _unannounced(text: str, words: Words) -> Iterator[Found]:
    """Names by their shape alone: surname and given name of likely characters, cut as no everyday words. Of two characters only
    where the segmenter agrees or a person's doing follows."""
    for match in ANYWHERE.finditer(text):
        start, longest = match.start("it"), match["it"]
        at, word, tag = words.at(start)
        # The HMM may have put what stands before into a word of its own making: 听小王.
        guessed = not _listed(word)
        if (at != start and not guessed) or (start and words.at(start - 1)[2] == "m" and longest[0] in COUNTERS):
            continue
        compound = re.match(COMPOUND, longest)
        for name in (longest, longest[:-1]):
            if len(name) < (3 if compound else 2):
                break
            end, given = start + len(name), name[2 if compound else 1 :]
            last_at, last, last_tag = words.at(end - 1)
            if last_at + len(last) != end or not _is_name(words, start, name, sure=False):
                continue
            person = tag[:2] == "nr" and at + len(word) == end
            whole = person and at <= start and (guessed or len(name) > 2 or given in SINGLE)
            if not whole and (name[0] == "曾" or (name[0] in WORDLIKE and last_tag[:2] != "nr")):
                continue
            if len(name) == 2:
                fits = whole or (at + len(word) == start + 1 and given in SINGLE and AFTER.match(text, end))
            else:
                # The given name is one word to the segmenter, or two of one character; a verb it knows is none.
                apart = last_at > start and (last_at == end - len(given) or len(last) == 1)
                fits = whole or (apart and not (len(given) == 2 and last == given and last_tag[0] in "vdcpru" and _listed(last)))
            if fits:
                yield Found(start, end, "姓名")
                break


def _titled(text: str, words: Words) -> Iterator[Found]:
    """王老师, 李阿姨: the surname or name before a title."""
    for match in TITLED.finditer(text):
        start, it = match.start("it"), match["it"]
        at, word, tag = words.at(start)
        if at != start and _listed(word):
            continue
        if len(it) == 1:
            if it in "向于任" or (it in WORDLIKE and not _before_title(text, start)):
                continue
            if at == start and len(word) > 1 and not tag.startswith("nr") and word != it + match["title"] and _listed(word):
                continue
            if len(match["title"]) == 1 and len(words.at(match.start("title"))[1]) > 2:
                continue
        elif len(match["title"]) == 1 or not _is_name(words, start, it, sure=False):
            continue
        yield Found(start, start + len(it), "姓名")


def _nicked(text: str, words: Words) -> Iterator[Found]:
    """小王, 老李, 阿明; not 小时, 老师, 阿姨."""
    for match in NICKED.finditer(text):
        start, it, end = match.start("it"), match["it"], match.end("it")
        at, word, tag = words.at(start)
        if (at != start and _listed(word)) or it in NOT_NICKS or (len(word) > 2 and _listed(word)):
            continue
        last_at, last, _ = words.at(end - 1)
        if last_at == end - 1 and len(last) > 1 and last[1:] != "说" and _listed(last):
            continue
        if it[1] in WORDLIKE and not AFTER.match(text, end):
            continue
        yield Found(start, end, "姓名")


def _names(text: str, words: Words) -> Iterator[Found]:
    for match in MASKED.finditer(text):
        if words.begins(match.start()) or not _listed(words.at(match.start())[1]):
            yield Found(match.start("it"), match.end("it"), "姓名")
    yield from _announced(text, words)
    yield from _unannounced(text, words)
    yield from _titled(text, words)
    yield from _nicked(text, words)


NOT_NICKS = frozenset("小王子 小胡子 小周末 小杨树 小林子 小丁点 小宇宙 小时 小组 小学 小心 小说 小孩 小区 小事 小声 小吃 小伙 小姐 小路 小雪 小雨 小花 小白 小康 小高 小方 小江 小龙 小马 小钱 小金 小石 小万 小牛 小常 小安 小温 小易 小章 小武 小程 小段 小史 小毛 小叶 小文 小平 小博 小华 小阳 小洋 小宇 老师 老公 老婆 老高 老向 老常 老任 老何 老温 老白 老时 老牛 老马 老龙 老方 老万 老安 老明 老于 老易 老左 老文 老华 老平 老超 老博 老洋 老雪 老雨 老红 老强 老刚 老兰 老梅 老燕 老静 老阳 老涛 阿姨 阿华田".split())


def _before_title(text: str, start: int) -> bool:
    """A wordlike surname counts before a title only at the beginning of a clause or after a verb of meeting: 找何老师, not 任何老师."""
    return start == 0 or text[start - 1] in "，。！？；：、\n 找叫是被让问给和跟的见了看次来怕听由"


def _schools(text: str, words: Words) -> Iterator[Found]:
    """A school with a name: 浙江大学, 海宁市第三中学, 衡水一中; not 这所大学, 普通中学."""
    for match in SCHOOL.finditer(text):
        begin, end = match.start("kind"), match.end("kind")
        numbered = len(match["kind"]) == 2 and match["kind"].endswith("中") and match["kind"][0] in "一二三四五六七八九十"
        at, word, tag = words.at(begin)
        named = False
        if at < begin:
            if at + len(word) != end or word[: begin - at] in GENERIC or word in ORDINARY:
                continue
            begin, named = at, numbered or (_listed(word) and (tag == "nt" or word[:2] in CITIES))
        while begin > 0:
            before, word, tag = words.at(begin - 1)
            if word in CITIES or (word[:-1] in CITIES and word[-1] in "市省") or re.fullmatch(r"第[一二三四五六七八九十\d]+", word):
                named = True
            elif word in GENERIC or not (SCHOOL_PARTS.fullmatch(word) or (tag in ("ns", "nt", "nrt") and named)):
                if not (text[begin] in "市县区镇" and len(word) in (2, 3) and tag[:1] == "n"):
                    break
                named = True
            begin = before
        if named or (numbered and text[begin:end] != match["kind"]):
            yield Found(begin, end, "学校")
    for match in ABBREVIATED.finditer(text):
        if words.at(match.start())[:2] == (match.start(), match[0]):
            yield Found(*match.span(), "学校")


def _places(text: str, words: Words) -> Iterator[Found]:
    for match in PLACE.finditer(text):
        start, end = match.span()
        at, word, _ = words.at(start)
        last, ending, _ = words.at(end - 1)
        if at == start and (last + len(ending) == end or len(match[0]) > 2 or (word == match[0][:2] and match[0][-1] in "市省")):
            yield Found(start, end, "地点")


CONTACT_PATTERNS = tuple((kind, re.compile(pattern, re.ASCII if kind in ("网址", "邮箱") else 0)) for kind, pattern in CONTACTS)
DATE_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in DATES)


def _numbers(text: str) -> Iterator[Found]:
    folded = text.translate(FULLWIDTH) if WIDE.search(text) else text
    patterns = CONTACT_PATTERNS if HINT_CONTACT.search(folded) else ()
    if HINT_DATE.search(folded):
        patterns = (*DATE_PATTERNS[:2], *patterns, *DATE_PATTERNS[2:])
    for kind, pattern in patterns:
        for match in pattern.finditer(folded):
            which = "it" if "it" in pattern.groupindex else 0
            yield Found(match.start(which), match.end(which), kind)
    for match in SPELLED.finditer(folded):
        yield Found(match.start(), match.end(), "电话")
    if "岁" in folded:
        for match in AGE.finditer(folded):
            yield Found(match.start(), match.end(), "年龄")


def find(text: str, words: Words | None = None) -> list[Found]:
    """The identities of a text, from the left, none over another: what was found by the surer rule stands."""
    chosen: list[Found] = []
    taken: set[int] = set()

    def take(candidates: Iterator[Found]) -> None:
        for found in candidates:
            span = range(found.start, found.end)
            if found.end > found.start and taken.isdisjoint(span):
                taken.update(span)
                chosen.append(found)

    words = words or Words(text)
    take(_numbers(text))
    take(_schools(text, words))
    take(_names(text, words))
    take(_places(text, words))
    return sorted(chosen, key=lambda found: found.start)


UNITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}


def _years(text: str) -> int:
    """16 or 十六 as a number."""
    digits = re.match(r"\d+", text)
    if digits:
        return int(digits[0])
    tens, ten, ones = text.partition("十")
    if not ten:
        return UNITS.get(text[:1], 0)
    return UNITS.get(tens, 1) * 10 + UNITS.get(ones[:1], 0)


def band(text: str) -> str:
    """An age as a band of five years: 十六岁 -> 年龄15-19."""
    low = _years(text.translate(FULLWIDTH)) // 5 * 5
    return f"年龄{low}-{low + 4}"


@dataclass(slots=True)
class Replaced:
    """The texts of a record without identities, how many of each kind were replaced, how many words the record has, and how
    many of them were words of the dictionary that are no name, replaced all the same."""

    texts: list[str]
    counts: dict[str, int]
    words: int
    ordinary: int


def replace(texts: list[str]) -> Replaced:
    """Puts placeholders into the texts of one record. A name or handle found once is replaced wherever it stands in it."""
    numbers: dict[tuple[str, str], int] = {}
    counts: dict[str, int] = {}

    def put(kind: str, what: str) -> str:
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "年龄":
            return f"[{band(what)}]"
        of_kind = sum(1 for known, _ in numbers if known == kind)
        return f"[{kind}{numbers.setdefault((kind, what), of_kind + 1)}]"

    whole = "\n".join(texts)
    words = Words(whole)
    spans = {(found.start, found.end): found.kind for found in find(whole, words)}
    # Full names and handles elsewhere in the record, where nothing announced them.
    for (start, end), kind in sorted(spans.items()):
        if end - start > 2 and kind != "年龄":
            for match in re.finditer(re.escape(whole[start:end]), whole):
                if not any(match.start() < e and s < match.end() for s, e in spans):
                    spans[match.span()] = kind
    parts, at, ordinary = [], 0, 0
    for (start, end), kind in sorted(spans.items()):
        parts += [whole[at:start], put(kind, whole[start:end])]
        at = end
        ordinary += kind in ("姓名", "地点", "学校") and words.ordinary(start, end)
    return Replaced(_back("".join([*parts, whole[at:]]), texts), counts, len(words.words), ordinary)


def _back(replaced: str, texts: list[str]) -> list[str]:
    """The joined text as turns again. No placeholder spans a line end."""
    lines = replaced.split("\n")
    result, at = [], 0
    for text in texts:
        count = text.count("\n") + 1
        result.append("\n".join(lines[at : at + count]))
        at += count
    return result

