"""Files that are not what the job takes them for, found at planning by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from highbeam.pipelines.infer import infer
from highbeam.schemas.errors import UsageError
from highbeam.schemas.sources import Source
from highbeam.transforms.decompress import ENDINGS
from highbeam.transforms.plan_splits import plan_splits

from tests.support.csv_files import contract

LINE = {"csv": "", "json": "", "tfrecord": "", "log": ", pattern: '(?P<k>.*)'"}
ROWS = pa.table({"k": list(range(100)), "é": ["a"] * 100})


def planned(folder: Path, kind: str, name: str, data: bytes, **options: Any) -> int:
    """How many splits are planned of one file."""
    (folder / name).write_bytes(data)
    pattern = {"pattern": "(?P<k>.*)"} if kind == "log" else {}
    source = Source.model_validate({kind: {"path": name, **pattern, **options}})
    return len(plan_splits(source, contract({"k": "int64"}), str(folder), None))


def written(write: Any) -> bytes:
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def avro(out: io.BytesIO) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "k", "type": "long"}]}
    fastavro.writer(out, schema, [{"k": 1}] * 9)


def arrow(out: io.BytesIO) -> None:
    with pa.ipc.new_file(out, ROWS.schema) as writer:
        writer.write(ROWS)


OTHERS = {
    "Parquet": (written(lambda out: pq.write_table(ROWS, out)), "is Parquet; write source: {parquet: …}"),
    "no rows": (written(lambda out: pq.write_table(ROWS[:0], out)), "is Parquet; write source: {parquet: …}"),
    "Avro": (written(avro), "is Avro; write source: {avro: …}"),
    "ORC": (written(lambda out: orc.write_table(ROWS, out)), "is ORC, which is not read; write it as Parquet"),
    "Arrow": (written(arrow), "is an Arrow file, which is not read; write it as Parquet"),
    "zip": (b"PK\x03\x04\x14\x00" + bytes(90), "is a zip archive, .* save the sheet as CSV"),
    "gzip": (gzip.compress(b"k\n1\n", mtime=0), "is gzip; write compression: gzip"),
}


@pytest.mark.parametrize("kind", LINE)
@pytest.mark.parametrize("other", OTHERS)
def test_another_kind_of_file_is_told(tmp_path: Path, kind: str, other: str) -> None:
    data, said = OTHERS[other]
    with pytest.raises(UsageError, match=rf"/a\.x: {said}$"):
        planned(tmp_path, kind, "a.x", data)
    if other != "gzip":
        with pytest.raises(UsageError, match=rf"/a\.x\.gz: {said}$"):
            planned(tmp_path, kind, "a.x.gz", gzip.compress(data, mtime=0))


@pytest.mark.parametrize("header", ["PAR1,k", "ORC,k", "Obj\x01k", "PK,k", "BZh,k"])
def test_a_text_that_begins_alike_is_read(tmp_path: Path, header: str) -> None:
    delimiter = "\x01" if "\x01" in header else ","
    assert planned(tmp_path, "csv", "a.csv", f"{header}\nä{delimiter}1\n".encode(), delimiter=delimiter) == 1


@pytest.mark.parametrize("kind", LINE)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_name_that_says_compressed_of_a_file_that_is_not(tmp_path: Path, kind: str, ending: str) -> None:
    name, text = f"a.x{ending}", b'{"k": 1}\n' * 20
    said = f"its name says {ENDINGS[ending]}, but it is none; write compression: none or rename it"
    with pytest.raises(UsageError, match=rf"/{name}: {said}$"):
        planned(tmp_path, kind, name, text)
    with pytest.raises(UsageError, match=rf"/{name}: {said}$"):
        infer([str(tmp_path / name)])
    with pytest.raises(
        UsageError, match=rf"/a\.x: the job says {ENDINGS[ending]}, but it is none; write compression: none$"
    ):
        planned(tmp_path, kind, "a.x", text, compression=ENDINGS[ending])


@pytest.mark.parametrize(
    "data", [gzip.compress(b"k\n1\n", mtime=0)[:9], b"\x1f", bz2.compress(b"k")[:9], lzma.compress(b"k")[:9]]
)
def test_one_that_is_damaged_is_not_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    ending = {b"\x1f": ".gz", b"B": ".bz2", b"\xfd": ".xz"}[data[:1]]
    with pytest.raises(UsageError, match=r"cannot be read.*truncated"):
        planned(tmp_path, "csv", f"a{ending}", data)


@pytest.mark.parametrize(("other", "said"), [("ORC", "is ORC"), ("Arrow", "is an Arrow file"), ("zip", "is a zip")])
def test_no_job_is_drafted_of_it(tmp_path: Path, other: str, said: str) -> None:
    (tmp_path / "a.x").write_bytes(OTHERS[other][0])
    with pytest.raises(UsageError, match=rf"/a\.x: {said}"):
        infer([str(tmp_path / "a.x")])
