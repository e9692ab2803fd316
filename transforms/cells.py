"""The first of two levels of a merge whose ranges would each read from very many splits.

A range of 1,000 splits whose keys are mixed opens 1,000 objects to take a few rows from each. So the splits are put
into groups and the keys into coarse ranges, about as many of one as of the other, and each pair is merged into a cell:
one staged object, about as large as a range. The ranges are then merged from the cells as they would be from splits.
With F splits and R ranges that opens about (F + R) sqrt(R) objects instead of F R.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from ..schemas.contract import Contract
from ..schemas.rejected import EMPTY
from .ranges import RANGE_ROWS, Ranges, plan_ranges, take_range
from .staged import encode_staged

MAX_OPENS = 1 << 15
"""Objects to open in one level; more of them, and reading costs more than writing everything once more."""


@dataclass(frozen=True)
class Cells:
    """The cells of a merge; none where one level is enough.

    Attributes:
      coarse: coarse ranges over all splits, or None.
      group: splits in a group.
    """

    coarse: Ranges | None = None
    group: int = 1

    def __len__(self) -> int:
        return self.groups * len(self.coarse) if self.coarse else 0

    @property
    def groups(self) -> int:
        """How many groups the splits make."""
        return math.ceil(len(self.coarse.sources) / self.group) if self.coarse else 0

    def to_json(self) -> bytes:
        """The cells as their tasks read them."""
        coarse = self.coarse.to_json().decode() if self.coarse else None
        return json.dumps({"coarse": coarse, "group": self.group}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Cells:
        """Reads stored cells."""
        stored = json.loads(data)
        coarse = Ranges.from_json(stored["coarse"].encode()) if stored["coarse"] else None
        return cls(coarse, stored["group"])


def plan_cells(
    paths: Sequence[str], order: Sequence[str], rows_each: int = RANGE_ROWS, max_opens: int = MAX_OPENS
) -> Cells:
    """Plans the cells of a merge.

    Args:
      paths: staged splits, in plan order.
      order: `order_columns` of the contract.
      rows_each: rows a range, and so a cell, should hold.
      max_opens: objects that one level may open.
    """
    ranges = plan_ranges(paths, order, rows_each)
    if sum(len(parts) for parts in ranges.parts) <= max_opens:
        return Cells()
    side = math.ceil(math.sqrt(len(ranges)))
    coarse = plan_ranges(paths, order, rows_each, side)
    return Cells(coarse, max(1, math.ceil(len(paths) / side)))


def merge_cell(cells: Cells, number: int, contract: Contract) -> pa.Buffer:
    """Merges one cell: the rows of one coarse range that one group of splits holds.

    Cells are numbered group by group, and within a group by key, so that rows of equal key follow each other in the
    order of their splits through cells in the order of their numbers.

    Returns:
      A staged object; its rows name their `_split`, it has no rejects.
    """
    assert cells.coarse is not None
    group, place = divmod(number, len(cells.coarse))
    among = range(group * cells.group, (group + 1) * cells.group)
    rows = take_range(cells.coarse, place, contract, among)
    assert rows is not None
    return encode_staged(rows, EMPTY, rows.num_rows, contract.key, number)
