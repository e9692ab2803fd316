"""Avro container files, cut between blocks."""

from __future__ import annotations

import datetime as dt
import io
import re
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from highbeam.schemas.contract import Column, Contract
from highbeam.schemas.errors import UnreadableInput, UsageError
from highbeam.schemas.sources import Avro
from highbeam.transforms.formats.avro_blocks import long, read_header, walk
from highbeam.transforms.formats.avro_files import AvroFormat
from highbeam.transforms.formats.avro_types import arrow_schema

from tests.support.reading import LIMIT, cut, read_whole, reads_or_says_why

FORMAT = AvroFormat(Avro(path=("in.avro",)))
UTC = dt.timezone.utc
FIXTURE = [HealthCheck.function_scoped_fixture]


def contract(key: tuple[str, ...] = (), **columns: Any) -> Contract:
    """A contract of `name=type` or `name={...}`."""
    specs = {name: {"type": spec} if isinstance(spec, str) else spec for name, spec in columns.items()}
    return Contract({name: Column(**spec) for name, spec in specs.items()}, key)


def record(*fields: tuple[str, Any], name: str = "row") -> dict[str, Any]:
    """A schema."""
    return {"type": "record", "name": name, "fields": [{"name": name, "type": type} for name, type in fields]}


def write(path: Path, schema: Any, rows: list[dict[str, Any]], **options: Any) -> None:
    """A file."""
    with path.open("wb") as file:
        fastavro.writer(file, schema, rows, **options)


INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
MILLIS = {"type": "long", "logicalType": "local-timestamp-millis"}
DAY = {"type": "int", "logicalType": "date"}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}
ENUM = {"type": "enum", "name": "color", "symbols": ["red", "green"]}
FIXED = {"type": "fixed", "name": "two", "size": 2}
INSIDE = record(("b", ["null", "int"]), name="inside")

# Field -> its Avro type, the column read from it, and its values.
CASES: dict[str, tuple[Any, dict[str, Any], st.SearchStrategy[Any]]] = {
    "i": ("long", {"type": "int8"}, st.integers(-140, 140)),
    "n": (["null", "int"], {"type": "int32", "nullable": True}, st.none() | st.integers(-(2**31), 2**31 - 1)),
    "f": (["double", "null"], {"type": "float32", "nullable": True}, st.none() | st.floats()),
    "o": ("boolean", {"type": "bool"}, st.booleans()),
    "s": ("string", {"type": "string"}, st.text(max_size=3)),
    "x": ("bytes", {"type": "string"}, st.binary(max_size=3)),
    "y": ("bytes", {"type": "binary"}, st.binary(max_size=3)),
    "c": (ENUM, {"type": "string"}, st.sampled_from(["red", "green"])),
    "q": (FIXED, {"type": "binary"}, st.binary(min_size=2, max_size=2)),
    "d": (DAY, {"type": "date"}, st.dates()),
    "t": (INSTANT, {"type": "timestamp"}, st.datetimes(timezones=st.just(UTC))),
    "l": (MILLIS, {"type": "timestamp", "timezone": "Europe/Berlin"}, st.datetimes(dt.datetime(2024, 3, 30))),
    "m": (MONEY, {"type": "decimal(8, 2)"}, st.decimals(-999, 999, places=3)),
    "v": (
        {"type": "array", "items": "double"},
        {"type": "list<int8>"},
        st.lists(st.sampled_from([1.0, 0.5]), max_size=3),
    ),
    "w": (["null", "int", "string"], {"type": "int16", "nullable": True}, st.sampled_from([None, 1, 70000, "7", "x"])),
    "u": ({"type": "string", "logicalType": "uuid"}, {"type": "string"}, st.uuids()),
    "a": (["null", INSIDE], {"type": "int8", "from": "a.b", "nullable": True}, st.sampled_from([None, {"b": 1}])),
    "z": ({"type": "map", "values": MONEY}, {}, st.just({"k": Decimal("1.500")})),
}
SCHEMA = record(*((name, type) for name, (type, _, _) in CASES.items()))
ALL = contract(("i",), **{name: column for name, (_, column, _) in CASES.items() if column})
ROWS = st.lists(st.fixed_dictionaries({name: values for name, (_, _, values) in CASES.items()}), max_size=40)


