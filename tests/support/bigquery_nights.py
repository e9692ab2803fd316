"""Nights of predictions, written and published to BigQuery as a run does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from highbeam import storage
from highbeam.transforms.tables.base import Publication, Written
from highbeam.transforms.tables.bigquery import BigQueryPredictions

from tests.support.bigquery import Warehouse

DAY = "2026-01-01"
A, B, C = "a" * 16, "b" * 16, "c" * 16  # score_ids
SCHEMA = pa.schema([("k", pa.int64()), ("y", pa.float32()), ("_run_id", pa.string()), ("_model_version", pa.string())])


@dataclass
class Nights:
    """Publishes nights of keys 0, 1, 2 … to a table."""

    table: BigQueryPredictions
    folder: str

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
            for name in more.schema.names if more else ():
                rows = rows.append_column(name, more[name])  # type: ignore[index]
            schema, first = rows.schema, first + size
            files.append(self._file(rows, date, f"{run_id}-{number:05d}"))
        schema = schema.append(pa.field("date", pa.string()))
        marks = {"job": "Flight.Delay", "score_id": score_id, "model_version": "7"}
        return Publication(date, run_id, attempt, tuple(files), schema, ("k",), marks)

    def _file(self, rows: pa.Table, date: str, name: str) -> Written:
        for column, value in self.table.columns(date).items():
            rows = rows.append_column(column, pa.repeat(value, rows.num_rows))
        with storage.writer(storage.join(self.folder, f"date={date}")) as sink:
            pq.write_table(rows, sink.file, store_schema=False)
            sink.commit(f"{name}-{sink.sha256[:16]}.parquet")
            return Written(f"date={date}/{name}-{sink.sha256[:16]}.parquet", sink.size, rows.num_rows)


@pytest.fixture
def nights(warehouse: Warehouse, tmp_path: Path) -> Nights:
    """An empty table, for files of this machine."""
    return nights_in(warehouse, str(tmp_path))


def nights_in(warehouse: Warehouse, folder: str) -> Nights:
    """An empty table, for files of a folder."""
    return Nights(BigQueryPredictions(warehouse.table, None, folder, "flights"), folder)
