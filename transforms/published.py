"""The columns of the published table."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from ..models.predictions import BEST
from ..schemas.batch import OFFSET
from ..schemas.job import Job
from ..schemas.job_rules import published_inputs
from .tables.columns import table_schema

ORIGIN = {
    "_run_id": "the run that published the row: date, attempt and score_id",
    "_model_version": "the model's version",
    "_file": "the input file, relative to the job",
    OFFSET: "the record's byte offset in that file, after decompression",
}
PARTITION = "date"


def published_schema(job: Job) -> pa.Schema:
    """Key, passthrough and predictions, then where the row came from, then the partition column.

    Args:
      job: with all predictions declared, as a plan holds it.
    """
    inputs = [pa.field(name, job.contract.columns[name].typed.arrow) for name in published_inputs(job)]
    origin = [pa.field(name, pa.int64() if name == OFFSET else pa.string()) for name in ORIGIN]
    fields = [*inputs, *_predictions(job), *origin, pa.field(PARTITION, pa.string())]
    return table_schema(pa.schema(fields))


def _predictions(job: Job) -> Iterator[pa.Field]:
    for name, prediction in (job.predictions or {}).items():
        if prediction.top_k:
            yield pa.field(name, BEST)
        elif prediction.typed:
            yield pa.field(name, prediction.typed.arrow)
        else:
            raise ValueError(f"predictions.{name} has no type; plan the run first")
