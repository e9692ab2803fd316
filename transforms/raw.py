"""The bytes of rejected records, read a second time: few rows are rejected, so nobody carries their bytes along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from ..schemas.errors import Unconserved
from ..schemas.rejected import SCHEMA
from ..schemas.split import Split
from .blocks import BLOCK_BYTES
from .framing import BATCH_BYTES, frame_split
from .record_faults import record_bytes
from .verdict import Rows

_GROUP_ROWS = 1 << 16


def fill_raw(
    rejected: pa.RecordBatch, split: Split, max_record_bytes: int, block_bytes: int = BLOCK_BYTES
) -> pa.RecordBatch:
    """Fills `raw`, `length` and `truncated` of rejects from their file, in one pass over the part that holds them.

    Args:
      rejected: rejects of one split, in any order.
      split: the split they came from.
      max_record_bytes: of a longer record only this much is kept.
      block_bytes: how much is read at a time; changes nothing in the result.

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
    raw, lengths = _records_at(wanted, split, max_record_bytes, block_bytes)
    filled = {
        "raw": raw.take(pa.array(place)),
        "length": pa.array(lengths[place]),
        "truncated": pa.array(lengths[place] > max_record_bytes),
    }
    columns = [filled.get(name, rejected.column(name)) for name in SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _records_at(offsets: Rows, split: Split, max_record_bytes: int, block_bytes: int) -> tuple[pa.Array, Rows]:
    """Bytes and true lengths of the records that begin at some ascending offsets."""
    # Each of them begins a record, so the part between the first and the last frames as the whole split does.
    part = replace(split, start=int(offsets[0]), end=int(offsets[-1]) + 1)
    raw, lengths, found = [], [], 0
    for records in frame_split(part, max_record_bytes, _GROUP_ROWS, BATCH_BYTES, block_bytes):
        rows = np.flatnonzero(np.isin(records.offsets, offsets, assume_unique=True))
        found += len(rows)
        raw.append(record_bytes(records, rows))
        lengths.append(records.lengths[rows])
    if found != len(offsets):
        raise Unconserved(f"{split.file}: {len(offsets)} records were rejected, and {found} of them are found again")
    return pa.concat_arrays(raw), np.concatenate(lengths)
