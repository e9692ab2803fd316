"""Records of a TFRecord file: a length, its checksum, the data, and theirs.

Where a record begins is known only from the one before, so they are gone through one by one; and each becomes a
Python object, since that is what the decoder of tf.Examples takes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import google_crc32c

from ...schemas.errors import UnreadableInput
from ...schemas.split import Split
from ..blocks import check_unchanged, read_blocks
from ..framing import BATCH_BYTES
from .base import BATCH_ROWS

HEADER, FOOTER = 12, 4
_LENGTH, _HEADER, _FOOTER = struct.Struct("<Q"), struct.Struct("<QI"), struct.Struct("<I")
_BLOCK_BYTES = 1 << 20


@dataclass
class Group:
    """Some records that follow each other.

    Attributes:
      offsets: where each begins, at its length.
      lengths: bytes of data.
      data: those bytes; of a record that is too long, as many as were asked for.
      damaged: position in the group -> checksum of the data as it stands in the file, where that is not theirs.
    """

    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    damaged: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets)


def masked_crc(data: bytes) -> int:
    """The checksum of a TFRecord: CRC-32C, turned and shifted."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(length: int, crc: int, data: bytes) -> bytes:
    """A record as it stands in a file, with some checksum of its data."""
    head = _LENGTH.pack(length)
    return head + _FOOTER.pack(masked_crc(head)) + data + _FOOTER.pack(crc)


def unframed(record: bytes) -> tuple[bytes, int] | None:
    """Data and checksum of a record that is framed, or None when it is not."""
    if len(record) < HEADER + FOOTER:
        return None
    length, crc = _HEADER.unpack_from(record)
    if length != len(record) - HEADER - FOOTER or crc != masked_crc(record[: _LENGTH.size]):
        return None
    return record[HEADER:-FOOTER], _FOOTER.unpack(record[-FOOTER:])[0]


def frame_records(split: Split, max_record_bytes: int) -> Iterator[Group]:
    """Frames the records of a split, in groups fit for one Batch.

    Args:
      split: begins with a record.
      max_record_bytes: of a longer record only this much is kept.

    Raises:
      InputChanged: when the file is not the one that was planned.
      UnreadableInput: when a length is damaged, so that nobody knows where the next record begins, or a record is cut.
    """
    stream = _Stream(split)
    group, held = Group(), 0
    while (length := stream.length()) is not None:
        if group and (len(group) == BATCH_ROWS or held + min(length, max_record_bytes) > BATCH_BYTES):
            yield group
            group, held = Group(), 0
        offset = stream.offset
        data, crc = stream.data(length, max_record_bytes)
        if crc is not None:
            group.damaged[len(group)] = crc
        group.offsets.append(offset)
        group.lengths.append(length)
        group.data.append(data)
        held += len(data)
    if group:
        yield group
    check_unchanged(split)  # not while it was read, either


def cut_records(whole: Split, split_size: int) -> Iterator[Split]:
    """Cuts a split of a whole file between records, at the first one after each multiple of `split_size`.

    Raises:
      UnreadableInput: as `frame_records`.
    """
    stream, start = _Stream(whole), whole.start
    while (length := stream.length()) is not None:
        if stream.offset // split_size > start // split_size:
            yield replace(whole, start=start, end=stream.offset)
            start = stream.offset
        stream.skip(length)
    yield replace(whole, start=start, end=whole.size)


class _Stream:
    """A split's bytes, taken record by record.

    Attributes:
      offset: where the next record begins.
    """

    def __init__(self, split: Split) -> None:
        self._split, self.offset = split, split.start
        self._blocks = read_blocks(split, split.start, _BLOCK_BYTES)
        self._buffer, self._at = b"", 0

    def length(self) -> int | None:
        """The length of the next record, None at the end; then one of the following has to be called."""
        if self._split.end is not None and self.offset >= self._split.end:
            return None
        if not self._has(HEADER):
            if self._split.end is None and self._at == len(self._buffer):
                return None
            raise self._lost("it ends within a record")
        length, crc = _HEADER.unpack_from(self._buffer, self._at)
        if crc != masked_crc(self._buffer[self._at : self._at + _LENGTH.size]):
            raise self._lost("the length of the record there does not match its checksum")
        return int(length)

    def data(self, length: int, limit: int) -> tuple[bytes, int | None]:
        """The data of the next record, at most `limit` bytes; and their checksum if it does not match."""
        if length > limit:
            kept = self._buffer[self._at + HEADER :][:limit] if self._has(HEADER + limit) else b""
            self.skip(length)
            return kept, None
        end = HEADER + length
        if not self._has(end + FOOTER):
            raise self._lost("it ends within a record")
        found = self._buffer[self._at + HEADER : self._at + end]
        (crc,) = _FOOTER.unpack_from(self._buffer, self._at + end)
        self._at += end + FOOTER
        self.offset += end + FOOTER
        return found, None if crc == masked_crc(found) else crc

    def skip(self, length: int) -> None:
        """Goes past the next record."""
        left = HEADER + length + FOOTER
        while left > len(self._buffer) - self._at:
            left -= len(self._buffer) - self._at
            self._buffer, self._at = next(self._blocks, b""), 0
            if not self._buffer:
                raise self._lost("it ends within a record")
        self._at += left
        self.offset += HEADER + length + FOOTER

    def _has(self, size: int) -> bool:
        """Whether so many bytes follow; then they lie in the buffer."""
        if size > len(self._buffer) - self._at:
            parts, have = [self._buffer[self._at :]], len(self._buffer) - self._at
            while have < size and (block := next(self._blocks, b"")):
                parts.append(block)
                have += len(block)
            self._buffer, self._at = b"".join(parts), 0
        return size <= len(self._buffer) - self._at

    def _lost(self, why: str) -> UnreadableInput:
        return UnreadableInput(
            f"{self._split.file}: cannot be framed past byte {self.offset:,}: {why}; put the whole file in place "
            "and run again"
        )
