"""A draft from files that have types of their own."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from highbeam.pipelines.infer import infer

from tests.support.drafts import columns, job_of, rejects

UTC = dt.timezone.utc


def test_parquet_has_types_of_its_own(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array(range(20), pa.int16()),
            "big": pa.array(range(20), pa.uint64()),
            "f": pa.array([1.5] * 20),
            "g": pa.array([1.5, None] * 10, pa.float32()),
            "s": pa.array(["a", "b"] * 10).dictionary_encode(),
            "e": pa.array([[1.0, 2.0]] * 20, pa.list_(pa.float32(), 2)),
            "l": pa.array([[dt.date(2013, 12, 1)]] * 20, pa.large_list(pa.date32())),
            "naive": pa.array([dt.datetime(2013, 12, 1)] * 20),
            "utc": pa.array([dt.datetime(2013, 12, 1, tzinfo=UTC)] * 20),
            "d": pa.array([decimal.Decimal("1.25")] * 20, pa.decimal128(9, 2)),
            "st": pa.array([{"a": 1, "b": b"x"}] * 20),
            "du": pa.array([dt.timedelta(1)] * 20),
            "m": pa.array([[("a", 1)]] * 20, pa.map_(pa.string(), pa.int64())),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    draft = infer([str(path)], str(tmp_path))
    assert columns(draft) == {
        "id": "int16",
        "big": "int64",
        "f": "float64",
        "g": {"type": "float32", "nullable": True},
        "s": "string",
        "e": {"type": "list<float32>", "size": 2},
        "l": "list<date>",
        "naive": {"type": "timestamp", "timezone": "UTC"},
        "utc": "timestamp",
        "d": "decimal(9, 2)",
        "st_a": {"type": "int64", "from": "st.a"},
        "st_b": {"type": "binary", "from": "st.b"},
    }
    assert [text.partition(",")[0] for text in draft.left_out] == ["'du'", "'m'"]
    assert rejects(job_of(draft, tmp_path), path) == []


def test_avro(tmp_path: Path) -> None:
    fields = [
        {"name": "id", "type": "long"},
        {"name": "x", "type": ["null", "float"]},
        {"name": "s", "type": {"type": "enum", "name": "e", "symbols": ["A", "B"]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "in", "type": {"type": "record", "name": "inner", "fields": [{"name": "y", "type": "int"}]}},
    ]
    record = {"s": "A", "at": dt.datetime(2013, 1, 1, tzinfo=UTC), "d": decimal.Decimal("1.25"), "in": {"y": 1}}
    path = tmp_path / "a.avro"
    with path.open("wb") as file:
        records = [{"id": i, "x": 0.5 if i else None, **record} for i in range(20)]
        fastavro.writer(file, {"type": "record", "name": "r", "fields": fields}, records)
    draft = infer([str(path)], str(tmp_path))
    assert columns(draft) == {
        "id": "int64",
        "x": {"type": "float32", "nullable": True},
        "s": "string",
        "at": "timestamp",
        "d": "decimal(38, 2)",
        "in_y": {"type": "int64", "from": "in.y"},
    }
    assert rejects(job_of(draft, tmp_path), path) == []


def test_maps_of_avro_are_left_out(tmp_path: Path) -> None:
    texts = {"type": "map", "values": "string"}
    inner = {"type": "record", "name": "inner", "fields": [{"name": "y", "type": "int"}, {"name": "n", "type": texts}]}
    fields = [
        {"name": "id", "type": "long"},
        {"name": "m", "type": texts},
        {"name": "o", "type": ["null", texts, "int"]},
        {"name": "in", "type": ["null", inner]},
        {"name": "l", "type": {"type": "array", "items": texts}},
    ]
    path = tmp_path / "a.avro"
    with path.open("wb") as file:
        said = {"m": {"z": "a"}, "o": {"z": "a"}, "l": [{"z": "a"}]}
        records = [{"id": i, **said, "in": {"y": 1, "n": {"z": "a"}} if i else None} for i in range(20)]
        fastavro.writer(file, {"type": "record", "name": "r", "fields": fields}, records)
    draft = infer([str(path)], str(tmp_path))
    assert columns(draft) == {"id": "int64", "in_y": {"type": "int64", "from": "in.y", "nullable": True}}
    lists, *maps = draft.left_out
    assert lists == "'l', lists of objects, or of several types"
    assert maps == ["'m', a map", "'o', a map", "'in.n', a map"]
    assert rejects(job_of(draft, tmp_path), path) == []


def test_parquet_of_other_writers(tmp_path: Path) -> None:
    twice = pa.StructArray.from_arrays([pa.array([1, 2]), pa.array([3, 4]), pa.array([5, 6])], names=["a", "a", "b"])
    table = pa.table({"view": pa.array(["x", "y"], pa.string_view()), "st": twice})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    draft = infer([str(path)], str(tmp_path))
    assert columns(draft) == {"view": "string", "st_b": {"type": "int64", "from": "st.b"}}
    assert draft.columns[0].key
    assert draft.left_out == ["'st.a', which the file has twice"]
    assert rejects(job_of(draft, tmp_path), path) == []


@pytest.mark.parametrize("ending", ["tfrecord", "tfrecord.gz"])
def test_tfrecord(tmp_path: Path, ending: str) -> None:
    from highbeam.models.runtime import tf

    path = tmp_path / f"a.{ending}"
    integers, floats, texts = tf.train.Int64List, tf.train.FloatList, tf.train.BytesList
    with tf.io.TFRecordWriter(str(path), "GZIP" if ending.endswith("gz") else "") as writer:
        for i in range(20):
            said = {
                "id": tf.train.Feature(int64_list=integers(value=[i])),
                "x": tf.train.Feature(float_list=floats(value=[0.5] * (i % 2))),
                "vector": tf.train.Feature(float_list=floats(value=[0.5, 1.0])),
                "s": tf.train.Feature(bytes_list=texts(value=["ü".encode()])),
                "image": tf.train.Feature(bytes_list=texts(value=[b"\xff"])),
                "tags": tf.train.Feature(bytes_list=texts(value=[b"a"] * (i % 3))),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=said)).SerializeToString())
    draft = infer([str(path)], str(tmp_path))
    assert columns(draft) == {
        "id": "int64",
        "image": "binary",
        "s": "string",
        "tags": "list<string>",
        "vector": "list<float32>",
        "x": {"type": "float32", "nullable": True},
    }
    assert rejects(job_of(draft, tmp_path), path) == []
