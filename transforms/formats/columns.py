"""Batches from columns of a file's own types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ...schemas.batch import OFFSET, Batch, concat_rejected
from ...schemas.contract import Contract
from ...schemas.keys import key_text
from ...schemas.rejected import EMPTY, rejects
from ...schemas.split import Split
from ..verdict import Rows, Verdict
from .base import BATCH_ROWS
from .cast import cast_values
from .lines import missing


def column_batch(
    split: Split,
    contract: Contract,
    offsets: Rows,
    columns: Sequence[pa.Array | None],
    records: Verdict | None = None,
) -> Batch:
    """Casts columns to a contract's types; a row with a value that is none of its column's is turned away.

    Args:
      split: where the rows come from.
      contract: the columns wanted.
      offsets: int64[n], of all records, ascending.
      columns: for each of the contract's, values of any type for the records that `records` finds innocent; None for
        a column that is not there.
      records: blames the records that could not be taken apart; None when all could.

    Returns:
      A Batch of index 0 that is not marked as the last.
    """
    whole = Verdict(len(offsets)) if records is None else records
    rest = offsets[whole.innocent] if whole else offsets
    values = Verdict(len(rest))
    made = [
        missing(len(rest), contract.arrow_type(name))
        if found is None
        else cast_values(found, name, column, contract.arrow_type(name), values)
        for (name, column), found in zip(contract.columns.items(), columns, strict=True)
    ]
    rows = pa.RecordBatch.from_arrays([*made, pa.array(rest)], schema=row_schema(contract))
    rejected = _rejected(split, pa.array(offsets), whole)
    if values:
        with_keys = key_text(rows.take(pa.array(np.flatnonzero(values.guilty))), contract.key)
        rejected = concat_rejected([rejected, _rejected(split, pa.array(rest), values, with_keys)]).sort_by("offset")
        rows = rows.take(pa.array(values.innocent))
    return Batch(split, 0, False, len(offsets), rows, rejected)


def in_order(batches: Iterable[Batch], split: Split, contract: Contract) -> Iterator[Batch]:
    """Numbers the Batches of a split and marks the last; gives an empty one where there are none."""
    held = None
    for batch in batches:
        if held is not None:
            yield held
        index = 0 if held is None else held.index + 1
        held = Batch(split, index, False, batch.read, batch.rows, batch.rejected)
    yield replace(held, last=True) if held else empty_batch(split, contract)


def in_parts(batch: Batch, offsets: Rows) -> Iterator[Batch]:
    """Cuts a Batch that was cast at one go into such as a pipeline takes; `offsets` are those of all its records."""
    if batch.read <= BATCH_ROWS:
        yield batch
        return
    if not batch.rejected.num_rows:  # as nearly always: then nothing need be looked for
        for first in range(0, batch.read, BATCH_ROWS):
            kept = batch.rows.slice(first, BATCH_ROWS)
            yield Batch(batch.split, 0, False, kept.num_rows, kept)
        return
    firsts = offsets[::BATCH_ROWS]
    rows = np.append(np.searchsorted(batch.rows.column(OFFSET).to_numpy(), firsts), len(batch))
    gone = np.append(np.searchsorted(batch.rejected.column("offset").to_numpy(), firsts), batch.rejected.num_rows)
    for at in range(len(firsts)):
        kept = batch.rows.slice(rows[at], rows[at + 1] - rows[at])
        rejected = batch.rejected.slice(gone[at], gone[at + 1] - gone[at])
        yield replace(batch, read=kept.num_rows + rejected.num_rows, rows=kept, rejected=rejected)


def empty_batch(split: Split, contract: Contract) -> Batch:
    """The only Batch of a split without records."""
    columns = [missing(0, type) for type in row_schema(contract).types]
    return Batch(split, 0, True, 0, pa.RecordBatch.from_arrays(columns, schema=row_schema(contract)))


def row_schema(contract: Contract) -> pa.Schema:
    """The schema of a Batch's rows as the reader gives them."""
    return contract.schema.append(pa.field(OFFSET, pa.int64()))


def _rejected(split: Split, offsets: pa.Array, verdict: Verdict, keys: pa.Array | None = None) -> pa.RecordBatch:
    if not verdict:
        return EMPTY
    at, reasons, messages = verdict.findings()
    return rejects(split.file, offsets.take(pa.array(at)), "read", reasons, messages, keys)
