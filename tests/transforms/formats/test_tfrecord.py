"""TFRecord files of tf.Examples."""

from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from highbeam.models.runtime import tf
from highbeam.schemas.contract import Column, Contract
from highbeam.schemas.errors import UnreadableInput, UsageError
from highbeam.schemas.sources import TfRecord
from highbeam.transforms.formats.tfrecord_files import TfRecordFormat
from highbeam.transforms.formats.tfrecord_framing import framed, masked_crc, unframed

from tests.support.reading import LIMIT, cut, read_whole, reads_or_says_why

FORMAT = TfRecordFormat(TfRecord(path=("in.tfrecord",)))
UTC = dt.timezone.utc
EPOCH = pa.scalar(0, pa.timestamp("us", "UTC")).as_py()  # its zone is of Arrow's kind, for `repr`
FIXTURE = [HealthCheck.function_scoped_fixture]


def contract(key: tuple[str, ...] = (), **columns: Any) -> Contract:
    """A contract of `name=type` or `name={...}`."""
    specs = {name: {"type": spec} if isinstance(spec, str) else spec for name, spec in columns.items()}
    return Contract({name: Column(**spec) for name, spec in specs.items()}, key)


def example(**features: Any) -> bytes:
    """A serialized Example; a feature is a list of integers, floats or bytes."""
    made = {}
    for name, values in features.items():
        kind = type(values[0]) if values else None
        if kind is None:
            made[name] = tf.train.Feature()
        elif kind is int:
            made[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        elif kind is float:
            made[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            made[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    return bytes(tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString())


def record(data: bytes) -> bytes:
    """A sound record."""
    return framed(len(data), masked_crc(data), data)


ALL = contract(
    ("i",),
    i="int64",
    b={"type": "int8", "nullable": True},
    o={"type": "bool", "nullable": True},
    t={"type": "timestamp", "nullable": True},
    f={"type": "float32", "nullable": True},
    s={"type": "string", "nullable": True},
    y={"type": "binary", "from": "s", "nullable": True},
    d={"type": "date", "nullable": True},
    m={"type": "decimal(5, 2)", "nullable": True},
    v={"type": "list<float64>", "nullable": True},
    w={"type": "list<string>", "nullable": True},
    u={"type": "list<int8>", "size": 2, "nullable": True},
)
# A few of these are no value of the column.
FEATURES: dict[str, st.SearchStrategy[list[Any]]] = {
    "i": st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=1),
    "b": st.lists(st.sampled_from([1, -128, 300]), max_size=2),
    "o": st.lists(st.sampled_from([0, 1, 2]), max_size=1),
    "t": st.lists(st.sampled_from([0, 1_700_000_000_000_001, 2**62]), max_size=1),
    "f": st.lists(st.floats(width=32), max_size=1),
    "s": st.lists(st.binary(max_size=3), max_size=1),
    "d": st.lists(st.sampled_from([b"2024-02-29", b"2023-02-29"]), max_size=1),
    "m": st.lists(st.sampled_from([b"1.5", b"1.555"]), max_size=1),
    "v": st.lists(st.floats(width=32), max_size=3),
    "w": st.lists(st.sampled_from([b"a", b"\xff"]), max_size=2),
    "u": st.lists(st.sampled_from([1, 2, 128]), max_size=2),
    "extra": st.lists(st.floats(width=32), max_size=1),
}
ROWS = st.lists(st.fixed_dictionaries({}, optional=FEATURES), max_size=25)


@settings(max_examples=25, suppress_health_check=FIXTURE)
@given(ROWS, st.integers(1, 1000), st.booleans())
def test_every_record_once_however_it_is_cut(
    tmp_path: Path, rows: list[dict[str, Any]], size: int, packed: bool
) -> None:
    path = tmp_path / ("in.tfrecord.gz" if packed else "in.tfrecord")
    with tf.io.TFRecordWriter(str(path), "GZIP" if packed else "") as writer:
        for row in rows:
            writer.write(example(**row))
    whole = read_whole(FORMAT, path, ALL, 1 << 30)
    at, offsets = 0, []
    for row in rows:
        offsets.append(at)
        at += len(example(**row)) + 16
    assert whole.offsets == offsets
    parts = read_whole(FORMAT, path, ALL, size)
    assert repr(parts.rows) == repr(whole.rows)
    assert (parts.reasons, parts.raw) == (whole.reasons, whole.raw)
    assert len(parts.splits) == (bool(rows) if packed else len({offset // size for offset in offsets}))
    for row, offset in zip(rows, offsets, strict=True):
        if offset in whole.rows:
            assert repr(whole.rows[offset]) == repr(wanted(row))
        else:
            assert whole.raw[offset] == example(**row)


def wanted(row: dict[str, Any]) -> dict[str, Any]:
    """The row of an Example whose values are all sound."""
    one = {name: values[0] for name, values in row.items() if values}
    words = row.get("w")
    return {
        "i": one.get("i"),
        "b": one.get("b"),
        "o": None if "o" not in one else bool(one["o"]),
        "t": None if "t" not in one else EPOCH + dt.timedelta(microseconds=one["t"]),
        "f": one.get("f"),
        "s": None if "s" not in one else one["s"].decode(),
        "y": one.get("s"),
        "d": None if "d" not in one else dt.date(2024, 2, 29),
        "m": None if "m" not in one else Decimal("1.50"),
        "v": row.get("v") or None,
        "w": [word.decode() for word in words] if words else None,
        "u": row.get("u") or None,
    }


def test_what_is_wrong_with_an_example(tmp_path: Path) -> None:
    path = tmp_path / "in.tfrecord"
    bad = bytearray(record(example(a=[1])))
    bad[-1] ^= 1
    records = [
        record(example(a=[1])),
        record(example(a=[1.0])),
        bytes(bad),
        record(b"\xff\x01"),
        record(example(a=[1, 2])),
        record(example()),
        record(b""),
        record(example(a=[300])),
        record(example(a=[2], b=[b"x" * 100])),
    ]
    path.write_bytes(b"".join(records))
    found = read_whole(FORMAT, path, contract(a={"type": "int8", "nullable": True}))
    starts = [sum(map(len, records[:at])) for at in range(len(records))]
    assert found.rows == {starts[0]: {"a": 1}, starts[5]: {"a": None}, starts[6]: {"a": None}, starts[8]: {"a": 2}}
    reasons = {1: "bad_example", 2: "bad_record", 3: "bad_example", 4: "bad_value", 7: "bad_value"}
    assert found.reasons == {starts[at]: reason for at, reason in reasons.items()}
    assert found.raw[starts[2]] == bytes(bad)
    assert found.raw[starts[3]] == b"\xff\x01"


def test_a_record_that_is_too_long_is_turned_away(tmp_path: Path) -> None:
    path = tmp_path / "in.tfrecord"
    path.write_bytes(record(b"x" * 5000) + record(example(a=[1])))
    wanted = contract(a="int8")
    (split,) = cut(FORMAT, path, wanted, LIMIT)
    (batch,) = FORMAT.read(split, wanted, 100)
    assert batch.rejected["reason"].to_pylist() == ["record_too_long"]
    assert batch.rows["_offset"].to_pylist() == [5016]
    raw, lengths = FORMAT.raw(batch.rejected["offset"].to_numpy(), split, 100)
    assert (raw.to_pylist(), lengths.tolist()) == ([b"x" * 100], [5000])
    again = FORMAT.again(split, pa.array([b"x" * 101]), pa.array([0]), wanted, 100)
    assert again.rejected["reason"].to_pylist() == ["record_too_long"]


def test_timestamps_by_a_format_are_text(tmp_path: Path) -> None:
    path = tmp_path / "in.tfrecord"
    path.write_bytes(record(example(t=[b"31.01.2024 10:00"])))
    columns: dict[str, Any] = {"t": {"type": "timestamp", "format": "%d.%m.%Y %H:%M", "timezone": "UTC"}}
    assert read_whole(FORMAT, path, contract(**columns)).rows == {0: {"t": dt.datetime(2024, 1, 31, 10, tzinfo=UTC)}}


def test_an_empty_list_is_no_missing_one(tmp_path: Path) -> None:
    path = tmp_path / "in.tfrecord"
    empty = {"a": tf.train.Feature(int64_list=tf.train.Int64List()), "b": tf.train.Feature()}
    path.write_bytes(record(tf.train.Example(features=tf.train.Features(feature=empty)).SerializeToString()))
    columns: dict[str, Any] = {name: {"type": "list<int8>", "nullable": True} for name in "ab"}
    single: dict[str, Any] = {"c": {"type": "int8", "from": "a", "nullable": True}}
    assert read_whole(FORMAT, path, contract(**columns, **single)).rows == {0: {"a": [], "b": None, "c": None}}


@pytest.mark.parametrize("compression", ["infer", "none"])
@pytest.mark.parametrize("content", [b"x", b"id,name\n1,2\n", gzip.compress(record(b""), mtime=0)])
def test_what_is_no_tfrecord_is_found_at_planning(tmp_path: Path, content: bytes, compression: str) -> None:
    path = tmp_path / "in.tfrecord"
    path.write_bytes(content)
    format = TfRecordFormat(TfRecord.model_validate({"path": "x", "compression": compression}))
    said = "is gzip; write compression: gzip" if content[:1] == b"\x1f" else "is no TFRecord"
    with pytest.raises(UsageError, match=rf"in\.tfrecord: {said}"):
        cut(format, path, contract(a="int8"), LIMIT)


def test_a_file_without_bytes_has_no_split(tmp_path: Path) -> None:
    path = tmp_path / "in.tfrecord"
    path.touch()
    assert cut(FORMAT, path, contract(a="int8"), LIMIT) == []
    packed = tmp_path / "in.tfrecord.gz"
    packed.write_bytes(gzip.compress(b""))
    assert cut(FORMAT, packed, contract(a="int8"), LIMIT) == []


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_damaged_length_loses_the_framing(tmp_path: Path, size: int) -> None:
    path = tmp_path / "in.tfrecord"
    whole = record(example(a=[1]))
    for damaged in (whole * 2 + b"\x01" + whole[1:], whole * 2 + whole[:-1], whole * 2 + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableInput, match=rf"in\.tfrecord: cannot be framed past byte {2 * len(whole)}: "):
            read_whole(FORMAT, path, contract(a="int8"), size)


def test_one_feature_for_columns_of_two_kinds() -> None:
    columns: dict[str, Any] = {"a": {"type": "int8", "from": "x"}, "b": {"type": "float32", "from": "x"}, "c": "string"}
    (problem,) = FORMAT.problems(contract(**columns))
    assert "columns a and b" in problem
    assert not list(FORMAT.problems(ALL))


@given(st.binary(max_size=50), st.booleans())
def test_frames(data: bytes, sound: bool) -> None:
    crc = masked_crc(data) ^ (not sound)
    assert unframed(framed(len(data), crc, data)) == (data, crc)
    assert unframed(framed(len(data) + 1, crc, data)) is None


@settings(max_examples=150, suppress_health_check=FIXTURE)
@given(st.data())
def test_any_bytes_at_all(tmp_path: Path, data: st.DataObject) -> None:
    packed = data.draw(st.booleans())
    path = tmp_path / ("in.tfrecord.gz" if packed else "in.tfrecord")
    content = bytearray(b"".join(record(example(a=[at], s=[b"x" * at])) for at in range(12)))
    if packed:
        content = bytearray(gzip.compress(content))
    for at, octet in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = octet
    path.write_bytes(content[: data.draw(st.none() | st.integers(0, len(content)))])
    reads_or_says_why(FORMAT, path, contract(a="int8", s="string"), 100)
