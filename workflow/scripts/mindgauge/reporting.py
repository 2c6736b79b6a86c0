"""The report: one self-contained HTML page, the table behind it as JSON, and as text for the terminal. No text of any record."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mindgauge.files import read_json, sha256_file, write_json, write_text
from mindgauge.labels import Scheme
from mindgauge.limits import LIMITS
from mindgauge.quants import FULL
from mindgauge.reliability import plot
from mindgauge.seeds import spread

DATA_FILES = ("report_templates/index.html.j2",)
FEW = 10
BASELINES = {
    "majority": "Majority value",
    "keywords": "Keyword rules",
    "tfidf": "Character TF-IDF + linear",
    "labeller": "The labeller itself",
}
PAIRS = {
    ("tfidf", "merged"): "Character TF-IDF → fine-tuned, merged",
    ("base", "merged"): "base, zero-shot → fine-tuned, merged",
    ("adapter", "merged"): "adapter → merged",
    **{("merged", full): f"merged → GGUF {full}" for full in FULL},
}


def collect(inputs: dict[str, Path], lists: dict[str, list[Path]], params: dict[str, Any]) -> dict[str, Any]:
    """All that the report shows, as plain data, read from the entries in the order of `params`."""
    models: dict[str, Any] = {}
    for name, train, merge in zip(params["models"], lists["train"], lists["merge"], strict=True):
        models[name] = {
            "run": read_json(train / "run.json"),
            "train": read_json(train / "train_results.json"),
            "eval": read_json(train / "eval_results.json"),
            "merge": read_json(merge / "merge_check.json"),
            "adapter_sha256": sha256_file(train / "adapter_model.safetensors"),
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
        "labels": read_json(inputs["labels"] / "stats.json"),
        "labels_gold": read_json(inputs["labels"] / "gold.json"),
        "sft": read_json(inputs["sft"] / "stats.json"),
        "baselines": baselines,
        "models": models,
        "seeds": spreads(models, params["seeds"]),
    }


def figures_of(metrics: dict[str, Any], reference: str, way: str = "constrained") -> dict[str, Any] | None:
    """The figures of one way of answering against the labeller (`test`) or humans (`gold`); None where there are none."""
    record = metrics["results"].get(way, {}).get(reference)
    return record["figures"] if record else None


def better_than_majority(scheme: Scheme, metrics: dict[str, Any], majority: dict[str, Any]) -> list[str]:
    """The labels whose macro-F1 is above the majority baseline's, on the same rows."""
    ours, theirs = (figures_of(of, "test") or {"fields": {}} for of in (metrics, majority))
    return [
        name
        for name in scheme.names
        if name in ours["fields"] and ours["fields"][name]["macro_f1"] > theirs["fields"][name]["macro_f1"]
    ]


def leaderboard(found: dict[str, Any], reference: str) -> list[dict[str, Any]]:
    """A row for each baseline and each variant of each model: against the labeller (`test`) or humans (`gold`)."""
    rows = []

    def add(title: str, variant: str, metrics: dict[str, Any], model: str | None) -> None:
        if of := figures_of(metrics, reference):
            rows.append(
                {
                    "title": title,
                    "variant": variant,
                    "model": model,
                    "metrics": of,
                    "free": figures_of(metrics, reference, "free"),
                    "size": metrics.get("size_bytes"),
                    "speed": metrics.get("constrained_rows_per_second"),
                }
            )

    for name, metrics in found["baselines"].items():
        add(BASELINES[name], name, metrics, None)
    for model, of in found["models"].items():
        for variant, metrics in of["variants"].items():
            add(model, variant, metrics, model)
    return rows


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


def interval(bounds: list[float] | None) -> str:
    """A 95 % interval in per cent."""
    return "" if bounds is None else f"{100 * bounds[0]:.0f}–{100 * bounds[1]:.0f} %"


def rate(value: float) -> str:
    """A quantity that may be large or small, with three digits: `11,418`, `37.2`, `0.066`."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def size(count: int | None) -> str:
    """Bytes in megabytes (10^6)."""
    return "–" if count is None else f"{count / 1e6:.1f} MB"


def shade(count: int, row: list[int]) -> str:
    """Background and text colour of a cell of a confusion matrix, by its share of the row: one hue, so that any eye can
    read it, and the count stands in it."""
    share = count / sum(row) if sum(row) else 0.0
    light = round(100 - 62 * share)
    return f"background:hsl(212 70% {light}%);color:{'#fff' if light < 60 else '#1b2733'}"


def picture(png: bytes) -> str:
    """A PNG as a data URI, so that the page stands alone."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def table(found: dict[str, Any], scheme: Scheme, reference: str) -> str:
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
    for row in leaderboard(found, reference):
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
    pictures = {
        model: {name: picture((entry / f"{name}.png").read_bytes()) for name in ("training_loss", "training_eval_loss")}
        for model, entry in zip(params["models"], lists["train"], strict=True)
    }
    for model, of in found["models"].items():
        shown = figures_of(list(of["variants"].values())[-1], "test")
        if shown and shown["calibration"]:
            pictures[model]["reliability"] = picture(plot(scheme, shown["calibration"]))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "report_templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "interval": interval, "size": size, "rate": rate}
    environment.globals |= {"shade": shade, "few": FEW, "min": min, "figures_of": figures_of}
    boards = {"test": leaderboard(found, "test"), "gold": leaderboard(found, "gold")}
    page = environment.get_template("index.html.j2").render(
        title=params["title"],
        notice=params["notice"],
        limits=LIMITS.splitlines(),
        scheme=scheme,
        found=found,
        boards=boards,
        beats=beats,
        pictures=pictures,
        pairs=PAIRS,
        phone=phone(found["models"]),
    )
    write_text(out / "index.html", page)
    write_json(out / "results.json", {"beats_majority": beats, **found})
    said = [f"{params['title']}. A screening aid, not a diagnosis.", params["notice"], ""]
    for name, title in (
        ("test", "Agreement with the labeller, held-out test rows"),
        ("gold", "Agreement with human labels, gold rows"),
    ):
        if boards[name]:
            said += [
                f"{title} (n = {boards[name][0]['metrics']['n']}); F1 is the macro-F1",
                table(found, scheme, name),
                "",
            ]
    for model, of in beats.items():
        for variant, names in of.items():
            if variant not in ("base", "adapter", *FULL):
                said.append(
                    f"{model} {variant}: better than the majority on {len(names)} of {len(scheme.fields)} labels (macro-F1, test)"
                )
    for model, of in found["models"].items():
        for variant, decision in of["gates"].items():
            said.append(
                f"{model} {variant}: release {decision['release']}"
                + "".join(f"\n  {check['reason']}" for check in decision["reasons"])
            )
    write_text(out / "results.txt", "\n".join(line for line in said if line is not None) + "\n")
