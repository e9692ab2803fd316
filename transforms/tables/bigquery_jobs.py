"""Jobs of BigQuery that are started once, whatever becomes of the answer."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import pyarrow as pa
from google.api_core.exceptions import ClientError, Conflict, GoogleAPICallError, NotFound, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from requests.exceptions import RequestException

from ...schemas.errors import HighbeamError, UsageError
from .base import Written

MAX_URIS = 10_000
MAX_BYTES = 15 << 40
"""What one load job may read."""

SUBMITS = 4
"""How often a job is sent whose answer does not come and which BigQuery does not know."""

Job: TypeAlias = "bigquery.LoadJob | bigquery.CopyJob | bigquery.QueryJob"
_LABEL = re.compile(r"[^a-z0-9_-]")


def client_of(project: str) -> bigquery.Client:
    """A client; one for a process and project.

    Raises:
      UsageError: when there are no credentials.
    """
    return _client(project, os.environ.get("BIGQUERY_EMULATOR_HOST"))


@lru_cache(maxsize=8)
def _client(project: str, emulator: str | None) -> bigquery.Client:
    if emulator:  # without credentials Google's clients look for a machine of Google's, for 20 s
        return bigquery.Client(project, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    try:
        return bigquery.Client(project)
    except (GoogleAuthError, OSError) as error:
        raise UsageError(
            f"BigQuery: no credentials for Google Cloud ({error}); set GOOGLE_APPLICATION_CREDENTIALS, or run "
            "gcloud auth application-default login"
        ) from None


def job_id(table: str, run_id: str, turn: int) -> str:
    """The name of the job that publishes a run; the same run has the same, and no other run or table."""
    return f"highbeam-{hashlib.sha256(table.encode()).hexdigest()[:12]}-{run_id}-{turn}"


def labels(values: Mapping[str, Any]) -> dict[str, str]:
    """Labels as BigQuery takes them: at most 63 of lower-case letters, digits, `_` and `-`."""
    return {_label(name): _label(str(value)) for name, value in values.items()}


def _label(text: str) -> str:
    return _LABEL.sub("_", text.lower())[:63]


def in_jobs(files: Sequence[Written], remote: bool) -> list[list[Written]]:
    """The files of each load job: one of this machine, or as many of a bucket as one job may read."""
    jobs: list[list[Written]] = [[]]
    size = 0
    for file in files:
        if jobs[-1] and (not remote or len(jobs[-1]) == MAX_URIS or size + file.size > MAX_BYTES):
            jobs.append([])
            size = 0
        jobs[-1].append(file)
        size += file.size
    return jobs


def done(client: bigquery.Client, name: str, location: str | None, begin: Callable[[], Job]) -> bool:
    """Starts a job unless it was started before, and waits for its end.

    An answer that is lost is looked up by the job's name, so no job runs twice.

    Args:
      client: of the job's project.
      name: the job's id.
      location: where it runs.
      begin: sends it.

    Returns:
      Whether it ended well; False only for a job that was there before and failed then: take another name.

    Raises:
      HighbeamError: when it was sent now and failed; says why.
    """
    job, ours = started(client, name, location, begin)
    try:
        job.result()
    except GoogleAPICallError as error:
        if ours:
            raise HighbeamError(f"BigQuery job {name} failed: {said(error)}; the table is as it was") from error
        return False
    return True


def started(client: bigquery.Client, name: str, location: str | None, begin: Callable[[], Job]) -> tuple[Job, bool]:
    """(the job, whether it was sent now)."""
    for turn in range(SUBMITS):
        time.sleep(turn)
        try:
            return begin(), True
        except Conflict:
            return client.get_job(name, location=location), False  # type: ignore[return-value]
        except (GoogleAPICallError, RetryError, RequestException) as error:
            if job := _known(client, name, location):
                return job, True
            if isinstance(error, ClientError):
                raise HighbeamError(f"BigQuery refused job {name}: {said(error)}; nothing was published") from error
            lost = error
    raise HighbeamError(f"BigQuery does not answer: {lost}; run again: nothing is scored again")


def _known(client: bigquery.Client, name: str, location: str | None) -> Job | None:
    try:
        return client.get_job(name, location=location)  # type: ignore[return-value]
    except NotFound:
        return None


def said(error: GoogleAPICallError | RetryError) -> str:
    """What BigQuery says, without the request and the job it says it of."""
    first = next(iter(getattr(error, "errors", ())), None)
    text = first.get("message") if isinstance(first, dict) else None
    return str(text or error.message).partition("\n")[0].rstrip(".")


def ask(
    client: bigquery.Client, table: str, query: str, parameters: Sequence[Any], location: str | None = None
) -> pa.Table | None:
    """The answer to a query.

    Args:
      client: of the project.
      table: for the message.
      query: GoogleSQL.
      parameters: of the query.
      location: where it runs; BigQuery finds out without it.

    Returns:
      None where there is no such table.

    Raises:
      HighbeamError: when BigQuery refuses.
    """
    settings = bigquery.QueryJobConfig(query_parameters=list(parameters))
    try:
        rows = client.query(query, job_config=settings, location=location).result()
        return rows.to_arrow(create_bqstorage_client=False)
    except NotFound:
        return None
    except GoogleAPICallError as error:
        raise HighbeamError(f"{table}: BigQuery says: {said(error)}") from error
