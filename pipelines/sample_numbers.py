"""Texts that look like numbers, and would be others as such."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

_WHOLE = r"^\s*[+-]?[0-9]+\s*$"
_PADDED = r"^\s*[+-]?0[0-9]+\s*$"
_COMMA = r"^\s*[+-]?[0-9.]*[0-9],[0-9]+\s*$"
_MOSTLY = 0.9
_SHOWN = 40


def kept_as_text(table: pa.Table, texts: pa.Table, spelled: Sequence[str]) -> tuple[pa.Table, dict[str, str]]:
    """Leaves numbers as texts where they begin with zeros, or are whole and beyond int64.

    Args:
      table: columns of any type.
      texts: the same as they are written.
      spelled: spellings of null beside the empty one.

    Returns:
      (table, notes): a column -> why it is text.
    """
    notes = {}
    for at, name in enumerate(table.column_names):
        if pa.types.is_integer(table.schema.types[at]) or pa.types.is_floating(table.schema.types[at]):
            missing = pc.is_in(texts[at], value_set=pa.array(["", *spelled], pa.string()))
            column = pc.if_else(missing, pa.scalar(None, pa.string()), texts[at])
            if said := _loses(column, table.schema.types[at]):
                table, notes[name] = table.set_column(at, name, column), said
    return table, notes


def _loses(texts: pa.ChunkedArray, type: pa.DataType) -> str | None:
    """What numbers of a type would lose of the texts."""
    if example := _first(texts, _PADDED):
        return f"{example!r} begins with zeros, which a number would lose"
    whole = pc.match_substring_regex(texts, _WHOLE)
    if pa.types.is_floating(type) and pc.all(whole).as_py():
        longest = texts.take([pc.index(sizes := pc.utf8_length(texts), pc.max(sizes)).as_py()])[0].as_py()
        return f"{longest[:_SHOWN]!r} is no int64, which ends at 2**63 - 1"
    return None


def decimal_commas(table: pa.Table) -> dict[str, str]:
    """A column of text -> a remark, where most of its values are numbers with a comma for the point."""
    notes = {}
    for name, values in zip(table.column_names, table, strict=True):
        if pa.types.is_string(values.type) and (example := _first(values, _COMMA)):
            numbers = pc.or_(pc.match_substring_regex(values, _COMMA), pc.match_substring_regex(values, _WHOLE))
            if pc.mean(numbers).as_py() >= _MOSTLY:
                notes[name] = (
                    f"numbers with a decimal comma, such as {example!r}, are text; write points to read numbers"
                )
    return notes


def _first(texts: pa.ChunkedArray, pattern: str) -> str | None:
    found = texts.filter(pc.match_substring_regex(texts, pattern))
    return found[0].as_py()[:_SHOWN] if len(found) else None
