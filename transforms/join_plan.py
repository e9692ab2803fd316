"""Finds side tables before launch: their files as they are now, and what cannot work."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import pyarrow as pa

from ..schemas.errors import Problems, UsageError
from ..schemas.job import Job
from ..schemas.join import Join, Side, side_of
from ..schemas.layout import fill_date, has_date, is_url, resolve
from ..schemas.sources import Source
from ..schemas.split import Split
from .formats.schema import check_schema, column_problems
from .plan_splits import plan_splits
from .tables.log import OF_OTHERS, arrow_schema, open_table

MOST_BYTES = 1 << 30
"""Of a side table, its files and what becomes of them in memory: more is the warehouse's work."""
MOST_ROWS = 20_000_000


def plan_sides(job: Job, dates: Sequence[str], skip_dated: bool = False) -> tuple[Side, ...]:
    """Plans what is looked up in.

    Args:
      job: the job.
      dates: the nights, as YYYY-MM-DD; a path that names the date is read for each of them.
      skip_dated: whether tables are left out whose path names the date, where there is no date.

    Returns:
      The side tables, in the job's order; none for a job without.

    Raises:
      UsageError: everything that is wrong with any of them.
    """
    sides, problems = [], Problems()
    for name, join in job.join.items():
        if skip_dated and not dates and any(map(has_date, join.paths)):
            continue
        with problems.part():
            sides.append(_planned(name, join, job, dates))
    problems.raise_all()
    return tuple(sides)


def _planned(name: str, join: Join, job: Job, dates: Sequence[str]) -> Side:
    side = side_of(name, join, job.columns)
    try:
        splits = [_delta(side, job.folder)] if join.delta else _files(side, job.folder, dates)
        _check_size(splits)
    except UsageError as error:
        raise UsageError("\n".join(f"join.{name}: {line}" for line in str(error).splitlines())) from error
    return side_of(name, join, job.columns, splits)


def _files(side: Side, folder: str, dates: Sequence[str]) -> list[Split]:
    dated = [path for path in side.join.paths if has_date(path)]
    if dated and not dates:
        raise UsageError(f"{dated[0]}: the path needs the night's date, and none is given")
    paths = [fill_date(path, date) for path in side.join.paths for date in (dates if has_date(path) else ("",)) if date]
    paths += [path for path in side.join.paths if not has_date(path)]
    inputs = side.join.at(tuple(dict.fromkeys(paths))).inputs
    return plan_splits(Source(parquet=inputs.parquet, csv=inputs.csv), side.contract, folder, None)


def _delta(side: Side, folder: str) -> Split:
    """A split that stands for a Delta table at its newest version."""
    assert side.join.delta is not None
    path = resolve(folder, side.join.delta.path)
    if problems := list(column_problems(side.contract)):
        raise UsageError("\n".join(problems))
    table = open_table(path, OF_OTHERS)
    if table is None:
        raise UsageError(f"{path}: no Delta table there; correct the path")
    check_schema(path, arrow_schema(table), side.contract)
    sizes = pa.table(table.get_add_actions(flatten=True))["size_bytes"].to_pylist()
    mark = f"{table.metadata().id}@{table.version()}"
    return Split(0, path, _name(side.join.delta.path), sum(sizes), mark, 0, None)


def _name(path: str) -> str:
    return path if is_url(path) else pathlib.PurePath(path).as_posix()


def _check_size(splits: Sequence[Split]) -> None:
    size = sum({split.path: split.size for split in splits}.values())
    if size > MOST_BYTES:
        raise UsageError(too_large(f"{size:,} bytes of files"))


def too_large(found: str) -> str:
    """What is said of a table that no worker should hold."""
    return (
        f"{found}; a side table has at most {MOST_ROWS:,} rows and {MOST_BYTES >> 30} GiB, since every worker holds "
        "it: leave rows and columns out that no night needs, or join in the warehouse before the night is written"
    )
