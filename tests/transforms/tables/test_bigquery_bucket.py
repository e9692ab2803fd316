"""Nights that BigQuery loads from a bucket: files written through gs:// by Highbeam, and read there by the emulator."""

from __future__ import annotations

import pytest

from highbeam import storage
from highbeam.schemas.errors import HighbeamError
from highbeam.transforms.tables import bigquery_jobs

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_bucket import loads_bucket as loads_bucket
from tests.support.bigquery_bucket import loads_server as loads_server
from tests.support.bigquery_bucket import uris
from tests.support.bigquery_nights import DAY, B, Nights, nights_in

HELD = "SELECT COUNT(*), COUNT(DISTINCT k), MIN(_run_id), MAX(_run_id) FROM $t WHERE date = DATE '2026-01-01'"


@pytest.fixture
def nights(warehouse: Warehouse, loads_bucket: str) -> Nights:
    return nights_in(warehouse, f"{loads_bucket}/loads")


def test_one_job_loads_all_files_of_a_night(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((1,), date="2026-01-02")
    nights.publish((4,))
    night = nights.publish((2, 3, 1), B, attempt=2)
    assert warehouse.ask(HELD) == [(6, 6, night.run_id, night.run_id)]
    assert warehouse.ask("SELECT COUNT(*) FROM $t") == [(7,)]
    assert uris(warehouse)[2:] == [[f"{nights.folder}/{file.file}" for file in night.files]]
    last = warehouse.jobs()[-1]
    assert (last.job_id, last.write_disposition) == (
        bigquery_jobs.job_id(warehouse.table, night.run_id, 0),
        "WRITE_TRUNCATE",
    )
    assert (last.destination.table_id, warehouse.jobs("copy")) == ("scores$20260101", [])
    now = nights.table.current(DAY)
    assert now
    assert now.files == tuple(file.file for file in night.files)


def test_too_many_files_for_one_job_come_in_by_one_copy(
    nights: Nights, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.publish((4,))
    monkeypatch.setattr(bigquery_jobs, "MAX_URIS", 1)
    night = nights.publish((2, 3), B, attempt=2)
    assert warehouse.ask(HELD) == [(5, 5, night.run_id, night.run_id)]
    assert uris(warehouse)[1:] == [[f"{nights.folder}/{file.file}"] for file in night.files]
    parts = warehouse.jobs()[1:]
    assert {part.write_disposition for part in parts} == {"WRITE_APPEND"}
    (staging,) = {part.destination.table_id for part in parts}
    assert staging.startswith("_highbeam_")
    (copy,) = warehouse.jobs("copy")
    assert (copy.job_id, copy.write_disposition) == (
        bigquery_jobs.job_id(warehouse.table, night.run_id, 0),
        "WRITE_TRUNCATE",
    )
    assert [table.table_id for table in warehouse.client.list_tables(warehouse.dataset)] == ["scores"]


def test_a_file_that_is_gone_from_the_bucket_leaves_the_night_as_it_was(nights: Nights, warehouse: Warehouse) -> None:
    first = nights.publish((4,))
    night = nights.written((2, 3), B, attempt=2)
    storage.remove(f"{nights.folder}/{night.files[1].file}")
    with pytest.raises(HighbeamError, match=r"BigQuery job highbeam-.* failed: .*the table is as it was"):
        nights.table.commit(night)
    assert warehouse.ask(HELD) == [(4, 4, first.run_id, first.run_id)]
