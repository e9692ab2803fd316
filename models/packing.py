"""Columns that travel together: handing over one tensor costs more than what is in it, so few are handed over.

All numbers of one type travel as one matrix, all strings as one dictionary and one matrix of indices. Columns with
missing values and lists travel alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .runtime import tf
from .tensors import Feed, assemble, component_specs, components, numbers, words


@dataclass(frozen=True)
class Pack:
    """Some feeds that travel together.

    Attributes:
      feeds: one, or several plain columns of one type.
    """

    feeds: tuple[Feed, ...]

    @property
    def together(self) -> bool:
        """Whether they travel as one matrix."""
        return len(self.feeds) > 1

    @property
    def dtype(self) -> str:
        """TensorFlow's name of the values' type."""
        return self.feeds[0].dtype


def packs(feeds: Iterable[Feed]) -> list[Pack]:
    """Groups feeds, in an order that depends on nothing but them."""
    plain: dict[str, list[Feed]] = {}
    alone = []
    for feed in feeds:
        if feed.kind == "fixed" and not feed.is_list:
            plain.setdefault(feed.dtype, []).append(feed)
        else:
            alone.append(Pack((feed,)))
    return [*(Pack(tuple(group)) for group in plain.values()), *alone]


def pack_specs(pack: Pack) -> list[Any]:
    """Specs of the tensors a pack travels as; `packed` makes them and `unpacked` takes them."""
    if not pack.together:
        return component_specs(pack.feeds[0])
    shape = [len(pack.feeds), None]
    if pack.dtype == "string":
        return [tf.TensorSpec([None], tf.string), tf.TensorSpec(shape, tf.int32)]
    return [tf.TensorSpec(shape, tf.as_dtype(pack.dtype))]


def packed(pack: Pack, rows: pa.RecordBatch) -> list[Any]:
    """The columns of a pack as the tensors they travel as. Raises as `tensors.components` does."""
    columns = [rows.column(feed.column) for feed in pack.feeds]
    if not pack.together:
        return components(columns[0], pack.feeds[0])
    pairs = zip(columns, pack.feeds, strict=True)
    if pack.dtype == "string":
        return _one_dictionary([words(column, feed) for column, feed in pairs])
    return [tf.constant(np.stack([numbers(column, feed) for column, feed in pairs]))]


def _one_dictionary(arrays: Sequence[pa.DictionaryArray]) -> list[Any]:
    """One dictionary after the other, and the indices moved on by what stands before."""
    entries = [array.dictionary.cast(pa.binary()) for array in arrays]
    starts = np.cumsum([0, *map(len, entries[:-1])], dtype=np.int32)
    moved = [array.indices.to_numpy() + start for array, start in zip(arrays, starts, strict=True)]
    distinct = pa.concat_arrays(entries).to_numpy(zero_copy_only=False)
    return [tf.constant(distinct, tf.string), tf.constant(np.stack(moved), tf.int32)]


def unpacked(pack: Pack, parts: Sequence[Any], rows: Any) -> dict[str, Any]:
    """Inside a graph: the tensors of a pack's columns, by column; see `tensors.assemble`."""
    if not pack.together:
        return {pack.feeds[0].column: assemble(pack.feeds[0], list(parts), rows)}
    matrix = tf.gather(parts[0], parts[1]) if pack.dtype == "string" else parts[0]
    return dict(zip((feed.column for feed in pack.feeds), tf.unstack(matrix), strict=True))
