"""The backend `openai`: any server that speaks OpenAI's chat completions (vLLM, llama-server, SGLang, Ollama).

The formats: OpenAI's API reference, "Create chat completion"; `response_format` as its structured outputs; `grammar` as
llama.cpp's tools/server/README.md; `chat_template_kwargs` as vLLM's, SGLang's and llama.cpp's servers take it.
"""

import asyncio
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from mindgauge.answers import gbnf, json_schema, repair
from mindgauge.errors import UserError
from mindgauge.labellers.background import Background
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labellers.token_probabilities import Token, probabilities
from mindgauge.labels import Scheme
from mindgauge.progress import tell

PACE = ("url", "concurrency", "timeout", "retries")
# Tokens of an answer, with room to spare.
ANSWER = 96
Constrained = Literal["schema", "gbnf", "none"]
KEY = "OPENAI_API_KEY"
WHERE = "label.url"
# The client waits as long as Retry-After says, up to this many seconds, and does not retry if it says more.
LONGEST_WAIT = 120
# The server's word that the request is at fault: too long, or not understood.
REJECTED = frozenset({400, 413, 422})


@dataclass(frozen=True)
class _Options:
    url: str
    model: str
    instruction: str
    concurrency: int
    timeout: float
    retries: int
    constrained: Constrained
    thinking: bool
    max_tokens: int
    seed: int
    temperature: float
    top_logprobs: int


def _checked(options: _Options) -> _Options:
    """Raises UserError if the options contradict each other."""
    try:
        parts = urlsplit(options.url)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        complete = False
    if not complete:
        raise UserError("this is no address of a server", where=WHERE, instead="such as http://127.0.0.1:8000/v1")
    if "@" in parts.netloc:
        # It would stand in logs and in the recipe.
        raise UserError("a password stands in the address", where=WHERE, instead=f"give a key by {KEY}")
    if options.thinking and options.constrained == "gbnf":
        raise UserError(
            "a grammar keeps a thinking model from ending its reasoning",
            where="label.thinking and label.server_grammar",
            instead="thinking: false, or server_grammar: schema, or decoding: free",
        )
    return options


