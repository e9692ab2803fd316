"""The line a record begins on: counted when somebody asks, since nothing else needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..schemas.errors import Refused
from ..schemas.sources import Inputs
from ..schemas.split import Split
from .blocks import read_blocks
from .verdict import Rows

BLOCK_BYTES = 4 << 20
TEXT = ("csv", "json", "log")
_FEED = 10


def has_lines(source: Inputs) -> bool:
    """Whether offsets in the source's files are bytes of a text in which the byte 10 ends a line."""
    if source.format not in TEXT:
        return False
    encoding = getattr(source.files, "encoding", "utf-8")
    try:
        return "\n".encode(encoding) == b"\n"
    except LookupError:
        return False


class Lines:
    """Counts the lines of one file, forwards and once.

    Args:
      split: any split of the file.
    """

    def __init__(self, split: Split, block_bytes: int = BLOCK_BYTES) -> None:
        self._blocks = read_blocks(replace(split, start=0, end=None), 0, block_bytes)
        self._start = self._end = self._before = 0
        self._feeds: Rows = np.array([], np.int64)
        self._over = False

    def at(self, offsets: Sequence[int]) -> list[int | None]:
        """The lines, from 1, that some offsets lie on.

        Args:
          offsets: bytes after decompression, ascending; not before those of an earlier call.

        Returns:
          None for those that cannot be known any more: the file is gone or changed, or cannot be read so far.
        """
        return [self._line(offset) for offset in offsets]

    def _line(self, offset: int) -> int | None:
        while offset >= self._end and not self._over:
            self._advance()
        if self._over:
            return None
        return self._before + int(np.searchsorted(self._feeds, offset - self._start)) + 1

    def _advance(self) -> None:
        try:
            block = next(self._blocks, None)
        except Refused:
            block = None
        if block is None:
            self._over = True
            return
        self._before += len(self._feeds)
        self._start, self._end = self._end, self._end + len(block)
        self._feeds = np.flatnonzero(np.frombuffer(block, np.uint8) == _FEED)
