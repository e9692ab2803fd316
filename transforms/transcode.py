"""Texts that are not UTF-8: which encodings can be read, and records turned into UTF-8."""

from __future__ import annotations

import codecs
import importlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .characters import NARROW, Characters
from .framing import Positions, Records
from .quoting import LF

UNDECODABLE = b"\xff"
"""Stands in the UTF-8 text for bytes that mean nothing in its encoding; no UTF-8 text holds it."""
_MARK = "highbeam.undecodable"
codecs.register_error(_MARK, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]

WIDE = {
    "utf-32-le": Characters(4), "utf-32-be": Characters(4, big=True),
    "utf-16-le": Characters(2), "utf-16-be": Characters(2, big=True),
}  # fmt: skip
"""The encodings of wide characters; the byte order mark of one may begin with that of a later one."""
_OPEN = {"utf-16": ("utf-16-le", "utf-16-be"), "utf-32": ("utf-32-le", "utf-32-be")}
# In these no character holds an ASCII byte, in the others letters, digits and some signs may be a second byte.
_EAST = ("euc_jp", "euc_jis_2004", "euc_jisx0213", "euc_kr", "gb2312")
_EAST_MIXED = ("big5", "big5hkscs", "cp932", "cp949", "cp950", "gb18030", "gbk", "shift_jis")
_NO_SECOND_BYTE = range(0x30)


@dataclass(frozen=True)
class Encoding:
    """How text lies in bytes.

    Attributes:
      codec: Python's name for it.
      characters: what framing has to know.
      mixed: whether an ASCII byte may be the second one of a character.
    """

    codec: str
    characters: Characters = NARROW
    mixed: bool = False

    @property
    def is_utf8(self) -> bool:
        """Whether it needs no transcoding."""
        return self.codec == "utf-8"

    @property
    def mark(self) -> bytes:
        """The byte order mark; empty where there is none."""
        try:
            return "\ufeff".encode(self.codec)
        except UnicodeEncodeError:
            return b""

    @property
    def broken(self) -> bytes:
        """A unit of wide characters that is no character."""
        return "\ud800".encode(self.codec, "surrogatepass")

    def hides(self, sign: str) -> bool:
        """Whether an ASCII character may look like one, and be the second byte of another."""
        return self.mixed and ord(sign) not in _NO_SECOND_BYTE

    def decode(self, data: bytes) -> bytes:
        """The same text in UTF-8, UNDECODABLE where it is none."""
        return data.decode(self.codec, _MARK).encode("utf-8", "surrogateescape")


UTF8 = Encoding("utf-8")


@lru_cache
def encoding_of(name: str, beginning: bytes = b"") -> Encoding:
    """The encoding of a file.

    Args:
      name: as job.yaml says it.
      beginning: the file's first bytes; `utf-16` and `utf-32` do not say in which order bytes stand.

    Raises:
      ValueError: with a sentence, when it is none that can be read.
    """
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        raise ValueError(f"{name!r} is no encoding known; write one as latin-1, cp1252 or utf-16") from None
    if codec in ("utf-8", "utf-8-sig"):
        return UTF8
    if codec in _OPEN:
        return _ordered(codec, beginning)
    if codec in WIDE:
        return Encoding(codec, WIDE[codec])
    if codec in _EAST or codec in _EAST_MIXED:
        return Encoding(codec, mixed=codec in _EAST_MIXED)
    if not _is_single_byte(codec):
        raise ValueError(f"{name!r} cannot be read; convert the files to UTF-8, for example with iconv")
    return Encoding(codec)


def _ordered(codec: str, beginning: bytes) -> Encoding:
    for ordered in _OPEN[codec]:
        if not beginning or beginning.startswith("\ufeff".encode(ordered)):
            return Encoding(ordered, WIDE[ordered])
    little, big = _OPEN[codec]
    raise ValueError(f"has no byte order mark; write encoding: {little} or {big}")


def _is_single_byte(codec: str) -> bool:
    """Whether every byte is a character, and those of ASCII are themselves."""
    if codec in ("ascii", "iso8859-1"):
        return True
    try:
        module = importlib.import_module(f"encodings.{codec.replace('-', '_')}")
    except ImportError:
        return False
    ascii = bytes(range(128))
    return hasattr(module, "decoding_table") and ascii.decode(codec, "replace") == ascii.decode()


def transcoded(records: Records, encoding: Encoding) -> Records:
    """Records in UTF-8; their offsets and lengths stay those of the file.

    Args:
      records: each behind a line feed or at the beginning of its buffer; those cut short come back empty.
      encoding: theirs.
    """
    data, characters = records.data, encoding.characters
    if encoding.is_utf8 or (characters.width == 1 and data.isascii()):
        return records
    width = characters.width
    old = np.flatnonzero(characters.units(data) == LF) * width
    text = encoding.decode(data)
    new = _breaks(text)
    if len(new) != len(old):  # a line feed was taken for the second byte of a broken character
        text = b"\n".join(encoding.decode(line) for line in _lines(data, old, width))
        new = _breaks(text)
    before, behind = np.searchsorted(old, records.starts), np.searchsorted(old, records.ends)
    starts = np.append(0, new + 1)[before]
    gaps = np.append(old, len(data))[behind] - records.ends  # a carriage return, or nothing
    ends = np.append(new, len(text))[behind] - gaps // width
    cut = records.lengths > records.ends - records.starts
    return Records(text, starts, np.where(cut, starts, ends), records.offsets, records.lengths)


def _breaks(text: bytes) -> Positions:
    return np.flatnonzero(np.frombuffer(text, np.uint8) == LF)


def _lines(data: bytes, breaks: Positions, width: int) -> list[bytes]:
    begins, ends = [0, *(breaks + width).tolist()], [*breaks.tolist(), len(data)]
    return [data[begin:end] for begin, end in zip(begins, ends, strict=True)]
