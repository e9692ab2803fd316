"""What becomes of CSV records, line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from highbeam.schemas.contract import Contract
from highbeam.schemas.sources import Csv
from highbeam.transforms import framing
from highbeam.transforms.formats.base import BATCH_ROWS
from highbeam.transforms.formats.csv_parser import CsvParser
from highbeam.transforms.formats.lines import read_lines

from tests.support.csv_files import MAX, contract, cut, read, rejected, rows, write

AB = contract({"a": "int64", "b": "string"})


def outcome(folder: Path, body: bytes, what: Contract = AB, header: str = "a,b", **options: Any) -> list[Any]:
    """What became of each record, in order: its values, or its reason."""
    batches = read(write(folder, body, header), what, **options)
    alive = {row.pop("_offset"): tuple(row.values()) for row in rows(batches).to_pylist()}
    gone = {row["offset"]: row["reason"] for row in rejected(batches).to_pylist()}
    assert sum(batch.read for batch in batches) == len(alive) + len(gone)
    return [value for _, value in sorted((alive | gone).items())]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1,x\n2,y\n", [(1, "x"), (2, "y")]),
        (b"1,x\r\n2,y", [(1, "x"), (2, "y")]),
        (b"\n1,x\n\r\n\n2,y\n\n", [(1, "x"), (2, "y")]),
        (b'1,"x,y"\n2,"a""b"\n"3",c"d"e\n4,"f"g\n', [(1, "x,y"), (2, 'a"b'), (3, 'c"d"e'), (4, "fg")]),
        (b',x\n1,\n2,""\n', [(None, "x"), (1, None), (2, "")]),
        (b" 1\t,  x \n", [(1, "  x ")]),
        (b"1,\xc3\xa9\n2,\xff\n3,\xed\xa0\x80\n", [(1, "é"), "not_utf8", "not_utf8"]),
        (b"1,x\n1O,y\n3,z\n", [(1, "x"), "bad_value", (3, "z")]),
        (b'"",x\n99999999999999999999,y\n', ["bad_value", "bad_value"]),
        (b"1,x\n2\n3,y,z\n4,w\n", [(1, "x"), "wrong_field_count", "wrong_field_count", (4, "w")]),
        (b'1,"x\n2,y"\n3,z\n', ["unbalanced_quote", "unbalanced_quote", (3, "z")]),
        (b'1,5" pipe\n2,5"" pipe\n', ["unbalanced_quote", (2, '5"" pipe')]),
        (b'1x","y\n2,z\n', ["unbalanced_quote", (2, "z")]),  # even, but open at the end
        (b'2,z\n1x","y', [(2, "z"), "unbalanced_quote"]),
        (b'2,z\n1"2,"y', [(2, "z"), "unbalanced_quote"]),
        (b"1,x\ry\n2,z\n", ["line_break", (2, "z")]),
        (b'1,"x\ry"\n2,z\r\r\n', ["line_break", "line_break"]),
        (b"1," + b"x" * 50 + b"\n2," + b"y" * 48 + b"\n", ["record_too_long", (2, "y" * 48)]),
        (b"\xef\xbb\xbf1,x\n2,y\n", ["bad_value", (2, "y")]),  # the file's own stands before the header
        (b"1,\x00\n", [(1, "\x00")]),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_the_fate_of_records(tmp_path: Path, body: bytes, expected: list[Any]) -> None:
    assert outcome(tmp_path, body, max_record_bytes=50) == expected
    assert outcome(tmp_path, body, max_record_bytes=50, batch_rows=1) == expected


def test_an_empty_last_field_is_null_whatever_follows(tmp_path: Path) -> None:
    what = contract({"a": "string", "b": "string"})
    for ending in (b"", b"\n", b"\nx,y", b'\n"'):  # pyarrow itself takes it for quoted at the end of its input
        assert outcome(tmp_path, b'"x",' + ending, what)[0] == ("x", None)


def test_a_quote_left_open_by_the_last_record_is_seen_though_all_else_is_well(tmp_path: Path) -> None:
    what = contract({"a": "string", "b": "string"})
    assert outcome(tmp_path, b'p,q\nx"y,"z', what) == [("p", "q"), "unbalanced_quote"]
    assert outcome(tmp_path, b'x"y,"z\np,q', what) == ["unbalanced_quote", ("p", "q")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1", "found 1 fields, expected 2"),
        (b'1,"x,y",z', "found 3 fields, expected 2"),
        (b"1O,x", "column a: '1O' is not an int64"),
        (b"1," + b"x" * 2000, "the record has 2002 bytes, at most 1000 are allowed (source.max_record_bytes)"),
        (b'1,x"', "the record has an odd number of quote characters"),
        (b'1x","y', "a quoted field is not closed before the record ends"),
        (b"1,x\ry", "a carriage return without line feed stands in the record"),
    ],
)
def test_a_reject_says_where_and_what(tmp_path: Path, line: bytes, message: str) -> None:
    gone = rejected(read(write(tmp_path, b"0,w\n" + line + b"\n2,z\n"), AB, max_record_bytes=1000)).to_pylist()
    assert [(row["file"], row["offset"], row["stage"], row["message"]) for row in gone] == [
        ("in.csv", 8, "read", message)
    ]


def test_a_reject_carries_the_key_where_it_could_be_read(tmp_path: Path) -> None:
    what = contract({"a": "int64", "b": "float32"}, ("a",))
    gone = rejected(read(write(tmp_path, b"7,x\ny,1\n8\n9,2\n"), what)).to_pylist()
    assert [(row["key"], row["reason"]) for row in gone] == [
        ("7", "bad_value"), (None, "bad_value"), (None, "wrong_field_count"),
    ]  # fmt: skip


def test_the_first_wrong_column_of_the_contract_is_named(tmp_path: Path) -> None:
    what = contract({"b": {"type": "timestamp", "timezone": "UTC"}, "a": "int64"})
    (row,) = rejected(read(write(tmp_path, b"x,y\n"), what)).to_pylist()
    assert row["message"] == "column b: 'y' is not a timestamp"


def test_columns_are_matched_by_name_in_any_order(tmp_path: Path) -> None:
    what = contract({
        "late": {"type": "bool"}, "a": "int32", "gone": {"type": "string", "optional": True, "nullable": True},
        "when": {"type": "timestamp", "from": "Departure Time"}, "same": {"type": "string", "from": "a"},
        "n": {"type": "float32", "optional": True, "default": 1},
    })  # fmt: skip
    batches = read(write(tmp_path, b"?,TRUE,2013-07-04T00:00Z,5\n?,no,x,6\n", "junk,late,Departure Time,a"), what)
    (row,) = rows(batches).to_pylist()
    when = row.pop("when").isoformat()
    assert when == "2013-07-04T00:00:00+00:00"
    assert row == {"late": True, "a": 5, "gone": None, "n": None, "same": "5", "_offset": 27}
    assert batches[0].rows.schema == what.schema.append(pa.field("_offset", pa.int64()))
    assert rejected(batches)["message"].to_pylist() == ["column late: 'no' is not a bool"]


def test_a_contract_of_which_a_file_has_nothing_still_counts_its_records(tmp_path: Path) -> None:
    what = contract({"x": {"type": "string", "optional": True, "nullable": True}})
    assert outcome(tmp_path, b"1,2\n3,4\n5\n", what) == [(None,), (None,), "wrong_field_count"]


def test_nulls_are_the_spellings_listed_unless_quoted(tmp_path: Path) -> None:
    what = contract({"a": "float32", "b": "string"}, ("b",))
    body = b'NA,NA\n,-\n1,"NA"\n"NA",x\n-,y\n'
    expected = [(None, None), (None, None), (1, "NA"), "bad_value", (None, "y")]
    assert outcome(tmp_path, body, what, nulls=["NA", "-"]) == expected


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " ", "^", "\\", ".", "-"])
def test_any_ascii_character_delimits(tmp_path: Path, delimiter: str) -> None:
    body = b'1,"x,"\n2,y,z\n3,",""y"\n4,w\n'.replace(b",", delimiter.encode())
    header = f"a{delimiter}b"
    splits = [s.__class__(**{**s.__dict__, "header": ("a", "b")}) for s in write(tmp_path, body, header)]
    batches = read(splits, AB, delimiter=delimiter)
    assert rows(batches)["b"].to_pylist() == [f"x{delimiter}", f'{delimiter}"y', "w"]
    assert rejected(batches)["reason"].to_pylist() == ["wrong_field_count"]


def test_strings_are_dictionaries_and_the_keys_are_plain(tmp_path: Path) -> None:
    what = contract({"a": "string", "b": "string"}, ("a",))
    for body in (b"k,x\nl,x\n", b"k,x\nl,x\nbad\n"):
        (batch,) = read(write(tmp_path, body), what)
        assert batch.rows.schema.field("a").type == pa.string()
        assert batch.rows.column("b").dictionary.to_pylist() == ["x"]


def test_a_split_without_records_gives_one_empty_batch(tmp_path: Path) -> None:
    (whole,) = write(tmp_path, b"1,a long line\n\n\n")
    (_, second) = cut(whole, [10])
    (batch,) = read([second], AB)
    assert (batch.read, batch.last, batch.rows.num_rows) == (0, True, 0)
    assert batch.rows.schema == AB.schema.append(pa.field("_offset", pa.int64()))


def test_batches_hold_so_many_rows_and_own_their_memory(tmp_path: Path) -> None:
    n = BATCH_ROWS + 5
    batches = read(write(tmp_path, b"".join(b"%d,x\n" % i for i in range(n))), AB)
    assert [batch.read for batch in batches] == [BATCH_ROWS, 5]
    assert rows(batches)["a"].to_pylist() == list(range(n))
    assert batches[1].rows.get_total_buffer_size() < 2000


def test_one_batch_is_held_back_and_no_more(tmp_path: Path) -> None:
    (split,) = write(tmp_path, b"1,x\n" * 10)
    framed = []
    real = framing.frame_split

    def counting(*args: Any) -> Any:
        for records in real(*args):
            framed.append(len(records))
            yield records

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("highbeam.transforms.formats.lines.frame_split", counting)
        batches = read_lines(split, CsvParser(split.header, Csv(path=("in.csv",)), AB), AB, MAX, batch_rows=1)
        next(batches)
        assert len(framed) == 2


def test_gzip_reads_as_plain_does(tmp_path: Path) -> None:
    body = b"1,x\n2O,y\n3,z"
    plain = read(write(tmp_path, body), AB)
    zipped = read(write(tmp_path, body, name="in.csv.gz"), AB, block_bytes=2)
    assert rows(zipped) == rows(plain)
    assert rejected(zipped).drop_columns("file") == rejected(plain).drop_columns("file")


@pytest.mark.parametrize("text", ["0x1F", "0X1F"])
@pytest.mark.parametrize("others", ["0xFF", "0XFF", "x0", "X"])
def test_hexadecimal_is_no_integer(tmp_path: Path, text: str, others: str) -> None:
    (split,) = write(tmp_path, f"{text},x\n7,{others}\n".encode(), "a,b")
    batches = read([split], contract({"a": "int8", "b": "string"}))
    assert rows(batches).drop_columns(["_offset"]).to_pylist() == [{"a": 7, "b": others}]
    assert rejected(batches)["message"].to_pylist() == [f"column a: '{text}' is not an int8"]
