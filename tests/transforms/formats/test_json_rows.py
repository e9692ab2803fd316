"""Rows of typed files as JSON: every value that a file may hold is shown somehow."""

from __future__ import annotations

import json
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from highbeam.transforms.formats.json_rows import json_rows, taken

FAR = 1_385_900_000_000_000_000  # nanoseconds that were stored as microseconds


def stored(values: list[Any], type: pa.DataType) -> pa.Array:
    """Integers as what is stored of another type."""
    return pa.array(values, pa.int32() if type.bit_width == 32 else pa.int64()).view(type)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (pa.array([-(2**63), None]), [-(2**63), None]),
        (pa.array([True, False]), [True, False]),
        (pa.array([1.5, None, float("nan"), float("-inf")], pa.float16()), [1.5, None, "nan", "-inf"]),
        (pa.array([0.1, 1e300]), [0.1, 1e300]),
        (pa.array([Decimal("1.20"), None]), ["1.20", None]),
        (pa.array(["é", None], pa.string_view()), ["é", None]),
        (pa.array([b"\xff", b"e"]).view(pa.string()), ["\udcff", "e"]),
        (pa.array([b"\x00", None], pa.binary_view()), ["AA==", None]),
        (stored([FAR, 0], pa.timestamp("us", "UTC")), [FAR, "1970-01-01T00:00:00Z"]),
        (stored([1, None], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001", None]),
        (stored([0, 1], pa.timestamp("s", "Mars/Base")), [0, 1]),
        (stored([2**30, 0], pa.date32()), [2**30, "1970-01-01"]),
        (stored([2**62, 5], pa.duration("s")), [2**62, "0:00:05"]),
        (pa.array([time(1, 2, 3), None]), ["01:02:03", None]),
        (pa.array([timedelta(seconds=5)]), ["0:00:05"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.nulls(2), [None, None]),
        (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), [[["a", 1]], None]),
        (pa.array([[1.5, float("nan")], None], pa.list_(pa.float32(), 2)), [[1.5, "nan"], None]),
        (pa.array([["a"], None, []], pa.list_view(pa.string())), [["a"], None, []]),
        (pa.array([[{"x": [None, "s"]}], None]), [[{"x": [None, "s"]}], None]),
        (pa.array([{}, None], pa.struct([])), [{}, None]),
        (pa.StructArray.from_arrays([pa.array([1]), pa.array([3])], ["a", "a"]), [{"a": 3}]),
        (pa.StructArray.from_arrays([pa.array(["a", None]).dictionary_encode()], ["k"]), [{"k": "a"}, {"k": None}]),
        (
            pa.UnionArray.from_dense(
                pa.array([1, 0], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([7]), pa.array(["q"])]
            ),
            ["q", 7],
        ),
    ],
    ids=lambda found: str(found.type) if isinstance(found, pa.Array) else "",
)
def test_every_value_is_shown(values: pa.Array, shown: list[Any]) -> None:
    rows = pa.RecordBatch.from_arrays([values], ["v"])
    found = [json.loads(row)["v"] for row in json_rows(rows)]
    assert found == shown
    back = pa.array(range(len(values) - 1, -1, -1))
    assert json_rows(taken(rows, back)) == json_rows(rows)[::-1]
    assert json_rows(rows.slice(1)) == json_rows(rows)[1:]


def test_no_rows() -> None:
    rows = pa.RecordBatch.from_arrays([pa.array(["a"], pa.string_view())], ["v"])
    assert json_rows(taken(rows, pa.array([], pa.int64()))) == []
