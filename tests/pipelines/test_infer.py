"""A draft is a job, and the rows it was drafted from keep its contract."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam.cli import main
from highbeam.pipelines.infer import infer
from highbeam.schemas.errors import UsageError
from highbeam.schemas.job_file import parse_job

from tests.support.drafts import columns, job_of, rejects


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
    ("a.csv.gz", b"a,b\n1,2\n", "a.csv.gz: its name says gzip, but it is none"),
    ("job.yaml", b"name: j\nkey: k, l\n", "job.yaml: is YAML by its name; a job is drafted from data"),
    ("job.YML", b"name: j\nkey: k, l\n", "job.YML: is YAML by its name"),
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
