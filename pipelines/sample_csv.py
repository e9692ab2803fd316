"""CSV as a table, by pyarrow's own inference, and what must be said of the files to read them."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ..schemas.errors import UsageError
from .sample_numbers import decimal_commas, kept_as_text
from .sample_text import LINES, MOSTLY, NUMBER, Read

DELIMITERS = (",", "\t", ";", "|")
_RECORDS = 1000
_COMMENT = re.compile(r"^#.*(?:\n|\Z)", re.MULTILINE)


def read_csv(path: str, text: str, complete: bool) -> Read:
    """CSV; what pyarrow takes for null is null, and its spellings are given.

    A first line with a number in it does not name the columns. Lines that begin with # are comments, if the first is.
    """
    text, comments = _uncommented(text)
    delimiter = sniffed(text)
    first, *others = _records(text, delimiter) or [[]]
    if not first:
        raise UsageError(f"{path}: holds no rows; name a file with some")
    headed = not _numeric(first)
    names = first if headed else [f"c{number}" for number in range(1, len(first) + 1)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{path}: the header names {', '.join(map(repr, twice))} twice; rename one of them")
    multiline = any("\n" in value for record in others if len(record) == len(names) for value in record)
    try:
        table, texts, spelled, other = _table(text, delimiter, names, headed, multiline)
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path}: cannot be read as CSV with the delimiter {delimiter!r}: {error}") from None
    said: list[tuple[str, Any, bool]] = [
        ("delimiter", delimiter, delimiter != ","),
        ("header", False, not headed),
        ("columns", names, not headed),
        ("nulls", spelled, bool(spelled)),
        ("multiline", True, multiline),
        ("comment", "#", comments),
    ]
    options = {name: value for name, value, needed in said if needed}
    table, wrong = _mostly_numbers(table)
    table, notes = kept_as_text(table, texts, spelled)
    wrong = {name: found for name, found in wrong.items() if name not in notes}
    if delimiter != ",":
        notes |= decimal_commas(table)
    said_of_lines = [*_uncut(names), *_widths(len(names), table.num_rows, other)]
    return Read(options, table, wrong, said_of_lines, notes)


def _uncut(names: Sequence[str]) -> list[str]:
    """What is said of lines of several words in which no delimiter was found."""
    if len(names) > 1 or " " not in names[0]:
        return []
    return ["no delimiter cuts these lines; if they are a log's, write log: with a pattern: in place of csv:"]


def _uncommented(text: str) -> tuple[str, bool]:
    """The text without comments, and whether it has any: not if its only line with a # is rather the header."""
    if not text.startswith("#"):
        return text, False
    rest = _COMMENT.sub("", text)
    return (text, False) if _is_header(text.partition("\n")[0], rest) and text.count("\n#") == 0 else (rest, True)


def _is_header(line: str, rest: str) -> bool:
    """Whether a line with a # names the columns of the rest: as many, and the rest does not begin with names itself."""
    delimiter = sniffed(rest)
    records = _records(rest, delimiter)
    alike = bool(records) and line.count(delimiter) + 1 == len(records[0])
    return alike and (_numeric(records[0]) or not any(map(_numeric, records)))


def _numeric(record: Sequence[str]) -> bool:
    return any(pc.match_substring_regex(pa.array(record, pa.string()), NUMBER).to_pylist())


def _widths(width: int, good: int, other: Sequence[pacsv.InvalidRow]) -> list[str]:
    if not other:
        return []
    first = f"such as {other[0].text[:40]!r} with {other[0].actual_columns}"
    return [
        f"{len(other):,} of {good + len(other):,} records have another number of fields than {width}, {first}: rejected"
    ]


def _records(text: str, delimiter: str) -> list[list[str]]:
    """The first records that are not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [record for record in itertools.islice(reader, _RECORDS) if record]
    except csv.Error:
        return [line.split(delimiter) for line in text.split("\n")[:LINES] if line]


def _table(
    text: str, delimiter: str, names: Sequence[str], headed: bool, multiline: bool
) -> tuple[pa.Table, pa.Table, list[str], list[pacsv.InvalidRow]]:
    """The rows with as many fields as there are names, the same as text, spellings of null, and the other rows."""
    data = text.encode()
    read = pacsv.ReadOptions(block_size=len(data) + 1, use_threads=False, column_names=None if headed else names)
    other: list[pacsv.InvalidRow] = []

    def skip(row: pacsv.InvalidRow) -> str:
        other.append(row)
        return "skip"

    parse = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=multiline, invalid_row_handler=skip)

    def rows(**convert: Any) -> pa.Table:
        other.clear()
        return pacsv.read_csv(pa.py_buffer(data), read, parse, pacsv.ConvertOptions(**convert))

    table = rows()
    plain = rows(column_types=dict.fromkeys(names, pa.string()))
    spelled = _spellings(table, plain)
    texts = [name for name, type in zip(names, table.schema.types, strict=True) if _is_text(type)]
    nulls = {"null_values": ["", *spelled], "strings_can_be_null": True, "quoted_strings_can_be_null": False}
    as_text = rows(column_types=dict.fromkeys(texts, pa.string()), include_columns=texts, **nulls)
    return _replaced(table, as_text), plain, spelled, other


def _is_text(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_null(type))


def _replaced(table: pa.Table, texts: pa.Table) -> pa.Table:
    """The table with some of its columns read otherwise; with none named, pyarrow has read all."""
    for at, name in enumerate(table.column_names):
        if _is_text(table.schema.types[at]):
            table = table.set_column(at, name, texts[name])
    return table


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
        numbers = pc.match_substring_regex(texts, NUMBER)
        others = texts.filter(pc.invert(numbers))
        if len(others) <= (1 - MOSTLY) * (len(texts) - texts.null_count):
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
    """The delimiter that cuts the first lines into most fields, as many in nearly each as in the header.

    Where none cuts them so evenly, the header decides, if any other line has as many fields as it.
    """
    lines = [line for line in text.splitlines()[: 2 * LINES] if line][:LINES]

    def fields(delimiter: str) -> tuple[int, int]:
        try:
            first, *others = [len(record) for record in csv.reader(lines, delimiter=delimiter) if record]
        except (csv.Error, ValueError):
            return 0, 0
        alike = others.count(first)
        evenly = 1 + alike >= MOSTLY * (1 + len(others))
        return (first if evenly and first > 1 else 0), (first if alike else 0)

    return max(DELIMITERS, key=lambda delimiter: (fields(delimiter), -DELIMITERS.index(delimiter)))
