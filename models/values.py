"""Predictions held against their bounds: NaN, infinity, `min` and `max`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.batch import Batch
from ..schemas.rejected import Stage
from .predictions import PredictionColumn

Verdict = tuple[pa.Array, pa.Array]
"""Reasons and messages, string[rows]; null where a row is sound."""


def judge(rows: pa.RecordBatch, columns: Sequence[PredictionColumn]) -> Verdict | None:
    """Finds the rows with a prediction that must not be published.

    Args:
      rows: at least the prediction columns.
      columns: what each may be.

    Returns:
      The first broken rule of each row, or None when all are sound.
    """
    reasons: pa.Array | None = None
    messages: pa.Array | None = None
    for column in columns:
        for reason, guilty, message in _broken(rows.column(column.name), column):
            if pc.any(guilty).as_py():
                if reasons is None:
                    reasons = messages = pa.nulls(rows.num_rows, pa.string())
                fresh = pc.and_(guilty, reasons.is_null())
                reasons = pc.if_else(fresh, reason, reasons)
                messages = pc.if_else(fresh, message, messages)
    return None if reasons is None or messages is None else (reasons, messages)


def turn_away_unsound(batch: Batch, columns: Sequence[PredictionColumn], stage: Stage, key: Sequence[str]) -> Batch:
    """Moves the rows with a prediction that must not be published to the rejects."""
    verdict = judge(batch.rows, columns)
    if verdict is None:
        return batch
    reasons, messages = verdict
    return batch.turn_away(reasons.is_valid(), stage, reasons.drop_null(), messages.drop_null(), key)


def _broken(array: pa.Array, column: PredictionColumn) -> Iterator[tuple[str, pa.Array, str]]:
    """(reason, bool[rows], message) for each rule of a column."""
    values = array if column.form == "scalar" else array.flatten()
    if column.form == "top_k":
        values = values.field("score")
    name = f"prediction {column.name}"
    if pa.types.is_floating(values.type) and not column.allow_nan:
        yield "not_finite", _rows(array, column, pc.invert(pc.is_finite(values))), f"{name} is NaN or infinite"
    if column.min is not None:
        yield "below_min", _rows(array, column, pc.less(values, column.min)), f"{name} is below {column.min:g}"
    if column.max is not None:
        yield "above_max", _rows(array, column, pc.greater(values, column.max)), f"{name} is above {column.max:g}"


def _rows(array: pa.Array, column: PredictionColumn, guilty: pa.Array) -> pa.Array:
    """bool[rows] from bool[values]; a missing value breaks no rule."""
    guilty = pc.fill_null(guilty, False)
    if column.form == "scalar":
        return guilty
    flags = np.zeros(len(array), bool)
    if pc.any(guilty).as_py():
        flags[pc.list_parent_indices(array).filter(guilty).to_numpy()] = True
    return pa.array(flags)
