"""Rows as TensorFlow Transform analyses them: every column lists, and how tensors are made of them.

What a column becomes is what scoring makes of it (models/tensors.py), value for value; only the packing differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..models.tensors import recast
from ..schemas.contract import Column, Contract
from ..schemas.features import Feature, features
from ..schemas.types import parse_type
from .tft_runtime import TensorAdapter, TensorAdapterConfig, TensorRepresentation

_ITEMS: Mapping[str, pa.DataType] = {"int64": pa.int64(), "float32": pa.float32(), "string": pa.binary()}


def tft_schema(contract: Contract) -> pa.Schema:
    """The schema of `tft_rows`: a list column for every feature the contract offers."""
    return pa.schema([(name, pa.list_(_ITEMS[feature.dtype])) for name, feature in features(contract).items()])


def adapter_config(contract: Contract) -> TensorAdapterConfig:
    """How TensorFlow Transform makes tensors of the rows."""
    shapes = {name: _representation(feature) for name, feature in features(contract).items()}
    return TensorAdapterConfig(tft_schema(contract), shapes)


def tensor_specs(contract: Contract) -> dict[str, Any]:
    """Specs of the tensors a preprocessing_fn gets, by name."""
    return dict(TensorAdapter(adapter_config(contract)).TypeSpecs())


def _representation(feature: Feature) -> TensorRepresentation:
    made = TensorRepresentation()
    if feature.kind == "varlen":
        made.varlen_sparse_tensor.column_name = feature.name
    elif feature.kind == "ragged":
        made.ragged_tensor.feature_path.step.append(feature.name)
        made.ragged_tensor.row_partition_dtype = TensorRepresentation.RowPartitionDType.INT64
    else:
        made.dense_tensor.column_name = feature.name
        made.dense_tensor.shape.SetInParent()
        if feature.size is not None:
            made.dense_tensor.shape.dim.add().size = feature.size
    return made


def tft_rows(rows: pa.RecordBatch, contract: Contract) -> pa.RecordBatch:
    """Packs rows as lists: one value of a scalar, none of a null.

    Args:
      rows: validated rows of the contract.
      contract: what the columns are.

    Returns:
      The features, as `tft_schema` says; made afresh, since TensorFlow Transform cannot read slices.
    """
    columns = [_lists(rows.column(name), contract.columns[name], _ITEMS[feature.dtype])
               for name, feature in features(contract).items()]  # fmt: skip
    return pa.RecordBatch.from_arrays(columns, schema=tft_schema(contract))


def _lists(array: pa.Array, column: Column, item: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    array = recast(array, column.cast)
    if parse_type(column.cast or column.type).is_list:
        lengths, values = pc.fill_null(pc.list_value_length(array), 0), array.flatten()
    else:
        lengths, values = array.is_valid().cast(pa.int32()), array.drop_null()
    ends = np.cumsum(lengths.to_numpy(zero_copy_only=False), dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(np.append(np.int32(0), ends)), _items(values, item))


def _items(values: pa.Array, item: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return values.cast(item, safe=not pa.types.is_floating(item))
