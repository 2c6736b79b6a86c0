"""A bundle over HTTP, for the programs of one machine. No text stands in a log, an error or a traceback."""

import contextlib
import ipaddress
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from mindgauge.answers import json_schema
from mindgauge.assessing import Assessor, Bundle, Refused, Said, fault, told
from mindgauge.errors import UserError

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Event, Receive, Send], Awaitable[None]]

SAID = {
    "text": {"summary": "A text", "value": {"text": "最近总是睡不着，担心考试。", "explain": True}},
    "messages": {
        "summary": "A conversation",
        "value": {
            "messages": [
                {"role": "user", "content": "我和同学吵架了。"},
                {"role": "assistant", "content": "那时你是什么感受？"},
                {"role": "user", "content": "很难过，不想去学校。"},
            ]
        },
    },
}
REFUSED = {
    413: (
        "Too large a body, or more tokens than fit.",
        {"error": "the text is too long: …", "tokens": 5210, "fit": 4000},
    ),
    422: ("Nothing to assess, or not of the schema.", {"error": "there is no text of the student's"}),
}


class Question(Said):
    """What is to be assessed, and whether probabilities are wanted."""

    explain: bool = Field(False, description="the probability of every value, too")


class Guard:
    """Between server and application: a body is read no further than `most` bytes, before anything parses it, and what fails
    unforeseen is told by its kind alone, since its message may hold words."""

    def __init__(self, app: App, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Handles one request."""
        from starlette.responses import JSONResponse

        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        body = await self._body(dict(scope["headers"]).get(b"content-length", b""), receive)
        if body is None:
            response = JSONResponse({"error": f"a body has at most {self.most} bytes"}, 413, {"connection": "close"})
            return await response(scope, receive, send)
        waiting: list[Event] = [{"type": "http.request", "body": body, "more_body": False}]
        begun = False

        async def replay() -> Event:
            return waiting.pop() if waiting else await receive()

        async def sent(event: Event) -> None:
            nonlocal begun
            begun = True
            await send(event)

        try:
            await self.app(scope, replay, sent)
        except Exception as error:
            print(f"mindgauge: a request failed ({type(error).__name__})", file=sys.stderr, flush=True)
            if not begun:
                await JSONResponse({"error": "this could not be answered"}, 500)(scope, receive, send)

    async def _body(self, announced: bytes, receive: Receive) -> bytes | None:
        """The body of a request; None if it is too large."""
        if announced.isdigit() and int(announced) > self.most:
            return None
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
            if len(body) > self.most:
                return None
        return body


def _answer_schema(bundle: Bundle) -> dict[str, Any]:
    """JSON Schema of what /assess answers, by the bundle's own labels."""
    labels = {key: value for key, value in json_schema(bundle.scheme).items() if key != "$schema"}
    shares = {"type": "object", "additionalProperties": {"type": "number"}}
    return {
        "type": "object",
        "properties": {
            "labels": labels,
            "probabilities": {
                "type": "object",
                "description": "label -> value -> probability, if explain was asked for",
                "properties": {name: shares for name in bundle.scheme.names},
            },
        },
        "required": ["labels"],
    }


def application(assessor: Assessor, sha256: str, max_bytes: int) -> App:
    """The ASGI application. `sha256` is of the GGUF."""
    from fastapi import Body, FastAPI
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    bundle, lock = assessor.bundle, threading.Lock()
    health = {
        "status": "ok",
        "model": bundle.model,
        "quant": bundle.quant,
        "sha256": sha256,
        "release": bundle.release,
        "fit": assessor.room,
    }
    example = {field.name: field.safe if field.safe is not None else field.values[0] for field in bundle.scheme.fields}
    app = FastAPI(
        title=f"MindGauge: {bundle.model} ({bundle.quant})",
        version="1",
        description="Labels of what a student says. A screening aid, not a diagnosis: a trained person reads them and decides.",
        # The pages load scripts from elsewhere; spans and their logs would hold what was sent.
        docs_url=None,
        redoc_url=None,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )

    @app.post(
        "/assess",
        summary="The labels of a text or conversation",
        responses={
            200: {
                "description": "The labels, in the order of the answer's keys.",
                "content": {"application/json": {"schema": _answer_schema(bundle), "example": {"labels": example}}},
            },
            **{
                status: {
                    "description": what,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {
                                    "error": {"type": "string"},
                                    "tokens": {"type": "integer"},
                                    "fit": {"type": "integer"},
                                },
                                "required": ["error"],
                            },
                            "example": shown,
                        }
                    },
                }
                for status, (what, shown) in REFUSED.items()
            },
        },
    )
    def assess(question: Annotated[Question, Body(openapi_examples=SAID)]) -> JSONResponse:
        """Either `text` or `messages`. Nothing of it is kept or logged."""
        with lock:
            choice = assessor.one(question.turns())
        return JSONResponse(told(choice, question.explain))

    @app.get(
        "/health",
        summary="Which model answers",
        responses={200: {"content": {"application/json": {"example": health}}}},
    )
    async def state() -> JSONResponse:
        """Model, quant, sha256 of the GGUF, what its makers' gates decided, and how many tokens a prompt may have."""
        return JSONResponse(health)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"error": error.what, **error.told}, error.status)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:  # the framework's own quotes the body
        return JSONResponse({"error": fault(list(error.errors()))}, 422)

    @app.exception_handler(HTTPException)
    async def failed(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    app.add_middleware(Guard, most=max_bytes)  # type: ignore[arg-type]
    return app


def loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def serve(
    directory: Path, host: str, port: int, *, allow_remote: bool, max_bytes: int, threads: int | None = None
) -> None:
    """Answers until it is interrupted. Raises UserError for what is no bundle, and an address that cannot or should not be
    listened on."""
    try:
        import fastapi  # noqa: F401
        import uvicorn
    except ImportError:
        raise UserError(
            "the packages to serve are not installed", where="--serve", instead="make setup, or pip install '.[serve]'"
        ) from None
    if not (allow_remote or loopback(host)):
        raise UserError(
            "others than this machine could reach this address, and nothing would keep them out",
            where=f"--host {host}",
            instead="127.0.0.1 behind a server that encrypts and asks who it is; or --allow-remote",
        )
    bundle = Bundle.load(directory)
    sha256 = bundle.weights_sha256()
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no such port"
        raise UserError(
            f"this address cannot be listened on ({why})",
            where=f"{host}, port {port}",
            instead="another --port or --host",
        ) from None
    with listening, Assessor(bundle, threads=threads) as assessor:
        config = uvicorn.Config(
            application(assessor, sha256, max_bytes),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        name = f"[{host}]" if ":" in host else host
        at = f"http://{name}:{listening.getsockname()[1]}"
        print(
            f"mindgauge: {bundle.model} ({bundle.quant}) answers at {at}/assess; {at}/openapi.json describes it",
            file=sys.stderr,
            flush=True,
        )
        with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again once it has stopped
            uvicorn.Server(config).run(sockets=[listening])
