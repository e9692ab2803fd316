"""Whether the programs did the same work: the same flights, the same predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from deltalake import DeltaTable

TOLERANCE = 1e-6


class Differs(Exception):
    """A program left rows out, or predicts otherwise."""


def data_files(output: Path) -> list[Path]:
    """The Parquet files of an output: a Delta table's current ones, a file, or the shards of a prefix."""
    if output.is_dir():
        return [Path(path) for path in DeltaTable(str(output)).file_uris()]
    return [output] if output.is_file() else sorted(output.parent.glob(f"{output.name}-*.parquet"))


def count_rows(output: Path) -> int:
    """Rows by the files' footers."""
    return sum(pq.read_metadata(path).num_rows for path in data_files(output))


def predictions(output: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids, ascending, and the prediction of each."""
    table = pq.ParquetDataset(data_files(output), partitioning=None).read(["flight_id", "delay"]).sort_by("flight_id")
    return table["flight_id"].to_numpy(), table["delay"].to_numpy()


def largest_difference(outputs: Mapping[str, Path]) -> float:
    """Compares outputs with the first of them, flight by flight.

    Args:
      outputs: program -> what it wrote.

    Returns:
      The largest difference between two predictions for one flight.

    Raises:
      Differs: when flights are missing or a prediction is further than `TOLERANCE` from the first program's.
    """
    (first, output), *others = outputs.items()
    ids, delays = predictions(output)
    return max((_difference(first, ids, delays, name, path) for name, path in others), default=0.0)


def _difference(first: str, ids: np.ndarray, delays: np.ndarray, name: str, output: Path) -> float:
    other_ids, other_delays = predictions(output)
    if not np.array_equal(ids, other_ids):
        raise Differs(f"{first} has {len(ids)} flights, {name} {len(other_ids)}, and they are not the same ones")
    apart = np.abs(delays - other_delays)
    worst = int(np.argmax(apart))
    if not apart[worst] <= TOLERANCE:
        found = f"{first} predicts {delays[worst]}, {name} {other_delays[worst]}"
        raise Differs(f"flight {ids[worst]}: {found}; more than {TOLERANCE} apart")
    return float(apart[worst])


def expect_rows(program: str, output: Path, rows: int) -> None:
    """Raises `Differs` unless an output holds as many rows as the input."""
    if (found := count_rows(output)) != rows:
        raise Differs(f"{program} wrote {found} of {rows} rows")
