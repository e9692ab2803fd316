"""A Cloud Storage on this machine: fake-gcs-server, and the XML interface before it."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gcs_xml import Front
from tests.support.processes import Process, free_port, listening, wait_for

SERVER = "HIGHBEAM_GCS"
"""Names the program in the environment."""


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The server."""
    with serving(tmp_path_factory.mktemp("gcs"), "-backend=memory") as front:
        yield front


@contextmanager
def serving(folder: Path, *backend: str) -> Iterator[Front]:
    """A server for as long as the block runs, whose log lies in a folder; `backend` says where it keeps objects."""
    if SERVER not in os.environ:
        pytest.skip(f"{SERVER} names no program; see .ci/run for how to build fake-gcs-server")
    port = free_port()
    options = [*backend, "-scheme=http", "-host=127.0.0.1", f"-port={port}", "-log-level=warn"]
    server = Process("gcs", [os.environ[SERVER], *options], folder)
    try:
        wait_for(lambda: listening(port), server)
        with Front(port) as front:
            threading.Thread(target=front.serve_forever, daemon=True).start()
            yield front
            front.shutdown()
    finally:
        server.kill()


def address(front: Front) -> str:
    """Where clients find it."""
    return f"http://127.0.0.1:{front.server_address[1]}"


def new_bucket(front: Front) -> str:
    """An empty bucket, as `gs://name`."""
    name = f"highbeam-{uuid.uuid4().hex[:12]}"
    body = json.dumps({"name": name}).encode()
    wanted = f"{address(front)}/storage/v1/b?project=p"
    urllib.request.urlopen(urllib.request.Request(wanted, body, {"Content-Type": "application/json"})).close()
    return f"gs://{name}"


@pytest.fixture(scope="module")
def gcs_bucket(gcs_server: Front) -> Iterator[str]:
    """A bucket of its own, as `gs://name`; STORAGE_EMULATOR_HOST points to the server for as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", address(gcs_server))
        yield new_bucket(gcs_server)
