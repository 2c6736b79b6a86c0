"""The last look at what leaves the machine: no text of a record, no place on the machine, no secret of the environment."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mindgauge.errors import UserError
from mindgauge.licences import RUN
from mindgauge.records import Record
from mindgauge.shingles import packed, shingles

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
# A shorter value (`1`, `true`) is a switch.
SHORTEST_SECRET = 8
HOME = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\Users\\)[\w.-]+")
INSTEAD = "this is a defect of the step that wrote it, or stands in a text of the configuration: take it out there"


def secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that hold a secret, by their names."""
    return {name: value for name, value in environment.items() if SECRET.search(name) and len(value) >= SHORTEST_SECRET}


def refuse_places(files: Mapping[str, bytes], places: Iterable[Path], environment: Mapping[str, str]) -> None:
    """Raises UserError, naming the file, if one of `files` (by the name it leaves under) holds one of `places`, a home directory,
    or a secret of the environment. The root of a file system is no place."""
    held = sorted({str(place) for place in places if place.is_absolute() and place != Path(place.anchor)})
    paths = [re.compile(re.escape(place) + r"(?![\w-])") for place in held] + [HOME]
    hidden = secrets(environment)
    for name, content in files.items():
        text = content.decode("utf-8", errors="replace")
        for variable, value in hidden.items():
            if value in text:
                raise UserError(f"it would hold the value of the variable {variable}", where=name, instead=INSTEAD)
        if any(path.search(text) for path in paths):
            raise UserError("it would hold a path of this machine", where=name, instead=INSTEAD)


def refuse_records(files: Mapping[str, bytes], records: Iterable[Record]) -> None:
    """Raises UserError, naming file and record and never the text, if one of `files` holds as many characters in a row as
    are no coincidence, of what somebody says in a record or of its title. Of a shorter turn nothing is looked for."""
    texts = {name: shingles(content.decode("utf-8", errors="replace"), RUN) for name, content in files.items()}
    leaving = np.unique(np.concatenate([*texts.values(), np.empty(0, dtype=np.uint64)]))
    for record in records:
        said = [
            text for text in (record.question or "", *(turn.text for turn in record.turns)) if len(packed(text)) >= RUN
        ]
        for text in said:
            looked = shingles(text, RUN)
            if np.isin(looked, leaving, assume_unique=True).any():
                name = next(name for name, held in texts.items() if np.isin(looked, held, assume_unique=True).any())
                raise UserError("it would hold text of a record", where=f"{name}; record {record.id}", instead=INSTEAD)
