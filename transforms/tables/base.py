"""What a run needs of the table it publishes to, whichever kind of table that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from ...schemas.errors import Superseded

PARTITION = "date"
RUN_COLUMN, MODEL_COLUMN = "_run_id", "_model_version"
RUN = re.compile(r"(?P<run_id>\d{4}-\d\d-\d\d-(?P<attempt>\d+)-(?P<score_id>[0-9a-f]{16}))")


@dataclass(frozen=True)
class Current:
    """What a night's partition holds now.

    Attributes:
      run_id: the run that published it: date, attempt and score_id.
      attempt: numbers the publications of the night.
      score_id: digest of all that decided the predictions.
      files: its data files, relative to their folder.
      rows: predictions in them.
      version: the table's version this was seen in, where the table has versions.
    """

    run_id: str
    attempt: int
    score_id: str
    files: tuple[str, ...]
    rows: int
    version: int


@dataclass(frozen=True)
class Written:
    """A data file that the merge wrote.

    Attributes:
      file: relative to the folder of data files.
      size: bytes.
      rows: rows in it.
    """

    file: str
    size: int
    rows: int


@dataclass(frozen=True)
class Publication:
    """What is to be all that a night holds.

    Attributes:
      date: the night.
      run_id: date, attempt and score_id.
      attempt: numbers this publication of the night.
      files: all its files; an empty night has one of zero rows.
      schema: the columns as they are published.
      key: the key's columns; may be empty.
      metadata: what the table's history says of the publication.
    """

    date: str
    run_id: str
    attempt: int
    files: tuple[Written, ...]
    schema: pa.Schema
    key: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Predictions in all files."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True)
class Visit:
    """What a lookup decodes of one file.

    Attributes:
      file: relative to the table.
      date: its night.
      row_groups: the row groups whose key is decoded.
      of: row groups the file has.
    """

    file: str
    date: str
    row_groups: tuple[int, ...]
    of: int


@dataclass(frozen=True, eq=False)
class Found:
    """What a lookup found.

    Attributes:
      rows: the table's columns with `date`; in the order the keys were asked, then by night, then as published.
      asked: int64[rows], which of the keys asked a row answers, from 0.
      visits: the files that were opened; the log ruled all others out.
    """

    rows: pa.Table
    asked: pa.Array
    visits: tuple[Visit, ...] = ()


class Table(Protocol):
    """A table of predictions, one partition a night, replaced whole or not at all."""

    @property
    def name(self) -> str:
        """The table as people name it."""

    def columns(self, date: str) -> Mapping[str, pa.Scalar]:
        """The columns that a night's data files hold beside those of their rows."""

    def unusable(self) -> str | None:
        """Why nothing can be published here, or None."""

    def check_schema(self, schema: pa.Schema) -> None:
        """Raises UsageError when a column would be lost or change its type: a table may only grow by columns."""

    def current(self, date: str) -> Current | None:
        """What a night's partition holds now, told by the partition; None where there is none.

        Raises:
          UsageError: when the partition holds rows of no run of ours, or of several.
        """

    def dates(self) -> list[str]:
        """The nights that are published, oldest first."""

    def model_version(self, now: Current) -> str | None:
        """The model version that scored a night; None where it has no row, or more than one version."""

    def commit(self, publication: Publication) -> None:
        """Replaces a night, at once; doing it twice is doing it once.

        Raises:
          Superseded: when another run holds the night at this attempt or a later one.
          Refused: when the table has other columns by now than `check_schema` saw (`schema_changed`).
        """

    def reject(self, date: str, run_id: str, read: Callable[[], Iterable[pa.RecordBatch]]) -> None:
        """Publishes a run's rejects beside the table, where that is of use; `read` reads those in the state."""

    def search(self, key: Sequence[str], keys: pa.Table | pa.Array, date: str | None, all_dates: bool) -> Found:
        """Finds the rows of some keys, and tells which key each row answers.

        Args:
          key: the key's columns.
          keys: a table with them, or the values of a key of one column; a key asked twice is answered twice.
          date: the night; the newest published one without it.
          all_dates: all nights instead.

        Raises:
          Unpublished: when nothing is published, or not that night.
          UsageError: when there is no key, or the table lacks it, or a key is not of its type.
        """


def last_run(runs: Iterable[str]) -> re.Match[str] | None:
    """The run of the last attempt, if the others can be those whose rows it has kept, as a replay does.

    Returns:
      None when there are no runs, or texts that name none, or two of one attempt.
    """
    named = [RUN.fullmatch(run) for run in sorted(runs)]
    attempts = {run["attempt"] for run in named if run}
    return named[-1] if named and len(attempts) == len(named) else None


def superseded(table: str, now: str, ours: str) -> Superseded:
    """That another run published the night first."""
    return Superseded(
        f"{table}: run {now} published this night while run {ours} was under way, and its predictions stay; run "
        "again to publish over them"
    )


def unfit(table: str, problems: Sequence[str], elsewhere: str = "another path") -> str:
    """That columns were lost or changed."""
    listed = "; ".join(problems)
    return f"{table}: {listed}. A table may only grow by columns: bring them back, or publish to {elsewhere}"