def _shown(url: str) -> str:
    """An address as a log may hold it: user, password, query and fragment, any of which may be a key, are left out."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class _Failed(Exception):
    """After all retries the server gave nothing for one request. `what` says how it failed."""

    def __init__(self, what: str, instead: str) -> None:
        self.what, self.instead = what, instead
        super().__init__(what)


class _Rejected(Exception):
    """The server finds fault with one request. `said` is its own message, which may quote the request."""

    def __init__(self, status: int, said: str) -> None:
        self.status, self.said = status, said
        super().__init__(f"rejected by the server ({status})")


class _Server:
    """One server and what it is asked. Everything but the constructor runs on one event loop."""

    def __init__(self, scheme: Scheme, options: _Options) -> None:
        import openai

        key = os.environ.get(KEY, "").strip() or "none"
        if not (key.isascii() and key.isprintable()):
            raise UserError(
                "the key holds characters that no header can", where=f"environment: {KEY}", instead="the key alone"
            )
        self.scheme, self.options = scheme, options
        self.top_logprobs = options.top_logprobs
        self.client = openai.AsyncOpenAI(
            base_url=options.url,
            api_key=key,
            timeout=options.timeout,
            max_retries=options.retries,
            # What clients say goes to this server and to no other: not where it redirects to, and not from this machine to
            # itself through a proxy of the environment.
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False,
                trust_env=urlsplit(options.url).hostname not in ("127.0.0.1", "::1", "localhost"),
            ),
        )

    def request(self, text: str, max_tokens: int) -> dict[str, Any]:
        """The arguments of one chat completion."""
        options = self.options
        body: dict[str, Any] = {}
        asked: dict[str, Any] = {
            "model": options.model,
            "messages": [{"role": "user", "content": f"{options.instruction}\n{text}"}],
            "temperature": options.temperature,
            "seed": options.seed,
            "max_tokens": max_tokens,
        }
        if options.constrained == "schema":
            schema = {"name": "answer", "strict": True, "schema": json_schema(self.scheme)}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif options.constrained == "gbnf":
            body["grammar"] = gbnf(self.scheme)
        if not options.thinking:
            body["chat_template_kwargs"] = {"enable_thinking": False}
        if self.top_logprobs:
            asked |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        return asked | ({"extra_body": body} if body else {})

    async def complete(self, text: str, max_tokens: int) -> Any:
        """The reply to one request, retried by the client. Raises _Rejected, _Failed, and UserError if the fault is not one
        of this request. No cause is kept: it would hold the request."""
        import openai

        options = self.options
        tries = f"after {options.retries} retries"
        try:
            # The client's timeout is one of silence: a server that drips bytes would never meet it.
            async with asyncio.timeout((options.retries + 1) * (options.timeout + LONGEST_WAIT)):
                return await self.client.chat.completions.create(**self.request(text, max_tokens))
        except (openai.APITimeoutError, TimeoutError):
            raise _Failed(
                f"no answer within {options.timeout:g} s, {tries}",
                "a higher label.timeout or a lower label.concurrency",
            ) from None
        except openai.APIConnectionError:
            raise _Failed(
                f"the server cannot be reached, {tries}", "start the server, or put the address right"
            ) from None
        except openai.APIStatusError as error:
            status = error.status_code
            if status in REJECTED:
                raise _Rejected(status, error.message) from None
            if status in (401, 403):
                raise self.wrong(
                    f"the server refuses the key ({status})", f"set {KEY} in the environment of the job"
                ) from None
            if status == 404 or status < 400:
                raise await self.misaddressed(status) from None
            if status == 429:
                raise self.wrong(
                    "the server turns requests away (429)",
                    "a lower label.concurrency or a higher label.retries",
                ) from None
            raise _Failed(f"the server fails ({status}), {tries}", "see the server's own log") from None
        except (openai.OpenAIError, ValueError):
            return None  # a body that is not JSON

    def wrong(self, what: str, instead: str) -> UserError:
        """A fault of the server or its address."""
        return UserError(what, where=f"{WHERE}: {_shown(self.options.url)}", instead=instead)

    async def misaddressed(self, status: int) -> UserError:
        """Why the server knows nothing under the address: another model, or another route."""
        import openai

        held: list[str] = []
        try:
            async for model in self.client.models.list(timeout=10):
                held.append(str(model.id))
                if len(held) == 20:
                    break
        except (openai.OpenAIError, ValueError, AttributeError, TypeError):
            pass
        if held and self.options.model not in held:
            return UserError(
                f"the server has no model {self.options.model!r} ({status})",
                where=f"label.model, {WHERE}: {_shown(self.options.url)}",
                instead=f"one of {', '.join(held)}",
            )
        return self.wrong(
            f"the server has no chat completions here ({status})",
            "the address that ends before /chat/completions, often in /v1",
        )

    async def check(self) -> None:
        """Asks for one token after the instruction alone: what goes wrong now is no record's fault. Raises UserError."""
        while True:
            try:
                reply = await self.complete("", 1)
            except _Failed as failed:
                raise self.wrong(failed.what, failed.instead) from None
            except _Rejected as rejected:
                if self.top_logprobs:
                    # Many a server refuses logprobs, or so many of them; the labels matter more.
                    self.top_logprobs = 0
                    continue
                said = " ".join(rejected.said.split())[:300]  # it can quote the instruction only
                raise self.wrong(
                    f"the server rejects what it is asked ({rejected.status}): {said}",
                    "another label.server_grammar, or decoding: free; thinking: true if it knows no chat_template_kwargs",
                ) from None
            if not getattr(reply, "choices", None):
                raise self.wrong(
                    "what answers is no OpenAI-compatible server", "the address of one, often ending in /v1"
                )
            if self.options.top_logprobs and not self.top_logprobs:
                tell("the server refuses logprobs: labels without probabilities")
            return

    async def answer(self, asked: Asked) -> Answer:
        """The answer to one record; a fault of this record alone is in it. Raises UserError if the server is gone."""
        for last in (False, True):
            try:
                return self.read(asked.id, await self.complete(asked.text, self.options.max_tokens))
            except _Rejected as rejected:
                # The server's message is not kept, since it may quote the text.
                long = ": too long for its context" if "context" in rejected.said else ""
                return Answer(asked.id, None, fault=f"{rejected}{long}")
            except _Failed as failed:
                if last:
                    return Answer(asked.id, None, fault=failed.what)
                # Is it the server or the record? If it answers now, it may have been away, so the record is asked again.
                await self.check()
        raise AssertionError("unreachable")

    def read(self, identifier: str, reply: Any) -> Answer:
        """The answer in a reply."""
        choice = next(iter(getattr(reply, "choices", None) or []), None)
        message = getattr(choice, "message", None)
        if choice is None or message is None:
            return Answer(identifier, None, fault="the reply is no chat completion")
        reason = getattr(choice, "finish_reason", None)
        if reason == "length":
            return Answer(
                identifier, None, fault=f"cut off after {self.options.max_tokens} tokens or at the end of the context"
            )
        if reason == "content_filter" or getattr(message, "refusal", None):
            return Answer(identifier, None, fault="refused by the server")
        text = getattr(message, "content", None)
        if not isinstance(text, str) or not text.strip():
            return Answer(identifier, None, fault="an empty answer")
        labels, note = repair(self.scheme, text)
        if labels is None:
            return Answer(identifier, None, fault=note)
        return Answer(identifier, labels, probabilities(self.scheme, labels, _tokens(choice)), fault=note)


