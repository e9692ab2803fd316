"""Scores a table in memory: the same contract, graph, model and rejects as a run, without a pipeline."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..models.postprocess import postprocess
from ..models.score import score_batch
from ..models.scorer import load
from ..models.user_code import load_function
from ..schemas.batch import OFFSET, Batch
from ..schemas.errors import UsageError
from ..schemas.job import Job
from ..schemas.job_rules import published_inputs
from ..schemas.rejected import SCHEMA
from ..schemas.split import Split
from ..transforms.formats.base import BATCH_ROWS
from ..transforms.validate import validate
from .planning import settle

_NOWHERE = Split(0, "", "", 0, "", 0, None)


def predict(job: Job, table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Scores a table.

    Args:
      job: the job; its source and its table are not touched.
      table: the contract's columns, by name or by `from`, of types that cast to the contract's.

    Returns:
      (predictions, rejected): key, passthrough and prediction columns in the order of the table; and the rows turned
      away as `schemas.rejected.SCHEMA`, whose `offset` is the row's number in the table.

    Raises:
      UsageError: when the job does not fit its model, or the table lacks a column or has one of another type.
    """
    settled = settle(job)
    scorer, rows = load(settled.scoring), conform(table, job)
    last = job.postprocess and load_function(job.postprocess, job.folder)
    done: list[Batch] = []
    for start in range(0, rows.num_rows, BATCH_ROWS):
        part = rows.slice(start, BATCH_ROWS).combine_chunks().to_batches()[0]
        batch = validate(Batch(_NOWHERE, len(done), False, part.num_rows, part), job.contract)
        batch = score_batch(batch, scorer, job.contract.key, job.output.passthrough, judged=not last)
        if last:
            batch = postprocess(batch, last, settled.scoring.predictions, job.contract.key)
        done.append(batch)
    return _joined(done, job, settled.scoring.schema)


def conform(table: pa.Table, job: Job) -> pa.Table:
    """A table's columns as the contract wants them in a Batch, with `_offset`: the row's number.

    Raises:
      UsageError: when a column is missing, or cannot be cast.
    """
    columns = []
    for name, column in job.columns.items():
        wanted, found = job.contract.arrow_type(name), column.source if column.source in table.column_names else name
        if found in table.column_names:
            columns.append(_cast(table[found], name, wanted))
        elif column.optional:
            columns.append(pa.nulls(table.num_rows, wanted))
        else:
            raise UsageError(f"the table has no column {found}; it has {', '.join(table.column_names)}")
    offsets = pa.array(np.arange(table.num_rows, dtype=np.int64))
    return pa.table([*columns, offsets], names=[*job.columns, OFFSET])


def _cast(values: pa.ChunkedArray, name: str, wanted: pa.DataType) -> pa.ChunkedArray:
    try:
        if pa.types.is_dictionary(wanted):
            plain = values.cast(wanted.value_type)
            return plain.dictionary_encode().cast(wanted)
        return values.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UsageError(f"column {name}: {values.type} is not a {wanted}: {error}") from None


def _joined(batches: list[Batch], job: Job, predictions: pa.Schema) -> tuple[pa.Table, pa.Table]:
    inputs = [pa.field(name, job.columns[name].typed.arrow) for name in published_inputs(job)]
    schema = pa.schema([*inputs, *predictions])
    rows = [batch.rows.select(schema.names).cast(schema) for batch in batches]
    rejected = pa.Table.from_batches([batch.rejected for batch in batches], SCHEMA).sort_by("offset")
    return pa.Table.from_batches(rows, schema), rejected
