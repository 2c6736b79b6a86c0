import ast
import base64
import gzip
import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from prediction_rows import row, sure

from mindgauge import cataloguing, charts, effort, provenance, reporting, sft, verdict, wording
from mindgauge.comparisons import compare, corrected
from mindgauge.figures import figures
from mindgauge.files import read_json, write_json
from mindgauge.gates import WORDS, Gates, chosen, decide, verify
from mindgauge.predictions import from_rows

PLANTED = {
    "planted": 40,
    "recall_numbers_and_handles": 0.987,
    "recall_names": 0.95,
    "recall_all": 0.96,
    "kinds": {"mobile": {"planted": 40, "found": 38}},
}


def answered(scheme, right, variant, first=0):
    """24 rows of which a planted predictor has the first `right` right and says the safest of the others."""
    values = [{field.name: field.values[n % len(field.values)] for field in scheme.fields} for n in range(24)]
    safe = {field.name: field.values[0] for field in scheme.fields}
    given = [value if n < right else safe for n, value in enumerate(values)]
    return from_rows(
        scheme,
        [
            row(first + n, values[n], given[n], probabilities=sure(scheme, given[n], 0.8), stopped=True)
            for n in range(24)
        ],
    )


def metrics(scheme, right, gold=True):
    """As the evaluation of a variant writes them, figures computed for real."""
    results = {}
    for way in ("constrained", "free"):
        of = {"test": {"figures": figures(answered(scheme, right, way), answered(scheme, 20, way, 900), resamples=50)}}
        results[way] = {
            **of,
            **({"gold": {"figures": figures(answered(scheme, right, way), resamples=50)}} if gold else {}),
        }
    return {
        "model": "m",
        "variant": "Q4_K_M",
        "size_bytes": 1_500_000,
        "sha256": "0" * 64,
        "constrained_rows_per_second": 3.0,
        "conversations": {"conversations": 2, "turns": [{"asked": 2, "valid": 1}]},
        "results": results,
    }


