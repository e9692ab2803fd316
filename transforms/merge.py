"""Merges one range of the staged rows into one sorted Parquet file: the other half of the sample sort."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import storage
from ..schemas.batch import OFFSET, concat_rejected
from ..schemas.keys import key_text
from ..schemas.order import rows_before
from ..schemas.plan import Plan, load_plan
from ..schemas.rejected import rejects
from .cells import Cells, merge_cell, plan_cells
from .data_file import write_data_file
from .formats.choose import format_of
from .published import ORIGIN, PARTITION, published_schema
from .ranges import Ranges, order_columns, plan_ranges, take_range
from .raw import fill_raw, without_raw
from .read import refusals_noted
from .replayed import duplicates_as_rejects, recovers_nothing
from .staged import SPLIT, is_staged

SHOWN_DUPLICATES = 10


@dataclass(frozen=True)
class Report:
    """What one merge task took and wrote.

    Attributes:
      file: the data file, relative to the table.
      size: its bytes.
      rows: rows in it.
      taken: split position in the plan -> rows taken from it into the file.
      rejected: split position in the plan -> rows rejected here.
      duplicates: keys that stand more than once, as JSON; the first few.
    """

    file: str
    size: int
    rows: int
    taken: dict[str, int]
    rejected: dict[str, int]
    duplicates: tuple[str, ...] = ()


def merge(plan: Plan, ranges: Ranges, number: int) -> str:
    """Merges range `number` and writes its data file and report; does nothing where both stand already.

    Returns:
      The report's path.
    """
    path = plan.layout.merge_report(plan.score_id, plan.run_id, number, len(ranges))
    if not _is_done(plan, path):
        rows = _rows(plan, ranges, number)
        rows, rejected, duplicates = settle_duplicates(rows, plan)
        taken, gone = _count(rows), _count(rejected)
        file, size = write_data_file(rows, plan, number)
        report = Report(file, size, rows.num_rows, taken, gone, duplicates)
        storage.put(path, _encode_report(report, _as_rejects(rejected, plan)))
    return path


def read_report(path: str) -> tuple[Report, pa.RecordBatch]:
    """A merge task's report, and the rows it rejected as `schemas.rejected.SCHEMA`."""
    batch = pa.ipc.open_stream(storage.read(path)).read_next_batch()
    plain = json.loads(batch.schema.metadata[b"report"])
    return Report(**{**plain, "duplicates": tuple(plain["duplicates"])}), batch.replace_schema_metadata(None)


def _rows(plan: Plan, ranges: Ranges, number: int) -> pa.Table:
    """The rows of a range; an empty night has no staged object to take even their schema from."""
    rows = take_range(ranges, number, plan.job.contract)
    if rows is not None:
        return rows
    fields = [field for field in published_schema(plan.job) if field.name not in (PARTITION, *ORIGIN)]
    return pa.schema([*fields, pa.field(OFFSET, pa.int64()), pa.field(SPLIT, pa.int32())]).empty_table()


def settle_duplicates(rows: pa.Table, plan: Plan) -> tuple[pa.Table, pa.Table, tuple[str, ...]]:
    """Applies `key.duplicates` to sorted rows.

    Returns:
      (rows that stay, rows rejected, keys that stand twice). With `reject` the first row by (file, offset) stays.
    """
    contract = plan.job.contract
    if contract.duplicates == "keep" or rows.num_rows < 2:
        return rows, rows.slice(0, 0), ()
    again = pc.invert(rows_before(rows.slice(0, rows.num_rows - 1), rows.slice(1), contract.key))
    repeated = pa.chunked_array([pa.array([False]), *again.chunks])
    extra = rows.filter(repeated)
    if contract.duplicates == "reject":
        return rows.filter(pc.invert(repeated)), extra, ()
    distinct = extra.select(list(contract.key)).group_by(list(contract.key), use_threads=False).aggregate([])
    keys = distinct.slice(0, SHOWN_DUPLICATES).combine_chunks().to_batches()
    return rows, rows.slice(0, 0), tuple(key_text(keys[0], contract.key).to_pylist()) if keys else ()


def _count(rows: pa.Table) -> dict[str, int]:
    counts = np.bincount(rows[SPLIT].to_numpy())
    return {str(number): int(counts[number]) for number in np.flatnonzero(counts)}


