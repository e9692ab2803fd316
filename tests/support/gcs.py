"""A Cloud Storage on this machine: fake-gcs-server, and the XML interface before it."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
import uuid
from collections.abc import Iterator

import pytest

from tests.support.gcs_xml import Front
from tests.support.processes import Process, free_port, listening, wait_for

SERVER = "HIGHBEAM_GCS"
"""Names the program in the environment."""


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The server."""
    if SERVER not in os.environ:
        pytest.skip(f"{SERVER} names no program; see .ci/run for how to build fake-gcs-server")
    port = free_port()
    options = ["-backend=memory", "-scheme=http", "-host=127.0.0.1", f"-port={port}", "-log-level=warn"]
    server = Process("gcs", [os.environ[SERVER], *options], tmp_path_factory.mktemp("gcs"))
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


@pytest.fixture(scope="module")
def gcs_bucket(gcs_server: Front) -> Iterator[str]:
    """A bucket of its own, as `gs://name`; STORAGE_EMULATOR_HOST points to the server for as long."""
    name = f"highbeam-{uuid.uuid4().hex[:12]}"
    body = json.dumps({"name": name}).encode()
    wanted = f"{address(gcs_server)}/storage/v1/b?project=p"
    urllib.request.urlopen(urllib.request.Request(wanted, body, {"Content-Type": "application/json"})).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", address(gcs_server))
        yield f"gs://{name}"
