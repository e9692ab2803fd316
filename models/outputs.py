"""A model's outputs on their way out: the last steps inside the graph, and the columns made from what leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..schemas.errors import HighbeamError
from .predictions import PredictionColumn
from .runtime import tf

Array = np.ndarray[Any, Any]


def emitted(column: PredictionColumn, tensor: Any) -> list[Any]:
    """Inside a graph: the dense tensors in which a prediction leaves it; `published` takes them.

    Strings leave as the distinct ones and an index for each, so that no Python object is made per row.
    """
    if column.form == "top_k":
        return _best(column, tensor)
    if tensor.dtype in (tf.float16, tf.bfloat16):
        tensor = tf.cast(tensor, tf.float32)
    if tensor.dtype != tf.string:
        return [tensor]
    distinct, places = tf.unique(tf.reshape(tensor, [-1]))
    return [distinct, tf.reshape(places, tf.shape(tensor))]


def _best(column: PredictionColumn, tensor: Any) -> list[Any]:
    """The k greatest scores and where they stood; all NaN where one of the row's scores is not finite.

    Without the latter a NaN would hide among the scores that are not kept.
    """
    scores = tf.cast(tensor, tf.float32)
    best, places = tf.math.top_k(scores, tf.minimum(column.top_k, tf.shape(scores)[1]))
    if not column.allow_nan:
        sound = tf.reduce_all(tf.math.is_finite(scores), axis=1, keepdims=True)
        best = tf.where(sound, best, float("nan"))
    return [best, places]


def published(column: PredictionColumn, parts: Sequence[Array], rows: int) -> pa.Array:
    """What left the graph as a column of the prediction's type.

    Args:
      column: what is published.
      parts: the values of what `emitted` gave.
      rows: the rows that went in.

    Raises:
      HighbeamError: when the model does not give exactly one prediction for each row, or a list of another size than
        was declared. No row is to blame for that.
    """
    if column.form == "scalar":
        parts = [part[:, 0] if part.ndim == 2 and part.shape[1] == 1 else part for part in parts]
    values = parts[-1]
    _check_shape(column, values, rows)
    if column.form == "top_k":
        columns = [_labels(column, values), pa.array(parts[0].reshape(-1))]
        return _lists(pa.StructArray.from_arrays(columns, ["label", "score"]), values.shape[1], column.type)
    items = _typed(_items(parts), column)
    return items if column.form == "scalar" else _lists(items, values.shape[1], column.type)


def _check_shape(column: PredictionColumn, values: Array, rows: int) -> None:
    rank = 1 if column.form == "scalar" else 2
    if values.ndim != rank or values.shape[0] != rows:
        raise HighbeamError(
            f"output {column.tensor} has the shape {list(values.shape)} for {rows} rows; the model must give one "
            f"{column.form} for each row"
        )
    if column.form == "list" and column.size not in (None, values.shape[1]):
        raise HighbeamError(
            f"output {column.tensor} gives lists of {values.shape[1]} items, predictions.{column.name} declares size "
            f"{column.size}"
        )


def _items(parts: Sequence[Array]) -> pa.Array:
    flat = parts[-1].reshape(-1)
    if len(parts) == 1:
        return pa.array(flat)
    distinct = pa.array(parts[0], pa.binary())
    return distinct.take(pa.array(flat))


def _typed(items: pa.Array, column: PredictionColumn) -> pa.Array:
    if pa.types.is_string(column.item):
        return _text(items, column)
    return items.cast(column.item, safe=not pa.types.is_floating(column.item))


def _text(items: pa.Array, column: PredictionColumn) -> pa.Array:
    try:
        return items.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise ValueError(f"output {column.tensor} is not valid UTF-8; publish it as binary") from error


def _lists(items: pa.Array, width: int, type: pa.DataType) -> pa.Array:
    starts = np.arange(0, len(items) + 1, width) if width else np.zeros(1)
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), items).cast(type)


def _labels(column: PredictionColumn, places: Array) -> pa.Array:
    indices = pa.array(places.reshape(-1))
    if not column.labels:
        return indices.cast(pa.string())
    if len(indices) and places.max() >= len(column.labels):
        raise HighbeamError(
            f"predictions.{column.name}: index {places.max()} has no label; {len(column.labels)} are declared"
        )
    return pa.array(column.labels, pa.string()).take(indices)
