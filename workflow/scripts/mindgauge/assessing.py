"""A bundle at work: what a student says -> labels, asked exactly as the model was trained and evaluated, held to the valid answers."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from mindgauge.engines import Choice
from mindgauge.engines.llama_cpp import AHEAD, LlamaCppEngine, sized
from mindgauge.errors import UserError
from mindgauge.files import read_json, sha256_file
from mindgauge.inference import load_gguf
from mindgauge.labellers.asking import chosen
from mindgauge.labellers.common import Asked
from mindgauge.labellers.llama_cpp import ANSWER, asking_of
from mindgauge.labels import Scheme, Value
from mindgauge.records import Record, Speaker, Turn
from mindgauge.trie import Trie, following
from mindgauge.views import VIEWS, view

NEEDED = ("prompt.txt", "chat_template.jinja", "bundle.json")
AGAIN = "results/models/<model>/bundle/<quant>, as this version of MindGauge makes it"
BOM = b"\xef\xbb\xbf"

ROLES: dict[str, Speaker] = {
    **dict.fromkeys(("user", "client", "学生"), "client"),
    **dict.fromkeys(("assistant", "counsellor", "咨询师"), "counsellor"),
    **dict.fromkeys(("other", "旁人"), "other"),
}


class Refused(UserError):
    """Something said that is not answered. `status` is what HTTP calls it, `told` further figures for a machine."""

    def __init__(self, what: str, instead: str, *, status: int = 422, told: dict[str, Any] | None = None) -> None:
        super().__init__(what, instead=instead)
        self.status, self.told = status, told or {}


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    role: Literal["user", "client", "学生", "assistant", "counsellor", "咨询师", "other", "旁人"] = Field(
        description="user, client, 学生: the student. assistant, counsellor, 咨询师: the counsellor. other, 旁人: someone else."
    )
    content: str


class Said(BaseModel):
    """What is to be assessed: either `text`, the student's words, or `messages`, a conversation, which is answered as a whole."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    text: str | None = None
    messages: list[Message] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.text is None) == (self.messages is None):
            raise ValueError("either text or messages")
        return self

    def turns(self) -> list[Turn]:
        """The turns, as records hold them."""
        if self.text is not None:
            return [Turn("client", self.text)]
        return [Turn(ROLES[message.role], message.content) for message in self.messages or []]


class Row(Said):
    """A line of JSONL."""

    id: str | int


ROW: TypeAdapter[Row] = TypeAdapter(Row)


def fault(errors: list[Any]) -> str:
    """The first of pydantic's errors in words that never quote what was given, which `msg` of these models does not either."""
    first = errors[0]
    # A further key was named by whoever wrote it.
    place = [] if first["type"] == "extra_forbidden" else [str(part) for part in first["loc"] if part != "body"]
    what = "a key that is none of ours" if first["type"] == "extra_forbidden" else first["msg"]
    return f"{'.'.join(place)}: {what}" if place else what


@dataclass(frozen=True)
class Bundle:
    """What a bundle's files say. `view` is what the model reads of a dialogue, `release` the decision of its makers' gates."""

    weights: Path
    instruction: str
    template: str
    scheme: Scheme
    model: str
    quant: str
    context: int
    view: str
    release: str

    @classmethod
    def load(cls, directory: Path) -> "Bundle":
        """The bundle in a directory. Raises UserError for what is none, or is not as it was made; the weights, which may be
        large, are left to `weights_sha256`."""
        weights = sorted(directory.glob("*.gguf"))
        missing = [name for name in (*NEEDED, "checksums.txt") if not (directory / name).is_file()]
        if len(weights) != 1 or missing:
            what = f"{missing[0]} is missing" if missing else f"{len(weights)} .gguf files, and one is needed"
            raise UserError(f"this is no bundle ({what})", where=str(directory), instead=AGAIN)
        for name in NEEDED:
            _checked(directory / name)
        found = read_json(directory / "bundle.json")
        try:
            bundle = cls(
                weights[0],
                (directory / "prompt.txt").read_text(encoding="utf-8").rstrip("\n"),
                (directory / "chat_template.jinja").read_text(encoding="utf-8"),
                Scheme.from_dict(found["labels"], str(directory / "bundle.json")),
                found["model"],
                found["quant"],
                found["context"],
                found["view"],
                found["release"],
            )
        except (KeyError, TypeError):
            bundle = None
        if bundle is None or bundle.view not in VIEWS:
            raise UserError(
                "bundle.json is not as this version writes it", where=str(directory / "bundle.json"), instead=AGAIN
            )
        return bundle

    def weights_sha256(self) -> str:
        """The sha256 of the GGUF. Raises UserError if checksums.txt has another."""
        return _checked(self.weights)

    def read(self, record: Record) -> str:
        """What the model reads of a record."""
        return view(record, self.view)


def _checked(path: Path) -> str:
    """The sha256 of a bundle's file. Raises UserError if checksums.txt has another."""
    lines = (path.parent / "checksums.txt").read_text(encoding="utf-8").splitlines()
    found = sha256_file(path)
    if f"{found}  {path.name}" not in lines:
        raise UserError(
            "this file is not as the bundle was made (checksums.txt)",
            where=str(path),
            instead="copy the bundle again, whole",
        )
    return found


