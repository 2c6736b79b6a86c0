"""Pages of JSON files, and the views that are such pages."""

import re
from pathlib import Path

import pytest

from mindgauge.errors import UserError
from mindgauge.files import write_json, write_text
from mindgauge.linking import link
from mindgauge.pages import page
from mindgauge.store import Store


def test_figures_are_tables_and_text_is_escaped():
    text = page(
        "m",
        {
            "n": 3,
            "share": 0.123456,
            "ok": True,
            "none": None,
            "by_label": {"a": {"f1": 0.5}, "b": {"f1": 1.0, "n": 2}},
            "name": "<b>",
        },
    )
    assert "<tr><td>share</td><td>0.1235</td></tr>" in text and "<td>yes</td>" in text and "<td>–</td>" in text
    assert "<thead><tr><th></th><th>f1</th><th>n</th></tr></thead>" in text
    assert "<tr><td>a</td><td>0.5</td><td></td></tr><tr><td>b</td><td>1</td><td>2</td></tr>" in text
    assert "<b>" not in text and "&lt;b&gt;" in text and not re.search("https?:", text)


def test_parts_of_more_than_a_screen_are_folded():
    text = page("m", {"Q4_K_M": {"few_ones": {"d": 1}, "e": [1, {"f": 2}]}, "many": [[1] for _ in range(400)]})
    assert "<details open><summary>Q4_K_M</summary>" in text and "<details open><summary>few ones</summary>" in text
    assert "<details><summary>many</summary>" in text
    assert text.count("<details") == text.count("</details>")


@pytest.mark.parametrize("value", [None, 1, [], {}, [[1, 2], [3]], [{"a": 1}, {"a": 2}], {"a": {}}, "x"])
def test_every_shape_has_a_page(value):
    assert page("m", value).endswith("</html>\n")


def test_a_view_below_pages_is_a_page_and_others_are_links(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store, where, key = Store(tmp_path / "results/.store"), "unify/" + "0" * 20, "0" * 20
    write_json(tmp_path / f"results/.recipes/{where}.json", {"store": {"path": "results/.store", "group": False}})
    aside = store.aside(where)
    write_json(aside / "stats.json", {"rows": 7})
    store.put(where, aside, {}, {})
    stamp = Path(f"results/.entries/unify/{key}")
    write_text(stamp, where)
    views = [Path("results/data/stats.json"), Path("results/.pages/data/stats.html")]
    link(stamp, views, None, False)
    assert views[0].is_symlink() and not views[1].is_symlink()
    assert "<h1>data · stats</h1>" in views[1].read_text() and "<td>7</td>" in views[1].read_text()
    with pytest.raises(UserError, match=re.escape("holds no other.json")):
        link(stamp, [Path("results/.pages/data/other.html")], None, False)