def inputs(tmp_path, scheme, gold):
    splits = {
        name: {
            "rows": 12,
            "groups": 10,
            "sources": {"s": 12},
            "fields": {field.name: {str(field.values[0]): 12} for field in scheme.fields},
        }
        for name in ("train", "val", "test", "gold")
    }
    few = {"fields": {scheme.alarms[0].name: {"violence": 3}}}
    agreed = {name: {"compared": 11, "agreed_share": 0.9, "alpha": 0.81, "qwk": 0.77} for name in scheme.names}
    files = {
        "ingest/stats.json": {
            "read": 20,
            "kept": 19,
            "quarantined": 1,
            "by_reason": {"no line begins with a role": 1},
            "files": 20,
            "encodings": {"gb18030": 20},
            "line_ends": {"CRLF": 20},
            "repeated_keys": 0,
        },
        "unify/stats.json": {
            "read": 19,
            "kept": 18,
            "sources": {
                "s": {
                    "kept": 18,
                    "dropped": {"the same words stand in another record": 1},
                    "turns": {"median": 9.0, "p90": 12.0},
                    "chars": {"median": 500.0, "p90": 900.0},
                }
            },
            "identities": {"姓名": 4},
            "words": 1000,
            "ordinary_words_replaced": 1,
            "over_replacement": 0.001,
            "identity_test": {
                "seen": PLANTED,
                "held_out": PLANTED,
                "ordinary_sentences": 80,
                "ordinary_changed": 1,
            },
        },
        "minimise/stats_min.json": {
            "kept": 12,
            "sources": {"s": {"kept": 12, "dropped": {"counsellor text under 80 characters": 6}}},
            "themes": {"s": {"exam": 7}},
            "student_test": {half: {"cases": 300, "precision": 1.0, "recall": 0.8} for half in ("seen", "held_out")},
        },
        "split/stats_split.json": {
            "records": 12,
            "groups": 10,
            "joined": 2,
            "largest": 2,
            "across_sources": 1,
            "pairs": {"same opening": 2},
        },
        "labels/stats.json": {
            "labeller": "2 voters",
            "voters": {
                "0-llama-cpp": {
                    "backend": "llama-cpp",
                    "file": "a.gguf",
                    "sha256": "a" * 64,
                    "prompt_sha256": "b" * 64,
                },
                "1-openai": {
                    "backend": "openai",
                    "model": "/srv/canary/model",
                    "file": None,
                    "sha256": None,
                    "prompt_sha256": "c" * 64,
                },
            },
            "records": 12,
            "labelled": 11,
            "without_a_label": 1,
            "doubtful": 2,
            "min_confidence": 0.5,
            "faults": {"the reasoning has no end": 1},
            "agreement": {"voters": 2, "fields": agreed, "sources": {"s": {"fields": agreed}}},
        },
        "labels/gold.json": {
            "n": 12 if gold else 0,
            "valid": 12,
            "fields": {
                name: {
                    "n": 12,
                    **of,
                    "per_value": {v: {**p, "precision_wilson": [0.1, 0.9]} for v, p in of["per_value"].items()},
                }
                for name, of in metrics(scheme, 20)["results"]["free"]["test"]["figures"]["fields"].items()
            },
            "any_risk": {
                "recall": 0.75,
                "miss_rate": 0.25,
                "support": 4,
                "miss_wilson": [0.05, 0.7],
                "false_alarm_rate": 0.1,
            },
        },
        "sft/stats.json": {
            "view": "client",
            "splits": splits,
            "left_out": {"doubtful": 2},
            "trained_on": {"rows": 18, "fields": {"risk_flag": {"none": 12, "suicidal": 6}}},
            "warnings": sft.few_in_test({**splits, "test": few}, scheme.alarms[0], 10),
            "stability": {"old": 11, "moved": 1},
            "leak": {
                "rows": 12,
                "of": 12,
                "median": 0.1,
                "p90": 0.2,
                "p99": 0.3,
                "max": 0.4,
                "near": 0,
                "near_from": 0.5,
            },
        },
        "baselines/majority/metrics.json": {**metrics(scheme, 0, gold), "size_bytes": None},
        "train/run.json": {
            "parameters": 1000,
            "trainable_parameters": 10,
            "seconds": 5400.0,
            "device": "A GPU",
            "resumed_from": "checkpoint-2",
            "base": {"hub": "an/owner" if gold else None, "revision": "c0ffee" if gold else None, "sha256": "d" * 64},
            "versions": {"python": "3.9.99"},
        },
        "train/log_history.json": [{"step": 1, "loss": 0.9}, {"step": 2, "eval_loss": 0.8}, {"step": 3, "loss": 0.7}],
        "train/train_results.json": {"steps": 3, "rows": 12, "shortened": 0},
        "train/eval_results.json": {"rows": 0},
        "merge/merge_check.json": {"fp32": {"max_abs_logit": 1e-6}, "bf16": {"same_top_token": 0.99}},
        "quantise/tensors.json": {
            "quant": "Q4_K_M",
            "bits_per_weight": 5.1,
            "fallback_share": 0.0,
            "size_bytes": 1_500_000,
            "tensors": {"Q4_K": 3},
        },
        "evaluate/metrics.json": metrics(scheme, 20, gold),
        "judge/comparison.json": {
            "test": corrected(
                [
                    {
                        "first": "merged",
                        "second": "f16",
                        **compare(answered(scheme, 22, "a"), answered(scheme, 20, "b"), resamples=50),
                    }
                ]
            ),
            "gold": [],
            "views": corrected(
                [
                    {
                        "first": "Q4_K_M, own view",
                        "second": "Q4_K_M, other view",
                        **compare(answered(scheme, 20, "a"), answered(scheme, 18, "b"), resamples=50),
                    }
                ]
            ),
        },
        "judge/gates.json": {
            "Q4_K_M": decide(
                Gates(),
                {"constrained": metrics(scheme, 20)["results"]["constrained"]["test"]["figures"]},
            )
        },
        "judge/verify.json": {
            "rows": 9,
            "tokens": 900,
            "variants": {
                "Q4_K_M": {
                    "gate": "fail",
                    "reasons": [],
                    "choice": {
                        "rows": 7,
                        "passed": "Q4_K_M",
                        "tries": [
                            {
                                "name": "Q2_K",
                                "gate": "fail",
                                "words": [decide(Gates(), {})["checks"][0]["words"]["reason"]],
                                "kld_mean": 0.3,
                                "size_bytes": 9,
                            },
                            {"name": "Q4_K_M", "gate": "pass", "words": [], "kld_mean": 0.01, "size_bytes": 9},
                        ],
                    },
                    "token_parity": 1.0,
                    "logits": {
                        "positions": 900,
                        "same_top": 890,
                        "max_abs_logit": 0.2,
                        "kld": {"mean": 0.012, "median": 0.01, "p99": 0.05, "p999": 0.07, "max": 0.08},
                    },
                    "flips": {"risk_flag": {"changed": 3, "n": 24}},
                    "risk": {"lost": ["a"], "won": []},
                    "free": {
                        "merged": {"n": 40, "valid": 40, "stopped": 40},
                        "Q4_K_M": {"n": 40, "valid": 39, "stopped": 40},
                    },
                }
            },
        },
    }
    measured = {
        "threads": 1,
        "prompt_tokens": 508,
        "prompt": {"median": 12345.6, "low": 12000.0, "high": 13000.0},
        "generation": {"median": 37.24, "low": 36.0, "high": 38.0},
        "answer_seconds": 0.912,
        "disturbed": True,
        "memory": {"peak_bytes": 67_000_000, "before_bytes": 46_000_000, "mapped_bytes": 1_400_000},
    }
    files["bench/bench.json"] = {
        "machine": {
            "cpu": "A CPU",
            "system": "Linux riscv64",
            "cores": 8,
            "memory_bytes": 2**34,
            "load_average": 0.25,
            "llama_cpp_python": "0.0.1",
            "llama_cpp_features": "CPU : RVV = 1",
        },
        "prompt_tokens": 600,
        "generated_tokens": 32,
        "repetitions": 5,
        "context": 540,
        "threads": [1, 2],
        "cores": 1,
        "left_out": [{"threads": 2, "reason": "more than the 1 core that could be used"}],
        "variants": {"Q4_K_M": {"size_bytes": 1_500_000, "measured": [measured]}},
    }
    for name, value in files.items():
        write_json(tmp_path / name, value)
    (tmp_path / "train/adapter_model.safetensors").write_bytes(b"x")
    singles = {name: tmp_path / name for name in ("unify", "minimise", "split", "labels", "sft", "baselines")}
    lists = {name: [tmp_path / name] for name in ("ingest", "train", "merge", "quantise", "evaluate", "judge", "bench")}
    params = {
        "title": "T",
        "notice": "synthetic",
        "version": "1.2.3",
        "price_per_gpu_hour": 2.0,
        "currency": "EUR",
        "watts_per_gpu": 400.0,
        "sources": ["s"],
        "models": ["m"],
        "seeds": {"stanza": {"m": 1}},
        "quantised": [["m", "Q4_K_M"]],
        "evaluated": [["m", "Q4_K_M"]],
        "labels": scheme.to_dict(),
    }
    return singles, lists, params


