"""TensorFlow: a SavedModel's signature, with or without a TensorFlow Transform graph before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import pyarrow as pa

from ...schemas.errors import HighbeamError
from ...schemas.job import Prediction
from ..apart import Predicting, Preprocessing
from ..compose import Composed
from ..devices import accelerators, on_device
from ..examples import Examples, example_rows
from ..fit import Fit, fit
from ..graph import Graph, load_signature, load_transform
from ..handed import handed_rows
from ..outputs import published
from ..predictions import PredictionColumn, infer, plan_predictions, prediction_schema
from ..runtime import tf
from ..scoring import Examined, Model, Scoring
from .base import Backend, Exhausted, Guilty

BLAMELESS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
    tf.errors.UnimplementedError,
)
"""Failures of the machine or the model: halving a batch would blame every row in turn."""

_PREAMBLE = re.compile(r"Graph execution error|Detected at node|<stack traces|Traceback|File \"|\d+ root error")
_NODE = re.compile(r"\s*(\[\[\{\{node .*|\[Op:.*)$")
_ROOT = re.compile(r"^\(0\) [A-Z_]+: *")


def examine(model: Model, declared: Mapping[str, Prediction] | None, folder: str, taken: Sequence[str]) -> Examined:
    """Holds a SavedModel against a contract; see `scoring.examine`."""
    signature = load_signature(model.saved_model, model.signature)
    columns = plan_predictions(declared, signature.outputs, folder, taken)
    wanted = infer(signature.outputs) if declared is None else declared
    if model.input_format == "tf_example":
        return Examined(Scoring(model, columns), wanted, example_rows(model.contract, signature))
    found = _fitted(model, signature, columns)
    return Examined(Scoring(model, columns), wanted, handed_rows(found) if model.apart else found.rows)


def load(scoring: Scoring) -> TensorFlow:
    """Loads and traces a model."""
    model, columns = scoring.model, scoring.predictions
    signature = load_signature(model.saved_model, model.signature)
    if model.input_format == "tf_example":
        return TensorFlow(Examples(model.contract, signature, columns), columns)
    return TensorFlow(Composed(_fitted(model, signature, columns), columns), columns)


def load_preprocessor(scoring: Scoring) -> Preprocessor:
    """Loads and traces the transform graph."""
    signature = load_signature(scoring.model.saved_model, scoring.model.signature)
    return Preprocessor(Preprocessing(_fitted(scoring.model, signature, scoring.predictions)))


def load_predictors(scoring: Scoring) -> list[Backend]:
    """Loads and traces the model without its graph, once for each accelerator of the worker, or for its CPUs."""
    return [_predictor(scoring, device) for device in accelerators()]


def _predictor(scoring: Scoring, device: str) -> TensorFlow:
    model, columns = scoring.model, scoring.predictions
    signature = load_signature(model.saved_model, model.signature, device)
    runs = on_device(device, lambda: Predicting(_fitted(model, signature, columns), columns))
    return TensorFlow(runs, columns, device)


def _fitted(model: Model, signature: Graph, columns: Sequence[PredictionColumn]) -> Fit:
    graph = load_transform(model.transform) if model.transform else None
    return fit(model.contract, graph, signature, model.inputs, [column.tensor for column in columns])


class _Runs(Protocol):
    """Composed, or Examples."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def predict(self, rows: pa.RecordBatch) -> list[list[Any]]: ...

    def transform(self, rows: pa.RecordBatch) -> pa.Array | None: ...


class TensorFlow:
    """A Backend; see there.

    Args:
      runs: the composed function.
      predictions: what is published of it.
      device: that it runs on; "" leaves that to TensorFlow.
    """

    def __init__(self, runs: _Runs, predictions: Sequence[PredictionColumn], device: str = "") -> None:
        self._runs, self._device = runs, device
        self.columns = runs.columns
        self.predictions = tuple(predictions)
        self._schema = prediction_schema(predictions)

    def predict(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Scores rows in one call."""
        with _told_apart():
            parts = on_device(self._device, lambda: self._runs.predict(rows))
            pairs = zip(self.predictions, parts, strict=True)
            arrays = [published(column, values, rows.num_rows) for column, values in pairs]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def preprocess(self, rows: pa.RecordBatch) -> pa.Array | None:
        """Makes the tensors and runs the transform graph alone; names the features that are not finite."""
        with _told_apart():
            return self._runs.transform(rows)


class Preprocessor:
    """The transform graph alone; see `base.Preprocessor`.

    Args:
      runs: the traced function.
    """

    def __init__(self, runs: Preprocessing) -> None:
        self._runs = runs
        self.schema = runs.schema

    def predict(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Makes features in one call."""
        with _told_apart():
            return self._runs.features(rows)


@contextmanager
def _told_apart() -> Iterator[None]:
    """Turns an error into Guilty, Exhausted or HighbeamError."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise Exhausted(first_line(error)) from error
    except BLAMELESS as error:
        raise HighbeamError(f"the model failed, and no row is to blame: {first_line(error)}") from error
    except (tf.errors.OpError, pa.ArrowInvalid, ValueError) as error:
        raise Guilty(first_line(error)) from error


def first_line(error: Exception) -> str:
    """The line of a TensorFlow error that says what happened, without preamble and node names."""
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    lines = [_NODE.sub("", _ROOT.sub("", line.strip())) for line in text.splitlines()]
    telling = [line for line in lines if line and not _PREAMBLE.match(line)]
    return telling[0] if telling else type(error).__name__
