"""What Dataflow and a registry of images answer, over HTTP on this machine; Dataflow itself runs at Google alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

JOBS = "/v1b3/projects/flights-prod/locations/europe-west4/jobs?pageSize=1"
UNKNOWN = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}


class Google(ThreadingHTTPServer):
    """Takes the calls of clients.

    Attributes:
      answers: path -> (status, what is said); any other path is not found.
      token: what the registry wants to see before it answers, or "".
      tokens: what it says when it is asked for one.
      calls: the paths called, in order.
      authorizations: what callers of Dataflow said of themselves.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {JOBS: (200, {})}
        self.token = ""
        self.tokens: Any = {"token": "secret"}
        self.calls: list[str] = []
        self.authorizations: list[str | None] = []

    @property
    def host(self) -> str:
        """Name and port."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Call(BaseHTTPRequestHandler):
    server: Google

    def do_GET(self) -> None:
        self.server.calls.append(self.path)
        if self.path.startswith("/v1b3/"):
            self.server.authorizations.append(self.headers.get("Authorization"))
        if self.path.startswith("/token"):
            return self._say(200, self.server.tokens)
        if self.path.startswith("/v2/") and self.server.token not in self.headers.get("Authorization", ""):
            scope = f'Bearer realm="http://{self.server.host}/token",service="here",scope="repository:highbeam:pull"'
            return self._say(401, {}, {"WWW-Authenticate": scope})
        return self._say(*self.server.answers.get(self.path, (404, UNKNOWN)))

    def do_HEAD(self) -> None:
        self.do_GET()

    def _say(self, status: int, said: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def google() -> Iterator[Google]:
    """The services; by itself Dataflow takes jobs, and the registry holds nothing."""
    with Google() as services:
        Thread(target=services.serve_forever, daemon=True).start()
        yield services
        services.shutdown()