@settings(max_examples=20, suppress_health_check=FIXTURE)
@given(ROWS, st.integers(1, 500), st.integers(1, 2000), st.sampled_from(["null", "deflate", "bzip2", "xz"]))
def test_every_row_once_however_it_is_cut(
    tmp_path: Path, rows: list[dict[str, Any]], interval: int, size: int, codec: str
) -> None:
    path = tmp_path / "in.avro"
    write(path, SCHEMA, rows, sync_interval=interval, codec=codec)
    whole = read_whole(FORMAT, path, ALL, 1 << 30)
    assert whole.offsets == list(range(len(rows)))
    assert len(whole.splits) == bool(rows)
    parts = read_whole(FORMAT, path, ALL, size)
    assert repr(parts.rows) == repr(whole.rows)
    assert (parts.reasons, parts.raw) == (whole.reasons, whole.raw)
    for at, row in whole.rows.items():
        for name in "ntdscqy":
            assert row[name] == rows[at][name]
        assert row["m"] == rows[at]["m"]
        assert row["u"] == str(rows[at]["u"])
        assert row["w"] == (None if rows[at]["w"] is None else int(rows[at]["w"]))


def block(rows: int, data: bytes, sync: bytes) -> bytes:
    """One block, uncompressed or as a codec made it."""
    return long(rows) + long(len(data)) + data + sync


def by_hand(path: Path, schema: Any, codec: str, *blocks: tuple[int, bytes]) -> None:
    """A file of blocks of any content."""
    out = io.BytesIO()
    fastavro.writer(out, schema, [], codec="null", sync_marker=b"s" * 16)
    header = out.getvalue().replace(b"\x14avro.codec\x08null", b"\x14avro.codec" + long(len(codec)) + codec.encode())
    path.write_bytes(header + b"".join(block(rows, data, b"s" * 16) for rows, data in blocks))


def test_snappy_and_zstandard_need_no_other_library(tmp_path: Path) -> None:
    data = b"".join(long(at) for at in range(100))
    snappy = bytes(pa.compress(data, "snappy", asbytes=True)) + __import__("zlib").crc32(data).to_bytes(4, "big")
    for codec, packed in [("snappy", snappy), ("zstandard", bytes(pa.compress(data, "zstd", asbytes=True)))]:
        by_hand(tmp_path / "in.avro", record(("a", "long")), codec, (100, packed))
        found = read_whole(FORMAT, tmp_path / "in.avro", contract(a="int8"))
        assert [row["a"] for row in found.rows.values()] == list(range(100))
    by_hand(tmp_path / "in.avro", record(("a", "long")), "snappy", (100, snappy[:-1] + b"?"))
    with pytest.raises(UnreadableInput, match="checksum"):
        read_whole(FORMAT, tmp_path / "in.avro", contract(a="int8"))


def test_a_codec_that_is_not_known_is_named(tmp_path: Path) -> None:
    by_hand(tmp_path / "in.avro", record(("a", "long")), "lz4", (1, b"\x02"))
    with pytest.raises(UsageError, match=r"in\.avro.*'lz4'.*snappy"):
        cut(FORMAT, tmp_path / "in.avro", contract(a="int8"), LIMIT)


def test_text_that_is_no_utf8_costs_its_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "in.avro"
    by_hand(path, record(("s", "string"), ("n", "long")), "null", (3, b"\x02a\x02\x02\xff\x04\x02b\x06"))
    found = read_whole(FORMAT, path, contract(("n",), s="string", n="int8"))
    assert found.rows == {0: {"s": "a", "n": 1}, 2: {"s": "b", "n": 3}}
    assert found.reasons == {1: "not_utf8"}
    assert found.raw == {1: b'{"s": "\\udcff", "n": 2}'}


