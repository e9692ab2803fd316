"""Transform graph and model as one function, called once for each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from .fit import Fit
from .graph import flatten
from .outputs import emitted
from .packing import pack_specs, packed, packs, unpacked
from .predictions import PredictionColumn
from .runtime import tf

Array = np.ndarray[Any, Any]


class Fed:
    """A function fed with columns, traced once for any number of rows; XLA is off, as it would compile for each number.

    Holds on to the loaded SavedModels: their tables and variables live as long as it does.

    Args:
      fit: how the columns get into it.
    """

    def __init__(self, fit: Fit) -> None:
        self.columns = tuple(feed.column for feed in fit.feeds)
        self._fit = fit
        self._packs = packs(fit.feeds)

    def _tensors(self, rows: pa.RecordBatch) -> Iterator[Any]:
        yield tf.constant(rows.num_rows, tf.int64)
        for pack in self._packs:
            yield from packed(pack, rows)

    def _traced(self, body: Callable[..., list[Any]]) -> Any:
        specs = [tf.TensorSpec([], tf.int64), *(spec for pack in self._packs for spec in pack_specs(pack))]
        return tf.function(body, input_signature=specs, autograph=False).get_concrete_function()

    def _features(self, rows: Any, parts: Sequence[Any]) -> Mapping[str, Any]:
        """Inside a graph: what the signature is fed with, the transform graph's outputs or the columns themselves."""
        flat = iter(parts)
        columns: dict[str, Any] = {}
        for pack in self._packs:
            columns |= unpacked(pack, list(islice(flat, len(pack_specs(pack)))), rows)
        graph = self._fit.graph
        if graph is None:
            return columns
        inputs = {
            name: _shaped(columns[name], spec) if name in columns else blank(spec, rows)
            for name, spec in graph.inputs.items()
        }
        return graph.inlined(inputs, [link.feature for link in self._fit.links])


class Composed(Fed):
    """What a Fit describes, from columns to predictions.

    Args:
      fit: how the columns get into the model.
      columns: the predictions wanted.
    """

    def __init__(self, fit: Fit, columns: Sequence[PredictionColumn]) -> None:
        super().__init__(fit)
        self._columns = columns
        self._counts: list[int] = []
        self._all = self._traced(self._predictions)
        self._graph_alone: Any = None
        self._judged: tuple[str, ...] = ()

    def predict(self, rows: pa.RecordBatch) -> list[list[Array]]:
        """The parts of each prediction, as `outputs.published` takes them."""
        results = iter([tensor.numpy() for tensor in self._all(*self._tensors(rows))])
        return [list(islice(results, count)) for count in self._counts]

    def transform(self, rows: pa.RecordBatch) -> pa.Array | None:
        """Runs the transform graph alone, to see whether it raises, or what it gives is not finite.

        Returns:
          string[rows]: a feature that is NaN or infinite, null where none is; None without a graph.
        """
        tensors = list(self._tensors(rows))
        if self._fit.graph is None:
            return None
        self._graph_alone = self._graph_alone or self._traced(self._features_judged)
        found = [tensor.numpy() for tensor in self._graph_alone(*tensors)[: len(self._judged)]]
        named = np.full(rows.num_rows, None, object)
        for name, unsound in reversed(list(zip(self._judged, found, strict=True))):
            if len(unsound) == rows.num_rows:
                named[unsound] = name
        return pa.array(named, pa.string())

    def _predictions(self, rows: Any, *parts: Any) -> list[Any]:
        features = self._features(rows, parts)
        signature = self._fit.signature
        inputs = {name: blank(spec, rows) for name, spec in signature.inputs.items()}
        for link in self._fit.links:
            for name, part in zip(link.tensors, flatten(features[link.feature]), strict=True):
                inputs[name] = _shaped(part, signature.inputs[name])
        outputs = signature.function(**inputs)
        groups = [emitted(column, outputs[column.tensor]) for column in self._columns]
        self._counts = [len(group) for group in groups]
        return [tensor for group in groups for tensor in group]

    def _features_judged(self, rows: Any, *parts: Any) -> list[Any]:
        """Which rows of each feature of floats are not finite; then all features, so that all is computed."""
        features = self._features(rows, parts)
        judged = {name: unsound(feature, rows) for name, feature in sorted(features.items()) if _is_judged(feature)}
        self._judged = tuple(judged)
        return [*judged.values(), *(tensor for feature in features.values() for tensor in flatten(feature))]


def _is_judged(feature: Any) -> bool:
    return bool(feature.dtype.is_floating and feature.shape.rank)


def unsound(feature: Any, rows: Any) -> Any:
    """Inside a graph: bool[rows], whether a row of a feature of any kind holds NaN or infinity."""
    if isinstance(feature, tf.SparseTensor):
        wrong = tf.cast(~tf.math.is_finite(feature.values), tf.int32)
        return tf.math.unsorted_segment_sum(wrong, feature.indices[:, 0], rows) > 0
    if isinstance(feature, tf.RaggedTensor):
        wrong = feature.with_flat_values(tf.cast(~tf.math.is_finite(feature.flat_values), tf.int32))
        for _ in range(feature.shape.rank - 1):
            wrong = tf.reduce_sum(wrong, axis=1)
        return wrong > 0
    return tf.reduce_any(~tf.math.is_finite(feature), axis=list(range(1, feature.shape.rank)))


def _shaped(tensor: Any, spec: Any) -> Any:
    """A tensor in the shape a spec asks for, where that is one column either way: `[?]` or `[?, 1]`."""
    if isinstance(tensor, tf.RaggedTensor):
        return tensor.with_row_splits_dtype(spec.row_splits_dtype)
    if not isinstance(tensor, tf.Tensor) or tensor.shape.rank == spec.shape.rank or spec.shape.rank is None:
        return tensor
    return tf.expand_dims(tensor, 1) if spec.shape.rank == 2 else tf.squeeze(tensor, axis=1)


def blank(spec: Any, rows: Any) -> Any:
    """A value for an input that no prediction depends on, but that a function wants all the same."""
    if isinstance(spec, tf.SparseTensorSpec):
        shape = tf.stack([rows, *[tf.constant(1, tf.int64)] * (spec.shape.rank - 1)])
        return tf.SparseTensor(tf.zeros([0, spec.shape.rank], tf.int64), tf.zeros([0], spec.dtype), shape)
    if isinstance(spec, tf.RaggedTensorSpec):
        splits = tf.zeros([rows + 1], spec.row_splits_dtype)
        return tf.RaggedTensor.from_row_splits(tf.zeros([0], spec.dtype), splits, validate=False)
    sizes = [1 if size is None else size for size in (spec.shape.as_list() or [])[1:]]
    return tf.zeros(tf.stack([rows, *sizes]) if spec.shape.rank else [], spec.dtype)
