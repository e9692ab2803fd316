"""Whole runs over rows of BigQuery, read from an emulator of it."""

from __future__ import annotations

from pathlib import Path

import highbeam

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_storage import DAY, StorageProxy, flights_of, reading
from tests.support.bigquery_storage import reads as reads
from tests.support.replays import published

N = 3000


def test_a_night_of_a_table(warehouse: Warehouse, reads: StorageProxy, tmp_path: Path) -> None:
    job = reading(tmp_path, f"{{table: {flights_of(warehouse, N)}}}")
    first = highbeam.run(job, DAY)
    assert (first.status, first.read, first.rejected, first.message) == ("published", N, 0, "")
    rows = published(job)
    assert rows["k"].to_pylist() == list(range(N))
    assert highbeam.run(job, DAY).status == "already_published"
    assert len(reads.made) == 1
