"""Beam as its documentation shows it: one element a row, from text to Parquet.

python row_by_row.py TRANSFORM_GRAPH SAVED_MODEL FLIGHTS_CSV PREDICTIONS_PREFIX

ReadFromText, a dict for each row, TensorFlow Transform's TransformDataset on dicts, RunInference with batches that
Beam gathers, WriteToParquet. The runner is Beam's own for one machine, named because the default one first tries to
download another.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import csv
import sys
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata

NUMBERS = ["sched_dep_time", "sched_arr_time", "distance", "hour", "minute", "month", "day"]
NAMES = ["carrier", "origin", "dest"]
HEADER = ["flight_id", *NUMBERS, *NAMES]
SCHEMA = pa.schema([("flight_id", pa.int64()), ("delay", pa.float32())])
BATCH_ROWS = 8192

Row = dict[str, Any]


def parse(line: str) -> Row:
    """A line of the file as a dict."""
    row = dict(zip(HEADER, next(csv.reader([line])), strict=True))
    numbers = {name: float(row[name]) for name in NUMBERS}
    return {"flight_id": int(row["flight_id"]), **numbers, **{name: row[name].encode() for name in NAMES}}


def feature_spec() -> dict[str, tf.io.FixedLenFeature]:
    """What a parsed row holds, in TensorFlow's words."""
    types = {"flight_id": tf.int64} | dict.fromkeys(NUMBERS, tf.float32) | dict.fromkeys(NAMES, tf.string)
    return {name: tf.io.FixedLenFeature([], dtype) for name, dtype in types.items()}


class Handler(ModelHandler[Row, PredictionResult, Any]):
    """Runs a SavedModel on rows of features; Beam's own handler for TensorFlow loads Keras models only."""

    def __init__(self, path: str) -> None:
        super().__init__(max_batch_size=BATCH_ROWS)
        self._path = path

    def load_model(self) -> Any:
        """Loads the model, once a process."""
        return tf.saved_model.load(self._path)

    def run_inference(
        self, batch: Sequence[Row], model: Any, inference_args: Row | None = None
    ) -> Iterable[PredictionResult]:
        """Predicts a batch of rows in one call."""
        serve = model.signatures["serving_default"]
        types = {name: spec.dtype.as_numpy_dtype for name, spec in serve.structured_input_signature[1].items()}
        tensors = {name: tf.constant(np.array([row[name] for row in batch], type_)) for name, type_ in types.items()}
        delays = serve(**tensors)["delay"].numpy()
        return [PredictionResult(row, delay) for row, delay in zip(batch, delays, strict=True)]


def as_record(result: PredictionResult) -> Row:
    """A prediction as a row of the output."""
    return {"flight_id": int(result.example["flight_id"]), "delay": float(result.inference)}


def main(graph: str, saved_model: str, flights: str, predictions: str) -> None:
    """Scores a file of flights."""
    metadata = DatasetMetadata.from_feature_spec(feature_spec())
    with tempfile.TemporaryDirectory() as temporary, beam.Pipeline(runner=FnApiRunner()) as pipeline:
        with tft_beam.Context(temp_dir=temporary):
            transform = pipeline | tft_beam.ReadTransformFn(graph)
            rows = pipeline | beam.io.ReadFromText(flights, skip_header_lines=1) | beam.Map(parse)
            features, _ = ((rows, metadata), transform) | tft_beam.TransformDataset()
        results = features | RunInference(Handler(saved_model))
        results | beam.Map(as_record) | beam.io.WriteToParquet(predictions, SCHEMA, file_name_suffix=".parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
