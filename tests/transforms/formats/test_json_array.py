from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from highbeam import storage
from highbeam.schemas.errors import UnreadableInput
from highbeam.schemas.split import Split
from highbeam.transforms.formats.json_array import frame_elements, raw_elements

LIMIT = 30
BLANK = st.sampled_from([b"", b" ", b"\n", b"\r\n\t ", b" " * 40])
ELEMENT = st.one_of(
    st.sampled_from([
        b"{}", b"1", b'"],["', b'{"a":"\\""}', b'{"a":"\\\\"}', b'{"a":"\\\\\\"}"}', b"[[1,2],{}]",
        b'{"a":[1,{"b":","}]}',
        b'{"a":"' + b"x" * 40 + b'"}', b'"' + b"\\\\" * 20 + b'"', b"!", b"\xff", b"a b",
    ]),
    st.text(max_size=8).map(lambda text: json.dumps({"t": text}, ensure_ascii=False).encode()),
)  # fmt: skip


def write(folder: Path, body: bytes) -> Split:
    path = folder / "in.json"
    path.write_bytes(body)
    file = storage.stat(str(path))
    assert file is not None
    return Split(0, file.path, "in.json", file.size, file.mark, 0, None)


def framed(split: Split, rows: int, block: int) -> list[list[tuple[int, int, bytes]]]:
    """(offset, length, kept bytes) of the records of each group."""
    return [
        [
            (int(offset), int(length), group.data[start:end])
            for start, end, offset, length in zip(group.starts, group.ends, group.offsets, group.lengths, strict=True)
        ]
        for group in frame_elements(split, LIMIT, rows, block_bytes=block)
    ]


@settings(max_examples=200)
@given(st.lists(st.tuples(BLANK, ELEMENT, BLANK), min_size=1, max_size=12), st.integers(1, 60), st.integers(1, 5))
@example([(b"", b'{"a":"\\""}', b""), (b"", b"1", b"")], 7, 5)
def test_blocks_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, elements: list[tuple[bytes, bytes, bytes]], block: int, rows: int
) -> None:
    body, expected = b" [", []
    for before, element, after in elements:
        body += before
        expected.append((len(body), len(element), element[:LIMIT]))
        body += element + after + b","
    split = write(tmp_path_factory.getbasetemp(), body[:-1] + b"]\n")
    groups = framed(split, rows, block)
    assert [record for group in groups for record in group] == expected
    assert [len(group) for group in groups[:-1]] == [rows] * (len(groups) - 1)
    for group in frame_elements(split, LIMIT, rows, block_bytes=block):
        for end, start in zip(group.ends, group.starts[1:], strict=False):
            if group.lengths.max() <= LIMIT:
                assert b"\n" in group.data[end:start]
                assert not group.data[end:start].strip()
    chosen = [offset for offset, *_ in expected[:: max(1, rows - 1)]]
    raw, lengths = raw_elements(np.array(chosen), split, LIMIT, block)
    wanted = {offset: (kept, length) for offset, length, kept in expected}
    assert list(zip(raw.to_pylist(), lengths.tolist(), strict=True)) == [wanted[offset] for offset in chosen]


@given(st.lists(st.sampled_from(b'"\\[]{}, \n1\xff'), max_size=40).map(bytes), st.integers(1, 12))
def test_any_bytes_are_framed_or_refused_alike_in_any_blocks(
    tmp_path_factory: pytest.TempPathFactory, rest: bytes, block: int
) -> None:
    split = write(tmp_path_factory.getbasetemp(), b"[" + rest)

    def outcome(size: int) -> object:
        try:
            return framed(split, 100, size)
        except UnreadableInput as error:
            return str(error)

    assert outcome(block) == outcome(1000)


def test_memory_is_bounded_by_the_limit_not_by_the_element(tmp_path: Path) -> None:
    split = write(tmp_path, b'[{"a":"' + b"x" * 1_000_000 + b'"} , 2]')
    (group,) = frame_elements(split, LIMIT, 10, block_bytes=1000)
    assert group.lengths.tolist() == [1_000_008, 1]
    assert len(group.data) < 100
