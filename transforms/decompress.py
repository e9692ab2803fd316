"""Compressed files as streams of what they hold: every member to the end, and no end but the true one."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pyarrow as pa

_STEP = 64 << 10
ENDINGS: Mapping[str, str] = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
"""A file's ending -> how it is compressed."""
MAGIC: Mapping[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
}
"""How a compressed file begins -> how it is compressed."""
_MEMBERS: Mapping[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}


class Stream(Protocol):
    """Bytes one after the other."""

    def read(self, nbytes: int) -> bytes:
        """At most so many bytes, at least one but at the end.

        Raises:
          OSError: when the bytes cannot be had; what came before they could is given first, or most of it.
        """
        ...


def decompressed(file: pa.NativeFile, compression: str | None) -> Stream:
    """What a file holds.

    Members that follow each other are read as one, as `cat a.gz b.gz` means them; zero bytes between and after them
    are padding. Anything else after a member is damage: it may have been one, and its rows would be lost.

    Args:
      file: at its beginning, and not empty where it is compressed.
      compression: gzip, bz2, zstd, xz or None.
    """
    if compression is None:
        stream: Stream = file
        return stream
    return _Zstd(file) if compression == "zstd" else _Members(file, compression)


class _Members:
    """Members of a compression that the standard library knows."""

    def __init__(self, file: pa.NativeFile, compression: str) -> None:
        self._file, self._compression = file, compression
        self._member = _MEMBERS[compression]()
        self._input = b""

    def read(self, nbytes: int) -> bytes:
        """See `Stream`."""
        while not self._member.eof or self._begun():
            if found := self._decompressed(nbytes):
                return found
        return b""

    def _decompressed(self, nbytes: int) -> bytes:
        hungry = not self._input and getattr(self._member, "needs_input", True)
        if hungry:
            self._input = self._file.read(_STEP)
        ended = hungry and not self._input
        try:
            found: bytes = self._member.decompress(self._input, nbytes)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise OSError(f"damaged {self._compression}: {error}") from error
        self._input = getattr(self._member, "unconsumed_tail", b"")
        if ended and not found and not self._member.eof:
            raise OSError(f"truncated {self._compression}: the file ends before the stream does")
        return found

    def _begun(self) -> bool:
        """Goes on to the next member; false at the end of the file."""
        rest = self._member.unused_data.lstrip(b"\0")
        while not rest and (block := self._file.read(_STEP)):
            rest = block.lstrip(b"\0")
        if rest:
            self._member, self._input = _MEMBERS[self._compression](), rest
        return bool(rest)


class _Zstd:
    """Frames of zstd, by Arrow; it reads one after the other."""

    def __init__(self, file: pa.NativeFile) -> None:
        self._stream = pa.CompressedInputStream(file, "zstd")

    def read(self, nbytes: int) -> bytes:
        """See `Stream`."""
        try:
            return bytes(self._stream.read(nbytes))
        except pa.ArrowException as error:
            raise OSError(f"damaged zstd: {error}") from error
        except OSError as error:
            cut = "truncated zstd: the file ends before the stream does"
            raise OSError(cut if "Truncated" in str(error) else f"damaged zstd: {error}") from error
