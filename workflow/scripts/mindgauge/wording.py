"""The report's words in each language, from one catalogue."""

import re
from collections.abc import Callable, Mapping, Sequence
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
    return _spans({language: html(language, key, **values) for language in LANGUAGES})


def sentence(parts: Sequence[Mapping[str, Any]]) -> Markup:
    """What a gate says (result_schema.Words), in all languages: its parts one after another."""
    return _spans(
        {
            language: Markup("").join(html(language, part["key"], **part["values"]) for part in parts)
            for language in LANGUAGES
        }
    )


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """key -> what fits its English text, of the sentences that steps write into their files. Those with most words of their own
    stand first."""
    found = {key: texts["en"] for key, texts in catalogue().items() if key.startswith("step_")}
    pieces = {key: re.split(r"\{(\w+)\}", text) for key, text in found.items()}
    return {
        key: re.compile(
            "".join(f"(?P<{piece}>.+)" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces[key]))
        )
        for key in sorted(pieces, key=lambda key: -sum(map(len, pieces[key][::2])))
    }


def told(text: str) -> Markup:
    """A sentence that a step wrote into its file, in all languages, by the text `step_…` of the catalogue whose English it fits; as it
    is where none does. What is filled in may be such a sentence itself."""
    said = {language: _only(language, text) for language in LANGUAGES}
    return Markup.escape(text) if len({*said.values()}) == 1 else _spans(said)


def _only(language: str, text: str) -> str:
    """A sentence of a step in one language."""
    for key, pattern in _patterns().items():
        if fits := pattern.fullmatch(text):
            held = {name: _only(language, value) for name, value in fits.groupdict().items()}
            return say(language)(key, **held)
    return text


def _spans(texts: Mapping[str, str]) -> Markup:
    return Markup("").join(Markup('<span lang="{}">{}</span>').format(lang, text) for lang, text in texts.items())
