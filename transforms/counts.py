"""What became of the records that were read for training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.batch import Batch
from ..schemas.errors import Refused
from ..schemas.job import Rejects

Sample = tuple[str, int, str]
"""A reject to show: file, offset, message."""


@dataclass(frozen=True)
class Counts:
    """Counts of records.

    Attributes:
      read: records the reader framed.
      rejected: reason -> records turned away.
      samples: reason -> one of them, the first by file and offset.
    """

    read: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    samples: dict[str, Sample] = field(default_factory=dict)

    @property
    def turned_away(self) -> int:
        """Records of all reasons."""
        return sum(self.rejected.values())

    @property
    def rows(self) -> int:
        """Records that are left."""
        return self.read - self.turned_away

    def to_json(self) -> bytes:
        """The counts as they are stored."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Counts:
        """Stored counts, parsed."""
        samples = {reason: (file, offset, text) for reason, (file, offset, text) in plain["samples"].items()}
        return cls(plain["read"], plain["rejected"], samples)


def count(batch: Batch) -> Counts:
    """Counts a batch."""
    reasons = batch.rejected.column("reason")
    counts = {one["values"]: one["counts"] for one in pc.value_counts(reasons).to_pylist()}
    samples = {reason: _sample(batch.rejected, pc.index(reasons, reason).as_py()) for reason in counts}
    return Counts(batch.read, counts, samples)


def _sample(rejected: pa.RecordBatch, row: int) -> Sample:
    found = rejected.slice(row, 1).to_pylist()[0]
    return found["file"], found["offset"], found["message"]


def add(counts: Iterable[Counts]) -> Counts:
    """Adds counts up, in any order to the same result."""
    read, rejected = 0, dict[str, int]()
    samples = dict[str, Sample]()
    for one in counts:
        read += one.read
        for reason, count in one.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
            samples[reason] = min(one.samples[reason], samples.get(reason, one.samples[reason]))
    return Counts(read, dict(sorted(rejected.items())), dict(sorted(samples.items())))


def judge(counts: Counts, budget: Rejects, unit: str = "byte") -> None:
    """Makes sure that enough records are left.

    Args:
      counts: what became of the records.
      budget: how many of them may be turned away.
      unit: what the place of a record in its file counts.

    Raises:
      Refused: with one reject of each reason.
    """
    rejected = counts.rejected.items()
    shown = "".join(f"\n  {count:,} {reason}: {_shown(counts, reason, unit)}" for reason, count in rejected)
    if not budget.allows(counts.turned_away, counts.read):
        share = counts.turned_away / counts.read
        raise Refused(
            f"rejected {counts.turned_away:,} of {counts.read:,} records ({share:.2%}), more than "
            f"rejects.max_fraction: {budget.max_fraction:g}; "
            f"mend the input or the contract, or raise the budget{shown}",
            "over_budget",
        )
    if not counts.rows:
        raise Refused(f"none of {counts.read:,} records is left to analyze{shown}", "no_rows")


def _shown(counts: Counts, reason: str, unit: str) -> str:
    file, offset, message = counts.samples[reason]
    return f"{message} ({file}, {unit} {offset})"
