"""A whole run whose files BigQuery loads from a bucket: `output.bigquery.staging`."""

from __future__ import annotations

from pathlib import Path

import pytest

import highbeam
from highbeam import storage
from highbeam.transforms import ranges

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_bucket import loads_bucket as loads_bucket
from tests.support.bigquery_bucket import loads_server as loads_server
from tests.support.bigquery_bucket import uris
from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, shuffled, write_night

N = 3000


def test_a_night_is_loaded_from_the_staging_bucket(
    warehouse: Warehouse, loads_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE_BYTES", 1 << 13)  # several files
    write_night(tmp_path, [*csv_lines(shuffled(N)), "-1,q,1"])
    output = f"bigquery: {{table: {warehouse.table}, staging: {loads_bucket}/loads}}"
    job = make_job(tmp_path, JOB.replace("delta: {path: table}", output) + "state: state\n")
    first = highbeam.run(job, DAY)
    assert (first.status, first.predicted, first.rejected) == ("published", N, 1), first.message
    held = "SELECT COUNT(*), COUNT(DISTINCT k), SUM(y), MIN(_run_id), MAX(_run_id) FROM $t"
    total = sum(2 * k / 4 + 1 for k in range(N))
    assert warehouse.ask(held) == [(N, N, total, first.run_id, first.run_id)]

    (loaded,) = [each for each in uris(warehouse) if f"/date={DAY}/" in each[0] and "/rejected/" not in each[0]]
    assert len(loaded) > 1
    folder = f"{loads_bucket}/loads/{warehouse.table}"
    assert sorted(loaded) == [file.path for file in storage.listing(f"{folder}/date={DAY}")]
    assert not (tmp_path / "state" / "published").exists()
    assert highbeam.lookup(job, [7])["y"].to_pylist() == [4.5]
    assert highbeam.run(job, DAY).status == "already_published"

    save_model(tmp_path, 2, factor=3.0)
    second = highbeam.run(job, DAY)
    assert (second.status, second.attempt) == ("published", 2)
    assert warehouse.ask(held)[0][3:] == (second.run_id, second.run_id)
    assert warehouse.jobs("copy") == []
