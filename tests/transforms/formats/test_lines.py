from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from highbeam.schemas.contract import Contract
from highbeam.schemas.reasons import REASONS
from highbeam.schemas.sources import Csv
from highbeam.transforms import framing
from highbeam.transforms.formats.base import BATCH_ROWS
from highbeam.transforms.formats.csv_parser import CsvParser
from highbeam.transforms.formats.lines import read_lines
from highbeam.transforms.raw import fill_raw

from tests.support.csv_files import MAX, InBlocks, contract, cut, read, rejected, rows, write

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


# Properties

MIXED = contract({
    "i": "int32", "f": {"type": "float32", "allow_nan": True}, "k": "string", "b": "bool",
    "t": {"type": "timestamp", "timezone": "America/New_York"}, "d": "date", "m": "decimal(9, 2)", "s": "string",
    "y": "binary",
}, ("k",))  # fmt: skip
HEADER = ",".join(MIXED.columns)
UNWRITABLE = "" if sys.version_info >= (3, 11) else "\0"  # csv.writer of Python 3.10 refuses it
TEXT = st.text(st.characters(exclude_characters="\r\n" + UNWRITABLE, exclude_categories=["Cs"]), max_size=6)
ROW = st.tuples(
    st.integers(-(2**31), 2**31 - 1).map(str), st.sampled_from(["1.5", "-2e3", "", "nan"]), TEXT,
    st.sampled_from(["true", "0", ""]), st.sampled_from(["2013-07-04", "2013-11-03T01:30:00.5", ""]),
    st.sampled_from(["2013-07-04", ""]), st.sampled_from(["1.25", "-3", ""]), TEXT, TEXT,
)  # fmt: skip


def written(records: list[tuple[str, ...]], quoting: int, end: str) -> list[bytes]:
    lines = []
    for record in records:
        out = io.StringIO(newline="")
        csv.writer(out, quoting=quoting, lineterminator=end).writerow(record)  # type: ignore[arg-type]
        lines.append(out.getvalue().encode())
    return lines


@settings(max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=30), st.booleans(), st.sampled_from(["\n", "\r\n"]),
       st.lists(st.integers(0, 2000), max_size=8), st.integers(1, 7), st.integers(1, 300))  # fmt: skip
def test_rows_come_back_once_in_order_with_exact_offsets(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, ...]], quoted: bool, end: str,
    cuts: list[int], batch_rows: int, block_bytes: int,
) -> None:  # fmt: skip
    # A quoted empty field is an empty text, which is no number: quote only what needs it, or texts without empty ones.
    records = (
        [tuple(v or "0" for v in r[:4]) + ("2013-07-04", "2013-07-04", "1", r[7], r[8]) for r in records]
        if quoted
        else records
    )
    lines = written(records, csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, end)
    (whole,) = write(tmp_path_factory.getbasetemp(), b"".join(lines), HEADER)
    batches = read(cut(whole, cuts), MIXED, batch_rows=batch_rows, block_bytes=block_bytes)
    assert rejected(batches).to_pylist() == []
    table = rows(batches)
    offsets = [len(HEADER) + 1 + sum(map(len, lines[:n])) for n in range(len(lines))]
    assert table["_offset"].to_pylist() == offsets
    empty = "" if quoted else None
    assert table["i"].to_pylist() == [int(record[0]) for record in records]
    assert table["s"].to_pylist() == [record[7] or empty for record in records]
    assert table["k"].to_pylist() == [record[2] or empty for record in records]
    assert table["y"].to_pylist() == [(record[8].encode() or (b"" if quoted else None)) for record in records]
    whole_file = b"".join(lines)
    again = [next(csv.reader([whole_file[o - len(HEADER) - 1 :].split(b"\n")[0].decode()])) for o in offsets]
    assert [tuple(record) for record in again] == records


def _damaged(record: tuple[str, ...], place: int, by: bytes) -> bytes:
    fields = [value.encode() for value in record]
    return b",".join([*fields[:place], by, *fields[place + 1 :]])


DIRTY = st.one_of(
    ROW.map(lambda row: written([row], csv.QUOTE_MINIMAL, "")[0]),
    st.builds(_damaged, ROW, st.integers(0, 8), st.binary(max_size=4)),
    st.sampled_from([b"", b"\r", b"1,2", b'"', b'1,"x', b'"1" ,2,3', b"\xef\xbb\xbf1", b'"a"b,"c"', b'a"b,"c', b"," * 8,
                     b"1" + b"," * 7 + b'x","', b"9" * 120, b'1,1,""""', b"a\rb", b"\xff" + b"," * 8]),
    st.lists(st.sampled_from([b'"', b",", b"1", b"x", b"\r", b"\xc3", b" "]), max_size=14).map(b"".join),
    st.binary(max_size=12),
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(DIRTY, max_size=12), st.lists(st.integers(0, 600), max_size=4), st.integers(1, 5), st.integers(1, 90))
@example([b"," * 8, b"1" + b"," * 7 + b'x","'], [], 5, 90)
@example([b"\xef\xbb\xbf" + b"," * 8, b"," * 8], [], 1, 90)
def test_no_bytes_crash_it_lose_a_row_or_change_a_neighbours_fate(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[int], batch_rows: int, block_bytes: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    body = b"\n".join(lines)
    (whole,) = write(folder, body, HEADER)
    options: dict[str, Any] = {"max_record_bytes": 100, "batch_rows": batch_rows, "block_bytes": block_bytes}
    batches = read(cut(whole, cuts), MIXED, **options)
    fates = _fates(batches)
    records, at = {}, whole.start
    for line in body.split(b"\n"):
        if line.removesuffix(b"\r"):
            records[at] = line.removesuffix(b"\r")
        at += len(line) + 1
    assert sorted(fates) == sorted(records)
    for offset, record in records.items():
        (alone,) = write(folder, record + b"\r\n", HEADER, "alone.csv")
        (fate,) = _fates(read([alone], MIXED, max_record_bytes=100)).values()
        assert repr(fates[offset]) == repr(fate), record
    assert sum(batch.read for batch in batches) == len(records)
    for batch in batches:
        filled = fill_raw(batch.rejected, batch.split, InBlocks(block_bytes), 100)
        for row in filled.to_pylist():
            record = records[row["offset"]]
            assert (row["raw"], row["length"], row["truncated"]) == (record[:100], len(record), len(record) > 100)


def _fates(batches: list[Any]) -> dict[int, Any]:
    table = rows(batches).to_pylist() if batches else []
    fates: dict[int, Any] = {row.pop("_offset"): row for row in table}
    for row in rejected(batches).to_pylist() if batches else []:
        assert row["offset"] not in fates
        assert row["reason"] in REASONS
        fates[row["offset"]] = (row["reason"], row["message"], row["key"])
    return fates


def test_hexadecimal_is_no_integer(tmp_path: Path) -> None:
    (split,) = write(tmp_path, b"0x1F,x\n7,0xFF\n", "a,b")
    batches = read([split], contract({"a": "int8", "b": "string"}))
    assert rows(batches).drop_columns(["_offset"]).to_pylist() == [{"a": 7, "b": "0xFF"}]
    assert rejected(batches)["message"].to_pylist() == ["column a: '0x1F' is not an int8"]
