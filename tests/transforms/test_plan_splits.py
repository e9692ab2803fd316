from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam.schemas.contract import Contract
from highbeam.schemas.errors import UsageError
from highbeam.schemas.sources import Source
from highbeam.schemas.split import Split
from highbeam.transforms.formats.choose import format_of
from highbeam.transforms.plan_splits import fitting_size, plan_splits

from tests.support.csv_files import contract, rows

AB = contract({"a": "int64", "b": {"type": "string", "optional": True, "nullable": True}})
KIB = 1 << 10
WIDE = ("a", *map(str, range(20_000)))


def source(path: str | list[str], **options: Any) -> Source:
    csv = {key: options.pop(key) for key in ("delimiter", "compression") if key in options}
    return Source.model_validate({"csv": {"path": path, **csv}, **options})


def plan(
    folder: Path, path: str | list[str] = "*.csv", what: Contract = AB, date: str | None = None, **options: Any
) -> list[Split]:
    return plan_splits(source(path, **options), what, os.fspath(folder), date)


def put(folder: Path, **files: bytes) -> None:
    for name, text in files.items():
        (folder / name).with_suffix(".csv").write_bytes(text)


def test_a_split_says_all_that_reading_needs(tmp_path: Path) -> None:
    put(tmp_path, x=b"b,a\nu,1\n")
    (split,) = plan(tmp_path)
    stat = (tmp_path / "x.csv").stat()
    assert split == Split(
        0, str(tmp_path / "x.csv"), "x.csv", 8, str(stat.st_mtime_ns), 4, 8, None, ("b", "a")
    )  # fmt: skip


@pytest.mark.parametrize(("total", "mebibytes"), [(0, 1), (9 << 20, 1), (640 << 20, 10), (2 << 30, 32), (1 << 40, 32)])
def test_without_a_split_size_it_goes_by_what_there_is_to_read(total: int, mebibytes: int) -> None:
    assert fitting_size(total) == mebibytes << 20


def test_files_are_cut_at_multiples_of_the_split_size(tmp_path: Path) -> None:
    put(tmp_path, x=b"a\n" + b"1\n" * 80 * KIB, y=b"a\n1\n")
    splits = plan(tmp_path, split_size=64 * KIB)
    size = 160 * KIB + 2
    ranges = [(s.number, s.file, s.start, s.end) for s in splits]
    assert ranges == [
        (0, "x.csv", 2, 64 * KIB), (1, "x.csv", 64 * KIB, 128 * KIB), (2, "x.csv", 128 * KIB, size), (3, "y.csv", 2, 4),
    ]  # fmt: skip
    assert plan(tmp_path, split_size=64 * KIB) == splits


def test_files_come_in_plan_order_each_once(tmp_path: Path) -> None:
    put(tmp_path, b=b"a\n1\n", a=b"a\n1\n", c=b"a\n1\n")
    assert [s.file for s in plan(tmp_path, ["c.csv", "*.csv", "./a.csv"])] == ["c.csv", "a.csv", "b.csv"]


def test_a_file_outside_the_jobs_folder_is_named_from_there(tmp_path: Path) -> None:
    put(tmp_path, x=b"a\n1\n")
    job = tmp_path / "job"
    job.mkdir()
    for path in ("../x.csv", str(tmp_path / "x.csv")):
        (split,) = plan(job, path)
        assert (split.file, split.path) == ("../x.csv", str(tmp_path / "x.csv"))


def test_compressed_files_are_one_split(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfa\r\n" + b"1\r\n" * 100 * KIB
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text))
    (tmp_path / "y.dat").write_bytes(gzip.compress(b"a\n1\n"))
    (split,) = plan(tmp_path, "x.csv.gz", split_size=64 * KIB)
    assert (split.start, split.end, split.compression, split.header) == (6, None, "gzip", ("a",))
    (split,) = plan(tmp_path, "y.dat", compression="gzip")
    assert split.compression == "gzip"
    with pytest.raises(UsageError, match="is gzip; write compression: gzip"):
        plan(tmp_path, "y.dat")


@pytest.mark.parametrize(
    ("text", "header", "start"),
    [
        (b"a,b\n1,2\n", ("a", "b"), 4),
        (b"\xef\xbb\xbfa,b\r\n1,2", ("a", "b"), 8),
        (b'"a","b ""x"", y"\n1,2\n', ("a", 'b "x", y'), 17),
        (b"\n\r\na,b\n\n1,2\n", ("a", "b"), 7),
        (",".join(WIDE).encode() + b"\n1\n", WIDE, len(",".join(WIDE)) + 1),
    ],
    ids=["plain", "bom", "quoted", "blank lines", "wide"],
)
def test_headers(tmp_path: Path, text: bytes, header: tuple[str, ...], start: int) -> None:
    put(tmp_path, x=text)
    (split, *_) = plan(tmp_path)
    assert (split.header, split.start) == (header, start)


