"""JSON and logs as tables, by pyarrow's own inference; None where the text is none of the kind."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.contract import Column
from ..transforms.convert_times import convert_times
from ..transforms.formats.log_patterns import FORMATS, only, whole

LINES = 100
"""Lines that decide of what kind a text is."""
_MOST_RECORDS = 1 << 16
MOSTLY = 0.9
"""A column is of the type that so many of its values have; the others are said to be wrong."""
_TEMPORAL = (pa.date32(), pa.timestamp("us", "UTC"), pa.timestamp("us"))


@dataclass(frozen=True)
class Read:
    """A text as a table.

    Attributes:
      options: what `source` must say beside the path.
      table: its rows.
      wrong: a column -> how many of its values are not of its type (null in the table), and one of them.
    """

    options: Mapping[str, Any]
    table: pa.Table
    wrong: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def read_json(path: str, text: str) -> Read | None:
    """JSON Lines, or one array of objects; a record that the end of the text cuts off is left out."""
    start = text.lstrip()
    if start[:1] not in ("{", "["):
        return None
    records = list(itertools.islice(_objects(start.removeprefix("[")), _MOST_RECORDS))
    if not records:
        return None  # a line of a log may begin with a bracket
    table, wrong = table_of(records)
    return Read({}, pa.table([_temporal(column.combine_chunks()) for column in table], table.column_names), wrong)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The objects of a text, as far as it holds nothing else."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at] in ", \t\r\n":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        yield value


def table_of(records: Sequence[Mapping[str, Any]]) -> tuple[pa.Table, dict[str, tuple[int, str]]]:
    """Records as a table with a column for every field that any of them has, nested ones by their path.

    Returns:
      (table, wrong): of a field of several types only the values of the one that nearly all have are in the table.
    """
    flat = [dict(_leaves("", record)) for record in records]
    columns, wrong = {}, {}
    for name in dict.fromkeys(name for record in flat for name in record):
        values = [record.get(name) for record in flat]
        columns[name], others = _array(values)
        if others:
            wrong[name] = (len(others), str(others[0]))
    return pa.table(columns), wrong


def _leaves(path: str, record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict) and value:
            yield from _leaves(f"{path}{name}.", value)
        else:
            yield f"{path}{name}", None if value == {} else value


def _array(values: list[Any]) -> tuple[pa.Array, list[Any]]:
    """Values as an array, by pyarrow's inference, and those it leaves out since nearly all others are of one type."""
    with suppress(pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array(values), []
    there = [value for value in values if value is not None]
    (usual, count), *_ = Counter(map(type, there)).most_common(1)
    if count >= MOSTLY * len(there) and count < len(there):
        with suppress(pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            kept = pa.array([value if type(value) is usual else None for value in values])
            return kept, [value for value in there if type(value) is not usual]
    if any(isinstance(value, list) for value in there):
        return pa.nulls(len(values), pa.list_(pa.struct([]))), []  # no column holds lists of several types
    return pa.array([None if value is None else str(value) for value in values], pa.string()), []


def _temporal(array: pa.Array) -> pa.Array:
    """Texts as dates or times, where all of them are."""
    if pa.types.is_string(array.type) and array.null_count < len(array):
        for type in _TEMPORAL:
            try:
                return array.cast(type)
            except pa.ArrowInvalid:
                continue
    return array


def read_log(path: str, text: str) -> Read | None:
    """Lines of a well-known log format, if nearly all of the first are."""
    lines = pa.array(text.split("\n"), pa.string())
    lines = pc.ascii_rtrim(lines.filter(pc.not_equal(lines, "")), "\r")
    for name in ("combined", "common", "syslog5424", "syslog"):
        known = FORMATS[name]
        pattern = whole(only(known.pattern, known.groups))
        if pc.extract_regex(lines.slice(0, LINES), pattern).null_count <= min(len(lines), LINES) * (1 - MOSTLY):
            found = pc.extract_regex(lines, pattern).drop_null()
            fields = dict(_fields(found, known.parts))
            return Read({"format": name}, pa.table({k: _of_log(v, known.times.get(k)) for k, v in fields.items()}))
    return None


def _fields(found: pa.StructArray, parts: Mapping[str, str]) -> Iterator[tuple[str, pa.Array]]:
    for struct_field in found.type:
        texts = found.field(struct_field.name)
        yield struct_field.name, texts
        if struct_field.name in parts:
            inner = pc.extract_regex(texts, whole(parts[struct_field.name]))
            yield from ((part.name, pc.struct_field(inner, part.name)) for part in inner.type)


def _of_log(texts: pa.Array, time_format: str | None) -> pa.Array:
    """A field of a log as numbers, times or text; `-` is null."""
    texts = pc.if_else(pc.is_in(texts, value_set=pa.array(["", "-"])), pa.scalar(None, pa.string()), texts)
    if time_format:
        return convert_times(texts.cast(pa.binary()), Column(type="timestamp", format=time_format)).values
    for type in (pa.int64(), pa.float64()) if texts.null_count < len(texts) else ():
        try:
            return texts.cast(type)
        except pa.ArrowInvalid:
            continue
    return texts
