"""Writes each split, when its last Batch arrives, as one staged object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa

from .. import storage
from ..schemas.batch import Batch, concat_rejected
from ..schemas.errors import Unconserved
from ..schemas.plan import Plan, load_plan
from . import coder as _  # noqa: F401 - registers the coders
from .formats.base import Format
from .formats.choose import format_of
from .origin import Origin, with_origin
from .raw import fill_raw, without_raw
from .read import refusals_noted
from .replay_records import fill_again, records_of
from .staged import encode_staged


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Stage(beam.PTransform):
    """Stages scored splits.

    Takes a PCollection[Batch] whose Batches of one split follow each other; gives a PCollection[str], the ids of the
    splits staged. A split is written when its `last` Batch arrives, not when the bundle ends: a bundle may be half the
    job, and would be held in memory for as long.

    Args:
      plan_path: the plan names the objects.
      features: whether what comes are features, for workers that run the model alone.
    """

    plan_path: str
    features: bool = False

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[str]:
        """Wires the step."""
        step = _Stage(self.plan_path, self.features)
        return batches | beam.ParDo(step).with_input_types(Batch).with_output_types(str)


class _Stage(beam.DoFn):
    def __init__(self, plan_path: str, features: bool) -> None:
        self._plan_path, self._features = plan_path, features

    def setup(self) -> None:
        self._plan = load_plan(self._plan_path)

    def start_bundle(self) -> None:
        self._open: dict[str, list[Batch]] = {}

    def process(self, batch: Batch) -> Iterator[str]:
        batches = self._open.setdefault(batch.split.id, [])
        batches.append(batch)
        if batch.last:
            del self._open[batch.split.id]
            place = self._plan.prepared if self._features else self._plan.staged
            with refusals_noted(self._plan):  # rejects are read a second time, and whole
                staged = self._encode(batches)
            storage.put(place(batch.split.number), staged)
            yield batch.split.id

    def finish_bundle(self) -> None:
        if self._open:
            raise Unconserved(f"splits {sorted(self._open)} ended without their last batch")

    def _encode(self, batches: list[Batch]) -> pa.Buffer:
        job = self._plan.job
        if self._features:
            return stage(batches, (), format_of(job.source), None)
        if self._plan.replay:
            return stage_again(batches, self._plan)
        limit, keep = job.source.max_record_bytes, job.rejects.keep_raw
        return stage(batches, job.contract.key, format_of(job.source), limit, keep)


def stage(
    batches: Sequence[Batch], key: Sequence[str], format: Format, max_raw: int | None, keep_raw: bool = True
) -> pa.Buffer:
    """Makes the staged object of one whole split.

    Args:
      batches: all Batches of the split, in order.
      key: the key's columns.
      format: of the split's file.
      max_raw: most bytes of a rejected record to keep; None for rejects that are not looked up in their file.
      keep_raw: whether rejects keep their bytes; their length they get all the same.

    Raises:
      Unconserved: when a Batch is missing or out of place.
    """
    rows, rejected, read = _whole(batches)
    if rejected.num_rows and max_raw is not None:
        rejected = fill_raw(rejected, batches[0].split, format, max_raw)
        rejected = rejected if keep_raw else without_raw(rejected)
    return encode_staged(rows, rejected, read, key, batches[0].split.number)


def stage_again(batches: Sequence[Batch], plan: Plan) -> pa.Buffer:
    """Makes the staged object of one split of a replay; its rejects get the bytes that were scored.

    Args:
      batches: all Batches of the split, in order.
      plan: of the replay.
    """
    rows, rejected, read = _whole(batches)
    split = batches[0].split
    rows = with_origin(rows, plan, Origin(split.file, str(plan.model["version"])))
    rejected = fill_again(rejected, records_of(split, plan))
    return encode_staged(rows, rejected, read, plan.job.contract.key, split.number)


def _whole(batches: Sequence[Batch]) -> tuple[pa.Table, pa.RecordBatch, int]:
    """Rows and rejects of a whole split, by offset, and how many records it has."""
    if [batch.index for batch in batches] != list(range(len(batches))):
        raise Unconserved(f"{batches[0].split.file}: batches came as {[batch.index for batch in batches]}")
    rejected = concat_rejected([batch.rejected for batch in batches])
    rows = pa.Table.from_batches([batch.rows for batch in batches])
    return rows, rejected.sort_by("offset"), sum(batch.read for batch in batches)
