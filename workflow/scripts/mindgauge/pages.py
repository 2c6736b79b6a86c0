"""Results as pages: figures in JSON as tables that a browser shows, since Snakemake's viewer shows pictures and pages alone."""

from html import escape
from pathlib import Path
from typing import Any

# Hidden: they are for Snakemake's viewer alone, and only links are withdrawn when a run fails.
PAGES = Path("results/.pages")
# More columns than fit are shown one below the other.
WIDEST = 14
# Parts with more figures than a screen holds are folded.
SCREENFUL = 300
STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #1f2937; background: #fff }
h1 { font-size: 1.2rem } details { margin: .6rem 0 .6rem .6rem } summary { cursor: pointer; font-weight: 600 }
table { border-collapse: collapse; margin: .4rem 0 .8rem; font-variant-numeric: tabular-nums }
th, td { border: 1px solid #d1d5db; padding: .2rem .6rem; text-align: left; vertical-align: top } thead th { background: #f3f4f6 }
"""


def _plain(value: Any) -> bool:
    """Is it shown in one cell: a number, a text, a short list of those?"""
    return not isinstance(value, dict | list) or (
        isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)
    )


def _cell(value: Any) -> str:
    if value is None or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return escape(str(value))


def _name(name: Any) -> str:
    """A key in words; the name of a quant (Q4_K_M) stays as it is."""
    text = str(name)
    return escape(text.replace("_", " ") if text.islower() else text)


def _figures(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 1 if inner is None else sum(map(_figures, inner))


def _columns(rows: list[Any]) -> list[str]:
    """The columns of a table of some rows; none if they are not of one shape."""
    if not rows or not all(isinstance(row, dict) and row and all(map(_plain, row.values())) for row in rows):
        return []
    columns = list(dict.fromkeys(column for row in rows for column in row))
    common = set(columns).intersection(*rows)
    return columns if common and len(columns) <= WIDEST else []


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{one}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{one}</td>" for one in row) + "</tr>" for row in rows)
    return "<table>" + (f"<thead><tr>{head}</tr></thead>" if head else "") + f"<tbody>{body}</tbody></table>"


def _body(value: Any) -> str:
    if _plain(value):
        return f"<p>{_cell(value)}</p>"
    named = isinstance(value, dict)
    items = list(value.items()) if named else list(enumerate(value, 1))
    if columns := _columns([item for _, item in items]):
        heads = ([""] if named else []) + [_name(column) for column in columns]
        return _table(
            heads,
            [
                ([_name(name)] if named else []) + [_cell(row[column]) if column in row else "" for column in columns]
                for name, row in items
            ],
        )
    plain = [[_name(name), _cell(item)] for name, item in items if _plain(item)]
    text = _table([], plain) if plain else ""
    for name, item in items:
        if not _plain(item):
            unfolded = " open" if _figures(item) <= SCREENFUL else ""
            text += f"<details{unfolded}><summary>{_name(name)}</summary>{_body(item)}</details>"
    return text


def page(title: str, value: Any) -> str:
    """A page that needs nothing from elsewhere: tables of what a JSON file holds, the deeper parts folded."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1>{_body(value)}</html>\n"
    )
