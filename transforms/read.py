"""Reads splits into Batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam

from .. import storage
from ..schemas.batch import Batch
from ..schemas.errors import Refused
from ..schemas.manifest import manifest_of
from ..schemas.plan import Plan, load_plan
from ..schemas.split import Split
from . import coder as _  # noqa: F401 - registers the coders
from .read_csv import read_csv
from .staged import is_staged


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Read(beam.PTransform):
    """Reads splits, those that are not staged yet.

    Takes a PCollection[Split]; gives a PCollection[Batch], for every split at least one, in order, the last marked.
    A split staged already gives nothing: a runner that starts a job afresh does not score it again.

    Args:
      plan_path: where the plan lies.
    """

    plan_path: str

    def expand(self, splits: beam.PCollection[Split]) -> beam.PCollection[Batch]:
        """Wires the step."""
        return splits | beam.ParDo(_Read(self.plan_path)).with_input_types(Split).with_output_types(Batch)


class _Read(beam.DoFn):
    def __init__(self, plan_path: str) -> None:
        self._plan_path = plan_path

    def setup(self) -> None:
        self._plan = load_plan(self._plan_path)

    def process(self, split: Split) -> Iterator[Batch]:
        if is_staged(self._plan.staged(split.number)):
            return
        try:
            yield from read_split(split, self._plan)
        except Refused as error:
            record_refusal(self._plan, error)
            raise


def read_split(split: Split, plan: Plan) -> Iterator[Batch]:
    """Reads one split by the source's format."""
    source = plan.job.source
    return read_csv(split, source.csv, plan.job.contract, source.max_record_bytes)


def record_refusal(plan: Plan, error: Refused) -> None:
    """Writes why the run is refused, before the runner turns the exception into one of its own."""
    manifest = manifest_of(plan, "refused", reason=error.reason, message=str(error))
    storage.create(plan.manifest, manifest.to_json())
