"""Finds the elements of a JSON array that is a whole file, block by block and vectorised, without parsing them.

All that is told apart is what stands in strings and what does not, and how deep brackets are nested: an element ends at
a comma, or at the closing bracket, of the array itself. So an element that is no JSON is still a record of its own, as
long as its quotes and brackets are closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...schemas.errors import UnreadableInput
from ...schemas.split import Split
from ..blocks import BLOCK_BYTES, check_unchanged, read_blocks
from ..framing import BATCH_BYTES, Positions, Records, grouped
from ..verdict import Rows
from .json_head import BLANKS
from .lines import records_at

_BLANK = np.zeros(256, bool)
_BLANK[list(BLANKS)] = True
_SPECIAL = np.zeros(256, bool)
_SPECIAL[list(b'"\\[]{},')] = True
_NESTS = np.zeros(256, np.int64)
_NESTS[list(b"[{")], _NESTS[list(b"]}")] = 1, -1
_GROUP_ROWS = 1 << 16


def frame_elements(
    split: Split,
    max_record_bytes: int,
    batch_rows: int,
    batch_bytes: int = BATCH_BYTES,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Records]:
    """Frames the elements of an array, in groups fit for one Batch.

    A record is an element without the white space around it; where there is none between two commas, that is no record.

    Args:
      split: a whole file.
      max_record_bytes: of a longer element only this much is kept.
      batch_rows: most records of a group.
      batch_bytes: most bytes of a group of more than one record.
      block_bytes: how much is read at a time; changes nothing in the result.

    Yields:
      Groups of at least one record, each on a buffer of its own, with a line feed between any two. Memory stays within
      a few blocks and groups.

    Raises:
      InputChanged: when the file is not the one that was planned, or changed meanwhile.
      UnreadableInput: when it cannot be read to its end, the array is not closed, or something follows it.
    """
    elements = _frame_blocks(read_blocks(split, 0, block_bytes), split.file, 0, max_record_bytes, _Place())
    yield from grouped(elements, batch_rows, batch_bytes)
    check_unchanged(split)


def raw_elements(
    offsets: Rows, split: Split, max_record_bytes: int, block_bytes: int = BLOCK_BYTES
) -> tuple[pa.Array, Rows]:
    """Bytes and true lengths of the elements that begin at some ascending offsets; see `Format.raw`."""
    first, last = int(offsets[0]), int(offsets[-1])
    blocks = read_blocks(split, first, block_bytes)
    framed = _frame_blocks(blocks, split.file, first, max_record_bytes, _Place(depth=1))
    return records_at(offsets, split, _until(last, grouped(framed, _GROUP_ROWS, BATCH_BYTES)))


def _until(offset: int, framed: Iterator[Records]) -> Iterator[Records]:
    for records in framed:
        yield records
        if records.offsets[-1] >= offset:
            return


@dataclass
class _Place:
    """Where in the array the scanner is.

    Attributes:
      depth: open brackets.
      quoted: whether a string is open.
      escaped: whether the next byte is escaped.
    """

    depth: int = 0
    quoted: bool = False
    escaped: bool = False

    def bounds(self, block: npt.NDArray[np.uint8]) -> tuple[Positions, bool]:
        """Goes through a block: where the array opens, is divided and closes; and whether it has closed."""
        at = np.flatnonzero(_SPECIAL[block])
        at = self._without_escapes(at, block)
        marks = block[at]
        quotes = marks == ord('"')
        within = (np.cumsum(quotes) + self.quoted) % 2 == 1
        self.quoted = bool(within[-1]) if len(at) else self.quoted
        at, marks = at[~quotes & ~within], marks[~quotes & ~within]
        nests = _NESTS[marks]
        depths = self.depth + np.cumsum(nests)
        self.depth = int(depths[-1]) if len(at) else self.depth
        bounds = (depths == 1) & (nests >= 0) & ((marks == ord(",")) | (depths - nests == 0)) | (depths == 0)
        found = np.flatnonzero(bounds)
        closed = found[depths[found] == 0]
        return (at[found[found <= closed[0]]], True) if len(closed) else (at[found], False)

    def _without_escapes(self, at: Positions, block: npt.NDArray[np.uint8]) -> Positions:
        """Leaves out backslashes, and what stands after an odd number of them."""
        if self.escaped and len(at) and at[0] == 0:
            at = at[1:]
        self.escaped = False
        slashes = at[block[at] == ord("\\")]
        if not len(slashes):
            return at
        ends = np.append(np.flatnonzero(np.diff(slashes) != 1), len(slashes) - 1)
        odd = np.diff(np.append(-1, ends)) % 2 == 1
        escaped = slashes[ends[odd]] + 1
        self.escaped = bool(len(escaped)) and bool(escaped[-1] == len(block))
        kept: Positions = at[(block[at] != ord("\\")) & ~np.isin(at, escaped, assume_unique=True)]
        return kept


class _Pending:
    """An element whose end is not known yet; of a long one only the beginning is kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.offset = self.length = 0
        self._kept = b""

    def add(self, part: bytes, offset: int) -> None:
        """More of it, from a place of the file on; white space before and after it does not count."""
        if not self.length:
            stripped = part.lstrip(BLANKS)
            self.offset = offset + len(part) - len(stripped)
            part, offset = stripped, self.offset
        if part:
            self._kept += part[: max(self._limit - (offset - self.offset), 0)]
            if sound := part.rstrip(BLANKS):
                self.length = offset + len(sound) - self.offset

    def taken(self) -> Iterator[Records]:
        """The element, unless it is empty; then begins afresh."""
        if self.length:
            kept = self._kept[: self.length]
            yield Records(
                kept, np.array([0]), np.array([len(kept)]), np.array([self.offset]), np.array([self.length])
            )  # fmt: skip
        self.length, self._kept = 0, b""


