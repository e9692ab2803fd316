"""Files with a schema of their own: how a contract's columns are found in it, and how a split carries it along."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.contract import Column, Contract
from ...schemas.errors import UsageError
from .castable import castable
from .near_names import is_it
from .text import unreadable

FieldPath = tuple[str, ...]
"""A column's name, and the fields of records to go on with."""
_SHOWN_NAMES = 20


def column_problems(contract: Contract) -> Iterator[str]:
    """Columns that cannot be meant, whatever the file holds."""
    for name, column in contract.columns.items():
        if problem := unreadable(column):
            yield f"column {name}: {problem}"


def check_schema(path: str, schema: pa.Schema, contract: Contract) -> None:
    """Makes sure that a file has all columns of a contract, but for optional ones, and that they can be cast.

    Raises:
      UsageError: naming the file and every column that is amiss.
    """
    found = (_problem(name, column, schema) for name, column in contract.columns.items())
    if problems := [f"{path}: {problem}" for problem in found if problem]:
        raise UsageError("\n".join(problems))


def _problem(name: str, column: Column, schema: pa.Schema) -> str | None:
    source = column.source or name
    try:
        at = path_of(schema, source)
    except ValueError as error:
        return str(error)
    if at is None:
        return None if column.optional else _lacking(name, source, schema)
    refused = castable(type_at(schema, at), column)
    return f"column {source}{'' if source == name else f' for column {name}'} {refused}" if refused else None


def _lacking(name: str, source: str, schema: pa.Schema) -> str:
    known = schema.names[:_SHOWN_NAMES] + (["…"] if len(schema.names) > _SHOWN_NAMES else [])
    asked = f"{source!r}{'' if source == name else f' for column {name}'}"
    return f"lacks {asked}{is_it(source, schema.names)}; it has {', '.join(known) or 'no columns'}"


def path_of(schema: pa.Schema, source: str) -> FieldPath | None:
    """Where a column lies: its name, or `a.b` for the field b of a column a that holds records.

    Returns:
      Names from the outermost in; None when there is no such column.

    Raises:
      ValueError: when there are two, as the rest of a sentence that begins with the file.
    """
    names = [source] if schema.get_all_field_indices(source) else source.split(".")
    found = len(schema.get_all_field_indices(names[0]))
    if found > 1:
        raise ValueError(f"has {found} columns named {names[0]!r}; rename them")
    if not found:
        return None
    type = schema.field(names[0]).type
    for name in names[1:]:
        if not pa.types.is_struct(type) or type.get_field_index(name) < 0:
            return None
        type = type.field(name).type
    return tuple(names)


def type_at(schema: pa.Schema, path: FieldPath) -> pa.DataType:
    """The type of what lies at a path."""
    type = schema.field(path[0]).type
    for name in path[1:]:
        type = type.field(name).type
    return type


def values_at(rows: pa.RecordBatch, path: FieldPath) -> pa.Array:
    """The values that lie at a path; null where a record on the way is."""
    values = rows.column(path[0])
    for name in path[1:]:
        values = pc.struct_field(values, name)
    return values


def paths_of(schema: pa.Schema, contract: Contract) -> list[FieldPath | None]:
    """Where each column of a contract lies; None for those that are not there."""
    return [path_of(schema, column.source or name) for name, column in contract.columns.items()]


def packed(schema: pa.Schema) -> tuple[str, ...]:
    """A schema as the one entry of a split's header."""
    plain = pa.schema([field.remove_metadata() for field in schema])
    return (base64.b64encode(zlib.compress(plain.serialize().to_pybytes())).decode(),)


@lru_cache(maxsize=64)
def unpacked(header: tuple[str, ...]) -> pa.Schema:
    """The schema that a split's header carries."""
    return pa.ipc.read_schema(pa.py_buffer(zlib.decompress(base64.b64decode(header[0]))))
