from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from highbeam.schemas.errors import InputChanged, Unconserved
from highbeam.schemas.rejected import EMPTY, rejects
from highbeam.transforms.raw import fill_raw, without_raw

from tests.support.csv_files import CSV, InBlocks, cut, write

BODY = b"one\r\ntwo, too\n\n" + b"x" * 500 + b"\r\nfive\r\n\xff"
AT = {b"one": 4, b"two, too": 9, b"x" * 500: 19, b"five": 521, b"\xff": 527}


def at(*offsets: int) -> pa.RecordBatch:
    return rejects("in.csv", pa.array(offsets, pa.int64()), "validate", "null", "column a: null")


@pytest.mark.parametrize("name", ["in.csv", "in.csv.gz"])
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
def test_raw_length_and_truncation_are_filled_in_the_order_of_the_rejects(
    tmp_path: Path, name: str, block_bytes: int
) -> None:
    (split,) = write(tmp_path, BODY, name=name)
    given = at(527, 19, 4, 521, 9)
    filled = fill_raw(given, split, InBlocks(block_bytes), 100)
    assert filled["raw"].to_pylist() == [b"\xff", b"x" * 100, b"one", b"five", b"two, too"]
    assert filled["length"].to_pylist() == [1, 500, 3, 4, 8]
    assert filled["truncated"].to_pylist() == [False, True, False, False, False]
    for column in ("file", "offset", "stage", "reason", "message", "key"):
        assert filled[column] == given[column]


def test_without_bytes_the_length_still_says_where_a_record_ends(tmp_path: Path) -> None:
    (split,) = write(tmp_path, BODY)
    bare = without_raw(fill_raw(at(19, 4), split, CSV, 100))
    assert bare.select(["offset", "length", "raw", "truncated"]).to_pylist() == [
        {"offset": 19, "length": 500, "raw": None, "truncated": False},
        {"offset": 4, "length": 3, "raw": None, "truncated": False},
    ]


@pytest.mark.parametrize("offset", AT.values())
def test_one_reject_is_read_alone(tmp_path: Path, offset: int) -> None:
    (split,) = write(tmp_path, BODY)
    (record,) = [record for record, place in AT.items() if place == offset]
    assert fill_raw(at(offset), split, CSV, 1000)["raw"].to_pylist() == [record]


def test_rejects_of_one_split_are_found_in_it(tmp_path: Path) -> None:
    (whole,) = write(tmp_path, BODY)
    _, second = cut(whole, [12])
    assert fill_raw(at(19, 527), second, CSV, 3)["raw"].to_pylist() == [b"xxx", b"\xff"]


def test_nothing_is_read_for_nothing(tmp_path: Path) -> None:
    (split,) = write(tmp_path, BODY)
    (tmp_path / "in.csv").unlink()
    assert fill_raw(EMPTY, split, CSV, 100) is EMPTY


def test_an_offset_at_which_no_record_begins_is_a_bug(tmp_path: Path) -> None:
    (split,) = write(tmp_path, BODY)
    with pytest.raises(Unconserved, match="2 records were rejected, and 1 of them are found again"):
        fill_raw(at(4, 10), split, CSV, 100)


def test_a_changed_file_has_no_raw_bytes_to_give(tmp_path: Path) -> None:
    (split,) = write(tmp_path, BODY)
    (tmp_path / "in.csv").write_bytes(b"a,b\nsomething else")
    with pytest.raises(InputChanged):
        fill_raw(at(4), split, CSV, 100)
