"""The columns of a Delta table: which types it can hold, and how its schema may change."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from ...schemas.errors import UsageError
from ...schemas.types import type_name

ROW_GROUP_ROWS = 16384
"""Rows of a row group: a lookup decodes one of them per key, a scan still finds pages worth decompressing."""

_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.float16(): pa.float32(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
    pa.date64(): pa.date32(),
}
_SAME = {
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64()),
    *(pa.bool_(), pa.string(), pa.binary(), pa.date32()),
}


def table_schema(schema: pa.Schema, partition: tuple[str, ...] = ("date",)) -> pa.Schema:
    """What a schema becomes in a Delta table, which knows neither dictionaries nor unsigned integers.

    Every column may be null in the table: what must not be missing is for the contract to say, and it may be
    loosened without a new table. Data files hold these types too, without the partition columns and without
    Arrow's own copy of the schema (`store_schema=False`), so that all readers agree on them.

    Args:
      schema: columns as they are published.
      partition: string columns the table is partitioned by; added at the end where the schema lacks them.

    Raises:
      UsageError: when Delta has no type for a column.
    """
    fields = [pa.field(field.name, _held(field.type, field.name)) for field in schema]
    added = [pa.field(name, pa.string()) for name in partition if name not in schema.names]
    return pa.schema([*fields, *added])


def grown(table: pa.Schema, ours: pa.Schema) -> tuple[pa.Schema, list[str]]:
    """The table's schema with the columns that are new in ours.

    Args:
      table: the schema of the table as it is.
      ours: that of what is to be published; order does not matter.

    Returns:
      (schema, problems): the table's columns in their order, then the new ones; what stands against it, one
      sentence a column.
    """
    new = [field for field in ours if field.name not in table.names]
    return pa.schema([*table, *new]), [*_lost(table, ours), *_changed(table, ours)]


def _lost(table: pa.Schema, ours: pa.Schema) -> list[str]:
    lost = [name for name in table.names if name not in ours.names]
    return [f"column {name} is in the table and no longer in the job" for name in lost]


def _changed(table: pa.Schema, ours: pa.Schema) -> list[str]:
    both = [(old, ours.field(old.name)) for old in table if old.name in ours.names]
    return [
        f"column {old.name} is {_named(old.type)} in the table and would become {_named(new.type)}"
        for old, new in both
        if old.type != new.type
    ]


def _named(type: pa.DataType) -> str:
    """A type as job.yaml calls it, where that has a name for it."""
    if pa.types.is_struct(type):
        return f"struct<{', '.join(f'{child.name}: {_named(child.type)}' for child in type)}>"
    if pa.types.is_list(type):
        return f"list<{_named(type.value_type)}>"
    try:
        return type_name(type)
    except ValueError:
        return str(type)


def _held(type: pa.DataType, name: str) -> pa.DataType:
    """The type Delta holds a column's values as."""
    if pa.types.is_dictionary(type):
        return _held(type.value_type, name)
    if type in _SAME or (pa.types.is_decimal(type) and type.precision <= 38):
        return type
    if pa.types.is_timestamp(type) and type.tz:
        return pa.timestamp("us", "UTC")
    if pa.types.is_fixed_size_binary(type):
        return pa.binary()
    if pa.types.is_struct(type):
        return pa.struct([pa.field(child.name, _held(child.type, name)) for child in type])
    if _is_list(type):
        return pa.list_(_held(type.value_type, name))
    if type not in _WIDER:
        raise UsageError(f"column {name}: a Delta table has no type for {type}; cast it to one it has")
    return _WIDER[type]


def _is_list(type: pa.DataType) -> bool:
    return bool(pa.types.is_list(type) or pa.types.is_large_list(type) or pa.types.is_fixed_size_list(type))


def conform(rows: pa.Table, schema: pa.Schema, partition: Mapping[str, str]) -> pa.Table:
    """Rows of one data file with all columns of the table: those the file is too old for are null.

    Args:
      rows: as the file holds them.
      schema: the table's.
      partition: values of the partition columns, which no file holds.
    """
    n = rows.num_rows
    columns = [_column(rows, field, partition, n) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(rows: pa.Table, field: pa.Field, partition: Mapping[str, str], n: int) -> pa.ChunkedArray:
    if field.name in partition:
        return pa.chunked_array([pa.repeat(pa.scalar(partition[field.name], field.type), n)])
    if field.name not in rows.schema.names:
        return pa.chunked_array([pa.nulls(n, field.type)])
    return rows[field.name].cast(field.type)
