"""Identities: what names a person, replaced by typed placeholders, the same one for the same thing within a record."""

import re

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
# In this order: the longer and surer first. A kind is the placeholder's name.
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("网址", re.compile(r"(?:https?://|www\.)[\w./?=&%#:~+-]+", re.ASCII)),
    ("邮箱", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)),
    ("身份证", re.compile(r"(?<!\d)\d{17}[\dXx](?![\dA-Za-z])")),
    ("电话", re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)")),
    ("电话", re.compile(r"(?<!\d)0\d{2,3}-\d{7,8}(?!\d)")),
    ("QQ", re.compile(r"(?<=[Qq扣])(?P<keep>[Qq扣]?(?:号)?(?:是|为|[:：])?\s*)[1-9]\d{4,11}(?!\d)")),
    (
        "微信",
        re.compile(
            r"(?:(?<=微信)|(?<=VX)|(?<=vx)|(?<=wx))(?P<keep>号?(?:是|为|[:：])?\s*)[A-Za-z][\w-]{5,19}", re.ASCII
        ),
    ),
    ("日期", re.compile(r"(?:19|20)\d{2}年\d{1,2}月(?:\d{1,2}[日号])?")),
    ("学校", re.compile(r"[\u4e00-\u9fff]{2,4}(?:市|省|县|区)第?[一二三四五六七八九十\d]{1,3}(?:中学|小学|中)")),
    (
        "姓名",
        re.compile(
            rf"(?P<keep>(?:我叫|我是|我的名字是|名叫|名字叫)\s*)[{SURNAMES}][\u4e00-\u9fff]{{1,2}}(?=[，。,.！!？?、\s]|$)"
        ),
    ),
    ("姓名", re.compile(rf"(?<![\u4e00-\u9fff])小[{SURNAMES}](?=[，。,.！!？?、：:\s])")),
    ("姓名", re.compile(rf"[{SURNAMES}](?:某某|某|先生|女士)(?![\u4e00-\u9fff]{{0}}人)")),
)


def replace(texts: list[str]) -> tuple[list[str], dict[str, int]]:
    """The texts of one record with placeholders such as `[电话1]`, and how many of each kind were put in."""
    numbers: dict[tuple[str, str], int] = {}
    counts: dict[str, int] = {}

    def put(kind: str, match: re.Match[str]) -> str:
        keep = match.groupdict().get("keep") or ""
        what = match[0][len(keep) :]
        of_kind = sum(1 for known, _ in numbers if known == kind)
        number = numbers.setdefault((kind, what), of_kind + 1)
        counts[kind] = counts.get(kind, 0) + 1
        return f"{keep}[{kind}{number}]"

    found = []
    for text in texts:
        for kind, pattern in PATTERNS:
            text = pattern.sub(lambda match, kind=kind: put(kind, match), text)  # type: ignore[misc]
        found.append(text)
    return found, counts
