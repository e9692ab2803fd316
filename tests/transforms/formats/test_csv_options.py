from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from highbeam import storage
from highbeam.schemas.errors import UsageError
from highbeam.schemas.sources import Csv
from highbeam.transforms.formats.csv_files import CsvFormat
from highbeam.transforms.formats.csv_header import read_header

from tests.support.csv_files import contract

AB = contract({"a": "int64", "b": {"type": "string", "optional": True, "nullable": True}})


def options(**given: Any) -> Csv:
    return Csv.model_validate({"path": "in.csv", **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"quote": ","}, "delimiter: ',' cannot stand between fields, since it is the quote; write another"),
        ({"escape": ","}, "delimiter: ',' cannot stand between fields, since it is the escape; write another"),
        ({"escape": '"'}, "escape: is the quote; two quotes in quotes are one without it, so leave it out"),
        ({"quote": "é"}, "quote: 'é' cannot stand around or in a field; write one ASCII character"),
        ({"delimiter": "\n"}, "delimiter: '\\n' cannot stand between fields; write one ASCII character that"),
        ({"columns": ["a"]}, "columns: are for files without a header, and header is true"),
        ({"header": False}, "columns: are missing; without a header, name all columns"),
        ({"header": False, "columns": ["a", "b", "a"]}, "columns: name 'a' twice; rename one of them"),
        ({"comment": '"x'}, "comment: begins with the quote"),
        ({"comment": ",x"}, "comment: begins with the delimiter"),
        ({"comment": "#\n"}, "comment: '#\\n' cannot begin a line"),
        ({"encoding": "latin-99"}, "encoding: 'latin-99' is no encoding known"),
        ({"encoding": "utf-7"}, "encoding: 'utf-7' cannot be read; convert the files to UTF-8"),
        ({"multiline": True, "quote": None}, "multiline: without a quote no field can hold a line break"),
        ({"multiline": True, "encoding": "gbk", "escape": "\\"}, "multiline: in gbk the escape, '\\\\', may be"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other_are_refused(given: dict[str, Any], said: str) -> None:
    problems = list(CsvFormat(options(**given)).problems(AB))
    assert [problem for problem in problems if problem.startswith(f"source.csv.{said}")], problems


@pytest.mark.parametrize(
    "given",
    [
        {}, {"quote": None}, {"quote": None, "escape": "\\", "multiline": True}, {"delimiter": "\t", "comment": "//"},
        {"header": False, "columns": ["b", "a"]}, {"encoding": "utf-16", "multiline": True, "escape": "\\"},
        {"encoding": "gbk", "multiline": True}, {"encoding": "gbk", "escape": "\\"},
    ],
)  # fmt: skip
def test_other_options_go_together(given: dict[str, Any]) -> None:
    assert list(CsvFormat(options(**given)).problems(AB)) == []


@pytest.mark.parametrize(
    "given", [{"quote": ""}, {"quote": "ab"}, {"escape": ""}, {"comment": ""}, {"delimiter": "||"}]
)
def test_a_sign_is_one_character(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(**given)


def test_columns_must_hold_what_the_contract_names() -> None:
    (problem,) = CsvFormat(options(header=False, columns=["A", "b"])).problems(AB)
    assert problem == "column a: source.csv.columns lacks 'a' (is it 'A'? then write from: A); it has A, b"


def test_a_binary_column_holds_bytes_that_no_encoding_changed() -> None:
    what = contract({"a": "binary"})
    assert list(CsvFormat(options()).problems(what)) == []
    (problem,) = CsvFormat(options(encoding="latin-1")).problems(what)
    assert problem == "column a: binary holds the bytes of a file, and encoding changes them; read it as a string"


def test_only_what_can_be_read_from_anywhere_is_cut() -> None:
    for given in ({"multiline": True}, {"encoding": "utf-16"}, {"compression": "xz"}):
        assert not CsvFormat(options(**given)).can_cut("in.csv")
    assert CsvFormat(options(encoding="shift_jis", comment="#", escape="\\")).can_cut("in.csv")
    assert not CsvFormat(options()).can_cut("in.csv.zst")


def header(folder: Path, data: bytes, **given: Any) -> tuple[tuple[str, ...], int]:
    path = folder / "in.csv"
    path.write_bytes(data)
    file = storage.stat(str(path))
    assert file is not None
    found = read_header(file, None, options(**given))
    return found.names, found.end


@pytest.mark.parametrize(
    ("data", "given", "found"),
    [
        (b"# made by x\n\n#\r\na,b\r\n1,2\r\n", {"comment": "#"}, (("a", "b"), 21)),
        (b"'a;b';c\n", {"quote": "'", "delimiter": ";"}, (("a;b", "c"), 8)),
        (b'a\\,b,"c\\"d"\n', {"escape": "\\"}, (("a,b", 'c"d'), 12)),
        (b'"a\nb",c\n1,2\n', {"multiline": True}, (("a\nb", "c"), 8)),
        (b'a",b\n', {"quote": None}, (('a"', "b"), 5)),
        ("a,größe\n".encode("latin-1"), {"encoding": "latin-1"}, (("a", "größe"), 8)),
        ("a,größe\r\n1,2".encode("utf-16"), {"encoding": "utf-16"}, (("a", "größe"), 20)),
        ("a\n".encode("utf-32-be"), {"encoding": "utf-32-be"}, (("a",), 8)),
        ("\ufeffa\n1\n".encode("utf-16-be"), {"encoding": "utf-16-be"}, (("a",), 6)),
        ("表,ソ\n".encode("shift_jis"), {"encoding": "shift_jis"}, (("表", "ソ"), 6)),
        (b"\xef\xbb\xbf1,2\n", {"header": False, "columns": ["a", "b"]}, (("a", "b"), 3)),
        (b"1,2\n", {"header": False, "columns": ["a", "b"]}, (("a", "b"), 0)),
        (b"01,1.50,\n", {}, (("01", "1.50", ""), 9)),
        (b"# only\n", {"comment": "#"}, ((), 0)),
    ],
)
def test_headers_of_every_dialect(
    tmp_path: Path, data: bytes, given: dict[str, Any], found: tuple[tuple[str, ...], int]
) -> None:
    assert header(tmp_path, data, **given) == found


@pytest.mark.parametrize(
    ("data", "given", "said"),
    [
        (b"\xff\xfea\0", {}, "is UTF-16; write encoding: utf-16"),
        (b"\xff\xfe\0\0a\0\0\0", {"encoding": "utf-16"}, "is UTF-32; write encoding: utf-32"),
        (b"\xfe\xff\0a", {"encoding": "utf-16-le"}, "is UTF-16; write encoding: utf-16"),
        (b"a\0b\0\n\0", {"encoding": "utf-16"}, "has no byte order mark; write encoding: utf-16-le or utf-16-be"),
        (b"a\0,\0b\0\n\0", {}, "the header holds zero bytes; if it is UTF-16 without a byte order mark"),
        (b"a,\x81\n", {"encoding": "cp1252"}, "the header is not valid cp1252"),
        (b"a,b\\\n", {"escape": "\\"}, "the header ends in an escape character"),
        (b'a,"b\n1,2\n', {"multiline": True}, "a quoted name in the header is not closed"),
        (b"#x\n" * 400_000 + b"a\n", {"comment": "#"}, "has no header within 1,048,576 bytes"),
        (b"\x28\xb5\x2f\xfd\x04", {}, "is zstd; write compression: zstd"),
        (b"\xfd7zXZ\x00", {"header": False, "columns": ["a"]}, "is xz; write compression: xz"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_name(
    tmp_path: Path, data: bytes, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=r"in\.csv: ") as caught:
        header(tmp_path, data, **given)
    assert said in str(caught.value)
