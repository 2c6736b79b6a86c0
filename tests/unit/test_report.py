import pytest
from prediction_rows import row, sure

from mindgauge import cataloguing, reporting
from mindgauge.comparisons import compare, corrected
from mindgauge.figures import figures
from mindgauge.files import read_json, write_json
from mindgauge.gates import Gates, decide
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
        name: {"rows": 12, "groups": 10, "fields": {field.name: {str(field.values[0]): 12} for field in scheme.fields}}
        for name in ("train", "val", "test", "gold")
    }
    agreed = {name: {"compared": 11, "agreed_share": 0.9, "alpha": 0.81, "qwk": 0.77} for name in scheme.names}
    files = {
        "ingest/stats.json": {
            "read": 20,
            "kept": 19,
            "quarantined": 1,
            "by_reason": {"no role": 1},
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
                    "dropped": {"twice": 1},
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
            "sources": {"s": {"kept": 12, "dropped": {"short": 6}}},
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
            "records": 12,
            "labelled": 11,
            "without_a_label": 1,
            "doubtful": 2,
            "min_confidence": 0.5,
            "faults": {"cut off": 1},
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
            "warnings": ["risk_flag violence: 3 of 40 rows are in test, fewer than 10"],
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
        "train/run.json": {"parameters": 1000, "trainable_parameters": 10, "seconds": 3.0, "device": "cpu"},
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
                            {"name": "Q2_K", "gate": "fail", "reasons": ["too far"], "kld_mean": 0.3, "size_bytes": 9},
                            {"name": "Q4_K_M", "gate": "pass", "reasons": [], "kld_mean": 0.01, "size_bytes": 9},
                        ],
                    },
                    "token_parity": 1.0,
                    "logits": {
                        "positions": 900,
                        "same_top": 890,
                        "max_abs_logit": 0.2,
                        "kld": {"mean": 0.012, "median": 0.01, "p99": 0.05, "p999": 0.07, "max": 0.08},
                    },
                    "flips": {"risk_flag": {"changed": 3}},
                    "risk": {"lost": ["a"]},
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
    for name in ("adapter_model.safetensors", "training_loss.png", "training_eval_loss.png"):
        (tmp_path / "train" / name).write_bytes(b"x")
    singles = {name: tmp_path / name for name in ("unify", "minimise", "split", "labels", "sft", "baselines")}
    lists = {name: [tmp_path / name] for name in ("ingest", "train", "merge", "quantise", "evaluate", "judge", "bench")}
    params = {
        "title": "T",
        "notice": "synthetic",
        "sources": ["s"],
        "models": ["m"],
        "seeds": {"stanza": {"m": 1}},
        "quantised": [["m", "Q4_K_M"]],
        "evaluated": [["m", "Q4_K_M"]],
        "labels": scheme.to_dict(),
    }
    return singles, lists, params


@pytest.mark.parametrize("gold", [True, False])
def test_the_page_stands_alone_and_says_what_matters(tmp_path, scheme, gold):
    out = tmp_path / "out"
    reporting.report(*inputs(tmp_path, scheme, gold), out)
    page = (out / "index.html").read_text()
    assert "not a diagnosis" in page and "12356" in page and "synthetic" in page
    assert "http:" not in page and "https:" not in page and str(tmp_path) not in page
    # the data section: encodings, themes, identities, the student filter, leaks, warnings
    for part in (
        "20 gb18030",
        "exam 7",
        "98.7 %",
        "38 of 40",
        "80 %",
        "same opening",
        "reach 0.5",
        "3 of 40 rows are in test",
    ):
        assert part in page, part
    for part in (
        ("cut off", "0.81", "misses 25 %", "suicidal 6", "12 rows become 18") if gold else ("not known how good",)
    ):
        assert part in page, part
    for part in (
        "merged → GGUF f16",
        "Q4_K_M: fail",
        "ROC-AUC",
        "Expected calibration error",
        "threshold chosen on",
        "<code>client</code>",
        "Reliability of m",
        "From seed to seed",
        "length: ",
        "1/2",
    ):
        assert part in page, part
    assert "few" in page  # six cases of a class are no exact figure
    assert "beats the majority baseline on 4 of 4 labels" in page
    assert ("nothing is said about agreement with humans" in page) != gold
    text = (out / "results.txt").read_text()
    assert "m Q4_K_M: better than the majority on 4 of 4 labels" in text and ("gold rows" in text) == gold
    assert read_json(out / "results.json")["beats_majority"]["m"]["Q4_K_M"] == list(scheme.names)


def test_the_phone_view(tmp_path, scheme):
    out = tmp_path / "out"
    reporting.report(*inputs(tmp_path, scheme, False), out)
    page = (out / "index.html").read_text()
    view = page[page.index('id="phone"') : page.index('id="labels"')]
    for part in (
        "a prompt of 600 tokens, then 32 tokens",
        "context 540, prompt of 508",
        "<td>1.5 MB</td><td>21.0 MB<br>",  # the size; what was added to the process, not its whole
        "1.4 MB mapped",
        '12,346*<br><span class="sub">12,000–13,000</span>',
        '37.2*<br><span class="sub">36–38</span>',
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
