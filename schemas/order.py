"""The order of published rows: by key, then file, then offset.

Within one split rows of equal key keep the order of their offsets because every sort here is stable; a split's place
in the plan stands for its file and range. Strings order by their UTF-8 bytes, as Arrow compares them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def is_sorted(rows: pa.Table, columns: Sequence[str]) -> bool:
    """Whether rows ascend by the columns, compared from left to right."""
    if rows.num_rows < 2 or not columns:
        return True
    return not pc.any(rows_before(rows.slice(1), rows.slice(0, rows.num_rows - 1), columns)).as_py()


def sort_rows(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Sorts rows by columns without nulls; stable, and free when they are sorted already."""
    if is_sorted(rows, columns):
        return rows
    return rows.take(pc.sort_indices(rows.select(list(columns)), sort_keys=[(name, "ascending") for name in columns]))


def rows_before(left: pa.Table, right: pa.Table, columns: Sequence[str]) -> pa.ChunkedArray:
    """Where a row of `left` stands before its partner in `right`: bool[rows]. `right` may be a single row."""
    before, equal = None, None
    for name in columns:
        a, b = left[name], right[name] if right.num_rows == left.num_rows else right[name][0]
        less = pc.less(a, b)
        before = less if before is None else pc.or_(before, pc.and_(equal, less))
        same = pc.equal(a, b)
        equal = same if equal is None else pc.and_(equal, same)
    return before


def count_before(rows: pa.Table, cut: pa.Table, columns: Sequence[str]) -> int:
    """How many rows, sorted by `columns`, stand before the one row of `cut`."""
    if not rows.num_rows:
        return 0
    return int(pc.sum(rows_before(rows, cut, columns)).as_py() or 0)
