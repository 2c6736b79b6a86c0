"""README.md and README.zh-CN.md say the same: whoever changes one has to change the other."""

import re
from collections import Counter
from collections.abc import Iterator

import documents
from conftest import ROOT

ENGLISH, CHINESE = documents.READMES
EACH_OTHER = {ENGLISH, CHINESE}


def sections(path: str) -> list[tuple[int, list[str]]]:
    """Level and lines of each section, fenced blocks left out."""
    found: list[tuple[int, list[str]]] = []
    for _, line in documents.parts(path)[0]:
        if heading := re.match(r"(#+) ", line):
            found.append((len(heading[1]), []))
        found[-1][1].append(line)
    return found


def bare(text: str) -> list[str]:
    """The lines of a block without comments, which are in the reader's language."""
    return [re.sub(r"\s+# .*", "", line) for line in text.splitlines()]


def both(of) -> Iterator[tuple[int, object, object]]:
    for number, pair in enumerate(zip(sections(ENGLISH), sections(CHINESE), strict=True), 1):
        yield number, *(of("\n".join(lines)) for _, lines in pair)


def differing(of) -> list[str]:
    return [f"section {number}: {first} / {second}" for number, first, second in both(of) if first != second]


def test_each_links_to_the_other_at_the_top():
    for path, other in ((ENGLISH, CHINESE), (CHINESE, ENGLISH)):
        assert documents.links(path)[0][1] == other and documents.links(path)[0][0] <= 3


def test_the_sections_are_the_same():
    assert [level for level, _ in sections(ENGLISH)] == [level for level, _ in sections(CHINESE)]


def test_the_blocks_are_the_same():
    first, second = ([(b.language, bare(b.text)) for b in documents.parts(p)[1]] for p in (ENGLISH, CHINESE))
    assert first == second


def test_the_blocks_are_commented_alike():
    first, second = (
        [len(re.findall(r"\s# ", block.text)) for block in documents.parts(path)[1]] for path in (ENGLISH, CHINESE)
    )
    assert first == second


def test_links_and_images_are_the_same():
    def of(text):
        return Counter(target for target in re.findall(r"\]\(([^)\s]+)\)", text) if target not in EACH_OTHER)

    assert not differing(of)


def test_code_is_the_same():
    assert not differing(lambda text: Counter(re.findall(r"`([^`]+)`", text)))


def test_figures_are_the_same():
    def of(text):
        text = re.sub(r"\]\([^)]*\)|`[^`]*`", " ", text)
        return Counter(re.findall(r"\d+(?:[.,]\d+)*", text))

    assert not differing(of)


def test_lists_tables_and_paragraphs_are_the_same():
    def of(text):
        return Counter(re.match(r"- |\||> |!\[|", line)[0] for line in text.splitlines() if line.strip())

    assert not differing(of)


def test_the_chinese_one_is_chinese():
    text = (ROOT / CHINESE).read_text(encoding="utf-8")
    assert len(re.findall(r"[\u4e00-\u9fff]", text)) > 1000
    for _, line in documents.parts(CHINESE)[0]:
        outside = re.sub(r"`[^`]*`|\([^)]*\)", "", line)
        assert not re.search(r"[\u4e00-\u9fff][,;:?!]", outside), f"a half-width sign in: {line}"
