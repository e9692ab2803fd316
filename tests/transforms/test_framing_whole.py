from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from highbeam import storage
from highbeam.schemas.errors import InputChanged
from highbeam.schemas.split import Split
from highbeam.transforms.characters import NARROW, Characters
from highbeam.transforms.framing import Records
from highbeam.transforms.framing_whole import Form, frame_text, frame_whole
from highbeam.transforms.quoting import Dialect

CSV = Dialect()


def framed(blocks: list[bytes], limit: int = 100, characters: Characters = NARROW) -> list[tuple[int, int, bytes]]:
    """(offset, length, kept bytes) of every record."""
    return [
        (int(offset), int(length), piece.data[start:end])
        for piece in frame_text(blocks, 0, Form(CSV, characters, limit))
        for start, end, offset, length in zip(piece.starts, piece.ends, piece.offsets, piece.lengths, strict=True)
    ]


def test_a_stray_quote_costs_one_record() -> None:
    for size in (1, 7, 1000):
        text = b'1,a\n2,"b\n' + b"3,c\n" * 100
        found = framed([text[i : i + size] for i in range(0, len(text), size)])
        assert [record for *_, record in found] == [b"1,a", b'2,"b', *[b"3,c"] * 100]


def test_a_quote_that_is_open_at_the_end_costs_one_record_too() -> None:
    assert [record for *_, record in framed([b'1,a\n2,"b\n3,', b'c\n4,"d'])] == [b"1,a", b'2,"b\n3,c\n4,"d']
    assert [record for *_, record in framed([b'1,a\n2,"b\n3,', b"c\n4,d"])] == [b"1,a", b'2,"b', b"3,c", b"4,d"]


def test_a_record_as_long_as_allowed_is_one_and_a_longer_one_is_its_first_line() -> None:
    record = b'1,"' + b"x\n" * 48 + b'"'
    assert framed([record + b"\r\n2,y"]) == [(0, 100, record), (102, 3, b"2,y")]
    assert framed([b"7" + record + b"\n2,y"])[:2] == [(0, 5, b'71,"x'), (6, 1, b"x")]


def test_memory_is_bounded_by_the_limit_not_by_the_record() -> None:
    block = b'"' + b"x" * 999
    held = []

    def blocks() -> Iterator[bytes]:
        yield from [block] * 100
        yield b"\n1"

    for piece in frame_text(blocks(), 0, Form(CSV, NARROW, 10)):
        held.append(piece)
    assert [(int(p.offsets[0]), int(p.lengths[0])) for p in held] == [(0, 100_000), (100_001, 1)]
    assert all(len(piece.data) < 2020 for piece in held)


@pytest.mark.parametrize(
    "text", [b'"' + b"x\n" * 2_000_000, b'1,"\n' * 200_000, b'"a\n"b\n' * 200_000, b'"' * 4_000_000]
)
def test_no_text_takes_long(text: bytes) -> None:
    start = time.process_time()
    blocks = [text[i : i + (256 << 10)] for i in range(0, len(text), 256 << 10)]
    pieces: list[Records] = list(frame_text(blocks, 0, Form(CSV, NARROW, 1 << 20)))
    assert pieces[0].offsets[0] == 0
    assert time.process_time() - start < 10


def test_a_file_of_nothing_but_records_that_are_too_long_does_not_take_long() -> None:
    text = b'1,"two\nlines, or three\nin all"\n' * 3000
    start = time.process_time()
    found = framed([text[i : i + (256 << 10)] for i in range(0, len(text), 256 << 10)], 20)
    assert len(found) == 9000
    assert time.process_time() - start < 10


def test_wide_characters_that_end_in_the_middle_stay_one_record() -> None:
    text = "a\r\nb".encode("utf-16-le") + b"\n"
    assert framed([text[:3], text[3:]], characters=Characters(2)) == [(0, 2, b"a\0"), (6, 3, b"b\0\n")]


def test_a_file_that_is_written_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"1,2\n3,4\n")
    file = storage.stat(os.fspath(path))
    assert file is not None
    found = frame_whole(Split(0, file.path, "in.csv", file.size, file.mark, 0, None), Form(CSV, NARROW, 99), 4)
    next(found)
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputChanged, match="it was written again"):
        list(found)
