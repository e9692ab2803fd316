"""Reads splits into Batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from .. import storage
from ..schemas.batch import OFFSET, Batch
from ..schemas.errors import Refused
from ..schemas.manifest import manifest_of
from ..schemas.plan import Plan, load_plan
from ..schemas.split import Split
from . import coder as _  # noqa: F401 - registers the coders
from .formats.choose import format_of
from .replay_records import read_again
from .staged import is_staged


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Read(beam.PTransform):
    """Reads splits, those that are not staged yet.

    Takes a PCollection[Split]; gives a PCollection[Batch], for every split at least one, in order, the last marked.
    A split staged already, or whose features are, gives nothing: a runner that starts a job afresh does not score it
    again.

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
        if is_staged(self._plan.staged(split.number)) or (
            self._plan.job.apart and is_staged(self._plan.prepared(split.number))
        ):
            return
        with refusals_noted(self._plan):
            yield from read_split(split, self._plan)


def read_split(split: Split, plan: Plan) -> Iterator[Batch]:
    """Reads one split by the source's format; no more than its `limit` of records, if it has one."""
    if plan.replay:
        return read_again(split, plan)
    source = plan.job.source
    batches = format_of(source).read(split, plan.job.read_contract, source.max_record_bytes)
    return batches if split.limit is None else _first(batches, split.limit)


def _first(batches: Iterator[Batch], limit: int) -> Iterator[Batch]:
    """The first records of a split, at least one."""
    for batch in batches:
        if batch.read < limit and not batch.last:
            limit -= batch.read
            yield batch
            continue
        yield _cut(batch, limit)
        return


def _cut(batch: Batch, limit: int) -> Batch:
    """A Batch of the first records of another, marked as the last."""
    if batch.read <= limit:
        return replace(batch, last=True)
    offsets = pa.concat_arrays([batch.rows[OFFSET], batch.rejected["offset"]]).sort()
    rows = batch.rows.filter(pc.less(batch.rows[OFFSET], offsets[limit]))
    rejected = batch.rejected.filter(pc.less(batch.rejected["offset"], offsets[limit]))
    return replace(batch, last=True, read=limit, rows=rows, rejected=rejected)


@contextmanager
def refusals_noted(plan: Plan) -> Iterator[None]:
    """Writes why a run is refused, before the runner turns the exception into one of its own."""
    try:
        yield
    except Refused as error:
        manifest = manifest_of(plan, "refused", reason=error.reason, message=str(error))
        storage.create(plan.manifest, manifest.to_json())
        raise
