"""Keys of rows: their order, and their text where a person or a machine reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa

MAX_KEY_BYTES = 1024


def json_value(value: Any) -> Any:
    """One value as our JSON spells it: times ISO 8601 with Z, decimals and non-finite floats strings, bytes base64."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, (date, Decimal)):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, dict):
        return {k: json_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(v) for v in value]
    return value


def key_text(rows: pa.RecordBatch, key: Sequence[str]) -> pa.Array:
    """Keys of some rows as JSON: a bare value for one column, an object for several.

    Made for rejects, which are few: it builds a Python object a row.

    Returns:
      string[rows], null where a key column is missing or null.
    """
    names = [name for name in key if name in rows.schema.names]
    if not key or len(names) < len(key):
        return pa.nulls(rows.num_rows, pa.string())
    texts = [_text(record, list(key)) for record in rows.select(list(key)).to_pylist()]
    return pa.array(texts, pa.string())


def _text(record: dict[str, Any], key: list[str]) -> str | None:
    if any(record[name] is None for name in key):
        return None
    value = json_value(record[key[0]] if len(key) == 1 else record)
    return json.dumps(value, ensure_ascii=False)
