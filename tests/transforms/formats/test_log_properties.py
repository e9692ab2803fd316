from __future__ import annotations

import gzip
import itertools
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from highbeam.schemas.batch import Batch
from highbeam.schemas.contract import Contract
from highbeam.schemas.errors import UnreadableInput, UsageError
from highbeam.schemas.split import Split
from highbeam.transforms.formats.kinds import misnamed
from highbeam.transforms.formats.lines import read_lines
from highbeam.transforms.formats.log_parser import LogParser
from highbeam.transforms.formats.log_patterns import line_pattern
from highbeam.transforms.raw import fill_raw

from tests.support.csv_files import contract, rejected, rows
from tests.support.log_files import HEAD, MAX, TAIL, USUAL, fates, log, read, write

MIXED = contract({
    "status": "int32", "bytes": {"type": "int64", "nullable": True}, "host": "string",
    "request": {"type": "string", "nullable": True}, "path": {"type": "string", "nullable": True},
    "time": {"type": "timestamp"}, "user_agent": {"type": "string", "nullable": True},
    "referer": {"type": "binary", "nullable": True},
}, ("host",))  # fmt: skip
PLAIN = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=6)
WORD = st.text(st.characters(exclude_characters='\r\n "\\', exclude_categories=["Cs"]), min_size=1, max_size=6)
ROW = st.tuples(
    st.integers(0, 999), st.integers(0, 1 << 62) | st.none(), WORD.filter(lambda word: word != "-"), WORD,
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0)), PLAIN, PLAIN,
)  # fmt: skip
Row = tuple[int, int | None, str, str, datetime, str, str]


