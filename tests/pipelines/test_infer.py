"""A draft is a job, and the rows it was drafted from keep its contract."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam import storage
from highbeam.cli import main
from highbeam.pipelines.infer import Draft, infer
from highbeam.schemas.errors import UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import parse_job
from highbeam.transforms.formats.choose import format_of
from highbeam.transforms.validate import validate

UTC = dt.timezone.utc


def job_of(draft: Draft, folder: Path) -> Job:
    """The draft, read as a job."""
    return parse_job(draft.text(), str(folder / "job.yaml"))


def rejects(job: Job, path: Path) -> list[tuple[str, str]]:
    """Reason and message of what the drafted contract turns away of a file."""
    file = storage.stat(str(path))
    assert file is not None
    format = format_of(job.source)
    assert list(format.problems(job.contract)) == []
    found = []
    for split in format.splits(file, path.name, job.contract, 1 << 20):
        for batch in format.read(split, job.contract, 1 << 20):
            gone = validate(batch, job.contract).rejected
            found += list(zip(gone["reason"].to_pylist(), gone["message"].to_pylist(), strict=True))
    return found


def columns(draft: Draft) -> dict[str, Any]:
    return dict(draft.as_dict()["columns"])


ROWS = [
    {
        "flight id": str(i),
        "carrier": ["AA", "B6"][i % 2],
        "distance": str(i * 1.5),
        "at": f"2013-12-01 12:{i:02d}:00",
        "seen": f"2013-12-01T12:{i:02d}:00Z",
        "day": "2013-12-01",
        "_x": "NA" if i == 3 else str(i % 7),
        "late": "true" if i % 3 else "",
        "2nd": "nothing" if i % 5 else "",
        "void": "",
    }
    for i in range(50)
]
FOUND = {
    "flight_id": {"type": "int64", "from": "flight id"},
    "carrier": "string",
    "distance": "float32",
    "at": {"type": "timestamp", "timezone": "UTC"},
    "seen": "timestamp",
    "day": "date",
    "x": {"type": "int64", "from": "_x", "nullable": True},
    "late": {"type": "bool", "nullable": True},
    "c_2nd": {"type": "string", "from": "2nd", "nullable": True},
    "void": {"type": "string", "nullable": True},
}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_csv(tmp_path: Path, delimiter: str, ending: str) -> None:
    text = "\n".join([delimiter.join(ROWS[0]), *(delimiter.join(row.values()) for row in ROWS)]) + "\n"
    path = tmp_path / f"flights.{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    draft = infer([str(path)], str(tmp_path))
    assert columns(draft) == FOUND
    job = job_of(draft, tmp_path)
    assert job.source.files.path == (path.name,)
    assert job.source.csv is not None
    assert (job.source.csv.delimiter, job.source.csv.nulls) == (delimiter, ("NA",))
    assert rejects(job, path) == []
    assert "  carrier: string  # values: [AA, B6]\n" in draft.text()
    assert "# key: flight_id " in draft.text()
    assert "unique, a key?" in re.findall(r"flight_id: .*", draft.text())[0]


def test_a_value_that_is_wrong_does_not_make_a_column_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("k,x\n" + "".join(f"{i},{'164O' if i == 42 else i}\n" for i in range(100)))
    draft = infer([str(path)], str(tmp_path))
    assert columns(draft) == {"k": "int64", "x": "int64"}
    assert "x: int64  # 1 of 100 values are no int64, such as '164O': rejected" in draft.text()
    assert [reason for reason, _ in rejects(job_of(draft, tmp_path), path)] == ["bad_value"]


def csv_options(folder: Path, data: bytes) -> dict[str, Any]:
    """What a draft says of a CSV file beside its path; the file then keeps the draft's contract."""
    path = folder / "a.csv"
    path.write_bytes(data)
    draft = infer([str(path)], str(folder))
    assert rejects(job_of(draft, folder), path) == []
    return {name: value for name, value in draft.source["csv"].items() if name != "path"}


