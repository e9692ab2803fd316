"""The header of a CSV file: its column names, and where the records begin."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass

from ... import storage
from ...schemas.errors import UsageError
from ..decompress import MAGIC, decompressed

_BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_STEP = 64 << 10
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Header:
    """A file's header.

    Attributes:
      names: the columns, in file order; empty for a file without any bytes but line breaks.
      end: first byte after the header's line, after decompression; where records begin.
    """

    names: tuple[str, ...]
    end: int


def read_header(file: storage.FileInfo, compression: str | None, delimiter: str, max_bytes: int = MAX_BYTES) -> Header:
    """Reads the first line of a file that is not blank.

    Args:
      file: the file.
      compression: of the file, or None.
      delimiter: between two names.
      max_bytes: a longer line cannot be a header.

    Raises:
      UsageError: when there is no header in it that could be one.
    """
    if not file.size:
        return Header((), 0)
    start, line = _first_line(file, compression, max_bytes)
    if line is None:
        raise UsageError(f"{file.path}: has no header within {max_bytes:,} bytes; is it a CSV file?")
    return Header(_names(file.path, line, delimiter), start + len(line))


def _first_line(file: storage.FileInfo, compression: str | None, max_bytes: int) -> tuple[int, bytes | None]:
    """Where the first line that is not blank begins, and its bytes with the line break; None when it is too long."""
    text = b""
    try:
        with storage.open_input(file.path) as raw:
            stream = decompressed(raw, compression)
            while block := stream.read(_STEP):
                text += block
                body = text.removeprefix(_BOM).lstrip(b"\r\n")
                line, found, _ = body.partition(b"\n")
                if found or len(text) > max_bytes:
                    return len(text) - len(body), line + found if found else None
    except OSError as error:
        raise UsageError(f"{file.path}: cannot be read: {error}") from error
    return len(text) - len(body) if text else 0, body if text else b""


def _names(path: str, line: bytes, delimiter: str) -> tuple[str, ...]:
    if line.startswith(_WIDE):
        raise UsageError(f"{path}: is UTF-16; Highbeam reads UTF-8, so convert it, for example with iconv")
    for magic, compression in MAGIC.items():
        if line.startswith(magic) and not line.isascii():
            raise UsageError(f"{path}: is {compression}; write compression: {compression}")
    text = line.rstrip(b"\n").removesuffix(b"\r")
    if b"\r" in text:
        raise UsageError(f"{path}: its lines end in carriage returns alone; convert them to line feeds")
    if not text:
        return ()
    if text.count(b'"') % 2:
        raise UsageError(f"{path}: a quoted name in the header is not closed on its line")
    try:
        names = tuple(next(csv.reader([text.decode()], delimiter=delimiter)))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: the header is not valid UTF-8 ({error}); convert the file") from error
    except csv.Error as error:
        raise UsageError(f"{path}: the header cannot be read: {error}") from error
    if twice := sorted(name for name, uses in Counter(names).items() if uses > 1):
        raise UsageError(f"{path}: the header names {', '.join(map(repr, twice))} twice; rename one of them")
    return names
