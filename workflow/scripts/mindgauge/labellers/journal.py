"""The answers given so far, one a line, appended and synced as they come: a killed job goes on where it was, and a record that was
answered before, in whatever shard or run, is not asked again.

A directory holds the answers of one labeller (its key has model, prompt, code and packages in it), a file for each process that
wrote there. A line names its record and the hash of what was asked, and holds no text.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

from mindgauge.labellers.common import Answer, Asked


def _hash(asked: Asked) -> str:
    return hashlib.sha256(asked.text.encode()).hexdigest()[:16]


class Journal:
    """Reads what a directory holds; what is added goes into a new file there. Without a directory nothing is kept."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self.held: dict[tuple[str, str], Answer] = {}
        self.file: TextIO | None = None
        for path in sorted(directory.glob("*.jsonl")) if directory else ():
            # What a kill cut off ends without a line end, and is no answer.
            for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
                try:
                    row = json.loads(line)
                    self.held[row["id"], row.pop("asked")] = Answer.from_dict(row)
                except (ValueError, KeyError):
                    continue

    def get(self, asked: Asked) -> Answer | None:
        """The answer to these words of this record, if there is one."""
        return self.held.get((asked.id, _hash(asked)))

    def add(self, asked: Asked, answer: Answer) -> None:
        """Keeps a valid answer. One that failed is asked for again next time."""
        if self.file is None or answer.labels is None:
            return
        self.file.write(json.dumps({"asked": _hash(asked), **answer.to_dict()}, ensure_ascii=False) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def __enter__(self) -> "Journal":
        if self.directory is not None:
            name = f"{os.uname().nodename}-{os.getpid()}-{time.time_ns()}.jsonl"
            self.file = (self.directory / name).open("x", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file is not None:
            self.file.close()
            if not os.path.getsize(self.file.name):
                os.unlink(self.file.name)
