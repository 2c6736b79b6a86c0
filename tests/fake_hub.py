"""A hub on the loopback address, as far as huggingface_hub asks it: models from directories, gates, and a connection that breaks."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Hub:
    """The models by id, what is asked, which are gated (for those without the token), and how many bytes of a file are sent before
    the connection breaks, once."""

    models: dict[str, Path]
    gated: set[str] = field(default_factory=set)
    token: str = "hf_right"
    breaks: dict[str, int] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)
    url: str = ""


def _info(hub: Hub, name: str) -> dict[str, Any]:
    files = sorted(path for path in hub.models[name].rglob("*") if path.is_file())
    siblings = []
    for path in files:
        of: dict[str, Any] = {"rfilename": path.relative_to(hub.models[name]).as_posix(), "size": path.stat().st_size}
        if path.suffix == ".safetensors":
            sha = "0" * 64 if path.name in hub.wrong else hashlib.sha256(path.read_bytes()).hexdigest()
            of["lfs"] = {"sha256": sha, "size": of["size"], "pointerSize": 100}
        siblings.append(of)
    told: dict[str, Any] = {
        "_id": "1",
        "id": name,
        "modelId": name,
        "sha": COMMIT,
        "siblings": siblings,
        "private": False,
    }
    told |= {"tags": [], "downloads": 0, "gated": "manual" if name in hub.gated else False, "cardData": hub.card}
    if hub.parameters:
        told["safetensors"] = {"parameters": {"BF16": hub.parameters}, "total": hub.parameters}
    return told


def _tree(hub: Hub, name: str) -> list[dict[str, Any]]:
    return [
        {"type": "file", "path": of["rfilename"], "size": of["size"], "oid": "0", **({"lfs": {"oid": of["lfs"]["sha256"], **of["lfs"]}} if "lfs" in of else {})}
        for of in _info(hub, name)["siblings"]
    ]  # fmt: skip


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            hub.asked.append((self.command, path, self.headers.get("Range")))
            found = re.match(
                r"/(?:api/models/)?([\w.-]+/[\w.-]+)(?:/(revision|tree|resolve)/([^/]+)(?:/(.+))?)?$", path
            )
            if not found or found[1] not in hub.models:
                return self._send(404, X_Error_Code="RepoNotFound")
            name, kind, file = found[1], found[2], found[4]
            allowed = self.headers.get("Authorization") == f"Bearer {hub.token}"
            if path.startswith("/api/"):
                value = _tree(hub, name) if kind == "tree" else _info(hub, name)
                return self._send(200, json.dumps(value).encode(), Content_Type="application/json")
            if name in hub.gated and not allowed:
                return self._send(403, X_Error_Code="GatedRepo")
            held = hub.models[name] / str(file)
            if not held.is_file():
                return self._send(404, X_Error_Code="EntryNotFound")
            body = held.read_bytes()
            headers = {
                "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
                "X_Repo_Commit": COMMIT,
                "Accept_Ranges": "bytes",
            }
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
            if start:
                headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            if self.command == "GET" and (cut := hub.breaks.pop(str(file), None)) is not None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body[:cut])
                self.wfile.flush()
                return self.connection.close()
            return self._send(206 if start else 200, body[start:], **headers)

        do_GET = do_HEAD = _answer

    return Handler


@contextmanager
def serve(models: dict[str, Path]) -> Iterator[Hub]:
    """Serves while the block runs."""
    hub = Hub(models)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