class Made:
    """What a report of the planted figures wrote, made once for all tests: plots take a while."""

    def __init__(self, directory: Path, scheme, gold, release=None):
        singles, lists, params = inputs(directory, scheme, gold)
        if release:
            gates = read_json(directory / "judge/gates.json")
            gates["Q4_K_M"]["release"] = release
            write_json(directory / "judge/gates.json", gates)
        reporting.report(singles, lists, params, directory / "out")
        self.page = (directory / "out/index.html").read_text()
        self.text = (directory / "out/results.txt").read_text()
        self.data = read_json(directory / "out/results.json")
        self.directory = str(directory)

    def section(self, name):
        """A page of the report, as text without the plots."""
        start = self.page.index(f'<section id="{name}"')
        return re.sub(r"<figure.*?</figure>", "", self.page[start : self.page.index("</section>", start)], flags=re.S)


@pytest.fixture(scope="module")
def made(scheme, tmp_path_factory):
    """Makes a report, or gives the one of the same arguments."""
    held = {}

    def make(gold=True, release=None):
        if (gold, release) not in held:
            with pytest.MonkeyPatch.context() as patch:
                if (gold, release) != (True, None):  # plots take seconds: one report has them
                    patch.setattr(charts, "drawn", lambda _: {"spec": "{}", "image": "data:,"})
                    patch.setattr(charts, "packed", lambda _: "")
                    patch.setattr(charts, "bundle", lambda: "")
                held[gold, release] = Made(tmp_path_factory.mktemp("report"), scheme, gold, release)
        return held[gold, release]

    return make


