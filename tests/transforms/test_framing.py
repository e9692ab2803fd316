from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam import storage
from highbeam.schemas.errors import InputChanged, UnreadableInput
from highbeam.transforms.framing import Records, frame_blocks, frame_split

from tests.support.csv_files import cut, write


def in_blocks(text: bytes, size: int) -> list[bytes]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def framed(pieces: list[Records]) -> list[tuple[int, int, bytes]]:
    """(offset, length, kept bytes) of every record."""
    return [
        (int(offset), int(length), bytes(piece.data[start:end]))
        for piece in pieces
        for start, end, offset, length in zip(piece.starts, piece.ends, piece.offsets, piece.lengths, strict=True)
    ]


def expected(
    text: bytes, base: int, limit: int, start: int = 0, end: int | None = None
) -> list[tuple[int, int, bytes]]:
    """The same, line by line."""
    found, at = [], base
    for line in text.split(b"\n"):
        record = line[:-1] if line.endswith(b"\r") else line
        if record and at >= start and (end is None or at < end):
            found.append((at, len(record), record[:limit]))
        at += len(line) + 1
    return found


LINES = st.lists(st.sampled_from([b"", b"a", b"\r", b"a,b\r", b"a\rb", b"x" * 7, b"y" * 30, b"z" * 31 + b"\r"]))


@given(LINES, st.sampled_from([b"", b"\n"]), st.integers(1, 40), st.sampled_from([1, 3, 29, 30, 1000]))
def test_blocks_do_not_matter(lines: list[bytes], ending: bytes, size: int, limit: int) -> None:
    text = b"\n".join(lines) + ending
    assert framed(list(frame_blocks(in_blocks(text, size), 5, limit))) == expected(text, 5, limit)


@given(LINES, st.integers(1, 40), st.integers(0, 60), st.integers(0, 60))
def test_a_range_takes_the_records_that_begin_in_it(lines: list[bytes], size: int, start: int, length: int) -> None:
    text = b"\n".join(lines)
    pieces = list(frame_blocks(in_blocks(text, size), 0, 30, start, start + length))
    assert framed(pieces) == expected(text, 0, 30, start, start + length)


def test_no_block_is_asked_for_once_the_range_is_done() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"one\ntwo\nthr"
        yield b"ee\n"
        raise AssertionError("read too far")

    assert [record for *_, record in framed(list(frame_blocks(blocks(), 0, 9, 0, 9)))] == [b"one", b"two", b"three"]


def test_a_line_from_before_the_range_that_outlasts_it_is_not_read_to_its_end() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"x" * 10
        yield b"x" * 10
        raise AssertionError("read too far")

    assert list(frame_blocks(blocks(), 4, 3, 5, 20)) == []


@given(LINES, st.lists(st.integers(0, 200)), st.integers(1, 5), st.integers(1, 60), st.integers(1, 40))
def test_splits_hold_each_record_once_in_groups_the_blocks_do_not_change(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[int], rows: int, size: int, block: int
) -> None:
    text = b"\n".join(lines)
    (whole,) = write(tmp_path_factory.getbasetemp(), text, "k")
    if not text:
        return
    for split in cut(whole, cuts):
        groups = list(frame_split(split, 30, rows, size, block))
        assert framed(groups) == expected(b"k\n" + text, 0, 30, split.start, split.end)
        again = list(frame_split(split, 30, rows, size))
        assert [framed([group]) for group in groups] == [framed([group]) for group in again]
        assert all(0 < len(group) <= rows for group in groups)
        assert all(len(group) == 1 or group.lengths.sum() <= size for group in groups)


def test_a_group_stands_on_a_buffer_of_its_own(tmp_path: Path) -> None:
    splits = write(tmp_path, b"one\r\n\n\ntwo\nthree\n")
    first, second = frame_split(splits[0], 30, 2)
    assert (first.data, second.data) == (b"one\r\n\n\ntwo\n", b"three\n")
    assert second.starts.tolist() == [0]


def test_memory_is_bounded_by_the_limit_not_by_the_record() -> None:
    block = b"x" * 1000
    (records,) = frame_blocks((block for _ in range(100)), 0, 10)
    assert records.lengths.tolist() == [100_000]
    assert len(records.data) <= 12


def test_gzip_is_framed_after_decompression(tmp_path: Path) -> None:
    (split,) = write(tmp_path, b"1,2\n3,4\n", name="in.csv.gz")
    assert framed(list(frame_split(split, 30, 9, block_bytes=3))) == [(4, 3, b"1,2"), (8, 3, b"3,4")]


def test_a_truncated_gzip_is_unreadable_and_says_how_far_it_went(tmp_path: Path) -> None:
    body = np.random.default_rng(0).integers(48, 58, 400_000, np.uint8).tobytes()
    (split,) = write(tmp_path, body, name="in.csv.gz")
    path = tmp_path / "in.csv.gz"
    path.write_bytes(path.read_bytes()[:-20])
    file = storage.stat(str(path))
    assert file is not None
    split = replace(split, size=file.size, mark=file.mark)
    with pytest.raises(UnreadableInput, match=r"in\.csv\.gz: cannot be read past byte [1-9][0-9,]*: truncated gzip"):
        list(frame_split(split, 30, 9))


@pytest.mark.parametrize(
    ("now", "said"),
    [(None, "it is gone"), (b"a,b\n1,2\n3", "it had 8 bytes and has 9"), (b"a,b\n1,3\n", "it was written again")],
)
def test_a_file_that_is_not_the_one_planned_is_refused(tmp_path: Path, now: bytes | None, said: str) -> None:
    (split,) = write(tmp_path, b"1,2\n")
    path = tmp_path / "in.csv"
    path.unlink()
    if now is not None:
        path.write_bytes(now)
        os.utime(path, ns=(1, 1))
    with pytest.raises(InputChanged, match=f"in.csv: changed since the run was planned: {said}"):
        list(frame_split(split, 30, 9))


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (split,) = write(tmp_path, b"1,2\n" * 100)
    records = frame_split(split, 30, 1, block_bytes=8)
    next(records)
    os.truncate(tmp_path / "in.csv", 50)
    with pytest.raises(InputChanged, match="it ends at byte 50 of 404"):
        list(records)


def test_a_file_that_is_written_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (split,) = write(tmp_path, b"1,2\n3,4\n")
    records = frame_split(split, 30, 1)
    next(records)
    os.utime(tmp_path / "in.csv", ns=(1, 1))
    with pytest.raises(InputChanged, match="it was written again"):
        list(records)


@given(
    st.lists(st.sampled_from([b"", b"a", b"\r", b"#", b"# b", b"#\r", b"a#", b"x" * 40, b"#" + b"y" * 40])),
    st.integers(1, 40),
)
def test_comments_are_no_records_and_leave_nothing_on_the_buffer(lines: list[bytes], size: int) -> None:
    text = b"\n".join(lines)
    pieces = list(frame_blocks(in_blocks(text, size), 0, 30, comment="#"))
    assert framed(pieces) == [record for record in expected(text, 0, 30) if not record[2].startswith(b"#")]
    assert not any(line.startswith(b"#") for piece in pieces for line in _between(piece))


def _between(piece: Records) -> list[bytes]:
    """The lines of a buffer from its first record to its last one, which a parser may see."""
    return piece.data[int(piece.starts[0]) : int(piece.ends[-1])].split(b"\n")
