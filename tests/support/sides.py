"""Jobs that join side tables, and rows for them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from highbeam.schemas.batch import OFFSET, Batch
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import parse_job
from highbeam.schemas.split import Split
from highbeam.transforms import join_cache
from highbeam.transforms.join import join
from highbeam.transforms.join_plan import plan_sides

JOB = """\
name: flights
source: {csv: {path: flights.csv}}
columns:
  tailnum: {type: string, nullable: true}
  origin: string
  day: date
model: {path: models}
output: {delta: {path: table}}
join:
"""
PLANES = "  planes: {csv: {path: planes.csv}, by: tailnum, columns: {seats: int32, made: {type: int32, from: year}}}"
WEATHER = "  weather: {parquet: {path: w.parquet}, by: {origin: station, day: date}, columns: {temp: float32}}"


@pytest.fixture(name="cache", autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and nothing held from another test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(join_cache, "_LOADED", {})
    return tmp_path / "cache" / "highbeam" / "sides"


def job_of(folder: Path, *joins: str) -> Job:
    return parse_job(JOB + "\n".join(joins), str(folder / "job.yaml"))


def rows_of(job: Job, **columns: Sequence[Any]) -> Batch:
    held = job.read_contract
    n = len(next(iter(columns.values())))
    given = {"origin": ["JFK"] * n, "day": [datetime.date(2013, 12, 1)] * n, "tailnum": [None] * n, **columns}
    arrays = [
        pa.array(given[name], held.columns[name].typed.arrow).cast(held.arrow_type(name)) for name in held.columns
    ]
    rows = pa.RecordBatch.from_arrays([*arrays, pa.array(range(n), pa.int64())], [*held.columns, OFFSET])
    return Batch(Split(0, "flights.csv", "flights.csv", 1, "", 0, None), 0, True, n, rows)


def joined(job: Job, batch: Batch) -> Batch:
    return join(batch, plan_sides(job, []), job.contract)


def planes(folder: Path, text: str = "tailnum,year,seats\nN1,1999,50\nN2,2004,180\n") -> Path:
    path = folder / "planes.csv"
    path.write_text(text)
    return path
