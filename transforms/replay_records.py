"""The rejects that a split of a replay scores again: laid down by the driver, so that every retry reads the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from .. import storage
from ..schemas.batch import OFFSET, Batch, concat_rejected
from ..schemas.contract import Contract
from ..schemas.plan import Plan
from ..schemas.rejected import SCHEMA as REJECTED
from ..schemas.split import Split
from .formats.base import BATCH_ROWS, Format
from .formats.choose import format_of

AGAIN = "again"
SCHEMA = REJECTED.append(pa.field(AGAIN, pa.bool_(), nullable=False))
"""A reject as the parent left it, its `raw` perhaps edited, and whether it is scored again or stays as it is."""


def encode_records(records: pa.Table) -> pa.Buffer:
    """Records of one file, by offset, as an object."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_table(records)
    return sink.getvalue()


def read_records(path: str) -> pa.Table:
    """What `encode_records` made."""
    return pa.ipc.open_stream(storage.read(path)).read_all()


def records_of(split: Split, plan: Plan) -> pa.Table:
    """The records of a split of a replay."""
    return read_records(plan.layout.records(plan.score_id, split.id))


def read_again(split: Split, plan: Plan) -> Iterator[Batch]:
    """Reads the records of a split of a replay: those to score again from their bytes, the others as rejects.

    Yields:
      At least one Batch, the last one marked.
    """
    records = records_of(split, plan)
    source, contract = plan.job.source, plan.job.read_contract
    starts = range(0, records.num_rows, BATCH_ROWS)
    for index, start in enumerate(starts):
        part = records.slice(start, BATCH_ROWS).combine_chunks()
        batch = _batch(part, split, format_of(source), contract, source.max_record_bytes)
        yield replace(batch, index=index, last=start == starts[-1])


def _batch(records: pa.Table, split: Split, format: Format, contract: Contract, limit: int) -> Batch:
    marked = records[AGAIN]
    held = records.filter(pa.compute.invert(marked)).select(REJECTED.names).combine_chunks()
    again = records.filter(marked).combine_chunks()
    first = _scored(again, split, format, contract, limit) if again.num_rows else _none(split, contract)
    rejected = concat_rejected([first.rejected, *held.to_batches()]).sort_by("offset")
    return replace(first, split=split, read=records.num_rows, rejected=rejected)


def _scored(again: pa.Table, split: Split, format: Format, contract: Contract, limit: int) -> Batch:
    raw, offsets = (again[name].combine_chunks() for name in ("raw", "offset"))
    return format.again(split, raw, offsets, contract, limit)


def _none(split: Split, contract: Contract) -> Batch:
    schema = contract.schema.append(pa.field(OFFSET, pa.int64()))
    columns = [column.combine_chunks() for column in schema.empty_table()]
    return Batch(split, 0, False, 0, pa.RecordBatch.from_arrays(columns, schema=schema))


def fill_again(rejected: pa.RecordBatch, records: pa.Table) -> pa.RecordBatch:
    """Fills `raw`, `length` and `truncated` of rejects from the records they were read from, not from a file.

    Args:
      rejected: rejects of one split of a replay.
      records: that split's, by offset.
    """
    at = pa.array(np.searchsorted(records["offset"].to_numpy(), rejected.column("offset").to_numpy()))
    filled = {name: records[name].combine_chunks().take(at) for name in ("raw", "length", "truncated")}
    columns = [filled.get(name, rejected.column(name)) for name in REJECTED.names]
    return pa.RecordBatch.from_arrays(columns, schema=REJECTED)