def _tokens(choice: Any) -> list[Token]:
    """The tokens of an answer with their alternatives, as far as the server tells them."""

    def piece(of: Any) -> bytes:
        return bytes(of.bytes) if getattr(of, "bytes", None) is not None else str(of.token).encode()

    content = getattr(getattr(choice, "logprobs", None), "content", None) or []
    try:
        return [
            Token(
                piece(token),
                float(token.logprob),
                [(piece(top), float(top.logprob)) for top in token.top_logprobs or []],
            )
            for token in content
        ]
    except (AttributeError, TypeError, ValueError):
        return []  # not of the form of OpenAI's reference


def label(
    asked: Iterable[Asked],
    scheme: Scheme,
    *,
    url: str,
    model: str,
    instruction: str,
    concurrency: int = 8,
    timeout: float = 120.0,
    retries: int = 5,
    decoding: Literal["constrained", "free"] = "constrained",
    server_grammar: Literal["schema", "gbnf"] = "schema",
    thinking: bool = False,
    max_thought: int = 1024,
    seed: int = 0,
    temperature: float = 0.0,
    top_logprobs: int = 20,
) -> Iterator[Answer]:
    """Asks the server for the labels of each record, `concurrency` at once, and gives the answers as they come.

    Timeouts, lost connections, 408, 409, 429 and 5xx are tried again `retries` times, after 0.5, 1, 2, 4 and then 8 s or as
    long as Retry-After says (up to 120 s). An answer that is cut off, refused, rejected or not valid is one with a fault.
    The key is that of OPENAI_API_KEY. Raises UserError if the server cannot be reached, refuses the key, has no such
    model, or dies midway; the answers that came before are given first. Closing the iterator cancels what is in flight.
    """
    options = _checked(
        _Options(
            url,
            model,
            instruction,
            concurrency,
            timeout,
            retries,
            "none" if decoding == "free" else server_grammar,
            thinking,
            ANSWER + (max_thought if thinking else 0),
            seed,
            temperature,
            top_logprobs,
        )
    )
    records = iter(asked)
    first = next(records, None)
    if first is None:
        return
    server = _Server(scheme, options)
    background = Background()
    try:
        background.start(server.check()).result()
        yield from background.each(server.answer, itertools.chain([first], records), concurrency)
    finally:
        background.close(server.client.close)
