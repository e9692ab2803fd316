"""Avro's types in Arrow, and the values that an Avro decoder gives for them.

The decoder is shown a schema without logical types, so that a timestamp comes as the integer it is in the file: exact,
and without an object for each.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa

from .castable import is_bytes, is_list, is_text, is_uuid

_T = pa.types
_PLAIN = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
}
_LOGICAL = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("ms", "UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "timestamp-nanos"): pa.timestamp("ns", "UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
    ("long", "local-timestamp-nanos"): pa.timestamp("ns"),
}
_TYPES = ("type", "items", "values")
_NEEDED = ("name", "namespace", "size", "symbols", "logicalType", "precision", "scale")
_MEANING = ("logicalType", "precision", "scale")


def arrow_schema(schema: Any) -> pa.Schema:
    """The Arrow schema of a file's rows.

    Raises:
      ValueError: when they are no records.
      What fastavro raises for a schema that is none.
    """
    parsed = fastavro.parse_schema(bare(schema, logical=True), _write_hint=False)
    if not isinstance(parsed, dict) or parsed.get("type") not in ("record", "error"):
        raise ValueError("its rows are no records")
    return pa.schema(list(_type(parsed, {})))


def bare(schema: Any, logical: bool = False) -> Any:
    """A schema without what a decoder can do without: defaults, aliases, and logical types unless they are wanted."""
    if isinstance(schema, list):
        return [bare(part, logical) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "name" not in schema and isinstance(schema.get("type"), (dict, list)):
        return bare(schema["type"], logical)  # a type in a type, of which fastavro knows nothing
    kept = {name: schema[name] for name in _NEEDED if name in schema and (logical or name not in _MEANING)}
    kept.update((name, bare(schema[name], logical)) for name in _TYPES if name in schema)
    if "fields" in schema:
        kept["fields"] = [bare(field, logical) for field in schema["fields"]]
    return kept


def _type(schema: Any, named: dict[str, pa.DataType]) -> pa.DataType:
    if isinstance(schema, list):
        return _union(schema, named)
    if isinstance(schema, str):
        return _PLAIN[schema] if schema in _PLAIN else named[schema]
    kind = schema["type"]
    if kind in ("record", "error"):
        named[schema["name"]] = pa.struct([])  # what a record holds of its own kind cannot be laid out in columns
        fields = [pa.field(field["name"], _type(field["type"], named)) for field in schema["fields"]]
        made = pa.struct(fields)
    elif kind == "array":
        return pa.list_(_type(schema["items"], named))
    elif kind == "map":
        return pa.map_(pa.string(), _type(schema["values"], named))
    elif isinstance(kind, (dict, list)):
        return _type(kind, named)
    else:
        made = _plain(schema, kind, named)
    if "name" in schema:
        named[schema["name"]] = made
    return made


def _plain(schema: dict[str, Any], kind: str, named: dict[str, pa.DataType]) -> pa.DataType:
    logical = schema.get("logicalType")
    if logical == "decimal" and kind in ("bytes", "fixed"):
        precision, scale = schema.get("precision", 0), schema.get("scale", 0)
        if 0 <= scale <= precision and 1 <= precision <= 76:
            return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    if kind == "fixed":
        return pa.uuid() if logical == "uuid" and schema["size"] == 16 else pa.binary(schema["size"])
    return _LOGICAL.get((kind, str(logical))) or _PLAIN.get(kind) or named[kind]


def _union(branches: list[Any], named: dict[str, pa.DataType]) -> pa.DataType:
    types = [_type(branch, named) for branch in branches]
    real = [type for type in types if not _T.is_null(type)]
    if len(real) < 2:
        return real[0] if real else pa.null()
    return pa.dense_union([pa.field(str(at), type) for at, type in enumerate(real)])


def stored_value(value: Any, type: pa.DataType) -> Any:
    """What `array_of` takes for a value of the decoder; see `arrays.stored`."""
    if value is None:
        return None
    if _T.is_union(type):
        at = branch_of(value, type)
        return at, stored_value(value, type.field(at).type)
    if is_list(type):
        return [stored_value(item, type.value_type) for item in value]
    if _T.is_decimal(type):
        return Decimal(f"{int.from_bytes(value, 'big', signed=True)}E-{type.scale}")
    return value.encode("utf-8", "surrogateescape") if is_text(type) else value


def as_it_is(type: pa.DataType) -> bool:
    """Whether `array_of` takes the decoder's values of a type as they are; it does not mind text that is `str`."""
    return as_it_is(type.value_type) if is_list(type) else not (_T.is_union(type) or _T.is_decimal(type))


def branch_of(value: Any, type: pa.DataType) -> int:
    """The first branch of a union whose values look like this one."""
    return next(at for at in range(type.num_fields) if _is_one(value, type.field(at).type))


def _is_one(value: Any, type: pa.DataType) -> bool:
    if isinstance(value, bool):
        return bool(_T.is_boolean(type))
    if isinstance(value, int):
        return bool(_T.is_integer(type) or _T.is_temporal(type))
    if isinstance(value, float):
        return bool(_T.is_floating(type))
    if isinstance(value, bytes):
        return is_bytes(type) or is_uuid(type) or bool(_T.is_decimal(type))
    if isinstance(value, dict):
        return bool(_T.is_struct(type) or _T.is_map(type))
    return is_list(type) if isinstance(value, list) else is_text(type)
