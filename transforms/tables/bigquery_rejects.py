"""The rejects of a night beside its predictions in BigQuery: those of the newest run, published or refused.

Every run's rejects stand in the state; this copy is for queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core.exceptions import NotFound

from ... import storage
from .base import RUN, Publication, Written
from .bigquery_load import Destination
from .bigquery_schema import fields_of
from .rejects import SCHEMA

KEY = ("run_id", "reason")
"""What the table is clustered by."""

_DATED = pa.schema([pa.field("date", pa.date32()) if field.name == "date" else field for field in SCHEMA])


def replace(table: Destination, date: str, run_id: str, read: Callable[[], Iterable[pa.RecordBatch]], job: str) -> None:
    """Makes a run's rejects all that the table holds of a night.

    Args:
      table: `…_rejected`; made when there is a first reject.
      date: the night.
      run_id: date, attempt and score_id.
      read: gives the rejects, as the table of rejects holds them.
      job: the job's name.
    """
    named = RUN.fullmatch(run_id)
    assert named
    written = _write(table.folder, date, run_id, read())
    fields = fields_of(SCHEMA)
    if not written.rows and not _there(table):
        return
    wanted: dict[str | None, int] = {run_id: written.rows} if written.rows else {}
    publication = Publication(date, run_id, int(named["attempt"]), (written,), SCHEMA, KEY)
    table.publish(publication, lambda: table.count("run_id", date) == wanted, lambda: fields, job)


def _there(table: Destination) -> bool:
    try:
        return table.client.get_table(table.name) is not None
    except NotFound:
        return False


def _write(folder: str, date: str, run_id: str, batches: Iterable[pa.RecordBatch]) -> Written:
    rows = 0
    with storage.writer(storage.join(folder, "rejected", f"date={date}")) as sink:
        with pq.ParquetWriter(sink.file, _DATED, compression="zstd", store_schema=False) as writer:
            for batch in batches:
                rows += batch.num_rows
                writer.write_table(pa.Table.from_batches([batch]).cast(_DATED))
        name = f"{run_id}-{sink.sha256[:16]}.parquet"
        sink.commit(name)
        return Written(f"rejected/date={date}/{name}", sink.size, rows)
