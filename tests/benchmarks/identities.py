"""The replacement of identities beside what libraries find, on the planted sentences that were written after the rules and on
the ordinary ones: recall, ordinary sentences changed, sentences a second. A library that is not installed is left out; none
is needed by the project.

    pip install --target build/extra phonenumbers python-stdnum thulac
    PYTHONPATH=build/extra python tests/benchmarks/identities.py
"""

import contextlib
import importlib.util
import io
import os
import platform
import re
import time
from collections.abc import Callable, Iterator

import rjieba

from mindgauge import identities, planted

NAMES = ("own name", "name of another")
Replace = Callable[[str], str]


def ours(text: str) -> str:
    """The project's replacement."""
    return identities.replace([text]).texts[0]


def person_tag(text: str) -> str:
    """Every word that the segmenter (jieba's dictionary and HMM) tags as a person."""
    return "".join("[姓名]" if tag.startswith("nr") else word for word, tag in rjieba.tag(text))


def tagger() -> Replace:
    """Every word that THULAC (a perceptron with a model of 487 MB) tags as a person."""
    import thulac

    with contextlib.redirect_stdout(io.StringIO()):
        model = thulac.thulac()

    def replace(text: str) -> str:
        return "".join("[姓名]" if tag == "np" else word for word, tag in model.cut(text))

    return replace


def telephones(text: str) -> str:
    """Every number that phonenumbers finds for China."""
    import phonenumbers

    for match in reversed(list(phonenumbers.PhoneNumberMatcher(text, "CN"))):
        text = f"{text[: match.start]}[电话]{text[match.end :]}"
    return text


def cards(text: str) -> str:
    """Every run of 18 that python-stdnum takes for a valid number of an identity card."""
    from stdnum.cn import ric

    def put(found: re.Match[str]) -> str:
        # 2.2 raises KeyError for numbers of districts that it does not know.
        with contextlib.suppress(KeyError):
            return "[证件号]" if ric.is_valid(found[0]) else found[0]
        return found[0]

    return re.sub(r"\d{17}[\dXx]", put, text)


def ways() -> Iterator[tuple[str, Replace, tuple[str, ...]]]:
    """What is compared: its name, the function, and the kinds it is meant to find."""
    yield "mindgauge", ours, tuple(planted.KINDS)
    yield "segmenter's person tag", person_tag, NAMES
    for package, name, make, kinds in (
        ("thulac", "THULAC's person tag", tagger, NAMES),
        ("phonenumbers", "phonenumbers", lambda: telephones, ("mobile", "landline")),
        ("stdnum", "python-stdnum", lambda: cards, ("national id",)),
    ):
        if importlib.util.find_spec(package):
            yield name, make(), kinds


def main() -> None:
    """Prints a table."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'way':<24}{'kinds':<34}{'recall':>7}{'ours':>7}{'ordinary changed':>18}{'sentences/s':>13}")
    known = planted.measure(ours)["held_out"]["kinds"]
    texts = [plant.text for plant in planted.plants(held_out=True)]
    for name, replace, kinds in ways():
        measured = planted.measure(replace)

        def recall(of: dict[str, dict[str, int]], kinds: tuple[str, ...] = kinds) -> float:
            return sum(of[kind]["found"] for kind in kinds) / sum(of[kind]["planted"] for kind in kinds)

        start = time.perf_counter()
        for text in texts:
            replace(text)
        rate = len(texts) / (time.perf_counter() - start)
        which = "all" if len(kinds) == len(planted.KINDS) else ", ".join(kinds)
        changed = f"{measured['ordinary_changed']} of {measured['ordinary_sentences']}"
        print(
            f"{name:<24}{which:<34}{recall(measured['held_out']['kinds']):>7.3f}{recall(known):>7.3f}{changed:>18}{rate:>13.0f}"
        )


if __name__ == "__main__":
    main()