class Assessor:
    """A bundle with its model loaded. Close it, or use it in a `with`. Not for several threads at once."""

    def __init__(self, bundle: Bundle, *, records: int = 1, threads: int | None = None) -> None:
        """Loads the model, to answer up to `records` together. Raises UserError if it cannot be loaded."""
        self.bundle = bundle
        vocabulary = load_gguf(bundle.weights, bundle.context, weights=False)
        if vocabulary.metadata.get("tokenizer.chat_template") != bundle.template:
            raise UserError(
                "chat_template.jinja is not the template in the GGUF", where=str(bundle.weights), instead=AGAIN
            )
        self.asking = asking_of(vocabulary, bundle.weights, bundle.instruction, thinking=False)
        trie = Trie.build(bundle.scheme, following(self.asking.ids, self.asking.rendered("")))
        self.engine = LlamaCppEngine(bundle.weights, trie, **sized(bundle.context, records), threads=threads)
        self.room = min(bundle.context - ANSWER, self.engine.longest)

    def __enter__(self) -> "Assessor":
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()

    def text(self, turns: list[Turn]) -> str:
        """What the model reads of these turns, as it did of a training record: white space around a turn, and turns of nothing
        else, left out; a role's turns in a row joined. Raises Refused if the client says nothing."""
        said = [Turn(turn.role, turn.text.strip()) for turn in turns if turn.text.strip()]
        if not any(turn.role == "client" for turn in said):
            raise Refused("there is no text of the student's", "a text of at least one character")
        joined = [Turn(role, "\n".join(turn.text for turn in of)) for role, of in groupby(said, lambda turn: turn.role)]
        return self.bundle.read(Record("", "", "dialogue", joined))

    def prompt(self, turns: list[Turn]) -> list[int]:
        """The prompt's tokens, which evaluation would give the model too. Nothing is cut off: raises Refused for what does not
        fit, and for nothing."""
        try:
            ids = self.asking.ids(self.asking.rendered(self.text(turns)))
        except UnicodeEncodeError:  # a lone surrogate; the error itself would quote it
            raise Refused("the text is not valid Unicode", "UTF-8") from None
        if len(ids) > self.room:
            raise Refused(
                f"the text is too long: with the instruction it has {len(ids)} tokens, and {self.room} fit",
                "a shorter text, such as the last turns",
                status=413,
                told={"tokens": len(ids), "fit": self.room},
            )
        return ids

    def assess(self, asked: Iterable[list[Turn] | Refused]) -> Iterator[Choice | Refused]:
        """A choice, or why there is none, for each of the asked, in their order; some are read ahead. What was refused before is
        passed on in its place."""
        rest = iter(asked)
        while window := list(islice(rest, AHEAD * self.engine.records)):
            prompts = [self._tried(one) for one in window]
            choices = self.engine.answer(prompt for prompt in prompts if isinstance(prompt, list))
            for prompt in prompts:
                yield prompt if isinstance(prompt, Refused) else next(choices)

    def _tried(self, asked: list[Turn] | Refused) -> list[int] | Refused:
        if isinstance(asked, Refused):
            return asked
        try:
            return self.prompt(asked)
        except Refused as refused:
            return refused

    def one(self, turns: list[Turn]) -> Choice:
        """The choice for one text or conversation. Raises Refused."""
        found = next(self.assess([turns]))
        if isinstance(found, Refused):
            raise found
        return found

    def answers(self, lines: Iterable[bytes], explain: bool = False) -> Iterator[dict[str, Any]]:
        """For each line of JSONL (`Row`; blank ones are passed over) an object with its `id` and `labels`, or `error`. A line that
        cannot be read is told by its number, as `line`."""
        heads: deque[dict[str, Any]] = deque()

        def asked() -> Iterator[list[Turn] | Refused]:
            for number, line in enumerate(lines, 1):
                if not line.removeprefix(BOM).strip():
                    continue
                try:
                    row = ROW.validate_json(line.removeprefix(BOM))
                except ValidationError as error:
                    heads.append({"line": number})
                    found = error.errors(include_url=False, include_context=False, include_input=False)
                    yield Refused(fault(found), '{"id": …, "text": "…"} or {"id": …, "messages": [{"role": …}]}')
                else:
                    heads.append({"id": row.id})
                    yield row.turns()

        for found in self.assess(asked()):
            head = heads.popleft()
            yield head | ({"error": found.what} if isinstance(found, Refused) else told(found, explain))


def told(choice: Choice, explain: bool = False) -> dict[str, Any]:
    """A choice as JSON: `labels` in key order and, to explain them, `probabilities`: label -> value -> probability."""
    labels: dict[str, Value] = dict(choice.labels)
    return (
        {"labels": labels, "probabilities": chosen(Asked("", ""), choice).probabilities}
        if explain
        else {"labels": labels}
    )
