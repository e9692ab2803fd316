"""Line numbers: what `grep -n` would say, counted once over the file, or none."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam import storage
from highbeam.schemas.sources import Inputs
from highbeam.schemas.split import Split
from highbeam.transforms.line_numbers import Lines, has_lines


def split_of(path: Path, compression: str | None = None) -> Split:
    info = storage.stat(str(path))
    assert info is not None
    return Split(3, info.path, path.name, info.size, info.mark, 7, 9, compression)


@settings(max_examples=60)
@given(
    st.binary(min_size=1, max_size=60).map(lambda data: data.replace(b"x", b"\n")), st.integers(1, 20), st.booleans()
)
def test_a_line_is_the_line_feeds_before(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, block_bytes: int, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a"
    path.write_bytes(gzip.compress(text) if zipped else text)
    found = Lines(split_of(path, "gzip" if zipped else None), block_bytes).at(range(len(text)))
    assert found == [text[:offset].count(b"\n") + 1 for offset in range(len(text))]


def test_a_file_that_is_another_one_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\nb\nc\n")
    split = split_of(path)
    assert Lines(split).at([2, 4, 6, 100]) == [2, 3, None, None]
    os.utime(path, ns=(1, 1))
    assert Lines(split).at([2]) == [None]
    path.unlink()
    assert Lines(split).at([2]) == [None]


@pytest.mark.parametrize(
    ("kind", "expected"), [("csv", True), ("json", True), ("parquet", False), ("avro", False), ("tfrecord", False)]
)
def test_only_text_has_lines(kind: str, expected: bool) -> None:
    assert has_lines(Inputs.model_validate({kind: {"path": "a"}})) is expected


def test_text_whose_line_feed_is_no_byte_10_has_none() -> None:
    assert has_lines(Inputs.model_validate({"csv": {"path": "a", "encoding": "latin-1"}}))
    assert not has_lines(Inputs.model_validate({"csv": {"path": "a", "encoding": "utf-16"}}))
