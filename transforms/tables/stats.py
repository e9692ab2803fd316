"""What the Delta log says of a data file: its rows, and the exact range of the columns it is looked up by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ... import storage


@dataclass(frozen=True)
class DataFile:
    """A Parquet file that is written and waits to be published.

    Attributes:
      path: relative to the table.
      size: bytes.
      rows: rows in it.
      min: column -> its smallest value, for the columns that bound the file; empty without rows.
      max: column -> its greatest value.
      nulls: column -> how many of its values are null.
    """

    path: str
    size: int
    rows: int
    min: Mapping[str, Any] = field(default_factory=dict)
    max: Mapping[str, Any] = field(default_factory=dict)
    nulls: Mapping[str, int] = field(default_factory=dict)

    @property
    def stats(self) -> str:
        """The statistics as JSON, as the Delta protocol spells them."""
        return json.dumps(
            {
                "numRecords": self.rows,
                "minValues": {name: _spelled(value) for name, value in self.min.items()},
                "maxValues": {name: _spelled(value) for name, value in self.max.items()},
                "nullCount": dict(self.nulls),
            },
            ensure_ascii=False,
        )


def data_file(table: str, path: str, bound: str | None = None) -> DataFile:
    """Describes a written data file by its footer, and reads nothing else of it.

    Args:
      table: the table's folder.
      path: the file, relative to it.
      bound: column whose min and max go into the log: the key's first.

    Raises:
      FileNotFoundError: when the file is not there.
    """
    with storage.open_input(storage.join(table, path)) as file:
        size, footer = file.size(), pq.ParquetFile(file).metadata
    columns = {name: statistics(footer, name) for name in plain_columns(footer)}
    ends = _ends(columns[bound]) if bound else None
    return DataFile(
        path,
        size,
        footer.num_rows,
        min={bound: ends[0]} if bound and ends else {},
        max={bound: ends[1]} if bound and ends else {},
        nulls={name: count for name, groups in columns.items() if (count := _nulls(groups)) is not None},
    )


def plain_columns(footer: pq.FileMetaData) -> dict[str, int]:
    """Top-level columns that hold no lists or structs -> their position in a row group."""
    schema = footer.schema.to_arrow_schema()
    paths = {footer.schema.column(i).path: i for i in range(footer.num_columns)}
    return {f.name: paths[f.name] for f in schema if not pa.types.is_nested(f.type) and f.name in paths}


def statistics(footer: pq.FileMetaData, name: str) -> list[pq.Statistics | None]:
    """A column's statistics, row group by row group; None where the writer left them out."""
    column = plain_columns(footer)[name]
    return [footer.row_group(i).column(column).statistics for i in range(footer.num_row_groups)]


def _ends(groups: list[pq.Statistics | None]) -> tuple[Any, Any] | None:
    """Smallest and greatest value, or None where a row group does not tell or there is none."""
    if not groups or not all(group and group.has_min_max for group in groups):
        return None
    return min(group.min for group in groups if group), max(group.max for group in groups if group)


def _nulls(groups: list[pq.Statistics | None]) -> int | None:
    """How many values are null, or None where a row group does not tell."""
    counts = [group.null_count if group and group.has_null_count else None for group in groups]
    return None if None in counts else sum(count for count in counts if count)


def _spelled(value: Any) -> Any:
    """A value as JSON statistics carry it: times in UTC with Z, in milliseconds where that is exact."""
    if isinstance(value, datetime):
        exact = "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
        return value.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec=exact) + "Z"
    return value.isoformat() if isinstance(value, date) else value
