"""The bytes of rejected records, read a second time: few rows are rejected, so nobody carries their bytes along."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..schemas.rejected import SCHEMA
from ..schemas.split import Split
from .formats.base import Format


def fill_raw(rejected: pa.RecordBatch, split: Split, format: Format, max_record_bytes: int) -> pa.RecordBatch:
    """Fills `raw`, `length` and `truncated` of rejects from their file, in one pass over the part that holds them.

    Args:
      rejected: rejects of one split, in any order.
      split: the split they came from.
      format: of its file.
      max_record_bytes: of a longer record only this much is kept.

    Returns:
      The same rejects in the same order.

    Raises:
      InputChanged: when the file is not the one that was planned.
      UnreadableInput: when it cannot be read so far.
      Unconserved: when no record begins at a reject's offset.
    """
    if not rejected.num_rows:
        return rejected
    wanted, place = np.unique(rejected.column("offset").to_numpy(), return_inverse=True)
    raw, lengths = format.raw(wanted, split, max_record_bytes)
    filled = {
        "raw": raw.take(pa.array(place)),
        "length": pa.array(lengths[place]),
        "truncated": pa.array(lengths[place] > max_record_bytes),
    }
    return _with(rejected, filled)


def without_raw(rejected: pa.RecordBatch) -> pa.RecordBatch:
    """The same rejects for a job that keeps no bytes; file, offset and length still say where they are."""
    n = rejected.num_rows
    return _with(rejected, {"raw": pa.nulls(n, pa.binary()), "truncated": pa.repeat(False, n)})


def _with(rejected: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [columns.get(name, rejected.column(name)) for name in SCHEMA.names], schema=SCHEMA
    )
