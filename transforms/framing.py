"""Finds the records of a text file, block by block and vectorised: where each begins, ends and lies in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..schemas.split import Split
from .blocks import BLOCK_BYTES, check_unchanged, read_blocks
from .quoting import begin_with

BATCH_BYTES = 8 << 20
"""Most bytes of records in one batch, so that wide rows do not make huge ones."""

Positions = npt.NDArray[np.int64]
_LF, _CR = 10, 13


@dataclass(frozen=True, eq=False)
class Records:
    """Consecutive records of a file, laid on one buffer.

    Attributes:
      data: bytes that hold them; between them stand line breaks, and the rests of records that were cut.
      starts: int64[n], first byte of each record in `data`.
      ends: int64[n], one past its last byte; the line break is left out.
      offsets: int64[n], its first byte in the file.
      lengths: int64[n], its bytes; more than `ends - starts` where it was longer than allowed, and cut.
    """

    data: bytes
    starts: Positions
    ends: Positions
    offsets: Positions
    lengths: Positions

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, start: int, stop: int | None) -> Records:
        """The records from `start` to `stop`, on the same buffer."""
        cut = slice(start, stop)
        return Records(self.data, self.starts[cut], self.ends[cut], self.offsets[cut], self.lengths[cut])

    def where(self, mask: npt.NDArray[np.bool_]) -> Records:
        """The records a mask chooses, on the same buffer."""
        return Records(self.data, self.starts[mask], self.ends[mask], self.offsets[mask], self.lengths[mask])


def frame_split(
    split: Split,
    max_record_bytes: int,
    batch_rows: int,
    batch_bytes: int = BATCH_BYTES,
    block_bytes: int = BLOCK_BYTES,
    comment: str = "",
    sure: bool = False,
) -> Iterator[Records]:
    """Frames the records whose first byte lies in a split, in groups fit for one Batch.

    A record ends at a line feed or at the end of the file; a carriage return before it is no part of the record. Blank
    lines and comments are no records. The groups depend on the records alone, not on how the file is read.

    Args:
      split: what to read.
      max_record_bytes: of a longer record only this much is kept.
      batch_rows: most records of a group.
      batch_bytes: most bytes of a group of more than one record.
      block_bytes: how much is read at a time.
      comment: how lines begin that are no records, in ASCII.
      sure: whether a record is known to begin at the split's start, whatever stands before it.

    Yields:
      Groups of at least one record, each on a buffer of its own. Memory stays within a few blocks and groups.

    Raises:
      InputChanged: when the file is not the one that was planned, or changed meanwhile.
      UnreadableInput: when it cannot be read to the split's end.
    """
    # Whether a record begins at `start` shows in the byte before it, so reading begins there.
    origin = split.start if sure else max(split.start - 1, 0)
    blocks = read_blocks(split, origin, block_bytes)
    lines = frame_blocks(blocks, origin, max_record_bytes, split.start, split.end, comment)
    yield from grouped(lines, batch_rows, batch_bytes)
    check_unchanged(split)  # not while it was read, either


def frame_blocks(
    blocks: Iterable[bytes],
    base: int,
    max_record_bytes: int,
    start: int = 0,
    end: int | None = None,
    comment: str = "",
) -> Iterator[Records]:
    """Frames blocks that follow each other.

    Args:
      blocks: bytes from `base` on; no more of them are asked for than needed.
      base: their place in the file.
      max_record_bytes: of a longer record only this much is kept.
      start: records that begin before it are left out.
      end: records that begin there or later are left out.
      comment: how lines begin that are left out.

    Yields:
      Records, at least one at a time.
    """
    tail, dropped = b"", 0  # of the unfinished line: what is kept, and how much of it is not
    for block in blocks:
        buffer = tail + block if tail else block
        breaks = len(tail) + np.flatnonzero(np.frombuffer(block, np.uint8) == _LF)
        if len(breaks):
            yield from between(_framed(buffer, breaks, base, dropped, max_record_bytes, comment), start, end)
            past = int(breaks[-1]) + 1
            base, buffer, dropped = base + past + dropped, buffer[past:], 0
        if end is not None and (base if base >= start else base + dropped + len(buffer)) >= end:
            return  # what follows begins past the end; a line from before the start may reach that far too
        tail, dropped = _shortened(buffer, dropped, max(max_record_bytes, len(comment)))
    if tail:
        records = _framed(tail, np.array([len(tail)]), base, dropped, max_record_bytes, comment)
        yield from between(records, start, end)


def between(records: Records, start: int, end: int | None) -> Iterator[Records]:
    """The records that begin in a range, if there are any."""
    first = int(np.searchsorted(records.offsets, start)) if start else 0
    stop = len(records) if end is None else int(np.searchsorted(records.offsets, end))
    if first < stop:
        yield records.part(first, stop)


def _framed(buffer: bytes, breaks: Positions, base: int, dropped: int, limit: int, comment: str) -> Records:
    """Makes records of whole lines; of the first one `dropped` bytes are missing."""
    starts = np.empty_like(breaks)
    starts[0], starts[1:] = 0, breaks[:-1] + 1
    ends = _without_cr(buffer, starts, breaks)
    lengths, offsets = ends - starts, starts + base
    if dropped:
        lengths[0] += dropped
        offsets[1:] += dropped
    records = Records(buffer, starts, ends, offsets, lengths)
    if comment and comment.encode() in buffer:
        records = _without_comments(records, comment)
    records = shortened(records, limit)
    return records if lengths.min() else records.where(records.lengths > 0)


def _without_comments(records: Records, comment: str) -> Records:
    """The lines that are no comments; those become line breaks, since a parser takes the whole buffer."""
    text = np.frombuffer(records.data, np.uint8)
    found = begin_with(text, records.starts, comment)
    if not found.any():
        return records
    data = blanked(text, records.starts[found], records.ends[found]).tobytes()
    return Records(data, records.starts, records.ends, records.offsets, records.lengths).where(~found)


def blanked(text: npt.NDArray[Any], starts: Positions, ends: Positions) -> npt.NDArray[Any]:
    """A text with nothing but line feeds in some ranges, which hold at least a character each."""
    depth = np.zeros(len(text) + 1, np.int8)
    depth[starts] += 1
    depth[ends] -= 1
    return np.where(np.cumsum(depth[:-1], dtype=np.int8) > 0, text.dtype.type(_LF), text).astype(text.dtype)


def shortened(records: Records, limit: int) -> Records:
    """The records, cut where they are longer than allowed."""
    if not len(records) or records.lengths.max() <= limit:
        return records
    ends = np.minimum(records.ends, records.starts + limit)
    return Records(records.data, records.starts, ends, records.offsets, records.lengths)


def _without_cr(buffer: bytes, starts: Positions, breaks: Positions) -> Positions:
    if b"\r" not in buffer:
        return breaks
    last = np.frombuffer(buffer, np.uint8)[np.maximum(breaks - 1, 0)]
    return np.asarray(breaks - ((last == _CR) & (breaks > starts)))


def _shortened(line: bytes, dropped: int, limit: int) -> tuple[bytes, int]:
    """Bounds an unfinished line; its last byte stays, since it may be the carriage return of its end."""
    spare = len(line) - limit - 1
    return (line[:limit] + line[-1:], dropped + spare) if spare > 0 else (line, dropped)


def grouped(pieces: Iterable[Records], rows: int, size: int) -> Iterator[Records]:
    """Regroups records, so that each group is as large as it may be."""
    held: list[Records] = []
    for piece in pieces:
        while len(piece):
            n = _fitting(piece, rows - sum(map(len, held)), size - sum(map(_bytes, held)), bool(held))
            if n:
                held.append(piece.part(0, n))
                piece = piece.part(n, None)
            if len(piece):
                yield _joined(held)
                held = []
    if held:
        yield _joined(held)


def _bytes(records: Records) -> int:
    return int(records.lengths.sum())


def _fitting(piece: Records, rows: int, size: int, started: bool) -> int:
    """How many records of a piece still fit into a group; one always fits into a new group."""
    n = min(len(piece), rows)
    if _bytes(piece.part(0, n)) > size:
        n = int(np.searchsorted(np.cumsum(piece.lengths[:n]), size, "right"))
    return n if started else max(n, 1)


def _joined(pieces: Sequence[Records]) -> Records:
    """Lays pieces on one new buffer, without what stands before, between and after their records; it ends in LF."""
    at, starts = 0, []
    for piece in pieces:
        starts.append(piece.starts - piece.starts[0] + at)
        at += int(piece.ends[-1] - piece.starts[0]) + 1
    spans = [memoryview(piece.data)[int(piece.starts[0]) : int(piece.ends[-1])] for piece in pieces]
    begin = np.concatenate(starts)
    sizes = np.concatenate([piece.ends - piece.starts for piece in pieces])
    offsets = np.concatenate([piece.offsets for piece in pieces])
    lengths = np.concatenate([piece.lengths for piece in pieces])
    return Records(b"\n".join([*spans, b""]), begin, begin + sizes, offsets, lengths)
