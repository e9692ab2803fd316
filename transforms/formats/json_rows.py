"""Rows of typed files as JSON, for their rejects: a row that was never text has to be shown somehow.

It builds Python objects, since rejects are few.
"""

from __future__ import annotations

import json
from datetime import time, timedelta
from typing import Any
from uuid import UUID

import pyarrow as pa

from ...schemas.keys import json_value
from .castable import is_list, is_text


def json_rows(rows: pa.RecordBatch) -> list[bytes]:
    """Each row as a JSON object.

    Text that is no UTF-8 is written with lone surrogates, as Python's `surrogateescape` has it; a time that ISO 8601
    cannot write is a number, in the column's own unit.
    """
    columns = [[shown_value(value) for value in column] for column in rows.columns]
    return [encoded(dict(zip(rows.schema.names, row, strict=True))) for row in zip(*columns, strict=True)]


def encoded(row: Any) -> bytes:
    """One row as JSON text."""
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(row).encode()


def shown_value(value: pa.Scalar) -> Any:
    """One Arrow value as JSON has it."""
    type = value.type
    if not value.is_valid:
        return None
    if pa.types.is_dictionary(type) or pa.types.is_union(type):
        return shown_value(value.value)
    if pa.types.is_struct(type):
        return {name: shown_value(value[name]) for name in value}
    if is_list(type):
        return [shown_value(item) for item in value.values]
    if is_text(type):
        return value.as_buffer().to_pybytes().decode("utf-8", "surrogateescape")
    try:
        return plain_value(value.as_py())
    except (ValueError, OverflowError):
        return _time_text(value)


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


def _time_text(value: pa.Scalar) -> Any:
    """A time that Python has no object for."""
    if pa.types.is_timestamp(value.type) and value.type.unit == "ns":
        instant = pa.scalar(value.value, pa.timestamp("ns", value.type.tz and "UTC"))
        return str(instant.cast(pa.string())).replace(" ", "T")
    return getattr(value, "value", str(value))
