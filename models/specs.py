"""The contract in TensorFlow's words: feature specs for analysis, and what a graph's own inputs ask for."""

from __future__ import annotations

from typing import Any

from ..schemas.contract import Contract
from ..schemas.features import Feature, features
from .runtime import tf


def feature_spec(contract: Contract) -> dict[str, Any]:
    """The contract's columns as `tf.io` feature specs, by name."""
    return {name: _spec(feature) for name, feature in features(contract).items()}


def _spec(feature: Feature) -> Any:
    dtype = tf.as_dtype(feature.dtype)
    if feature.kind == "varlen":
        return tf.io.VarLenFeature(dtype)
    if feature.kind == "ragged":
        return tf.io.RaggedFeature(dtype, value_key=feature.name, row_splits_dtype=tf.int64)
    return tf.io.FixedLenFeature([] if feature.size is None else [feature.size], dtype)


def metadata(contract: Contract) -> Any:
    """The contract as the DatasetMetadata that TensorFlow Transform analyses with."""
    from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata
    from tensorflow_transform.tf_metadata.schema_utils import schema_from_feature_spec

    return DatasetMetadata(schema_from_feature_spec(feature_spec(contract)))


def type_specs(contract: Contract) -> dict[str, Any]:
    """The contract's columns as specs of batched tensors, as a traced preprocessing_fn gets them."""
    return {name: type_spec(feature) for name, feature in features(contract).items()}


def type_spec(feature: Feature, dtype_name: str | None = None) -> Any:
    """One feature as the spec of its batched tensor, if need be in another type than the feature's."""
    dtype = tf.as_dtype(dtype_name or feature.dtype)
    if feature.kind == "varlen":
        return tf.SparseTensorSpec([None, None], dtype)
    if feature.kind == "ragged":
        return tf.RaggedTensorSpec([None, None], dtype, ragged_rank=1, row_splits_dtype=tf.int64)
    return tf.TensorSpec([None] if feature.size is None else [None, feature.size], dtype)


def spec_text(spec: Any) -> str:
    """A spec as a person reads it: `float32 [?]`, `string sparse [?, ?]`."""
    kind = {tf.SparseTensorSpec: " sparse", tf.RaggedTensorSpec: " ragged"}.get(type(spec), "")
    return f"{spec.dtype.name}{kind} {shape_text(spec.shape)}"


def shape_text(shape: Any) -> str:
    """A shape as a person reads it; `?` is a size that may vary."""
    if shape.rank is None:
        return "[…]"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
