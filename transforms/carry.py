"""Carries over what the parent of a replay has made, as it is: nothing of it is scored again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import storage
from ..schemas.batch import OFFSET
from ..schemas.order import sort_rows
from ..schemas.plan import Plan, load_plan
from ..schemas.rejected import EMPTY
from ..schemas.replay import INPUT
from ..schemas.split import Split
from . import coder as _  # noqa: F401 - registers the coders
from .origin import FILE, MODEL, RUN, Origin, with_origin
from .replay_records import read_records
from .replayed import recovers_nothing
from .staged import Staged, encode_staged, is_staged


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Carry(beam.PTransform):
    """Stages the parent's rows, unless the replay recovers nothing.

    Takes a PCollection[str], the ids of the splits scored again; they are only a barrier. Gives a PCollection[str],
    the ids of the splits carried over.

    Args:
      plan_path: where the plan lies.
    """

    plan_path: str

    def expand(self, scored: beam.PCollection[str]) -> beam.PCollection[str]:
        """Wires the step."""
        one = scored.pipeline | "Carry once" >> beam.Impulse()
        planned = beam.FlatMap(_carried, self.plan_path, beam.pvalue.AsIter(scored)).with_output_types(Split)
        splits = one | "Plan what to carry" >> planned
        spread = splits | "Spread what to carry" >> beam.Reshuffle().with_output_types(Split)
        return spread | "Carry over" >> beam.Map(_carry, self.plan_path).with_output_types(str)


def _carried(_once: bytes, plan_path: str, _scored: Iterable[str]) -> Iterator[Split]:
    plan = load_plan(plan_path)
    if plan.replay and not recovers_nothing(plan):
        yield from plan.splits[: plan.replay.carried]


def _carry(split: Split, plan_path: str) -> str:
    plan = load_plan(plan_path)
    if not is_staged(plan.staged(split.number)):
        storage.put(plan.staged(split.number), carry(split, plan))
    return split.id


def carry(split: Split, plan: Plan) -> pa.Buffer:
    """Makes the staged object of one piece of the parent.

    Args:
      split: a data file of the night, or a staged object of a refused run.
      plan: of the replay.
    """
    assert plan.replay is not None
    rows = _published(split.path) if plan.replay.published else _staged(split.path)
    rows = with_origin(rows, plan, Origin(split.file, plan.replay.model_version))
    if not plan.replay.published:
        rows = _without(rows, plan)
    key = plan.job.contract.key
    rows = sort_rows(rows, [*key, INPUT, OFFSET])  # a table's files may have been rewritten in another order
    return encode_staged(rows, EMPTY, rows.num_rows, key, split.number)


def _published(path: str) -> pa.Table:
    with storage.open_input(path) as file:
        return pq.ParquetFile(file, read_dictionary=[FILE, RUN, MODEL]).read()


def _staged(path: str) -> pa.Table:
    with Staged(path) as staged:
        return staged.batches()


def _without(rows: pa.Table, plan: Plan) -> pa.Table:
    """Rows without those that the parent's merge turned away; they were staged all the same."""
    path = plan.layout.records(plan.score_id, "merge")
    if not storage.exists(path):
        return rows
    gone = read_records(path)
    assert plan.replay is not None
    masks = []
    for number, file in enumerate(plan.replay.files):
        offsets = gone.filter(pc.equal(gone["file"], file))["offset"]
        if len(offsets):
            masks.append(pc.and_(pc.equal(rows[INPUT], number), pc.is_in(rows[OFFSET], offsets.combine_chunks())))
    return rows.filter(pc.invert(reduce(pc.or_, masks)))
