"""Every value of a file's type becomes the same value of the contract's type, or its row is blamed."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import struct
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.schemas.contract import Column, Contract
from highbeam.transforms.formats.cast import cast_values
from highbeam.transforms.formats.castable import castable
from highbeam.transforms.verdict import Verdict

UTC = dt.timezone.utc
D = decimal.Decimal
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
NAMES = [str(type) for type in INTEGERS[:-1]]


def cast(values: pa.Array, **column: Any) -> tuple[list[Any], dict[int, str]]:
    """The values, None where blamed; and row -> reason."""
    spec = Column(**column)
    type = Contract({"a": spec}).arrow_type("a")
    verdict = Verdict(len(values))
    made = cast_values(values, "a", spec, type, verdict)
    made.validate(full=True)
    assert made.type == type
    assert len(made) == len(values)
    rows, reasons, messages = verdict.findings()
    assert all(message.startswith("column a: ") for message in messages.to_pylist())
    found = made.to_pylist()
    assert all(found[row] is None for row in rows)
    return found, dict(zip(rows.tolist(), reasons.to_pylist(), strict=True))


def limits(type: pa.DataType) -> tuple[int, int]:
    bits = type.bit_width - pa.types.is_signed_integer(type)
    return (-(1 << bits) if pa.types.is_signed_integer(type) else 0), (1 << bits) - 1


@st.composite
def integers(draw: st.DrawFn) -> pa.Array:
    type = draw(st.sampled_from(INTEGERS))
    low, high = limits(type)
    near = [n for n in (low, high, 0, 1, -1, 127, 128, 255, 256, 2**31, 2**53 + 1, 2**63 - 1) if low <= n <= high]
    return pa.array(draw(st.lists(st.none() | st.sampled_from(near) | st.integers(low, high), max_size=6)), type)


@given(integers(), st.sampled_from(NAMES))
def test_integers_in_range(values: pa.Array, name: str) -> None:
    low, high = limits(pa.type_for_alias(name))
    found, blamed = cast(values, type=name)
    wanted = [v if v is None or low <= v <= high else None for v in values.to_pylist()]
    assert found == wanted
    assert {row for row, v in enumerate(values.to_pylist()) if v is not None and wanted[row] is None} == set(blamed)
    assert set(blamed.values()) <= {"bad_value"}


FLOATS = st.floats(width=32) | st.sampled_from([-0.0, 0.5, 2.0**31, 2.0**63, -(2.0**63), math.inf, math.nan])


@given(st.lists(st.none() | FLOATS), st.sampled_from(NAMES), st.sampled_from(["float16", "float32", "float64"]))
def test_whole_floats_are_integers(values: list[float | None], name: str, width: str) -> None:
    with np.errstate(over="ignore"):
        array = pa.array(values, pa.float64()).cast(pa.type_for_alias(width), safe=False)
    low, high = limits(pa.type_for_alias(name))
    found, blamed = cast(array, type=name)
    for row, value in enumerate(array.cast(pa.float64()).to_pylist()):
        whole = value is not None and math.isfinite(value) and value == int(value) and low <= int(value) <= high
        assert found[row] == (int(value) if whole else None)
        assert (row in blamed) == (value is not None and not whole)


@given(st.lists(st.none() | st.floats()))
def test_float32_is_the_nearest(values: list[float | None]) -> None:
    found, blamed = cast(pa.array(values, pa.float64()), type="float32")
    with np.errstate(over="ignore"):
        wanted = [None if v is None else float(np.float32(v)) for v in values]
    assert blamed == {}
    assert all(a == b or (a != a and b != b) for a, b in zip(found, wanted, strict=True))


@given(integers())
def test_integers_as_floats(values: pa.Array) -> None:
    found, blamed = cast(values, type="float64")
    assert (found, blamed) == ([None if v is None else float(v) for v in values.to_pylist()], {})


def test_bools() -> None:
    assert cast(pa.array([0, 1, 2, None, -1], pa.int64()), type="bool") == (
        [False, True, None, None, None],
        {2: "bad_value", 4: "bad_value"},
    )
    assert cast(pa.array([True, None]), type="bool") == ([True, None], {})
    assert cast(pa.array([True]), type="int8")[1] == {0: "bad_value"}


DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=4)


@given(st.lists(st.none() | DECIMALS), st.sampled_from([pa.decimal128(30, 4), pa.decimal256(60, 4)]))
def test_decimals_keep_their_digits(values: list[D | None], type: pa.DataType) -> None:
    found, blamed = cast(pa.array(values, type), type="decimal(12, 2)")
    for row, value in enumerate(values):
        fits = value is not None and value == round(value, 2) and abs(value) < 10**10
        assert found[row] == (value if fits else None)
        assert (row in blamed) == (value is not None and not fits)
    whole, _ = cast(pa.array(values, type), type="int64")
    assert whole == [int(v) if v is not None and v == int(v) and -(2**63) <= v < 2**63 else None for v in values]
    floats, _ = cast(pa.array(values, type), type="float64")
    assert floats == pytest.approx([None if v is None else float(v) for v in values])


def test_integers_as_decimals() -> None:
    assert cast(pa.array([12, 2**63, None], pa.uint64()), type="decimal(9, 2)") == (
        [D(12), None, None],
        {1: "bad_value"},
    )


@given(st.lists(st.none() | st.text() | st.binary(max_size=6)))
def test_bytes_as_text(values: list[Any]) -> None:
    octets = [v.encode("utf-8", "replace") if isinstance(v, str) else v for v in values]
    wanted = [None if v is None else _decoded(v) for v in octets]
    bad = {row: "not_utf8" for row, v in enumerate(octets) if v is not None and wanted[row] is None}
    array = pa.array(octets, pa.binary())
    for type in (pa.binary(), pa.large_binary(), pa.binary_view()):
        assert cast(array.cast(type), type="string") == (wanted, bad)
    unchecked = array.view(pa.string())  # as pyarrow reads Parquet
    assert cast(unchecked, type="string") == (wanted, bad)
    assert cast(unchecked.dictionary_encode(), type="string") == (wanted, bad)
    assert cast(array, type="binary") == (octets, {})


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def test_fixed_bytes_times_and_uuids_as_text() -> None:
    assert cast(pa.array([b"ab", None, b"\xff\xff"], pa.binary(2)), type="string") == (
        ["ab", None, None],
        {2: "not_utf8"},
    )
    assert cast(pa.array([dt.time(1, 2, 3), None]), type="string") == (["01:02:03.000000", None], {})
    some = [uuid.UUID(int=7), None, uuid.UUID("12345678-90ab-cdef-1234-567890abcdef")]
    stored = pa.array([v and v.bytes for v in some], pa.binary(16))
    ids = pa.ExtensionArray.from_storage(pa.uuid(), stored)
    assert cast(ids, type="string") == ([v and str(v) for v in some], {})
    assert cast(ids[1:], type="string")[0] == [None, str(some[2])]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)), st.sampled_from(["s", "ms", "us", "ns"]))
def test_instants_of_any_unit(values: list[int | None], unit: str) -> None:
    found, blamed = cast(pa.array(values, pa.timestamp(unit, "Europe/Berlin")), type="timestamp")
    for row, value in enumerate(values):
        micros = None if value is None else value * D(10**6) / {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        wanted = None
        if micros is not None and micros == int(micros) and -62135596800000000 <= micros < 253402300800000000:
            wanted = dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(microseconds=int(micros))
        assert found[row] == wanted
        assert (row in blamed) == (value is not None and wanted is None)


def test_local_times() -> None:
    zone = "Europe/Berlin"
    times = [dt.datetime(2024, 7, 1, 12), None, dt.datetime(2024, 3, 31, 2, 30), dt.datetime(2024, 10, 27, 2, 30)]
    array = pa.array(times, pa.timestamp("ms"))
    noon = dt.datetime(2024, 7, 1, 10, tzinfo=UTC)
    twice = dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found, blamed = cast(array, type="timestamp", timezone=zone)
    assert (found, blamed) == ([noon, None, None, twice], {2: "no_such_time"})
    late = twice + dt.timedelta(hours=1)
    assert cast(array, type="timestamp", timezone=zone, ambiguous="latest")[0][3] == late
    _, blamed = cast(array, type="timestamp", timezone=zone, ambiguous="reject")
    assert blamed == {2: "no_such_time", 3: "ambiguous_time"}
    assert cast(array[:2], type="timestamp", timezone="UTC")[0] == [dt.datetime(2024, 7, 1, 12, tzinfo=UTC), None]
    assert cast(array, type="timestamp")[1] == dict.fromkeys((0, 2, 3), "bad_value")


def test_dates() -> None:
    day, late = dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 0, 1)
    assert cast(pa.array([day, None]), type="date") == ([day, None], {})
    assert cast(pa.array([day, None]).cast(pa.date64()), type="date") == ([day, None], {})
    assert cast(pa.array([dt.datetime(2024, 2, 29), late]), type="date") == ([day, None], {1: "bad_value"})
    assert cast(pa.array([10**7, -(10**7)], pa.int32()).cast(pa.date32()), type="date")[1] == {
        0: "bad_value",
        1: "bad_value",
    }
    assert cast(pa.array([86_400_001], pa.int64()).view(pa.date64()), type="date")[1] == {0: "bad_value"}


def test_text_is_read_as_that_of_csv() -> None:
    assert cast(pa.array(["1", "x", None]), type="int8") == ([1, None, None], {1: "bad_value"})
    texts = pa.array(["2024-01-31", "2024-02-31"], pa.large_string())
    assert cast(texts, type="date") == ([dt.date(2024, 1, 31), None], {1: "bad_value"})
    assert cast(pa.array(["true", "no"], pa.string_view()).dictionary_encode(), type="bool")[1] == {1: "bad_value"}


@pytest.mark.parametrize("make", [pa.list_, pa.large_list, pa.list_view, lambda item: pa.list_(item, 2)])
def test_lists_item_by_item(make: Any) -> None:
    values = pa.array([[1, 2], None, [3, 300], [None, 4], [400, 500]], make(pa.int32()))
    wanted = ([[1, 2], None, None, [None, 4], None], {2: "bad_value", 4: "bad_value"})
    assert cast(values, type="list<int8>", size=2) == wanted
    assert cast(values.slice(1, 3), type="list<int8>", size=2) == (wanted[0][1:4], {1: "bad_value"})


def test_lists_of_strings_and_nothing() -> None:
    values = pa.array([[b"a", b"\xff"], [], None, [b"b"]], pa.list_(pa.binary()))
    assert cast(values, type="list<string>") == ([None, [], None, ["b"]], {0: "not_utf8"})
    assert cast(pa.array([[None], []], pa.list_(pa.null())), type="list<float32>") == ([[None], []], {})
    assert cast(pa.nulls(2), type="string") == ([None, None], {})


def test_dictionaries_stay_and_lose_what_is_wrong() -> None:
    words = pa.array([b"a", b"\xff", b"c", None], pa.binary())
    encoded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None, 3, 0], pa.int16()), words)
    spec = Column(type="string")
    verdict = Verdict(6)
    made = cast_values(encoded, "a", spec, pa.dictionary(pa.int32(), pa.string()), verdict)
    assert made.to_pylist() == ["a", None, "c", None, None, "a"]
    assert made.dictionary.to_pylist() == ["a", "c"]
    assert made.null_count == 3
    assert np.flatnonzero(verdict.guilty).tolist() == [1]
    few = pa.DictionaryArray.from_arrays(pa.array([2, 0]), words)
    assert cast(few, type="string") == (["c", "a"], {})
    assert cast(pa.array([300, 1, 300, None]).dictionary_encode(), type="int8")[0] == [None, 1, None, None]


@pytest.mark.parametrize(
    ("type", "column", "said"),
    [
        (pa.struct([("country", pa.string())]), {"type": "string"}, "from"),
        (pa.list_(pa.int8()), {"type": "int8"}, "write type: list<int8>"),
        (pa.int8(), {"type": "list<int8>"}, "write type: int8"),
        (pa.float32(), {"type": "string"}, "write type: float32"),
        (pa.int64(), {"type": "timestamp"}, "write type: int64"),
        (pa.float64(), {"type": "decimal"}, "write type: float64"),
        (pa.timestamp("ns"), {"type": "timestamp"}, "timezone"),
        (pa.timestamp("ns", "UTC"), {"type": "date"}, "zone"),
        (pa.map_(pa.string(), pa.int8()), {"type": "string"}, "holds map"),
        (pa.duration("s"), {"type": "int64"}, "holds duration"),
        (pa.decimal256(70, 2), {"type": "string"}, "holds decimal256"),
        (pa.dictionary(pa.int8(), pa.bool_()), {"type": "float32"}, "write type: bool"),
    ],
)
def test_what_can_never_work_is_said(type: pa.DataType, column: dict[str, Any], said: str) -> None:
    assert said in (castable(type, Column(**column)) or "")
    found, blamed = cast(pa.nulls(2, type), **column)
    assert (found, blamed) == ([None, None], {})


def test_a_value_of_such_a_type_is_blamed() -> None:
    assert cast(pa.array([{"a": 1}, None]), type="string")[1] == {0: "bad_value"}
    assert cast(pa.array([[1], None]), type="int8")[1] == {0: "bad_value"}
    assert cast(pa.array([1.5, None]), type="string")[1] == {0: "bad_value"}


def test_every_type_either_casts_or_is_refused() -> None:
    types = [*INTEGERS, pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string()]
    types += [
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.binary(3),
        pa.date32(),
        pa.date64(),
    ]
    types += [pa.time32("ms"), pa.time64("ns"), pa.duration("s"), pa.decimal128(9, 2), pa.decimal256(50, 2), pa.null()]
    types += [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")]
    types += [pa.uuid(), pa.struct([("x", pa.int8())]), pa.map_(pa.string(), pa.int8()), pa.month_day_nano_interval()]
    columns = [*NAMES, "float32", "float64", "bool", "string", "binary", "date", "timestamp", "decimal(9, 2)"]
    some = struct.pack("<32q", *range(32))
    for type in [*types, *map(pa.list_, types)]:
        for name in [*columns, *(f"list<{name}>" for name in columns)]:
            spec = Column(type=name)
            assert isinstance(castable(type, spec), str | None)
            cast(pa.nulls(3, type), type=name)
            if pa.types.is_primitive(type):
                made = pa.Array.from_buffers(type, 4, [None, pa.py_buffer(some)])
                _, blamed = cast(made, type=name)
                assert castable(type, spec) is None or len(blamed) == 4
