"""The report's words in each language, from one catalogue."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

DATA_FILES = ("report_templates/strings.yaml",)
LANGUAGES = ("en", "zh")
CATALOGUE = Path(__file__).parent / DATA_FILES[0]


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """key -> language -> text, which may hold HTML and `{names}` of what is put in."""
    found: dict[str, dict[str, str]] = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    return found


def say(language: str) -> Callable[..., str]:
    """A function that gives the text of a key in a language, with what its `{names}` stand for: for texts without HTML."""

    def said(key: str, **values: Any) -> str:
        return catalogue()[key][language].format(**values)

    return said


def html(language: str, key: str, **values: Any) -> Markup:
    """The text of a key in a language, as HTML. What is put in is escaped."""
    return Markup(catalogue()[key][language]).format(**values)


def both(key: str, **values: Any) -> Markup:
    """A text in all languages, each in an element of its own, of which the page shows one."""
    return Markup("").join(
        Markup('<span lang="{}">{}</span>').format(language, html(language, key, **values)) for language in LANGUAGES
    )
