"""The user's last word on predictions: `postprocess` of job.yaml."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.batch import OFFSET, Batch
from ..schemas.errors import HighbeamError
from ..schemas.halving import halving
from .predictions import PredictionColumn, prediction_schema
from .score import joined
from .values import judge, turn_away_unsound

Function = Callable[[pa.RecordBatch], pa.RecordBatch]


def postprocess(
    batch: Batch, function: Function, columns: Sequence[PredictionColumn], key: Sequence[str] = ()
) -> Batch:
    """Replaces the predictions of a batch by what a function makes of them.

    The function gets key, passthrough and prediction columns, and returns the prediction columns, row for row. When it
    raises, halving finds the rows to blame. An empty batch never reaches it.

    Args:
      batch: scored rows.
      function: the user's.
      columns: what it must return; bounds and finiteness are looked at afterwards.
      key: the key's columns.

    Returns:
      The batch with the new predictions; guilty rows are rejects of stage `postprocess`.

    Raises:
      HighbeamError: when the function returns other columns, types or rows than it must.
    """
    names = [column.name for column in columns]
    given = batch.rows.drop_columns([OFFSET])
    done, errors = _apply(function, given, prediction_schema(columns)) if len(batch) else (given.select(names), {})
    if errors:
        guilty = np.zeros(len(batch), bool)
        guilty[list(errors)] = True
        messages = pa.array(errors.values(), pa.string())
        batch = batch.turn_away(pa.array(guilty), "postprocess", "postprocess_failed", messages, key)
    scored = batch.rows
    batch = batch.with_rows(_replaced(batch.rows, done))
    return _turn_away_unsound(batch, scored, columns, key)


def _turn_away_unsound(
    batch: Batch, scored: pa.RecordBatch, columns: Sequence[PredictionColumn], key: Sequence[str]
) -> Batch:
    """Moves the rows that must not be published; where the model's own predictions were not finite, it is to blame."""
    after = judge(batch.rows, columns)
    before = after and judge(scored, columns)
    if after and before:
        model = pc.and_(*(pc.equal(verdict[0], "not_finite").fill_null(False) for verdict in (after, before)))
        if pc.any(model).as_py():
            batch = batch.turn_away(model, "predict", "not_finite", before[1].filter(model), key)
    return turn_away_unsound(batch, columns, "postprocess", key)


def _apply(function: Function, rows: pa.RecordBatch, schema: pa.Schema) -> tuple[pa.RecordBatch, dict[int, str]]:
    """What the function makes of the rows it can take, and the messages of the others by their place."""
    done, errors, place = [], {}, 0
    for piece, result in halving(rows, function):
        if isinstance(result, Exception):
            errors[place] = f"the postprocess function failed on this row: {_first_line(result)}"
        else:
            done.append(_checked(result, schema, piece.num_rows))
        place += piece.num_rows
    return joined(done, schema), errors


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _checked(result: object, schema: pa.Schema, rows: int) -> pa.RecordBatch:
    """What the function returned, its columns in order."""
    if not isinstance(result, pa.RecordBatch):
        raise HighbeamError(f"postprocess returned a {type(result).__name__}, not a pyarrow.RecordBatch")
    if result.num_rows != rows:
        raise HighbeamError(f"postprocess returned {result.num_rows} rows for {rows}; it must give one for each row")
    found = {field.name: field.type for field in result.schema}
    wanted = {field.name: field.type for field in schema}
    if found != wanted or len(result.schema) != len(schema):
        raise HighbeamError(f"postprocess returned {_columns(result.schema)}; predictions declare {_columns(schema)}")
    return pa.RecordBatch.from_arrays([result.column(name) for name in wanted], schema=schema)


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema) or "no columns"


def _replaced(rows: pa.RecordBatch, fresh: pa.RecordBatch) -> pa.RecordBatch:
    """Rows with some columns replaced, in their places."""
    names = rows.schema.names
    arrays = [fresh.column(name) if name in fresh.schema.names else rows.column(name) for name in names]
    return pa.RecordBatch.from_arrays(arrays, names)
