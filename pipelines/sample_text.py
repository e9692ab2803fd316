"""JSON and logs as tables, by pyarrow's own inference; None where the text is none of the kind."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.contract import Column
from ..schemas.errors import UsageError
from ..transforms.convert_times import convert_times
from ..transforms.formats.log_patterns import FORMATS, only, whole

LINES = 100
"""Lines that decide of what kind a text is."""
_MOST_RECORDS = 1 << 16
MOSTLY = 0.9
"""A column is of the type that so many of its values have; the others are said to be wrong."""
NUMBER = r"^\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*$"
_INTEGERS = range(-(1 << 63), 1 << 63)
_NO_ARRAY = (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError)
_TIME = r"\[?(?P<time>\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d[^ \]]*)\]?"
_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|SEVERE)"
APPLICATION = (
    rf"{_TIME} +\[?(?P<level>{_LEVEL})\]?:? +(?P<message>.*)",
    rf"{_TIME} +(?P<message>.*\b{_LEVEL}\b.*)",
)
"""What the logs of most programs look like."""
_GAP = re.compile(r"[,\s]*")
_TEMPORAL = (pa.date32(), pa.timestamp("us", "UTC"), pa.timestamp("us"))


@dataclass(frozen=True)
class Read:
    """A text as a table.

    Attributes:
      options: what `source` must say beside the path.
      table: its rows.
      wrong: a column -> how many of its values are not of its type (null in the table), and one of them.
      remarks: what of the text is no row.
      notes: a column -> what is worth a second look.
    """

    options: Mapping[str, Any]
    table: pa.Table
    wrong: Mapping[str, tuple[int, Any]] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


def read_json(path: str, text: str, complete: bool) -> Read | None:
    """JSON Lines, or one array of objects; of a text that is not complete, the end may be cut off."""
    start = text.lstrip()
    if start[:1] not in ("{", "["):
        return None
    records, remarks = elements(start[1:], complete) if start[0] == "[" else _lines(path, text)
    if not records and "".join(start.split()) == "[]":
        raise UsageError(f"{path}: holds no rows; name a file with some")
    if not records:
        return None  # a line of a log may begin with a bracket
    table, wrong = table_of(records)
    columns = [_temporal(column.combine_chunks()) for column in table]
    return Read({}, pa.table(columns, table.column_names), wrong, remarks)


def _lines(path: str, text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects of JSON Lines, and a remark if there are other lines."""
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    found = [(number, _object(line)) for number, line in itertools.islice(lines, _MOST_RECORDS)]
    bad = [number for number, value in found if value is None]
    if len(bad) == len(found) and _end_of_object(text.lstrip()):
        raise UsageError(f"{path}: holds a JSON object over several lines; write one object a line, or an array")
    said = f"{len(bad):,} of {len(found):,} lines are no JSON object, such as line {bad[0]:,}: rejected" if bad else ""
    return [value for _, value in found if value is not None], [said] if said else []


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")  # though Python reads NaN and Infinity


def _end_of_object(text: str) -> int:
    """Where the object ends that a text begins with, 0 if that is in its first line."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return 0
    return end if "\n" in text[:end] else 0


def elements(text: str, complete: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects of an array as far as it holds nothing else, and a remark if that is not its end."""
    decoder, at, found = json.JSONDecoder(), 0, list[dict[str, Any]]()
    with suppress(ValueError, RecursionError):
        while len(found) < _MOST_RECORDS:
            at = _GAP.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
            value, end = decoder.raw_decode(text, at)
            if not isinstance(value, dict):
                break
            found.append(value)
            at = end
    rest = text[at:].strip()
    if rest == "]" or not complete or len(found) == _MOST_RECORDS:
        return found, []
    if not rest.endswith("]"):
        return found, [f"the array is not closed after its {len(found):,} objects: a run refuses such a file"]
    return found, [f"what follows the first {len(found):,} objects is no object, and was not looked at: {rest[:20]!r}"]