def _frame_blocks(blocks: Iterable[bytes], file: str, base: int, limit: int, place: _Place) -> Iterator[Records]:
    """Frames blocks that follow each other, of which the first lies at `base`."""
    pending, closed, good = _Pending(limit), False, base
    opened = place.depth > 0
    for block in blocks:
        if closed:
            _check_blank(block, file, base)
        else:
            bounds, closed = place.bounds(np.frombuffer(block, np.uint8))
            if len(bounds):
                if opened:
                    pending.add(block[: bounds[0]], base)
                    yield from pending.taken()
                yield from _between(block, bounds, base, limit)
                rest, good, opened = int(bounds[-1]) + 1, base + int(bounds[-1]) + 1, True
                if closed:
                    _check_blank(block[rest:], file, base + rest)
                else:
                    pending.add(block[rest:], base + rest)
            elif opened:
                pending.add(block, base)
        base += len(block)
    if not closed:
        raise UnreadableInput(
            f"{file}: the array is not closed where the file ends; the last element that was is before byte {good:,}; "
            "put the whole file in place and run again"
        )


def _between(block: bytes, bounds: Positions, base: int, limit: int) -> Iterator[Records]:
    """The elements that lie between the bounds of a block."""
    if len(bounds) < 2:
        return
    data = np.frombuffer(block, np.uint8).copy()
    data[bounds] = ord("\n")
    there = np.flatnonzero(~_BLANK[data])
    first = np.searchsorted(there, bounds[:-1])
    past = np.searchsorted(there, bounds[1:])
    first, past = first[first < past], past[first < past]
    if not len(first):
        return
    starts, ends = there[first], there[past - 1] + 1
    lengths = ends - starts
    yield Records(data.tobytes(), starts, np.minimum(ends, starts + limit), starts + base, lengths)


def _check_blank(block: bytes, file: str, base: int) -> None:
    if rest := block.lstrip(BLANKS):
        at = base + len(block) - len(rest)
        raise UnreadableInput(
            f"{file}: something follows the array at byte {at:,}; a file is one array, or JSON Lines that do not begin "
            "with one"
        )
