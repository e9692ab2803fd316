"""Reads a split of a CSV file into Batches, row-exact: what cannot be read is turned away, one record at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from ..schemas.batch import OFFSET, Batch, concat_rejected
from ..schemas.contract import Contract
from ..schemas.errors import Unconserved
from ..schemas.job import Csv
from ..schemas.keys import key_text
from ..schemas.rejected import EMPTY, rejects
from ..schemas.split import Split
from .blocks import BLOCK_BYTES
from .csv_parser import CsvParser, missing
from .framing import BATCH_BYTES, Records, frame_split
from .record_faults import blame_framing
from .verdict import Verdict

BATCH_ROWS = 16384


def read_csv(
    split: Split,
    csv: Csv,
    contract: Contract,
    max_record_bytes: int,
    batch_rows: int = BATCH_ROWS,
    batch_bytes: int = BATCH_BYTES,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Batch]:
    """Reads the records whose first byte lies in a split.

    Every record becomes a row or a reject of stage `read`, by what it holds and nothing else. Batches depend on the
    split alone; memory is bounded by a few blocks and batches, whatever the split's size.

    Args:
      split: a range of a CSV file, with its header.
      csv: delimiter and spellings of null.
      contract: the columns wanted.
      max_record_bytes: a longer record is rejected.
      batch_rows: most records of a Batch.
      batch_bytes: most bytes of a Batch of more than one record.
      block_bytes: how much is read at a time; changes nothing in the result.

    Yields:
      At least one Batch, the last one marked; rows have the columns of `contract.schema` and `_offset`.

    Raises:
      InputChanged: when the file is not the one that was planned.
      UnreadableInput: when the file cannot be read to the split's end.
    """
    reader = _Reader(split, csv, contract, max_record_bytes)
    held = None
    for records in frame_split(split, max_record_bytes, batch_rows, batch_bytes, block_bytes):
        if held is not None:
            yield held
        held = reader.batch(0 if held is None else held.index + 1, records)
    yield replace(held, last=True) if held else reader.empty()


class _Reader:
    """Makes Batches of framed records."""

    def __init__(self, split: Split, csv: Csv, contract: Contract, max_record_bytes: int) -> None:
        self._split, self._contract, self._max_record_bytes = split, contract, max_record_bytes
        self._parser = CsvParser(split.header, csv, contract)
        self._schema = contract.schema.append(pa.field(OFFSET, pa.int64()))

    def empty(self) -> Batch:
        """The only Batch of a split in which no record begins."""
        columns = [missing(0, type) for type in self._schema.types]
        return Batch(self._split, 0, True, 0, pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def batch(self, index: int, records: Records) -> Batch:
        """One Batch of at least one record; not marked as the last."""
        framing = Verdict(len(records))
        blame_framing(records, self._max_record_bytes, framing)
        columns, values = self._parsed(records, framing)
        offsets = pa.array(records.offsets[framing.innocent] if framing else records.offsets)
        rows = pa.RecordBatch.from_arrays([*columns, offsets], schema=self._schema)
        rejected = self._rejected(pa.array(records.offsets), framing)
        if values:
            with_values = self._rejected(offsets, values, rows)
            rejected = concat_rejected([rejected, with_values]).sort_by("offset")
            rows = rows.take(pa.array(values.innocent))
        return Batch(self._split, index, False, len(records), rows, rejected)

    def _parsed(self, records: Records, framing: Verdict) -> tuple[list[pa.Array], Verdict]:
        """Columns of the records framing finds sound, and what is wrong with their values; adds to `framing`."""
        rows = framing.innocent
        values = Verdict(len(rows))
        columns = self._parser.typed(records, rows, values) if len(rows) else None
        if columns is None:
            self._parser.blame_structure(records, framing)
            rows = framing.innocent
            values = Verdict(len(rows))
            columns = self._parser.text(records, rows, values) if len(rows) else self._no_columns()
        if columns is None:
            raise Unconserved(
                f"{self._split.file}: the parser and the framing disagree on a record near byte "
                f"{records.offsets[0]:,}; please report it"
            )
        return columns, values

    def _no_columns(self) -> list[pa.Array]:
        return [missing(0, type) for type in self._contract.schema.types]

    def _rejected(self, offsets: pa.Array, verdict: Verdict, rows: pa.RecordBatch | None = None) -> pa.RecordBatch:
        """The guilty as rejects; with their keys, as far as the rows have them."""
        if not verdict:
            return EMPTY
        at, reasons, messages = verdict.findings()
        which = pa.array(at)
        keys = None if rows is None else key_text(rows.take(which), self._contract.key)
        return rejects(self._split.file, offsets.take(which), "read", reasons, messages, keys)
