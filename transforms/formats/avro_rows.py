"""The rows of a split of an Avro file, as the decoder gives them."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from ... import storage
from ...schemas.errors import UnreadableInput
from ...schemas.split import Split
from ..blocks import check_unchanged
from ..framing import BATCH_BYTES
from ..verdict import Rows
from .avro_blocks import CODECS, long, read_header, walk
from .avro_types import bare
from .base import BATCH_ROWS

_FAILURES = (
    *(ValueError, TypeError, KeyError, IndexError, EOFError, OSError, OverflowError, MemoryError, RecursionError),
    *(pa.ArrowException, zlib.error, lzma.LZMAError),
)
_EMPTY_ROWS = 1 << 20  # of rows without a byte, as of nulls alone, a block may hold so many
Row = dict[str, Any]


def avro_rows(split: Split) -> Iterator[tuple[int, list[Row]]]:
    """Reads a split's rows, at most BATCH_ROWS at a time.

    Yields:
      Number of the first row in the file, and rows; logical types are what they are made of.

    Raises:
      InputChanged: when the file is not the one that was planned.
      UnreadableInput: when it cannot be read to the split's end; names the last row that could.
    """
    first, held, size = split.first_row, list[Row](), 0
    for _, rows, octets in decoded(split):
        if held and (len(held) + len(rows) > BATCH_ROWS or size + octets > BATCH_BYTES):
            yield first, held
            first, held, size = first + len(held), [], 0
        held += rows
        size += octets
    if held:
        yield first, held


def decoded(split: Split, among: Rows | None = None) -> Iterator[tuple[int, list[Row], int]]:
    """Decodes the blocks of a split; arguments and errors as for `avro_rows`.

    Args:
      split: a run of blocks.
      among: ascending row numbers; only blocks that hold one of them are decoded.

    Yields:
      Number of the first row, at most BATCH_ROWS rows of one block, and about how many bytes they are.
    """
    check_unchanged(split)
    row = split.first_row
    try:
        with storage.open_input(split.path) as file:
            for row, count, octets, rows in _blocks(file, split, among):
                size = octets * BATCH_ROWS // max(count, 1)
                while some := list(islice(rows, BATCH_ROWS)):
                    yield row, some, min(octets, size)
                    row += len(some)
    except _FAILURES as error:
        check_unchanged(split)
        raise unreadable(split.file, row, error) from error
    check_unchanged(split)  # not while it was read, either


def unreadable(file: str, row: int, error: BaseException) -> UnreadableInput:
    """Says where a file ends to be readable: before a row, counted from 0."""
    last = f"after row {row - 1:,}" if row else "from its first row on"
    why = str(error) or type(error).__name__
    return UnreadableInput(
        f"{file}: cannot be read {last} (rows count from 0): {why}; put the whole file in place and run again"
    )


def _blocks(file: pa.NativeFile, split: Split, among: Rows | None) -> Iterator[tuple[int, int, int, Iterator[Row]]]:
    """First row, rows and bytes of each block wanted, and what decodes it."""
    header = read_header(file)
    feed = _Feed(header.alone(bare(header.schema)))
    decoder: Any = fastavro.block_reader(feed, handle_unicode_errors="surrogateescape")  # type: ignore[arg-type]
    row = split.first_row
    for block in walk(file, header, split.start, split.end or 0):
        if among is None or np.searchsorted(among, row) < np.searchsorted(among, row + block.rows):
            file.seek(block.data)
            data = CODECS[header.codec](bytes(file.read(block.size)))
            if block.rows > max(len(data), _EMPTY_ROWS):
                raise ValueError(f"a block says that it holds {block.rows:,} rows in {len(data):,} bytes")
            feed.add(long(block.rows) + long(len(data)) + data + header.sync)
            yield row, block.rows, len(data), _rows_of(next(decoder), block.rows)
        row += block.rows


def _rows_of(block: Any, rows: int) -> Iterator[Row]:
    read = 0
    try:
        for row in block:
            yield row
            read += 1
    except (EOFError, IndexError) as error:
        raise ValueError(
            f"a block says that it holds {rows:,} rows, and it ends, or is damaged, within number {read + 1:,}"
        ) from error
    if rest := len(block.bytes_.read()):
        raise ValueError(f"a block holds {rest:,} bytes after its last row")


class _Feed:
    """A file for the decoder, to which one block after the other is added."""

    def __init__(self, header: bytes) -> None:
        self._data = io.BytesIO(header)

    def add(self, data: bytes) -> None:
        """Goes on with these bytes; all before were read."""
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return self._data.read(size)

    def tell(self) -> int:
        """Where it is; the decoder asks, but it does not matter."""
        return 0
