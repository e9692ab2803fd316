"""Merges one range of the staged rows into one sorted Parquet file: the other half of the sample sort."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import storage
from ..schemas.batch import OFFSET
from ..schemas.keys import key_text
from ..schemas.order import count_before, rows_before, sort_rows
from ..schemas.plan import Plan, load_plan
from ..schemas.rejected import EMPTY, rejects
from .published import PARTITION, published_schema
from .ranges import SPLIT, Part, Ranges, order_columns, plan_ranges
from .raw import fill_raw
from .staged import Staged
from .tables.delta import ROW_GROUP_ROWS

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
        rows = take_range(plan, ranges, number)
        rows, rejected, duplicates = settle_duplicates(rows, plan)
        taken, gone = _count(rows), _count(rejected)
        file, size = _write(_publishable(rows, plan), plan, number)
        report = Report(file, size, rows.num_rows, taken, gone, duplicates)
        storage.put(path, _encode_report(report, _as_rejects(rejected, plan)))
    return path


def read_report(path: str) -> tuple[Report, pa.RecordBatch]:
    """A merge task's report, and the rows it rejected as `schemas.rejected.SCHEMA`."""
    batch = pa.ipc.open_stream(storage.read(path)).read_next_batch()
    plain = json.loads(batch.schema.metadata[b"report"])
    return Report(**{**plain, "duplicates": tuple(plain["duplicates"])}), batch.replace_schema_metadata(None)


def take_range(plan: Plan, ranges: Ranges, number: int) -> pa.Table:
    """The rows of a range, sorted, with `_split`: their split's position in the plan."""
    order = order_columns(plan.job.contract)
    low = ranges.cuts.slice(number - 1, 1) if number else None
    high = ranges.cuts.slice(number, 1) if number < ranges.cuts.num_rows else None
    parts = [_part(plan, part, low, high, order) for part in ranges.parts[number]]
    if not parts:
        return _no_rows(plan)
    return sort_rows(pa.concat_tables(parts), plan.job.contract.key)


def _part(plan: Plan, part: Part, low: pa.Table | None, high: pa.Table | None, order: Sequence[str]) -> pa.Table:
    split, first, end = part
    with Staged(plan.staged(split)) as staged:
        rows = plain(staged.batches(first, end))
    rows = rows.append_column(SPLIT, pa.repeat(pa.scalar(split, pa.int32()), rows.num_rows))
    start = count_before(rows, low, order) if low is not None else 0
    stop = count_before(rows, high, order) if high is not None else rows.num_rows
    return rows.slice(start, stop - start)


