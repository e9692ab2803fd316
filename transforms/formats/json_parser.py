"""JSON records as columns of a contract: at once where pyarrow.json reads them, one by one where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ...schemas.contract import Contract
from ..convert import ill_formed
from ..framing import Records
from ..record_faults import record_bytes
from ..verdict import Rows, Verdict
from .json_at_once import AtOnce
from .json_hazards import trimmed
from .json_record import Number, TooDeep, Unsound, find, load
from .json_shape import Field, Shape, is_textual
from .json_texts import column_of, converted


@dataclass(frozen=True, eq=False)
class _Apart:
    """Records taken apart.

    Attributes:
      records: all of them.
      at_once: which were read at once.
      table: what was read of these; None where there are none.
      singles: which others are sound.
      fields: what was read of these.
    """

    records: Records
    at_once: Rows
    table: pa.Table | None
    singles: Rows
    fields: Sequence[dict[str, Any]]


class JsonParser:
    """Parses sound records into the columns of a contract; see `lines.Parser`.

    Args:
      contract: the columns wanted; those a record lacks are null.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._reader = AtOnce(Shape(contract))
        self._apart: _Apart | None = None

    def blame_framing(self, records: Records, verdict: Verdict) -> None:
        """Finds the records that are not UTF-8."""
        try:
            _ = records.data.isascii() or records.data.decode()
        except UnicodeDecodeError:
            ill = ill_formed(record_bytes(records, np.arange(len(records))))
            verdict.blame(np.flatnonzero(ill), "not_utf8", "the record is not valid UTF-8, as JSON has to be")

    def typed(self, records: Records, rows: Rows, verdict: Verdict) -> list[pa.Array] | None:
        """Parses all at once; None when something may be wrong with a record or a value."""
        table = self._reader.read_all(trimmed(records), rows)
        return None if table is None else self._of_table(table, verdict)

    def blame_structure(self, records: Records, verdict: Verdict) -> None:
        """Finds the records that are no JSON objects, and keeps what it read of the others."""
        whole, records = records, trimmed(records)
        at_once, table, others = self._reader.sort_out(records, verdict.innocent)
        singles, fields, deep = [], [], []
        for row in others.tolist():
            try:
                fields.append(load(records.data[records.starts[row] : records.ends[row]], self._reader.shape.paths))
                singles.append(row)
            except Unsound as fault:
                if isinstance(fault, TooDeep) and self._reader.read_all(records, np.array([row])) is not None:
                    deep.append(row)
                else:
                    verdict.blame(np.array([row]), fault.reason, fault.message)
        if deep:
            at_once = np.sort(np.append(at_once, deep))
            table = self._reader.read(records, at_once)
        self._apart = _Apart(whole, at_once, table, np.array(singles, np.int64), fields)

    def text(self, records: Records, rows: Rows, verdict: Verdict) -> list[pa.Array]:
        """Makes columns of what `blame_structure` kept, and finds every wrong value."""
        apart, self._apart = self._apart, None
        assert apart is not None
        assert apart.records is records
        of_table, of_fields = Verdict(len(apart.at_once)), Verdict(len(apart.singles))
        parts = []
        if apart.table is not None:
            parts.append(self._of_table(apart.table, of_table))
        if apart.fields:
            parts.append(self._of_fields(apart.fields, of_fields))
        verdict.adopt(of_table, np.searchsorted(rows, apart.at_once))
        verdict.adopt(of_fields, np.searchsorted(rows, apart.singles))
        if 2 * len(apart.singles) > len(rows):
            self._learn(apart.fields)
        place = pa.array(np.argsort(np.concatenate([apart.at_once, apart.singles])))
        return [_joined(pieces).take(place) for pieces in zip(*parts, strict=True)]

    def _of_table(self, table: pa.Table, verdict: Verdict) -> list[pa.Array]:
        return [
            self._of_column(self._reader.values(table, field), field, verdict) for field in self._reader.shape.fields
        ]

    def _of_column(self, values: pa.Array, field: Field, verdict: Verdict) -> pa.Array:
        return values if field.is_read else converted(values, field, self._contract.arrow_type(field.name), verdict)

    def _of_fields(self, records: Sequence[dict[str, Any]], verdict: Verdict) -> list[pa.Array]:
        type = self._contract.arrow_type
        return [column_of(records, field, type(field.name), verdict) for field in self._reader.shape.fields]

    def _learn(self, records: Sequence[dict[str, Any]]) -> None:
        """Most records had to be read one by one: from now on expects those numbers in quotes that stood so here."""
        quoted = frozenset(field.name for field in self._reader.shape.fields if _is_quoted(records, field))
        if quoted != self._reader.shape.quoted:
            self._reader = AtOnce(Shape(self._contract, quoted))


def _is_quoted(records: Sequence[dict[str, Any]], field: Field) -> bool:
    if is_textual(field.column.typed.item):
        return False
    values = [find(record, field.paths) for record in records]
    items = [value[0] if isinstance(value, list) and value else value for value in values]
    texts = sum(isinstance(item, str) and not isinstance(item, Number) for item in items)
    return 2 * texts > len(items)


def _joined(pieces: Sequence[pa.Array]) -> pa.Array:
    if len(pieces) == 1:
        return pieces[0]
    if pa.types.is_dictionary(pieces[0].type):
        return pa.chunked_array(pieces).unify_dictionaries().combine_chunks()
    return pa.concat_arrays(pieces)
