"""Text as a table, by pyarrow's own inference: CSV, JSON and logs, each None where the text is none of its kind."""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ..schemas.contract import Column
from ..schemas.errors import UsageError
from ..transforms.convert_times import convert_times
from ..transforms.formats.log_patterns import FORMATS, only, whole

DELIMITERS = (",", "\t", ";", "|")
_LINES = 100
_MOST_RECORDS = 1 << 16
_MOSTLY = 0.9
"""A column is of the type that so many of its values have; the others are said to be wrong."""
_NUMBER = r"^\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*$"
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
    if count >= _MOSTLY * len(there) and count < len(there):
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
        if pc.extract_regex(lines.slice(0, _LINES), pattern).null_count <= min(len(lines), _LINES) * (1 - _MOSTLY):
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


def read_csv(path: str, text: str) -> Read:
    """CSV with a header; what pyarrow takes for null is null, and its spellings are given."""
    data, delimiter = text.encode(), sniffed(text)
    parse = pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=lambda row: "skip")
    names = _header(path, text, delimiter)

    def rows(**convert: Any) -> pa.Table:
        whole_text = pacsv.ReadOptions(block_size=len(data) + 1, use_threads=False)
        options = pacsv.ConvertOptions(**convert)
        return pacsv.read_csv(pa.py_buffer(data), read_options=whole_text, parse_options=parse, convert_options=options)

    try:
        table = rows()
        spelled = _spellings(table, rows(column_types=dict.fromkeys(names, pa.string())))
        texts = [name for name, type in zip(names, table.schema.types, strict=True) if _is_text(type)]
        nulls = {"null_values": ["", *spelled], "strings_can_be_null": True, "quoted_strings_can_be_null": False}
        table = _replaced(table, rows(column_types=dict.fromkeys(texts, pa.string()), include_columns=texts, **nulls))
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path}: cannot be read as CSV with the delimiter {delimiter!r}: {error}") from None
    said = {**({"delimiter": delimiter} if delimiter != "," else {}), **({"nulls": spelled} if spelled else {})}
    return Read(said, *_mostly_numbers(table))


def _is_text(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_null(type))


def _replaced(table: pa.Table, texts: pa.Table) -> pa.Table:
    """The table with some of its columns read otherwise; with none named, pyarrow has read all."""
    for at, name in enumerate(table.column_names):
        if _is_text(table.schema.types[at]):
            table = table.set_column(at, name, texts[name])
    return table


def _header(path: str, text: str, delimiter: str) -> list[str]:
    names = next(csv.reader(text.lstrip("\r\n").splitlines(), delimiter=delimiter), [])
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{path}: the header names {', '.join(map(repr, twice))} twice; rename one of them")
    return names


def _spellings(typed: pa.Table, texts: pa.Table) -> list[str]:
    """The texts that pyarrow took for null, beside the empty one."""
    found: dict[str, None] = {}
    for values, text in zip(typed, texts, strict=True):
        if values.null_count and not pa.types.is_string(values.type):
            found |= dict.fromkeys(pc.unique(text.filter(values.is_null())).to_pylist())
    return [spelling for spelling in found if spelling]


def _mostly_numbers(table: pa.Table) -> tuple[pa.Table, dict[str, tuple[int, str]]]:
    """Columns of text most of whose values are numbers, as numbers; and what of them is wrong."""
    wrong = {}
    for at, name in enumerate(table.column_names):
        texts = table[at]
        if not pa.types.is_string(texts.type) or texts.null_count == len(texts):
            continue
        numbers = pc.match_substring_regex(texts, _NUMBER)
        others = texts.filter(pc.invert(numbers))
        if len(others) <= (1 - _MOSTLY) * (len(texts) - texts.null_count):
            wrong[name] = (len(others), others[0].as_py())
            kept = pc.if_else(numbers, pc.utf8_trim_whitespace(texts), pa.scalar(None, pa.string()))
            table = table.set_column(at, name, _numbers(kept))
    return table, wrong


def _numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts.cast(pa.float64())


def sniffed(text: str) -> str:
    """The delimiter that cuts the first lines into most fields, as many in nearly each as in the header."""
    lines = [line for line in text.splitlines()[: 2 * _LINES] if line][:_LINES]

    def fields(delimiter: str) -> int:
        try:
            counts = [len(record) for record in csv.reader(lines, delimiter=delimiter) if record]
        except csv.Error:
            return 0
        alike = sum(count == counts[0] for count in counts) if counts else 0
        return counts[0] if alike and alike >= _MOSTLY * len(counts) else 0

    return max(DELIMITERS, key=lambda delimiter: (fields(delimiter), -DELIMITERS.index(delimiter)))
