"""One table's Delta log: which files a partition holds, and how they are replaced by others.

delta-rs tries a failed commit again by itself, and then lets two overwrites of a partition that was empty
both stand. Here it may not: a commit lands as the version right after the one its partition was looked at in,
or it fails, and the partition is looked at again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from ... import storage
from ...schemas.errors import HighbeamError, UsageError
from .stats import DataFile

TURNS = 20
"""How often a commit is tried against others before the run gives up."""

_UNDERSTOOD = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}

OF_OTHERS = "drop that feature from the table, or name a copy that is written without it"
"""What to do about a table that is not ours to publish to."""

Settled = Callable[[Sequence[str]], bool]
"""Told the partition's files now: true when nothing is left to do; raises when nothing may be done."""


def open_table(path: str, remedy: str = "publish to another path") -> DeltaTable | None:
    """The newest version of a table, or None where there is no table.

    Args:
      path: the table's folder.
      remedy: what to do about a table that cannot be read; `OF_OTHERS` for one that is only read.

    Raises:
      UsageError: when files of the table cannot be read on their own.
      StorageError: when its store cannot be read.
    """
    try:
        table = DeltaTable(path, storage_options=storage.delta_options(path))
    except TableNotFoundError:
        return None
    except Exception:
        if storage.scheme(path):
            storage.listing(path)  # where the store itself is what fails, this says so in words
        raise
    protocol = table.protocol()
    unknown = set(protocol.reader_features or ()) - _UNDERSTOOD
    if unknown or protocol.min_reader_version == 2:
        named = ", ".join(sorted(unknown)) or "columnMapping"
        raise UsageError(f"{path}: the table uses {named}, which is not supported; {remedy}")
    return table


def open_or_create(path: str, schema: pa.Schema, partition: Sequence[str] = ("date",), bounded: int = 0) -> DeltaTable:
    """The table, made empty if there was none; of several that make it at once one does.

    Args:
      path: the table's folder.
      schema: all columns, as `columns.table_schema` gives them.
      partition: the columns it is partitioned by.
      bounded: how many of its first columns have a smallest and a greatest value in the log. The table has to say
        so: of the others deltalake takes these for null, and a filter of its dataset finds no rows.
    """
    if table := open_table(path):
        return table
    try:
        return DeltaTable.create(
            path,
            Schema.from_arrow(schema),
            mode="error",
            partition_by=list(partition),
            configuration={"delta.dataSkippingNumIndexedCols": str(bounded)},
            commit_properties=CommitProperties(max_commit_retries=0),
            storage_options=storage.delta_options(path),
        )
    except (DeltaError, CommitFailedError):
        if table := open_table(path):
            return table
        raise


def arrow_schema(table: DeltaTable) -> pa.Schema:
    """The table's columns, partition columns included."""
    return pa.schema(table.schema().to_arrow())


def entries(table: DeltaTable) -> pa.Table:
    """The files that make up the table now, by path.

    Returns:
      One row a file: `path` relative to the table, `size_bytes`, `num_records`, `partition.NAME`, and
      `min.NAME`, `max.NAME` and `null_count.NAME` where some file has them.
    """
    files = pa.table(table.get_add_actions(flatten=True))
    paths = pa.array([unquote(path) for path in files["path"].to_pylist()], pa.string())
    return files.set_column(files.schema.get_field_index("path"), "path", paths).sort_by("path")


def entries_of(table: DeltaTable, partition: Mapping[str, str]) -> pa.Table:
    """The files of one partition, as `entries` describes them."""
    files = entries(table)
    for name, value in partition.items():
        files = files.filter(pc.equal(files[f"partition.{name}"], value))
    return files


def paths_of(table: DeltaTable, partition: Mapping[str, str]) -> list[str]:
    """The files of one partition, relative to the table, by path."""
    paths: list[str] = entries_of(table, partition)["path"].to_pylist()
    return paths


def replace_partition(
    path: str,
    partition: Mapping[str, str],
    files: Sequence[DataFile],
    schema: Callable[[pa.Schema], pa.Schema],
    settled: Settled,
    metadata: Mapping[str, Any],
) -> int:
    """Makes some written files the whole of a partition, in one transaction.

    Others may publish at the same time, to this partition or to others. An answer that was lost is looked up:
    where the commit did land, this returns as if it had been told so.

    Args:
      path: the table's folder; the table exists.
      partition: column -> value; names one partition.
      files: what it is to hold.
      schema: from the table's schema to the one it shall have; raises when they do not fit.
      settled: whether the partition's files are the wanted ones already; raises when they must stay.
      metadata: goes into the commit, beside its time.

    Returns:
      A version of the table in which the partition holds the wanted files.

    Raises:
      HighbeamError: when others won `TURNS` times.
    """
    for turn in range(TURNS):
        time.sleep(_pause(turn))
        table = _existing(path)
        if settled(paths_of(table, partition)):
            return table.version()
        try:
            _overwrite(table, partition, files, schema(arrow_schema(table)), metadata)
        except CommitFailedError:
            continue
        except Exception:
            if not settled(paths_of(_existing(path), partition)):
                raise
        return _existing(path).version()
    raise HighbeamError(f"{path}: {TURNS} commits of others came first; nothing was published, run again")


def _existing(path: str) -> DeltaTable:
    table = open_table(path)
    if table is None:
        raise HighbeamError(f"{path}: the table was there a moment ago and is gone; nothing was published")
    return table


def _overwrite(
    table: DeltaTable,
    partition: Mapping[str, str],
    files: Sequence[DataFile],
    schema: pa.Schema,
    metadata: Mapping[str, Any],
) -> None:
    """Commits as the version after the one `table` shows, or fails."""
    now = int(time.time() * 1000)
    table.create_write_transaction(
        [AddAction(file.path, file.size, dict(partition), now, True, file.stats) for file in files],
        "overwrite",
        Schema.from_arrow(schema),
        partition_by=list(partition),
        partition_filters=[(name, "=", value) for name, value in partition.items()],
        commit_properties=CommitProperties(custom_metadata=dict(metadata), max_commit_retries=0),
    )


def _pause(turn: int) -> float:
    """Seconds to wait before a turn: none at first, then longer and never twice the same."""
    return random.uniform(0.5, 1.0) * min(0.02 * 2**turn, 1.0) if turn else 0.0
