"""Drafts from what is easily taken for something else: comments, zeros in front, an application's log, wildcards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from highbeam.pipelines.infer import infer
from highbeam.schemas.errors import UsageError
from highbeam.transforms.plan_splits import plan_splits

from tests.support.drafts import columns, drafted_from, job_of

CSV: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("# made by x\nk,x\n1,2\n# more\n2,3\n", {"comment": "#"}, {"k": "int64", "x": "int64"}),
    ("# a, b\nk,x\n1,2\n", {"comment": "#"}, {"k": "int64", "x": "int64"}),
    (
        "#\n# two\n1,a\n2,b\n",
        {"header": False, "columns": ["c1", "c2"], "comment": "#"},
        {"c1": "int64", "c2": "string"},
    ),
    ("#k,x\n1,2\n", {}, {"k": {"type": "int64", "from": "#k"}, "x": "int64"}),
    ("#name,city\nann,paris\nbob,rome\n", {}, {"name": {"type": "string", "from": "#name"}, "city": "string"}),
]


@pytest.mark.parametrize(("text", "options", "found"), CSV)
def test_comments(tmp_path: Path, text: str, options: dict[str, Any], found: dict[str, Any]) -> None:
    draft, gone = drafted_from(tmp_path, "a.csv", text)
    assert (draft.source["csv"], columns(draft), gone) == ({"path": "a.csv", **options}, found, [])


NUMBERS = [
    ("k,z\n1,00123\n2,00124\n3,\n", {"type": "string", "nullable": True}, "'00123' begins with zeros"),
    ("k,z\n1,0\n2,10\n", "int64", None),
    ("k,z\n1,0.5\n2,-0\n", "float32", None),
    ("k,z\n1,9223372036854775808\n2,1\n", "string", "'9223372036854775808' is no int64"),
    ("k,z\n1,9223372036854775808\n2,1.5\n", "float32", None),
    ("k,z\n" + "1,01\n" * 20 + "2,x\n", "string", "'01' begins with zeros"),
    ("k;z\n1;1,5\n2;2,25\n3;4\n", "string", "numbers with a decimal comma, such as '1,5'"),
    ("k;z\n1;a,b\n2;1,5\n", "string", None),
]


@pytest.mark.parametrize(("text", "type", "remark"), NUMBERS)
def test_numbers_that_would_lose_something(tmp_path: Path, text: str, type: Any, remark: str | None) -> None:
    draft, gone = drafted_from(tmp_path, "a.csv", text)
    assert (columns(draft), gone) == ({"k": "int64", "z": type}, [])
    assert [note.startswith(remark or "unique") for note in draft.columns[1].notes][:1] in ([True], [])
    assert remark is None or f"  # {remark}" in draft.text()


def test_the_log_of_an_application(tmp_path: Path) -> None:
    lines = [f"2013-12-01 00:00:0{i},123 {'WARN' if i % 2 else 'INFO'} [main] no, {i}" for i in range(6)]
    draft, gone = drafted_from(tmp_path, "a.log", "\n".join([*lines, "  at trace", ""]))
    assert columns(draft) == {"time": "string", "level": "string", "message": "string"}
    assert gone == ["no_match"]
    assert "source.log.pattern may tell" in draft.text()
    assert "# 1 of 7 lines do not match the pattern: rejected" in draft.text()
    draft, gone = drafted_from(tmp_path, "b.log", "[2013-12-01T00:00:01Z] main: INFO hi\n" * 3)
    assert (columns(draft), gone) == ({"time": "timestamp", "message": "string"}, [])
    draft, _ = drafted_from(tmp_path, "c.csv", "2013-12-01 00:00:01,INFO x,1\n2013-12-01 00:00:02,INFO y,2\n")
    assert draft.source["csv"]["header"] is False


def test_lines_that_no_delimiter_cuts_are_remarked(tmp_path: Path) -> None:
    remark = "# no delimiter cuts these lines; if they are a log's, write log: with a pattern: in place of csv:"
    (tmp_path / "lines.log").write_text("".join(f"{k} started {k / 4}\n" for k in range(40)))
    assert remark in infer([str(tmp_path / "lines.log")]).text()
    (tmp_path / "keys.csv").write_text("key\n1\n2\n")
    assert remark not in infer([str(tmp_path / "keys.csv")]).text()


def test_a_name_with_wildcards_in_it(tmp_path: Path) -> None:
    for name in ("a[1]*.csv", "a1.csv", "a1b.csv"):
        (tmp_path / name).write_text("k\n1\n")
    job = job_of(infer([str(tmp_path / "a[1]*.csv")], str(tmp_path)), tmp_path)
    assert [split.file for split in plan_splits(job.source, job.contract, job.folder, None)] == ["a[1]*.csv"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[]", "holds no rows"),
        (b"\n [ \n]\n", "holds no rows"),
        (b"# nothing\n#\n", "holds no rows"),
        (json.dumps({"k": "é"}).encode("utf-16"), "is JSON in UTF-16; JSON is read in UTF-8, so convert it"),
        (json.dumps([{"k": 1}]).encode("utf-16-be"), "is JSON in UTF-16"),
        (json.dumps({"k": "é"}, ensure_ascii=False).encode("latin-1"), "is JSON in LATIN-1"),
    ],
)
def test_what_is_told_instead(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(UsageError, match=rf"/a\.json: {said}"):
        infer([str(tmp_path / "a.json")])
