"""Nights in BigQuery, over HTTP, with an emulator that was taught partitions: tests/support/bigquery_emulator.py."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from highbeam import storage
from highbeam.schemas.errors import Unpublished
from highbeam.transforms.tables import bigquery_jobs
from highbeam.transforms.tables.base import Publication, Written
from highbeam.transforms.tables.bigquery import BigQueryPredictions

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse

DAY = "2026-01-01"
A, B, C = "a" * 16, "b" * 16, "c" * 16  # score_ids
SCHEMA = pa.schema([("k", pa.int64()), ("y", pa.float32()), ("_run_id", pa.string()), ("_model_version", pa.string())])


@dataclass
class Nights:
    """Publishes nights of keys 0, 1, 2 … to a table."""

    table: BigQueryPredictions
    folder: Path

    def publish(
        self,
        sizes: Sequence[int] = (3,),
        score_id: str = A,
        attempt: int = 1,
        date: str = DAY,
        y: float = 0.5,
        more: pa.Table | None = None,
        kept: str | None = None,
    ) -> Publication:
        publication = self.written(sizes, score_id, attempt, date, y, more, kept)
        self.table.commit(publication)
        return publication

    def written(
        self,
        sizes: Sequence[int] = (3,),
        score_id: str = A,
        attempt: int = 1,
        date: str = DAY,
        y: float = 0.5,
        more: pa.Table | None = None,
        kept: str | None = None,
    ) -> Publication:
        """A night of files of these sizes; `more` are further columns, `kept` the run that half the rows are of."""
        run_id = f"{date}-{attempt:04d}-{score_id}"
        files, first, schema = [], 0, SCHEMA
        for number, size in enumerate(sizes):
            runs = [kept if kept and k % 2 else run_id for k in range(size)]
            rows = pa.table([range(first, first + size), [y] * size, runs, ["7"] * size], schema=SCHEMA)
            for field in more.schema if more else ():
                rows = rows.append_column(field, more[field.name])
            schema, first = rows.schema, first + size
            files.append(self._file(rows, date, f"{run_id}-{number:05d}"))
        schema = schema.append(pa.field("date", pa.string()))
        marks = {"job": "Flight.Delay", "score_id": score_id, "model_version": "7"}
        return Publication(date, run_id, attempt, tuple(files), schema, ("k",), marks)

    def _file(self, rows: pa.Table, date: str, name: str) -> Written:
        for column, value in self.table.columns(date).items():
            rows = rows.append_column(column, pa.repeat(value, rows.num_rows))
        with storage.writer(str(self.folder / f"date={date}")) as sink:
            pq.write_table(rows, sink.file, store_schema=False)
            sink.commit(f"{name}-{sink.sha256[:16]}.parquet")
            return Written(f"date={date}/{name}-{sink.sha256[:16]}.parquet", sink.size, rows.num_rows)


@pytest.fixture
def nights(warehouse: Warehouse, tmp_path: Path) -> Nights:
    return Nights(BigQueryPredictions(warehouse.table, None, str(tmp_path), "flights"), tmp_path)


def test_a_table_that_is_not_there(nights: Nights, warehouse: Warehouse) -> None:
    table = nights.table
    assert (table.current(DAY), table.dates(), table.unusable()) == (None, [], None)
    table.check_schema(SCHEMA)
    assert list(warehouse.client.list_tables(warehouse.dataset)) == []
    with pytest.raises(Unpublished, match="no night is published yet"):
        table.search(["k"], pa.array([1]), None, False)


def test_a_published_night_is_what_the_partition_holds(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((2,), date="2026-01-02")
    night = nights.publish((3,))
    now = nights.table.current(DAY)
    assert now
    assert (now.run_id, now.attempt, now.score_id, now.rows) == (night.run_id, 1, A, 3)
    assert now.files == tuple(file.file for file in night.files)
    assert nights.table.dates() == [DAY, "2026-01-02"]
    assert nights.table.model_version(now) == "7"
    assert warehouse.ask("SELECT k, y, date FROM $t ORDER BY date, k")[2] == (2, 0.5, datetime.date(2026, 1, 1))


def test_the_table_is_partitioned_clustered_described_and_labelled(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish()
    table = warehouse.client.get_table(warehouse.table)
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("DAY", "date")
    assert table.clustering_fields == ["k"]
    assert {field.name: field.field_type for field in table.schema} == {
        "k": "INTEGER",
        "y": "FLOAT",
        "_run_id": "STRING",
        "_model_version": "STRING",
        "date": "DATE",
    }
    assert all(field.description for field in table.schema)
    (job,) = warehouse.jobs()
    assert job.job_id == bigquery_jobs.job_id(warehouse.table, f"{DAY}-0001-{A}", 0)
    assert job.labels == {
        "job": "flight_delay",
        "score_id": A,
        "model_version": "7",
        "run_id": f"{DAY}-0001-{A}",
        "attempt": "1",
    }
    assert job.write_disposition == "WRITE_TRUNCATE"
