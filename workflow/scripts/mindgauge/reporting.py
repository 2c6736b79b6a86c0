"""The report: one self-contained HTML page, the table behind it as JSON, and as text for the terminal. No text of any record."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mindgauge import charts, disk
from mindgauge.effort import effort
from mindgauge.files import read_json, write_json, write_text
from mindgauge.labels import Scheme
from mindgauge.limits import LIMITS
from mindgauge.progress import span
from mindgauge.provenance import provenance
from mindgauge.quants import FULL
from mindgauge.seeds import spread
from mindgauge.shareable import without_places
from mindgauge.shares import FEW
from mindgauge.verdict import candidates, figures_of, misses
from mindgauge.wording import LANGUAGES, both, html, say, sentence, told

DATA_FILES = (
    "report_templates/index.html.j2",
    "report_templates/macros.html.j2",
    "report_templates/answer.html.j2",
    "report_templates/leaderboard.html.j2",
    "report_templates/model.html.j2",
    "report_templates/phone.html.j2",
    "report_templates/data.html.j2",
    "report_templates/labels.html.j2",
    "report_templates/software.html.j2",
    "report_templates/page.css",
    "report_templates/page.js",
)
BASELINES = ("majority", "keywords", "tfidf", "labeller")
# What a reader asks for first of all that is locked.
MAIN_PACKAGES = ("torch", "transformers", "peft", "trl", "llama-cpp-python")
# What the plot of variants shows of each label beside the recall of any risk.
COMPARED = {"macro_f1": "macro-F1"}
RELEASE_ORDER = {"pass": 0, "undecided": 1, "fail": 2, "none": 3}


def collect(inputs: dict[str, Path], lists: dict[str, list[Path]], params: dict[str, Any]) -> dict[str, Any]:
    """All that the report shows, as plain data, read from the entries in the order of `params`."""
    models: dict[str, Any] = {}
    for name, train, merge in zip(params["models"], lists["train"], lists["merge"], strict=True):
        models[name] = {
            "run": read_json(train / "run.json"),
            "train": read_json(train / "train_results.json"),
            "history": read_json(train / "log_history.json"),
            "eval": read_json(train / "eval_results.json"),
            "merge": read_json(merge / "merge_check.json"),
            "quants": {},
            "variants": {},
        }
    for (name, quant), entry in zip(params["quantised"], lists["quantise"], strict=True):
        models[name]["quants"][quant] = read_json(entry / "tensors.json")
    for (name, variant), entry in zip(params["evaluated"], lists["evaluate"], strict=True):
        models[name]["variants"][variant] = read_json(entry / "metrics.json")
    for name, entry in zip(params["models"], lists["judge"], strict=True):
        models[name] |= {
            "comparison": read_json(entry / "comparison.json"),
            "gates": read_json(entry / "gates.json"),
            "verify": read_json(entry / "verify.json"),
        }
    for name, entry in zip(params["models"], lists["bench"], strict=True):
        models[name]["bench"] = read_json(entry / "bench.json")
    baselines = {
        name: read_json(inputs["baselines"] / name / "metrics.json")
        for name in BASELINES
        if (inputs["baselines"] / name / "metrics.json").is_file()
    }
    return {
        "ingest": {
            name: read_json(entry / "stats.json")
            for name, entry in zip(params["sources"], lists["ingest"], strict=True)
        },
        "unify": read_json(inputs["unify"] / "stats.json"),
        "minimise": read_json(inputs["minimise"] / "stats_min.json"),
        "split": read_json(inputs["split"] / "stats_split.json"),
        # An `openai` voter's model is what its server calls it, which may be a path there.
        "labels": without_places(read_json(inputs["labels"] / "stats.json")),
        "labels_gold": read_json(inputs["labels"] / "gold.json"),
        "sft": read_json(inputs["sft"] / "stats.json"),
        "baselines": baselines,
        "models": models,
        "seeds": spreads(models, params["seeds"]),
    }


def better_than_majority(scheme: Scheme, metrics: dict[str, Any], majority: dict[str, Any]) -> list[str]:
    """The labels whose macro-F1 is above the majority baseline's, on the same rows."""
    ours, theirs = (figures_of(of, "test") or {"fields": {}} for of in (metrics, majority))
    return [
        name
        for name in scheme.names
        if name in ours["fields"] and ours["fields"][name]["macro_f1"] > theirs["fields"][name]["macro_f1"]
    ]


