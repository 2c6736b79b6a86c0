"""Files to text, and text to JSON values: streaming, and each fault told with its line instead of raised."""

import codecs
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mindgauge.files import walk
from mindgauge.records import Broken

CHUNK = 1 << 20
# One value (a record, an array item, a line) may be this many characters; a longer one is no record of a counselling corpus.
MAX_VALUE = 16 << 20
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BLANK, BETWEEN = re.compile(r"[ \t\r\n]*"), re.compile(r"[ \t\r\n,]*")


@dataclass
class Seen:
    """What was met while a source was read: files by encoding and by line end, files left out by suffix, role names; and where
    the reading is now: the file, and the line (of a spreadsheet the row) that what is being read begins at."""

    files: int = 0
    encodings: Counter[str] = field(default_factory=Counter)
    line_ends: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    nul_bytes: int = 0
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Value:
    """A JSON value and the line it begins at."""

    line: int
    value: Any


def raw_files(root: Path, suffixes: tuple[str, ...], seen: Seen) -> Iterator[Path | Broken]:
    """The files of a source in a fixed order. Links are followed, a loop once round; what should be a file of the source and
    is none is told; files of other suffixes are counted. A source that is one file is taken whatever its name."""
    if root.is_file():
        yield root
        return
    for path, wrong in walk(root):
        if wrong:
            yield Broken(path.relative_to(root).as_posix(), 0, wrong)
        elif path.suffix not in suffixes:
            seen.left_out[path.suffix or path.name] += 1
        else:
            yield path


def encoding_of(head: bytes) -> str:
    """What a byte order mark says; without one `utf-8`, or `gb18030` where the beginning is not UTF-8 and is GB18030."""
    for mark, name in BOMS:
        if head.startswith(mark):
            return name
    for name in ("utf-8", "gb18030"):
        try:
            codecs.getincrementaldecoder(name)().decode(head)
        except UnicodeDecodeError:
            continue
        return name
    return "utf-8"


def opened(path: Path, seen: Seen) -> tuple[BinaryIO, str]:
    """The file and its encoding, counted with its line ends. Raises OSError."""
    file = io.BufferedReader(io.FileIO(path), CHUNK)
    head = file.peek(CHUNK)[:CHUNK]
    encoding = encoding_of(head)
    seen.files += 1
    seen.encodings[encoding] += 1
    seen.nul_bytes += head.count(b"\0") if not encoding.startswith(("utf-16", "utf-32")) else 0
    seen.line_ends["CRLF" if b"\r\n" in head else "LF" if b"\n" in head else "none"] += 1
    return file, encoding


def plain(text: str) -> str:
    """Text with `\\n` line ends and without NUL or a byte order mark."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\ufeff", "")


def read_text(path: Path, seen: Seen) -> str | Broken:
    """A small file as text."""
    try:
        file, encoding = opened(path, seen)
        with file:
            data = file.read(MAX_VALUE + 1)
        if len(data) > MAX_VALUE:
            return Broken(path.name, 1, f"a record of over {MAX_VALUE >> 20} MiB")
        return plain(data.decode(encoding))
    except UnicodeDecodeError as error:
        return Broken(path.name, data.count(b"\n", 0, error.start) + 1, "neither UTF-8 nor GB18030")
    except OSError as error:
        return Broken(path.name, 0, f"cannot be read ({error.strerror})")


def json_values(path: Path, seen: Seen) -> Iterator[Value | Broken]:
    """The values of a file of JSON: line by line for `.jsonl`, else the items of an array, or values one after another."""
    try:
        file, encoding = opened(path, seen)
        with file:
            # Line ends of UTF-16 and UTF-32 are more than one byte.
            by_line = path.suffix in (".jsonl", ".ndjson") and not encoding.startswith(("utf-16", "utf-32"))
            yield from (_lines if by_line else _items)(path, file, encoding)
    except OSError as error:
        yield Broken(path.name, 0, f"cannot be read ({error.strerror})")


def _lines(path: Path, lines: BinaryIO, encoding: str) -> Iterator[Value | Broken]:
    """Each line for itself: a broken one costs nothing but itself."""
    number = 0
    while line := lines.readline(MAX_VALUE):
        number += 1
        if len(line) == MAX_VALUE and not line.endswith(b"\n"):
            while (rest := lines.readline(MAX_VALUE)) and not rest.endswith(b"\n"):
                pass
            yield Broken(path.name, number, f"a line of over {MAX_VALUE >> 20} MiB")
            continue
        try:
            text = plain(line.decode(encoding)).strip()
            if text:
                yield Value(number, json.loads(text))
        except UnicodeDecodeError:
            yield Broken(path.name, number, "neither UTF-8 nor GB18030")
        except (ValueError, RecursionError):
            yield Broken(path.name, number, "not JSON")


def _items(path: Path, raw: BinaryIO, encoding: str) -> Iterator[Value | Broken]:
    """In constant memory. From a fault on the rest of the file cannot be read; that is told with how much it is."""
    decoder = json.JSONDecoder()
    decode = codecs.getincrementaldecoder(encoding)()
    buffer, start, line, ended, undecodable = "", 0, 1, False, False

    def more() -> bool:
        """Reads on, dropping what was used; False at the end of what can be decoded."""
        nonlocal buffer, start, ended, undecodable
        if ended:
            return False
        chunk = raw.read(CHUNK)
        try:
            text = decode.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            # What stands before the fault in this chunk is still read.
            text = error.object[: error.start].decode(encoding, errors="ignore")
            undecodable = True
        ended = undecodable or not chunk
        buffer, start = buffer[start:] + text.replace("\0", "").replace("\ufeff", ""), 0
        return bool(text) or not ended

    def rest(reason: str) -> Broken:
        left = len(buffer) - start + path.stat().st_size - raw.tell()
        why = "neither UTF-8 nor GB18030" if undecodable else reason
        return Broken(path.name, line, f"{why} from here on (about {max(1, round(left / 1024))} KiB)")

    array: bool | None = None
    more()
    while True:
        end = (BETWEEN if array else BLANK).match(buffer, start).end()  # type: ignore[union-attr]
        line += buffer.count("\n", start, end)
        start = end
        if start == len(buffer):
            if more():
                continue
            if array or undecodable:
                yield rest("the array does not end")
            return
        if array is None and (array := buffer[start] == "["):
            start += 1
            continue
        if array and buffer[start] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, start)
        except RecursionError:
            yield rest("nested too deeply")
            return
        except ValueError:
            held = len(buffer) - start
            if held > MAX_VALUE:
                yield rest(f"a value of over {MAX_VALUE >> 20} MiB")
                return
            # Twice as much before the next attempt, so that a long value costs linear time.
            grown = more()
            while grown and len(buffer) < min(2 * held, MAX_VALUE + 1) and more():
                pass
            if grown:
                continue
            yield rest("not JSON")
            return
        if end == len(buffer) and more():  # a number may go on in the next chunk
            continue
        yield Value(line, value)
        line += buffer.count("\n", start, end)
        start = end
