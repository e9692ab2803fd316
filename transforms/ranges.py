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
from ..schemas.order import count_before, rows_before, sort_rows
from ..schemas.replay import INPUT
from .staged import SPLIT, WEIGHT, Staged

RANGE_ROWS = 1 << 20
RANGE_BYTES = 128 << 20
_IS_ENTRY = "_entry"
_SOURCE = "_source"

Part = tuple[int, int, int]
"""(which source, first record batch, end record batch)."""


@dataclass(frozen=True)
class Ranges:
    """What each merge task is to take.

    Attributes:
      cuts: one row less than there are ranges, ascending; range i holds the rows from cuts[i - 1] to before cuts[i].
      parts: for each range the record batches that may hold its rows, in the order of the sources.
      sources: the staged objects, in an order in which rows of equal key follow each other as they should.
    """

    cuts: pa.Table
    parts: tuple[tuple[Part, ...], ...]
    sources: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.parts)

    def to_json(self) -> bytes:
        """The ranges as merge tasks read them."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.cuts.schema) as writer:
            writer.write_table(self.cuts)
        cuts = base64.b64encode(sink.getvalue()).decode()
        return json.dumps({"cuts": cuts, "parts": self.parts, "sources": self.sources}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Ranges:
        """Reads stored ranges."""
        stored = json.loads(data)
        cuts = pa.ipc.open_stream(base64.b64decode(stored["cuts"])).read_all()
        parts = tuple(tuple((a, b, c) for a, b, c in parts) for parts in stored["parts"])
        return cls(cuts, parts, tuple(stored["sources"]))


def order_columns(contract: Contract, replayed: bool = False) -> list[str]:
    """The columns that decide in which range a row falls.

    Args:
      contract: the key.
      replayed: whether the rows of one file come from several sources, and the file stands for the order instead.
    """
    if contract.duplicates != "keep":
        return list(contract.key)
    return [*contract.key, INPUT if replayed else SPLIT, OFFSET]


def plan_ranges(paths: Sequence[str], order: Sequence[str], rows_each: int = RANGE_ROWS, wide: int = 1) -> Ranges:
    """Plans the merge of staged objects.

    Args:
      paths: staged objects, in plan order; their rows may name their `_split` already.
      order: `order_columns` of the contract.
      rows_each: rows a range should hold; fewer where rows are wide.
      wide: makes ranges so many times wider.

    Returns:
      At least one range; each holds about as many rows, but for keys that cannot be cut.
    """
    entries, rows, size = _sketches(paths)
    if entries is None or not rows:
        return Ranges(pa.table({}), ((),), tuple(paths))
    rows_each = max(1, min(rows_each, RANGE_BYTES * rows // max(size, 1))) * wide
    cuts = choose_cuts(entries, order, max(1, round(rows / rows_each)))
    return Ranges(cuts, _assign(entries, cuts, order), tuple(paths))


def _sketches(paths: Sequence[str]) -> tuple[pa.Table | None, int, int]:
    """All sketches as one table, with `_split` and `_source`; rows and bytes in all."""
    parts, rows, size = [], 0, 0
    for number, path in enumerate(paths):
        with Staged(path) as staged:
            entry = staged.sketch()
            rows, size = rows + staged.footer.rows, size + staged.footer.row_bytes
        parts.append(with_split(entry, number).append_column(_SOURCE, pa.repeat(number, entry.num_rows)))
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
    """For each range, the record batches of each source that may overlap it."""
    ranges: list[list[Part]] = [[] for _ in range(cuts.num_rows + 1)]
    sources, inside = entries[_SOURCE].to_numpy(), _range_of(entries, cuts, order)
    edges = np.flatnonzero(np.diff(sources)) + 1
    for at in np.split(np.arange(len(sources)), edges):
        for number, first, end in _overlaps(inside[at]):
            ranges[number].append((int(sources[at[0]]), first, end))
    return tuple(tuple(parts) for parts in ranges)


def _overlaps(inside: np.ndarray) -> Iterator[Part]:
    """(range, first batch, end batch) of one source, from the ranges its sketch entries lie in."""
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
    return inside


def take_range(ranges: Ranges, number: int, contract: Contract, among: range | None = None) -> pa.Table | None:
    """Reads the rows of a range, and no record batch that cannot hold one.

    Args:
      ranges: the plan of the merge.
      number: of the range.
      contract: the key.
      among: only these sources.

    Returns:
      The rows in the order of publication, with `_split`: their split's position in the plan. None if there is no
      source at all.
    """
    order = ranges.cuts.column_names
    low = ranges.cuts.slice(number - 1, 1) if number else None
    high = ranges.cuts.slice(number, 1) if number < ranges.cuts.num_rows else None
    wanted = [part for part in ranges.parts[number] if among is None or part[0] in among]
    if not wanted and ranges.sources:
        wanted = [(0, 0, 0)]  # no rows, but their schema
    parts = [_part(ranges.sources[source], source, first, end) for source, first, end in wanted]
    cut = [_between(rows, low, high, order) for rows in parts]
    return _sorted(pa.concat_tables(cut), contract.key) if cut else None


def _sorted(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Rows in the order of publication; sources follow each other in it, but for those of a replay."""
    return sort_rows(rows, [*key, INPUT, OFFSET] if INPUT in rows.column_names else key)


def _part(path: str, source: int, first: int, end: int) -> pa.Table:
    with Staged(path) as staged:
        return with_split(plain(staged.batches(first, end)), source)


def _between(rows: pa.Table, low: pa.Table | None, high: pa.Table | None, order: Sequence[str]) -> pa.Table:
    start = count_before(rows, low, order) if low is not None else 0
    stop = count_before(rows, high, order) if high is not None else rows.num_rows
    return rows.slice(start, stop - start)


def with_split(rows: pa.Table, number: int) -> pa.Table:
    """Rows of one split with its number; those that name it already as they are."""
    if SPLIT in rows.column_names:
        return rows
    return rows.append_column(SPLIT, pa.array(np.full(rows.num_rows, number, np.int32)))


def plain(rows: pa.Table) -> pa.Table:
    """Decodes dictionary columns."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))