def table_of(records: Sequence[Mapping[str, Any]]) -> tuple[pa.Table, dict[str, tuple[int, Any]]]:
    """Records as a table with a column for every field that any of them has, nested ones by their path.

    Returns:
      (table, wrong): of a field of several types only the values of the one that most have are in the table.
    """
    objects: set[str] = set()
    flat = [dict(leaves("", record, objects)) for record in records]
    columns, wrong = {}, {}
    for name in dict.fromkeys(name for record in flat for name in record):
        values = [record.get(name) for record in flat]
        if name in objects and all(value is None for value in values):
            continue  # an object, which is null in some record
        columns[name], others = _array(values)
        if others:
            wrong[name] = (len(others), others[0])
    return pa.table(columns), wrong


def leaves(path: str, record: Mapping[str, Any], objects: set[str]) -> Iterator[tuple[str, Any]]:
    """The fields that are no objects, by their paths; those of the others are added to `objects`."""
    for name, value in record.items():
        if isinstance(value, dict):
            objects.add(f"{path}{name}")
            yield from leaves(f"{path}{name}.", value, objects)
        else:
            yield f"{path}{name}", value


def _array(values: list[Any]) -> tuple[pa.Array, list[Any]]:
    """Values as an array, by pyarrow's inference, and those it leaves out since more of the others are of one type."""
    with suppress(*_NO_ARRAY):
        return pa.array(values), []
    there = [value for value in values if value is not None]
    (usual, _), *_ = Counter(map(type, there)).most_common(1)
    of_type = [value if type(value) is usual else None for value in values]
    kept = max(of_type, _numbers(values), key=lambda some: len(some) - some.count(None))
    others = [value for value, good in zip(values, kept, strict=True) if value is not None and good is None]
    lists = any(isinstance(value, list) for value in there)
    if len(others) < len(there) and (not lists or len(others) <= (1 - MOSTLY) * len(there)):
        with suppress(*_NO_ARRAY):
            return pa.array(kept), others
    if lists:
        return pa.nulls(len(values), pa.list_(pa.struct([]))), []  # no column holds lists of several types
    return pa.array([None if value is None else str(value) for value in values], pa.string()), []


def _numbers(values: Sequence[Any]) -> list[Any]:
    """The numbers among values, in quotes or not, as a column of numbers is read."""
    numbers = [_number(value) for value in values]
    if any(isinstance(number, float) for number in numbers):
        return [None if number is None else float(number) for number in numbers]
    return [number if number is not None and number in _INTEGERS else None for number in numbers]


def _number(value: Any) -> int | float | None:
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]
    if not isinstance(value, str) or not re.match(NUMBER, value):
        return None
    try:
        return int(value)
    except ValueError:
        return float(value)


def _temporal(array: pa.Array) -> pa.Array:
    """Texts as dates or times, where all of them are."""
    if pa.types.is_string(array.type) and array.null_count < len(array):
        for type in _TEMPORAL:
            try:
                return array.cast(type)
            except pa.ArrowInvalid:
                continue
    return array


def read_log(path: str, text: str, complete: bool) -> Read | None:
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
    return _application_log(lines)


def _application_log(lines: pa.Array) -> Read | None:
    """Lines that begin with a time, most of the first with a level behind it; one without may go on with a message."""
    for pattern in APPLICATION:
        found = pc.extract_regex(lines, whole(pattern))
        first = found.slice(0, LINES)
        if len(first) and 2 * first.null_count < len(first):
            fields = {part.name: pc.struct_field(found.drop_null(), part.name) for part in found.type}
            said = [
                "this looks like the log of an application; what else its messages say, source.log.pattern may tell"
            ]
            if found.null_count:
                said.append(f"{found.null_count:,} of {len(found):,} lines do not match the pattern: rejected")
            return Read({"pattern": pattern}, pa.table({k: _temporal(v) for k, v in fields.items()}), remarks=said)
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
