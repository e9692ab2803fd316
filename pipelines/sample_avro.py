"""The beginning of an Avro file as a table."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from .. import storage
from ..transforms.formats.avro_types import arrow_schema
from .sample_text import table_of

MAP = pa.map_(pa.string(), pa.null())
"""Stands for a map of any values. A decoder gives it as it gives a record: only the file's schema tells them apart."""


def read_avro(path: str, limit: int) -> tuple[pa.Table, dict[str, tuple[int, Any]], bool]:
    """Reads the first rows of a file.

    Args:
      path: the file.
      limit: rows to read at most.

    Returns:
      (table, wrong, whole): as `table_of` gives them, a map as a column of nulls; and whether these are all rows.

    Raises:
      What fastavro raises.
    """
    import fastavro

    with io.BufferedReader(storage.open_input(path)) as source:
        reader = fastavro.reader(source)
        schema = arrow_schema(reader.writer_schema)
        records: list[Any] = list(itertools.islice(reader, limit + 1))
    table, wrong = table_of([_without_maps(record, schema) for record in records[:limit]])
    for name in dict.fromkeys(_maps("", schema)):
        table = table.append_column(name, pa.nulls(table.num_rows, MAP))
    return table, wrong, len(records) <= limit


def _maps(path: str, fields: Iterable[pa.Field]) -> Iterable[str]:
    """The paths of maps."""
    for field in fields:
        if _is_map(field.type):
            yield f"{path}{field.name}"
        elif pa.types.is_struct(field.type):
            yield from _maps(f"{path}{field.name}.", field.type)


def _without_maps(record: Mapping[str, Any], fields: Iterable[pa.Field]) -> dict[str, Any]:
    """A record without its maps, which may have a key of their own in every row."""
    return {field.name: _inner(record[field.name], field.type) for field in fields if not _is_map(field.type)}


def _inner(value: Any, type: pa.DataType) -> Any:
    return _without_maps(value, type) if pa.types.is_struct(type) and isinstance(value, dict) else value


def _is_map(type: pa.DataType) -> bool:
    """Whether a type is a map, or may be one."""
    if pa.types.is_union(type):
        return any(_is_map(branch.type) for branch in type)
    return bool(pa.types.is_map(type))
