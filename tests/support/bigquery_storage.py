"""The emulator's Storage Read API behind a proxy that cuts rows into messages anew, breaks streams, ends sessions."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.cloud.bigquery_storage_v1 import types

from highbeam.schemas.job import Job

from tests.support.bigquery import Proxy, Warehouse
from tests.support.jobs import JOB, make_job

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"
DAY = "2013-12-01"


class StorageProxy:
    """Hands calls on.

    Attributes:
      made: the requests for sessions.
      read: stream and offset of every reading.
      message_rows: most rows of a message.
      breaks: rows after which each next reading breaks off.
      gone: whether sessions are over.
      gone_after: after how many readings they are; None for never.
      denied: whether nobody may make a session.
    """

    def __init__(self, port: int) -> None:
        self.made: list[types.CreateReadSessionRequest] = []
        self.read: list[tuple[str, int]] = []
        self.message_rows, self.breaks, self.gone, self.denied = 97, list[int](), False, False
        self.gone_after: int | None = None
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
        self._create: Any = channel.unary_unary(
            f"/{SERVICE}/CreateReadSession",
            types.CreateReadSessionRequest.serialize,
            types.ReadSession.deserialize,
        )
        self._rows: Any = channel.unary_stream(
            f"/{SERVICE}/ReadRows", types.ReadRowsRequest.serialize, types.ReadRowsResponse.deserialize
        )
        handlers = {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                self._creates, types.CreateReadSessionRequest.deserialize, types.ReadSession.serialize
            ),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                self._reads, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize
            ),
        }
        self.server = grpc.server(ThreadPoolExecutor(16))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def _creates(self, request: types.CreateReadSessionRequest, context: grpc.ServicerContext) -> types.ReadSession:
        if self.denied:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "Access Denied: bigquery.readsessions.create")
        self.made.append(request)
        try:
            made: types.ReadSession = self._create(request)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
            raise
        return made

    def _reads(self, request: types.ReadRowsRequest, context: grpc.ServicerContext) -> Iterator[types.ReadRowsResponse]:
        self.read.append((request.read_stream, request.offset))
        if self.gone or (self.gone_after is not None and len(self.read) > self.gone_after):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "session expired")
        left = self.breaks.pop(0) if self.breaks else None
        for message in list(self._rows(request)):  # all: the emulator gives no offset that was never read
            schema = pa.ipc.read_schema(pa.py_buffer(message.arrow_schema.serialized_schema))
            data = message.arrow_record_batch.serialized_record_batch
            rows = pa.ipc.read_record_batch(pa.py_buffer(data), schema)
            for at in range(0, rows.num_rows, self.message_rows):
                part = rows.slice(at, self.message_rows)
                if left is not None and left < part.num_rows:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was lost")
                left = None if left is None else left - part.num_rows
                batch = types.ArrowRecordBatch(serialized_record_batch=part.serialize().to_pybytes())
                yield types.ReadRowsResponse(arrow_record_batch=batch, row_count=part.num_rows)


@pytest.fixture
def reads(bigquery_server: tuple[Proxy, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[StorageProxy]:
    """The Storage API, and the environment that clients find it by."""
    proxy = StorageProxy(bigquery_server[1])
    monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", proxy.address)
    yield proxy
    proxy.server.stop(None)


def flights_of(warehouse: Warehouse, n: int, name: str = "night", more: str = "", dirty: int = 0) -> str:
    """Makes a table of the columns that `JOB` reads; gives its name. Of `dirty` rows one is turned away."""
    table = f"{warehouse.dataset}.{name}"
    g = "SUBSTR('abc', MOD(k, 3) + 1, 1)"
    g = f"IF(MOD(k, {dirty}) = 7, 'q', {g})" if dirty else g
    warehouse.ask(
        f"CREATE TABLE `{table}` AS SELECT k, {g} AS g, k / 4 AS x, DATE '{DAY}' AS day"
        f"{more} FROM UNNEST(GENERATE_ARRAY(0, {n - 1})) AS k"
    )
    return table


def reading(folder: Any, source: str, model: bool = True, text: str = JOB, overrides: Any = ()) -> Job:
    """A job over BigQuery; `source` is what follows `bigquery:`."""
    text = text.replace('csv: {path: "data/{date}/*.csv"}', f"bigquery: {source}")
    return make_job(folder, text, model, overrides)
