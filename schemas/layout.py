"""Where everything lies: every path Highbeam writes to is made here."""

from __future__ import annotations

import datetime
import os
import re
from dataclasses import dataclass

from .. import storage
from .job import Job

ARCHIVE = ".zip"
SUBMITTED = ".submitted"
_DATE = re.compile(r"\{date(?::([^}]*))?\}")
_FORMAT = re.compile(r"(?:[^%]|%[%YymdjbBaAGVuUW])*")
_PART = re.compile(r"%[^%]")
_WORD = re.compile(r"\{(?!date[:}]) *\w+ *(?::[^{}]*)?\}")


def place_problem(place: str) -> str | None:
    """Why a place cannot be used, or None."""
    if is_url(place) and storage.scheme(place) not in storage.SCHEMES:
        return f"{place}: no such store is known; write a local path, s3://bucket/… or gs://bucket/…"
    return None


def date_problem(text: str) -> str | None:
    """Why the night's date cannot be filled in, or None: a `{date:…}` whose format is none of a date."""
    for found in _DATE.finditer(text):
        format = found[1]
        if format is not None and not (_FORMAT.fullmatch(format) and _PART.search(format)):
            return f"{found[0]}: no format of a date; write {{date}}, or {{date:%Y%m%d}} with parts of strftime's"
    return None


def braces_problem(place: str) -> str | None:
    """Why a path with the night's date in it cannot be used, or None; what else stands in braces would be no file's."""
    if found := _WORD.search(place):
        return f"{found[0]} is not known; the night's date is {{date}}, or {{date:%Y%m%d}}"
    return date_problem(place)


def is_url(place: str) -> bool:
    """Whether a path is one of a store, and not of this machine."""
    return storage.scheme(place) is not None


def resolve(folder: str, place: str) -> str:
    """A path of job.yaml, made absolute against the job's folder."""
    if is_url(place):
        return place.rstrip("/")
    return os.path.normpath(os.path.join(folder, os.path.expanduser(place)))


def has_date(place: str) -> bool:
    """Whether a path names `{date}`."""
    return bool(_DATE.search(place))


def fill_date(place: str, date: str) -> str:
    """Fills `{date}` and `{date:%Y%m%d}` in a path.

    Args:
      place: a path of job.yaml.
      date: YYYY-MM-DD.
    """
    night = datetime.date.fromisoformat(date)
    return _DATE.sub(lambda match: night.strftime(match[1] or "%Y-%m-%d"), place)


@dataclass(frozen=True)
class Layout:
    """The paths of one job.

    Attributes:
      table: folder of the table's data files; the Delta table's own.
      state: folder of staging, runs and rejects.
      output: the table as people name it: its folder, or BigQuery's name for it.
    """

    table: str
    state: str
    output: str

    @property
    def rejects(self) -> str:
        """The Delta table of rejects."""
        return os.path.join(self.state, "rejects")

    def partition(self, date: str) -> str:
        """Folder of a night's published files."""
        return os.path.join(self.table, f"date={date}")

    def data_file(self, date: str, run_id: str, number: int, sha256: str) -> str:
        """Name of a published file, relative to the table; no two contents ever share it."""
        return f"date={date}/{run_id}-{number:05d}-{sha256[:16]}.parquet"

    def runs(self, date: str | None = None) -> str:
        """Folder of a date's manifests, or of all dates."""
        return os.path.join(self.state, "runs", *([date] if date else []))

    def manifest(self, date: str, attempt: int, score_id: str, launch: str) -> str:
        """The manifest of one launch."""
        return os.path.join(self.runs(date), f"{attempt:04d}-{score_id}-{launch}.json")

    def submission(self, date: str, attempt: int, score_id: str, launch: str) -> str:
        """What is known of a launch that nobody waited for, until its manifest is written."""
        return self.manifest(date, attempt, score_id, launch).removesuffix(".json") + SUBMITTED

    def kept_plan(self, date: str, run_id: str) -> str:
        """The plan of a run that turned rows away, kept for their replay."""
        return os.path.join(self.state, "plans", date, f"{run_id}.json")

    def sessions(self, date: str) -> str:
        """Folder of the read sessions that runs of a date were planned with, where the source is BigQuery."""
        return os.path.join(self.state, "sessions", date)

    def staging(self, score_id: str) -> str:
        """Folder of everything scored under one score_id."""
        return os.path.join(self.state, "staging", score_id)

    def staged(self, score_id: str, split_id: str) -> str:
        """The staged object of one split."""
        return os.path.join(self.staging(score_id), f"{split_id}.staged")

    def prepared(self, score_id: str, split_id: str) -> str:
        """The features of one split, for workers that run the model alone."""
        return os.path.join(self.staging(score_id), f"{split_id}.prepared")

    def plan(self, score_id: str, launch: str) -> str:
        """The plan of one launch, as its workers read it."""
        return os.path.join(self.staging(score_id), f"plan-{launch}.json")

    def code(self, score_id: str) -> str:
        """The archive of the user's code."""
        return os.path.join(self.staging(score_id), f"code{ARCHIVE}")

    def records(self, score_id: str, split_id: str) -> str:
        """The rejects that one split of a replay scores again."""
        return os.path.join(self.staging(score_id), f"{split_id}-records.arrow")

    def cells(self, score_id: str, run_id: str) -> str:
        """The plan of the cells of one publication."""
        return os.path.join(self.staging(score_id), f"{run_id}-cells.json")

    def cell(self, score_id: str, run_id: str, number: int) -> str:
        """The staged object of one cell."""
        return os.path.join(self.staging(score_id), f"{run_id}-cell-{number:06d}.staged")

    def ranges(self, score_id: str, run_id: str) -> str:
        """What the merge tasks of one publication are to take."""
        return os.path.join(self.staging(score_id), f"{run_id}-ranges.json")

    def merge_report(self, score_id: str, run_id: str, number: int, of: int) -> str:
        """What one merge task took and wrote."""
        return os.path.join(self.staging(score_id), f"{run_id}-merge-{number:05d}-of-{of:05d}.arrow")


def layout(job: Job) -> Layout:
    """The layout of a job."""
    if job.output.delta:
        table = resolve(job.folder, job.output.delta.path)
        state = resolve(job.folder, job.state) if job.state else os.path.join(table, "_highbeam")
        return Layout(table, state, table)
    assert job.output.bigquery
    state = resolve(job.folder, job.state or "_highbeam")  # the rules refuse a job without
    staging, name = job.output.bigquery.staging, job.output.bigquery.table
    folder = os.path.join(resolve(job.folder, staging), name) if staging else os.path.join(state, "published")
    return Layout(folder, state, name)
