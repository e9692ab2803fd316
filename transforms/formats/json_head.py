"""How a JSON file begins: as an array, as JSON Lines, or as no JSON that can be read."""

from __future__ import annotations

from collections.abc import Iterable

from ...schemas.errors import UnreadableInput, UsageError
from ...schemas.split import Split
from ..blocks import read_blocks
from .kinds import LOOK_BYTES, misnamed, not_compressed

BOM = b"\xef\xbb\xbf"
BLANKS = b" \t\r\n"
_STEP = 64 << 10
_ENOUGH = 8
WIDE = (b"\0{", b"\0[", b"{\0", b"[\0")
"""How JSON in UTF-16 begins where it has no byte order mark."""
_MARKS = (b"\xff\xfe", b"\xfe\xff")


def head_of(split: Split) -> bytes:
    """How a file begins, without white space and byte order mark; one of white space begins so, an empty one not.

    Raises:
      InputChanged, UnreadableInput: as `read_blocks`.
    """
    return _head(read_blocks(split, 0, _STEP))


def is_array(head: bytes) -> bool:
    """Whether a file that begins so is one array."""
    return head.startswith(b"[")


def check_head(split: Split, compression: str) -> bytes:
    """The same as `head_of`, at planning; `compression` is as job.yaml says it.

    Raises:
      UsageError: when the file cannot be read, or is none of JSON in UTF-8.
    """
    try:
        head = head_of(split)
    except UnreadableInput as error:
        said = not_compressed(split.path, split.compression, compression)
        raise UsageError(f"{split.path}: {said}" if said else str(error)) from error
    if head.startswith((*_MARKS, *WIDE)):
        raise UsageError(f"{split.path}: is UTF-16; Highbeam reads UTF-8, so convert it, for example with iconv")
    if problem := misnamed(head):
        raise UsageError(f"{split.path}: {problem}")
    return head


def _head(blocks: Iterable[bytes]) -> bytes:
    held, begun, blank = b"", False, b""
    for block in blocks:
        held += block
        if begun or len(held) >= _ENOUGH:
            text = held if begun else held.removeprefix(BOM)
            begun, held = True, text.lstrip(BLANKS)
            blank = blank or text[:1]
        if len(held) >= _ENOUGH and begun:
            return held[:LOOK_BYTES]
    text = held if begun else held.removeprefix(BOM)
    return text.lstrip(BLANKS)[:LOOK_BYTES] or blank or text[:1]
