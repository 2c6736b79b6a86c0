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
from pathlib import Path

import rjieba
import yaml

DATA_FILES = ("identity_words.yaml",)
LISTS: dict[str, str] = yaml.safe_load(Path(__file__).with_name(DATA_FILES[0]).read_text(encoding="utf-8"))


def _listing(name: str) -> frozenset[str]:
    """The words of a list; of a list of single characters, the characters."""
    words = LISTS[name].split()
    return frozenset(words) if name in WORD_LISTS else frozenset("".join(words))


def _either(name: str) -> str:
    """The words of a list as a pattern, the longer ones first."""
    return "|".join(sorted(_listing(name), key=lambda word: (-len(word), word)))


def _one_of(name: str) -> str:
    """The characters of a list as a pattern."""
    return f"[{''.join(sorted(_listing(name)))}]"


WORD_LISTS = frozenset({"compound", "titles", "relations", "ordinary", "not_nicks", "cities", "generic", "abbreviated"})
SURNAMES, WORDLIKE, COUNTERS = _listing("surnames"), _listing("wordlike"), _listing("counters")
NAMELIKE, SINGLE, STOPS = _listing("namelike"), _listing("single"), _listing("stops")
ORDINARY, NOT_NICKS, CITIES, GENERIC = (
    _listing("ordinary"),
    _listing("not_nicks"),
    _listing("cities"),
    _listing("generic"),
)
COMPOUND, TITLES, RELATIONS, SURNAME = _either("compound"), _either("titles"), _either("relations"), _one_of("surnames")
ABBREVIATED = re.compile(_either("abbreviated"))
# What may follow a name.
AFTER = re.compile(
    r"[，。,.！!？?、；;：:\s”\"’）)】…~～]|$|和|跟|与|同|的|说|是|也|都|又|还|就|却|在|给|对|把|被|让|叫|找|约|骂|打|问|告|知|来|去|从|没|不|总|老|一直|经常|突然|提|要|想|会|能|很|太|真|最|已|曾|竟|居然|后来|因|因为|为|人|这|那|他|她|当|以|站|走|坐|看|笑|哭|发|写|送|喜|喊|当着"
)

