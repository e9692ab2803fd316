"""Columns of a RecordBatch as tensors, without a Python object per row.

Numbers are handed over as they lie in memory. Strings travel as a dictionary and its indices and are put together
inside the graph. Missing values and lists travel as positions, from which the graph builds sparse and ragged tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.contract import Column
from ..schemas.features import Kind
from ..schemas.types import parse_type
from .runtime import tf

SMALL = 64
"""A dictionary of so few entries is passed on whole, even if the rows are fewer."""


class BadColumn(ValueError):
    """A column holds what no tensor can: it says which column and what."""


@dataclass(frozen=True)
class Feed:
    """How one column reaches the graph.

    Attributes:
      column: the column's name.
      kind: `fixed` becomes a dense tensor, `varlen` a SparseTensor, `ragged` a RaggedTensor.
      dtype: TensorFlow's name of the values' type; `string` for text and bytes.
      size: items of every list, or None.
      is_list: whether the column holds lists.
      cast: the contract's `as`, or None.
    """

    column: str
    kind: Kind
    dtype: str
    size: int | None = None
    is_list: bool = False
    cast: str | None = None


def component_specs(feed: Feed) -> list[Any]:
    """Specs of the dense tensors a column travels as; `components` makes them and `assemble` takes them."""
    shape = [None] if feed.kind != "fixed" or feed.size is None else [None, feed.size]
    if feed.dtype == "string":
        values = [tf.TensorSpec([None], tf.string), tf.TensorSpec(shape, tf.int32)]
    else:
        values = [tf.TensorSpec(shape, tf.as_dtype(feed.dtype))]
    return values if feed.kind == "fixed" else [*values, tf.TensorSpec([None], tf.int64)]


def components(column: pa.Array, feed: Feed) -> list[Any]:
    """One column as the tensors it travels as.

    Raises:
      BadColumn: when a value is missing, or a list has the wrong length, where the feed has no room for it.
      pa.ArrowInvalid: when `as` cannot convert a value.
    """
    array = _recast(column, feed)
    if feed.is_list:
        return _list_components(array, feed)
    if feed.kind == "fixed":
        _refuse_nulls(array, feed, "a value is missing")
        return _values(array, feed)
    rows = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
    return [*_values(array.drop_null(), feed), tf.constant(rows.astype(np.int64, copy=False))]


def numbers(column: pa.Array, feed: Feed) -> np.ndarray[Any, Any]:
    """A column of plain numbers. Raises as `components` does."""
    array = _recast(column, feed)
    _refuse_nulls(array, feed, "a value is missing")
    return _numbers(array, feed.dtype)


def words(column: pa.Array, feed: Feed) -> pa.DictionaryArray:
    """A column of plain strings, with a dictionary no longer than the rows need. Raises as `components` does."""
    array = _recast(column, feed)
    _refuse_nulls(array, feed, "a value is missing")
    return _compact(array)


def _recast(column: pa.Array, feed: Feed) -> pa.Array:
    return recast(_without_null_entries(column), feed.cast)


def _list_components(array: pa.Array, feed: Feed) -> list[Any]:
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy()
    items = array.flatten()
    _refuse_nulls(items, feed, "a list holds a null")
    if feed.kind != "fixed":
        splits = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return [*_values(items, feed), tf.constant(splits)]
    _refuse_nulls(array, feed, "a list is missing")
    if (lengths != feed.size).any():
        wrong = int(lengths[lengths != feed.size][0])
        raise BadColumn(f"column {feed.column}: a list has {wrong} items, not {feed.size}")
    return _values(items, feed, [len(array), feed.size])


def _refuse_nulls(array: pa.Array, feed: Feed, what: str) -> None:
    if array.null_count:
        raise BadColumn(f"column {feed.column}: {what}")


def _values(array: pa.Array, feed: Feed, shape: list[int | None] | None = None) -> list[Any]:
    """Values without nulls as one numeric tensor, or as a dictionary and its indices."""
    if feed.dtype != "string":
        numbers = _numbers(array, feed.dtype)
        return [tf.constant(numbers if shape is None else numbers.reshape(shape))]
    encoded = _compact(array)
    entries = encoded.dictionary.cast(pa.binary()).to_numpy(zero_copy_only=False)
    indices = encoded.indices.cast(pa.int32()).to_numpy()
    return [
        tf.constant(entries, tf.string),
        tf.constant(indices if shape is None else indices.reshape(shape)),
    ]


def _numbers(array: pa.Array, dtype: str) -> np.ndarray[Any, Any]:
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    if dtype == "bool":
        return np.asarray(array.cast(pa.bool_()).to_numpy(zero_copy_only=False))
    target = pa.type_for_alias(dtype)
    if array.type != target:
        array = array.cast(target, safe=not pa.types.is_floating(target))  # the nearest float is what is asked for
    return np.asarray(array.to_numpy())


def _compact(array: pa.Array) -> pa.DictionaryArray:
    """Dictionary-encoded, with a dictionary no longer than the rows need."""
    if pa.types.is_dictionary(array.type):
        if len(array.dictionary) <= max(len(array), SMALL):
            return array
        array = array.dictionary_decode()
    return array.dictionary_encode()


def _without_null_entries(array: pa.Array) -> pa.Array:
    """A dictionary may hold a null entry, which counts as no null of the array: decoding shows it."""
    if pa.types.is_dictionary(array.type) and array.dictionary.null_count:
        return array.dictionary_decode()
    return array


def recast(array: pa.Array, name: str | None) -> pa.Array:
    """Applies the contract's `as`, if there is one: as numbers, dates are days since 1970, timestamps microseconds."""
    if name is None:
        return array
    target = parse_type(name).arrow
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_date32(array.type) and not (pa.types.is_temporal(target) or pa.types.is_string(target)):
        array = array.cast(pa.int32())
    if pa.types.is_timestamp(array.type) and not (pa.types.is_temporal(target) or pa.types.is_string(target)):
        array = array.cast(pa.int64())
    return array.cast(target, safe=not pa.types.is_floating(target))


def cast_problem(column: Column) -> str | None:
    """Why `as` cannot work whatever the values, or None."""
    try:
        recast(pa.array([], column.typed.arrow), column.cast)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        return f"as: {column.cast} cannot be made from {column.type} ({error})"
    return None


def assemble(feed: Feed, parts: list[Any], rows: Any) -> Any:
    """Inside a graph: the tensor of a column from the parts it travelled as.

    Args:
      feed: how it travelled.
      parts: what `components` made.
      rows: int64 scalar tensor, the number of rows.

    Returns:
      A Tensor, SparseTensor or RaggedTensor. A nullable scalar has the dense shape [rows, 1], also when all are
      missing; a list that of tf.io.parse_example: [rows, longest list].
    """
    values = tf.gather(parts[0], parts[1]) if feed.dtype == "string" else parts[0]
    if feed.kind == "fixed":
        return values
    places = parts[-1]
    if not feed.is_list and feed.kind == "varlen":
        indices = tf.stack([places, tf.zeros_like(places)], axis=1)
        return tf.SparseTensor(indices, values, tf.stack([rows, tf.constant(1, tf.int64)]))
    ragged = tf.RaggedTensor.from_row_splits(values, places, validate=False)
    return ragged.to_sparse() if feed.kind == "varlen" else ragged
