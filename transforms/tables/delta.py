"""The predictions as a Delta table: one partition a night, replaced whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ... import storage
from ...schemas.errors import Refused, UsageError
from .base import MODEL_COLUMN, PARTITION, RUN, RUN_COLUMN, Current, last_run, superseded, unfit
from .columns import ROW_GROUP_ROWS, grown, table_schema
from .log import arrow_schema, entries, entries_of, open_or_create, open_table, replace_partition
from .stats import DataFile, data_file, plain_columns, statistics

__all__ = [
    "PARTITION",
    "ROW_GROUP_ROWS",
    "Current",
    "DataFile",
    "check_schema",
    "commit",
    "current",
    "data_file",
    "dates",
    "model_version",
    "open_or_create",
    "table_schema",
]

_FILE = re.compile(rf"date=[^/]+/{RUN.pattern}-\d+-[0-9a-f]{{16}}\.parquet")


def current(path: str, date: str) -> Current | None:
    """What a night's partition holds now, by its files and not by the table's history.

    Returns:
      None where the table or the partition does not exist.

    Raises:
      UsageError: when the partition holds files of no run of ours, or of several.
    """
    table = open_table(path)
    if table is None:
        return None
    files = entries_of(table, {PARTITION: date})
    paths: list[str] = files["path"].to_pylist()
    rows = int(pc.sum(files["num_records"]).as_py() or 0)
    if (run := _published_by(path, paths)) is None:
        return None
    return Current(run["run_id"], int(run["attempt"]), run["score_id"], tuple(paths), rows, table.version())


def model_version(path: str, now: Current) -> str | None:
    """The model version that scored a night, or None where its files hold no row or more than one version."""
    versions = {version for file in now.files for version in _constants(path, file, MODEL_COLUMN)}
    return versions.pop() if len(versions) == 1 else None


def dates(path: str) -> list[str]:
    """The nights that are published, oldest first; none where there is no table."""
    table = open_table(path)
    return sorted(pc.unique(entries(table)[f"partition.{PARTITION}"]).to_pylist()) if table else []


def check_schema(path: str, schema: pa.Schema) -> None:
    """Checks that a night of these columns could be published: a table may only grow by columns.

    Args:
      path: the table's folder; a table that does not exist takes any schema.
      schema: the columns as they are published.

    Raises:
      UsageError: when a column would be lost or change its type; names them all.
    """
    table = open_table(path)
    problems = grown(arrow_schema(table), table_schema(schema))[1] if table else []
    if problems:
        raise UsageError(unfit(path, problems))


def commit(
    path: str,
    date: str,
    files: Sequence[DataFile],
    schema: pa.Schema,
    run_id: str,
    attempt: int,
    metadata: Mapping[str, Any] | None = None,
    bounded: int = 1,
) -> int:
    """Replaces a night by files that are already written, in one Delta transaction.

    A reader sees the old night or the new one. Doing it twice is doing it once, and nights published at the
    same time do not disturb each other. No file is overwritten or removed.

    Args:
      path: the table's folder; the table is made if there is none.
      date: the night.
      files: all its files, named `date=DATE/RUN_ID-…`.
      schema: the columns as they are published.
      run_id: date, attempt and score_id.
      attempt: numbers this publication of the night.
      metadata: goes into the commit; JSON values.
      bounded: 1 where the files tell the range of the first column, 0 where they tell none; for a new table.

    Returns:
      A version of the table that holds the night.

    Raises:
      Superseded: when another run holds the night at this attempt or a later one.
      Refused: when the table has other columns by now than `check_schema` saw (`schema_changed`).
    """
    _check_names(date, files, run_id)
    columns = table_schema(schema)
    open_or_create(path, columns, bounded=bounded)
    return replace_partition(
        path,
        {PARTITION: date},
        files,
        lambda table: _fitting(path, table, columns),
        lambda paths: _settled(path, paths, run_id, attempt),
        {**(metadata or {}), "run_id": run_id},
    )


def _settled(path: str, paths: Sequence[str], run_id: str, attempt: int) -> bool:
    """Whether this run's files stand in the partition; raises where another's must stay."""
    now = _published_by(path, paths)
    if now is None or now["run_id"] == run_id:
        return now is not None
    if int(now["attempt"]) >= attempt:
        raise superseded(path, now["run_id"], run_id)
    return False


def _fitting(path: str, table: pa.Schema, ours: pa.Schema) -> pa.Schema:
    schema, problems = grown(table, ours)
    if problems:
        raise Refused(unfit(path, problems), "schema_changed")
    return schema


def _check_names(date: str, files: Sequence[DataFile], run_id: str) -> None:
    """File names are what `current` judges by: a wrong one must not get into the table."""
    for file in files:
        named = _FILE.fullmatch(file.path)
        if not named or named["run_id"] != run_id or not file.path.startswith(f"{PARTITION}={date}/"):
            raise ValueError(f"{file.path} does not name the night {date} and the run {run_id}")
    if not files:
        raise ValueError(f"{run_id} has no file: an empty night publishes one of zero rows")


def _published_by(path: str, paths: Sequence[str]) -> re.Match[str] | None:
    """The one run all files are of; None without files."""
    named = {match["run_id"] for file in paths if (match := _FILE.fullmatch(file))}
    renamed = {run for file in paths if not _FILE.fullmatch(file) for run in _runs_in(path, file)}
    run = _last_of(named, renamed)
    if paths and run is None:
        raise UsageError(
            f"{path}: {paths[0].rpartition('/')[0]} does not hold the files of one run of Highbeam, but of "
            f"{', '.join(sorted(named | renamed)) or 'others'}; delete that partition, or publish to another path"
        )
    return run


def _runs_in(path: str, file: str) -> set[str]:
    """The runs whose rows a file holds that a compaction has renamed; the file itself where they name none."""
    return _constants(path, file, RUN_COLUMN) or {file}


def _last_of(named: set[str], renamed: set[str]) -> re.Match[str] | None:
    """The run of the last attempt, if the others can be those whose rows it has kept, as a replay does.

    Args:
      named: runs that names of files tell: not more than one can be right.
      renamed: runs that rows of other files tell.
    """
    last = last_run(named | renamed) if len(named) < 2 else None
    return last if last and named <= {last["run_id"]} else None


def _constants(path: str, file: str, column: str) -> set[str]:
    """The values a column of text has, by the statistics in a file's footer: both ends of each row group."""
    with storage.open_input(storage.join(path, file)) as source:
        footer = pq.ParquetFile(source).metadata
    if column not in plain_columns(footer):
        return set()
    found = [group for group in statistics(footer, column) if group and group.has_min_max]
    return {str(value) for group in found for value in (group.min, group.max)}
