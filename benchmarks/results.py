"""The figures of a measurement, and the file that keeps them from one `make bench` to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure import Cost

SMALL = 200_000
HANDFUL = 10


@dataclass(frozen=True)
class Results:
    """Figures of one `make bench`: medians, but for `small` and `start_up`, which are to be subtracted.

    Attributes:
      rows: of the whole runs.
      runs: how many each median is of.
      bare: the imports and the model, nothing else.
      whole: program -> its run over all rows.
      small: program -> its quickest run over `SMALL` rows.
      start_up: program -> its quickest run over a `HANDFUL` of rows.
    """

    rows: int
    runs: int
    bare: Cost
    whole: Mapping[str, Cost]
    small: Mapping[str, Cost]
    start_up: Mapping[str, Cost]

    def speed(self, program: str) -> float:
        """Rows a second with the start-up taken off, over `SMALL` rows."""
        seconds = self.small[program].seconds - self.start_up[program].seconds
        return (SMALL - HANDFUL) / max(seconds, 1e-3)

    def night_speed(self, program: str) -> float:
        """The same over all rows: against these, the scatter of two start-ups is small."""
        seconds = self.whole[program].seconds - self.start_up[program].seconds
        return (self.rows - HANDFUL) / max(seconds, 1e-3)

    def above_bare(self, program: str) -> int:
        """Bytes of peak memory beyond the bare imports and the model."""
        return self.whole[program].peak - self.bare.peak


def keep(results: Results, path: Path) -> list[Results]:
    """Adds results to a file, in place of earlier ones over as many rows; gives all that it holds, by rows."""
    kept = [_decode(entry) for entry in json.loads(path.read_text("utf-8"))] if path.exists() else []
    kept = sorted([other for other in kept if other.rows != results.rows] + [results], key=lambda each: each.rows)
    path.write_text(json.dumps([asdict(each) for each in kept], indent=1), "utf-8")
    return kept


def _decode(plain: Mapping[str, object]) -> Results:
    return Results(**{name: _costs(value) for name, value in plain.items()})  # type: ignore[arg-type]


def _costs(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return Cost(**value) if "peak" in value else {name: Cost(**cost) for name, cost in value.items()}


def largest(results: Sequence[Results], low: int, high: float) -> Results | None:
    """The results over most rows, of those over `low` to `high` rows."""
    return max((each for each in results if low <= each.rows < high), key=lambda each: each.rows, default=None)
