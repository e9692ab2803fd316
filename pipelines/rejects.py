"""Shows the rows that were turned away, or exports them to be mended."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from .. import storage
from ..schemas.dates import resolve_date
from ..schemas.errors import Unpublished, UsageError
from ..schemas.job import Job
from ..schemas.layout import layout
from ..schemas.plan import Plan
from ..transforms.line_numbers import Lines, has_lines
from ..transforms.tables import rejects as table
from .raw_text import RawTexts
from .runs import manifests_of, newest, unheard
from .standing import kept_plan


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
    return table.read(layout(job).rejects, *_run(job, date, run_id))


def _run(job: Job, date: str | None, run_id: str | None) -> tuple[str, str]:
    """Date and id of the run that is meant."""
    wanted = resolve_date(date) if date else None
    if run_id is not None:
        if not any(m.run_id == run_id for m in manifests_of(job, wanted)):
            night = f" for {wanted}" if wanted else ""
            raise Unpublished(f"{job.name}: no run {run_id} is known{night}; see highbeam runs")
        return run_id[:10], run_id
    run = newest(job, wanted)
    if run is None:
        raise Unpublished(f"{job.name}: {_why_none(job, wanted)}; see highbeam runs")
    return run.date, run.run_id


def none_rejected(job: Job, date: str | None = None, run_id: str | None = None) -> str:
    """What is said of a run without rejects; arguments as for `rejects`."""
    night, run = _run(job, date, run_id)
    return f"no rows were turned away: {night}, run {run}"


def _why_none(job: Job, wanted: str | None) -> str:
    ran = unheard(job, wanted)
    if ran is None:
        return f"nothing ran {'for ' + wanted if wanted else 'yet'}"
    became = "was submitted, and has not ended" if ran.status == "submitted" else ran.status
    return f"the newest run, {ran.run_id}, {became} before its rejects were counted"


def reject_lines(job: Job, date: str | None = None, run_id: str | None = None) -> Iterator[dict[str, Any]]:
    """The rejects of one run as JSON objects, one a row.

    Raw bytes are text where they are one in the encoding that the run read them in, else base64. `line` is counted in
    the file, if that is a text and still the one that was read; else it is None.
    """
    date, run_id = _run(job, date, run_id)
    plan = kept_plan(job, date, run_id)
    lines = _FileLines(plan)
    texts = RawTexts(plan.job.source, plan.inputs) if plan else RawTexts(job.source)
    for batch in table.read(layout(job).rejects, date, run_id):
        for row in batch.to_pylist():
            yield _json(row, lines.at(row["file"], row["offset"]), texts)


def export_rejects(job: Job, path: str, date: str | None = None, run_id: str | None = None) -> int:
    """Writes the rejects of one run as JSON Lines, whole or not at all.

    Args:
      job: the job.
      path: the file; replaced if it is there.
      date: as for `rejects`.
      run_id: as for `rejects`.

    Returns:
      How many there are.
    """
    if os.path.isdir(path) or path.endswith("/"):
        raise UsageError(f"{path} is a folder; name a file to export to")
    count = 0
    with tempfile.NamedTemporaryFile(prefix="highbeam-rejects-") as spool:
        for record in reject_lines(job, date, run_id):
            spool.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            count += 1
        spool.flush()
        storage.put(path, pa.memory_map(spool.name).read_buffer() if count else b"")
    return count


class _FileLines:
    """Line numbers of rejects, asked for by file and offset; one pass a file."""

    def __init__(self, plan: Plan | None) -> None:
        self._splits = {s.file: s for s in plan.inputs} if plan and has_lines(plan.job.source) else {}
        self._file: str | None = None
        self._lines: Lines | None = None

    def at(self, file: str, offset: int) -> int | None:
        if file != self._file:
            self._file, self._lines = file, Lines(self._splits[file]) if file in self._splits else None
        return self._lines.at([offset])[0] if self._lines else None


def _json(row: dict[str, Any], line: int | None, texts: RawTexts) -> dict[str, Any]:
    record = {"file": row["file"], "offset": row["offset"], "line": line}
    record |= {name: row[name] for name in ("length", "stage", "reason", "message")}
    record["key"] = json.loads(row["key"]) if row["key"] is not None else None
    raw = row["raw"]
    record["raw"] = None if raw is None else texts.text(row["file"], raw)
    if raw is not None and record["raw"] is None:
        record["raw_base64"] = base64.b64encode(raw).decode()
    return {**record, "truncated": True} if row["truncated"] else record


def reject_text(reject: dict[str, Any], counts_rows: bool = False) -> str:
    """One reject for a person: where, why, and what stood there.

    Args:
      reject: as `reject_lines` gives it.
      counts_rows: whether offsets are numbers of rows, as in Parquet and Avro.
    """
    line = "" if reject["line"] is None else f", line {reject['line']:,}"
    where = f"{reject['file']} at {'row' if counts_rows else 'byte'} {reject['offset']:,}{line}"
    raw = reject["raw"] if reject["raw"] is not None else reject.get("raw_base64")
    shown = "" if raw is None else f"\n    {_printable(raw[:200])}{' …' if len(raw) > 200 else ''}"
    key = "" if reject["key"] is None else f" (key {json.dumps(reject['key'], ensure_ascii=False)})"
    return _printable(f"{where}: {reject['stage']}: {reject['reason']}: {reject['message']}{key}") + shown


def _printable(text: str) -> str:
    """Text that does nothing to a terminal: control characters as Python writes them."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
