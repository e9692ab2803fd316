"""Which files an analysis reads, or which rows of BigQuery."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..schemas.dates import days_between, resolve_date
from ..schemas.errors import UsageError
from ..schemas.job import Job
from ..schemas.join import Side, joined_columns
from ..schemas.layout import fill_date, has_date
from ..schemas.sources import BigQueryRows, Inputs, Source
from ..schemas.split import Split
from ..transforms.join_plan import plan_sides
from ..transforms.list_files import check_ready
from ..transforms.plan_splits import check_source, plan_splits

_PARAMETER = re.compile(r"(?<!@)@date\b", re.IGNORECASE)
"""The night in a query; `@@` begins a variable of BigQuery's own."""


def training_source(job: Job, date_from: str | None, date_to: str | None) -> Source:
    """What to read: the training source, or the nightly one, with every date filled into its paths.

    Args:
      job: the job.
      date_from: first night, YYYY-MM-DD, `today` or `yesterday`.
      date_to: last night, included.

    Raises:
      UsageError: when the date is named and there is none, or there is one and nothing names it; when a night is not
        ready.
    """
    training = job.training.source if job.training else None
    inputs = training or job.source
    dates = _dates(date_from, date_to)
    _check_named(inputs, dates, _key(job))
    for date in () if training else dates:
        check_ready(job.source.ready, job.folder, date)
    # Made anew, since a copy would keep what was computed of the original.
    own = {name: getattr(job.source, name) for name in ("min_rows", "split_size", "max_record_bytes")}
    if isinstance(inputs.files, BigQueryRows):
        return Source(**own, bigquery=inputs.files)
    paths = tuple(dict.fromkeys(path for place in inputs.files.path for path in _filled(place, dates)))
    return Source(**own, **inputs.at(paths))


def training_splits(job: Job, source: Source, date_from: str | None = None, date_to: str | None = None) -> list[Split]:
    """The splits of a training source; of BigQuery those of sessions that are made now.

    Args:
      job: the job.
      source: what `training_source` gave.
      date_from: first night, for rows of BigQuery; paths have their dates already.
      date_to: last night.

    Raises:
      UsageError: as `plan_splits` and `training_sessions`.
    """
    held = job.training_contract.without(joined_columns(job.join))
    if source.bigquery is None:
        return plan_splits(source, held, job.folder, None)
    from ..transforms.training_sessions import training_sessions  # Google's libraries take their time

    check_source(source, held)
    return training_sessions(source.bigquery, _key(job), _dates(date_from, date_to), held, source.split_size)


def training_sides(job: Job, date_from: str | None, date_to: str | None) -> tuple[Side, ...]:
    """The side tables of a training: those whose paths name the date, of all its nights together."""
    return plan_sides(job, _dates(date_from, date_to))


def _key(job: Job) -> str:
    """Where job.yaml says what is read."""
    training = job.training.source if job.training else None
    return f"training.source.{training.format}" if training else f"source.{job.source.format}"


def _dates(date_from: str | None, date_to: str | None) -> list[str]:
    if date_from is None and date_to is None:
        return []
    if date_from is None or date_to is None:
        given, lacking = ("--to", "--from") if date_from is None else ("--from", "--to")
        raise UsageError(f"{given} needs {lacking} as well: both ends of the range are read")
    first, last = resolve_date(date_from), resolve_date(date_to)
    if first > last:
        raise UsageError(f"--from {first} is after --to {last}")
    return days_between(first, last)


def _check_named(inputs: Inputs, dates: Sequence[str], key: str) -> None:
    named = next(_dated(inputs, key), None)
    if named and not dates:
        instead = "" if key.startswith("training") else ", or give training.source"
        raise UsageError(f"{named} names a date; say which with --from D --to D{instead}")
    if dates and not named:
        what = key if inputs.format == "bigquery" else f"{key}.path"
        raise UsageError(f"{what} names no {{date}}, so --from and --to choose nothing; leave them out")


def _dated(inputs: Inputs, key: str) -> Iterator[str]:
    """What of a source names the date, for people."""
    files = inputs.files
    if not isinstance(files, BigQueryRows):
        yield from (f"{key}.path: {place}" for place in files.path if has_date(place))
        return
    for name in ("table", "where", "query"):
        text = getattr(files, name) or ""
        if has_date(text) or (name == "query" and _PARAMETER.search(text)):
            yield f"{key}.{name}"


def _filled(place: str, dates: Sequence[str]) -> Iterator[str]:
    """A path for each date, or the path itself where it names none."""
    yield from (fill_date(place, date) for date in dates) if has_date(place) else (place,)
