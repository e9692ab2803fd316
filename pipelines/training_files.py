"""Which files an analysis reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..schemas.dates import days_between, resolve_date
from ..schemas.errors import NotAvailable, UsageError
from ..schemas.job import Job
from ..schemas.join import Side, joined_columns
from ..schemas.layout import fill_date, has_date
from ..schemas.sources import BigQueryRows, Files, Source
from ..schemas.split import Split
from ..transforms.join_plan import plan_sides
from ..transforms.list_files import check_ready
from ..transforms.plan_splits import plan_splits


def training_source(job: Job, date_from: str | None, date_to: str | None) -> Source:
    """What to read: the training source, or the nightly one, with every date filled in.

    Args:
      job: the job.
      date_from: first night, YYYY-MM-DD, `today` or `yesterday`.
      date_to: last night, included.

    Raises:
      UsageError: when paths name the date and there is none, or there is one and no path names it; when a night is
        not ready.
    """
    training = job.training.source if job.training else None
    nightly, inputs = training is None, training or job.source
    dates = _dates(date_from, date_to)
    if isinstance(inputs.files, BigQueryRows):
        raise NotAvailable(
            "source.bigquery: analyze of BigQuery is not available yet; export rows to files, and name them as "
            "training.source"
        )
    _check_named(inputs.files, dates, f"{'source' if nightly else 'training.source'}.{inputs.format}.path")
    for date in dates if nightly else ():
        check_ready(job.source.ready, job.folder, date)
    paths = tuple(dict.fromkeys(path for place in inputs.files.path for path in _filled(place, dates)))
    # Made anew, since a copy would keep what was computed of the original.
    own = {name: getattr(job.source, name) for name in ("min_rows", "split_size", "max_record_bytes")}
    return Source(**own, **inputs.at(paths))


def training_splits(job: Job, source: Source) -> list[Split]:
    """The splits of a training source. Raises UsageError as `plan_splits` does."""
    held = job.training_contract.without(joined_columns(job.join))
    return plan_splits(source, held, job.folder, None)


def training_sides(job: Job, date_from: str | None, date_to: str | None) -> tuple[Side, ...]:
    """The side tables of a training: those whose paths name the date, of all its nights together."""
    return plan_sides(job, _dates(date_from, date_to))


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


def _check_named(files: Files, dates: Sequence[str], key: str) -> None:
    named = [place for place in files.path if has_date(place)]
    if named and not dates:
        raise UsageError(f"{key}: {named[0]} names a date; say which with --from D --to D, or give training.source")
    if dates and not named:
        raise UsageError(f"{key} names no {{date}}, so --from and --to choose nothing; leave them out")


def _filled(place: str, dates: Sequence[str]) -> Iterator[str]:
    """A path for each date, or the path itself where it names none."""
    yield from (fill_date(place, date) for date in dates) if has_date(place) else (place,)
