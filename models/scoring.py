"""What a run scores with: settled before launch, sent to the workers as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ..schemas.contract import Contract
from ..schemas.errors import UsageError
from ..schemas.job import Job, Prediction
from ..schemas.job_rules import published_inputs
from .fit_rows import FitRow, problems, table
from .predictions import PredictionColumn, prediction_schema


@dataclass(frozen=True)
class Model:
    """Which model, and how the columns reach it.

    Attributes:
      saved_model: folder of the SavedModel.
      transform: tft.TFTransformOutput folder of the graph before it, or None.
      contract: the columns of a row.
      signature: name of the signature.
      inputs: signature input -> feature or column, where the names differ.
      input_format: `tensors` or `tf_example`.
      backend: the framework.
      apart: whether transform graph and model run on different workers.
    """

    saved_model: str
    transform: str | None
    contract: Contract
    signature: str = "serving_default"
    inputs: Mapping[str, str] = field(default_factory=dict)
    input_format: str = "tensors"
    backend: str = "tensorflow"
    apart: bool = False


@dataclass(frozen=True)
class Scoring:
    """A model and what is published of it: all a worker needs.

    Attributes:
      model: the model.
      predictions: the columns made of it.
    """

    model: Model
    predictions: tuple[PredictionColumn, ...]

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the prediction columns."""
        return prediction_schema(self.predictions)


@dataclass(frozen=True)
class Examined:
    """A model held against its job.

    Attributes:
      scoring: what a run would score with.
      predictions: the job's `predictions`, or those inferred.
      rows: contract, transform graph and signature side by side.
    """

    scoring: Scoring
    predictions: Mapping[str, Prediction]
    rows: Sequence[FitRow]

    @property
    def problems(self) -> list[str]:
        """What does not fit, one sentence each."""
        return problems(self.rows)

    def required(self) -> Scoring:
        """What to score with.

        Raises:
          UsageError: when something does not fit, with all of it and the three sides in columns.
        """
        if self.problems:
            raise UsageError("\n".join([*self.problems, "", *table(self.rows)]))
        return self.scoring


def examine(job: Job, saved_model: str, transform: str | None) -> Examined:
    """Loads a model and holds it against a job.

    Args:
      job: the job.
      saved_model: folder of the SavedModel.
      transform: tft.TFTransformOutput folder of the graph before it, or None.

    Returns:
      What fits and what does not; `required` raises the latter.

    Raises:
      UsageError: when graph, SavedModel or signature cannot be loaded.
      JobError: when the signature cannot give the predictions.
    """
    from .backends import framework

    reference = job.model
    model = Model(
        saved_model,
        transform,
        job.contract,
        reference.signature,
        reference.inputs,
        reference.input_format,
        apart=job.apart,
    )
    return framework(model.backend).examine(model, job.predictions, job.folder, published_inputs(job))
