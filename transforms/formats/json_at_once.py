"""Many JSON records at once, by pyarrow.json; and which of them it cannot read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from ..framing import Records
from ..record_faults import record_bytes
from ..verdict import Mask, Rows, as_mask
from .json_pattern import record_pattern
from .json_shape import Field, Path, Shape

_FEW = 64
_DEPTHS = (2, 1, 0)


class AtOnce:
    """Reads records as a contract wants them.

    It may refuse a record that is sound, but reads none that is not, and none otherwise than one by one.

    Args:
      shape: of the contract.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._depths = list(_DEPTHS)

    def read(self, records: Records, rows: Rows) -> pa.Table | None:
        """Reads some records, all of them free of hazards, and of wrong decimals; None when one cannot be read."""
        if self.shape.schema is None or not len(rows):
            return None
        data = _laid_out(records, rows)
        options = pajson.ReadOptions(use_threads=False, block_size=len(data) + 1)
        parse = pajson.ParseOptions(explicit_schema=self.shape.schema, unexpected_field_behavior="ignore")
        try:
            table = pajson.read_json(pa.BufferReader(data), options, parse)
        except pa.ArrowInvalid:
            return None
        return table if table.num_rows == len(rows) else None

    def read_all(self, records: Records, odd: Mask, rows: Rows) -> pa.Table | None:
        """Reads some records; None when one of them cannot be read. `odd` are the hazards among all of them."""
        if odd[rows].any():
            return None
        # pyarrow 25 makes quietly something else of a decimal with too many digits.
        if self.shape.has_decimals and not self._match(record_bytes(records, rows)).all():
            return None
        return self.read(records, rows)

    def sort_out(self, records: Records, odd: Mask, rows: Rows) -> tuple[Rows, pa.Table | None, Rows]:
        """Reads all records that can be read.

        Args:
          records: trimmed.
          odd: bool[len(records)], the hazards among them.
          rows: which of them to read.

        Returns:
          Which these are; what was read, or None where there are none; and which the others are.
        """
        candidates = rows[~odd[rows]]
        candidates = candidates[self._match(record_bytes(records, candidates))]
        table = self.read(records, candidates)
        if table is None and len(candidates):
            candidates = candidates[~_may_repeat(record_bytes(records, candidates), self.shape.names)]
            table = self.read(records, candidates)
        if table is None and len(candidates):
            candidates = self._by_halves(records, candidates)
            table = self.read(records, candidates)
        return candidates, table, np.setdiff1d(rows, candidates, assume_unique=True)

    def _match(self, texts: pa.Array) -> Mask:
        """Which records seem sound."""
        while self.shape.tree is not None and self._depths:
            try:
                return as_mask(pc.match_substring_regex(texts, record_pattern(self.shape.tree, self._depths[0])))
            except pa.ArrowInvalid:  # too large a pattern for RE2
                del self._depths[0]
        return np.full(len(texts), self.shape.tree is not None and not self.shape.has_decimals)

    def _by_halves(self, records: Records, rows: Rows) -> Rows:
        """The rows that can be read, but for a few that stand next to one that cannot."""
        pieces, readable = [rows], []
        while pieces:
            piece = pieces.pop()
            if self.read(records, piece) is not None:
                readable.append(piece)
            elif len(piece) > _FEW:
                half = len(piece) // 2
                pieces += [piece[half:], piece[:half]]
        return np.concatenate([rows[:0], *readable])

    def values(self, table: pa.Table, field: Field) -> pa.Array:
        """What was read of a field."""
        first, *others = (_at(table, path) for path in field.paths)
        return pc.coalesce(first, *others) if others else first


def _at(table: pa.Table, path: Path) -> pa.Array:
    column = table.column(path[0])
    values = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    for name in path[1:]:
        values = pc.struct_field(values, name)
    return values


def _may_repeat(texts: pa.Array, names: Iterable[str]) -> Mask:
    """Which records may name a field twice in one object."""
    mask = as_mask(pc.match_substring(texts, "\\"))
    for name in names:
        mask = mask | as_mask(pc.greater(pc.count_substring(texts, name), 1))
    return mask


def _laid_out(records: Records, rows: Rows) -> pa.Buffer:
    """Some records with line feeds between; where they follow each other, that is the buffer they lie on."""
    gaps = np.flatnonzero(np.diff(rows) != 1) + 1
    firsts, lasts = rows[np.append(0, gaps)], rows[np.append(gaps, len(rows)) - 1]
    view = memoryview(records.data)
    runs = zip(records.starts[firsts].tolist(), records.ends[lasts].tolist(), strict=True)
    pieces = [view[start:end] for start, end in runs]
    return pa.py_buffer(pieces[0] if len(pieces) == 1 else b"\n".join(pieces))
