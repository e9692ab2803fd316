"""Signatures that take serialized tf.Examples, as TFX exports do.

Building Examples makes Python objects for every row; no other way in does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from ..schemas.contract import Contract
from ..schemas.errors import UsageError
from ..schemas.features import Feature, features
from ..schemas.types import parse_type
from .fit_rows import FitRow
from .graph import Graph
from .outputs import emitted
from .predictions import PredictionColumn
from .runtime import tf
from .specs import spec_text
from .tensors import BadColumn, cast_problem, recast

_ARROW = {"int64": pa.int64(), "float32": pa.float32(), "string": pa.binary()}


class Examples:
    """A signature fed with serialized tf.Examples; used like `compose.Composed`.

    Args:
      contract: the columns an Example holds: integers, bools and timestamps (microseconds) as int64_list, floats as
        float_list, text and bytes as bytes_list. A null or an empty list is left out.
      signature: takes one tensor of strings.
      columns: the predictions wanted.

    Raises:
      UsageError: when the signature takes anything else.
    """

    def __init__(self, contract: Contract, signature: Graph, columns: Sequence[PredictionColumn]) -> None:
        self._contract, self._signature, self._predictions = contract, signature, columns
        self.columns = tuple(features(contract))
        self._input = example_input(signature)
        self._counts: list[int] = []
        spec = tf.TensorSpec([None], tf.string)
        self._all = tf.function(self._body, input_signature=[spec], autograph=False).get_concrete_function()

    def predict(self, rows: pa.RecordBatch) -> list[list[Any]]:
        """The parts of each prediction, as `outputs.published` takes them."""
        serialized = tf.constant(serialize(rows, self._contract), tf.string)
        results = iter([tensor.numpy() for tensor in self._all(serialized)])
        return [list(islice(results, count)) for count in self._counts]

    def transform(self, rows: pa.RecordBatch) -> None:
        """Builds the Examples: all that comes before the model, whose signature holds the transform graph."""
        serialize(rows, self._contract)

    def _body(self, serialized: Any) -> list[Any]:
        outputs = self._signature.function(**{self._input: serialized})
        groups = [emitted(column, outputs[column.tensor]) for column in self._predictions]
        self._counts = [len(group) for group in groups]
        return [tensor for group in groups for tensor in group]


def example_rows(contract: Contract, signature: Graph) -> list[FitRow]:
    """What an Example holds and what takes it, for `highbeam check`."""
    name = example_input(signature)
    taken = spec_text(signature.inputs[name])
    held = features(contract)
    rows = [FitRow(name, signature=taken, note="a serialized tf.Example of the columns below")]
    for column, spec in contract.columns.items():
        unmade = cast_problem(spec)
        problem = f"columns.{column}: {unmade}" if unmade else ""
        rows.append(FitRow(column, spec.type, note="" if column in held else "not used", problem=problem))
    return rows


def example_input(signature: Graph) -> str:
    """Name of the one input that takes serialized Examples.

    Raises:
      UsageError: when the signature takes anything else.
    """
    takes = ", ".join(f"{name} {spec_text(spec)}" for name, spec in sorted(signature.inputs.items()))
    specs = list(signature.inputs.values())
    if len(specs) != 1 or specs[0].dtype != tf.string or specs[0].shape.rank not in (1, None):
        raise UsageError(
            f"input_format is tf_example, but {signature.label} takes {takes} instead of one string [?]; name "
            "another signature, or leave input_format out"
        )
    return next(iter(signature.inputs))


def serialize(rows: pa.RecordBatch, contract: Contract) -> list[bytes]:
    """One serialized tf.Example for each row."""
    offered = features(contract)
    columns = [_wrapped(_values(rows.column(name), contract, feature), feature) for name, feature in offered.items()]
    return [_example(offered, row) for row in zip(*columns, strict=True)]


def _values(column: pa.Array, contract: Contract, feature: Feature) -> list[Any]:
    """A column's values as lists of plain Python values, or None."""
    spec = contract.columns[feature.name]
    item = _ARROW[feature.dtype]
    array = recast(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column, spec.cast)
    if not parse_type(spec.cast or spec.type).is_list:
        return [None if value is None else [value] for value in array.cast(item, safe=False).to_pylist()]
    if array.flatten().null_count:
        raise BadColumn(f"column {feature.name}: a list holds a null")
    return list(array.cast(pa.list_(item), safe=False).to_pylist())


def _wrapped(values: list[Any], feature: Feature) -> list[Any]:
    """Each list as a tf.train.Feature; None where there is no value."""
    if feature.dtype == "int64":
        return [tf.train.Feature(int64_list=tf.train.Int64List(value=v)) if v else None for v in values]
    if feature.dtype == "float32":
        return [tf.train.Feature(float_list=tf.train.FloatList(value=v)) if v else None for v in values]
    return [tf.train.Feature(bytes_list=tf.train.BytesList(value=v)) if v else None for v in values]


def _example(names: Iterable[str], row: Sequence[Any]) -> bytes:
    present = {name: feature for name, feature in zip(names, row, strict=True) if feature is not None}
    return bytes(tf.train.Example(features=tf.train.Features(feature=present)).SerializeToString(deterministic=True))