@pytest.mark.parametrize("gold", [True, False])
def test_the_page_says_what_matters(made, scheme, gold):
    of = made(gold)
    assert "not a diagnosis" in of.page and "12356" in of.page and "synthetic" in of.page
    # encodings, themes, identities, the student filter, leaks, warnings
    for part in (
        "20 gb18030",
        "exam 7",
        "98.7 %",
        "38 of 40",
        "80 %",
        "same opening",
        "reach 0.5",
        "3 of 3 rows are in test",
    ):
        assert part in of.section("data"), part
    for part in (
        "merged → f16",
        "ROC-AUC",
        "threshold chosen on",
        "<code>client</code>",
        "length: ",
        "1/2",
        "few",  # six cases of a class are no exact figure
        "<code>an/owner@c0ffee</code>" if gold else "a local directory",
        "d" * 64,
        "1.5 GPU-hours",
        "Energy: 0.6 kWh",
        "Cost: 3.00 EUR",
        "time is that of all its runs",
    ):
        assert part in of.section("model-m"), part
    assert "From seed to seed" in of.section("leaderboard")
    for part in (
        "the reasoning has no end",
        "llama-cpp",
        "a.gguf",
        "a" * 64,
        "b" * 64,
        "c" * 64,
        "(outside the clone)",
    ):
        assert part in of.section("labels"), part
    assert "canary" not in of.page and "canary" not in json.dumps(of.data)
    for part in ("MindGauge 1.2.3", "Python 3.9.99", "A GPU", "0.6", "3.00 EUR", "0" * 64, "A CPU"):
        assert part in of.section("software"), part
    if gold:
        assert "0.81" in of.section("labels") and "misses 25 %" in of.section("labels")
        assert "suicidal 6" in of.section("data") and "12 rows become 18" in of.section("data")
    else:
        assert "not known how good" in of.section("labels")
    assert "beats the majority baseline on 4 of 4 labels" in of.section("leaderboard")
    assert ("nothing is said about agreement with humans" in of.page) != gold
    assert "m Q4_K_M: better than the majority on 4 of 4 labels" in of.text and ("gold rows" in of.text) == gold
    assert of.data["beats_majority"]["m"]["Q4_K_M"] == list(scheme.names)


def test_the_page_stands_alone(made):
    page = made().page
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!["']?(?:data:|#))""", page)
    assert "https:" not in page and "http:" not in page and made().directory not in page
    assert "default-src 'none'" in page  # a browser would fetch nothing, whatever a script tries
    assert page.count('id="vega"') == 1
    packed = re.search(r'id="vega">([^<]+)<', page)[1]
    assert b"mindgaugeEmbed" in gzip.decompress(base64.b64decode(packed))
    assert len(page) < 6_000_000


def test_every_plot_has_an_image_and_a_specification_in_each_language(made):
    figures = re.findall(r'<figure class="plot">(.*?)</figure>', made().page, flags=re.S)
    assert len(figures) == 7  # loss, variants, confusion, reliability; forest, funnel, balance
    for figure in figures:
        for language in wording.LANGUAGES:
            part = figure[figure.index(f'<div lang="{language}">') :]
            image = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', part)[1]
            assert base64.b64decode(image).startswith(b"<svg")
            spec = json.loads(re.search(r'<script type="application/json">(.*?)</script>', part, flags=re.S)[1])
            assert "config" in spec and "<" not in re.search(r"json\">(.*?)</script>", part, flags=re.S)[1]


def test_confusion_and_calibration_of_quants_and_merged_are_folded_in(scheme):
    of = {
        "variants": {name: metrics(scheme, 20) for name in ("base", "merged", "f16", "Q8_0", "Q4_K_M")},
        "history": [],
    }
    assert list(reporting.detailed(of)) == ["Q4_K_M", "Q8_0", "merged"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "drawn", lambda _: {"spec": "{}", "image": "data:,"})
        drawn = reporting.model_plots(scheme, of)
    for kind in ("confusion", "reliability"):
        assert list(drawn[kind]) == ["Q4_K_M", "Q8_0", "merged"] and drawn[kind]["Q4_K_M"]["en"]["spec"]
        for name in ("Q8_0", "merged"):
            images = [gzip.decompress(base64.b64decode(image)) for image in drawn[kind][name].values()]
            assert all(image.startswith(b"<svg") for image in images) and images[0] != images[1]
            # What a variant more adds to the page.
            assert sum(map(len, drawn[kind][name].values())) < 20_000


class Cells(HTMLParser):
    """The sortable tables: by heading, what the cells below it sort by."""

    def __init__(self):
        super().__init__()
        self.tables, self.row, self.sorting = [], [], False

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        if tag == "table":
            self.sorting = "sortable" in of.get("class", "")
            if self.sorting:
                self.tables.append([])
        elif tag == "tr" and self.sorting:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.sorting:
            self.tables[-1][-1].append(of)