def test_csv_options(tmp_path: Path) -> None:
    assert csv_options(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n") == {}
    assert csv_options(tmp_path, b"1,x\n2,y\n") == {"header": False, "columns": ["c1", "c2"]}
    assert csv_options(tmp_path, b'a,b\n1,"x\ny"\n2,z\n') == {"multiline": True}
    assert csv_options(tmp_path, "a;b\n1;ü\n".encode("latin-1")) == {"delimiter": ";", "encoding": "latin-1"}
    assert csv_options(tmp_path, "a,b\n1,€\n".encode("cp1252")) == {"encoding": "cp1252"}


OBJECTS = [
    {
        "id": i,
        "geo": {"country": "US", "loc": {"lat": 1.5, "lon": None if i % 2 else 0}},
        "tags": ["a"] * (i % 3),
        "vector": [0.5, 1],
        "at": "2013-12-01T00:00:00.25Z",
        "day": "2013-12-01",
        "ok": True,
        "objects": [{"a": 1}],
        "mixed": [1, "a"],
        **({"late": 1} if i % 4 else {}),
    }
    for i in range(40)
]
OF_OBJECTS = {
    "id": "int64",
    "geo_country": {"type": "string", "from": "geo.country"},
    "geo_loc_lat": {"type": "float32", "from": "geo.loc.lat"},
    "geo_loc_lon": {"type": "int64", "from": "geo.loc.lon", "nullable": True},
    "tags": "list<string>",
    "vector": "list<float32>",
    "at": "timestamp",
    "day": "date",
    "ok": "bool",
    "late": {"type": "int64", "nullable": True},
}


@pytest.mark.parametrize("form", ["lines", "array", "pretty"])
def test_json(tmp_path: Path, form: str) -> None:
    text = {
        "lines": "\n".join(map(json.dumps, OBJECTS)),
        "array": json.dumps(OBJECTS),
        "pretty": json.dumps(OBJECTS, indent=2),
    }[form]
    path = tmp_path / "a.json"
    path.write_text(text)
    draft = infer([str(path)], str(tmp_path))
    assert columns(draft) == OF_OBJECTS
    assert rejects(job_of(draft, tmp_path), path) == []
    assert draft.left_out == [f"{name!r}, lists of objects, or of several types" for name in ("objects", "mixed")]
    assert "vector: list<float32>  # size: 2, if all lists are so long" in draft.text()


def drafted_from(folder: Path, name: str, data: str | bytes) -> tuple[Draft, list[str]]:
    """A draft of a file, and the reasons for which a run of it rejects rows of that file."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    draft = infer([str(path)], str(folder))
    return draft, [reason for reason, _ in rejects(job_of(draft, folder), path)]


def test_an_object_that_is_null_once_is_no_column(tmp_path: Path) -> None:
    text = '{"x":1.5,"g":{"a":1},"n":"5"}\n{"x":2.5,"g":null,"n":5}\n{"x":3.5,"g":{"a":3},"n":"7"}\n{"x":4.5,"g":{}}\n'
    draft, gone = drafted_from(tmp_path, "a.json", text)
    n = {"type": "int64", "nullable": True}
    assert columns(draft) == {"x": "float32", "g_a": {"type": "int64", "from": "g.a", "nullable": True}, "n": n}
    assert gone == []


def test_a_field_of_several_types_has_that_of_most_values(tmp_path: Path) -> None:
    rows = [
        {"s": "a", "i": 1, "b": True, "f": "0.5"},
        {"s": "b", "i": "x", "b": "y", "f": 2},
        {"s": 5, "i": 3, "b": True},
    ]
    draft, gone = drafted_from(tmp_path, "a.json", "\n".join(map(json.dumps, rows)))
    assert columns(draft) == {"s": "string", "i": "int64", "b": "bool", "f": {"type": "float32", "nullable": True}}
    assert "  s: string  # 1 of 3 values are no string, such as 5: rejected\n" in draft.text()
    assert "  i: int64  # 1 of 3 values are no int64, such as 'x': rejected\n" in draft.text()
    assert gone == ["bad_value"] * 2


def test_lines_that_are_no_json_are_remarked(tmp_path: Path) -> None:
    text = '{"a": 1}\n{"a": 2,}\n\n[3]\n{"a": NaN}\n{"a": 4} {"a": 5}\n{"a": 6}\n'
    draft, gone = drafted_from(tmp_path, "a.json", text)
    assert "\n# 4 of 6 lines are no JSON object, such as line 2: rejected\n" in draft.text()
    assert (draft.rows, len(gone)) == (2, 4)
    (tmp_path / "b.json").write_text('{\n"a": 1\n}\n')
    with pytest.raises(UsageError, match=r"b\.json: holds a JSON object over several lines; write one object a line"):
        infer([str(tmp_path / "b.json")])


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ('[{"a": 1}, {"a": 2}, {"a"', "the array is not closed after its 2 objects: a run refuses such a file"),
        ('[{"a": 1}, {"a": 2}', "the array is not closed after its 2 objects: a run refuses such a file"),
        ('[{"a": 1}, {"a": 2},\n 3, {"a": 4}]', "what follows the first 2 objects is no object, and was not looked at"),
        ('[{"a": 1}, {"a": 2}]\n', None),
    ],
)
def test_an_array_that_does_not_end_is_remarked(tmp_path: Path, text: str, remark: str | None) -> None:
    (tmp_path / "a.json").write_text(text)
    draft = infer([str(tmp_path / "a.json")])
    assert [said.startswith(remark or "-") for said in draft.remarks] == [True] * bool(remark)
    assert (columns(draft), draft.rows) == ({"a": "int64"}, 2)


def test_ragged_rows_leave_the_delimiter_to_the_header(tmp_path: Path) -> None:
    draft, gone = drafted_from(tmp_path, "a.csv", "a,b,c\n1,2\n1,2,3,4\n1,2,3\n")
    assert draft.source == {"csv": {"path": "a.csv"}}
    assert columns(draft) == {"a": "int64", "b": "int64", "c": "int64"}
    remark = "2 of 3 records have another number of fields than 3, such as '1,2' with 2: rejected"
    assert (list(draft.remarks), len(gone)) == ([remark], 2)
    assert f"\n# {remark}\nname: a\n" in draft.text()
    draft, gone = drafted_from(tmp_path, "b.csv", "text\nwell, yes\nno\n")
    assert columns(draft) == {"text": "string"}
    draft, gone = drafted_from(tmp_path, "c.csv", "a;b;c\n1;2\n1;2;3;4\n1;2;3\n")
    assert (draft.source["csv"]["delimiter"], [*columns(draft)], len(gone)) == (";", ["a", "b", "c"], 2)
    draft, gone = drafted_from(tmp_path, "d.csv", "either;or\nx\ny\n")
    assert (columns(draft), gone) == ({"either_or": {"type": "string", "from": "either;or"}}, [])


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_characters(tmp_path: Path, codec: str) -> None:
    draft, gone = drafted_from(tmp_path, "a.csv", "\ufeffa;b\r\n1;ü€\r\n2;x\r\n".encode(codec))
    assert draft.source == {"csv": {"path": "a.csv", "delimiter": ";", "encoding": codec[:6]}}
    assert (columns(draft), gone) == ({"a": "int64", "b": "string"}, [])
    (tmp_path / "b.csv").write_bytes(
        ("\ufeffk,s\n" + "".join(f"{i},ü{'x' * 990}\n" for i in range(5000))).encode(codec)
    )
    draft = infer([str(tmp_path / "b.csv")])
    assert (columns(draft), draft.whole, list(draft.remarks)) == ({"k": "int64", "s": "string"}, False, [])


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


def test_a_log(tmp_path: Path) -> None:
    lines = [
        f'10.0.0.{i % 4} - - [01/Dec/2013:00:00:{i:02d} +0000] "GET /{i} HTTP/1.1" 200 {i or "-"} "-" "curl"'
        for i in range(30)
    ]
    path = tmp_path / "access.log"
    path.write_text("\n".join([*lines, "garbage", ""]))
    draft = infer([str(path)], str(tmp_path))
    found = columns(draft)
    assert (found["time"], found["status"], found["bytes"]) == (
        "timestamp", "int64", {"type": "int64", "nullable": True},
    )  # fmt: skip
    assert found["method"] == "string"
    job = job_of(draft, tmp_path)
    assert job.source.format == "log"
    assert len(rejects(job, path)) == 1


def test_several_files(tmp_path: Path) -> None:
    (tmp_path / "2013-12-01").mkdir()
    (tmp_path / "2013-12-02").mkdir()
    first, second = tmp_path / "2013-12-01" / "a.csv", tmp_path / "2013-12-02" / "a.csv"
    first.write_text("k,x\n1,2\n2,3\n")
    second.write_text("k,x,y\n3,0.5,a\n4,1,b\n")
    draft = infer([str(first), str(second)], str(tmp_path))
    assert columns(draft) == {
        "k": "int64",
        "x": "float32",
        "y": {"type": "string", "nullable": True, "optional": True},
    }
    assert draft.as_dict()["source"] == {"csv": {"path": "{date}/a.csv"}}
    for path in (first, second):
        assert rejects(job_of(draft, tmp_path), path) == []


NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).filter(lambda s: s.strip() and "${" not in s),
    min_size=1, max_size=5, unique=True,
)  # fmt: skip
PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    names=NAMES,
    values=st.lists(st.lists(PLAIN_TEXT | st.integers().map(str) | st.floats().map(str), min_size=5, max_size=5),
                    min_size=1, max_size=12),
)  # fmt: skip
def test_any_csv_gives_a_job(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], values: list[list[str]]
) -> None:
    buffer = io.StringIO()
    rows = [names, *(row[: len(names)] for row in values)]
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    folder = tmp_path_factory.mktemp("any")
    path = folder / "a.csv"
    path.write_text(buffer.getvalue(), "utf-8")
    draft = infer([str(path)], str(folder))
    job = job_of(draft, folder)
    assert yaml.safe_load(draft.text())["columns"] == columns(draft)
    assert parse_job(json.dumps(draft.as_dict(), ensure_ascii=False), str(folder / "job.yaml")).contract == job.contract
    assert len(job.columns) + len(draft.left_out) == len(names)


WRONG = [
    ("a.csv", b"", "a.csv: is empty"),
    ("a.csv", b"\n\n", "a.csv: holds no"),
    ("a.csv", b"a,b\n", "a.csv: holds no rows"),
    ("a.csv", b"a,a\n1,2\n", "a.csv: the header names 'a' twice"),
    ("a.bin", b"\xff\xfe\x00\x01" * 9, "a.bin: is no file that Highbeam reads"),
    ("a.parquet", b"PAR1 and no footer", "a.parquet: cannot be read"),
    ("a.avro", b"Obj\x01 and no more", "a.avro: cannot be read"),
    ("a.csv", gzip.compress(b"a,b\n1,2\n", mtime=0), "a.csv: is gzip, and its name does not say so"),
    ("a.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "a.csv.gz: cannot be read"),
    ("a.csv.gz", b"a,b\n1,2\n", "a.csv.gz: cannot be read"),
]


@pytest.mark.parametrize(("name", "data", "message"), WRONG)
def test_what_cannot_be_drafted(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UsageError, match=re.escape(message)):
        infer([str(path)])


def test_files_of_one_kind(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.json").write_text('{"a": 1}\n')
    (tmp_path / "c.csv").write_text("a;b\n1;2\n")
    for other in ("b.json", "c.csv"):
        with pytest.raises(UsageError, match="a job reads files of one kind"):
            infer([str(tmp_path / "a.csv"), str(tmp_path / other)])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("a,b\n1,2\n2,3\n")
    assert main(["infer", "a.csv"]) == 0
    text = capsys.readouterr().out
    assert parse_job(text, "job.yaml").columns["a"].type == "int64"
    assert main(["infer", "a.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == yaml.safe_load(text)
    Path("jobs").mkdir()
    assert main(["infer", "a.csv", "--out", "jobs/job.yaml"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "jobs/job.yaml: drafted from 2 rows; read it through\n")
    assert parse_job(Path("jobs/job.yaml").read_text(), "jobs/job.yaml").source.files.path == ("../a.csv",)
    assert main(["infer", "a.csv", "--out", "jobs/job.yaml"]) == 2
    assert "jobs/job.yaml: exists" in capsys.readouterr().err
    assert main(["infer", "nowhere.csv"]) == 2
    assert capsys.readouterr().err == "highbeam: nowhere.csv: no such file\n"


def test_only_the_beginning_of_a_large_file_is_looked_at(tmp_path: Path) -> None:
    line = "x" * 997 + ",1\n"
    (tmp_path / "a.csv").write_text("s,k\n" + line * 5000 + "a,b,c\n")
    draft = infer([str(tmp_path / "a.csv")], str(tmp_path))
    assert (columns(draft), draft.whole) == ({"s": "string", "k": "int64"}, False)
    assert draft.text().startswith("# Drafted from the first 4,")
    (tmp_path / "a.json").write_text(json.dumps([{"k": i, "s": "ü" * 99} for i in range(30000)], ensure_ascii=False))
    draft = infer([str(tmp_path / "a.json")], str(tmp_path))
    assert (columns(draft), draft.whole) == ({"k": "int64", "s": "string"}, False)
