"""Nights with rows that only a mended job takes, and what replays make of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

import highbeam
from highbeam.schemas.job import Job
from highbeam.schemas.layout import layout

from tests.support.jobs import DAY, JOB, csv_lines, make_job, shuffled, write_night

N, DIRTY = 6000, 1000
SEEN = ["k", "g", "y", "_file", "_offset"]
MENDED = JOB.replace("[a, b, c]", "[a, b, c, q]")
GENEROUS = "rejects.max_fraction=0.5"


def night(folder: Path, lines: Sequence[str]) -> None:
    """Two files, in an order that is not that of their names."""
    half = len(lines) // 2
    write_night(folder, list(lines[:half]), name="b.csv")
    write_night(folder, list(lines[half:]), name="a.csv")


def dirty_lines(n: int = N, dirty: int = DIRTY) -> list[str]:
    """Records of which some hold the letter q, which no job but a mended one knows."""
    lines = csv_lines(shuffled(n))
    for place in range(0, n, n // dirty):
        k, _, x = lines[place].split(",")
        lines[place] = f"{k},q,{x}"
    return lines


def job_of(folder: Path, text: str = JOB, *overrides: str, model: bool = False) -> Job:
    files = 'path: ["data/{date}/b.csv", "data/{date}/a.csv"]'
    return make_job(folder, text.replace('path: "data/{date}/*.csv"', files), model, [GENEROUS, *overrides])


def published(job: Job, columns: Sequence[str] = SEEN) -> pa.Table:
    """The night, in the order of its files."""
    paths = sorted(uri for uri in DeltaTable(layout(job).table).file_uris() if f"date={DAY}" in uri)
    return pa.concat_tables([pq.read_table(path, columns=list(columns), partitioning=None) for path in paths])


def undisturbed(job: Job, folder: Path) -> pa.Table:
    """What a run of the mended job publishes that never rejected a row."""
    clean = elsewhere(job, str(folder / "other"))
    assert highbeam.run(clean, DAY).rejected == 0
    return published(clean)


def elsewhere(job: Job, path: str) -> Job:
    """The job with another table and state."""
    table = {"delta": {"path": path}}
    return job.model_copy(update={"output": job.output.model_validate({**job.output.model_dump(), **table})})
