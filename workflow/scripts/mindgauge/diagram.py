"""The picture of the steps (docs/images/dag.svg), drawn from the plan's own methods, so that it cannot fall behind them."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

PLAN = Path(__file__).with_name("plan.py")
# The step whose content a gate tells.
GATES = {"minimised": "minimise", "labels": "merge_labels", "sft": "make_sft", "base": "base"}
WIDTH, HEIGHT, ROW, GAP, THROUGH = 118, 30, 58, 16, 14
BOX, GPU, END = ("#eef5fc", "#08519c"), ("#fdd0a2", "#b35806"), ("#c7e9c0", "#238b45")
COLOURS = {"train": GPU, "report": END}


def _calls(method: ast.FunctionDef, methods: dict[str, ast.FunctionDef]) -> Iterator[tuple[str, bool]]:
    """The steps that a method of the plan takes inputs from, and whether by content; through its helpers, too."""
    for node in ast.walk(method):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if getattr(node.func.value, "id", "") != "self":
            continue
        first = node.args[0] if node.args else None
        if isinstance(first, ast.JoinedStr):
            first = first.values[0]
        name = str(first.value).rstrip("/") if isinstance(first, ast.Constant) else ""
        called = node.func.attr
        if called == "_key" and name:
            yield name, False
        elif called in ("_content", "_gate") and name in GATES:
            yield GATES[name], True
        elif called == "views":
            parts = [of for name in ("views", "_of_model") for of in ast.walk(methods[name])]
            views = {of.value for of in parts if isinstance(of, ast.Constant)}
            yield from ((step, False) for step in views if isinstance(step, str) and f"_{step}" in methods)
        elif (
            called in methods
            and called not in ("_key", "_content", "_gate", "recipe")
            and methods[called] is not method
        ):
            yield from _calls(methods[called], methods)


def chain() -> tuple[list[str], set[tuple[str, str]], set[str]]:
    """The steps in the plan's order, the edges that no longer way says already, and the steps behind whose gate content counts.

    An edge against that order is left out: the quant AUTO takes the evaluation of another variant, which is no circle of entries.
    """
    tree = ast.parse(PLAN.read_text(encoding="utf-8"))
    plan = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Plan")
    methods = {node.name: node for node in plan.body if isinstance(node, ast.FunctionDef)}
    steps = [
        name[1:]
        for name, of in methods.items()
        if name.startswith("_") and isinstance(of.returns, ast.Name) and of.returns.id == "Any"
    ]
    order = {step: number for number, step in enumerate(steps)}
    calls = {step: [of for of in _calls(methods[f"_{step}"], methods) if of[0] in order] for step in steps}
    gates = {name for of in calls.values() for name, content in of if content}
    before = {step: {name for name, _ in of if order[name] < order[step]} for step, of in calls.items()}
    reached: dict[str, set[str]] = {}
    for step in steps:
        reached[step] = before[step].union(*(reached[name] for name in before[step]))
    edges = {
        (name, step)
        for step, of in before.items()
        for name in of
        if not any(name in reached[other] for other in of if other != name)
    }
    return steps, edges, gates


def _ranks(steps: list[str], edges: set[tuple[str, str]]) -> dict[str, int]:
    """The line each step stands on: as late as what it is for allows, so that lines are short; what nothing is made from, early."""
    early: dict[str, int] = {}
    for step in steps:
        early[step] = max((early[a] + 1 for a, b in edges if b == step), default=0)
    late: dict[str, int] = {}
    for step in reversed(steps):
        late[step] = min((late[b] - 1 for a, b in edges if a == step), default=early[step])
    return late


def svg() -> str:
    """The picture: a box a step, from top to bottom; a dot below a box is a gate."""
    steps, edges, gates = chain()
    ranks = _ranks(steps, edges)
    rows: list[list[str]] = [[] for _ in range(max(ranks.values()) + 1)]
    for step in steps:
        rows[ranks[step]].append(step)
    # A line that passes a row has a place of its own there.
    ways = {}
    for a, b in sorted(edges):
        between = [f"{a}>{b}@{rank}" for rank in range(ranks[a] + 1, ranks[b])]
        for rank, name in enumerate(between, ranks[a] + 1):
            rows[rank].append(name)
        ways[a, b] = [a, *between, b]
    above: dict[str, list[str]] = {}
    for way in ways.values():
        for a, b in pairwise(way):
            above.setdefault(b, []).append(a)
    x: dict[str, float] = {}
    wide = {name: WIDTH if name in ranks else THROUGH for row in rows for name in row}
    for row in rows:
        middle = {name: sum(x[a] for a in above[name]) / len(above[name]) if name in above else 0.0 for name in row}
        row.sort(key=lambda name: (middle[name], name))
        at = -(sum(wide[name] for name in row) + GAP * (len(row) - 1)) / 2
        for name in row:
            x[name] = at + wide[name] / 2
            at += wide[name] + GAP
    left = min(x[name] - wide[name] / 2 for name in x) - 10
    size = max(x[name] + wide[name] / 2 for name in x) + 10 - left, len(rows) * ROW + 10
    y = {name: rank * ROW + 10 for rank, row in enumerate(rows) for name in row}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]:.0f} {size[1]:.0f}" '
        f'width="{size[0]:.0f}" height="{size[1]:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0L8,4L0,8z" fill="#5b6b7b"/></marker></defs>',
    ]
    for way in ways.values():
        line = ""
        for a, b in pairwise(way):
            start, end = y[a] + HEIGHT, y[b]
            half = (start + end) / 2
            begin = f"M{x[a] - left:.1f},{start:.1f}" if not line else ""
            line += f"{begin}C{x[a] - left:.1f},{half:.1f} {x[b] - left:.1f},{half:.1f} {x[b] - left:.1f},{end:.1f}"
            if b not in ranks:
                line += f"V{end + HEIGHT:.1f}"
        parts.append(f'<path d="{line}" fill="none" stroke="#5b6b7b" stroke-width="1.2" marker-end="url(#end)"/>')
    for step in steps:
        fill, ink = COLOURS.get(step, BOX)
        at = x[step] - left
        parts.append(
            f'<rect x="{at - WIDTH / 2:.1f}" y="{y[step]}" width="{WIDTH}" height="{HEIGHT}" rx="7" fill="{fill}" stroke="{ink}"/>'
            f'<text x="{at:.1f}" y="{y[step] + 20}" text-anchor="middle" fill="#1b2733">{escape(step.replace("_", " "))}</text>'
        )
        if step in gates:
            parts.append(f'<circle cx="{at:.1f}" cy="{y[step] + HEIGHT}" r="4.5" fill="#08519c"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"