def quoted(text: str) -> str:
    """As Apache writes a header."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def written(row: Row) -> bytes:
    status, size, host, path, at, referer, agent = row
    time, size_text = at.strftime("%d/%b/%Y:%H:%M:%S +0000"), "-" if size is None else size
    request = f"GET {path} HTTP/1.1"
    return f'{host} - - [{time}] "{request}" {status} {size_text} "{quoted(referer)}" "{quoted(agent)}"'.encode()


def expected(row: Row) -> dict[str, Any]:
    status, size, host, path, at, referer, agent = row
    return {
        "status": status, "bytes": size, "host": host, "request": f"GET {path} HTTP/1.1",
        "path": None if path == "-" else path, "time": at.replace(tzinfo=timezone.utc),
        "user_agent": None if agent in ("", "-") else quoted(agent),
        "referer": None if referer in ("", "-") else quoted(referer).encode(),
    }  # fmt: skip


def cut(whole: Split, at: list[int]) -> list[Split]:
    bounds = sorted({0, whole.size, *(offset for offset in at if 0 < offset < whole.size)})
    return [replace(whole, number=n, start=a, end=b) for n, (a, b) in enumerate(itertools.pairwise(bounds))]


def read_cut(splits: list[Split], what: Contract, limit: int, batch_rows: int, block_bytes: int) -> list[Batch]:
    parser = LogParser(line_pattern(log().options), log().options.nulls, what)
    batches = []
    for split in splits:
        mine = list(read_lines(split, parser, what, limit, batch_rows, block_bytes=block_bytes))
        assert [batch.last for batch in mine] == [False] * (len(mine) - 1) + [True]
        batches += mine
    return batches


@settings(max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=20), st.sampled_from([b"\n", b"\r\n"]),
       st.lists(st.integers(0, 2000), max_size=8), st.integers(1, 7), st.integers(1, 300))  # fmt: skip
def test_rows_come_back_once_in_order_with_exact_offsets(
    tmp_path_factory: pytest.TempPathFactory, given_rows: list[Row], end: bytes, cuts: list[int], batch_rows: int,
    block_bytes: int,
) -> None:  # fmt: skip
    lines = [written(row) for row in given_rows]
    (whole,) = write(tmp_path_factory.getbasetemp(), end.join(lines), log(), MIXED)
    batches = read_cut(cut(whole, cuts), MIXED, MAX, batch_rows, block_bytes)
    assert rejected(batches).to_pylist() == []
    offsets = [sum(len(line) + len(end) for line in lines[:n]) for n in range(len(lines))]
    table = rows(batches)
    assert table["_offset"].to_pylist() == offsets
    assert table.drop_columns("_offset").to_pylist() == [expected(row) for row in given_rows]
    raw, lengths = log().raw(pa.array(offsets).to_numpy(), whole, MAX)
    assert (raw.to_pylist(), lengths.tolist()) == (lines, list(map(len, lines)))
    again = log().again(whole, raw, pa.array(offsets), MIXED, MAX)
    assert rows([again]).to_pylist() == table.to_pylist()


LINE = ROW.map(written)
DIRTY = st.one_of(
    LINE,
    st.builds(lambda line, at, by: line[: at % len(line)] + by + line[at % len(line) + 1 :], LINE, st.integers(0, 500),
              st.binary(max_size=4).map(lambda by: by.replace(b"\n", b""))),
    st.builds(lambda line, at: line[: at % len(line)], LINE, st.integers(0, 500)),
    st.sampled_from([b"", b"\r", b'"', b"\\", b"\x00", b"x" * 300, b"\xff", b"\xef\xbb\xbf" + USUAL.encode(),
                     USUAL.encode() + b"\r\r", (HEAD + "\\" + TAIL).encode(), (HEAD + TAIL + " ").encode()]),
    st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")),
)  # fmt: skip


@settings(max_examples=100)
@given(st.lists(DIRTY, max_size=10), st.lists(st.integers(0, 900), max_size=4), st.integers(1, 5), st.integers(1, 90))
@example([USUAL.encode(), b"\xff", USUAL.encode()], [], 5, 90)
def test_no_bytes_crash_it_lose_a_row_or_change_a_neighbours_fate(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[int], batch_rows: int, block_bytes: int
) -> None:
    # UTF-16, and files of another kind by their first bytes, are refused.
    assume(not any(line.startswith((b"\xff\xfe", b"\xfe\xff")) or misnamed(line) for line in lines))
    folder, limit = tmp_path_factory.getbasetemp(), 250
    splits = write(folder, b"\n".join(lines), log(), MIXED)
    batches = read_cut([part for whole in splits for part in cut(whole, cuts)], MIXED, limit, batch_rows, block_bytes)
    found = fates(batches) if batches else {}
    records, at = {}, 0
    for line in lines:
        if record := line.removesuffix(b"\r"):
            records[at] = record
        at += len(line) + 1
    assert list(found) == list(records)
    for offset, record in records.items():
        (alone,) = fates(read(write(folder, record + b"\r\n", log(), MIXED, "b.log"), log(), MIXED, limit)).values()
        assert repr(found[offset]) == repr(alone)
    if short := {at: record for at, record in records.items() if len(record) <= limit}:
        texts, offsets = pa.array(short.values(), pa.binary()), pa.array(short.keys(), pa.int64())
        again = fates([log().again(splits[0], texts, offsets, MIXED, limit)])
        assert repr(again) == repr({at: found[at] for at in short})
    for batch in batches:
        for row in fill_raw(batch.rejected, batch.split, log(), limit).to_pylist():
            assert row["raw"] == records[row["offset"]][:limit]


@settings(max_examples=60)
@given(st.binary(max_size=80), st.integers(0, 400), st.sampled_from(["a.log.gz", "a.log.bz2", "a.log.zst", "a.log.xz"]))
def test_no_compressed_bytes_crash_it(tmp_path_factory: pytest.TempPathFactory, by: bytes, at: int, name: str) -> None:
    body = gzip.compress(f"{USUAL}\n".encode() * 3)
    body = body[: at % len(body)] + by
    folder = tmp_path_factory.getbasetemp()
    try:
        fates(read(write(folder, body, log(), name=name), log()))
        said = name
    except (UsageError, UnreadableInput) as error:
        said = str(error)
    assert name in said
