"""Batches from columns of a file's own types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ...schemas.batch import OFFSET, Batch, concat_rejected
from ...schemas.contract import Contract
from ...schemas.keys import key_text
from ...schemas.rejected import EMPTY, rejects
from ...schemas.split import Split
from ..verdict import Rows, Verdict
from .cast import cast_values
from .lines import missing


def column_batch(
    split: Split,
    index: int,
    contract: Contract,
    offsets: Rows,
    columns: Sequence[pa.Array | None],
    records: Verdict | None = None,
) -> Batch:
    """Casts columns to a contract's types; a row with a value that is none of its column's is turned away.

    Args:
      split: where the rows come from.
      index: the Batch's place in the split.
      contract: the columns wanted.
      offsets: int64[n], of all records, ascending.
      columns: for each of the contract's, values of any type for the records that `records` finds innocent; None for
        a column that is not there.
      records: blames the records that could not be taken apart; None when all could.

    Returns:
      A Batch that is not marked as the last.
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
    return Batch(split, index, False, len(offsets), rows, rejected)


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