CONTACTS: tuple[tuple[str, str], ...] = (
    ("网址", r"(?:https?://|www\.)[\w./?=&%#:~+@!,;-]+"),
    ("邮箱", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("证件号", r"(?<![\dA-Za-z])\d{17}[\dXx](?![\dA-Za-z])"),
    ("电话", r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"),
    ("电话", r"(?<!\d)0\d{2,3}[- ]\d{7,8}(?!\d)"),
    ("电话", r"(?<!\d)400-?\d{3}-?\d{4}(?!\d)"),
    ("银行卡", r"(?<!\d)(?:\d{4}[ -]?){3,4}\d{3,4}(?!\d)"),
    ("QQ", r"(?:[Qq]{1,2}|扣扣?|企鹅|球球)(?:号码|号)?[^\d\n，。]{0,4}(?<!\d)(?P<it>[1-9]\d{4,11})(?!\d)"),
    (
        "微信",
        r"(?:微信|薇信|威信|[Vv][Xx]|[Ww][Xx]|[Vv]信|抖音|微博|小红书|快手|B站|账号|帐号)[^A-Za-z\d\n，。]{0,5}(?P<it>[A-Za-z][\w-]{5,19}|\d{6,12})",
    ),
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
    (
        "地点",
        r"[\u4e00-\u9fff]{2,5}?(?:路|街|巷|大道|弄)[0-9一二三四五六七八九十百]{1,5}号(?:楼|院)?(?:\d{1,4}[室栋单元]{1,2}){0,3}",
    ),
)
AGE = re.compile(
    r"(?<![\d多几])(?P<it>[1-9]\d?|[一二三四五六七八九]?十[一二三四五六七八九]?|[一二三四五六七八九两])\s*(?:周岁|岁)(?!月)"
)
CALLED = re.compile(
    rf"(?P<how>(?<=[我他她人生孩友个，字姐妹哥弟桌长学])叫做?|叫我|称呼我|名叫|叫做|名字是|姓名[是为：:]|取名|本人|这里是|署名[是为：:]|落款[是为：:]|自称|我是)\s*(?=(?P<it>(?:{COMPOUND})[\u4e00-\u9fff]{{1,2}}|{SURNAME}[\u4e00-\u9fff]{{1,2}}))"
)
RELATED = re.compile(
    rf"(?:{RELATIONS})(?=(?P<it>(?:{COMPOUND})[\u4e00-\u9fff]{{1,2}}|{SURNAME}[\u4e00-\u9fff]{{1,2}}))"
)
# Anywhere: a surname, and characters that given names are made of.
ANYWHERE = re.compile(rf"(?=(?P<it>(?:{COMPOUND}){_one_of('namelike')}{{1,2}}|{SURNAME}{_one_of('namelike')}{{1,2}}))")
TITLED = re.compile(rf"(?=(?P<it>(?:{COMPOUND})|{SURNAME}[\u4e00-\u9fff]{{0,2}}?)(?P<title>{TITLES}))")
NICKED = re.compile(rf"(?P<it>[小老阿](?:{SURNAME}|{_one_of('nicked_given')}))")
MASKED = re.compile(rf"(?P<it>(?![于向任管]){SURNAME}(?:某某|某人|某(?![个种些件次])|[Xx×＊*]{{1,2}}))")
SCHOOL = re.compile(
    r"(?P<kind>大学|学院|中学|小学|高中|初中|附中|附小|实验学校|职校|技校|职高|[一二三四五六七八九十]中(?!学))"
)
SCHOOL_PARTS = re.compile(
    r"第?[一二三四五六七八九十\d]+|师范|理工|科技|实验|外国语|外语|财经|医科|工业|农业|林业|交通|民族|职业|技术|职业技术|电子|邮电|政法|体育|艺术|音乐|美术|中医药|附属|市|县|省|区|镇|国际|双语|育才|希望"
)
PLACE = re.compile(rf"(?:{_either('cities')})[市省]?")
FULLWIDTH = {**{0xFF01 + offset: 0x21 + offset for offset in range(94)}, 0x3000: 0x20}
FULLWIDTH = {code: plain for code, plain in FULLWIDTH.items() if chr(plain).isalnum() or chr(plain) in "+-@._: /"}
CLAUSE_END = re.compile(r"[，。,.！!？?、\s]|$")
# Where these find nothing, none of the patterns can: most turns are let through at once.
HINT_CONTACT = re.compile(r"\d{4}|[A-Za-z@][\w.@-]{2}")
HINT_DATE = re.compile(
    r"\d\s*[年月/.-]|年[一二三四五六七八九十]|月[初一二三四五六七八九十]|[路街巷道弄][\d一二三四五六七八九十百]"
)
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
    return (
        len(tagged) == 1
        and not tagged[0][1].startswith("nr")
        and tagged[0][1] != "x"
        and len(word) > 1
        and _listed(word)
    )


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
    if (
        at == start
        and len(word) > 1
        and not tag.startswith("nr")
        and _known(word)
        and not (compound and word == compound[0])
    ):
        return False
    if (
        name in ORDINARY
        or name[:2] in ORDINARY
        or _known(name)
        or (not compound and _known(name[:2]) and not (at == start and len(word) == 1))
    ):
        return False
    given = name[2:] if compound else name[1:]
    if all(char in NAMELIKE for char in given) and not (len(given) == 1 and given in STOPS):
        return True
    return (sure or (at == start and word == name and tag.startswith("nr"))) and not any(
        char in STOPS for char in given
    )


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
                fits = whole or (
                    apart and not (len(given) == 2 and last == given and last_tag[0] in "vdcpru" and _listed(last))
                )
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
            if (
                at == start
                and len(word) > 1
                and not tag.startswith("nr")
                and word != it + match["title"]
                and _listed(word)
            ):
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
        at, word, _ = words.at(start)
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


def _before_title(text: str, start: int) -> bool:
    """A wordlike surname counts before a title only at the beginning of a clause or after a verb of meeting: 找何老师, not 任何老师."""
    return start == 0 or text[start - 1] in "，。！？；：、\n 找叫是被让问给和跟的见了看次来怕听由"


def _schools(text: str, words: Words) -> Iterator[Found]:
    """A school with a name: 浙江大学, 海宁市第三中学, 衡水一中; not 这所大学, 普通中学."""
    for match in SCHOOL.finditer(text):
        begin, end = match.start("kind"), match.end("kind")
        numbered = (
            len(match["kind"]) == 2 and match["kind"].endswith("中") and match["kind"][0] in "一二三四五六七八九十"
        )
        at, word, tag = words.at(begin)
        named = False
        if at < begin:
            if at + len(word) != end or word[: begin - at] in GENERIC or word in ORDINARY:
                continue
            begin, named = at, numbered or (_listed(word) and (tag == "nt" or word[:2] in CITIES))
        while begin > 0:
            before, word, tag = words.at(begin - 1)
            if (
                word in CITIES
                or (word[:-1] in CITIES and word[-1] in "市省")
                or re.fullmatch(r"第[一二三四五六七八九十\d]+", word)
            ):
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
        if match[0] in ORDINARY:
            continue  # 幸福安康
        if at == start and (
            last + len(ending) == end or len(match[0]) > 2 or (word == match[0][:2] and match[0][-1] in "市省")
        ):
            yield Found(start, end, "地点")


CONTACT_PATTERNS = tuple(
    (kind, re.compile(pattern, re.ASCII if kind in ("网址", "邮箱") else 0)) for kind, pattern in CONTACTS
)
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
    kinds: dict[str, str] = {}

    def put(kind: str, what: str) -> str:
        # What was a QQ number where it was announced is one where it stands alone.
        kind = kinds.setdefault(what, kind)
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