def _as_rejects(rows: pa.Table, plan: Plan) -> pa.RecordBatch:
    """Duplicates as rejects, split by split, with their raw bytes."""
    text = "an earlier row of this night has the same key"
    if plan.replay:
        return concat_rejected(list(duplicates_as_rejects(rows, plan, text)))
    parts = []
    for number in rows[SPLIT].unique().to_pylist():
        split = plan.splits[number]
        mine = rows.filter(pc.equal(rows[SPLIT], number)).combine_chunks().to_batches()[0]
        part = rejects(split.file, mine[OFFSET], "merge", "duplicate_key", text, key_text(mine, plan.job.contract.key))
        part = part.sort_by("offset")
        source = plan.job.source
        part = fill_raw(part, split, format_of(source), source.max_record_bytes)
        parts.append(part if plan.job.rejects.keep_raw else without_raw(part))
    return concat_rejected(parts)


def _encode_report(report: Report, rejected: pa.RecordBatch) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    schema = rejected.schema.with_metadata({b"report": json.dumps(asdict(report)).encode()})
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(rejected.replace_schema_metadata(schema.metadata))
    return sink.getvalue()


def _is_done(plan: Plan, path: str) -> bool:
    if not storage.exists(path):
        return False
    report, _ = read_report(path)
    there = storage.stat(storage.join(plan.layout.table, report.file))
    return there is not None and there.size == report.size


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Merge(beam.PTransform):
    """Plans the ranges when everything is staged, then merges each; by way of cells where there are many.

    Takes a PCollection[str], the ids of the splits staged; they are only a barrier, since staged objects are opened by
    the names the plan gives them. Gives a PCollection[str], one report for each range.

    Args:
      plan_path: where the plan lies.
    """

    plan_path: str

    def expand(self, staged: beam.PCollection[str]) -> beam.PCollection[str]:
        """Wires the steps."""
        cells = self._tasks("cell", _store_cells, _merge_cell, staged)
        return self._tasks("range", _store_ranges, _merge_range, cells)

    def _tasks(
        self,
        what: str,
        plan: Callable[[bytes, str, Iterable[str]], Iterator[int]],
        work: Callable[[int, str], str],
        after: beam.PCollection[str],
    ) -> beam.PCollection[str]:
        """Plans tasks by number when everything in `after` is there, and spreads them over the workers.

        An Impulse for each: a Create would be a step of its own in a worker, and Flink ends its workers with such a
        step; and one shared by two would be kept by a machine of Flink's, and be lost with it.
        """
        one = after.pipeline | f"Plan {what}s once" >> beam.Impulse()
        planned = beam.FlatMap(plan, self.plan_path, beam.pvalue.AsIter(after)).with_output_types(int)
        numbers = one | f"Plan {what}s" >> planned
        spread = numbers | f"Spread {what}s" >> beam.Reshuffle()
        return spread | f"Merge {what}" >> beam.Map(work, self.plan_path).with_output_types(str)


def _store_cells(_once: bytes, plan_path: str, _staged: Iterable[str]) -> Iterator[int]:
    plan = load_plan(plan_path)
    paths = [plan.staged(number) for number in range(len(plan.splits))]
    if recovers_nothing(plan):
        return
    cells = plan_cells(paths, order_columns(plan.job.contract, plan.replay is not None))
    storage.put(plan.layout.cells(plan.score_id, plan.run_id), cells.to_json())
    yield from range(len(cells))


def _merge_cell(number: int, plan_path: str) -> str:
    plan = load_plan(plan_path)
    cells = _cells(plan)
    path = plan.layout.cell(plan.score_id, plan.run_id, number)
    if not is_staged(path):
        storage.put(path, merge_cell(cells, number, plan.job.contract))
    return path


def _store_ranges(_once: bytes, plan_path: str, _merged: Iterable[str]) -> Iterator[int]:
    plan = load_plan(plan_path)
    if recovers_nothing(plan):
        return
    cells = _cells(plan)
    paths = [plan.layout.cell(plan.score_id, plan.run_id, number) for number in range(len(cells))]
    paths = paths or [plan.staged(number) for number in range(len(plan.splits))]
    ranges = plan_ranges(paths, order_columns(plan.job.contract, plan.replay is not None))
    storage.put(plan.layout.ranges(plan.score_id, plan.run_id), ranges.to_json())
    yield from range(len(ranges))


def _merge_range(number: int, plan_path: str) -> str:
    plan = load_plan(plan_path)
    ranges = Ranges.from_json(storage.read(plan.layout.ranges(plan.score_id, plan.run_id)))
    with refusals_noted(plan):  # duplicates' bytes are read in their files
        return merge(plan, ranges, number)


def _cells(plan: Plan) -> Cells:
    return Cells.from_json(storage.read(plan.layout.cells(plan.score_id, plan.run_id)))
