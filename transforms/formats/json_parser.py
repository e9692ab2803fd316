"""JSON records as columns of a contract: at once where pyarrow.json reads them, one by one where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ...schemas.contract import Contract
from ..convert import ill_formed
from ..framing import Records
from ..record_faults import record_bytes
from ..verdict import Mask, Rows, Verdict
from .json_at_once import AtOnce
from .json_hazards import hazards, trimmed
from .json_record import Number, TooDeep, Unsound, find, load
from .json_shape import Field, Shape, is_textual
from .json_texts import column_of, converted

_SAMPLE = 64


@dataclass(frozen=True, eq=False)
class _Apart:
    """Records taken apart.

    Attributes:
      records: all of them.
      at_once: which were read at once.
      table: what was read of these; None where there are none.
      singles: which others are sound.
      values: what was read of these, a list for each column.
    """

    records: Records
    at_once: Rows
    table: pa.Table | None
    singles: Rows
    values: Sequence[list[Any]]


class _Fault(NamedTuple):
    """What is wrong with a record; the exception itself would keep alive all that it saw."""

    row: int
    reason: str
    message: str
    deep: bool


class JsonParser:
    """Parses sound records into the columns of a contract; see `lines.Parser`.

    Args:
      contract: the columns wanted; those a record lacks are null.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._reader = AtOnce(Shape(contract))
        self._last: tuple[Records, Records, Mask] | None = None
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
        table = self._reader.read_all(*self._prepared(records), rows)
        return None if table is None else self._of_table(table, verdict)

    def blame_structure(self, records: Records, verdict: Verdict) -> None:
        """Finds the records that are no JSON objects, and keeps what it read of the others."""
        whole, rows = records, verdict.innocent
        records, odd = self._prepared(records)
        at_once, table, others = self._reader.sort_out(records, odd, rows)
        if 2 * len(others) > len(rows) and self._learn(records, others[:_SAMPLE]):
            at_once, table, others = self._reader.sort_out(records, odd, rows)
        singles, values, faults = self._loaded(records, others)
        deep = [fault.row for fault in faults if fault.deep]
        deep = [row for row in deep if self._reader.read_all(records, odd, np.array([row])) is not None]
        if deep:
            at_once = np.sort(np.append(at_once, deep))
            table = self._reader.read(records, at_once)
        _blame([fault for fault in faults if fault.row not in deep], verdict)
        self._apart = _Apart(whole, at_once, table, singles, values)

    def _loaded(self, records: Records, rows: Rows) -> tuple[Rows, list[list[Any]], list[_Fault]]:
        """Reads records one by one: which are sound, their columns' values, and what is wrong with the others."""
        singles: list[int] = []
        faults: list[_Fault] = []
        shape, data = self._reader.shape, records.data
        columns: list[list[Any]] = [[] for _ in shape.fields]
        wanted = [
            (field.paths[0][0], field.paths[1:], found) for field, found in zip(shape.fields, columns, strict=True)
        ]
        for row, start, end in zip(
            *(at.tolist() for at in (rows, records.starts[rows], records.ends[rows])), strict=True
        ):
            try:
                record = load(data[start:end], shape.paths, shape.names)
            except Unsound as fault:
                faults.append(_Fault(row, fault.reason, str(fault), isinstance(fault, TooDeep)))
                continue
            singles.append(row)
            for name, nested, found in wanted:  # the record itself goes: thousands would keep the collector busy
                value = record.get(name)
                found.append(find(record, nested) if value is None and nested else value)
        return np.array(singles, np.int64), columns, faults

    def _prepared(self, records: Records) -> tuple[Records, Mask]:
        """Records without what surrounds them, and the hazards among them."""
        if self._last is None or self._last[0] is not records:
            plain = trimmed(records)
            self._last = records, plain, hazards(plain)
        return self._last[1:]

    def _learn(self, records: Records, rows: Rows) -> bool:
        """Expects numbers in quotes from now on where they mostly stand so. Whether that is news."""
        _, columns, _ = self._loaded(records, rows)
        fields = zip(self._reader.shape.fields, columns, strict=True)
        quoted = frozenset(field.name for field, values in fields if _is_quoted(values, field))
        news = quoted != self._reader.shape.quoted
        if news:
            self._reader = AtOnce(Shape(self._contract, quoted))
        return news

    def text(self, records: Records, rows: Rows, verdict: Verdict) -> list[pa.Array]:
        """Makes columns of what `blame_structure` kept, and finds every wrong value."""
        apart, self._apart = self._apart, None
        assert apart is not None
        assert apart.records is records
        of_table, of_values = Verdict(len(apart.at_once)), Verdict(len(apart.singles))
        parts = []
        if apart.table is not None:
            parts.append(self._of_table(apart.table, of_table))
        if len(apart.singles):
            parts.append(self._of_values(apart.values, of_values))
        verdict.adopt(of_table, np.searchsorted(rows, apart.at_once))
        verdict.adopt(of_values, np.searchsorted(rows, apart.singles))
        place = pa.array(np.argsort(np.concatenate([apart.at_once, apart.singles])))
        return [_joined(pieces).take(place) for pieces in zip(*parts, strict=True)]

    def _of_table(self, table: pa.Table, verdict: Verdict) -> list[pa.Array]:
        return [
            self._of_column(self._reader.values(table, field), field, verdict) for field in self._reader.shape.fields
        ]

    def _of_column(self, values: pa.Array, field: Field, verdict: Verdict) -> pa.Array:
        return values if field.is_read else converted(values, field, self._contract.arrow_type(field.name), verdict)

    def _of_values(self, columns: Sequence[list[Any]], verdict: Verdict) -> list[pa.Array]:
        type, fields = self._contract.arrow_type, self._reader.shape.fields
        pairs = zip(fields, columns, strict=True)
        return [column_of(values, field, type(field.name), verdict) for field, values in pairs]


def _blame(faults: Sequence[_Fault], verdict: Verdict) -> None:
    for reason in dict.fromkeys(fault.reason for fault in faults):
        same = [fault for fault in faults if fault.reason == reason]
        messages = pa.array([fault.message for fault in same], pa.string())
        verdict.blame(np.array([fault.row for fault in same]), reason, messages)


def _is_quoted(values: Sequence[Any], field: Field) -> bool:
    if is_textual(field.column.typed.item):
        return False
    items = [value[0] if isinstance(value, list) and value else value for value in values]
    texts = sum(isinstance(item, str) and not isinstance(item, Number) for item in items)
    return 2 * texts > len(items)


def _joined(pieces: Sequence[pa.Array]) -> pa.Array:
    if len(pieces) == 1:
        return pieces[0]
    if pa.types.is_dictionary(pieces[0].type):
        return pa.chunked_array(pieces).unify_dictionaries().combine_chunks()
    return pa.concat_arrays(pieces)
