"""Nights of predictions, written and published as a run does it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from highbeam import storage
from highbeam.transforms.tables import delta

DAY = "2026-01-01"
SCHEMA = pa.schema([("k", pa.int64()), ("y", pa.float32())])
A, B, C = "a" * 16, "b" * 16, "c" * 16  # score_ids


@dataclass(frozen=True)
class Night:
    """One run's files for one date."""

    date: str
    attempt: int
    score_id: str
    files: tuple[delta.DataFile, ...]
    schema: pa.Schema

    @property
    def run_id(self) -> str:
        return f"{self.date}-{self.attempt:04d}-{self.score_id}"

    def commit(self, path: str) -> int:
        return delta.commit(path, self.date, self.files, self.schema, self.run_id, self.attempt, {"job": "flights"})


def rows(n: int = 3, y: float = 0.5) -> pa.Table:
    """Keys 0, 1, 2, … with one prediction."""
    return pa.table([range(n), [y] * n], schema=SCHEMA)


def write(
    path: str,
    tables: pa.Table | Sequence[pa.Table],
    *,
    date: str = DAY,
    attempt: int = 1,
    score_id: str = A,
    key: str = "k",
    row_group_size: int = 100,
) -> Night:
    """Writes one sorted file for each table, and publishes nothing."""
    parts = [tables] if isinstance(tables, pa.Table) else list(tables)
    night = Night(date, attempt, score_id, (), parts[0].schema)
    names = [_write(path, night, number, part, row_group_size) for number, part in enumerate(parts)]
    files = tuple(delta.data_file(path, name, key) for name in names)
    return Night(date, attempt, score_id, files, parts[0].schema)


def _write(path: str, night: Night, number: int, part: pa.Table, row_group_size: int) -> str:
    with storage.writer(storage.join(path, f"date={night.date}")) as sink:
        pq.write_table(part, sink.file, row_group_size=row_group_size, store_schema=False)
        committed = sink.commit(f"{night.run_id}-{number:05d}-{sink.sha256[:16]}.parquet")
    return str(Path(committed).relative_to(path))


def publish(path: str, tables: pa.Table | Sequence[pa.Table] | None = None, **more) -> Night:
    """Writes and publishes a night."""
    night = write(path, rows() if tables is None else tables, **more)
    night.commit(path)
    return night


def publish_at_once(path: str, nights: Sequence[Night], gate: Barrier) -> None:
    """A process that commits several nights in the same moment as other processes do."""
    gate.wait(60)
    with ThreadPoolExecutor(len(nights)) as pool:
        list(pool.map(lambda night: night.commit(path), nights))


def held(path: str, columns: tuple[str, ...] = ("date", "k", "y")) -> list[dict]:
    """Rows of the table, in order of their keys."""
    table = DeltaTable(path).to_pyarrow_table()
    rows: list[dict] = table.select(list(columns)).sort_by([("date", "ascending"), ("k", "ascending")]).to_pylist()
    return rows


def log_entries(path: str) -> list[dict]:
    """All actions of the Delta log, in order."""
    return [
        json.loads(line)
        for file in sorted(Path(path, "_delta_log").glob("*.json"))
        for line in file.read_text().splitlines()
    ]
