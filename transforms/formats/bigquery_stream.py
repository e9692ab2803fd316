"""The rows of one stream of a BigQuery read session, always in the same batches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pyarrow as pa
from google.api_core.exceptions import (
    FailedPrecondition,
    GoogleAPICallError,
    InvalidArgument,
    NotFound,
    RetryError,
    ServiceUnavailable,
)
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError

from ...schemas.errors import InputChanged, Unconserved, UnreadableInput, UsageError
from ...schemas.split import Split
from ..verdict import Rows
from .json_rows import json_rows, taken
from .schema import unpacked

if TYPE_CHECKING:
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient

EMULATOR = "BIGQUERY_STORAGE_EMULATOR_HOST"
"""Names host and port of an emulator of the Storage API, which wants no credentials and no encryption."""
RETRY = Retry(predicate=if_exception_type(ServiceUnavailable), timeout=300)
"""How long a request is sent again to a service that does not answer."""
_GONE = (NotFound, FailedPrecondition, InvalidArgument)


def read_client() -> BigQueryReadClient:
    """A client of the Storage API; one for a process.

    Raises:
      UsageError: when there are no credentials.
    """
    return _client(os.environ.get(EMULATOR))


@lru_cache(maxsize=4)
def _client(emulator: str | None) -> BigQueryReadClient:
    # Imported late: it takes half a second, which jobs that read files need not wait for.
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

    if emulator:
        channel = grpc.insecure_channel(emulator, options=[("grpc.max_receive_message_length", -1)])
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))  # type: ignore[no-untyped-call]
    try:
        return BigQueryReadClient()  # type: ignore[no-untyped-call]
    except (GoogleAuthError, OSError) as error:
        raise UsageError(
            f"source.bigquery: no credentials for Google Cloud ({error}); set GOOGLE_APPLICATION_CREDENTIALS, or run "
            "gcloud auth application-default login"
        ) from None


def stream_rows(split: Split, first: int, at_once: int) -> Iterator[tuple[Rows, pa.RecordBatch]]:
    """Reads a stream; a connection that breaks is taken up where it broke.

    How the service cuts rows into messages differs from one reading to the next; batches do not.

    Args:
      split: of the stream.
      first: number of the row to begin at; the service wants one that was read before, or 0.
      at_once: rows of a batch.

    Yields:
      Row numbers in the stream, and the rows.

    Raises:
      InputChanged: when the session is gone.
      UnreadableInput: when the stream cannot be read to its end; names the last row that could.
    """
    held: list[pa.RecordBatch] = []
    row, count = first, 0
    for batch in _messages(split, first):
        while batch.num_rows:
            held.append(batch.slice(0, at_once - count))
            batch = batch.slice(held[-1].num_rows)
            count += held[-1].num_rows
            if count == at_once:
                yield _numbered(row, held)
                row, count, held = row + count, 0, []
    if held:
        yield _numbered(row, held)


def _numbered(first: int, parts: list[pa.RecordBatch]) -> tuple[Rows, pa.RecordBatch]:
    rows = parts[0] if len(parts) == 1 else pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    return np.arange(first, first + rows.num_rows), rows


def _messages(split: Split, first: int) -> Iterator[pa.RecordBatch]:
    schema, row = unpacked(split.header), first
    try:
        messages = read_client().read_rows(split.path, first, retry=RETRY)  # type: ignore[no-untyped-call]
        for message in messages:
            rows = pa.ipc.read_record_batch(pa.py_buffer(message.arrow_record_batch.serialized_record_batch), schema)
            yield rows
            row += rows.num_rows
    except (GoogleAPICallError, RetryError, GoogleAuthError, pa.ArrowException) as error:
        raise _unread(split, row, error) from error


def _unread(split: Split, row: int, error: Exception) -> InputChanged | UnreadableInput:
    said = str(getattr(error, "message", error)).rstrip(".")
    if isinstance(error, _GONE):
        return InputChanged(
            f"{split.file}: its read session is gone ({said}); sessions live some six hours: run again, and all rows "
            "are read anew"
        )
    last = f"after row {row - 1:,}" if row else "from its first row on"
    return UnreadableInput(f"{split.file}: cannot be read {last} (rows count from 0): {said}; run again")


def raw_rows(offsets: Rows, split: Split, at_once: int, max_record_bytes: int) -> tuple[pa.Array, Rows]:
    """Some rows as JSON, and how long that is; see `Format.raw`."""
    found: list[bytes] = []
    for numbers, rows in stream_rows(split, int(offsets[0]), at_once):
        at = np.flatnonzero(np.isin(numbers, offsets, assume_unique=True))
        found += json_rows(taken(rows, pa.array(at)))
        if len(found) == len(offsets):
            break
    if len(found) != len(offsets):
        raise Unconserved(f"{split.file}: {len(offsets)} rows were rejected, and {len(found)} of them are found again")
    return pa.array([row[:max_record_bytes] for row in found], pa.binary()), np.array([len(row) for row in found])