def leaderboard(found: dict[str, Any], scheme: Scheme, reference: str) -> list[dict[str, Any]]:
    """A row for each baseline and each variant of each model: against the labeller (`test`) or humans (`gold`). What passes the gates
    first, then what fails them, then what no gate is asked of; among those by any risk found, then the smaller. Baselines last."""
    rows = []

    def add(title: str, variant: str, metrics: dict[str, Any], model: str | None, release: str) -> None:
        if of := figures_of(metrics, reference):
            rows.append(
                {
                    "title": title,
                    "variant": variant,
                    "model": model,
                    "release": release,
                    "metrics": of,
                    "misses": misses(scheme, of),
                    "free": figures_of(metrics, reference, "free"),
                    "size": metrics.get("size_bytes"),
                    "speed": metrics.get("constrained_rows_per_second"),
                }
            )

    for model, of in found["models"].items():
        for variant, metrics in of["variants"].items():
            add(model, variant, metrics, model, of["gates"].get(variant, {}).get("release", "none"))
    for name, metrics in found["baselines"].items():
        add(say("en")(f"baseline_{name}"), name, metrics, None, "none")

    def rank(row: dict[str, Any]) -> tuple[Any, ...]:
        risk = row["metrics"]["any_risk"]
        found_share = risk["recall"] if risk and risk["support"] else 0.0
        return row["model"] is None, RELEASE_ORDER[row["release"]], -found_share, row["size"] or 0

    return sorted(rows, key=rank)


def spreads(models: dict[str, Any], seeded: dict[str, dict[str, int]]) -> dict[str, Any]:
    """stanza -> variant -> `seeds.spread` of the test rows, of the models that were trained with several seeds."""
    found: dict[str, Any] = {}
    for stanza, of in seeded.items():
        variants = [name for name in models[next(iter(of))]["variants"] if name != "base"]
        by_seed = {
            variant: {seed: figures_of(models[model]["variants"][variant], "test") for model, seed in of.items()}
            for variant in variants
        }
        found[stanza] = {
            variant: spread({seed: figures for seed, figures in held.items() if figures})
            for variant, held in by_seed.items()
        }
    return found


def phone(models: dict[str, Any]) -> dict[str, Any]:
    """The phone view: `rows`, one a GGUF, the largest of a model first, with its measurements by number of threads; the numbers of
    `threads` that were measured; `machines`, each with the models that were measured on it and the greatest load average it had
    before; and whether any figure is `disturbed` by other work."""
    rows = [
        {
            "model": model,
            "variant": variant,
            "context": of["bench"]["context"],
            "size": measured["size_bytes"],
            "memory": max((one["memory"] for one in measured["measured"]), key=lambda memory: memory["peak_bytes"]),
            "by_threads": {one["threads"]: one for one in measured["measured"]},
        }
        for model, of in models.items()
        for variant, measured in sorted(of["bench"]["variants"].items(), key=lambda item: -item[1]["size_bytes"])
    ]
    machines: list[dict[str, Any]] = []
    for model, of in models.items():
        held = {**of["bench"]["machine"], "used": of["bench"]["cores"]}
        load = held.pop("load_average")
        same = next((one for one in machines if one["machine"] == held), None)
        if same is None:
            machines.append(same := {"machine": held, "models": [], "load": 0.0, "left_out": of["bench"]["left_out"]})
        same["models"].append(model)
        same["load"] = max(same["load"], load)
    threads = sorted({count for row in rows for count in row["by_threads"]})
    disturbed = any(one["disturbed"] for row in rows for one in row["by_threads"].values())
    return {"rows": rows, "threads": threads, "machines": machines, "disturbed": disturbed}


def number(value: Any, digits: int = 2) -> str:
    """A figure as the page shows it; `–` where there is none."""
    return "–" if value is None else f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def percent(value: Any) -> str:
    """A share in per cent; `–` where there is none."""
    return "–" if value is None else f"{100 * value:.0f} %"


def change(value: float | None) -> str:
    """A change in per cent, with its sign; `–` where there is none."""
    return "–" if value is None else f"{100 * value:+.0f} %".replace("-", "−")


def interval(bounds: list[float] | None) -> str:
    """A 95 % interval in per cent."""
    return "" if bounds is None else f"{100 * bounds[0]:.0f}–{100 * bounds[1]:.0f} %"


def rate(value: float | None) -> str:
    """A quantity that may be large or small, with three digits: `11,418`, `37.2`, `0.066`; `–` where there is none."""
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def money(currency: str) -> Callable[[float | None], str]:
    """A filter that shows a sum of money; `–` where there is none."""
    return lambda value: "–" if value is None else f"{value:,.2f} {currency}"


def size(count: int | None) -> str:
    """Bytes as a person reads them; `–` where they are not known."""
    return "–" if count is None else disk.size(count)


