"""SavedModels and transform graphs of a few nodes, and batches to feed them."""

from __future__ import annotations

import atexit
import gc
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from highbeam.models.runtime import tf
from highbeam.models.specs import feature_spec, metadata, type_specs
from highbeam.schemas.batch import Batch
from highbeam.schemas.contract import Column, Contract
from highbeam.schemas.split import Split

SPLIT = Split(0, "/data/a.csv", "a.csv", 10**6, "m", 0, 10**6)


def contract_of(columns: Mapping[str, Any], key: Sequence[str] = ()) -> Contract:
    """A contract in job.yaml's words: `name: type`, or `name: {type: …}`."""
    full = {name: {"type": spec} if isinstance(spec, str) else dict(spec) for name, spec in columns.items()}
    return Contract({name: Column(**spec) for name, spec in full.items()}, tuple(key))


def rows_of(contract: Contract, **columns: Sequence[Any]) -> pa.RecordBatch:
    """Rows as a Batch holds them; offsets are row numbers times ten."""
    arrays = [_array(values, contract.arrow_type(name)) for name, values in columns.items()]
    offsets = pa.array(np.arange(len(arrays[0]), dtype=np.int64) * 10)
    return pa.RecordBatch.from_arrays([*arrays, offsets], [*columns, "_offset"])


def _array(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(type):
        return pa.array(values, type.value_type).dictionary_encode().cast(type)
    return pa.array(values, type)


def batch_of(rows: pa.RecordBatch) -> Batch:
    """A Batch of those rows and no rejects."""
    return Batch(SPLIT, 0, True, rows.num_rows, rows)


def saved_model(
    folder: Path | str, function: Callable[..., Any], signature: str = "serving_default", **specs: Any
) -> str:
    """Saves a function of named tensors as a SavedModel.

    Args:
      folder: where to.
      function: takes tensors by name, returns a dict of tensors.
      signature: name of its signature.
      specs: the tensors it takes.
    """
    module = tf.Module()
    named = {name: _named(spec, name) for name, spec in specs.items()}
    traced = tf.function(lambda tensors: function(**tensors), input_signature=[named], autograph=False)
    module.function = tf.function(lambda **tensors: traced(tensors), autograph=False)
    module.keep = getattr(function, "keep", None)
    tf.saved_model.save(module, str(folder), signatures={signature: module.function.get_concrete_function(**named)})
    return str(folder)


def _named(spec: Any, name: str) -> Any:
    return tf.TensorSpec(spec.shape, spec.dtype, name) if isinstance(spec, tf.TensorSpec) else spec


def linear_model(folder: Path | str, weights: Mapping[str, float], bias: float = 0.0, output: str = "y") -> str:
    """Saves a model that gives a weighted sum of float32 scalars."""

    def linear(**tensors: Any) -> Any:
        return {output: tf.add_n([weights[name] * tensor for name, tensor in tensors.items()]) + bias}

    return saved_model(folder, linear, **dict.fromkeys(weights, tf.TensorSpec([None], tf.float32)))


def transform_graph(folder: Path | str, preprocessing_fn: Callable[..., Any], contract: Contract) -> str:
    """Writes a tft.TFTransformOutput of a function without analyzers, in no time and without data."""
    from tensorflow_transform.impl_helper import analyze_in_place

    analyze_in_place(preprocessing_fn, False, feature_spec(contract), type_specs(contract), str(folder))
    return str(folder)


def analyzed_graph(
    folder: Path | str, preprocessing_fn: Callable[..., Any], contract: Contract, rows: Sequence[Mapping[str, Any]]
) -> str:
    """Writes a tft.TFTransformOutput of a function with analyzers, run over a few rows; takes some seconds."""
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam

    atexit.register(gc.freeze)  # after an analysis the collector crashes when the interpreter ends
    with beam.Pipeline("FnApiRunner") as pipeline, tft_beam.Context(temp_dir=tempfile.mkdtemp()):
        data = (pipeline | beam.Create(rows), metadata(contract))
        _ = data | tft_beam.AnalyzeDataset(preprocessing_fn) | tft_beam.WriteTransformFn(str(folder))
    return str(folder)
