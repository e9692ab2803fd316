"""Replaces one partition of a BigQuery table by files: one load job, or several and one copy."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from google.api_core.exceptions import Conflict, NotFound
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from ... import storage
from ...schemas.errors import HighbeamError
from .base import PARTITION, RUN, Publication, Written
from .bigquery_jobs import Job, ask, done, in_jobs, job_id, labels

TURNS = 20
"""How many jobs of one run are tried, when those before have failed or were undone by others."""

_MOST_CLUSTERED = 4  # columns that BigQuery can cluster by
_STAGING_LIFE = datetime.timedelta(days=1)
_RECORD = re.compile(rf"{RUN.pattern}\.(?P<kind>files|empty)\.json")


@dataclass(frozen=True)
class Destination:
    """A table whose partitions are replaced.

    Attributes:
      client: of the project.
      name: `project.dataset.name`.
      location: where jobs run.
      folder: where the files lie: on this machine or on gs://.
      publishing: whether `count` may take its time, as all the other calls do.
    """

    client: bigquery.Client
    name: str
    location: str | None
    folder: str
    publishing: bool

    def made(self, fields: Sequence[SchemaField], key: Sequence[str], job: str) -> None:
        """Makes the table, partitioned by night and clustered by key, if it is not there."""
        table = bigquery.Table(self.name, schema=list(fields))
        table.time_partitioning = bigquery.TimePartitioning(type_="DAY", field=PARTITION)
        table.clustering_fields = list(key)[:_MOST_CLUSTERED] or None
        table.description = f"Predictions of the job {job}, one partition a night; published by Highbeam"
        table.labels = labels({"highbeam_job": job})
        with suppress(Conflict):
            self.client.create_table(table)

    def count(self, column: str, date: str) -> dict[str | None, int]:
        """How many rows of a night have each value of a column; none where there is no table."""
        query = f"SELECT {column} AS value, COUNT(*) AS n FROM `{self.name}` WHERE {PARTITION} = @date GROUP BY 1"
        night = [bigquery.ScalarQueryParameter("date", "DATE", date)]
        rows = ask(self.client, query, night, self.location, self.publishing)
        return dict(zip(rows["value"].to_pylist(), rows["n"].to_pylist(), strict=True)) if rows else {}

    def publish(
        self,
        publication: Publication,
        settled: Callable[[], bool],
        fields: Callable[[], Sequence[SchemaField]],
        job: str,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Replaces a night by files; doing it twice is doing it once.

        A job's name is that of the run and a number. One that was sent before is found and waited for. Whether the
        night is then as it should be is told by its rows, since that job may be of long ago; if not, the next number
        is taken.

        Args:
          publication: what the night is to hold.
          settled: whether it holds that; raises where it must not be replaced.
          fields: the table's columns, new ones included; raises where they do not fit.
          job: the job's name.
          after: called when a job has ended well, before the night is looked at again.

        Raises:
          HighbeamError: as `done`; or when no number led to the night that was wanted.
        """
        for turn in range(TURNS):
            if settled():
                return
            columns = fields()
            self.made(columns, publication.key, job)
            if self.replace(publication, columns, turn):
                after()
        raise HighbeamError(f"{self.name}: {TURNS} jobs did not publish {publication.run_id}; look at them, run again")

    def replace(self, publication: Publication, fields: Sequence[SchemaField], turn: int) -> bool:
        """Replaces the night by the publication's files; a failed job leaves it as it was.

        Args:
          publication: what the night is to hold.
          fields: the table's columns, new ones included.
          turn: number of this try.

        Returns:
          Whether its job ended well, now or before.

        Raises:
          HighbeamError: as `done`.
        """
        name = job_id(self.name, publication.run_id, turn)
        marks = labels({**publication.metadata, "run_id": publication.run_id, "attempt": publication.attempt})
        jobs = in_jobs(publication.files, self.folder.startswith("gs://"))
        night = self._night(self.name, publication.date)
        if len(jobs) == 1:
            into = _into(fields, "WRITE_TRUNCATE", marks)
            into.schema_update_options = ["ALLOW_FIELD_ADDITION"]
            return self._load(jobs[0], night, name, into)
        return self._by_copy(publication, jobs, fields, name, marks)

    def _by_copy(
        self,
        publication: Publication,
        jobs: Sequence[Sequence[Written]],
        fields: Sequence[SchemaField],
        name: str,
        marks: Mapping[str, str],
    ) -> bool:
        """Loads into a table beside it, then copies its partition at once.

        Returns:
          Whether the copy ended well; False too when the table beside it does not hold every row: it may have been
          made by a job of long ago, and removed since.
        """
        staging = self._staging(fields, name)
        into = _into(fields, "WRITE_APPEND", marks)
        for number, files in enumerate(jobs):
            if not self._load(files, staging, f"{name}-part-{number:05d}", into):
                return False
        if not self._holds(staging, publication.rows):
            return False
        self._grow(fields)
        settings = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE", labels=dict(marks))
        source, night = self._night(staging, publication.date), self._night(self.name, publication.date)
        ended = done(self.client, name, self.location, lambda: self._copy(source, night, name, settings))
        self.client.delete_table(staging, not_found_ok=True)
        return ended

    def _copy(self, source: str, night: str, name: str, settings: bigquery.CopyJobConfig) -> Job:
        return self.client.copy_table(source, night, job_id=name, location=self.location, job_config=settings)

    def _staging(self, fields: Sequence[SchemaField], name: str) -> str:
        """A table beside the real one, partitioned and clustered as it is: BigQuery copies between no others."""
        real = self.client.get_table(self.name)
        path = f"{self.name.rpartition('.')[0]}._{name.replace('-', '_')}"
        table = bigquery.Table(path, schema=list(fields))
        table.time_partitioning, table.clustering_fields = real.time_partitioning, real.clustering_fields
        table.expires = datetime.datetime.now(datetime.timezone.utc) + _STAGING_LIFE
        with suppress(Conflict):
            self.client.create_table(table)
        return path

    def _holds(self, staging: str, rows: int) -> bool:
        try:
            return bool(self.client.get_table(staging).num_rows == rows)
        except NotFound:
            return False

    def _grow(self, fields: Sequence[SchemaField]) -> None:
        """Adds the new columns: a copy cannot."""
        table = self.client.get_table(self.name)
        if len(table.schema) < len(fields):
            table.schema = list(fields)
            self.client.update_table(table, ["schema"])

    def _load(self, files: Sequence[Written], table: str, name: str, into: bigquery.LoadJobConfig) -> bool:
        paths = [storage.join(self.folder, file.file) for file in files]
        if self.folder.startswith("gs://"):
            begin: Callable[[], Job] = lambda: self.client.load_table_from_uri(  # noqa: E731
                paths, table, job_id=name, location=self.location, job_config=into
            )
        else:
            begin = lambda: self._upload(paths[0], files[0].size, table, name, into)  # noqa: E731
        return done(self.client, name, self.location, begin)

    def _upload(self, path: str, size: int, table: str, name: str, into: bigquery.LoadJobConfig) -> Job:
        with open(path, "rb") as file:
            return self.client.load_table_from_file(
                file, table, size=size, job_id=name, location=self.location, job_config=into
            )

    def _night(self, table: str, date: str) -> str:
        """A table's partition, as BigQuery writes it."""
        return f"{table}${date.replace('-', '')}"


