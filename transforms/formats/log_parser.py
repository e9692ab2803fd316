"""Lines of a log, taken apart by a pattern into the columns of a contract."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.contract import Column, Contract
from ..convert import convert
from ..framing import Records
from ..record_faults import record_bytes
from ..text_columns import without
from ..verdict import Mask, Rows, Verdict, as_mask
from .lines import missing
from .log_patterns import LinePattern, group_names, only, whole

_BOM = b"\xef\xbb\xbf"


class LogParser:
    """Parses lines into the columns of a contract.

    Args:
      line: what a line looks like.
      nulls: spellings of null beside the empty text.
      contract: the columns wanted; those that are no field of the line are null.
    """

    def __init__(self, line: LinePattern, nulls: Iterable[str], contract: Contract) -> None:
        self._line, self._contract = line, contract
        self._columns = timed(line, contract)
        self._fields = {column.source or name for name, column in self._columns.items()} & set(line.fields)
        self._nulls = pa.array(["", *nulls]).cast(pa.binary())

    def blame_framing(self, records: Records, verdict: Verdict) -> None:
        """Any bytes may stand in a line."""

    def typed(self, records: Records, rows: Rows, verdict: Verdict) -> list[pa.Array]:
        """Parses all at once. Arguments and result as for `Parser`; whatever is wrong, the verdict hears of it."""
        fields, matched = take_apart(record_bytes(without_marks(records), rows), self._line, self._fields)
        if not matched.all():
            verdict.blame(np.flatnonzero(~matched), "no_match", f"the line does not match {self._line.title}")
        texts = {name: self._without_nulls(text) for name, text in fields.items()}
        return [self._column(name, column, texts, verdict) for name, column in self._columns.items()]

    def blame_structure(self, records: Records, verdict: Verdict) -> None:
        """Is not asked: `typed` finds everything."""

    def text(self, records: Records, rows: Rows, verdict: Verdict) -> list[pa.Array]:
        """The same as `typed`."""
        return self.typed(records, rows, verdict)

    def _column(self, name: str, column: Column, texts: dict[str, pa.Array], verdict: Verdict) -> pa.Array:
        type = self._contract.arrow_type(name)
        text = texts.get(column.source or name)
        return missing(len(verdict.guilty), type) if text is None else convert(text, name, column, type, verdict)

    def _without_nulls(self, text: pa.Array) -> pa.Array:
        null = as_mask(pc.is_in(text, value_set=self._nulls))
        return without(text.view(pa.string()), null).view(pa.binary())


def without_marks(records: Records) -> Records:
    """The same records, without the byte order mark that some begin with: that of a file, or of one put behind it."""
    text = np.frombuffer(records.data, np.uint8)
    marked = text[records.starts] == _BOM[0]
    if not marked.any():
        return records
    for at, byte in enumerate(_BOM):
        marked &= text[np.minimum(records.starts + at, len(text) - 1)] == byte
    marked &= records.ends - records.starts >= len(_BOM)
    return replace(records, starts=records.starts + len(_BOM) * marked)


def timed(line: LinePattern, contract: Contract) -> dict[str, Column]:
    """The columns of a contract; those of time that say no format have that of their field."""

    def as_read(name: str, column: Column) -> Column:
        format = line.times.get(column.source or name)
        wanted = format and column.format is None and column.type in ("timestamp", "date")
        return column.model_copy(update={"format": format}) if wanted else column

    return {name: as_read(name, column) for name, column in contract.columns.items()}


def take_apart(lines: pa.Array, line: LinePattern, wanted: Collection[str]) -> tuple[dict[str, pa.Array], Mask]:
    """Takes lines apart.

    Args:
      lines: binary[n].
      line: what they look like.
      wanted: fields to take; each costs.

    Returns:
      Fields as binary[n], empty or null where a line has none; and bool[n], which lines match.
    """
    within = {whole: set(group_names(part)) & set(wanted) for whole, part in line.parts.items()}
    groups = {name for name in line.groups if name in wanted or within.get(name)}
    if not groups:
        return {}, as_mask(pc.match_substring_regex(lines, whole(only(line.pattern, ()))))
    found: dict[str, pa.Array] = {}
    matched = np.ones(len(lines), bool)
    for pattern in line.passes(groups):
        values = pc.extract_regex(lines, pattern)
        matched = as_mask(values.is_valid())
        found |= _fields(values)
    for name, parts in within.items():
        if parts:
            found |= _fields(pc.extract_regex(found[name], whole(only(line.parts[name], parts))))
    return {name: text for name, text in found.items() if name in wanted}, matched


def _fields(values: pa.StructArray) -> dict[str, pa.Array]:
    return {field.name: pc.struct_field(values, [at]) for at, field in enumerate(values.type)}
