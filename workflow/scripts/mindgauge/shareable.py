"""Plain data as it may leave the machine: without places on it, without addresses of servers, long texts by their hash."""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from mindgauge.hashing import digest

OUTSIDE = "(outside the clone)"
# Longer ones are prompts, templates and schemas. They are told apart by their hash, and what stands in them is their writer's.
LONGEST = 200


def is_place(text: str) -> bool:
    """Is this a path that says where on a machine something lies? A path within the clone does not."""
    return (
        text.startswith(("~", "file:"))
        or PurePosixPath(text).is_absolute()
        or PureWindowsPath(text).is_absolute()
        or ".." in re.split(r"[/\\]", text)
    )


def without_places(value: Any) -> Any:
    """Plain data in which no string is a place on a machine. A labeller's `url` is left out: it names a server, and some hold a key."""
    if isinstance(value, dict):
        return {name: without_places(of) for name, of in value.items() if name != "url"}
    if isinstance(value, list | tuple):
        return [without_places(of) for of in value]
    # Not the last part either: of a home directory that is somebody's name.
    return OUTSIDE if isinstance(value, str) and is_place(value) else value


def brief(value: Any) -> Any:
    """Plain data in which a long text, or one of several lines, stands as its sha256 and length."""
    if isinstance(value, dict):
        return {name: brief(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [brief(of) for of in value]
    if isinstance(value, str) and (len(value) > LONGEST or "\n" in value):
        return {"characters": len(value), "sha256": digest(value)}
    return value
