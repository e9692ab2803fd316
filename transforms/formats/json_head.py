"""How a JSON file begins: as an array, as JSON Lines, or as no JSON that can be read."""

from __future__ import annotations

from collections.abc import Iterable

from ...schemas.errors import UnreadableInput, UsageError
from ...schemas.split import Split
from ..blocks import read_blocks
from ..decompress import MAGIC

BOM = b"\xef\xbb\xbf"
BLANKS = b" \t\r\n"
_STEP = 64 << 10
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\0{", b"\0[", b"{\0", b"[\0")
_ENOUGH = 8


def head_of(split: Split) -> bytes:
    """How a file begins, without white space and byte order mark; one of white space begins so, an empty one not.

    Raises:
      InputChanged, UnreadableInput: as `read_blocks`.
    """
    return _head(read_blocks(split, 0, _STEP))


def is_array(head: bytes) -> bool:
    """Whether a file that begins so is one array."""
    return head.startswith(b"[")


def check_head(split: Split) -> bytes:
    """The same as `head_of`, at planning.

    Raises:
      UsageError: when the file cannot be read, or is none of JSON in UTF-8.
    """
    try:
        head = head_of(split)
    except UnreadableInput as error:
        raise UsageError(str(error)) from error
    if head.startswith(_WIDE):
        raise UsageError(f"{split.path}: is UTF-16; Highbeam reads UTF-8, so convert it, for example with iconv")
    for magic, compression in MAGIC.items():
        if head.startswith(magic) and not head.isascii():
            raise UsageError(f"{split.path}: is {compression}; write compression: {compression}")
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
            return held[:_ENOUGH]
    text = held if begun else held.removeprefix(BOM)
    return text.lstrip(BLANKS)[:_ENOUGH] or blank or text[:1]
