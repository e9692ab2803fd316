"""Read sessions of BigQuery: made when a run is planned, and kept in its state, so that a retry reads the same rows."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from .. import storage
from ..schemas.contract import Contract
from ..schemas.errors import HighbeamError
from ..schemas.split import Split
from .bigquery_source import Asked, Found, query_settings, told_of
from .formats.bigquery_rows import header_of
from .formats.bigquery_stream import RETRY, read_client
from .formats.schema import path_of
from .plan_splits import fitting_size
from .tables.bigquery_jobs import QUERY_SECONDS, client_of, started
from .tables.bigquery_told import PATIENCE, patience

if TYPE_CHECKING:
    from google.cloud.bigquery_storage_v1.types import ReadSession

MAX_STREAMS = 1000
"""What one session may have."""
SPARE = 15 * 60
"""Seconds that a session must live on to be begun with."""
_RESULT_LIVES = 12 * 3600  # of 24 hours
_TURNS = 4


@dataclass(frozen=True)
class Session:
    """A read session, as the state keeps it.

    Attributes:
      name: what its rows are named by: `bigquery://…`.
      mark: what decides its rows and how they are cut into streams.
      streams: their names.
      header: of the splits.
      rows: about how many there are.
      size: about how many bytes that is.
      expires: when it ends, in seconds since the epoch.
    """

    name: str
    mark: str
    streams: tuple[str, ...]
    header: tuple[str, ...]
    rows: int
    size: int
    expires: float

    def splits(self) -> list[Split]:
        """One split for each stream."""
        size = self.size // max(1, len(self.streams))
        return [
            Split(number, path, f"{self.name}/streams/{number:04d}", size, self.mark, 0, None, header=self.header)
            for number, path in enumerate(self.streams)
        ]

    def alive(self) -> bool:
        """Whether its streams can still be read; asks for the first row, unless the time is up."""
        if self.expires - time.time() < SPARE:
            return False
        try:
            for stream in self.streams[:1]:
                rows = read_client().read_rows(stream, retry=RETRY.with_timeout(PATIENCE))  # type: ignore[no-untyped-call]
                next(iter(rows), None)
        except (GoogleAPIError, GoogleAuthError):
            return False
        return True


def key_of(source: Asked, version: str | None, columns: Sequence[str], split_size: int | None) -> str:
    """16 hex digits over all that decides which rows a session has; never the same where that is not known."""
    decides = [asdict(source), version or secrets.token_hex(16), list(columns), split_size]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]


def columns_of(schema: pa.Schema, contract: Contract) -> list[str]:
    """The columns to ask for: those of the contract that there are, a field of a record as `a.b`."""
    paths = (path_of(schema, column.source or name) for name, column in contract.columns.items())
    return sorted({".".join(path) for path in paths if path})


def newest(folder: str, key: str) -> tuple[Session | None, int]:
    """The last session kept of a key, and how many there are."""
    paths = [file.path for file in storage.listing(folder) if file.path.rpartition("/")[2].startswith(f"{key}-")]
    if not paths:
        return None, 0
    kept = json.loads(storage.read(paths[-1]))
    return Session(**{**kept, "streams": tuple(kept["streams"]), "header": tuple(kept["header"])}), len(paths)


def keep(folder: str, key: str, number: int, session: Session) -> Session:
    """Keeps a session; gives the one that was kept, which is another's where two planned at once."""
    if storage.create(f"{folder}/{key}-{number:04d}.json", json.dumps(asdict(session)).encode()):
        return session
    kept, _ = newest(folder, key)
    assert kept
    return kept


def open_session(source: Asked, found: Found, columns: Sequence[str], split_size: int | None, mark: str) -> Session:
    """Makes a session over a table, or over what a query finds, which is run now.

    The session's rows are those of the instant when BigQuery makes it, by BigQuery's clock. No instant is named by this
    machine's: where that goes ahead it would be in the future, which BigQuery refuses.

    Args:
      source: table or query.
      found: what was seen of it.
      columns: those to read.
      split_size: bytes that a stream should hold; None for what fits.
      mark: of the session; the job of a query is named by it.

    Raises:
      UsageError: what BigQuery refuses.
    """
    with told_of(source):
        name, table, size = source.table, source.table, found.size
        if table is None:
            job, table, size = _result(source, mark)
            name = f"{source.project}/{job}"
        made = _created(source, table, columns, -(-size // (split_size or fitting_size(size))))
    rows, size = made.estimated_row_count, made.estimated_total_bytes_scanned
    return Session(
        name=f"bigquery://{name}",
        mark=mark,
        streams=tuple(stream.name for stream in made.streams),
        header=header_of(pa.ipc.read_schema(pa.py_buffer(made.arrow_schema.serialized_schema)), rows, size),
        rows=rows,
        size=size,
        expires=made.expire_time.timestamp(),
    )


def _created(source: Asked, table: str, columns: Sequence[str], streams: int) -> ReadSession:
    project, dataset, name = table.rsplit(".", 2)
    wanted: dict[str, Any] = {
        "table": f"projects/{project}/datasets/{dataset}/tables/{name}",
        "data_format": "ARROW",
        "read_options": {"selected_fields": list(columns), "row_restriction": source.where},
    }
    return read_client().create_read_session(
        parent=f"projects/{source.project}",
        read_session=wanted,  # type: ignore[arg-type] # a dict is as good
        max_stream_count=min(max(1, streams), MAX_STREAMS),
        retry=RETRY.with_timeout(PATIENCE),
        timeout=PATIENCE,
    )


def _result(source: Asked, mark: str) -> tuple[str, str, int]:
    """Runs a query once; gives the job's name, the table that BigQuery keeps its rows in for a day, and its bytes.

    A job that ran before under the name is as good, unless it failed or its table may go soon.
    """
    client = client_of(source.project)
    for turn in range(_TURNS):
        name = f"highbeam-read-{mark}-{turn}"
        job, ours = started(client, name, source.location, partial(_begin, client, source, name))
        try:
            job.result(retry=patience()["retry"])
        except GoogleAPICallError:
            if ours:
                raise
            continue
        if ours or time.time() - job.ended.timestamp() < _RESULT_LIVES:
            found = client.get_table(job.destination, **patience())
            return name, f"{found.project}.{found.dataset_id}.{found.table_id}", found.num_bytes or 0
    raise HighbeamError(f"{source.name}: {_TURNS} jobs named highbeam-read-{mark} failed; look at them in BigQuery")


def _begin(client: bigquery.Client, source: Asked, name: str) -> bigquery.QueryJob:
    settings = query_settings(source)
    again = patience() | {"timeout": QUERY_SECONDS}
    return client.query(
        source.query or "", job_id=name, job_config=settings, location=source.location, job_retry=None, **again
    )
