"""What differs between two recipes, in words: which part of a key changed, and from what to what.

Long texts (prompts, templates, notices) are told by their length alone, and what is named like a secret not at all.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

SHOWN, LONGEST = 6, 48
SECRET = re.compile(r"(?:^|_)(?:api_?key|key|token|secret|password)$")
LOGIN = re.compile(r"(?<=://)[^/@\s]*@")
PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
NOTHING = object()


def _value(name: str, value: Any) -> str | None:
    """A value as it is shown; None if it is not."""
    if value is NOTHING:
        return "nothing"
    if SECRET.search(name):
        return None
    text = LOGIN.sub("…@", value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST and "\n" not in text else None


def _differ(name: str, old: Any, new: Any) -> Iterator[str]:
    """The differences of two values, by dotted names."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if old.get(key, NOTHING) != new.get(key, NOTHING):
                yield from _differ(f"{name}.{key}", old.get(key, NOTHING), new.get(key, NOTHING))
        return
    before, after = _value(name.rpartition(".")[2], old), _value(name.rpartition(".")[2], new)
    if before is not None and after is not None:
        yield f"{name} {before} -> {after}"
    elif isinstance(old, str) and isinstance(new, str) and not SECRET.search(name):
        yield f"{name} (a text of {len(old)} characters, now of {len(new)})"
    elif isinstance(old, list) and isinstance(new, list):
        yield f"{name} ({sum(item not in old for item in new)} of {len(new)} items are new)"
    else:
        yield name


def _versions(lines: Iterable[str]) -> dict[str, str]:
    """name -> versions, or the whole line where it is no pin (the build of torch). Markers are left out."""
    found: dict[str, set[str]] = {}
    for line in lines:
        pin = PIN.match(line)
        name, version = (pin[1], pin[2]) if pin else line.split(": ", 1) if ": " in line else (line, "")
        found.setdefault(name, set()).add(version)
    return {name: " and ".join(sorted(versions)) for name, versions in found.items()}


def _packages(old: list[str], new: list[str]) -> str:
    before, after = _versions(old), _versions(new)
    changed = [
        f"{name} {before.get(name, 'nothing')} -> {after.get(name, 'nothing')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return "packages: " + (", ".join(changed[:SHOWN]) or "their markers") + more


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The differences of two recipes (`Recipe.hashed`), a line each; empty if they are the same."""
    found = []
    if old["code"] != new["code"]:
        found.append("code")
    if old["packages"] != new["packages"]:
        found.append(_packages(old["packages"], new["packages"]))
    if old["params"] != new["params"]:
        found += list(_differ("params", old["params"], new["params"]))
    for part in ("inputs", "lists"):
        for name in sorted({*old[part], *new[part]}):
            before, after = old[part].get(name), new[part].get(name)
            if before is None or after is None:
                found.append(f"{part}.{name} ({'no longer read' if after is None else 'not read before'})")
            elif before != after:
                content = all(isinstance(one, str) and one.startswith("content:") for one in (before, after))
                found.append(f"{part}.{name} ({'another content' if content else 'made anew'})")
    return found
