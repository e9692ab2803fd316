"""The model under Beam's own RunInference: one Batch in, one Batch out."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from typing import Any

from apache_beam.ml.inference.base import ModelHandler

from ..schemas.batch import Batch
from .score import score_batch
from .scorer import Scorer, load
from .scoring import Scoring


class BatchHandler(ModelHandler[Batch, Batch, Scorer]):
    """Scores whole Batches under RunInference.

    The element is already a batch, so RunInference must not batch again; its output is declared nowhere, so the step
    after it must declare its input. There are no resource hints: any would keep reading and scoring from fusing.

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

    def load_model(self) -> Scorer:
        """Loads the model, once a process: RunInference shares it and keeps it by weak reference."""
        one_core_a_call()
        scorer = load(self._scoring)
        gc.freeze()  # what is loaded stays; on Python 3.10 pyarrow.csv walks all other objects in every call, for 70 ms
        return scorer

    def run_inference(self, batch: Any, model: Scorer, inference_args: dict[str, Any] | None = None) -> list[Batch]:
        """Scores one Batch, which comes alone and not in a list.

        Returns:
          A list of exactly one Batch: RunInference makes each item an element.
        """
        return [score_batch(batch, model, self._key, self._passthrough, self._judged)]

    def get_num_bytes(self, batch: Any) -> int:
        """Bytes of a Batch's rows; pickling them to count, as the base class does, would cost more than scoring."""
        return int(batch.rows.nbytes)

    def get_metrics_namespace(self) -> str:
        """Namespace of RunInference's metrics."""
        return "highbeam"

    def should_skip_batching(self) -> bool:
        """True: the element is a batch."""
        return True


def one_core_a_call() -> None:
    """Keeps TensorFlow from spreading an operation over cores that score other Batches at the same time.

    Measured with two Batches at once on two cores: a third less CPU time a row. Has no effect once TensorFlow has
    run something, nor where TF_NUM_INTRAOP_THREADS is set.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
