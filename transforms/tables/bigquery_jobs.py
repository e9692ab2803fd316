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
from google.api_core.exceptions import ClientError, Conflict, GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud import bigquery
from requests.exceptions import RequestException

from ...schemas.errors import HighbeamError, UsageError
from .base import Written
from .bigquery_told import patience, said

MAX_URIS = 10_000
MAX_BYTES = 15 << 40
"""What one load job may read."""

SUBMITS = 4
"""How often a job is sent whose answer does not come."""

QUERY_SECONDS = 300
"""How long the answer to a query that is sent may take."""

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

    Args:
      client: of the job's project.
      name: the job's id.
      location: where it runs.
      begin: sends it.

    Returns:
      Whether it ended well; False only for a job that was there before and failed then: take another name.

    Raises:
      HighbeamError: when it was sent now and failed; says why. Google's errors are for `told`.
    """
    job, ours = started(client, name, location, begin)
    try:
        job.result()
    except GoogleAPICallError as error:
        if not job.error_result:  # it was asking that failed, not the job
            raise
        if ours:
            raise HighbeamError(f"BigQuery job {name} failed: {said(error)}; the table is as it was") from error
        return False
    return True


def started(client: bigquery.Client, name: str, location: str | None, begin: Callable[[], Job]) -> tuple[Job, bool]:
    """(the job, whether it was sent now).

    After an answer that is lost the job is sent again: of one name there is one job, which is found so. An upload that
    went through may be refused when Google's library sends its end again; hence a refusal counts the second time.
    """
    for turn in range(SUBMITS):
        time.sleep(turn)
        try:
            return begin(), True
        except Conflict:
            return client.get_job(name, location=location), False  # type: ignore[return-value]
        except (GoogleAPICallError, RequestException, TransportError) as error:
            if turn == SUBMITS - 1 or (turn and isinstance(error, ClientError)):
                raise
    raise AssertionError


def ask(
    client: bigquery.Client,
    query: str,
    parameters: Sequence[Any],
    location: str | None = None,
    publishing: bool = False,
) -> pa.Table | None:
    """The answer to a query. What BigQuery refuses is for `told`.

    Args:
      client: of the project.
      query: GoogleSQL.
      parameters: of the query.
      location: where it runs; BigQuery finds out without it.
      publishing: see `patience`.

    Returns:
      None where there is no such table.
    """
    settings, patient = bigquery.QueryJobConfig(query_parameters=list(parameters)), patience(publishing)
    if not publishing:
        # The job's own retry would ask for ten minutes again; and an emulator answers when the query is done.
        patient |= {"job_retry": None, "timeout": QUERY_SECONDS}
    try:
        job = client.query(query, job_config=settings, location=location, **patient)
        rows = job.result(retry=patient.get("retry", bigquery.DEFAULT_RETRY))
        return rows.to_arrow(create_bqstorage_client=False)
    except NotFound:
        return None
