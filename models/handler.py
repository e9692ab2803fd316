"""Graph and model under Beam's own RunInference: one Batch in, one Batch out."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from typing import Any, TypeVar

from apache_beam.ml.inference.base import ModelHandler

from ..schemas.batch import Batch
from .backends.base import Preprocessor
from .score import preprocess_batch, score_batch
from .scorer import Scorer, Scorers, load_all, load_preprocessor
from .scoring import Scoring

Loaded = TypeVar("Loaded")


class _Handler(ModelHandler[Batch, Batch, Loaded]):
    """What all of them have: the element is a batch already, so RunInference must not batch again.

    Their output is declared nowhere, so the step after them must declare its input.
    """

    def get_num_bytes(self, batch: Any) -> int:
        """Bytes of a Batch's rows; pickling them to count, as the base class does, would cost more than scoring."""
        return int(batch.rows.nbytes)

    def get_metrics_namespace(self) -> str:
        """Namespace of RunInference's metrics."""
        return "highbeam"

    def should_skip_batching(self) -> bool:
        """True: the element is a batch."""
        return True


class BatchHandler(_Handler[Scorers]):
    """Scores whole Batches: transform graph and model in one call, or the model alone where they are apart.

    There are no resource hints on it: any would keep reading and scoring from fusing.

    Args:
      scoring: what to score with.
      key: the key's columns.
      passthrough: other columns to keep.
      judged: whether predictions are held against their bounds here.
    """

    def __init__(
        self, scoring: Scoring, key: Sequence[str], passthrough: Sequence[str] = (), judged: bool = True
    ) -> None:
        super().__init__()
        self._scoring, self._key, self._passthrough, self._judged = scoring, tuple(key), tuple(passthrough), judged

    def load_model(self) -> Scorers:
        """Loads the model, once a process (and accelerator): RunInference shares it and keeps it by weak reference."""
        one_core_a_call()
        return _to_stay(load_all(self._scoring))

    def run_inference(self, batch: Any, model: Scorers, inference_args: dict[str, Any] | None = None) -> list[Batch]:
        """Scores one Batch, which comes alone and not in a list.

        Returns:
          A list of exactly one Batch: RunInference makes each item an element.
        """
        return [score_batch(batch, model.next(), self._key, self._passthrough, self._judged)]


class PreprocessHandler(_Handler[Scorer[Preprocessor]]):
    """Runs the transform graph alone over whole Batches, and gives Batches of features.

    Args:
      scoring: what to score with, later and elsewhere.
      key: the key's columns.
      passthrough: other columns to keep.
    """

    def __init__(self, scoring: Scoring, key: Sequence[str], passthrough: Sequence[str] = ()) -> None:
        super().__init__()
        self._scoring, self._key, self._kept = scoring, tuple(key), (*key, *passthrough)

    def load_model(self) -> Scorer[Preprocessor]:
        """Loads the graph, once a process."""
        one_core_a_call()
        return _to_stay(load_preprocessor(self._scoring))

    def run_inference(
        self, batch: Any, model: Scorer[Preprocessor], inference_args: dict[str, Any] | None = None
    ) -> list[Batch]:
        """Makes one Batch of features of one Batch."""
        return [preprocess_batch(batch, model, self._key, self._kept)]


def _to_stay(model: Loaded) -> Loaded:
    """What is loaded stays: on Python 3.10 pyarrow.csv walks all other objects in every call, for 70 ms."""
    gc.freeze()
    return model


def one_core_a_call() -> None:
    """Keeps TensorFlow from spreading an operation over cores that score other Batches at the same time.

    Measured with two Batches at once on two cores: a third less CPU time a row. Has no effect once TensorFlow has
    run something, nor where TF_NUM_INTRAOP_THREADS is set.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