def table(rows: list[dict[str, Any]], scheme: Scheme) -> str:
    """The leaderboard as text, for a terminal."""
    heads = [
        "model",
        "variant",
        *(f"{field.title} F1" for field in scheme.fields),
        "exact",
        "free JSON",
        "any risk found",
        "size",
    ]
    lines = [heads]
    for row in rows:
        of = row["metrics"]
        risk = of["any_risk"]
        cells = [row["title"], row["variant"] if row["model"] else ""]
        cells += [number(of["fields"][name]["macro_f1"]) if name in of["fields"] else "–" for name in scheme.names]
        cells += [percent(of["exact_match"]), percent(row["free"]["json_valid"]) if row["free"] else "–"]
        cells += [f"{percent(risk['recall'])} of {risk['support']}" if risk else "–", size(row["size"])]
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def drawn(
    make: Callable[[Callable[..., str]], alt.TopLevelMixin | None], folded: bool = False
) -> dict[str, Any] | None:
    """A plot in each language (charts.drawn, or charts.packed if it is `folded`), or None where there is nothing to draw."""
    hold: Callable[[alt.TopLevelMixin], Any] = charts.packed if folded else charts.drawn
    made = {language: make(say(language)) for language in LANGUAGES}
    return {language: hold(chart) for language, chart in made.items() if chart is not None} or None


def risk_gate(found: dict[str, Any]) -> float | None:
    """The least share of risk cases the gates ask for, or None if they ask for none."""
    checks = (
        check for of in found["models"].values() for decision in of["gates"].values() for check in decision["checks"]
    )
    return next((check["bound"] for check in checks if check["gate"] == "any_risk_recall_min"), None)


def forest(board: list[dict[str, Any]], bound: float | None) -> dict[str, Any] | None:
    """The plot of the share of risk cases found, a line a row of the leaderboard that has such cases."""
    rows = [
        {
            "name": f"{row['title']}, {row['variant']}" if row["model"] else row["title"],
            "recall": risk["recall"],
            "low": risk["wilson"][0],
            "high": risk["wilson"][1],
            "release": row["release"],
            "cases": risk["support"],
        }
        for row in board
        if (risk := row["metrics"]["any_risk"]) and risk["support"]
    ]
    return drawn(lambda words: charts.forest(rows, bound, words)) if rows else None


def variants(scheme: Scheme, of: dict[str, Any]) -> dict[str, Any] | None:
    """The plot of a model's variants beside each other: any risk found and each label's figures, with intervals."""
    figures = {name: held for name, metrics in of["variants"].items() if (held := figures_of(metrics, "test"))}

    def make(words: Callable[..., str]) -> alt.TopLevelMixin | None:
        names = {"any_risk_recall": words("any_risk_found")}
        names |= {
            f"{field.name}/{part}": f"{field.title}, {title}"
            for field in scheme.fields
            for part, title in COMPARED.items()
        }
        rows = [
            {
                "figure": title,
                "variant": variant,
                **{part: held["intervals"][key][part] for part in ("estimate", "low", "high")},
            }
            for key, title in names.items()
            for variant, held in figures.items()
            if key in held["intervals"] and held["intervals"][key]["estimate"] is not None
        ]
        return charts.variants(rows, list(figures), words) if rows else None

    return drawn(make)


def funnel(found: dict[str, Any]) -> dict[str, Any] | None:
    """The plot of how many records of each source are left after each step; gold stands apart."""
    splits = found["sft"]["splits"]
    stages: dict[str, dict[str, int]] = {
        "read": {name: of["read"] for name, of in found["ingest"].items()},
        "unified": {name: of["kept"] for name, of in found["unify"]["sources"].items()},
        "student": {name: of["kept"] for name, of in found["minimise"]["sources"].items()},
        "supervised": {},
    }
    for name in ("train", "val", "test"):
        stages[name] = splits[name]["sources"]
        for source, count in stages[name].items():
            stages["supervised"][source] = stages["supervised"].get(source, 0) + count
    # Sources of gold are no part of what is trained on.
    kept = stages["student"]

    def make(words: Callable[..., str]) -> alt.TopLevelMixin | None:
        rows = [
            {"stage": words(f"stage_{stage}"), "source": source, "count": count}
            for stage, of in stages.items()
            for source, count in of.items()
            if source in kept
        ]
        return charts.funnel(rows, [words(f"stage_{stage}") for stage in stages], words) if rows else None

    return drawn(make)


