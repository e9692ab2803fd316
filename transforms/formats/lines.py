"""Reads a split of a text file of one record a line into Batches: what cannot be read is turned away, by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.batch import OFFSET, Batch, concat_rejected
from ...schemas.contract import Contract
from ...schemas.errors import Unconserved
from ...schemas.keys import key_text
from ...schemas.rejected import EMPTY, rejects
from ...schemas.split import Split
from ..blocks import BLOCK_BYTES, check_unchanged, read_blocks
from ..framing import BATCH_BYTES, Records, frame_blocks, frame_split
from ..messages import sentence
from ..record_faults import record_bytes
from ..verdict import Rows, Verdict
from .base import BATCH_ROWS


class Parser(Protocol):
    """Parses framed records into the columns of a contract."""

    def blame_framing(self, records: Records, verdict: Verdict) -> None:
        """Finds the records no parser may see; ought to cost next to nothing when there are none."""
        ...

    def typed(self, records: Records, rows: Rows, verdict: Verdict) -> list[pa.Array] | None:
        """Parses all at once, the fast way.

        Args:
          records: framed records.
          rows: which of them to parse, at least one; none has a fault that framing finds.
          verdict: of `len(rows)` rows; hears of values that are wrong.

        Returns:
          The contract's columns; or None when something is wrong with a record, or with a value that this way cannot
          name.
        """
        ...

    def blame_structure(self, records: Records, verdict: Verdict) -> None:
        """Finds the records that cannot be taken apart; is asked when `typed` gave None."""
        ...

    def text(self, records: Records, rows: Rows, verdict: Verdict) -> list[pa.Array] | None:
        """Parses so that every wrong value is found. Arguments and result as for `typed`; None: it failed after all."""
        ...


def read_lines(
    split: Split,
    parser: Parser,
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
      split: a range of a text file.
      parser: of its records.
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
    framed = frame_split(split, max_record_bytes, batch_rows, batch_bytes, block_bytes)
    return batches(split, framed, parser, contract, max_record_bytes)


def batches(
    split: Split, framed: Iterator[Records], parser: Parser, contract: Contract, max_record_bytes: int
) -> Iterator[Batch]:
    """Makes Batches of framed records; arguments and results as for `read_lines`."""
    reader = LineReader(split, parser, contract, max_record_bytes)
    held = None
    for records in framed:
        if held is not None:
            yield held
        held = reader.batch(0 if held is None else held.index + 1, records)
    yield replace(held, last=True) if held else reader.empty()


class LineReader:
    """Makes Batches of framed records.

    Args:
      split: where they come from.
      parser: takes them apart.
      contract: the columns wanted.
      max_record_bytes: a longer record is rejected.
    """

    def __init__(self, split: Split, parser: Parser, contract: Contract, max_record_bytes: int) -> None:
        self._split, self._contract, self._max_record_bytes = split, contract, max_record_bytes
        self._parser = parser
        self._schema = contract.schema.append(pa.field(OFFSET, pa.int64()))

    def empty(self) -> Batch:
        """The only Batch of a split in which no record begins."""
        columns = [missing(0, type) for type in self._schema.types]
        return Batch(self._split, 0, True, 0, pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def batch(self, index: int, records: Records) -> Batch:
        """One Batch of at least one record; not marked as the last."""
        framing = Verdict(len(records))
        blame_length(records, self._max_record_bytes, framing)
        self._parser.blame_framing(records, framing)
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


def blame_length(records: Records, max_record_bytes: int, verdict: Verdict) -> None:
    """Finds the records that are too long, and were cut."""
    if records.lengths.max() > max_record_bytes:
        rows = np.flatnonzero(records.lengths > max_record_bytes)
        allowed = f" bytes, at most {max_record_bytes} are allowed (source.max_record_bytes)"
        found = sentence("the record has ", pa.array(records.lengths[rows]), allowed)
        verdict.blame(rows, "record_too_long", found)


def missing(rows: int, type: pa.DataType) -> pa.Array:
    """A column without values; its dictionary, if it has one, is empty."""
    if pa.types.is_dictionary(type):
        return pa.DictionaryArray.from_arrays(pa.nulls(rows, type.index_type), pa.array([], type.value_type))
    return pa.nulls(rows, type)


def raw_lines(
    offsets: Rows, split: Split, max_record_bytes: int, block_bytes: int = BLOCK_BYTES
) -> tuple[pa.Array, Rows]:
    """Bytes and true lengths of the records that begin at some ascending offsets; see `Format.raw`."""
    # Each of them begins a record, so the part between the first and the last frames as the whole split does.
    start, end = int(offsets[0]), int(offsets[-1]) + 1
    origin = max(start - 1, 0)
    blocks = read_blocks(replace(split, end=end), origin, block_bytes)
    found = records_at(offsets, split, frame_blocks(blocks, origin, max_record_bytes, start, end))
    check_unchanged(split)
    return found


def records_at(offsets: Rows, split: Split, framed: Iterator[Records]) -> tuple[pa.Array, Rows]:
    """Picks the records that begin at some ascending offsets.

    Raises:
      Unconserved: when one of them does not begin a record.
    """
    raw, lengths, found = [], [], 0
    for records in framed:
        first, end = np.searchsorted(offsets, (records.offsets[0], records.offsets[-1] + 1))
        rows = np.searchsorted(records.offsets, offsets[first:end])
        rows = rows[records.offsets[rows] == offsets[first:end]]
        found += len(rows)
        raw.append(record_bytes(records, rows))
        lengths.append(records.lengths[rows])
    if found != len(offsets):
        raise Unconserved(f"{split.file}: {len(offsets)} records were rejected, and {found} of them are found again")
    return pa.concat_arrays(raw), np.concatenate(lengths)


def laid_lines(raw: pa.Array, offsets: pa.Array, line_feed: bytes = b"\n") -> Records:
    """Records from their bytes, laid out as framing lays them: a line feed after each.

    Args:
      raw: binary[n], without nulls.
      offsets: int64[n], where each began in its file.
      line_feed: in the file's encoding.
    """
    sizes = pc.binary_length(raw).to_numpy().astype(np.int64)
    starts = np.cumsum(sizes + len(line_feed)) - sizes - len(line_feed)
    data = line_feed.join([*raw.to_pylist(), b""])
    return Records(data, starts, starts + sizes, offsets.to_numpy(), sizes)