def plain(rows: pa.Table) -> pa.Table:
    """Decodes dictionary columns."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _no_rows(plan: Plan) -> pa.Table:
    """An empty night has no staged rows to take a schema from."""
    schema = published_schema(plan.job)
    names = [name for name in schema.names if not name.startswith("_") and name != "date"]
    fields = [schema.field(name) for name in names]
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
    keys = extra.select(list(contract.key)).slice(0, SHOWN_DUPLICATES).combine_chunks().to_batches()
    return rows, rows.slice(0, 0), tuple(key_text(keys[0], contract.key).to_pylist()) if keys else ()


def _count(rows: pa.Table) -> dict[str, int]:
    counts = np.bincount(rows[SPLIT].to_numpy())
    return {str(number): int(counts[number]) for number in np.flatnonzero(counts)}


def _publishable(rows: pa.Table, plan: Plan) -> pa.Table:
    """Adds the columns that tell where a prediction came from, each distinct text once."""
    added: Mapping[str, pa.Array] = {
        "_run_id": _constant(plan.run_id, rows.num_rows),
        "_model_version": _constant(str(plan.model["version"]), rows.num_rows),
        "_file": _files(rows[SPLIT].combine_chunks(), plan),
    }
    names = [name for name in published_schema(plan.job).names if name != PARTITION]
    return pa.table([added[name] if name in added else rows[name] for name in names], names)


def _constant(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), [text])


def _files(splits: pa.Array, plan: Plan) -> pa.Array:
    """The file of each row; a dictionary of the files in this range alone, so that the bytes depend on nothing else."""
    present = np.flatnonzero(np.bincount(splits.to_numpy(), minlength=len(plan.splits)))
    names = sorted({plan.splits[number].file for number in present})
    place = np.zeros(len(plan.splits), np.int32)
    for number in present:
        place[number] = names.index(plan.splits[number].file)
    return pa.DictionaryArray.from_arrays(pa.array(place[splits.to_numpy()]), pa.array(names, pa.string()))


def _write(rows: pa.Table, plan: Plan, number: int) -> tuple[str, int]:
    """Writes the data file under a name that carries its digest; (path relative to the table, bytes).

    Statistics stand for what the table is searched by: the key, and the run and model a file is of.
    """
    rows = rows.cast(_stored(rows.schema, plan))
    texts = [field.name for field in rows.schema if _is_text(field.type)]
    integers = [field.name for field in rows.schema if pa.types.is_integer(field.type)]
    with storage.writer(plan.layout.partition(plan.date)) as sink:
        pq.write_table(
            rows,
            sink.file,
            row_group_size=ROW_GROUP_ROWS,
            compression="zstd",
            use_dictionary=texts or False,
            column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED") or None,
            write_statistics=[*plan.job.contract.key, "_run_id", "_model_version"],
            store_schema=False,
        )
        name = plan.layout.data_file(plan.date, plan.run_id, number, sink.sha256)
        sink.commit(name.rpartition("/")[2])
        return name, sink.size


def _stored(schema: pa.Schema, plan: Plan) -> pa.Schema:
    """The table's types, where a column is not a dictionary of them."""
    published = published_schema(plan.job)
    return pa.schema([field if pa.types.is_dictionary(field.type) else published.field(field.name) for field in schema])


def _is_text(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_dictionary(type))


def _as_rejects(rows: pa.Table, plan: Plan) -> pa.RecordBatch:
    """Duplicates as rejects, split by split, with their raw bytes."""
    parts = []
    for number in rows[SPLIT].unique().to_pylist():
        split = plan.splits[number]
        mine = rows.filter(pc.equal(rows[SPLIT], number)).combine_chunks().to_batches()[0]
        text = "an earlier row of this night has the same key"
        part = rejects(split.file, mine[OFFSET], "merge", "duplicate_key", text, key_text(mine, plan.job.contract.key))
        part = part.sort_by("offset")
        parts.append(fill_raw(part, split, plan.job.source.max_record_bytes) if plan.job.rejects.keep_raw else part)
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0] if parts else EMPTY


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
    """Plans the ranges when everything is staged, then merges each.

    Takes a PCollection[str], the ids of the splits staged; they are only a barrier, since staged objects are opened by
    the names the plan gives them. Gives a PCollection[str], one report for each range.

    Args:
      plan_path: where the plan lies.
    """

    plan_path: str

    def expand(self, staged: beam.PCollection[str]) -> beam.PCollection[str]:
        """Wires the steps."""
        one = staged.pipeline | "Merge once" >> beam.Create([self.plan_path], reshuffle=False)
        planned = beam.FlatMap(_store_ranges, beam.pvalue.AsIter(staged)).with_output_types(int)
        merged = beam.Map(_merge_range, self.plan_path).with_output_types(str)
        return one | "Plan ranges" >> planned | beam.Reshuffle() | "Merge range" >> merged


def _store_ranges(plan_path: str, _staged: Iterable[str]) -> Iterator[int]:
    plan = load_plan(plan_path)
    paths = [plan.staged(number) for number in range(len(plan.splits))]
    ranges = plan_ranges(paths, order_columns(plan.job.contract))
    storage.put(plan.layout.ranges(plan.score_id, plan.run_id), ranges.to_json())
    yield from range(len(ranges))


def _merge_range(number: int, plan_path: str) -> str:
    plan = load_plan(plan_path)
    ranges = Ranges.from_json(storage.read(plan.layout.ranges(plan.score_id, plan.run_id)))
    return merge(plan, ranges, number)
