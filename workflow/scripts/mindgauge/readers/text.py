"""Bytes to text and text to JSON values, streaming. Standard library only: the main process imports the readers."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


def encoding_of(path: Path) -> str:
    """`utf-8-sig` (with or without BOM), or `gb18030` where the beginning is not UTF-8."""
    with path.open("rb") as file:
        head = file.read(CHUNK)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8-sig"


def read_text(path: Path) -> str:
    """A small file as text, with `\\n` line ends and without NUL. Raises UnicodeDecodeError."""
    return path.read_text(encoding=encoding_of(path)).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def json_items(path: Path) -> Iterator[tuple[int, Any]]:
    """The items of a JSON array, or of a file of concatenated or line-wise JSON values, each with its line, in constant
    memory. Raises ValueError, whose only argument is the line, where the text is not JSON."""
    decoder = json.JSONDecoder()
    buffer, line, ended = "", 1, False
    with path.open(encoding=encoding_of(path)) as file:

        def more() -> bool:
            nonlocal buffer, ended
            chunk = file.read(CHUNK)
            buffer += chunk
            ended = not chunk
            return not ended

        def skip() -> None:
            nonlocal buffer, line
            rest = buffer.lstrip(" \t\r\n,")
            line += buffer.count("\n", 0, len(buffer) - len(rest))
            buffer = rest

        more()
        skip()
        array = buffer.startswith("[")
        if array:
            buffer = buffer[1:]
        while True:
            skip()
            if not buffer:
                if more():
                    continue
                if array:
                    raise ValueError(line)
                return
            if array and buffer.startswith("]"):
                return
            try:
                value, end = decoder.raw_decode(buffer)
            except json.JSONDecodeError:
                if more():
                    continue
                raise ValueError(line) from None
            if end == len(buffer) and not ended and more():  # a number may go on in the next chunk
                continue
            yield line, value
            line += buffer.count("\n", 0, end)
            buffer = buffer[end:]