def test_cells_sort_by_numbers(made):
    parser = Cells()
    parser.feed(made().page)
    assert len(parser.tables) == 2  # against the labeller, against humans
    for heads, *rows in parser.tables:
        assert len(rows) == 2 and all(len(row) == len(heads) for row in rows)
        values = [float(cell["data-v"]) for row in rows for cell in row if "data-v" in cell]
        assert len(values) > 10 and all(value == value for value in values)
        # No word stands where numbers are sorted, and nothing sorts by both.
        for line in rows:
            assert not any("data-v" in cell and "data-words" in head for head, cell in zip(heads, line, strict=True))


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to run the page's script")
def test_the_script_sorts_speaks_chinese_and_shows_an_interactive_plot(made, tmp_path):
    def sorting(page):
        """Of the first sortable table: its headings, and by column what its rows sort by."""
        parser = Cells()
        parser.feed(page)
        heads, *rows = parser.tables[0]
        return heads, [[row[column].get("data-v") for row in rows] for column in range(len(heads))]

    _, before = sorting(made().page)
    column = next(n for n, values in enumerate(before) if None not in values and len({*values}) == 2)
    first, second = map(float, before[column])
    clicks = 1 if first < second else 2  # the first click puts the greatest on top
    click = f"""<script>
const heading = document.querySelector("table.sortable").tHead.rows[0].cells[{column}].querySelector("button");
for (let n = 0; n < {clicks}; n++) heading.click();
document.getElementById("language").click();
document.querySelector('figure.plot > div[lang=zh] button').click();
</script>"""
    (tmp_path / "page.html").write_text(made().page.replace("</body>", click + "</body>"), encoding="utf-8")
    asked = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    asked += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *asked, (tmp_path / "page.html").as_uri()], capture_output=True, text=True, timeout=300
    )
    page = done.stdout
    assert re.search(r'<html[^>]* lang="zh"', page), done.stderr[-2000:]
    heads, after = sorting(page)
    assert after[column] == before[column][::-1]
    assert heads[column]["aria-sort"] == ("descending" if clicks == 1 else "ascending")
    assert re.search(r'<div class="view vega-embed[^>]*>(?:(?!<button).)*<svg', page, re.DOTALL)


def test_without_scripts_everything_is_shown(made):
    page = made().page
    style = page[page.index("<style>") : page.index("</style>")].replace(" !important", "")
    hiding = [rule for rule in re.findall(r"([^{}]+)\{ display: none; \}", style) if "section" in rule]
    assert hiding and all(rule.strip().splitlines()[-1].startswith(".js ") for rule in hiding)
    assert re.findall(r"<(?:section|table|p|img)[^>]* hidden", page) == []


def test_both_languages_have_every_text_and_every_text_is_used():
    found = wording.catalogue()
    for key, texts in found.items():
        assert set(texts) == set(wording.LANGUAGES) and all(
            isinstance(text, str) and text for text in texts.values()
        ), key
        names = [set(re.findall(r"\{(\w+)\}", text)) for text in texts.values()]
        assert names[1] <= names[0], key
    library = Path(wording.__file__).parent
    written = "".join(
        path.read_text()
        for path in (*(library / "report_templates").glob("*.j2"), library / "reporting.py", library / "charts.py")
    )
    # Those of gates and steps are held below against what these say.
    made_up = ("release_", "misses_", "stage_", "half_", "baseline_", "variant_", "gate_", "instead_", "step_")
    assert [
        key for key in found if f'"{key}"' not in written and f"'{key}'" not in written and not key.startswith(made_up)
    ] == []


def all_checks():
    """A check of every kind that the gates know, in every way that it can end."""
    every = {
        **dict.fromkeys(("any_risk_recall_min", "json_valid_min", "stop_rate_min", "exact_match_min"), 0.5),
        **{"false_alarm_rate_max": 0.1, "same_top_min": 0.9},
        **{name: {"risk_flag": 0.5} for name in ("macro_f1_min", "qwk_min")},
    }
    risk = {"n": 9, "support": 4, "hits": 4, "false_alarms": 1, "wilson": [0.4, 1.0], "false_alarm_wilson": None}
    some = {"any_risk": risk, "n": 100, "exact": 0, "valid": 3, "stopped": 3}
    field = {"macro_f1": 0.1, "qwk": 0.9, "n": 99, "per_value": {"none": {"support": 50}}}
    some["fields"] = {"risk_flag": field}
    lost = {"differences": [{"what": "risk_flag/qwk", "difference": -0.1, "cases": 99, "low": None, "high": None}]}
    lost["risk"] = {"lost": ["a"], "found_by_first": 40}
    far = {"positions": 90, "same_top": 1, "max_abs_logit": 9.0, "kld": {"mean": 9.0}, "template": 0, "end_token": 0}
    for judge in ("estimate", "interval"):
        gates = Gates(judge=judge, **every)
        for full in ("f16", None):
            of = verify(gates, None, None, None, None, None, full=full)
            yield from decide(gates, {}, of)["checks"]
            of = verify(gates, some, {**some, "valid": 9, "stopped": 9}, lost, far, 0.5, full=full)
            yield from decide(gates, {"constrained": some, "free": some}, of)["checks"]
    yield from decide(Gates(any_risk_recall_min=None, json_valid_min=None), {})["checks"]
    for passed in ("Q4_K_M", None):
        yield chosen({"rows": 9, "passed": passed, "tries": [{"name": "Q4_K_M"}]})


def of_language(text, language):
    return "".join(re.findall(rf'<span lang="{language}">(.*?)</span>', str(text)))


