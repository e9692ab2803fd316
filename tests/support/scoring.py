"""Models ready to score, and rows for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from highbeam.models.backends import framework
from highbeam.models.runtime import tf
from highbeam.models.scorer import Scorer, load
from highbeam.models.scoring import Model
from highbeam.schemas.contract import Contract
from highbeam.schemas.job import Prediction

from tests.support.models import contract_of, rows_of

F, S = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.string)
I = tf.TensorSpec([None], tf.int64)  # noqa: E741


def scorer_of(
    folder: str,
    contract: Contract,
    said: Mapping[str, Mapping[str, Any]] | None = None,
    transform: str | None = None,
    labels: str = "",
    **model: Any,
) -> Scorer:
    """A model ready to score; `said` is the job's `predictions`, and `labels` the folder of its files."""
    declared = {name: Prediction(**prediction) for name, prediction in said.items()} if said else None
    backend = framework("tensorflow")
    return load(backend.examine(Model(folder, transform, contract, **model), declared, labels, []).required())


COLUMNS = contract_of({"k": "int64", "x": "float32", "g": "string", "late": "float32"}, ["k"])


def rows(x: Sequence[float]) -> pa.RecordBatch:
    contract = contract_of({"k": "int64", "x": "float32", "g": "string"})
    return rows_of(contract, k=range(len(x)), x=x, g=["ab" * (i % 3) for i in range(len(x))])