def _into(fields: Sequence[SchemaField], disposition: str, marks: Mapping[str, str]) -> bigquery.LoadJobConfig:
    lists = bigquery.ParquetOptions()  # type: ignore[no-untyped-call]
    lists.enable_list_inference = True
    return bigquery.LoadJobConfig(
        source_format="PARQUET",
        schema=list(fields),
        write_disposition=disposition,
        create_disposition="CREATE_NEVER",
        parquet_options=lists,
        labels=dict(marks),
    )


def record(folder: str, publication: Publication, kind: str) -> None:
    """Writes down which files a run publishes, beside them.

    Args:
      folder: of the data files.
      publication: what is published.
      kind: `files` before rows are loaded; `empty` after a night was emptied, which no row can tell.
    """
    names = [file.file for file in publication.files]
    path = storage.join(folder, "nights", f"{publication.run_id}.{kind}.json")
    storage.put(path, json.dumps({"files": names, "rows": publication.rows}).encode())


def files_of(folder: str, run_id: str) -> tuple[str, ...]:
    """The data files of a run, or none where they were never written down or are gone."""
    for kind in ("files", "empty"):
        path = storage.join(folder, "nights", f"{run_id}.{kind}.json")
        if storage.exists(path):
            stored: dict[str, Any] = json.loads(storage.read(path))
            return tuple(stored["files"])
    return ()


def empty_nights(folder: str) -> dict[str, str]:
    """The nights whose last publication had no row -> its run; whether they have rows now is for others to say."""
    last: dict[str, re.Match[str]] = {}
    for named in sorted(_records(folder), key=lambda found: int(found["attempt"])):
        last[named["run_id"][:10]] = named
    return {date: named["run_id"] for date, named in last.items() if named["kind"] == "empty"}


def _records(folder: str) -> Iterator[re.Match[str]]:
    for info in storage.listing(storage.join(folder, "nights")):
        if named := _RECORD.fullmatch(info.path.rpartition("/")[2]):
            yield named
