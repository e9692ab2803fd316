"""A bucket that BigQuery loads from: fake-gcs-server keeps objects as files where the emulator of BigQuery looks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bigquery import Proxy, Warehouse
from tests.support.gcs import address, new_bucket, serving
from tests.support.gcs_xml import Front


@pytest.fixture(scope="session")
def loads_server(bigquery_server: tuple[Proxy, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The server over the emulator's files."""
    root = bigquery_server[0].buckets
    with serving(tmp_path_factory.mktemp("loads"), "-backend=filesystem", f"-filesystem-root={root}") as front:
        yield front


@pytest.fixture
def loads_bucket(loads_server: Front, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, as `gs://name`, and the environment that clients find it by."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address(loads_server))
    return new_bucket(loads_server)


def uris(warehouse: Warehouse) -> list[list[str]]:
    """What each load job into the dataset read of a bucket, oldest job first."""
    return [list(job.source_uris or ()) for job in warehouse.jobs()]