def test_a_decimal_with_too_many_digits_costs_its_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "in.avro"
    big = (10**9).to_bytes(5, "big")
    by_hand(path, record(("m", MONEY)), "null", (2, b"\x02\x05" + long(5) + big))
    found = read_whole(FORMAT, path, contract(m="decimal(9, 3)"))
    assert (found.rows, found.reasons) == ({0: {"m": Decimal("0.005")}}, {1: "bad_value"})


def test_a_rejected_row_is_shown_whole(tmp_path: Path) -> None:
    path = tmp_path / "in.avro"
    schema = record(
        ("n", "int"), ("t", INSTANT), ("d", DAY), ("m", MONEY), ("u", ["null", INSTANT, "string"]), ("i", INSIDE),
        ("k", {"type": "map", "values": "bytes"}), ("f", "double"), ("l", {"type": "array", "items": DAY}),
    )  # fmt: skip
    time, day = dt.datetime(2024, 1, 31, tzinfo=UTC), dt.date(2024, 2, 29)
    row = {"n": 300, "t": time, "d": day, "m": Decimal("1.5"), "u": "é", "i": {"b": None}, "k": {"x": b"\0"}}
    write(path, schema, [{**row, "f": float("inf"), "l": [day]}])
    found = read_whole(FORMAT, path, contract(n="int8"))
    shown = (
        '{"n": 300, "t": "2024-01-31T00:00:00Z", "d": "2024-02-29", "m": "1.500", "u": "é", "i": {"b": null}, '
        '"k": {"x": "AA=="}, "f": "inf", "l": ["2024-02-29"]}'
    )
    assert found.raw == {0: shown.encode()}


def test_types() -> None:
    tree = record(("next", ["null", "tree"]), ("v", "int"), name="tree")
    fields = [
        ("u", {"type": "fixed", "name": "id", "size": 16, "logicalType": "uuid"}),
        ("again", "id"),
        ("tree", tree),
        ("nanos", {"type": "long", "logicalType": "timestamp-nanos"}),
        ("odd", {"type": "string", "logicalType": "date"}),
        ("wide", {"type": "bytes", "logicalType": "decimal", "precision": 50, "scale": 2}),
        ("deep", {"type": {"type": "int", "logicalType": "date"}}),
    ]
    found = arrow_schema(record(*fields))
    types = [pa.uuid(), pa.uuid(), pa.struct([("next", pa.struct([])), ("v", pa.int32())]), pa.timestamp("ns", "UTC")]
    assert found.types == [*types, pa.string(), pa.decimal256(50, 2), pa.date32()]


