"""Finds rows of the predictions table by key: never a scan.

The Delta log's statistics say which files may hold a key, those in a file's footer which row groups; of these the
key is decoded, and only where it matches the rest of the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from ... import storage
from ...schemas.errors import Unpublished, UsageError
from .asked import Asked, positions
from .base import PARTITION, Visit
from .base import Found as Found
from .columns import conform
from .log import arrow_schema, entries, open_table
from .stats import plain_columns, statistics

_GROUPS_AT_ONCE = 16


def lookup(
    path: str,
    key: Sequence[str],
    keys: pa.Table | pa.Array,
    date: str | None = None,
    all_dates: bool = False,
) -> pa.Table:
    """Finds the rows of some keys. Arguments, order and errors are those of `search`."""
    return search(path, key, keys, date, all_dates).rows


def search(
    path: str,
    key: Sequence[str],
    keys: pa.Table | pa.Array,
    date: str | None = None,
    all_dates: bool = False,
) -> Found:
    """Finds the rows of some keys, and tells which key each row answers.

    Args:
      path: the table's folder.
      key: the key's columns.
      keys: a table that has these columns, or the values of a key of one column; a key asked twice is answered twice.
      date: the night; the newest published one without it.
      all_dates: all nights instead.

    Raises:
      Unpublished: when nothing is published, or not that night.
      UsageError: when there is no key, or the table lacks it, or a key is not of its type.
    """
    table = open_table(path)
    files = entries(table) if table else None
    if table is None or files is None or not files.num_rows:
        raise Unpublished(f"{path}: no night is published yet; `highbeam run` publishes one")
    nights = _nights(path, files, date, all_dates)
    schema = _key_schema(path, table, key, nights[-1])
    asked = Asked.of(_tabled(keys, key), schema)
    return _collect(path, arrow_schema(table), asked, _candidates(files, nights, asked))


def _nights(path: str, files: pa.Table, date: str | None, all_dates: bool) -> list[str]:
    """The nights to look in, oldest first."""
    published = sorted(pc.unique(files[f"partition.{PARTITION}"]).to_pylist())
    if date is not None and date not in published:
        raise Unpublished(f"{path}: {date} was never published; the newest published night is {published[-1]}")
    return published if all_dates else [date or published[-1]]


def _key_schema(path: str, table: DeltaTable, key: Sequence[str], newest: str) -> pa.Schema:
    if not key:
        raise UsageError(
            f"{path}: the job has no key to look rows up by, give it one; the newest published night is {newest}"
        )
    schema = arrow_schema(table)
    if missing := [name for name in key if name not in schema.names]:
        raise UsageError(f"{path}: the table has no column {', '.join(missing)}; run the job again with this key")
    return pa.schema([schema.field(name) for name in key])


def _tabled(keys: pa.Table | pa.Array, key: Sequence[str]) -> pa.Table:
    if isinstance(keys, (pa.Array, pa.ChunkedArray)):
        return pa.table([keys], names=list(key))
    missing = [name for name in key if name not in keys.schema.names]
    if missing:
        raise UsageError(f"a key is made of {', '.join(key)}; {', '.join(missing)} is missing")
    return pa.table([keys[name] for name in key], names=list(key))


def _candidates(files: pa.Table, nights: Sequence[str], asked: Asked) -> list[tuple[str, str]]:
    """(file, night) of the files that may hold a key, by the log, in the table's order."""
    dates = files[f"partition.{PARTITION}"]
    files = files.filter(pc.is_in(dates, value_set=pa.array(nights, pa.string())))
    field = asked.distinct.schema.field(0)
    first, last = asked.spans(*([_bound(files, f"{end}.{field.name}", field.type)] for end in ("min", "max")))
    held = files.filter(pa.array(last > first))
    return list(zip(held["path"].to_pylist(), held[f"partition.{PARTITION}"].to_pylist(), strict=True))


def _bound(files: pa.Table, name: str, type: pa.DataType) -> pa.Array:
    """A column of the log's statistics; null where a writer left it out."""
    if name not in files.schema.names:
        return pa.nulls(files.num_rows, type)
    return files[name].combine_chunks().cast(type)


def _collect(path: str, schema: pa.Schema, asked: Asked, candidates: list[tuple[str, str]]) -> Found:
    tables, places, visits = [schema.empty_table()], [np.empty(0, np.int64)], []
    for file, date in candidates:
        with storage.open_input(storage.join(path, file)) as source:
            parquet = pq.ParquetFile(source)
            first, last = _row_group_spans(parquet.metadata, asked)
            groups = np.flatnonzero(last > first)
            visits.append(Visit(file, date, tuple(groups.tolist()), parquet.num_row_groups))
            for some in _chunks(groups):
                rows, place = _matching(parquet, some, asked, first[some].min(), last[some].max(), schema)
                tables.append(conform(rows, schema, {PARTITION: date}))
                places.append(place)
    numbers, rows = asked.expand(np.concatenate(places))
    return Found(pa.concat_tables(tables).take(pa.array(rows)), pa.array(numbers), tuple(visits))


def _row_group_spans(footer: pq.FileMetaData, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """Which keys each row group may hold, by the footer's statistics of all columns of the key."""
    smallest, greatest = [], []
    if not set(asked.distinct.schema.names) <= set(plain_columns(footer)):  # a night before it had this key
        return np.empty(0, np.int64), np.empty(0, np.int64)
    for field in asked.distinct.schema:
        known = [group if group and group.has_min_max else None for group in statistics(footer, field.name)]
        smallest.append(pa.array([group and group.min for group in known], field.type))
        greatest.append(pa.array([group and group.max for group in known], field.type))
    return asked.spans(smallest, greatest)


def _chunks(groups: np.ndarray) -> Iterator[np.ndarray]:
    """A few row groups at a time, so that memory holds answers and not files."""
    return (groups[i : i + _GROUPS_AT_ONCE] for i in range(0, len(groups), _GROUPS_AT_ONCE))


def _matching(
    parquet: pq.ParquetFile, groups: np.ndarray, asked: Asked, first: int, last: int, schema: pa.Schema
) -> tuple[pa.Table, np.ndarray]:
    """Rows of some row groups whose key is among `distinct[first:last]`, and which key that is."""
    sought = asked.distinct.slice(first, last - first)
    place = positions(parquet.read_row_groups(groups.tolist(), columns=sought.schema.names), sought)
    sizes = np.array([parquet.metadata.row_group(int(group)).num_rows for group in groups])
    hit = np.flatnonzero(place >= 0)
    of = np.repeat(np.arange(len(groups)), sizes)[hit]
    # Whole rows only of the row groups that do hold a key; rows before them in the others do not count.
    holding = np.zeros(len(groups), bool)
    holding[of] = True
    skipped = np.cumsum(np.where(holding, 0, sizes))
    if not len(hit):
        return schema.empty_table(), place[hit]
    full = parquet.read_row_groups(groups[holding].tolist(), columns=schema.names)
    return full.take(pa.array(hit - skipped[of])), place[hit] + first
