"""Cuts the staged rows into ranges of about equal size: the sampling half of a sample sort.

The samples are the sketches of the staged objects, exact down to record batches. A cut is a point in the order of
published rows: key, split, offset; so rows of one key may fall into two ranges. Where equal keys must be told apart
(`duplicates: reject` or `refuse`) a cut is a point between two keys.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.batch import OFFSET
from ..schemas.contract import Contract
from ..schemas.order import is_sorted, rows_before
from .staged import WEIGHT, Staged

RANGE_ROWS = 1 << 20
RANGE_BYTES = 128 << 20
SPLIT = "_split"
_IS_ENTRY = "_entry"
_BATCH = "_batch"

Part = tuple[int, int, int]
"""(position of the split in the plan, first record batch, end record batch)."""


@dataclass(frozen=True)
class Ranges:
    """What each merge task is to take.

    Attributes:
      cuts: one row less than there are ranges, ascending; range i holds the rows from cuts[i - 1] to before cuts[i].
      parts: for each range the record batches that may hold its rows, in plan order.
    """

    cuts: pa.Table
    parts: tuple[tuple[Part, ...], ...]

    def __len__(self) -> int:
        return len(self.parts)

    def to_json(self) -> bytes:
        """The ranges as merge tasks read them."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.cuts.schema) as writer:
            writer.write_table(self.cuts)
        return json.dumps({"cuts": base64.b64encode(sink.getvalue()).decode(), "parts": self.parts}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Ranges:
        """Reads stored ranges."""
        stored = json.loads(data)
        cuts = pa.ipc.open_stream(base64.b64decode(stored["cuts"])).read_all()
        return cls(cuts, tuple(tuple((a, b, c) for a, b, c in parts) for parts in stored["parts"]))


def order_columns(contract: Contract) -> list[str]:
    """The columns that decide in which range a row falls."""
    if contract.duplicates != "keep":
        return list(contract.key)
    return [*contract.key, SPLIT, OFFSET]


def plan_ranges(paths: Sequence[str], order: Sequence[str], rows_each: int = RANGE_ROWS) -> Ranges:
    """Plans the merge of staged objects.

    Args:
      paths: staged objects, in plan order.
      order: `order_columns` of the contract.
      rows_each: rows a range should hold; fewer where rows are wide.

    Returns:
      At least one range; each holds about as many rows, but for keys that cannot be cut.
    """
    entries, rows, size = _sketches(paths)
    if entries is None or not rows:
        return Ranges(pa.table({}), ((),))
    rows_each = max(1, min(rows_each, RANGE_BYTES * rows // max(size, 1)))
    cuts = choose_cuts(entries, order, max(1, round(rows / rows_each)))
    return Ranges(cuts, _assign(entries, cuts, order))


def _sketches(paths: Sequence[str]) -> tuple[pa.Table | None, int, int]:
    """All sketches as one table, with `_split` and `_batch`; rows and bytes in all."""
    parts, rows, size = [], 0, 0
    for number, path in enumerate(paths):
        with Staged(path) as staged:
            entry = staged.sketch()
            rows, size = rows + staged.footer.rows, size + staged.footer.row_bytes
        entry = entry.append_column(SPLIT, pa.repeat(pa.scalar(number, pa.int32()), entry.num_rows))
        parts.append(entry.append_column(_BATCH, pa.array(np.arange(entry.num_rows))))
    return (pa.concat_tables(parts) if parts else None), rows, size


def choose_cuts(entries: pa.Table, order: Sequence[str], ranges: int) -> pa.Table:
    """Distinct cut points that share out the entries' rows evenly.

    Args:
      entries: rows of `order` columns and `_rows`, the weight that follows each.
      order: columns to cut by.
      ranges: how many ranges are wanted.

    Returns:
      At most `ranges - 1` rows of the order's columns, strictly ascending.
    """
    keys = [(name, "ascending") for name in order]
    entries = entries.filter(pc.greater(entries[WEIGHT], 0))
    entries = entries.take(pc.sort_indices(entries.select(list(order)), sort_keys=keys))
    before = np.cumsum(entries[WEIGHT].to_numpy()) - entries[WEIGHT].to_numpy()
    total = int(before[-1]) + entries[WEIGHT][-1].as_py()
    targets = np.array([total * i // ranges for i in range(1, ranges)], np.int64)
    at = np.unique(np.searchsorted(before, targets))
    cuts = entries.select(list(order)).take(pa.array(at[at < len(before)], pa.int64())).combine_chunks()
    if cuts.num_rows > 1:
        ascends = rows_before(cuts.slice(0, cuts.num_rows - 1), cuts.slice(1), order).to_pylist()
        cuts = cuts.filter(pa.array([True, *ascends]))
    return cuts


def _assign(entries: pa.Table, cuts: pa.Table, order: Sequence[str]) -> tuple[tuple[Part, ...], ...]:
    """For each range, the record batches of each split that may overlap it."""
    ranges: list[list[Part]] = [[] for _ in range(cuts.num_rows + 1)]
    splits, inside = entries[SPLIT].to_numpy(), _range_of(entries, cuts, order)
    edges = np.flatnonzero(np.diff(splits)) + 1
    for at in np.split(np.arange(len(splits)), edges):
        for number, first, end in _overlaps(inside[at]):
            ranges[number].append((int(splits[at[0]]), first, end))
    return tuple(tuple(parts) for parts in ranges)


def _overlaps(inside: np.ndarray) -> Iterator[Part]:
    """(range, first batch, end batch) of one split, from the ranges its sketch entries lie in."""
    if not len(inside):
        return
    for number in range(int(inside[0]), int(inside[-1]) + 1):
        first = int(np.searchsorted(inside[1:], number, "left"))
        end = int(np.searchsorted(inside[:-1], number, "right"))
        yield number, first, end


def _range_of(entries: pa.Table, cuts: pa.Table, order: Sequence[str]) -> np.ndarray:
    """The range each entry lies in: how many cuts are not after it."""
    n = entries.num_rows
    marked = [
        cuts.append_column(_IS_ENTRY, pa.repeat(pa.scalar(0, pa.int8()), cuts.num_rows)),
        entries.select(list(order)).append_column(_IS_ENTRY, pa.repeat(pa.scalar(1, pa.int8()), n)),
    ]
    both = pa.concat_tables(marked)
    at = pc.sort_indices(both, sort_keys=[(name, "ascending") for name in [*order, _IS_ENTRY]]).to_numpy()
    is_entry = at >= cuts.num_rows
    inside = np.empty(n, np.int64)
    inside[at[is_entry] - cuts.num_rows] = np.cumsum(~is_entry)[is_entry]
    assert is_sorted(cuts, order)
    return inside
