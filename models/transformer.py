"""A transform graph applied to rows: all its outputs, labels included, as Arrow columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from ..schemas.contract import Contract
from ..schemas.errors import HighbeamError, UsageError
from ..schemas.features import features
from .fit import feed
from .graph import load_transform
from .runtime import tf
from .specs import spec_text
from .tensors import assemble, component_specs, components

Array = np.ndarray[Any, Any]


class Transformer:
    """A loaded transform graph.

    A dense output of one value a row is a plain column, others are lists: of the values there are for a sparse output
    whose width is open (or 1), of {index, value} for one of known width.

    Args:
      folder: of a tft.TFTransformOutput.
      contract: the columns of a row, labels included.

    Attributes:
      schema: of what `transform` gives, in the order of the outputs' names.
    """

    def __init__(self, folder: str, contract: Contract) -> None:
        self._graph = graph = load_transform(folder)
        if lacking := sorted(set(graph.inputs) - set(features(contract))):
            raise UsageError(f"{folder} was made for another contract: it takes {', '.join(lacking)}")
        self._feeds = [feed(contract, name, spec) for name, spec in graph.inputs.items()]
        self._outputs = [_Output(name, graph.outputs[name]) for name in sorted(graph.outputs)]
        self.schema = pa.schema([pa.field(output.name, output.type) for output in self._outputs])
        specs = [tf.TensorSpec([], tf.int64), *(spec for one in self._feeds for spec in component_specs(one))]
        self._traced = tf.function(self._parts, input_signature=specs, autograph=False).get_concrete_function()

    def transform(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Applies the graph to one or more rows of the contract."""
        tensors = [tf.convert_to_tensor(np.int64(rows.num_rows))]
        tensors += [part for one in self._feeds for part in components(rows.column(one.column), one)]
        parts = iter([tensor.numpy() for tensor in self._traced(*tensors)])
        columns = [output.column(list(islice(parts, output.parts)), rows.num_rows) for output in self._outputs]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _parts(self, rows: Any, *flat: Any) -> list[Any]:
        left = iter(flat)
        pieces = {one: list(islice(left, len(component_specs(one)))) for one in self._feeds}
        inputs = {one.column: assemble(one, piece, rows) for one, piece in pieces.items()}
        found = self._graph.inlined(inputs, [output.name for output in self._outputs])
        return [part for output in self._outputs for part in output.emitted(found[output.name])]


class _Output:
    """One output on its way out: dense tensors inside the graph, a column outside.

    The values leave first, flat: as they are, or as the distinct strings and an index for each. How they lie in rows
    follows: the shape of a dense tensor, the indices of a sparse one, all row splits of a ragged one.
    """

    def __init__(self, name: str, spec: Any) -> None:
        self.name = name
        self._rank = spec.shape.rank
        self._dtype = spec.dtype
        self._splits = spec.ragged_rank if isinstance(spec, tf.RaggedTensorSpec) else 0
        self._sparse = isinstance(spec, tf.SparseTensorSpec)
        if not self._rank or (self._sparse and self._rank != 2) or (self._splits and self._rank != self._splits + 1):
            raise UsageError(f"feature {name}: no column holds {spec_text(spec)}; reshape it in preprocessing_fn")
        self._placed = self._sparse and spec.shape[1] not in (None, 1)
        self.parts = (2 if self._dtype == tf.string else 1) + max(1, self._splits)

    @property
    def type(self) -> pa.DataType:
        """The column's type."""
        value = pa.string() if self._dtype == tf.string else pa.from_numpy_dtype(self._dtype.as_numpy_dtype)
        made = pa.struct([("index", pa.int64()), ("value", value)]) if self._placed else value
        for _ in range(self._rank - 1):
            made = pa.list_(made)
        return made

    def emitted(self, tensor: Any) -> list[Any]:
        """Inside a graph: the dense tensors the output leaves as."""
        if self._splits:
            return [*self._values(tensor.flat_values), *tensor.nested_row_splits]
        if self._sparse:
            ordered = tf.sparse.reorder(tensor)
            return [*self._values(ordered.values), ordered.indices]
        return [*self._values(tensor), tf.shape(tensor, tf.int64)]

    def _values(self, tensor: Any) -> list[Any]:
        flat = tf.reshape(tensor, [-1])
        return list(tf.unique(flat)) if self._dtype == tf.string else [flat]

    def column(self, parts: Sequence[Array], rows: int) -> pa.Array:
        """The column made of what left the graph."""
        text = self._dtype == tf.string
        items = self._strings(parts[0]).take(pa.array(parts[1])) if text else pa.array(parts[0])
        layout = parts[2 if text else 1 :]
        if self._splits:
            made = _nested(items, layout)
        elif self._sparse:
            made = self._from_indices(items, layout[0], rows)
        else:
            made = _nested(items, _uniform_splits(layout[0]))
        return self._one_each(made, rows)

    def _strings(self, distinct: Array) -> pa.Array:
        try:
            return pa.array(distinct, pa.binary()).cast(pa.string())
        except pa.ArrowInvalid as error:
            problem = f"feature {self.name} is not valid UTF-8; encode it in preprocessing_fn (tf.io.encode_base64)"
            raise HighbeamError(problem) from error

    def _from_indices(self, items: pa.Array, indices: Array, rows: int) -> pa.Array:
        if self._placed:
            items = pa.StructArray.from_arrays([pa.array(indices[:, 1]), items], ["index", "value"])
        return _nested(items, [np.searchsorted(indices[:, 0], np.arange(rows + 1))])

    def _one_each(self, made: pa.Array, rows: int) -> pa.Array:
        if len(made) != rows:
            raise HighbeamError(f"feature {self.name} has {len(made)} values for {rows} rows; one each is needed")
        return made


def _uniform_splits(shape: Array) -> list[Array]:
    """Row splits of the dimensions of a dense tensor, the outermost first."""
    return [np.arange(np.prod(shape[:rank]) + 1) * shape[rank] for rank in range(1, len(shape))]


def _nested(items: pa.Array, splits: Sequence[Array]) -> pa.Array:
    for one in reversed(splits):
        items = pa.ListArray.from_arrays(pa.array(one, pa.int32()), items)
    return items