def test_uuids_of_fixed_bytes(tmp_path: Path) -> None:
    some = uuid.UUID(int=2**100)
    by_hand(tmp_path / "in.avro", record(("u", {"type": "fixed", "name": "id", "size": 16, "logicalType": "uuid"})),
            "null", (1, some.bytes))  # fmt: skip
    assert read_whole(FORMAT, tmp_path / "in.avro", contract(u="string")).rows == {0: {"u": str(some)}}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"Distance": "float32"}, "lacks 'Distance' (is it 'distance'?"),
        ({"inside": "string"}, "holds records"),
        ({"local": "timestamp"}, "times without a zone"),
        ({"either": "date"}, "column either holds int"),
        ({"m": {"type": "string", "from": "z.k"}}, "lacks 'z.k'"),
    ],
)
def test_what_cannot_work_is_found_at_planning(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    fields = [("distance", "double"), ("inside", INSIDE), ("local", MILLIS), ("either", ["int", "boolean"])]
    write(tmp_path / "in.avro", record(*fields, ("z", {"type": "map", "values": "string"})), [])
    with pytest.raises(UsageError) as caught:
        cut(FORMAT, tmp_path / "in.avro", contract(**columns), LIMIT)
    assert said in str(caught.value)
    assert "in.avro" in str(caught.value)


@pytest.mark.parametrize("content", [b"PAR1", b"Obj\x01", b"Obj\x01\x02\x02a", b"O"])
def test_what_is_no_avro_is_found_at_planning(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in.avro"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"in\.avro"):
        cut(FORMAT, path, contract(a="int8"), LIMIT)


def test_a_file_without_bytes_or_rows_has_no_split(tmp_path: Path) -> None:
    path = tmp_path / "in.avro"
    path.touch()
    assert cut(FORMAT, path, contract(a="int8"), LIMIT) == []
    by_hand(path, record(("a", "int")), "null", (0, b""))
    assert cut(FORMAT, path, contract(a="int8"), LIMIT) == []


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("sync", "the block is not followed by the file's sync marker"),
        ("cut", "does not fit into the"),
        (b"x", "what stands there is no block: one begins with two numbers"),
        (b"\x02\x01" + bytes(30), "what stands there is no block: it would hold 1 rows in -1 bytes"),
        (b"Obj\x01\x04" + bytes(30), "another Avro file follows in the same one; write each to a file of its own"),
    ],
)
def test_lost_sync_is_found_at_planning(tmp_path: Path, where: str | bytes, said: str) -> None:
    path = tmp_path / "in.avro"
    write(path, record(("a", "int")), [{"a": at} for at in range(100)], sync_interval=30)
    content = bytearray(path.read_bytes())
    with pa.OSFile(str(path)) as file:
        header = read_header(file)
        first, second, third, *_ = walk(file, header, header.end, len(content))
    if where == "sync":
        content[third.end - 1] ^= 1
    tail = where if isinstance(where, bytes) else b""
    path.write_bytes(content + tail if tail else content[: third.end - 5] if where == "cut" else content)
    last = 99 if tail else first.rows + second.rows - 1
    with pytest.raises(UnreadableInput, match=rf"in\.avro: cannot be read after row {last} .*{re.escape(said)}"):
        cut(FORMAT, path, contract(a="int8"), LIMIT)


@pytest.mark.parametrize(
    ("rows", "data", "said"),
    [
        (3, b"\x02\x04", "a block says that it holds 3 rows, and it ends, or is damaged, within number 3"),
        (1, b"\x02\x04", "a block holds 1 bytes after its last row"),
        (2, b"\x02\x80", "within number 2"),
        (2**40, b"\x02", "a block says that it holds"),
    ],
)
def test_a_wrong_count_names_the_last_good_row(tmp_path: Path, rows: int, data: bytes, said: str) -> None:
    path = tmp_path / "in.avro"
    by_hand(path, record(("a", "int")), "null", (2, b"\x02\x04"), (rows, data))
    with pytest.raises(UnreadableInput, match=rf"in\.avro: cannot be read after row \d+ .*{said}"):
        read_whole(FORMAT, path, contract(a="int8"))


@settings(max_examples=200, suppress_health_check=FIXTURE)
@given(st.data())
def test_any_bytes_at_all(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "in.avro"
    schema = record(("n", "long"), ("s", ["null", "string"]), ("l", {"type": "array", "items": "int"}), ("c", ENUM))
    rows = [{"n": at, "s": "x" * (at % 5), "l": [at], "c": "red"} for at in range(40)]
    write(path, schema, rows, sync_interval=60, codec=data.draw(st.sampled_from(["null", "deflate"])))
    content = bytearray(path.read_bytes())
    for at, octet in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = octet
    path.write_bytes(content[: data.draw(st.none() | st.integers(0, len(content)))])
    reads_or_says_why(FORMAT, path, contract(n="int8", s={"type": "string", "nullable": True}, l="list<int8>"), 200)
