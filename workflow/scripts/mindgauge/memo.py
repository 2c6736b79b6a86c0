"""Results that are computed once, and hold as long as everything that was asked on the way says the same.

The plan of many models asks for the same recipes thousands of times while the DAG is built, and the DAG is built anew after each
checkpoint. What may change meanwhile (gates, the pins of base models) is asked through here, so that a change is seen.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from mindgauge.store import fingerprint

Question = TypeVar("Question", bound=Hashable)


@dataclass
class _Held(Generic[Question]):
    """A result, and what each question that it rests on said; or, without a result, the question that had no answer."""

    value: Any = None
    said: dict[Question, Any] = field(default_factory=dict)
    unanswered: Question | None = None


class Memo(Generic[Question]):
    """`ask` answers a question, by the same object as long as nothing changed; what it raises is passed on."""

    def __init__(self, ask: Callable[[Question], Any]) -> None:
        self._ask = ask
        self._held: dict[Hashable, _Held[Question]] = {}
        # Those being computed, the innermost last.
        self._open: list[_Held[Question]] = []
        self._said: dict[Question, Any] = {}
        self._looks = 0

    @contextmanager
    def look(self) -> Iterator[None]:
        """While it lasts each question is asked once: a look sees one state of the world. Looks may be nested."""
        self._looks += 1
        try:
            yield
        finally:
            self._looks -= 1
            if not self._looks:
                self._said.clear()

    def _answer(self, question: Question) -> Any:
        if question not in self._said:
            self._said[question] = self._ask(question)
        return self._said[question]

    def ask(self, question: Question) -> Any:
        """The answer to a question, on which the result being computed then rests."""
        try:
            with self.look():
                answer = self._answer(question)
        except Exception:
            self._rest_on(_Held(unanswered=question))
            raise
        self._rest_on(_Held(said={question: answer}))
        return answer

    def result(self, name: Hashable, compute: Callable[[], Any]) -> tuple[Any, tuple[Question, ...]]:
        """What `compute` returns, from before if all that it asked then says the same now, and the questions it rests on. Results
        that it takes on the way must come through here too. While a question has no answer, asking it again is all that is done."""
        with self.look():
            known = self._held.get(name)
            held = known or _Held()
            try:
                if known is None or not self._holds(known):
                    held = self._held[name] = _Held()
                    self._compute(held, compute)
            except Exception:
                if held.unanswered is None:
                    del self._held[name]
                self._rest_on(held)
                raise
        self._rest_on(held)
        return held.value, tuple(held.said)

    def _holds(self, held: _Held[Question]) -> bool:
        """Does a result still hold? Raises what the question raises that had no answer, if it still has none."""
        if any(self._answer(question) is not said for question, said in held.said.items()):
            return False
        if held.unanswered is None:
            return True
        self._answer(held.unanswered)
        return False

    def _compute(self, held: _Held[Question], compute: Callable[[], Any]) -> None:
        self._open.append(held)
        try:
            held.value = compute()
            held.unanswered = None
        finally:
            self._open.pop()

    def _rest_on(self, held: _Held[Question]) -> None:
        """What is being computed rests on all that another result rests on."""
        if self._open:
            self._open[-1].said |= held.said
            self._open[-1].unanswered = held.unanswered


class FileMemo:
    """What is read from files, read again when a file's size, inode or times changed; the same object while its content is the same."""

    def __init__(self, read: Callable[[Path], Any]) -> None:
        self._read = read
        self._held: dict[Path, tuple[list[int], Any]] = {}

    def __call__(self, path: Path) -> Any:
        """The content of a file; None where there is none."""
        try:
            now = fingerprint(path)
        except FileNotFoundError:
            self._held.pop(path, None)
            return None
        before, value = self._held.get(path, (None, None))
        if before != now:
            found = self._read(path)
            value = value if before is not None and found == value else found
            self._held[path] = (now, value)
        return value
