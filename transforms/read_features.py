"""Reads the features of a split that other workers made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import apache_beam as beam
import pyarrow as pa

from ..schemas.batch import Batch
from ..schemas.plan import load_plan
from ..schemas.split import Split
from . import coder as _  # noqa: F401 - registers the coders
from .prefetch import prefetched
from .staged import Staged, is_staged


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class ReadFeatures(beam.PTransform):
    """Reads the features of splits that are not scored yet, and reads ahead while the model runs.

    Takes a PCollection[Split] whose features are staged; gives a PCollection[Batch], for every split at least one, in
    order, the last marked, of `batch_size` rows.

    Args:
      plan_path: where the plan lies.
    """

    plan_path: str

    def expand(self, splits: beam.PCollection[Split]) -> beam.PCollection[Batch]:
        """Wires the step."""
        step = beam.ParDo(_ReadFeatures(self.plan_path))
        return splits | step.with_input_types(Split).with_output_types(Batch)


class _ReadFeatures(beam.DoFn):
    def __init__(self, plan_path: str) -> None:
        self._plan_path = plan_path

    def setup(self) -> None:
        self._plan = load_plan(self._plan_path)

    def process(self, split: Split) -> Iterator[Batch]:
        if not is_staged(self._plan.staged(split.number)):
            yield from prefetched(read_features(split, self._plan.prepared(split.number), self._plan.job.batch_size))


def read_features(split: Split, path: str, batch_size: int) -> Iterator[Batch]:
    """The features of a split as Batches; its rejects so far go with the first.

    Args:
      split: whose they are.
      path: of the staged object.
      batch_size: rows of each Batch but the last.
    """
    with Staged(path) as staged:
        rejected = staged.rejected()
        held = None
        for rows in regrouped(staged.each(), batch_size):
            if held is not None:
                yield held
                rejected = rejected.slice(0, 0)
            index = 0 if held is None else held.index + 1
            held = Batch(split, index, False, rows.num_rows + rejected.num_rows, rows, rejected)
        assert held is not None
        yield replace(held, last=True)


def regrouped(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """The same rows in record batches of `size` rows, the last of what is left; one that is empty if all are."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while rows > size:
            whole = _joined(held)
            yield whole.slice(0, size)
            held, rows = [whole.slice(size)], rows - size
    yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    whole = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    return whole.to_batches()[0] if whole.num_rows else batches[0]
