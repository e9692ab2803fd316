"""The predictions as a BigQuery table: one partition a night, replaced whole or not at all by one job.

What a partition holds is told by its rows. A night without rows leaves no trace in BigQuery; that it was published
is told by a file beside the night's data files.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import pyarrow as pa
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from ... import storage
from ...schemas.errors import HighbeamError, Refused, UsageError
from . import bigquery_lookup, bigquery_rejects
from .base import MODEL_COLUMN, PARTITION, RUN, RUN_COLUMN, Current, Found, Publication, last_run, superseded, unfit
from .bigquery_jobs import ask, client_of
from .bigquery_load import Destination, empty_nights, files_of, record
from .bigquery_schema import arrow_of, fields_of
from .bigquery_told import Remedies, patience, told
from .columns import grown

_REMEDIES = Remedies(
    roles="BigQuery Data Editor and BigQuery Job User",
    missing="make it, and run again",
    wrong="correct what it names, or publish to another table",
)
_AT_THE_END = replace(_REMEDIES, again="run again: nothing is scored again", kind=HighbeamError)


@dataclass(frozen=True)
class BigQueryPredictions:
    """Predictions in BigQuery: a `base.Table`.

    Attributes:
      name: `project.dataset.name`.
      location: where jobs run; the dataset's location without it.
      folder: where the data files lie that are loaded.
      job: the job's name.
      publishing: whether everything is scored and waits: then BigQuery is asked for longer.
    """

    name: str
    location: str | None
    folder: str
    job: str
    publishing: bool = False

    @property
    def client(self) -> bigquery.Client:
        """A client of the project, which may hold dots in its name."""
        return client_of(self.name.rsplit(".", 2)[0])

    @property
    def dataset(self) -> str:
        """`project.dataset`."""
        return self.name.rpartition(".")[0]

    def columns(self, date: str) -> Mapping[str, pa.Scalar]:
        """The night: BigQuery takes it from the rows, not from the name of a folder."""
        return {PARTITION: pa.scalar(datetime.date.fromisoformat(date), pa.date32())}

    def unusable(self) -> str | None:
        """Why nothing can be published here."""
        with self._told():
            if self._dataset() is None:
                return f"output.bigquery.table: there is no dataset {self.dataset}; make it first"
        problem = storage.unwritable(self.folder)
        return f"the files to load: {problem}; choose another state or output.bigquery.staging" if problem else None

    def check_schema(self, schema: pa.Schema) -> None:
        """See `base.Table`."""
        with self._told():
            table = self._table()
        if table and not _by_night(table):
            raise UsageError(f"{self.name}: the table is not partitioned by day of {PARTITION}; publish to another")
        problems = grown(arrow_of(table.schema), arrow_of(fields_of(schema)))[1] if table else []
        if problems:
            raise UsageError(unfit(self.name, problems, "another table"))

    def _told(self) -> AbstractContextManager[None]:
        return told(self.name, _AT_THE_END if self.publishing else _REMEDIES)

    def _dataset(self) -> bigquery.Dataset | None:
        try:
            return self.client.get_dataset(self.dataset, **patience(self.publishing))
        except NotFound:
            return None

    def _table(self) -> bigquery.Table | None:
        try:
            return self.client.get_table(self.name, **patience(self.publishing))
        except NotFound:
            return None

    def current(self, date: str) -> Current | None:
        """See `base.Table`; reads the column `_run_id` of one partition."""
        with self._told():
            held = self._destination().count(RUN_COLUMN, date)
        run = last_run(name or "" for name in held)
        if held and run is None:
            raise UsageError(
                f"{self.name}: the partition {date} does not hold the rows of one run of Highbeam, but of "
                f"{', '.join(sorted(name or 'others' for name in held))}; delete it, or publish to another table"
            )
        if run is None and (empty := empty_nights(self.folder).get(date)):
            run = RUN.fullmatch(empty)
        if run is None:
            return None
        files = files_of(self.folder, run["run_id"])
        return Current(run["run_id"], int(run["attempt"]), run["score_id"], files, sum(held.values()), 0)

    def dates(self) -> list[str]:
        """See `base.Table`; reads no row."""
        query = (
            f"SELECT partition_id AS id FROM `{self.dataset}`.INFORMATION_SCHEMA.PARTITIONS "
            "WHERE table_name = @name AND total_rows > 0"
        )
        name = bigquery.ScalarQueryParameter("name", "STRING", self.name.rpartition(".")[2])
        with self._told():
            found = ask(self.client, query, [name], self.location)
        ids = [id for id in (found["id"].to_pylist() if found else []) if id and len(id) == 8 and id.isdigit()]
        return sorted({f"{id[:4]}-{id[4:6]}-{id[6:]}" for id in ids} | set(empty_nights(self.folder)))

    def model_version(self, now: Current) -> str | None:
        """See `base.Table`."""
        with self._told():
            versions = self._destination().count(MODEL_COLUMN, now.run_id[:10])
        return versions.popitem()[0] if len(versions) == 1 else None

    def commit(self, publication: Publication) -> None:
        """See `base.Table`."""
        if publication.rows:
            record(self.folder, publication, "files")
        table = replace(self, publishing=True)
        with table._told():
            table._destination().publish(
                publication,
                settled=lambda: table._settled(publication),
                fields=lambda: table._grown(publication),
                job=self.job,
                after=lambda: None if publication.rows else record(self.folder, publication, "empty"),
            )

    def _destination(self, suffix: str = "") -> Destination:
        """The table as jobs see it; those that publish must know where they run."""
        location = self.location
        if self.publishing and location is None:
            location = self.client.get_dataset(self.dataset).location
        return Destination(self.client, self.name + suffix, location, self.folder, self.publishing)

    def _settled(self, publication: Publication) -> bool:
        now = self.current(publication.date)
        if now is None or now.run_id == publication.run_id:
            return now is not None and now.rows == publication.rows
        if now.attempt >= publication.attempt:
            raise superseded(self.name, now.run_id, publication.run_id)
        return False

    def _grown(self, publication: Publication) -> list[bigquery.SchemaField]:
        """The table's columns as they are, then the new ones."""
        ours, table = fields_of(publication.schema, publication.key), self._table()
        if table is None:
            return ours
        if problems := grown(arrow_of(table.schema), arrow_of(ours))[1]:
            raise Refused(unfit(self.name, problems, "another table"), "schema_changed")
        there = {field.name for field in table.schema}
        return [*table.schema, *(field for field in ours if field.name not in there)]

    def reject(self, date: str, run_id: str, read: Callable[[], Iterable[pa.RecordBatch]]) -> None:
        """Makes a run's rejects all that `…_rejected` holds of the night."""
        table = replace(self, publishing=True)
        with table._told():
            bigquery_rejects.replace(table._destination("_rejected"), date, run_id, read, self.job)

    def search(self, key: Sequence[str], keys: pa.Table | pa.Array, date: str | None, all_dates: bool) -> Found:
        """See `base.Table`; one query for many keys, pruned to the partition and the key's clusters."""
        place = bigquery_lookup.Place(self.client, self.name, self.location, self.dates)
        with self._told():
            return bigquery_lookup.search(place, key, keys, date, all_dates)


def _by_night(table: bigquery.Table) -> bool:
    parts = table.time_partitioning
    return parts is not None and parts.type_ == "DAY" and parts.field == PARTITION
