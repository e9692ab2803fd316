"""Adds the columns of side tables to the night's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa

from ..schemas.batch import OFFSET, Batch
from ..schemas.contract import Contract
from ..schemas.join import Side
from ..schemas.plan import load_plan
from . import coder as _  # noqa: F401 - registers the coders
from .join_cache import load
from .join_lookup import NOWHERE, Loaded
from .messages import sentence, shown
from .read import refusals_noted
from .validate import validate
from .verdict import Verdict


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Join(beam.PTransform):
    """Adds the columns of the job's side tables, and turns away the rows that break the contract by them.

    Takes and gives a PCollection[Batch]; rows come with the job's own columns, validated, and leave with all.

    Args:
      plan_path: where the plan lies.
    """

    plan_path: str

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Wires the step."""
        return batches | beam.ParDo(_Join(self.plan_path)).with_input_types(Batch).with_output_types(Batch)


class _Join(beam.DoFn):
    def __init__(self, plan_path: str) -> None:
        self._plan_path = plan_path

    def setup(self) -> None:
        self._plan = load_plan(self._plan_path)

    def process(self, batch: Batch) -> list[Batch]:
        with refusals_noted(self._plan):
            return [join(batch, self._plan.sides, self._plan.job.contract)]


def join(batch: Batch, sides: Sequence[Side], contract: Contract) -> Batch:
    """Looks the columns of side tables up.

    Args:
      batch: validated, of the columns that the files have.
      sides: the side tables; those that this process does not hold yet are read.
      contract: all columns, joined ones among them.

    Returns:
      A Batch of the same `read` and of all columns of the contract, validated; the same object when there are no
      sides.

    Raises:
      Refused: when a side table cannot be read, or is not the one that was planned.
    """
    if not sides:
        return batch
    found: dict[str, pa.Array] = {}
    verdict = Verdict(len(batch))
    for side in (load(side, len(sides)) for side in sides):
        places = side.places(batch.rows)
        if side.side.join.missing == "reject":
            _blame_missing(side, places, batch.rows, verdict)
        found |= {name: side.values(name, places) for name in side.side.join.columns}
    names = [*contract.columns, OFFSET]
    columns = [found[name] if name in found else batch.rows.column(name) for name in names]
    batch = batch.with_rows(pa.RecordBatch.from_arrays(columns, names))
    if verdict:
        _at, reasons, messages = verdict.findings()
        batch = batch.turn_away(pa.array(verdict.guilty), "validate", reasons, messages, contract.key)
    return validate(batch, Contract({name: contract.columns[name] for name in found}, contract.key))


def _blame_missing(side: Loaded, places: np.ndarray, rows: pa.RecordBatch, verdict: Verdict) -> None:
    at = np.flatnonzero(places == NOWHERE)
    if not len(at):
        return
    parts: list[str | pa.Array] = []
    for name in side.side.keys:
        parts += [f"{', ' if parts else ''}{name} ", shown(rows.column(name).take(pa.array(at)))]
    verdict.blame(at, "join_missing", sentence(f"join {side.side.name}: no row of ", *parts))
