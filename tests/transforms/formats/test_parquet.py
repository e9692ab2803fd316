"""Parquet files, cut at row groups."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from highbeam.schemas.contract import Column, Contract
from highbeam.schemas.errors import InputChanged, UnreadableInput, UsageError
from highbeam.schemas.sources import Parquet
from highbeam.schemas.split import Split
from highbeam.transforms.formats.base import BATCH_ROWS
from highbeam.transforms.formats.parquet_files import ParquetFormat
from highbeam.transforms.formats.parquet_rows import ParquetRows, row_numbers
from highbeam.transforms.formats.schema import packed

from tests.support.reading import LIMIT, cut, read_whole, reads_or_says_why

FORMAT = ParquetFormat(Parquet(path=("in.parquet",)))
QUICK = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def contract(key: tuple[str, ...] = (), **columns: Any) -> Contract:
    """A contract of `name=type` or `name={...}`."""
    specs = {name: {"type": spec} if isinstance(spec, str) else spec for name, spec in columns.items()}
    return Contract({name: Column(**spec) for name, spec in specs.items()}, key)


# A file's type -> the column read from it, and values that column can and cannot hold.
CASES: dict[str, tuple[pa.DataType, dict[str, Any], st.SearchStrategy[Any]]] = {
    "i": (pa.int64(), {"type": "int8"}, st.integers(-140, 140)),
    "u": (pa.uint64(), {"type": "int64"}, st.sampled_from([0, 2**63 - 1, 2**63])),
    "f": (pa.float64(), {"type": "float32"}, st.floats()),
    "w": (pa.float64(), {"type": "int32"}, st.sampled_from([1.0, 1.5, float("nan")])),
    "b": (pa.bool_(), {"type": "bool"}, st.booleans()),
    "s": (pa.string(), {"type": "string"}, st.text(max_size=3)),
    "x": (pa.binary(), {"type": "string"}, st.binary(max_size=3)),
    "y": (pa.binary(), {"type": "binary"}, st.binary(max_size=3)),
    "d": (pa.date32(), {"type": "date"}, st.dates()),
    "n": (pa.string(), {"type": "float64"}, st.sampled_from(["1.5", "nan", "x", ""])),
    "t": (pa.timestamp("us", "UTC"), {"type": "timestamp"}, st.datetimes(timezones=st.just(dt.timezone.utc))),
    "l": (
        pa.timestamp("ns"),
        {"type": "timestamp", "timezone": "Europe/Berlin"},
        st.sampled_from([0, 1, 1_711_852_200_000_000_000]),
    ),
    "m": (pa.decimal128(9, 3), {"type": "decimal(8, 2)"}, st.decimals(-999, 999, places=3)),
    "v": (pa.list_(pa.float64()), {"type": "list<int8>"}, st.lists(st.sampled_from([1.0, 0.5, 127.0]), max_size=3)),
    "e": (pa.list_(pa.string()), {"type": "list<string>"}, st.lists(st.text(max_size=2), max_size=2)),
    "h": (pa.time64("us"), {"type": "string"}, st.times()),
    "g": (pa.large_string(), {"type": "string"}, st.text(max_size=3)),
    "q": (pa.binary(2), {"type": "string"}, st.binary(min_size=2, max_size=2)),
}
ALL = contract(("i",), **{name: {**column, "nullable": name != "i"} for name, (_, column, _) in CASES.items()})


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 40))
    arrays = [
        pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), type)
        for type, _, values in CASES.values()
    ]
    return pa.table(arrays, schema=pa.schema([(name, type) for name, (type, _, _) in CASES.items()]))


@QUICK
@given(tables(), st.integers(1, 20), st.integers(1, 5000), st.sampled_from(["none", "snappy", "zstd"]), st.booleans())
def test_every_row_once_however_it_is_cut(
    tmp_path: Path, table: pa.Table, group: int, size: int, codec: str, dictionary: bool
) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(table, path, row_group_size=group, compression=codec, use_dictionary=dictionary)
    whole = read_whole(FORMAT, path, ALL, 1 << 30)
    assert whole.offsets == list(range(table.num_rows))
    assert len(whole.splits) == (table.num_rows > 0)
    parts = read_whole(FORMAT, path, ALL, size)
    assert repr(parts.rows) == repr(whole.rows)
    assert (parts.reasons, parts.raw) == (whole.reasons, whole.raw)
    texts = table.column("s").to_pylist()
    assert all(row["s"] == texts[at] for at, row in whole.rows.items())


def test_dictionaries_stay_dictionaries_and_keys_plain(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    table = pa.table({"k": ["a", "b"] * 50, "c": ["x", "y"] * 50})
    pq.write_table(table, path)
    split = cut(FORMAT, path, (wanted := contract(("k",), k="string", c="string")), LIMIT)[0]
    rows = next(iter(FORMAT.read(split, wanted, LIMIT))).rows
    assert rows.column("k").type == pa.string()
    assert rows.column("c").dictionary.to_pylist() == ["x", "y"]


def test_nested_and_renamed_columns(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    geo = [{"country": "US", "at": {"lat": 1.5}}, None, {"country": None, "at": None}]
    pq.write_table(pa.table({"geo": geo, "a.b": [1, 2, 3], "other": [{"x": 1}] * 3}), path)
    columns: dict[str, Any] = {
        "country": {"type": "string", "from": "geo.country", "nullable": True},
        "lat": {"type": "float32", "from": "geo.at.lat", "nullable": True},
        "ab": {"type": "int8", "from": "a.b"},
        "ab2": {"type": "int64", "from": "a.b"},
        "gone": {"type": "int8", "from": "geo.none", "nullable": True, "optional": True},
    }
    found = read_whole(FORMAT, path, contract(**columns))
    assert list(found.rows.values()) == [
        {"country": "US", "lat": 1.5, "ab": 1, "ab2": 1, "gone": None},
        {"country": None, "lat": None, "ab": 2, "ab2": 2, "gone": None},
        {"country": None, "lat": None, "ab": 3, "ab2": 3, "gone": None},
    ]
    gone = {"type": "int8", "optional": True, "nullable": True}
    assert read_whole(FORMAT, path, contract(gone=gone)).rows == {at: {"gone": None} for at in range(3)}


@pytest.mark.parametrize("encoded", [True, False])
def test_texts_in_records_and_lists_go_across_row_groups(tmp_path: Path, encoded: bool) -> None:
    path = tmp_path / "in.parquet"
    words = pa.array([f"x{at % 7}" for at in range(50)])
    inside = words.dictionary_encode() if encoded else words
    lists = pa.ListArray.from_arrays(pa.array(range(51), pa.int32()), inside)
    pq.write_table(pa.table({"g": pa.StructArray.from_arrays([inside], ["c"]), "l": lists}), path, row_group_size=9)
    columns: dict[str, Any] = {"c": {"type": "string", "from": "g.c"}, "l": "list<string>"}
    found = read_whole(FORMAT, path, contract(**columns))
    assert len(found.splits) == 1
    assert list(found.rows.values()) == [{"c": word, "l": [word]} for word in words.to_pylist()]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"Distance": "float32"}, "lacks 'Distance' (is it 'distance'? then write from: distance)"),
        ({"a": {"type": "int8", "from": "geo.b"}}, "lacks 'geo.b' for column a"),
        ({"geo": "string"}, "column geo holds records"),
        ({"time": "timestamp"}, "column time holds times without a zone; write timezone: UTC"),
        ({"a": {"type": "string", "from": "distance"}}, "column distance for column a holds double"),
        ({"twice": "int8"}, "has 2 columns named 'twice'"),
    ],
)
def test_what_cannot_work_is_found_at_planning(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    path = tmp_path / "in.parquet"
    names = ["distance", "geo", "time", "twice", "twice"]
    arrays = [pa.array([1.0]), pa.array([{"a": 1}]), pa.array([dt.datetime(2024, 1, 1)]), pa.array([1]), pa.array([2])]
    pq.write_table(pa.Table.from_arrays(arrays, names), path)
    with pytest.raises(UsageError) as caught:
        cut(FORMAT, path, contract(**columns), LIMIT)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_problems_of_the_contract_alone() -> None:
    assert list(FORMAT.problems(contract(a={"type": "timestamp", "format": "%Q", "timezone": "UTC"})))
    assert not list(FORMAT.problems(ALL))


def test_a_file_without_bytes_or_rows_has_no_split(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    path.touch()
    assert cut(FORMAT, path, contract(a="int8"), LIMIT) == []
    pq.write_table(pa.table({"a": pa.array([], pa.int8())}), path)
    assert cut(FORMAT, path, contract(a="int8"), LIMIT) == []


def test_a_rejected_row_is_shown_whole(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    row = {
        "id": 7,
        "n": 300,
        "s": b"\xff",
        "d": Decimal("1.50"),
        "t": 1_706_695_200_123_456_789,
        "g": {"x": float("nan")},
        "l": [1, None],
        "b": b"\x00\x01",
    }
    types = [pa.int64(), pa.int64(), pa.binary(), pa.decimal128(4, 2), pa.timestamp("ns", "UTC")]
    types += [pa.struct([("x", pa.float64())]), pa.list_(pa.int8()), pa.binary()]
    arrays = [pa.array([value], type) for value, type in zip(row.values(), types, strict=True)]
    arrays[2] = arrays[2].view(pa.string())
    pq.write_table(pa.Table.from_arrays(arrays, list(row)), path)
    found = read_whole(FORMAT, path, contract(("id",), id="int64", n="int8", t="timestamp"))
    assert found.reasons == {0: "bad_value"}
    assert found.raw == {
        0: b'{"id": 7, "n": 300, "s": "\\udcff", "d": "1.50", "t": "2024-01-31T10:00:00.123456789Z", '
        b'"g": {"x": "nan"}, "l": [1, null], "b": "AAE="}'
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"n": 30}', None),
        (b'{"n": "30"}', "bad_value"),
        (b'{"n": 3e400}', "bad_value"),
        (b"[1]", "bad_record"),
        (b"{", "bad_record"),
        (b"\xff", "bad_record"),
        (b"{}", None),
    ],
)
def test_an_edited_row_is_read_as_the_file_would_be(tmp_path: Path, text: bytes, reason: str | None) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"n": [300]}), path)
    wanted = contract(n="int8")
    split = cut(FORMAT, path, wanted, LIMIT)[0]
    path.unlink()
    again = FORMAT.again(split, pa.array([text, b'{"n": 1}'], pa.binary()), pa.array([4, 9]), wanted, LIMIT)
    assert again.rejected["reason"].to_pylist() == ([reason] if reason else [])
    assert again.rows["_offset"].to_pylist() == ([9] if reason else [4, 9])


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("m", "12.34", Decimal("12.34")),
        ("m", '"12.34"', Decimal("12.34")),
        ("m", "12345.10", Decimal("12345.10")),
        ("m", "12.345", "column m: 12.345 is not decimal(8, 2), which the file has there"),
        ("m", "1e9999999999999999999", None),
        ("f", "0.1", 0.1),
        ("f", "1e400", float("inf")),
        ("d", '"2013-13-01"', "column d: '2013-13-01' is not date, which the file has there"),
        ("l", "[1.5]", "column l: [Decimal('1.5')] is not list<int32>, which the file has there"),
    ],
)
def test_an_edited_value_is_of_the_files_type_exactly(column: str, value: str, found: Any) -> None:
    types = {"m": pa.decimal128(8, 2), "f": pa.float64(), "d": pa.date32(), "l": pa.list_(pa.int32())}
    names: dict[str, Any] = {
        "m": "decimal(8, 2)",
        "f": {"type": "float64", "allow_nan": True},
        "d": "date",
        "l": "list<int32>",
    }
    split = Split(0, "in.parquet", "in.parquet", 1, "1", 0, 1, None, packed(pa.schema(types)))
    raw = pa.array([b'{"%s": %s}' % (column.encode(), value.encode())])
    again = FORMAT.again(split, raw, pa.array([4]), contract(**{column: names[column]}), LIMIT)
    if isinstance(found, str):
        assert again.rejected["message"].to_pylist() == [found]
    else:
        assert again.rows[column].to_pylist() == ([] if found is None else [found])


def test_a_changed_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"n": [1]}), path)
    wanted = contract(n="int8")
    split = cut(FORMAT, path, wanted, LIMIT)[0]
    pq.write_table(pa.table({"n": [1, 2]}), path)
    with pytest.raises(InputChanged, match=r"in\.parquet"):
        list(FORMAT.read(split, wanted, LIMIT))


@pytest.mark.parametrize("cut_to", [1, 4, 8, 100, -1, -8])
def test_a_cut_footer_is_found_at_planning(tmp_path: Path, cut_to: int) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"n": list(range(100))}), path)
    path.write_bytes(path.read_bytes()[:cut_to])
    with pytest.raises(UsageError, match=r"in\.parquet: cannot be read as Parquet"):
        cut(FORMAT, path, contract(n="int8"), LIMIT)


def test_a_damaged_page_names_the_last_good_row(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"n": np.arange(1000) * 7919 % 1000}), path, row_group_size=100, write_page_checksum=True)
    wanted = contract(n="int64")
    damaged = bytearray(path.read_bytes())
    chunk = pq.ParquetFile(path).metadata.row_group(5).column(0)
    at = chunk.data_page_offset + chunk.total_compressed_size // 4
    damaged[at] ^= 255
    path.write_bytes(damaged)
    splits = cut(FORMAT, path, wanted, 1)
    assert sum(batch.read for split in splits[:5] for batch in FORMAT.read(split, wanted, LIMIT)) == 500
    with pytest.raises(UnreadableInput, match=r"in\.parquet: cannot be read after row 499 .*"):
        list(FORMAT.read(splits[5], wanted, LIMIT))


def test_fixed_lists_with_a_null_among_them(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"v": pa.array([[1, 2], None], pa.list_(pa.int8(), 2))}), path)
    (split,) = cut(FORMAT, path, contract(v="list<int8>"), LIMIT)
    with pytest.raises(UnreadableInput, match="write that column as lists of any length"):
        list(FORMAT.read(split, contract(v="list<int8>"), LIMIT))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_bytes_at_all(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "in.parquet"
    table = pa.table({"n": list(range(50)), "s": [str(at % 7) for at in range(50)], "l": [[at] for at in range(50)]})
    checked = data.draw(st.booleans())
    pq.write_table(table, path, row_group_size=20, write_page_checksum=checked, compression="snappy")
    content = bytearray(path.read_bytes())
    for at, octet in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = octet
    path.write_bytes(content[: data.draw(st.none() | st.integers(0, len(content)))])
    reads_or_says_why(FORMAT, path, contract(n="int8", s="string", l="list<int8>"), 200)


def test_an_index_past_its_dictionary_is_a_damaged_file(tmp_path: Path) -> None:
    """A flipped bit makes such indices, and Arrow hands them on: who looked them up would read anywhere."""
    path, what = tmp_path / "in.parquet", contract(s="string")
    pq.write_table(pa.table({"s": [str(at % 7) for at in range(50)]}), path)
    content, read = path.read_bytes(), 0
    for at in range(len(content) - 300):
        for bit in (1, 2, 128):
            path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
            try:
                (split,) = cut(FORMAT, path, what, 1 << 20)
                for batch in FORMAT.read(split, what, LIMIT):
                    batch.rows.validate(full=True)
                    read += len(batch)
            except (UnreadableInput, UsageError):
                continue
    assert read


@given(st.integers(0, 2**40), st.integers(0, 3 * BATCH_ROWS))
def test_row_numbers_count_on(first: int, count: int) -> None:
    assert np.array_equal(row_numbers(first, count), np.arange(first, first + count))


def test_a_file_of_next_to_nothing_is_not_all_decoded_at_once(tmp_path: Path) -> None:
    rows, names = 40 * BATCH_ROWS, [f"c{number}" for number in range(30)]
    columns: dict[str, Any] = {name: pa.repeat(1.0, rows) for name in names}
    columns["b"] = pa.repeat(bytes(100), rows)
    columns["v"] = pa.FixedSizeListArray.from_arrays(pa.repeat(1.0, 8 * rows), 8)
    pq.write_table(pa.table(columns), tmp_path / "in.parquet", row_group_size=rows)
    types = {**dict.fromkeys(names, "float64"), "b": "binary", "v": "list<float64>"}
    what = Contract({name: Column(type=type) for name, type in types.items()}, ())
    (split,) = cut(FORMAT, tmp_path / "in.parquet", what, 1 << 20)
    sizes = [part.nbytes for _, part in ParquetRows(split, what).batches()]
    assert sum(sizes) >= rows * (30 * 8 + 100 + 64)
    assert max(sizes) <= 48 << 20
