"""Keys of rows: their order, and their text where a person or a machine reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MAX_KEY_BYTES = 1024
_SPECIAL = r'["\\\x00-\x1f]'  # what a JSON text has to escape


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

    Returns:
      string[rows], null where a key column is missing or null.
    """
    names = [name for name in key if name in rows.schema.names]
    if not key or len(names) < len(key):
        return pa.nulls(rows.num_rows, pa.string())
    texts = [_texts(rows.column(name)) for name in key]
    if len(key) == 1:
        return texts[0]
    parts: list[Any] = []
    for name, text in zip(key, texts, strict=True):
        parts += ["{" if not parts else ", ", f"{_json(name)}: ", text]
    return pc.binary_join_element_wise(*parts, "}", "")


def _texts(values: pa.Array) -> pa.Array:
    """Values of a key column as JSON, null where they are; only texts that need escapes, and times, one by one."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_integer(values.type):
        return values.cast(pa.string())
    if pa.types.is_date(values.type):
        return pc.binary_join_element_wise('"', values.cast(pa.string()), '"', "")
    if not pa.types.is_string(values.type):
        return pa.array([None if v is None else _json(json_value(v)) for v in values.to_pylist()], pa.string())
    special = pc.match_substring_regex(values, _SPECIAL).fill_null(False)
    plain = pc.binary_join_element_wise('"', values, '"', "")
    escaped = [_json(text) for text in values.filter(special).to_pylist()]
    return pc.replace_with_mask(plain, special, pa.array(escaped, pa.string())) if escaped else plain


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
