"""What a BigQuery source is now: columns, size, and a version that tells whether its rows are still the same."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import pyarrow as pa
from google.api_core.exceptions import Forbidden, NotFound
from google.cloud import bigquery

from ..schemas.contract import Contract
from ..schemas.errors import UsageError
from ..schemas.layout import fill_date
from ..schemas.sources import BigQueryRows
from .formats.schema import check_schema
from .tables.bigquery_jobs import client_of
from .tables.bigquery_schema import arrow_of
from .tables.bigquery_told import Remedies, patience, told

NIGHTLY = "source.bigquery"
"""The key of the night's rows."""
_READABLE = ("TABLE", "SNAPSHOT", "CLONE")


@dataclass(frozen=True)
class Asked:
    """A source with the night filled in.

    Attributes:
      table: `project.dataset.name`, or None.
      where: which of its rows.
      query: GoogleSQL, or None.
      project: who pays, and runs the query.
      location: where the query runs.
      date: the night; None where nothing names it.
      key: where job.yaml says all this.
    """

    table: str | None
    where: str
    query: str | None
    project: str
    location: str | None
    date: str | None
    key: str = NIGHTLY

    @property
    def name(self) -> str:
        """What is read, for people."""
        return self.table or f"{self.key}.query"


@dataclass(frozen=True)
class Found:
    """What there is.

    Attributes:
      schema: its columns; types that Highbeam never writes are null.
      rows: of the whole table; None for a query.
      size: bytes of the whole table; or what a query would read.
      version: another one when rows may have changed; None where BigQuery does not tell.
    """

    schema: pa.Schema
    rows: int | None
    size: int
    version: str | None


def asked(options: BigQueryRows, date: str | None, key: str = NIGHTLY) -> Asked:
    """Fills the night in, if there is one."""

    def filled(text: str | None) -> str | None:
        return fill_date(text, date) if text and date else text

    table = filled(options.table)
    return Asked(
        table=table,
        where=filled(options.where) or "",
        query=filled(options.query),
        project=options.project or (table or "").rsplit(".", 2)[0],
        location=options.location,
        date=date,
        key=key,
    )


def find(source: Asked, contract: Contract) -> Found:
    """Looks at a table, or has a query checked; no row is read.

    Raises:
      UsageError: when there is no such table, a column is missing or of a wrong type, the query is wrong, or the
        permission is missing.
    """
    with told_of(source):
        found = _table(source) if source.table else _query(source)
    check_schema(source.name, found.schema, contract)
    return found


def told_of(source: Asked) -> AbstractContextManager[None]:
    """Says for people what BigQuery refuses of a source, as UsageError."""
    roles = "BigQuery Data Viewer, BigQuery Read Session User" + (" and BigQuery Job User" * bool(source.query))
    wrong = f"correct {source.key}.{'query' if source.query else 'where'}"
    return told(source.name, Remedies(roles, "correct the name, or wait for the table", wrong))


def _table(source: Asked) -> Found:
    table = client_of(source.project).get_table(source.table or "", **patience())
    if table.table_type not in _READABLE:
        raise UsageError(
            f"{source.table}: is a {table.table_type.lower().replace('_', ' ')}, which cannot be read as a table; "
            f"write query: SELECT … FROM `{source.table}`"
        )
    version = f"{table.modified.isoformat()}/{table.num_rows}" if table.streaming_buffer is None else None
    return Found(arrow_of(table.schema), table.num_rows, table.num_bytes or 0, version)


def query_settings(source: Asked, dry: bool = False) -> bigquery.QueryJobConfig:
    """The settings of the job that runs the query."""
    date = [bigquery.ScalarQueryParameter("date", "DATE", source.date)] if source.date else []
    return bigquery.QueryJobConfig(dry_run=dry, use_query_cache=not dry, query_parameters=date)


def _query(source: Asked) -> Found:
    client = client_of(source.project)
    settings = query_settings(source, dry=True)
    job = client.query(source.query or "", job_config=settings, location=source.location, **patience(), job_retry=None)
    if job.statement_type != "SELECT":
        raise UsageError(f"{source.name}: is {job.statement_type}, no SELECT; write one that only reads")
    return Found(arrow_of(job.schema or ()), None, job.total_bytes_processed or 0, _version(client, job))


def _version(client: bigquery.Client, job: bigquery.QueryJob) -> str | None:
    """The versions of all tables that a query reads; None where one has none."""
    versions = []
    for reference in sorted(job.referenced_tables, key=str):
        try:
            table = client.get_table(reference, **patience())
        except (NotFound, Forbidden):  # a view may show tables that one may not see
            return None
        if table.table_type not in _READABLE or table.streaming_buffer is not None:
            return None
        versions.append(f"{reference}@{table.modified.isoformat()}/{table.num_rows}")
    return " ".join(versions) or None
