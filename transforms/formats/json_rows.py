"""Rows of typed files as JSON, for their rejects: a row that was never text has to be shown somehow.

It builds Python objects, a column at a time, since rejects are few as a rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import time, timedelta
from math import isfinite
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.keys import json_value
from .castable import is_list, is_text

_T = pa.types
_AS_IT_IS = json.JSONEncoder(ensure_ascii=False)


def json_rows(rows: pa.RecordBatch) -> list[bytes]:
    """Each row as a JSON object.

    Text that is no UTF-8 is written with lone surrogates, as Python's `surrogateescape` has it; a time that ISO 8601
    cannot write is a number, in the column's own unit; a value that Python has no word for at all is null.
    """
    names = rows.schema.names
    columns = [shown_values(column) for column in rows.columns]
    return [encoded(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def taken(rows: pa.RecordBatch, at: pa.Array) -> pa.RecordBatch:
    """Some rows; also of types that Arrow has no kernel for, such as its views of texts."""
    try:
        return rows.take(at)
    except pa.ArrowNotImplementedError:
        each = [rows.slice(place, 1) for place in at.to_pylist()]
        return pa.concat_batches(each) if each else rows.slice(0, 0)


def encoded(row: Any) -> bytes:
    """One row as JSON text."""
    try:
        return _AS_IT_IS.encode(row).encode()
    except UnicodeEncodeError:
        return json.dumps(row).encode()


def shown_values(column: pa.Array) -> list[Any]:
    """The values of an array as JSON has them."""
    type = column.type
    if _T.is_dictionary(type):
        entries = [*shown_values(column.dictionary), None]
        return [entries[-1 if at is None else at] for at in column.indices.to_pylist()]
    if _T.is_struct(type):
        return _structs(column)
    if is_list(type):
        return _lists(column)
    if is_text(type):
        return _texts(column)
    if _T.is_integer(type) or _T.is_boolean(type):
        return _numbers(column)
    if _T.is_floating(type):
        return [value if value is None or isfinite(value) else str(value) for value in _numbers(column)]
    return list(_one_by_one(column))


def _texts(column: pa.Array) -> list[Any]:
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        texts = pc.cast(column, pa.large_binary()).to_pylist()
        return [text if text is None else text.decode("utf-8", "surrogateescape") for text in texts]


def _numbers(column: pa.Array) -> list[Any]:
    return list(column.to_pylist() if column.null_count else column.to_numpy(zero_copy_only=False).tolist())


def _structs(column: pa.StructArray) -> list[Any]:
    fields = [field.name for field in column.type]
    rows = zip(*map(shown_values, column.flatten()), strict=True) if fields else ((),) * len(column)
    there = column.is_valid().to_pylist()
    return [dict(zip(fields, row, strict=True)) if valid else None for valid, row in zip(there, rows, strict=True)]


def _lists(column: pa.Array) -> list[Any]:
    items = iter(shown_values(column.flatten()))
    lengths = pc.list_value_length(column).to_pylist()
    return [None if length is None else [next(items) for _ in range(length)] for length in lengths]


def _one_by_one(column: pa.Array) -> Iterator[Any]:
    """Values that Python may have no object for."""
    for value in column:
        if _T.is_union(column.type):
            yield shown_values(pa.array([value.value]))[0] if value.is_valid else None
        else:
            yield shown_value(value)


def shown_value(value: pa.Scalar) -> Any:
    """One Arrow value as JSON has it, of a type without fields and items."""
    if not value.is_valid:
        return None
    try:
        return plain_value(value.as_py())
    except Exception:  # dates beyond Python's, time zones it does not know, and whatever comes up in a damaged value
        return _in_its_unit(value)


def plain_value(value: Any) -> Any:
    """One Python value as JSON has it."""
    if isinstance(value, (time, timedelta, UUID)):
        return str(value)
    if isinstance(value, dict):
        return {str(name): plain_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, float):
        return json_value(float(value))
    return json_value(value)


def _in_its_unit(value: pa.Scalar) -> Any:
    """A time that Python has no object for: of nanoseconds their text, of others the number that is stored."""
    if _T.is_timestamp(value.type) and value.type.unit == "ns":
        instant = pa.scalar(value.value, pa.timestamp("ns", value.type.tz and "UTC"))
        return str(instant.cast(pa.string())).replace(" ", "T")
    stored = getattr(value, "value", None)
    return stored if isinstance(stored, int) else None
