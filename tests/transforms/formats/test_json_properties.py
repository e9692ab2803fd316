from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from highbeam.schemas.contract import Contract
from highbeam.schemas.sources import Json
from highbeam.transforms.formats.json_files import JsonFormat

from tests.support.csv_files import contract
from tests.support.reading import Found, read_whole, reads_or_says_why

JSON = JsonFormat(Json(path=("in.json",)))
BOM = b"\xef\xbb\xbf"


def read(folder: Path, body: bytes, what: Contract, split_size: int = 1 << 20) -> Found:
    path = folder / "in.json"
    path.write_bytes(body)
    return read_whole(JSON, path, what, split_size)


MIXED = contract({
    "i": {"type": "int32", "nullable": True}, "k": "string", "f": {"type": "float64", "nullable": True},
    "b": {"type": "bool", "nullable": True}, "s": {"type": "string", "from": "g.s", "nullable": True},
    "l": {"type": "list<int64>", "nullable": True}, "y": {"type": "binary", "nullable": True},
    "m": {"type": "decimal(9, 2)", "nullable": True},
}, ("k",))  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = {
    "i": st.none() | st.integers(-(2**31), 2**31 - 1),
    "k": TEXT,
    "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "b": st.none() | st.booleans(),
    "g": st.none() | st.fixed_dictionaries({}, optional={"s": st.none() | TEXT, "x": st.integers()}),
    "l": st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    "other": st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2),
        max_leaves=3,
    ),
}  # fmt: skip
ROW = st.fixed_dictionaries({"k": TEXT}, optional={name: value for name, value in VALUES.items() if name != "k"})


@settings(max_examples=25)
@given(st.lists(ROW, min_size=1, max_size=20), st.booleans(), st.booleans(), st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
       st.integers(1, 400))  # fmt: skip
def test_rows_come_back_once_in_order_with_exact_offsets(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], ascii: bool, array: bool, end: bytes,
    split_size: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.getbasetemp()
    written = [json.dumps(record, ensure_ascii=ascii).encode() for record in records]
    body = b"[" + (b"," + end).join(written) + b"]" if array else end.join(written)
    found = read(folder, body, MIXED, split_size=split_size)
    assert found.reasons == {}
    offsets, at = [], int(array)
    for text in written:
        offsets.append(at)
        at += len(text) + len(end) + array
    assert list(found.rows) == offsets
    for record, row in zip(records, found.rows.values(), strict=True):
        assert {name: row[name] for name in ("i", "k", "f", "b", "l")} == {
            name: record.get(name) for name in ("i", "k", "f", "b", "l")
        }
        assert row["s"] == (record.get("g") or {}).get("s")


TOKENS = st.sampled_from([
    b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"-Infinity", b"true", b"1", b"-0", b"1.5", b"1e400",
    b"9" * 20, b'"', b'"x"', b'"i"', b'"k"', b'"g"', b'"s"', b'"g.s"', b'"1"', b'"m"', b'"l"', b"\\", b"\\u0061",
    b"\\ud800", b" ", b"\t", b"\r", b"\x00", b"\xff", b"\xc3\xa9", BOM, b"01", b"12345678.5",
])  # fmt: skip
MEMBER = st.tuples(
    st.sampled_from(['"i"', '"k"', '"f"', '"b"', '"g"', '"l"', '"y"', '"m"', '"z"', '"g.s"', '"\\u0069"']),
    st.sampled_from(['1', '-0', '1.5', '1e2', '99999999999', '9' * 400, 'null', 'true', '"x"', '""', '"1"', '" 1"',
                     '"aGk="', '[]', '[1,"2"]', '["x"]', '{}', '{"s":"x"}', '{"s":1}', '{"s":1,"s":2}',
                     '[[[[1]]]]', '"\\ud83d"', '12345678.5', '0.125', '"} null"', '": NaN"', "NaN"]),
).map(":".join)  # fmt: skip
DIRTY = st.one_of(
    st.lists(MEMBER, max_size=4).map(lambda members: f"{{{', '.join(members)}}}".encode()),
    st.lists(TOKENS, max_size=8).map(b"".join),
    st.binary(max_size=10),
).filter(lambda record: b"\n" not in record)


@settings(max_examples=30)
@given(st.lists(DIRTY, max_size=8), st.integers(1, 300))
@example([b"{}", b'{} null {"i":1}', b"{}"], 300)
@example([b'{"i":"}', b'{":1}', b"{}{}"], 300)
def test_a_record_decides_its_own_fate(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes], split_size: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    found = read(folder, b"{}\n" + b"\n".join(records), MIXED, split_size=split_size)
    at = 3
    for record in records:
        if record.removesuffix(b"\r"):
            alone = read(folder, b"{}\n" + record, MIXED)
            assert repr(found.rows.get(at)) == repr(alone.rows.get(3))
            assert found.reasons.get(at) == alone.reasons.get(3)
            assert at in found.rows or found.raw[at] == record.removesuffix(b"\r")
        at += len(record) + 1


@settings(max_examples=60)
@given(st.sampled_from([b"", b"[", BOM + b"["]), st.lists(DIRTY | TOKENS, max_size=12),
       st.sampled_from([b"", b",", b"\n"]), st.sampled_from([b"", b"]"]), st.integers(1, 300))  # fmt: skip
def test_no_bytes_crash_it(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, parts: list[bytes], between: bytes, tail: bytes, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(head + between.join(parts) + tail)
    reads_or_says_why(JSON, path, MIXED, size)