@pytest.mark.parametrize("text", [b"", b"a,b\n", b"a,b", b"\n\n\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_records_has_no_splits(tmp_path: Path, text: bytes) -> None:
    put(tmp_path, x=text)
    assert plan(tmp_path) == []
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text))
    whole = plan(tmp_path, "*.gz")
    assert sum(batch.read for split in whole for batch in format_of(source("x")).read(split, AB, 1000)) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"A,b\n1,2\n", r"x\.csv: the header lacks 'a' \(is it 'A'\? then write from: A\); it has A, b"),
        (b"b\n1\n", "the header lacks 'a'; it has b"),
        (b"a;b\n1;2\n", r"the header lacks 'a'; it has a;b \(is ';' its delimiter\? then write delimiter: \";\"\)"),
        (b"a|\n1|\n", r"the header lacks 'a'; it has a\| \(is '\|' its delimiter"),
        (b"a,b,a\n", "names 'a' twice"),
        (b'a,"b\nc"\n', "not closed on its line"),
        (b"a,b\r1,2\r", "end in carriage returns alone"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16"),
        (b"a,\xff\n", "the header is not valid UTF-8"),
        (b"x" * 3 * 1024 * KIB, "no header within 1,048,576 bytes"),
    ],
)  # fmt: skip
def test_a_header_that_will_not_do_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    put(tmp_path, x=text)
    with pytest.raises(UsageError, match=said):
        plan(tmp_path)


def test_the_missing_source_name_is_the_one_named(tmp_path: Path) -> None:
    put(tmp_path, x=b"Flight No,b\n1,2\n")
    what = contract({"a": {"type": "int64", "from": "Flight Nr"}})
    with pytest.raises(UsageError, match=r"lacks 'Flight Nr' for column a \(is it 'Flight No'\?"):
        plan(tmp_path, what=what)


def test_every_file_at_fault_is_named_up_to_five(tmp_path: Path) -> None:
    put(tmp_path, **{f"f{n}": b"b\n1\n" for n in range(7)}, good=b"a\n1\n")
    with pytest.raises(UsageError) as caught:
        plan(tmp_path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert lines[-1] == "… and 2 more files"


def test_gzip_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(UsageError, match=r"x\.csv\.gz: its name says gzip, but it is none"):
        plan(tmp_path, "*.gz")


def test_nothing_there_is_refused_unless_a_night_may_be_empty(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="say min_rows: 0"):
        plan(tmp_path, "*.csv", date="2013-07-04")
    with pytest.raises(UsageError, match=r"correct the path$"):
        plan(tmp_path, "*.csv")  # of training, or of a side table
    assert plan(tmp_path, "*.csv", min_rows=0) == []
    with pytest.raises(UsageError, match=r"x\.csv: no such file"):
        plan(tmp_path, "x.csv", min_rows=0)


def test_dates_are_filled_in(tmp_path: Path) -> None:
    put(tmp_path, **{"2013-07-04": b"a\n1\n", "0704": b"a\n1\n"})
    assert [s.file for s in plan(tmp_path, ["{date}.csv", "{date:%m%d}.csv"], date="2013-07-04")] == [
        "2013-07-04.csv", "0704.csv",
    ]  # fmt: skip
    assert len(plan(tmp_path, "0704.csv", date="any label")) == 1
    for date, said in ((None, "no date is given"), ("2013-02-30", "is not a date"), ("latest", "is not a date")):
        with pytest.raises(UsageError, match=said):
            plan(tmp_path, "{date}.csv", date=date)


def test_a_night_that_is_not_ready_is_refused(tmp_path: Path) -> None:
    put(tmp_path, x=b"a\n1\n")
    with pytest.raises(UsageError, match=r"2013-07-04/_SUCCESS: not there, so the night is not ready"):
        plan(tmp_path, date="2013-07-04", ready="{date}/_SUCCESS")
    (tmp_path / "2013-07-04").mkdir()
    (tmp_path / "2013-07-04" / "_SUCCESS").touch()
    assert len(plan(tmp_path, date="2013-07-04", ready="{date}/_SUCCESS")) == 1


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({"a": "list<int8>"}, {}, "column a: a CSV file holds no list<int8>"),
        ({"a": {"type": "timestamp", "format": "%Q", "timezone": "UTC"}}, {}, "column a: %Q is not supported"),
        ({"a": "int64"}, {"delimiter": "é"}, "source.csv.delimiter: 'é' cannot stand between fields"),
        ({"a": "int64"}, {"delimiter": '"'}, "source.csv.delimiter"),
    ],
)
def test_a_contract_that_no_csv_can_keep_is_refused(
    tmp_path: Path, columns: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        plan(tmp_path, what=contract(columns), **options)


def test_object_stores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        plan(tmp_path, "s3://bucket/x.csv")


@settings(max_examples=20)
@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=60))
def test_the_splits_of_a_file_hold_its_records_once(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    put(folder, x=b"a,b\n" + b"".join(b"%d,%s\n" % (n, b"x" * length) for n, length in enumerate(lengths)))
    splits = plan(folder, "x.csv", split_size=64 * KIB)
    batches = [batch for split in splits for batch in format_of(source("x")).read(split, AB, 1 << 20)]
    assert rows(batches)["a"].to_pylist() == list(range(len(lengths)))
