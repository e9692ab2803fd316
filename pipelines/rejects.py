"""Shows the rows that were turned away."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ..schemas.dates import resolve_date
from ..schemas.errors import Unpublished
from ..schemas.job import Job
from ..schemas.layout import layout
from ..transforms.tables import rejects as table
from .runs import manifests_of, newest


def rejects(job: Job, date: str | None = None, run_id: str | None = None) -> pa.RecordBatchReader:
    """Reads the rejects of one run.

    Args:
      job: the job.
      date: the night; the newest one that ran without it.
      run_id: a run of that night; the newest, refused or published, without it.

    Returns:
      Batches of `schemas.rejected.SCHEMA`, in the order of file and offset.

    Raises:
      Unpublished: when nothing ran for that night, or no such run is known.
    """
    wanted = resolve_date(date) if date else None
    if run_id is not None:
        if not any(m.run_id == run_id for m in manifests_of(job, wanted)):
            night = f" for {wanted}" if wanted else ""
            raise Unpublished(f"{job.name}: no run {run_id} is known{night}; see highbeam runs")
        return table.read(layout(job).rejects, run_id[:10], run_id)
    run = newest(job, wanted)
    if run is None:
        raise Unpublished(f"{job.name}: nothing ran {'for ' + wanted if wanted else 'yet'}; see highbeam runs")
    return table.read(layout(job).rejects, run.date, run.run_id)


def reject_lines(job: Job, date: str | None = None, run_id: str | None = None) -> Iterator[dict[str, Any]]:
    """The rejects of one run as JSON objects, one a row; raw bytes as text where they are UTF-8, else as base64."""
    for batch in rejects(job, date, run_id):
        for row in batch.to_pylist():
            yield _json(row)


def _json(row: dict[str, Any]) -> dict[str, Any]:
    names = ("file", "offset", "length", "stage", "reason", "message")
    record = {name: row[name] for name in names}
    record["key"] = json.loads(row["key"]) if row["key"] is not None else None
    raw = row["raw"]
    try:
        record["raw"] = None if raw is None else raw.decode()
    except UnicodeDecodeError:
        record |= {"raw": None, "raw_base64": base64.b64encode(raw).decode()}
    return {**record, "truncated": True} if row["truncated"] else record


def reject_text(reject: dict[str, Any]) -> str:
    """One reject for a person: where, why, and what stood there."""
    where = f"{reject['file']} at byte {reject['offset']:,}"
    raw = reject["raw"] if reject["raw"] is not None else reject.get("raw_base64")
    shown = "" if raw is None else f"\n    {raw if len(raw) <= 200 else raw[:200] + ' …'}"
    key = "" if reject["key"] is None else f" (key {json.dumps(reject['key'], ensure_ascii=False)})"
    return f"{where}: {reject['stage']}: {reject['reason']}: {reject['message']}{key}{shown}"
