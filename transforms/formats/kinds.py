"""What a file is by its first bytes, where it is not what the job says or its name tells."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ... import storage
from ..decompress import MAGIC

LOOK_BYTES = 64
"""How many first bytes are enough to tell."""
_NO_TEXT = rb"[\x00\x04-\x08\x0e-\x1a]"
_KINDS: Mapping[str, re.Pattern[bytes]] = {  # such that no text begins so
    "Parquet": re.compile(rb"PAR1\x15"),
    "Avro": re.compile(rb"Obj\x01.{0,60}avro\.", re.DOTALL),
    "ORC": re.compile(rb"ORC.{0,60}" + _NO_TEXT, re.DOTALL),
    "Arrow": re.compile(rb"ARROW1\x00"),
    "zip": re.compile(rb"PK\x03\x04"),
}
_REMEDIES: Mapping[str, str] = {
    "Parquet": "is Parquet; write source: {parquet: …}",
    "Avro": "is Avro; write source: {avro: …}",
    "ORC": "is ORC, which is not read; write it as Parquet",
    "Arrow": "is an Arrow file, which is not read; write it as Parquet",
    "zip": "is a zip archive, as an Excel sheet is one too, and is not read; unpack it, or save the sheet as CSV",
}
_BZ2 = (b"1AY", b"\x17rE")  # a block, or the end; a text may well begin with BZh alone
_SKIPPABLE_ZSTD = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")


def kind_of(start: bytes) -> str | None:
    """The kind of file that begins so: Parquet, Avro, ORC, Arrow or zip; None where it may be text or anything else.

    Args:
      start: LOOK_BYTES, or all there are.
    """
    return next((kind for kind, pattern in _KINDS.items() if pattern.match(start)), None)


def compression_by(start: bytes) -> str | None:
    """How a file that begins so is compressed; None where it is not, or is text."""
    found = next((name for magic, name in MAGIC.items() if start.startswith(magic)), None)
    return None if found == "bz2" and start[4:7] not in _BZ2 else found


def misnamed(start: bytes) -> str | None:
    """Why a file that begins so cannot be what a job takes it for: text, or a TFRecord. None where it may.

    Returns:
      The rest of a sentence that begins with the file.
    """
    if found := compression_by(start):
        return f"is {found}; write compression: {found}"
    kind = kind_of(start)
    return _REMEDIES[kind] if kind else None


def not_compressed(path: str, compression: str | None, option: str = "infer") -> str | None:
    """Why a file cannot be decompressed: it is not compressed at all. None where it is, or perhaps was.

    Args:
      path: the file's.
      compression: what it is taken for.
      option: as job.yaml says it.
    """
    if compression is None:
        return None
    with storage.open_input(path) as file:
        start = bytes(file.read(LOOK_BYTES))
    magics = [magic for magic, name in MAGIC.items() if name == compression]
    if any(magic.startswith(start[: len(magic)]) for magic in magics) or _SKIPPABLE_ZSTD.match(start):
        return None
    said, remedy = ("its name", " or rename it") if option == "infer" else ("the job", "")
    return f"{said} says {compression}, but it is none; write compression: none{remedy}"
