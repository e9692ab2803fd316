"""Whatever the bytes: CSV records come back once, in order, and each has a fate of its own."""

from __future__ import annotations

import csv
import io
import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from highbeam.schemas.reasons import REASONS
from highbeam.transforms.raw import fill_raw

from tests.support.csv_files import InBlocks, contract, cut, read, rejected, rows, write

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
