"""The columns of a BigQuery table: from Arrow to its types, and back to what a lookup or a comparison needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
from google.cloud.bigquery import SchemaField

from ...schemas.errors import UsageError
from ..published import ORIGIN
from .base import PARTITION

_PLAIN = {
    "INTEGER": pa.int64(),
    "FLOAT": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
}
_ALIASES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


def fields_of(schema: pa.Schema, key: Sequence[str] = ()) -> list[SchemaField]:
    """A schema as BigQuery holds it, every column with a description.

    Every column may be null, as in a Delta table; a list that is null becomes an empty one.

    Args:
      schema: columns as they are published; the partition column becomes a DATE.
      key: which of them are the key.

    Raises:
      UsageError: when BigQuery has no type for a column.
    """
    return [_field(_dated(field), _described(field.name, key)) for field in schema]


def arrow_of(fields: Sequence[SchemaField]) -> pa.Schema:
    """A table's columns as Arrow; a type that Highbeam never writes is a null of its own name."""
    return pa.schema([pa.field(field.name, _arrow(field)) for field in fields])


def parameter_type(type: pa.DataType) -> str:
    """What BigQuery calls the type of a query's parameter."""
    held = _scalar(type, "key")
    return _NAMES.get(held, held)


def _described(name: str, key: Sequence[str]) -> str:
    known: Mapping[str, str] = {PARTITION: "the night; the partition", **ORIGIN}
    if name in key:
        return "key of the row"
    return known.get(name, "a prediction, or a column of the input kept beside it")


def _dated(field: pa.Field) -> pa.Field:
    return pa.field(PARTITION, pa.date32()) if field.name == PARTITION else field


def _field(field: pa.Field, description: str = "") -> SchemaField:
    mode, type = "NULLABLE", field.type
    if pa.types.is_list(type):
        mode, type = "REPEATED", type.value_type
    if pa.types.is_list(type):
        raise UsageError(f"column {field.name}: BigQuery has no list of lists; publish it in another form")
    if pa.types.is_struct(type):
        return SchemaField(field.name, "RECORD", mode, description=description, fields=[_field(f) for f in type])
    return SchemaField(field.name, _scalar(type, field.name), mode, description=description)


def _scalar(type: pa.DataType, name: str) -> str:
    if pa.types.is_dictionary(type):
        return _scalar(type.value_type, name)
    if pa.types.is_integer(type):
        return "INTEGER"
    if pa.types.is_floating(type):
        return "FLOAT"
    if pa.types.is_decimal(type):
        return "NUMERIC" if type.scale <= 9 and type.precision - type.scale <= 29 else "BIGNUMERIC"
    held = next((held for held, arrow in _PLAIN.items() if arrow == type), None)
    if held is None:
        raise UsageError(f"column {name}: BigQuery has no type for {type}; cast it to one it has")
    return held


def _arrow(field: SchemaField) -> pa.DataType:
    held = _ALIASES.get(field.field_type, field.field_type)
    if held == "RECORD":
        type: pa.DataType = pa.struct([pa.field(child.name, _arrow(child)) for child in field.fields])
    else:
        type = _PLAIN.get(held, pa.null())
    return pa.list_(type) if field.mode == "REPEATED" else type
