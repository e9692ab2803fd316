"""Rows of BigQuery: a split is one stream of a read session, which planning makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from ... import storage
from ...schemas.batch import Batch
from ...schemas.contract import Contract
from ...schemas.sources import BigQueryRows
from ...schemas.split import Split
from ..verdict import Rows
from .base import BATCH_ROWS
from .columns import column_batch, in_order
from .rows_again import rows_again
from .schema import column_problems, packed, paths_of, unpacked, values_at

MAX_BATCH_BYTES = 8 << 20
"""What the rows of a Batch may hold, going by the average row."""


@dataclass(frozen=True)
class BigQueryFormat:
    """See `Format`. A split's `path` is the stream's name; its header has the schema, and the rows of a Batch."""

    options: BigQueryRows

    def problems(self, contract: Contract) -> Iterator[str]:
        """Columns that cannot be meant."""
        return column_problems(contract)

    def can_cut(self, path: str) -> bool:
        """Never here: the service cuts a session into streams."""
        return False

    def splits(self, file: storage.FileInfo, name: str, contract: Contract, split_size: int) -> Iterator[Split]:
        """There is no file to cut; see `plan_bigquery`."""
        raise NotImplementedError

    def read(self, split: Split, contract: Contract, max_record_bytes: int) -> Iterator[Batch]:
        """Reads a stream, batch by batch; `_offset` is the number of the row in the stream."""
        return in_order(_batches(split, contract), split, contract)

    def raw(self, offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
        """Rows as JSON, with the columns the session was made for."""
        from .bigquery_stream import raw_rows

        return raw_rows(offsets, split, _rows_at_once(split), max_record_bytes)

    def again(self, split: Split, raw: pa.Array, offsets: pa.Array, contract: Contract, limit: int) -> Batch:
        """Reads rows as JSON."""
        return rows_again(split, raw, offsets, contract)


def header_of(schema: pa.Schema, rows: int, size: int) -> tuple[str, ...]:
    """What the header of a stream's split says.

    Args:
      schema: of the session.
      rows: about how many all streams hold.
      size: about how many bytes that is.
    """
    average = max(1, size // max(1, rows))
    return (*packed(schema), str(max(1, min(BATCH_ROWS, MAX_BATCH_BYTES // average))))


def _rows_at_once(split: Split) -> int:
    return int(split.header[1])


def _batches(split: Split, contract: Contract) -> Iterator[Batch]:
    from .bigquery_stream import stream_rows

    paths = paths_of(unpacked(split.header), contract)
    for numbers, rows in stream_rows(split, 0, _rows_at_once(split)):
        yield column_batch(split, contract, numbers, [path and values_at(rows, path) for path in paths])
