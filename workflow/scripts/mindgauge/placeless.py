"""A job's log does not tell where clone, store and home lie: logs may be passed on, and a path often holds a person's name."""

from pathlib import Path
from typing import TextIO


class Placeless:
    """A stream that writes to another what it is given, with short names instead of places."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.places = stream, {str(Path.cwd()): ".", str(Path.home()): "~"}

    def name(self, place: Path, name: str) -> None:
        """Has `place`, as it is written and as it is without links, stand as `name`."""
        self.places |= {str(place.absolute()): name, str(place.resolve()): name}

    def write(self, text: str) -> int:
        """Writes a text; the length is that of what was given."""
        for place in sorted(self.places, key=len, reverse=True):
            if len(place) > 1:
                text = text.replace(place, self.places[place])
        self.stream.write(text)
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)
