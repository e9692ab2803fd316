"""Reads a side table, by the formats and the cast rules that the night's rows are read by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from deltalake.exceptions import DeltaError

from ..schemas.batch import Batch
from ..schemas.errors import InputChanged, Refused
from ..schemas.join import Side
from ..schemas.sources import MIB
from .formats.base import BATCH_ROWS
from .formats.choose import format_of
from .formats.columns import column_batch
from .formats.schema import paths_of, values_at
from .join_plan import MOST_BYTES, MOST_ROWS, too_large
from .tables.log import OF_OTHERS, open_table


def read_side(side: Side) -> pa.Table:
    """Reads a whole side table.

    Args:
      side: as it was planned.

    Returns:
      The columns of `side.contract`, each in one piece.

    Raises:
      InputChanged: when a file is not the one that was planned.
      UnreadableInput: when a file cannot be read to its end.
      Refused: when a value is none of its column's, or there are too many rows.
    """
    parts: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in _batches(side):
        _check_sound(batch, side)
        parts.append(batch.rows.select(side.contract.schema.names))
        rows, size = rows + len(batch), size + parts[-1].nbytes
        if rows > MOST_ROWS or size > MOST_BYTES:
            found = f"more than {MOST_ROWS:,} rows" if rows > MOST_ROWS else f"{size:,} bytes of columns"
            raise Refused(f"join.{side.name}: {too_large(found)}", "side_table")
    return pa.Table.from_batches(parts, side.contract.schema).unify_dictionaries().combine_chunks()


def _batches(side: Side) -> Iterator[Batch]:
    if side.join.delta:
        yield from _of_delta(side)
        return
    for split in side.splits:
        yield from format_of(side.join.inputs).read(split, side.contract, MIB)


def _check_sound(batch: Batch, side: Side) -> None:
    """Refuses when a row could not be read: what is wrong once would be wrong for every row that finds it."""
    if not batch.rejected.num_rows:
        return
    first = batch.rejected.slice(0, 1).to_pylist()[0]
    unit = "byte" if side.join.csv else "row"
    raise Refused(
        f"join.{side.name}: {first['file']} at {unit} {first['offset']:,}: {first['message']}; mend the side table",
        "side_table",
    )


def _of_delta(side: Side) -> Iterator[Batch]:
    """The rows of a Delta table, at the version that was planned."""
    split = side.splits[0]
    identity, _, version = split.mark.rpartition("@")
    try:
        table = open_table(split.path, OF_OTHERS)
        if table is None or str(table.metadata().id) != identity:
            raise InputChanged(f"{split.file}: no longer the Delta table that was planned; run again")
        table.load_as_version(int(version))
        dataset = table.to_pyarrow_dataset()
        paths = paths_of(dataset.schema, side.contract)
        wanted = list(dict.fromkeys(path[0] for path in paths if path))
        start = 0
        for rows in dataset.to_batches(columns=wanted, batch_size=BATCH_ROWS):
            offsets = np.arange(start, start + rows.num_rows, dtype=np.int64)
            columns = [values_at(rows, path) if path else None for path in paths]
            yield column_batch(split, side.contract, offsets, columns)
            start += rows.num_rows
    except (DeltaError, FileNotFoundError) as error:
        found = f"version {version} of the Delta table can no longer be read"
        raise InputChanged(f"{split.file}: {found}: {error}; run again") from error