ENGLISH = re.compile(r"[A-Za-z']{2,} [a-z']{2,} [a-z']{2,}")


def test_what_the_gates_say_is_said_in_both_languages():
    said = set()
    for check in all_checks():
        for name in ("reason", "instead"):
            parts = check["words"][name]
            said |= {part["key"] for part in parts}
            text = wording.sentence(parts)
            assert unescape(of_language(text, "en")) == check[name]
            assert not ENGLISH.search(of_language(text, "zh")), text
            assert bool(re.search("[一-鿿]", of_language(text, "zh"))) == bool(check[name])
    assert said == {*WORDS} == {key for key in wording.catalogue() if key.startswith(("gate_", "instead_"))}


def test_what_steps_say_is_said_in_both_languages():
    for key, texts in wording.catalogue().items():
        if key.startswith("step_"):
            text = texts["en"].format_map(dict.fromkeys(re.findall(r"\{(\w+)\}", texts["en"]), "7"))
            spoken = wording.told(text)
            assert unescape(of_language(spoken, "en")) == text and not ENGLISH.search(of_language(spoken, "zh"))
            assert of_language(spoken, "zh") == texts["zh"].format_map(
                dict.fromkeys(re.findall(r"\{(\w+)\}", texts["en"]), "7")
            )
    assert wording.told("<utf-8>") == "&lt;utf-8&gt;"
    assert "自此处起（约 3 KiB）：不是 JSON" in wording.told("not JSON from here on (about 3 KiB)")


def test_every_reason_that_a_reader_or_step_writes_has_its_words():
    """Read from the programs: the third part of every Broken, what a reader's `from_…` gives instead of a record, and what is dropped."""
    library = Path(wording.__file__).parent
    for path in (*sorted((library / "readers").glob("*.py")), *(library / f"{name}.py" for name in STEPS)):
        for reason in reasons_in(ast.parse(path.read_text())):
            assert "lang=" in wording.told(reason), f"{path.name}: {reason}"


STEPS = ("ingesting", "gold", "unifying", "minimising")


def reasons_in(tree):
    """The sentences that a program writes as reasons, `7` where something is filled in."""

    def text(node):
        if isinstance(node, ast.JoinedStr):
            return "".join(part.value if isinstance(part, ast.Constant) else "7" for part in node.values)
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""

    for node in ast.walk(tree):
        held = []
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Broken", "rest") and node.args:
            held = [node.args[-1]]
        elif isinstance(node, ast.Return):
            held = node.value.elts[1:] if isinstance(node.value, ast.Tuple) else [node.value]
        elif isinstance(node, ast.keyword) and node.arg == "reason":
            held = [node.value]
        yield from (said for one in held if re.search("[a-z] [a-z]", said := text(one)))


def test_no_english_sentence_stands_among_the_chinese_reasons(made):
    page = made().page
    cells = re.findall(r'<(?:td class="left[^"]* why"|li|div class="note")>(.*?)</(?:td|li|div)>', page, flags=re.S)
    shown = [re.sub(r'<span lang="en">.*?</span>', "", cell, flags=re.S) for cell in cells]
    shown = [re.sub(r"<[^>]*>", "", cell) for cell in shown if "lang=" in cell or "dropped" in cell]
    assert "3 行在测试数据中" in page and "要求至少" in page and "开头相同" in page and "把握不足" in page
    assert len(shown) > 5 and [cell for cell in shown if ENGLISH.search(cell)] == []


def test_what_is_put_into_a_text_is_escaped():
    assert "<b>" not in wording.both("n_of", n="<b>", of=1) and "&lt;b&gt;" in wording.both("n_of", n="<b>", of=1)


def test_the_answer_counts_as_the_figures_do(made):
    of = made()
    best = of.data["ranked"][0]
    found = verdict.figures_of(of.data["models"]["m"]["variants"]["Q4_K_M"], "test")
    risk = found["any_risk"]
    assert (best["model"], best["variant"], best["recall"], best["rows"]["test"]) == ("m", "Q4_K_M", risk["recall"], 24)
    by_value = {one["value"]: one for one in best["misses"]["test"]}
    assert (by_value[None]["missed"], by_value[None]["cases"]) == (risk["support"] - risk["hits"], risk["support"])
    assert by_value[None]["interval"] == risk["miss_wilson"]
    assert sum(one["missed"] for value, one in by_value.items() if value) == by_value[None]["missed"]
    support = {value: part["support"] for value, part in found["fields"]["risk_flag"]["per_value"].items()}
    assert {value: one["cases"] for value, one in by_value.items() if value} == {
        v: n for v, n in support.items() if v != "none"
    }
    assert f"misses <strong>{by_value['suicidal']['missed']} of {support['suicidal']}</strong>" in of.section("answer")
    assert best["lost"] | {"differences": 0} == {
        "flipped": 3, "labels": 24, "risk_lost": 1, "risk_won": 0, "divergence": 0.012, "size_change": None, "differences": 0
    }  # fmt: skip


