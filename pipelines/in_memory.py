"""Scores a table in memory: the same contract, graph, model and rejects as a run, without a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ..models.code_archive import load_postprocess
from ..models.postprocess import postprocess
from ..models.score import score_batch
from ..models.scorer import load
from ..schemas.batch import Batch
from ..schemas.errors import UsageError
from ..schemas.job import Job
from ..schemas.job_rules import published_inputs
from ..schemas.rejected import SCHEMA
from ..schemas.split import Split
from ..transforms.formats.base import BATCH_ROWS
from ..transforms.formats.castable import castable
from ..transforms.formats.columns import column_batch
from ..transforms.join import join
from ..transforms.join_plan import plan_sides
from ..transforms.validate import validate
from .planning import settle

_NOWHERE = Split(0, "", "", 0, "", 0, None)


def predict(job: Job, table: pa.Table | pa.RecordBatch) -> tuple[pa.Table, pa.Table]:
    """Scores a table.

    Args:
      job: the job; its source and its table are not touched.
      table: the contract's columns but the joined ones, by name or by `from`, of types that the contract's can be
        made of; a text is read as that of a CSV file.

    Returns:
      (predictions, rejected): key, passthrough and prediction columns in the order of the table; and the rows turned
      away as `schemas.rejected.SCHEMA`, whose `offset` is the row's number in the table.

    Raises:
      UsageError: when the job does not fit its model, or the table lacks a column, has one of another type, or is none.
    """
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if not isinstance(table, pa.Table):
        what = type(table).__name__
        raise UsageError(f"predict takes a pyarrow.Table, not a {what}; pa.Table.from_pylist or from_pandas makes one")
    settled, sides = settle(job), plan_sides(job, [])
    scorer = load(settled.scoring)
    last = job.postprocess and load_postprocess(job)
    done: list[Batch] = []
    for read in _batches(table, job):
        batch = join(validate(read, job.read_contract), sides, job.contract)
        batch = score_batch(batch, scorer, job.contract.key, job.output.passthrough, judged=not last)
        if last:
            batch = postprocess(batch, last, settled.scoring.predictions, job.contract.key)
        done.append(batch)
    return _joined(done, job, settled.scoring.schema)


def _columns(table: pa.Table, job: Job) -> list[pa.ChunkedArray | None]:
    """The contract's columns of a table, by `from` or by name; None for one that is not there and may be missing.

    Raises:
      UsageError: naming all that are missing, or of a type that no column of the contract can be made of.
    """
    found, problems = [], []
    for name, column in job.columns.items():
        source = column.source if column.source in table.column_names else name
        values = table[source] if source in table.column_names else None
        if values is None and not column.optional:
            problems.append(f"the table has no column {source}; it has {', '.join(table.column_names)}")
        elif values is not None and (problem := castable(values.type, column)):
            problems.append(f"column {name}: {source} {problem}")
        found.append(values)
    if problems:
        raise UsageError("\n".join(problems))
    return found


def _batches(table: pa.Table, job: Job) -> Iterator[Batch]:
    """A table as Batches, whose `_offset` is the row's number."""
    columns = _columns(table, job)
    for number, start in enumerate(range(0, table.num_rows, BATCH_ROWS)):
        parts = [None if whole is None else _one(whole.slice(start, BATCH_ROWS)) for whole in columns]
        offsets = np.arange(start, min(start + BATCH_ROWS, table.num_rows), dtype=np.int64)
        yield replace(column_batch(_NOWHERE, job.read_contract, offsets, parts), index=number)


def _one(values: pa.ChunkedArray) -> pa.Array:
    array = values.combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array


def _joined(batches: list[Batch], job: Job, predictions: pa.Schema) -> tuple[pa.Table, pa.Table]:
    inputs = [pa.field(name, job.contract.columns[name].typed.arrow) for name in published_inputs(job)]
    schema = pa.schema([*inputs, *predictions])
    rows = [batch.rows.select(schema.names).cast(schema) for batch in batches]
    rejected = pa.Table.from_batches([batch.rejected for batch in batches], SCHEMA).sort_by("offset")
    return pa.Table.from_batches(rows, schema), rejected
