"""What every rule has, by the text of the rules: a message, and of what it shows in the report a caption, a category and labels."""

import re

from conftest import ROOT

from mindgauge.plan import PAGED

CATEGORIES = {
    "Data": ("result", "source"),
    "Labels": ("result",),
    "Training": ("result", "model", "variant"),
    "Export": ("result", "model", "variant"),
    "Evaluation": ("result", "model", "variant"),
}
FILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


def rules():
    for file in FILES:
        for part in re.split(r"(?m)^(?=(?:rule|checkpoint) \w+:)", file.read_text(encoding="utf-8"))[1:]:
            yield re.match(r"\w+ (\w+):", part)[1], part


def marked():
    for name, text in rules():
        for found in re.finditer(r"report\(\n(.*?)\n        \),", text, re.DOTALL):
            body = found[1]
            path = re.search(r'"([^"]+)"', body)[1]
            caption = re.search(r'caption="\.\./report/(\w+\.rst)"', body)
            category = re.search(r'category="(\w+)"', body)
            labels = dict(re.findall(r'"(\w+)": "([^"]+)"', body.partition("labels=")[2]))
            yield name, path, caption and caption[1], category and category[1], labels


def test_every_rule_has_a_message_that_names_what_it_is_about():
    said = {}
    for name, text in rules():
        message = re.search(r'    message:\n        "([^"]+)"\n', text)
        assert message, name
        said[name] = message[1]
        outputs = text.partition("    output:\n")[2].partition("    log:")[0]
        for wildcard in set(re.findall(r"\{(\w+)\}", outputs)) - {"key"}:
            assert f"{{wildcards.{wildcard}}}" in message[1], (name, wildcard)
    assert len(said) > 50 and len(set(said.values())) == len(said)


def test_everything_in_the_report_has_caption_category_and_labels():
    found = list(marked())
    assert len(found) > 20
    for _, path, caption, category, labels in found:
        assert caption and (ROOT / "report" / caption).read_text(encoding="utf-8").strip(), path
        assert tuple(labels) == CATEGORIES[category], path
        assert path.endswith((".png", ".html")), f"Snakemake's viewer does not show {path}"
    used = {caption for _, _, caption, _, _ in found} | {"workflow.rst"}
    assert used == {file.name for file in (ROOT / "report").glob("*.rst")}


def test_the_pages_of_the_rules_are_those_the_plan_asks_for():
    pages = [path for _, path, *_ in marked() if path.startswith("results/.pages/")]
    assert len(set(pages)) == len(pages) == sum(map(len, PAGED.values()))
