"""The report's plots: Vega-Lite specifications made by Vega-Altair, each with a static SVG by vl-convert that needs neither
JavaScript nor a network. One palette, told apart by any eye (Okabe and Ito 2008), and shapes and lines beside colours."""

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert

from mindgauge.labels import Field, Scheme

Say = Callable[..., str]
Rows = Sequence[Mapping[str, Any]]
BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, YELLOW, INK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#1b2733",
)
PALETTE = [BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, YELLOW]
RELEASES = {"pass": (BLUE, "circle"), "fail": (VERMILLION, "cross"), "undecided": (ORANGE, "square")}
# Nothing of a page's size: a plot scales with its column.
WIDTH = 520
SPLITS = ("train", "val", "test", "gold")
CONFIG = {
    # First what vl-convert measures texts with, so that they fit where they are shown.
    "font": "Arial, Helvetica, 'Liberation Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif",
    "padding": {"left": 16, "right": 10, "top": 5, "bottom": 5},
    "view": {"stroke": None},
    "axis": {
        "gridColor": "#e6ebf0",
        "domainColor": "#8a97a3",
        "labelLimit": 260,
        "labelFontSize": 12,
        "titleFontSize": 12,
        # Labels in a wider font than was measured, where none of these is, still end before the title.
        "titlePadding": 14,
    },
    "legend": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 320,
        "orient": "bottom",
        "direction": "horizontal",
    },
    "title": {"fontSize": 13, "anchor": "start"},
    "range": {"category": PALETTE},
}


def _data(rows: Rows) -> alt.Data:
    return alt.Data(values=[dict(row) for row in rows])


def _tips(**titles: str) -> list[alt.Tooltip]:
    """What the pointer shows: `name_type` -> title, the type being Q (a number) or N."""
    return [
        alt.Tooltip(f"{name[:-2]}:{name[-1]}", title=title, format=".4~g" if name.endswith("_Q") else alt.Undefined)
        for name, title in titles.items()
    ]


def loss(history: Rows, say: Say) -> alt.LayerChart | None:
    """Training and validation loss by step (transformers' log_history); None if none was logged."""
    parts = (("loss", say("chart_training")), ("eval_loss", say("chart_validation")))
    rows = [
        {"step": one["step"], "loss": one[key], "part": title} for key, title in parts for one in history if key in one
    ]
    if not rows:
        return None
    names = [title for _, title in parts]
    base = alt.Chart(_data(rows), width=WIDTH, height=240).encode(
        x=alt.X("step:Q", title=say("chart_step"), axis=alt.Axis(tickCount=6)),
        y=alt.Y("loss:Q", title=say("chart_loss"), scale=alt.Scale(zero=True)),
        color=alt.Color("part:N", title=None, scale=alt.Scale(domain=names, range=[BLUE, VERMILLION])),
        tooltip=_tips(part_N="", step_Q=say("chart_step"), loss_Q=say("chart_loss")),
    )
    line = base.mark_line().encode(
        strokeDash=alt.StrokeDash("part:N", title=None, scale=alt.Scale(domain=names, range=[[1, 0], [6, 3]]))
    )
    marks = base.mark_point(filled=True, size=36).transform_filter(alt.datum.part == names[1])
    return line + marks


