"""TensorFlow Transform, imported in one place: `from .tft_runtime import tft, tft_beam`, and nowhere else."""

from __future__ import annotations

import atexit
import gc
import logging

from ..models.runtime import quiet_stderr

with quiet_stderr():
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_metadata.proto.v0.schema_pb2 import TensorRepresentation
    from tensorflow_transform.beam import analysis_graph_builder
    from tensorflow_transform.beam.analyzer_cache import DatasetCache, DatasetKey
    from tensorflow_transform.tf_metadata import metadata_io
    from tfx_bsl.tfxio.tensor_adapter import TensorAdapter, TensorAdapterConfig

_NOISE = ("Tables initialized inside a tf.function", "node's cache key varies on repeated tracing")
"""Warnings of what TensorFlow Transform does to every graph, or to one whose analyzers build on each other."""
logging.getLogger("absl").addFilter(lambda record: not any(noise in str(record.msg) for noise in _NOISE))

atexit.register(gc.freeze)  # after an analysis, collecting what is left crashes CPython while it shuts down

__all__ = [
    "DatasetCache",
    "DatasetKey",
    "TensorAdapter",
    "TensorAdapterConfig",
    "TensorRepresentation",
    "analysis_graph_builder",
    "metadata_io",
    "tft",
    "tft_beam",
]
