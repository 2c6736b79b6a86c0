"""A small HTTP server on 127.0.0.1 that stands before a real server and injects faults, or answers by itself."""

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What a rule may say of a request: None (pass it on), a status with headers and a message, seconds of silence before it is
# passed on, "truncate" (only half of the reply's body, then the connection ends), or a function of the reply's JSON.
Fault = None | tuple[int, dict[str, str], str] | float | str | Callable[[dict[str, Any]], Any]


def completion(content: str | None, **change: Any) -> dict[str, Any]:
    """A chat completion as servers send it."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}, **change}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


class Proxy(ThreadingHTTPServer):
    """`rule(number, body)` decides on the POST of that number, counted from 0; the check at the start is number 0."""

    daemon_threads = True

    def __init__(self, upstream: str | None, rule: Callable[[int, dict[str, Any]], Fault], reply: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.rule, self.reply = upstream, rule, reply
        self.lock = threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: set[str | None] = set()
        self.models: list[str] | None = ["m"]
        self.now = self.most = 0

    @property
    def url(self) -> str:
        """What an OpenAI client is given."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """Passes requests on, as the rule says."""

    server: Proxy

    def log_message(self, format: str, *arguments: Any) -> None:
        """No log: requests hold texts."""

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """One response."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """The list of models, if there is one."""
        held = self.server.models
        if held is None:
            self.send(404, b"{}", {})
        else:
            self.send(200, json.dumps({"object": "list", "data": [{"id": name} for name in held]}).encode(), {})

    def do_POST(self) -> None:
        """One request."""
        server = self.server
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        with server.lock:
            number = len(server.bodies)
            server.bodies.append(json.loads(raw))
            server.times.append(time.monotonic())
            server.keys.add(self.headers["Authorization"])
            server.now += 1
            server.most = max(server.most, server.now)
        try:
            self.serve(number, raw)
        finally:
            with server.lock:
                server.now -= 1

    def serve(self, number: int, raw: bytes) -> None:
        """Asks the rule and does what it says."""
        fault = self.server.rule(number, self.server.bodies[number])
        if isinstance(fault, tuple):
            status, headers, message = fault
            self.send(status, json.dumps({"error": {"message": message}}).encode(), headers)
            return
        if isinstance(fault, float):
            time.sleep(fault)
        status, body = 200, b""
        if self.server.upstream is None:
            reply = self.server.reply
            body = json.dumps(reply(json.loads(raw)) if callable(reply) else reply).encode()
        else:
            request = urllib.request.Request(
                self.server.upstream + self.path.removeprefix("/v1"), raw, {"Content-Type": "application/json"}
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    body = answer.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
        if callable(fault):
            body = json.dumps(fault(json.loads(body))).encode()
        if fault == "truncate":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.send(status, body, {})


@contextlib.contextmanager
def proxy(
    upstream: str | None = None,
    rule: Callable[[int, dict[str, Any]], Fault] = lambda number, body: None,
    reply: Any = None,
) -> Iterator[Proxy]:
    """Runs it in a thread: before `upstream` (ending in /v1), or answering `reply` (or what it makes of the request)."""
    server = Proxy(upstream, rule, reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
