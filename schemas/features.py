"""What the columns of a contract are to a TensorFlow Transform graph; says it without importing TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from .contract import Column, Contract
from .types import parse_type

Kind = Literal["fixed", "varlen", "ragged"]


@dataclass(frozen=True)
class Feature:
    """A raw feature of the graph.

    Attributes:
      name: the column's name.
      kind: `fixed` is FixedLenFeature, `varlen` a SparseTensor, `ragged` a RaggedTensor.
      dtype: `int64`, `float32` or `string`, all that a TFT feature spec knows.
      size: items of a fixed-length list, or None for a scalar.
    """

    name: str
    kind: Kind
    dtype: Literal["int64", "float32", "string"]
    size: int | None = None


def features(contract: Contract) -> dict[str, Feature]:
    """The features a contract offers to a graph, in its order.

    `date` and `decimal` columns are left out unless `as:` casts them.
    """
    offered = ((name, _feature(name, column)) for name, column in contract.columns.items())
    return {name: feature for name, feature in offered if feature}


def _feature(name: str, column: Column) -> Feature | None:
    typed = parse_type(column.cast or column.type)
    dtype = _dtype(typed.item)
    if dtype is None:
        return None
    missing = column.nullable and column.default is None
    if typed.is_list:
        fixed = column.size is not None and not missing  # a missing list has no items, whatever the size
        kind: Kind = "ragged" if column.ragged else "fixed" if fixed else "varlen"
        return Feature(name, kind, dtype, column.size if fixed else None)
    return Feature(name, "varlen" if missing else "fixed", dtype)


def _dtype(item: pa.DataType) -> Literal["int64", "float32", "string"] | None:
    if pa.types.is_integer(item) or pa.types.is_boolean(item) or pa.types.is_timestamp(item):
        return "int64"
    if pa.types.is_floating(item):
        return "float32"
    if pa.types.is_string(item) or pa.types.is_binary(item):
        return "string"
    return None