def reliability(scheme: Scheme, calibrated: Mapping[str, Any], say: Say) -> alt.ConcatChart:
    """A panel a label, and one for any risk: the share that is right over the mean probability, bins of equal mass, before and after
    the temperature; open marks have few rows. `calibrated`: figures["calibration"]."""
    before, after = calibrated["before"], calibrated["after"]
    names = [say("chart_before"), say("chart_after")]
    panels = []
    for title, name in [*((field.title, field.name) for field in scheme.fields), (say("any_risk"), "")]:
        held = [of and (of["fields"].get(name) if name else of["any_risk"]) for of in (before, after)]
        if not held[0]:
            continue
        rows = [
            {**part, "kind": kind, "rows": part["n"]}
            for of, kind in zip(held, names, strict=True)
            if of
            for part in of["reliability"]
        ]
        share = alt.Scale(domain=[0, 1])
        base = alt.Chart(_data(rows), width=205, height=205).encode(
            x=alt.X("confidence:Q", title=say("chart_probability"), scale=share),
            y=alt.Y("accuracy:Q", title=say("chart_share_right" if name else "chart_share_cases"), scale=share),
            color=alt.Color("kind:N", title=None, scale=alt.Scale(domain=names, range=[BLUE, VERMILLION])),
            tooltip=_tips(
                kind_N="",
                confidence_Q=say("chart_probability"),
                accuracy_Q=say("chart_share_right"),
                rows_Q=say("rows"),
            ),
        )
        diagonal = (
            alt.Chart(alt.Data(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
            .mark_line(color="#8a97a3", strokeWidth=1)
            .encode(x="x:Q", y="y:Q")
        )
        shape = alt.Shape("kind:N", title=None, scale=alt.Scale(domain=names, range=["circle", "square"]))
        marks = base.mark_point(size=46).encode(
            shape=shape, fillOpacity=alt.condition("datum.few", alt.value(0), alt.value(1)), fill=base.encoding.color
        )
        # One legend: that of the lines says the same.
        marks.encoding.fill = alt.Fill("kind:N", legend=None, scale=alt.Scale(domain=names, range=[BLUE, VERMILLION]))
        panels.append(
            (diagonal + base.mark_line(strokeWidth=1) + marks).properties(
                title=f"{title}: ECE {held[0]['ece']:.3f}, n = {held[0]['n']}"
            )
        )
    return alt.concat(*panels, columns=2)


def confusion(scheme: Scheme, figures: Mapping[str, Any], say: Say) -> alt.ConcatChart:
    """A heat map a label: lines the reference, columns the answer (✗: not valid), shades the share of the line, counts in the cells."""
    panels = []
    for field in scheme.fields:
        of = figures["fields"].get(field.name)
        if not of:
            continue
        values = [str(value) for value in of["values"]]
        columns = [*values, "✗"]
        rows = [
            {"reference": line, "answer": column, "count": count, "share": count / (sum(counts) or 1)}
            for line, counts in zip(values, of["confusion"], strict=True)
            for column, count in zip(columns, counts, strict=True)
        ]
        side = 30 if len(values) > 6 else 42
        base = alt.Chart(_data(rows), width=side * len(columns), height=side * len(values)).encode(
            x=alt.X(
                "answer:N",
                sort=columns,
                title=say("chart_answer"),
                axis=alt.Axis(labelAngle=0 if max(map(len, values)) < 3 else -40),
            ),
            y=alt.Y("reference:N", sort=values, title=say("chart_reference")),
            tooltip=_tips(reference_N=say("chart_reference"), answer_N=say("chart_answer"), count_Q=say("rows")),
        )
        cells = base.mark_rect(stroke="#fff").encode(
            color=alt.Color("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=["#f4f7fa", BLUE]))
        )
        counts = base.mark_text(fontSize=12).encode(
            text="count:Q", color=alt.condition("datum.share > 0.55", alt.value("#fff"), alt.value(INK))
        )
        panels.append((cells + counts).properties(title=field.title))
    return alt.concat(*panels, columns=2)


def forest(rows: Rows, bound: float | None, say: Say) -> alt.LayerChart:
    """The share of risk cases found, with its 95 % interval, a line a variant: `name`, `recall`, `low`, `high`, `release`
    (pass, fail, undecided or none), `cases`. `bound` is what the gate asks for."""
    kinds = {**RELEASES, "none": ("#5b6b7b", "diamond")}
    shown = [kind for kind in kinds if any(row["release"] == kind for row in rows)]
    titles = {kind: say(f"release_{kind}") for kind in shown}
    data = _data([{**row, "kind": titles[row["release"]]} for row in rows])
    names = [row["name"] for row in rows]
    colours = alt.Scale(domain=list(titles.values()), range=[kinds[kind][0] for kind in shown])
    shapes = alt.Scale(domain=list(titles.values()), range=[kinds[kind][1] for kind in shown])
    base = alt.Chart(data, width=WIDTH - 160, height=alt.Step(22)).encode(
        y=alt.Y("name:N", sort=names, title=None),
        tooltip=_tips(
            name_N="",
            recall_Q=say("any_risk_found"),
            low_Q=say("chart_low"),
            high_Q=say("chart_high"),
            cases_Q=say("cases"),
        ),
    )
    axis = alt.X("low:Q", title=say("any_risk_found"), scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    line = base.mark_rule(strokeWidth=2).encode(
        x=axis, x2="high:Q", color=alt.Color("kind:N", title=None, scale=colours)
    )
    point = base.mark_point(filled=True, size=80, opacity=1).encode(
        x="recall:Q",
        color=alt.Color("kind:N", title=None, scale=colours),
        shape=alt.Shape("kind:N", title=None, scale=shapes),
    )
    if bound is None:
        return line + point
    asked = alt.Chart(alt.Data(values=[{"bound": bound}])).mark_rule(strokeDash=[4, 3], color=INK).encode(x="bound:Q")
    return asked + line + point


def variants(rows: Rows, order: Sequence[str], say: Say) -> alt.ConcatChart:
    """The variants of a model beside each other: `figure`, `variant`, `estimate`, `low`, `high` (None where no interval is
    defined); a panel a figure."""
    panels = []
    for figure in dict.fromkeys(row["figure"] for row in rows):
        held = [row for row in rows if row["figure"] == figure]
        base = alt.Chart(_data(held), width=185, height=alt.Step(22)).encode(
            y=alt.Y("variant:N", sort=list(order), title=None),
            tooltip=_tips(variant_N="", estimate_Q=figure, low_Q=say("chart_low"), high_Q=say("chart_high")),
        )
        line = (
            base.mark_rule(strokeWidth=2, color=BLUE)
            .transform_filter("datum.low !== null")
            .encode(
                x=alt.X("low:Q", scale=alt.Scale(domain=[min(0, *(row["low"] or 0 for row in held)), 1])), x2="high:Q"
            )
        )
        point = base.mark_point(filled=True, size=60, color=BLUE, opacity=1).encode(x=alt.X("estimate:Q", title=None))
        panels.append((line + point).properties(title=figure))
    return alt.concat(*panels, columns=2)


def funnel(rows: Rows, stages: Sequence[str], say: Say) -> alt.LayerChart:
    """How many records are left after each stage, stacked by source: `stage`, `source`, `count`."""
    totals = [{"stage": stage, "count": sum(row["count"] for row in rows if row["stage"] == stage)} for stage in stages]
    y = alt.Y("stage:N", sort=list(stages), title=None)
    x = alt.X("count:Q", title=say("records"), axis=alt.Axis(tickCount=5))
    bars = (
        alt.Chart(_data(rows), width=WIDTH - 190, height=alt.Step(30))
        .mark_bar(stroke="#fff")
        .encode(
            y=y,
            x=x,
            color=alt.Color("source:N", title=None),
            tooltip=_tips(stage_N="", source_N=say("source"), count_Q=say("records")),
        )
    )
    text = alt.Chart(_data(totals)).mark_text(align="left", dx=5, color=INK).encode(y=y, x="count:Q", text="count:Q")
    return bars + text


def balance(scheme: Scheme, splits: Mapping[str, Any], say: Say) -> alt.ConcatChart:
    """The share of each value in each split, a panel a label."""
    return alt.concat(*(_balance_of(field, splits, say) for field in scheme.fields), columns=2).resolve_scale(
        color="independent"
    )


def _balance_of(field: Field, splits: Mapping[str, Any], say: Say) -> alt.Chart:
    values = [str(value) for value in field.values]
    rows = [
        {"split": name, "value": value, "rank": values.index(value), "count": count, "share": count / of["rows"]}
        for name in SPLITS
        if (of := splits[name])["rows"]
        for value, count in of["fields"][field.name].items()
        if value in values
    ]
    scale = (
        alt.Scale(domain=values, range=_ramp(len(values)))
        if field.kind == "ordinal"
        else alt.Scale(domain=values, range=["#c7d0d9", *PALETTE][: len(values)])
    )
    return (
        alt.Chart(_data(rows), width=205, height=alt.Step(26), title=field.title)
        .mark_bar(stroke="#fff")
        .encode(
            y=alt.Y("split:N", sort=list(SPLITS), title=None),
            x=alt.X("count:Q", stack="normalize", title=None, axis=alt.Axis(format="%", values=[0, 0.5, 1])),
            color=alt.Color("value:N", title=None, scale=scale, legend=alt.Legend(columns=5)),
            order="rank:Q",
            tooltip=_tips(split_N="", value_N=field.title, count_Q=say("rows"), share_Q=say("share")),
        )
    )


def _ramp(steps: int) -> list[str]:
    """From a light grey to the palette's blue, so that an order is seen as one."""
    ends = ((0xDD, 0xE6, 0xEE), (0x00, 0x3C, 0x66))
    parts = [step / max(steps - 1, 1) for step in range(steps)]
    return [
        "#" + "".join(f"{round(low + part * (high - low)):02x}" for low, high in zip(*ends, strict=True))
        for part in parts
    ]


def drawn(chart: alt.TopLevelMixin) -> dict[str, str]:
    """A plot as the page holds it: `spec`, its specification as JSON, and `image`, the SVG as a data URI (an image of its own, so that
    the names inside of two plots do not meet)."""
    spec = _spec(chart)
    return {
        "spec": json.dumps(spec, ensure_ascii=False, separators=(",", ":")),
        "image": "data:image/svg+xml;base64," + base64.b64encode(_svg(spec).encode()).decode(),
    }


def packed(chart: alt.TopLevelMixin) -> str:
    """A plot's SVG, compressed and in base64, a twentieth of what it is without: for plots that are folded, which the page unpacks."""
    return base64.b64encode(gzip.compress(_svg(_spec(chart)).encode(), 9, mtime=0)).decode()


def _spec(chart: alt.TopLevelMixin) -> dict[str, Any]:
    spec = {**chart.to_dict(), "config": CONFIG}
    # The address of the schema says what the file is; the page shall name no address.
    spec.pop("$schema")
    return spec


def _svg(spec: Mapping[str, Any]) -> str:
    # Words for screen readers on each mark would be most of the image; its own text says what it shows.
    made: str = vl_convert.vegalite_to_svg({**spec, "config": {**CONFIG, "aria": False}}, vl_version=_version())
    return made


def _version() -> str:
    """The Vega-Lite version Altair writes, as vl-convert names it."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, compressed and in base64: the page unpacks it when an interactive plot is
    asked for. It sets `mindgaugeEmbed`."""
    script = vl_convert.javascript_bundle("window.mindgaugeEmbed = vegaEmbed;", vl_version=_version())
    return base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode()
