from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.transforms.framing import Records
from highbeam.transforms.transcode import UNDECODABLE, encoding_of, transcoded

READ = ["latin-1", "iso-8859-15", "cp1251", "cp1252", "koi8-r", "cp437", "ascii", "mac-roman", "shift_jis", "gbk",
        "big5", "euc-kr", "gb18030", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]  # fmt: skip


def records(lines: list[bytes], codec: str, gap: bytes) -> Records:
    """Lines as framing lays them, with something between them."""
    width, line_feed = encoding_of(codec).characters.width, "\n".encode(codec)
    parts, starts, at = [], [], 0
    for line in lines:
        starts.append(at)
        part = line + (gap if len(line) % width == 0 else b"") + line_feed
        parts.append(part)
        at += len(part)
    begin = np.array(starts, np.int64)
    sizes = np.array([len(line) for line in lines], np.int64)
    return Records(b"".join(parts), begin, begin + sizes, begin + 7, sizes)


def line_of(text: str | bytes, codec: str) -> bytes | None:
    """A line that is not empty and ends in a whole character; None where it holds a line feed."""
    width = encoding_of(codec).characters.width
    line = ("x" + text).encode(codec, "replace") if isinstance(text, str) else "x".encode(codec) + text
    units = [line[i : i + width] for i in range(0, len(line) // width * width, width)]
    return None if "\n".encode(codec) in units else b"".join(units)


@given(st.sampled_from(READ), st.lists(st.one_of(st.text(max_size=5), st.binary(max_size=6)), min_size=1, max_size=8))
def test_every_record_is_decoded_as_if_alone(codec: str, texts: list[str | bytes]) -> None:
    lines = [line for text in texts if (line := line_of(text, codec)) is not None]
    if not lines:
        return
    laid = records(lines, codec, "\r".encode(codec))
    found = transcoded(laid, encoding_of(codec))
    assert found.offsets.tolist() == laid.offsets.tolist()
    for start, end, line in zip(found.starts, found.ends, lines, strict=True):
        try:
            assert found.data[start:end].decode() == line.decode(codec)
        except UnicodeDecodeError:
            assert UNDECODABLE in found.data[start:end]


@pytest.mark.parametrize("name", ["utf8", "UTF-8", "utf-8-sig", "U8"])
def test_utf8_is_left_alone(name: str) -> None:
    assert encoding_of(name).is_utf8


@pytest.mark.parametrize("name", ["klingon", "utf-7", "cp037", "iso2022_jp", "hz", "punycode", "unicode_escape",
                                  "rot13", "base64", "raw_unicode_escape", "idna", "johab"])  # fmt: skip
def test_what_does_not_hold_ascii_cannot_be_read(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        encoding_of(name)


def test_utf16_needs_a_byte_order_mark_or_a_name_that_says_it() -> None:
    assert encoding_of("utf-16", b"\xfe\xff\0a").codec == "utf-16-be"
    with pytest.raises(ValueError, match="no byte order mark; write encoding: utf-16-le or utf-16-be"):
        encoding_of("utf-16", b"a\0b\0")
