"""What becomes of one JSON record, as a line and as an element of an array."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from highbeam.schemas.reasons import REASONS

from tests.support.csv_files import contract
from tests.support.json_files import BOM, JSON, fate, fates, read
from tests.support.reading import cut

INSTANT = pa.scalar(datetime(2013, 7, 4, 1, 2, 3), pa.timestamp("us", "UTC")).as_py()  # its zone is of Arrow's kind


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b'{"a":1}', (1,)),
        (b' \t{ "a" : 1 }\r ', (1,)),
        (b'{"b":2}', (None,)),
        (b'{"a":null}', (None,)),
        (b'{"a":"1"}', (1,)),
        (b'{"\\u0061":1}', (1,)),
        (b'{"b":[[[[[[1]]]]]],"a":1}', (1,)),
        (b'{"b":' + b"[" * 5000 + b"]" * 5000 + b',"a":1}', (1,)),
        (b'{"b":' + b"[" * 5000 + b"]" * 5000 + b',"a":"1"}', "bad_json"),  # too deep to be looked into
        (b'{"b":' + b"[" * 5000 + b',"a":1}', "bad_json"),
        (b'{"b":1e400,"a":1}', (1,)),
        (b'{"b":1,"b":2,"a":1}', (1,)),
        (b'{"a":9223372036854775807}', (9223372036854775807,)),
        (b'{"a":9223372036854775808}', "bad_value"),
        (b'{"a":' + b"9" * 5000 + b"}", "bad_value"),
        (b'{"a":1.0}', "bad_value"),
        (b'{"a":true}', "bad_value"),
        (b'{"a":[1]}', "bad_value"),
        (b'{"a":{}}', "bad_value"),
        (b'{"a":1,"a":2}', "duplicate_field"),
        (b'{"a":1,"\\u0061":1}', "duplicate_field"),
        (b'{"a":NaN}', "bad_json"),
        (b'{"b":-Infinity}', "bad_json"),
        (b'{"b":", NaN","a":1}', (1,)),
        (b'{"b":"} null","a":1}', (1,)),
        (b'{"a":1,}', "bad_json"),
        (b'{"a":01}', "bad_json"),
        (b"{'a':1}", "bad_json"),
        (b'{"a":1', "bad_json"),
        (b'{"a":1}}', "bad_json"),
        (b'{"a":1} {"a":2}', "bad_json"),
        (b'{"a":1} null {}', "bad_json"),  # makes pyarrow crash
        (b'{"a":1}\x00}', "bad_json"),
        (b'{"b":"\t"}', "bad_json"),
        (b'{"b":"\\ud83d"}', "bad_json"),
        (b'{"b":"\\ude00\\ud83d"}', "bad_json"),
        (b'{"b":"\\ud83d\\ude00\\\\ud83d","a":1}', (1,)),
        (b'{"b":"\xff"}', "not_utf8"),
        (b'{"b":"\xed\xa0\x80"}', "not_utf8"),
        (b"  ", "bad_json"),
        (b"null", "not_an_object"),
        (b"5", "not_an_object"),
        (b"[]", "not_an_object"),
        (b'"a"', "not_an_object"),
        (BOM + b"{}", "bad_json"),
    ],
)
def test_the_fate_of_records(tmp_path: Path, record: bytes, expected: Any) -> None:
    if record.startswith(BOM):  # at a file's beginning it would be a byte order mark
        assert fates(read(tmp_path, b"{}\n" + record)) == [(None,), expected]
    else:
        assert fate(tmp_path, record) == expected


@pytest.mark.parametrize(
    ("type", "value", "expected"),
    [
        ({"type": "float32", "allow_nan": True}, b"-0.1", -0.10000000149011612),
        ({"type": "float32", "allow_nan": True}, b"1e39", float("inf")),
        ({"type": "float64", "allow_nan": True}, b"1e400", float("inf")),
        ("float64", b"-0", -0.0),
        ("float64", b'"1e3"', 1000.0),
        ("float64", b'""', "bad_value"),
        ("int8", b"127", 127),
        ("int8", b"128", "bad_value"),
        ("uint8", b"255", 255),
        ("uint8", b"-1", "bad_value"),
        ("int16", b"-32768", -32768),
        ("bool", b"true", True),
        ("bool", b'"false"', False),
        ("bool", b"1", True),
        ("bool", b"2", "bad_value"),
        ("string", b'"\\u00e9\\ud83d\\ude00\xc3\xa9\\n"', "é😀é\n"),
        ("string", b'""', ""),
        ("string", b"5", "bad_value"),
        ("string", b"true", "bad_value"),
        ("binary", b'"aGVsbG8="', b"hello"),
        ("binary", b'""', b""),
        ("binary", b'"aGVsbG8"', "bad_value"),
        ("date", b'"2013-07-04"', date(2013, 7, 4)),
        ("date", b"20130704", "bad_value"),
        ("timestamp", b'"2013-07-04T01:02:03Z"', INSTANT),
        ("timestamp", b'"yesterday"', "bad_value"),
        ("timestamp", b"1372896000", "bad_value"),
        ("decimal(9, 2)", b"1234567.25", Decimal("1234567.25")),
        ("decimal(9, 2)", b'"-0.5"', Decimal("-0.50")),
        ("decimal(9, 2)", b"1e2", Decimal("100.00")),
        ("decimal(9, 2)", b"0.125", "bad_value"),
        ("decimal(9, 2)", b"12345678.5", "bad_value"),  # pyarrow itself makes something of both
        ("decimal(9, 2)", b"9" * 400, "bad_value"),
        ("list<int64>", b"[1, null, 3]", [1, None, 3]),
        ("list<int64>", b'[1, "2"]', [1, 2]),
        ("list<int64>", b'[1, "x"]', "bad_value"),
        ("list<int64>", b"[1, [2]]", "bad_value"),
        ("list<int64>", b"1", "bad_value"),
        ("list<string>", b'["x", ""]', ["x", ""]),
        ("list<string>", b'["x", 1]', "bad_value"),
        ("list<binary>", b'["aGk=", null, ""]', [b"hi", None, b""]),
        ("list<binary>", b'["aGk=", "?"]', "bad_value"),
        ("list<date>", b'["2013-07-04"]', [date(2013, 7, 4)]),
    ],
)
def test_values_of_every_type(tmp_path: Path, type: Any, value: bytes, expected: Any) -> None:
    what = contract({"v": {"nullable": True} | ({"type": type} if isinstance(type, str) else type)})
    found = fate(tmp_path, b'{"v":' + value + b"}", what)
    assert repr(found) == repr(expected if isinstance(expected, str) and expected in REASONS else (expected,))


def test_no_record_may_begin_where_another_is_open(tmp_path: Path) -> None:
    body = b'{"b":{"x":1}\n,"a":1}\n{"a":1}{"a":2}\n'  # three lines, three objects, and no line is one
    assert fates(read(tmp_path, body)) == ["bad_json"] * 3


GEO = contract({
    "c": {"type": "string", "from": "geo.country", "nullable": True},
    "z": {"type": "int32", "from": "geo.at.zip", "nullable": True},
})  # fmt: skip


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b'{"geo":{"country":"DE","at":{"zip":10115}}}', ("DE", 10115)),
        (b'{"geo":{"country":"DE","at":{"zip":"10115"}}}', ("DE", 10115)),
        (b'{"geo":{"at":null,"x":[1]}}', (None, None)),
        (b'{"geo":null}', (None, None)),
        (b'{"geo.country":"US","geo":{"country":"DE"}}', ("US", None)),
        (b'{"geo.country":null,"geo":{"country":"DE"}}', ("DE", None)),
        (b'{"geo":{"at.zip":5}}', (None, None)),
        (b'{"geo":5}', "bad_value"),
        (b'{"geo":{"at":[]}}', "bad_value"),
        (b'{"geo":5,"geo.country":"US","geo.at.zip":1}', ("US", 1)),
        (b'{"geo":{"country":"DE","country":"US"}}', "duplicate_field"),
        (b'{"geo":{},"geo":{}}', "duplicate_field"),
        (b'{"x":{"country":1,"country":2}}', (None, None)),
    ],
)
def test_a_field_is_found_by_its_whole_name_or_its_path(tmp_path: Path, record: bytes, expected: Any) -> None:
    assert fate(tmp_path, record, GEO) == expected


def test_columns_may_want_one_field_each_in_its_way(tmp_path: Path) -> None:
    what = contract({
        name: {"type": type, "from": source, "nullable": True}
        for name, type, source in [("t", "string", "a"), ("i", "int64", "a"), ("b", "string", "a.b")]
    })  # fmt: skip
    assert fate(tmp_path, b'{"a":"5"}', contract({"t": "string", "b": {"type": "binary", "from": "u"}})) is not None
    assert fate(tmp_path, b'{"a":"5","a.b":"x"}', what) == ("5", 5, "x")
    assert fate(tmp_path, b'{"a":{"b":"x"}}', what) == "bad_value"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"{a:1}", "not valid JSON: Expecting property name enclosed in double quotes at character 2"),
        (b'{"a":1}x', "not valid JSON: something follows the first value, at character 8"),
        (b'{"a":NaN}', "not valid JSON: NaN is no number of JSON; write null, or a text"),
        (b'{"b":"\\ud83d"}', "not valid JSON: \\ud83d is half a character, without its other half"),
        (b"[1]", "the record is a list, no object"),
        (b"7", "the record is a number, no object"),
        (b'{"a":1,"a":2}', "field a stands twice in one object"),
        (b'{"a":"x"}', "column a: 'x' is not an int64"),
        (b'{"a":1.5}', "column a: '1.5' is not an int64"),
        (b'{"a":{}}', "column a: an object is not an int64"),
        (b'{"s":1.50}', "column s: the number 1.50 is not a string"),
        (b'{"s":false}', "column s: false is not a string"),
        (b'{"g":7}', "column g: g is a number, no object"),
        (b'{"y":"?"}', "column y: '?' is not base64, as a binary has to be"),
    ],
)
def test_a_reject_says_what_was_found(tmp_path: Path, record: bytes, message: str) -> None:
    what = contract({"a": "int64", "s": "string", "g": {"type": "string", "from": "g.x"}, "y": "binary"})
    path = tmp_path / "in.json"
    path.write_bytes(b"{}\n" + record)
    (split,) = cut(JSON, path, what, 1 << 20)
    (batch,) = JSON.read(split, what, 1 << 20)
    assert batch.rejected["message"].to_pylist() == [message]


def test_numbers_in_quotes_throughout(tmp_path: Path) -> None:
    what = contract({"a": "int64", "f": "float32", "l": "list<int16>", "m": "decimal(9, 2)"})
    quoted: list[dict[str, Any]] = [{"a": str(n), "f": f"{n}.5", "l": [str(n)], "m": f"{n}.25"} for n in range(500)]
    mixed = [*quoted, *({"a": n, "f": n + 0.5, "l": [n], "m": n + 0.25} for n in range(500)), *quoted]
    for rows in (quoted, mixed):
        found = read(tmp_path, "\n".join(map(json.dumps, rows)).encode(), what)
        assert [row["a"] for row in found.rows.values()] == [int(str(row["a"])) for row in rows]
        assert list(found.rows.values())[-1] == {"a": 499, "f": 499.5, "l": [499], "m": Decimal("499.25")}
        assert not found.reasons
