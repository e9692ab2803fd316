"""The keys somebody asks for: which ranges of a sorted table may hold them, and which rows do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.errors import UsageError


@dataclass(frozen=True, eq=False)
class Asked:
    """Keys in the order of the table.

    Attributes:
      distinct: each key once, without nulls, sorted by its columns from left to right.
      place: int64[keys as asked], the row of `distinct` each is; -1 for a key with a null, which no row has.
    """

    distinct: pa.Table
    place: np.ndarray

    @classmethod
    def of(cls, keys: pa.Table, schema: pa.Schema) -> Asked:
        """Sorts keys.

        Args:
          keys: the key's columns, one row a key, in the order asked.
          schema: the types these columns have in the table.

        Raises:
          UsageError: when a key cannot be of that type.
        """
        try:
            typed = keys.cast(schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            shown = ", ".join(f"{field.name}: {field.type}" for field in schema)
            raise UsageError(f"a key is not of the table's type ({shown}): {error}") from error
        distinct = typed.drop_null().group_by(schema.names).aggregate([])
        distinct = distinct.sort_by([(name, "ascending") for name in schema.names])
        return cls(distinct, positions(typed, distinct))

    def spans(self, smallest: Sequence[pa.Array], greatest: Sequence[pa.Array]) -> tuple[np.ndarray, np.ndarray]:
        """Which keys some ranges of rows may hold, by their statistics.

        Each column is bounded by itself, so one after the first helps only where all before it are constant.

        Args:
          smallest: for the first columns of the key, one or more: the least value of each range; null if unknown.
          greatest: the greatest values.

        Returns:
          (first, last): for each range, rows [first, last) of `distinct` lie within it.
        """
        keys = _comparable(self.distinct.column(0))
        first, last = _within(keys, smallest[0], greatest[0])
        for column in range(1, len(smallest)):
            constant = pc.fill_null(pc.equal(smallest[column - 1], greatest[column - 1]), False)
            narrow = np.flatnonzero(constant.to_numpy(zero_copy_only=False) & (last > first))
            keys = _comparable(self.distinct.column(column))
            for i in narrow:
                low, high = _within(
                    keys[first[i] : last[i]], smallest[column].slice(i, 1), greatest[column].slice(i, 1)
                )
                first[i], last[i] = first[i] + low[0], first[i] + high[0]
        return first, last

    def expand(self, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs each key as asked with the rows found for it.

        Args:
          found: int64[rows], the row of `distinct` each row equals.

        Returns:
          (asked, rows): equally long; numbers of keys, ascending, and of rows; rows of one key in their order.
        """
        by_key = np.argsort(found, kind="stable")
        begin = np.searchsorted(found[by_key], self.place, "left")
        count = np.searchsorted(found[by_key], self.place, "right") - begin
        asked = np.repeat(np.arange(len(self.place)), count)
        within = np.arange(len(asked)) - np.repeat(np.cumsum(count) - count, count)
        return asked, by_key[np.repeat(begin, count) + within]


def positions(rows: pa.Table, distinct: pa.Table) -> np.ndarray:
    """Finds each row among distinct ones; vectorised, whatever the number of columns.

    Args:
      rows: at least the columns of `distinct`.
      distinct: rows without nulls, no two of them equal.

    Returns:
      int64[rows]: the row of `distinct` it equals, -1 for none.
    """
    sought, known = np.zeros(rows.num_rows, np.int64), np.zeros(distinct.num_rows, np.int64)
    for name in distinct.schema.names:
        values = pc.unique(distinct[name])
        sought = _paired(sought, _codes(rows[name], values), len(values))
        known = _paired(known, _codes(distinct[name], values), len(values))
        # Numbered afresh after each column, or the product of their sizes would outgrow an int64.
        order = np.unique(known)
        sought, known = _numbered(sought, order), _numbered(known, order)
    row_of = np.full(distinct.num_rows + 1, -1, np.int64)  # its last place answers for -1
    row_of[known] = np.arange(distinct.num_rows)
    return np.asarray(row_of[sought])


def _codes(values: pa.ChunkedArray, known: pa.Array) -> np.ndarray:
    """The place of each value in `known`, -1 for none."""
    codes = pc.fill_null(pc.index_in(values, value_set=known), -1)
    return np.asarray(codes.to_numpy(), np.int64)


def _paired(left: np.ndarray, right: np.ndarray, size: int) -> np.ndarray:
    """One number for two; -1 where either is."""
    return np.where((left < 0) | (right < 0), -1, left * size + right)


def _numbered(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The place of each value in sorted ones, -1 for none."""
    if not len(order):
        return np.full(len(values), -1, np.int64)
    place = np.minimum(np.searchsorted(order, values), len(order) - 1)
    return np.where(order[place] == values, place, -1)


def _within(keys: np.ndarray, smallest: pa.Array, greatest: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """For each range, which of some sorted keys lie in it; all of them where the range is not known."""
    unknown = pc.or_(smallest.is_null(), greatest.is_null()).to_numpy(zero_copy_only=False)
    first, last = np.zeros(len(unknown), np.int64), np.full(len(unknown), len(keys), np.int64)
    first[~unknown] = np.searchsorted(keys, _comparable(smallest)[~unknown], "left")
    last[~unknown] = np.searchsorted(keys, _comparable(greatest)[~unknown], "right")
    return first, last


def _comparable(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Values as numpy compares them in Arrow's order: code points order strings as UTF-8 bytes do."""
    if pa.types.is_date32(values.type):
        values = values.cast(pa.int32())
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return np.asarray(values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values)
