"""A draft from text: CSV, JSON and logs, and what is remarked of it."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from highbeam.pipelines.infer import infer
from highbeam.schemas.errors import UsageError

from tests.support.drafts import columns, drafted_from, job_of, rejects

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
