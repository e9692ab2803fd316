"""The same rows as every kind of file that can hold them, by libraries other than ours."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from highbeam.models.runtime import tf

AVRO = {pa.int64(): "long", pa.float32(): "float", pa.string(): "string"}


def write_csv(rows: pa.Table, path: Path) -> None:
    """With a header, texts in quotes."""
    pacsv.write_csv(rows, path)


def write_json(rows: pa.Table, path: Path) -> None:
    """One object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))


def write_json_array(rows: pa.Table, path: Path) -> None:
    """One array in the file."""
    path.write_text(json.dumps(rows.to_pylist(), indent=1))


def write_parquet(rows: pa.Table, path: Path) -> None:
    """In small row groups."""
    pq.write_table(rows, path, row_group_size=1000)


def write_avro(rows: pa.Table, path: Path) -> None:
    """In small blocks, compressed."""
    fields = [{"name": field.name, "type": AVRO[field.type]} for field in rows.schema]
    schema = {"type": "record", "name": "row", "fields": fields}
    with path.open("wb") as file:
        fastavro.writer(file, schema, rows.to_pylist(), codec="deflate", sync_interval=4000)


def write_tfrecord(rows: pa.Table, path: Path) -> None:
    """One tf.Example a record."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows.to_pylist():
            features = {name: _feature(value) for name, value in row.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def _feature(value: object) -> object:
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(value).encode()]))


def write_csv_gz(rows: pa.Table, path: Path) -> None:
    """CSV, compressed."""
    sink = pa.BufferOutputStream()
    pacsv.write_csv(rows, sink)
    path.write_bytes(gzip.compress(sink.getvalue().to_pybytes()))


KINDS: Mapping[str, tuple[str, str, Callable[[pa.Table, Path], None]]] = {
    "CSV": ("csv", "csv", write_csv),
    "CSV, gzip": ("csv", "csv.gz", write_csv_gz),
    "JSON Lines": ("json", "jsonl", write_json),
    "a JSON array": ("json", "json", write_json_array),
    "Parquet": ("parquet", "parquet", write_parquet),
    "Avro": ("avro", "avro", write_avro),
    "TFRecord": ("tfrecord", "tfrecord", write_tfrecord),
}
"""Kind -> (name of the source in job.yaml, ending of the files, what writes one)."""
