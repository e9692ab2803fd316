"""The bytes of a split, block by block: opens the file that was planned, or says why it is another one."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from .. import storage
from ..schemas.errors import InputChanged, UnreadableInput
from ..schemas.split import Split
from .decompress import Stream, decompressed

BLOCK_BYTES = 256 << 10
"""How much is read at a time: large enough to read fast, small enough to stay in the cache while it is framed."""
OVERLAP_BYTES = 64 << 10
"""How much is read at a time past the split's end, to finish its last record."""


def read_blocks(split: Split, origin: int, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Reads a file from `origin` to its end; the caller stops when it has what it wants.

    Args:
      split: names the file; its `end` only decides how much is read at a time.
      origin: first byte to give, after decompression.
      block_bytes: most bytes of a block.

    Yields:
      Blocks that follow each other; none is empty.

    Raises:
      InputChanged: when the file is not the one that was planned.
      UnreadableInput: when the file cannot be read on, for example a truncated gzip; names the last byte there is.
    """
    check_unchanged(split)
    position = 0
    try:
        with storage.open_input(split.path) as file:
            stream = decompressed(file, split.compression if split.size else None)
            position = _skip(file, stream, split, origin)
            while block := stream.read(_wanted(split, position, block_bytes)):
                position += len(block)
                yield block
    except OSError as error:
        raise UnreadableInput(
            f"{split.file}: cannot be read past byte {position:,}: {error}; put the whole file in place and run again"
        ) from error
    if split.compression is None and position < split.size:
        raise _changed(split, f"it ends at byte {position:,} of {split.size:,}")


def check_unchanged(split: Split) -> None:
    """Makes sure that a split's file is the one that was planned.

    Raises:
      InputChanged: when its size or mark is another, or it is gone.
    """
    now = storage.stat(split.path)
    if now is None:
        raise _changed(split, "it is gone")
    if now.size != split.size:
        raise _changed(split, f"it had {split.size:,} bytes and has {now.size:,}")
    if now.mark != split.mark:
        raise _changed(split, "it was written again")


def _changed(split: Split, what: str) -> InputChanged:
    return InputChanged(f"{split.file}: changed since the run was planned: {what}; run again when it is complete")


def _skip(file: pa.NativeFile, stream: Stream, split: Split, origin: int) -> int:
    """Moves to `origin`; a compressed stream has to be read to get there."""
    if split.compression is None:
        file.seek(origin)
        return origin
    position = 0
    while position < origin and (block := stream.read(min(BLOCK_BYTES, origin - position))):
        position += len(block)
    return position


def _wanted(split: Split, position: int, block_bytes: int) -> int:
    if split.end is None:
        return block_bytes
    return min(block_bytes, max(split.end - position, OVERLAP_BYTES))