def test_an_invalid_answer_is_a_miss_and_another_alarm_is_none(scheme):
    values = [{field.name: field.values[0] for field in scheme.fields} | {"risk_flag": "suicidal"} for _ in range(4)]
    given = [values[0], {**values[1], "risk_flag": "violence"}, {**values[2], "risk_flag": "none"}, None]
    of = figures(from_rows(scheme, [row(n, values[n], given[n]) for n in range(4)]), resamples=20)
    found = {one["value"]: one for one in verdict.misses(scheme, of)}
    assert [found[None][part] for part in ("cases", "missed")] == [4, 2]
    assert [found["suicidal"][part] for part in ("cases", "missed", "another")] == [4, 2, 1]
    assert found["violence"]["cases"] == 0 and found["violence"]["interval"] is None


@pytest.mark.parametrize("release", ["pass", "fail"])
def test_the_answer_follows_the_gates(made, release):
    of = made(True, release)
    answer = of.section("answer")
    assert ("Deploy <strong>m Q4_K_M</strong>" in answer) == (release == "pass")
    assert ("Deploy none." in answer) == (release == "fail") == ("none passes the gates" in of.text)


def test_what_passes_comes_first_then_recall_then_size(scheme):
    def model(release, right, size):
        return {
            "verify": {"variants": {"q": {"flips": {}, "risk": None, "logits": {"kld": {"mean": 0.0}}}}},
            "comparison": {"test": []},
            "gates": {"q": {"release": release, "reasons": [], "checks": []}},
            "variants": {"q": {**metrics(scheme, right), "size_bytes": size}},
        }

    models = {
        "good_but_refused": model("fail", 24, 1),
        "large": model("pass", 20, 9),
        "small": model("pass", 20, 5),
        "worse": model("pass", 4, 1),
    }
    assert [one["model"] for one in verdict.candidates(scheme, models)] == [
        "small",
        "large",
        "worse",
        "good_but_refused",
    ]
    assert verdict.candidates(scheme, {}) == []


def test_hours_energy_and_cost():
    run = {"seconds": 7200.0, "resumed_from": None, "peak_memory_bytes": 5}
    models = {
        "gpu": {"run": {**run, "device": "A GPU"}, "variants": {"a": {"seconds": 30.0}, "b": {"seconds": 60.0}}},
        "cpu": {"run": {**run, "device": "cpu"}, "variants": {"a": {}}},
    }
    of = effort.effort(models, 3.0, 500.0)
    assert [(row["gpu_hours"], row["cost"], row["kwh"]) for row in of["rows"]] == [(2.0, 6.0, 1.0), (0.0, 0.0, 0.0)]
    assert (of["gpu_hours"], of["cost"], of["kwh"], of["evaluation"], of["training"]) == (2.0, 6.0, 1.0, 90.0, 14400.0)
    assert effort.effort(models)["cost"] is None and effort.effort(models)["kwh"] is None
    counted = {"energy_joules": 1.8e6, "fit": {"processes": 2}}
    models["gpu"]["run"] |= counted
    models["gpu"]["variants"]["a"] |= {"device": "A GPU", "constrained_seconds": 3570.0}
    (of, _) = effort.effort(models, 3.0, 500.0)["rows"]
    assert (of["gpu_hours"], of["cost"], of["kwh"], of["evaluation"]) == (5.0, 15.0, 1.0, 3660.0)
    assert effort.effort(models)["kwh"] is None  # the evaluation's is known by no one
    del models["gpu"]["variants"]["a"]["device"]
    assert effort.effort({"gpu": models["gpu"]})["kwh"] == 0.5


def test_the_software_is_that_of_the_manifests(tmp_path):
    for name, packages in (("one", ["a==1"]), ("two", ["a==1", "b==2 ; x"])):
        recipe = {"step": "split", "names": [name], "code": "c" * 64, "packages": packages}
        write_json(tmp_path / name / "manifest.json", {"recipe": recipe, "content": "d" * 64})
    found = provenance.provenance([tmp_path / "one", tmp_path / "two", tmp_path / "one", tmp_path / "none"])
    assert [one["names"] for one in found["steps"]] == [["one"], ["two"]] and found["packages"] == ["a==1", "b==2 ; x"]


def test_nothing_logged_is_no_plot(scheme):
    assert charts.loss([{"step": 1, "train_runtime": 2.0}], wording.say("en")) is None


