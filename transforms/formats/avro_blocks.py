"""The container of an Avro file: its header, and blocks between sync markers."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fastavro
import pyarrow as pa

MAGIC, SYNC = b"Obj\x01", 16
_HEADER = {
    "type": "record",
    "name": "header",
    "fields": [
        {"name": "magic", "type": {"type": "fixed", "name": "magic", "size": len(MAGIC)}},
        {"name": "meta", "type": {"type": "map", "values": "bytes"}},
        {"name": "sync", "type": {"type": "fixed", "name": "sync", "size": SYNC}},
    ],
}
_STEP, _MAX_HEADER = 64 << 10, 16 << 20
_VARINT = 10  # most bytes of a long
_NUMBERS = 2 * _VARINT


@dataclass(frozen=True)
class Header:
    """What an Avro file says of itself.

    Attributes:
      schema: that of its rows, as JSON.
      codec: how blocks are compressed.
      sync: what stands after each block.
      end: where the blocks begin.
    """

    schema: Any
    codec: str
    sync: bytes
    end: int

    def alone(self, schema: Any) -> bytes:
        """The header of a file with another schema and no compression."""
        out = io.BytesIO()
        meta = {"avro.schema": json.dumps(schema).encode(), "avro.codec": b"null"}
        fastavro.schemaless_writer(out, _HEADER, {"magic": MAGIC, "meta": meta, "sync": self.sync})
        return out.getvalue()


@dataclass(frozen=True)
class Block:
    """One block.

    Attributes:
      start: its first byte.
      rows: how many it holds.
      data: where its compressed rows begin.
      size: how many bytes they are.
    """

    start: int
    rows: int
    data: int
    size: int

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.data + self.size + SYNC


def read_header(file: pa.NativeFile) -> Header:
    """Reads the header of a file.

    Raises:
      ValueError: when it has none; the rest of a sentence that begins with the file.
    """
    text = io.BytesIO(bytes(file.read(_STEP)))
    if not text.getvalue().startswith(MAGIC):
        raise ValueError("is no Avro container file: it does not begin with 'Obj' and 1")
    while True:
        try:
            found: Any = fastavro.schemaless_reader(text, _HEADER, None)
            break
        except (EOFError, IndexError, ValueError, OverflowError, MemoryError) as error:
            more = bytes(file.read(len(text.getvalue())))
            if not more or len(text.getvalue()) > _MAX_HEADER:
                raise ValueError(f"its Avro header cannot be read: {error or type(error).__name__}") from error
            text = io.BytesIO(text.getvalue() + more)
    meta = found["meta"]
    try:
        schema = json.loads(meta.get("avro.schema", b""))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its Avro header holds no schema: {error}") from error
    return Header(schema, meta.get("avro.codec", b"null").decode("utf-8", "replace"), found["sync"], text.tell())


def walk(file: pa.NativeFile, header: Header, start: int, end: int) -> Iterator[Block]:
    """Goes from block to block, reading nothing but what stands between them.

    Args:
      file: open at any place.
      header: its header.
      start: where a block begins.
      end: where the last one ends.

    Raises:
      ValueError: when a sync marker or a number is not what it has to be; the rest of a sentence that says where.
    """
    file.seek(start)
    between = bytes(file.read(min(_NUMBERS, end - start)))
    while start < end:
        if between.startswith(MAGIC):
            raise ValueError("another Avro file follows in the same one; write each to a file of its own")
        rows, at = _long(between, 0)
        size, at = _long(between, at)
        block = Block(start, rows, start + at, size)
        if rows < 0 or size < 0:
            raise ValueError(f"what stands there is no block: it would hold {rows:,} rows in {size:,} bytes")
        if block.end > end:
            raise ValueError(f"a block of {rows:,} rows and {size:,} bytes does not fit into the {end - start:,} left")
        file.seek(block.data + size)
        between = bytes(file.read(SYNC + min(_NUMBERS, end - block.end)))
        if between[:SYNC] != header.sync:
            raise ValueError("the block is not followed by the file's sync marker")
        yield block
        start, between = block.end, between[SYNC:]


def _long(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends.

    Raises:
      ValueError: when it does not end.
    """
    number = 0
    for place, octet in enumerate(data[at : at + _VARINT]):
        number |= (octet & 127) << (7 * place)
        if octet < 128:
            return (number >> 1) ^ -(number & 1), at + place + 1
    raise ValueError("what stands there is no block: one begins with two numbers")


def long(number: int) -> bytes:
    """A number that is not negative, as Avro writes it."""
    rest, out = number << 1, bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _snappy(data: bytes) -> bytes:
    size, shift = 0, 0
    for octet in data[:5]:
        size |= (octet & 127) << shift
        shift += 7
        if octet < 128:
            break
    if size > 64 * len(data):
        raise ValueError("a snappy block cannot be so much shorter than what it holds")
    found = bytes(pa.decompress(data[:-4], size, "snappy", asbytes=True))
    if zlib.crc32(found).to_bytes(4, "big") != data[-4:]:
        raise ValueError("the checksum of a snappy block does not match")
    return found


def _zstd(data: bytes) -> bytes:
    return bytes(pa.CompressedInputStream(pa.BufferReader(data), "zstd").read())


CODECS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda data: zlib.decompress(data, -15),
    "snappy": _snappy,
    "zstandard": _zstd,
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
}
"""Name of a codec -> what decompresses a block."""