def detailed(of: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures on test rows of those variants of a model whose confusion and calibration are drawn: the last one, which is the
    smallest, then the other quants and the merged model."""
    last, *others = reversed(of["variants"])
    names = [last, *(name for name in others if name not in ("base", "adapter", *FULL))]
    return {name: figures for name in names if (figures := figures_of(of["variants"][name], "test"))}


def model_plots(scheme: Scheme, of: dict[str, Any]) -> dict[str, Any]:
    """The plots of a model (charts.drawn by language); `confusion` and `reliability` by variant, all but that of the last one folded."""
    confusion, reliability, last = {}, {}, list(of["variants"])[-1]
    for name, figures in detailed(of).items():
        confusion[name] = drawn(partial(charts.confusion, scheme, figures), folded=name != last)
        if figures["calibration"]:
            reliability[name] = drawn(partial(charts.reliability, scheme, figures["calibration"]), folded=name != last)
    return {
        "loss": drawn(lambda words: charts.loss(of["history"], words)),
        "variants": variants(scheme, of),
        "confusion": confusion,
        "reliability": reliability,
    }


def plots(found: dict[str, Any], scheme: Scheme, board: list[dict[str, Any]]) -> dict[str, Any]:
    """All plots of the report (charts.drawn by language); None where there is nothing to draw."""
    return {
        "models": {model: model_plots(scheme, of) for model, of in found["models"].items()},
        "forest": forest(board, risk_gate(found)),
        "funnel": funnel(found),
        "balance": drawn(lambda words: charts.balance(scheme, found["sft"]["splits"], words)),
    }


def environment(currency: str) -> Environment:
    """Jinja2 with what the templates use."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "report_templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "percent": percent,
        "change": change,
        "interval": interval,
        "size": size,
        "rate": rate,
        "span": span,
        "money": money(currency),
    }
    made.globals |= {
        "t": both,
        "sentence": sentence,
        "told": told,
        "say": {language: say(language) for language in LANGUAGES},
        "say_html": html,
        "languages": LANGUAGES,
        "few": FEW,
        "full": FULL,
        "figures_of": figures_of,
    }
    return made


def report(inputs: dict[str, Path], lists: dict[str, list[Path]], params: dict[str, Any], out: Path) -> None:
    """Writes index.html, results.json and results.txt."""
    scheme = Scheme.from_dict(params["labels"])
    found = collect(inputs, lists, params)
    majority = found["baselines"].get("majority")
    beats = {
        model: {variant: better_than_majority(scheme, metrics, majority) for variant, metrics in of["variants"].items()}
        if majority
        else {}
        for model, of in found["models"].items()
    }
    boards = {name: leaderboard(found, scheme, name) for name in ("test", "gold")}
    ranked = candidates(scheme, found["models"])
    made = provenance([*inputs.values(), *(entry for entries in lists.values() for entry in entries)])
    main = {package.partition("==")[0]: package.partition(" ;")[0] for package in made["packages"]}
    page = (
        environment(params["currency"])
        .get_template("index.html.j2")
        .render(
            title=params["title"],
            notice=params["notice"],
            limits=LIMITS,
            scheme=scheme,
            found=found,
            boards=boards,
            beats=beats,
            ranked=ranked,
            bound=risk_gate(found),
            plots=plots(found, scheme, boards["test"]),
            phone=phone(found["models"]),
            effort=effort(found["models"], params["price_per_gpu_hour"], params["watts_per_gpu"]),
            made=made,
            version=params["version"],
            main_packages=[main[name].replace("==", " ") for name in MAIN_PACKAGES if name in main],
            vega=charts.bundle(),
        )
    )
    write_text(out / "index.html", page)
    write_json(out / "results.json", {"beats_majority": beats, "ranked": ranked, **found})
    write_text(out / "results.txt", said(params, found, scheme, boards, beats, ranked))


def said(
    params: dict[str, Any],
    found: dict[str, Any],
    scheme: Scheme,
    boards: dict[str, list[dict[str, Any]]],
    beats: dict[str, dict[str, list[str]]],
    ranked: list[dict[str, Any]],
) -> str:
    """The report as text for a terminal."""
    lines = [f"{params['title']}. A screening aid, not a diagnosis.", params["notice"], ""]
    for name, title in (
        ("test", "Agreement with the labeller, held-out test rows"),
        ("gold", "Agreement with human labels, gold rows"),
    ):
        if boards[name]:
            lines += [
                f"{title} (n = {boards[name][0]['metrics']['n']}); F1 is the macro-F1",
                table(boards[name], scheme),
                "",
            ]
    for model, of in beats.items():
        for variant, names in of.items():
            if variant not in ("base", "adapter", *FULL):
                lines.append(
                    f"{model} {variant}: better than the majority on {len(names)} of {len(scheme.fields)} labels (macro-F1, test)"
                )
    for model, of_model in found["models"].items():
        for variant, decision in of_model["gates"].items():
            lines.append(
                f"{model} {variant}: release {decision['release']}"
                + "".join(f"\n  {check['reason']}" for check in decision["reasons"])
            )
    best = ranked[0] if ranked else None
    lines.append(
        f"Deploy: {best['model']} {best['variant']}"
        if best and best["release"] == "pass"
        else "Deploy: none passes the gates"
    )
    return "\n".join(lines) + "\n"