def test_the_phone_view(made):
    view = re.sub(r'<span lang="zh">.*?</span>|<span lang="en">|</span>', "", made(False).section("phone"))
    for part in (
        "a prompt of 600 tokens, then 32 tokens",
        "context 540, prompt of 508",
        "<td>1.5 MB</td><td>21.0 MB<br>",  # the size; what was added to the process, not its whole
        "1.4 MB mapped",
        '12,346*<br><span class="sub">12,000–13,000',
        '37.2*<br><span class="sub">36–38',
        "<td>0.912*</td></tr>",
        "A CPU, 1 of 8 cores, 16 GiB, Linux riscv64, llama-cpp-python 0.0.1 (CPU : RVV), load average before it up to 0.25",
        "2 threads are left out: more than the 1 core that could be used.",
        "Other work used the cores",
        "A phone’s figures differ",
        "llama-bench -m MODEL.gguf -p 600 -n 0 -t 1,2<",
        "llama-bench -m MODEL.gguf -p 0 -n 32 -d 600 -t 1,2<",
    ):
        assert part in view, part


def test_models_of_one_machine_share_its_line(tmp_path, scheme):
    _, lists, _ = inputs(tmp_path, scheme, False)
    one = read_json(lists["bench"][0] / "bench.json")
    other = {**one, "machine": {**one["machine"], "load_average": 1.5}}
    apart = {**one, "machine": {**one["machine"], "cpu": "Another CPU"}}
    apart["variants"] = {
        "Q4_K_M": {"size_bytes": 1, "measured": [{**one["variants"]["Q4_K_M"]["measured"][0], "threads": 2}]},
        "f16": {**one["variants"]["Q4_K_M"], "size_bytes": 2},
    }
    found = reporting.phone({"a": {"bench": one}, "b": {"bench": other}, "c": {"bench": apart}})
    assert [(of["models"], of["load"]) for of in found["machines"]] == [(["a", "b"], 1.5), (["c"], 0.25)]
    rows = [(row["model"], row["variant"], list(row["by_threads"])) for row in found["rows"]]
    assert rows == [("a", "Q4_K_M", [1]), ("b", "Q4_K_M", [1]), ("c", "f16", [1]), ("c", "Q4_K_M", [2])]
    assert found["threads"] == [1, 2]


def test_the_catalogue_maps_views_to_entries_and_these_to_what_decided_them(tmp_path):
    def entry(where, inputs=None, lists=None, params=None):
        step = where.split("/")[0]
        recipe = {"step": step, "code": "c", "packages": ["a==1"], "params": params or {}}
        write_json(
            tmp_path / "store" / where / "manifest.json",
            {
                "where": where,
                "files": {"a": {"sha256": "f", "size": 1}},
                "content": f"all of {step}",
                "recipe": {**recipe, "inputs": inputs or {}, "lists": lists or {}},
            },
        )
        return tmp_path / "store" / where

    params = {
        "file": "/home/canary/labels.jsonl",
        "url": "http://k:canary@host/v1",
        "prompt": "canary\nline",
        "r": [8, "../canary"],
    }
    hidden = entry("label/0-keywords/0/1123456789abcdef0123", {"minimise": "content:5e5e"})
    merged = entry("merge_labels/2123456789abcdef0123", lists={"label": ["1123456789abcdef0123"]}, params=params)
    view = {"view": "labels/a", "step": "merge_labels", "names": [], "file": "a"}
    cataloguing.catalogue([merged], [hidden], tmp_path, [view])
    found = read_json(tmp_path / "catalogue.json")
    where = "merge_labels/2123456789abcdef0123"
    assert found["views"]["labels/a"] == {
        "entry": where,
        "key": "2123456789abcdef0123",
        "step": "merge_labels",
        "file": "a",
        "sha256": "f",
        "size": 1,
    }
    made = found["entries"][where]
    assert made["rule"] == "make_merge_labels" and made["code"] == "c" and len(made["packages"]) == 64
    assert made["params"]["file"] == "(outside the clone)" and made["params"]["r"] == [8, "(outside the clone)"]
    assert made["params"]["prompt"]["characters"] == 11 and "url" not in made["params"]
    assert made["lists"] == {"label": [{"entry": "label/0-keywords/0/1123456789abcdef0123", "sha256": "all of label"}]}
    assert found["entries"]["label/0-keywords/0/1123456789abcdef0123"]["inputs"] == {"minimise": {"sha256": "5e5e"}}
    assert "canary" not in (tmp_path / "catalogue.json").read_text()
    assert str(tmp_path) not in (tmp_path / "catalogue.json").read_text()
