"""Features as columns: how what a transform graph makes travels to workers that do nothing but run the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa

from .fit import Fit
from .fit_rows import FitRow
from .links import Link
from .runtime import tf
from .specs import spec_text
from .tensors import Feed

Array = np.ndarray[Any, Any]
MARK = "_feature:"
"""Begins the names of these columns, so that none is that of a key or passthrough column."""
_PLACES = MARK + "places of "


@dataclass(frozen=True)
class Handed:
    """One feature on its way: dense tensors where it is made, columns between, a tensor where it is needed.

    A dense feature is one column: of values, or of as many in each row as the other dimensions hold. A ragged one is a
    column of lists. A sparse one is two: of lists of values, and of lists of their places in the row.

    Attributes:
      name: the feature's.
      spec: what the transform graph gives; without a graph, what the column is.
    """

    name: str
    spec: Any

    @property
    def problem(self) -> str:
        """Why it cannot travel, or ""."""
        shape = self.spec.shape
        if isinstance(self.spec, tf.SparseTensorSpec):
            fits = shape.rank == 2
        elif isinstance(self.spec, tf.RaggedTensorSpec):
            fits = shape.rank == 2 and self.spec.ragged_rank == 1
        else:
            fits = bool(shape.rank) and None not in shape.as_list()[1:]
        hint = "reshape it in preprocessing_fn, to a fixed size in each row"
        return "" if fits else f"feature {self.name}: {spec_text(self.spec)} cannot be handed over; {hint}"

    @property
    def column(self) -> str:
        """The column of its values."""
        return MARK + self.name

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """How its columns get into a graph again."""
        dtype = self.spec.dtype.name
        if isinstance(self.spec, tf.TensorSpec):
            return (Feed(self.column, "fixed", dtype, self._size, self._size is not None),)
        lists = Feed(self.column, "ragged", dtype, is_list=True)
        return (lists, Feed(_PLACES + self.name, "ragged", "int64", is_list=True)) if self._sparse else (lists,)

    @property
    def fields(self) -> list[pa.Field]:
        """The fields of its columns, one for each of `feeds`."""
        item = pa.binary() if self._text else pa.from_numpy_dtype(self.spec.dtype.as_numpy_dtype)
        if not isinstance(self.spec, tf.TensorSpec):
            types = [pa.list_(item), pa.list_(pa.int64())]
        elif self._size is not None:
            types = [pa.list_(item, self._size)]
        else:
            types = [pa.dictionary(pa.int32(), item) if self._text else item]
        return [pa.field(feed.column, type) for feed, type in zip(self.feeds, types, strict=False)]

    @property
    def parts(self) -> int:
        """How many tensors leave the graph that makes it."""
        return (2 if self._text else 1) + (0 if isinstance(self.spec, tf.TensorSpec) else 1)

    @property
    def _text(self) -> bool:
        return bool(self.spec.dtype == tf.string)

    @property
    def _sparse(self) -> bool:
        return isinstance(self.spec, tf.SparseTensorSpec)

    @property
    def _size(self) -> int | None:
        """Values in each row of a dense feature; None where it is one, without a dimension of its own."""
        return prod(self.spec.shape.as_list()[1:]) if self.spec.shape.rank > 1 else None

    def emitted(self, tensor: Any) -> list[Any]:
        """Inside a graph: the dense tensors it leaves as."""
        if self._sparse:
            ordered = tf.sparse.reorder(tensor)
            return [*self._values(ordered.values), ordered.indices]
        if isinstance(tensor, tf.RaggedTensor):
            return [*self._values(tensor.flat_values), tensor.row_splits]
        return self._values(tensor)

    def _values(self, tensor: Any) -> list[Any]:
        flat = tf.reshape(tensor, [-1])
        return list(tf.unique(flat)) if self._text else [flat]

    def columns(self, parts: Sequence[Array], rows: int) -> list[pa.Array]:
        """The columns made of what left the graph, one for each of `feeds`."""
        if self._text:
            distinct = pa.array(parts[0], pa.binary())
            values = pa.DictionaryArray.from_arrays(pa.array(parts[1], pa.int32()), distinct)
            values = (
                values if isinstance(self.spec, tf.TensorSpec) and self._size is None else values.dictionary_decode()
            )
        else:
            values = pa.array(parts[0])
        if isinstance(self.spec, tf.TensorSpec):
            return [values if self._size is None else pa.FixedSizeListArray.from_arrays(values, self._size)]
        if not self._sparse:
            return [_lists(values, parts[-1])]
        splits = np.searchsorted(parts[-1][:, 0], np.arange(rows + 1))
        return [_lists(values, splits), _lists(pa.array(np.ascontiguousarray(parts[-1][:, 1])), splits)]

    def assembled(self, tensors: Mapping[str, Any], rows: Any) -> Any:
        """Inside a graph: the feature, from the tensors of its columns.

        A sparse one is as wide as its spec says, or as its last place needs, and one at least.
        """
        found = tensors[self.column]
        if isinstance(self.spec, tf.TensorSpec):
            return tf.reshape(found, [-1, *self.spec.shape.as_list()[1:]])
        if not self._sparse:
            return found
        places = tensors[_PLACES + self.name].flat_values
        width = self.spec.shape[1] or tf.reduce_max(tf.concat([places + 1, tf.constant([1], tf.int64)], axis=0))
        indices = tf.stack([found.value_rowids(), places], axis=1)
        return tf.SparseTensor(indices, found.flat_values, tf.stack([rows, tf.cast(width, tf.int64)]))

    def unsound(self, column: pa.Array) -> Array:
        """bool[n]: which rows of its column hold NaN or infinity."""
        if not self.spec.dtype.is_floating:
            return np.zeros(len(column), bool)
        nested = self._size is not None or not isinstance(self.spec, tf.TensorSpec)
        wrong = ~np.isfinite(np.asarray(column.flatten() if nested else column, np.float64))
        if not nested:
            return wrong
        lengths = (
            column.value_lengths().to_numpy() if pa.types.is_list(column.type) else np.full(len(column), self._size)
        )
        rows = np.repeat(np.arange(len(column)), lengths)
        return np.bincount(rows[wrong], minlength=len(column)) > 0


def _lists(values: pa.Array, splits: Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(splits, pa.int32()), values)


def handed(fit: Fit) -> list[Handed]:
    """The features that a signature is fed with."""
    return list({link.feature: Handed(link.feature, _fixed(fit, link)) for link in fit.links}.values())


def _fixed(fit: Fit, link: Link) -> Any:
    """A feature's spec; where it leaves dimensions open that the signature knows, those of the signature."""
    spec = fit.offered[link.feature]
    if not isinstance(spec, tf.TensorSpec):
        return spec
    wanted = fit.signature.inputs[link.tensors[0]].shape
    same = spec.shape.rank == wanted.rank
    return tf.TensorSpec(spec.shape.merge_with(wanted) if same else spec.shape, spec.dtype)


def handed_rows(fit: Fit) -> list[FitRow]:
    """The rows of a fit, with those of features that cannot be handed over."""
    return [*fit.rows, *(FitRow(one.name, problem=one.problem) for one in handed(fit) if one.problem)]


def taken_over(fit: Fit) -> Fit:
    """How features that were handed over get into the model: the same fit without a transform graph."""
    return replace(fit, graph=None, feeds=tuple(feed for one in handed(fit) for feed in one.feeds))
