"""BigQuery on this machine: the emulator, started once, behind a proxy that can lose answers, and refuse."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TypeAlias

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from tests.support.processes import Process, free_port

PROJECT = "demo"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PYTHON = os.environ.get("HIGHBEAM_BIGQUERY") or str(CACHE / "highbeam/bigquery/0.3.2/bin/python")


Refusal: TypeAlias = "tuple[int, str, str]"
"""Status, reason and message of an error, in the form that BigQuery gives it."""


class Proxy:
    """Hands requests on to the emulator, loses some of the answers, and refuses some of the requests.

    Attributes:
      seen: method and path of every request.
      buckets: where the emulator looks for the objects of `gs://`: `BUCKET/NAME`.
    """

    def __init__(self, port: int, buckets: Path) -> None:
        self.seen: list[str] = []
        self.buckets = buckets
        self._lost: list[tuple[str, Refusal | None]] = []
        self._refused: list[tuple[str, Refusal]] = []
        proxy, target = self, port

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Silence."""

            def _hand_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                what = f"{self.command} {self.path}"
                if refusal := proxy._refuses(what):
                    proxy.seen.append(what)
                    self._refuse(*refusal)
                    return
                with closing(HTTPConnection("127.0.0.1", target, timeout=120)) as upstream:
                    upstream.request(self.command, self.path, body, dict(self.headers))
                    answer = upstream.getresponse()
                    data = answer.read()
                proxy.seen.append(what)
                if proxy._loses(what):
                    self.close_connection = True
                    return
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _refuse(self, status: int, reason: str, message: str) -> None:
                errors = [{"reason": reason, "message": message}]
                data = json.dumps({"error": {"code": status, "message": message, "errors": errors}}).encode()
                self.send_response_only(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _hand_on  # noqa: N815 - the names are http.server's

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def lose(self, pattern: str, times: int = 1, then: Refusal | None = None) -> None:
        """Loses the answers to the next requests that begin so: the connection is cut when they are served.

        With `then` what is asked again is refused.
        """
        self._lost += [(pattern, then)] * times

    def refuse(self, pattern: str, refusal: Refusal) -> None:
        """From now on refuses requests that begin so."""
        self._refused.append((pattern, refusal))

    def hand_on(self) -> None:
        """Refuses and loses nothing any more, and forgets what was seen."""
        self.seen.clear()
        self._lost.clear()
        self._refused.clear()

    def _refuses(self, what: str) -> Refusal | None:
        return next((refusal for pattern, refusal in self._refused if re.match(pattern, what)), None)

    def _loses(self, what: str) -> bool:
        lost = next((lost for lost in self._lost if re.match(lost[0], what)), None)
        if lost:
            self._lost.remove(lost)
        if lost and lost[1]:
            self._refused.append((re.escape(what), lost[1]))
        return lost is not None


@pytest.fixture(scope="session")
def bigquery_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, int]]:
    """The proxy before the emulator, and the port of its Storage API."""
    if not Path(PYTHON).exists():
        pytest.skip("no BigQuery emulator: HIGHBEAM_BIGQUERY names the Python of its environment, see .ci/run")
    folder, port, grpc_port = tmp_path_factory.mktemp("bigquery"), free_port(), free_port()
    script = str(Path(__file__).with_name("bigquery_emulator.py"))
    process = Process("bigquery", [PYTHON, script, str(folder / "data"), str(port), str(grpc_port)], folder)
    for _ in range(600):
        if not process.running() or _answers(port):
            break
        time.sleep(0.1)
    assert _answers(port), process.said()
    proxy = Proxy(port, folder / "data" / "gcs")
    yield proxy, grpc_port
    proxy.server.shutdown()
    proxy.server.server_close()
    process.kill()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/bigquery/v2/projects", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture
def warehouse(bigquery_server: tuple[Proxy, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """A dataset of its own, and the environment that clients find it by."""
    proxy, _ = bigquery_server
    proxy.hand_on()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.address)
    made = Warehouse(proxy)
    yield made
    made.client.close()


class Warehouse:
    """An empty dataset."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        settings = {"api_endpoint": proxy.address}
        self.client = bigquery.Client(PROJECT, credentials=AnonymousCredentials(), client_options=settings)
        self.dataset = f"{PROJECT}.d{uuid.uuid4().hex[:8]}"
        self.client.create_dataset(self.dataset)

    @property
    def table(self) -> str:
        """Where a job publishes to."""
        return f"{self.dataset}.scores"

    def ask(self, query: str) -> list[tuple]:
        """The rows of an answer; the table is $t."""
        return [tuple(row.values()) for row in self.client.query(query.replace("$t", f"`{self.table}`")).result()]

    def jobs(self, kind: str = "load") -> list[bigquery.LoadJob]:
        """The jobs of one kind that wrote to the dataset, oldest first."""
        found = [job for job in self.client.list_jobs(all_users=True) if job.job_type == kind]
        mine = [job for job in found if self.dataset.endswith(f".{job.destination.dataset_id}")]
        return sorted(mine, key=lambda job: job.created)

    def queries(self) -> list[bigquery.QueryJob]:
        """The queries that name the table, oldest first."""
        found = [job for job in self.client.list_jobs(all_users=True) if job.job_type == "query"]
        return sorted((job for job in found if f"`{self.table}`" in job.query), key=lambda job: job.created)

    def fails(self, query: str) -> str:
        """What BigQuery says to a query it refuses."""
        with pytest.raises(GoogleAPICallError) as error:
            self.ask(query)
        return str(error.value.message)
