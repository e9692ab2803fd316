"""The type table: column -> Arrow in a Batch -> feature of the graph."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from highbeam.schemas.contract import Column, Contract
from highbeam.schemas.features import features
from highbeam.schemas.types import parse_type

DICTIONARY = pa.dictionary(pa.int32(), pa.string())


@pytest.mark.parametrize(
    ("spec", "arrow", "feature"),
    [
        ({"type": "int64"}, pa.int64(), ("fixed", "int64", None)),
        ({"type": "int8"}, pa.int8(), ("fixed", "int64", None)),
        ({"type": "uint32"}, pa.uint32(), ("fixed", "int64", None)),
        ({"type": "bool"}, pa.bool_(), ("fixed", "int64", None)),
        ({"type": "float32"}, pa.float32(), ("fixed", "float32", None)),
        ({"type": "float64"}, pa.float64(), ("fixed", "float32", None)),
        ({"type": "string"}, DICTIONARY, ("fixed", "string", None)),
        ({"type": "binary"}, pa.binary(), ("fixed", "string", None)),
        ({"type": "string", "nullable": True}, DICTIONARY, ("varlen", "string", None)),
        ({"type": "float32", "nullable": True, "default": 0}, pa.float32(), ("fixed", "float32", None)),
        ({"type": "list<float32>", "size": 3}, pa.list_(pa.float32()), ("fixed", "float32", 3)),
        ({"type": "list<float32>", "size": 3, "nullable": True}, pa.list_(pa.float32()), ("varlen", "float32", None)),
        (
            {"type": "list<int8>", "size": 1, "nullable": True, "default": [0]},
            pa.list_(pa.int8()),
            ("fixed", "int64", 1),
        ),
        ({"type": "list<int32>"}, pa.list_(pa.int32()), ("varlen", "int64", None)),
        ({"type": "list<string>", "ragged": True}, pa.list_(pa.string()), ("ragged", "string", None)),
        ({"type": "timestamp"}, pa.timestamp("us", "UTC"), ("fixed", "int64", None)),
        ({"type": "decimal(9, 2)"}, pa.decimal128(9, 2), None),
        ({"type": "decimal(9, 2)", "as": "float32"}, pa.decimal128(9, 2), ("fixed", "float32", None)),
        ({"type": "date"}, pa.date32(), None),
        ({"type": "date", "as": "int64"}, pa.date32(), ("fixed", "int64", None)),
    ],
)
def test_type_table(spec: dict[str, Any], arrow: pa.DataType, feature: tuple[Any, ...] | None) -> None:
    contract = Contract({"x": Column.model_validate(spec)})
    assert contract.schema.field("x").type == arrow
    found = features(contract).get("x")
    assert (found and (found.kind, found.dtype, found.size)) == feature


def test_a_key_string_stays_plain() -> None:
    contract = Contract({"k": Column(type="string"), "s": Column(type="string")}, ("k",))
    assert contract.schema.types == [pa.string(), DICTIONARY]


REFUSED = [
    ({"type": "float16"}, "write float32"),
    ({"type": "list<list<int64>>"}, "lists hold plain values"),
    ({"type": "decimal(40, 2)"}, "a decimal has 1 to 38 digits"),
    ({"type": "decimal(2, 5)"}, "a decimal has 1 to 38 digits"),
    ({"type": "int64", "size": 2}, "size belongs to list<type>"),
    ({"type": "int64", "min": "x"}, "min: 'x' is not an int64"),
    ({"type": "int64", "min": 0.5}, "min: 0.5 is not an int64"),
    ({"type": "bool", "default": 1}, "default: 1 is not a bool"),
    ({"type": "int8", "max": 300}, "max: 300 is not an int8"),
    ({"type": "string", "values": [1]}, "values: 1 is not a string; write it in quotes"),
    ({"type": "string", "values": ["a", None]}, "values: null is the absence of a value"),
    ({"type": "string", "values": []}, "values: an empty list allows no value"),
    ({"type": "float32", "pattern": "x"}, "pattern belongs to string"),
    ({"type": "string", "pattern": "("}, "pattern: ( is no RE2 pattern: missing )"),
    ({"type": "float32", "max_length": 3}, "max_length belongs to string, binary and list<type>"),
    ({"type": "int64", "allow_nan": True}, "allow_nan belongs to float32 and float64"),
    ({"type": "float32", "timezone": "UTC"}, "timezone belongs to timestamp"),
    ({"type": "bool", "min": True}, "min and max need values that have an order"),
    ({"type": "int64", "min": 2, "max": 1}, "min 2 is above max 1"),
    ({"type": "date", "min": "2013-12-02", "max": "2013-12-01"}, "min 2013-12-02 is above max 2013-12-01"),
    ({"type": "list<int64>", "min": 2, "max": 1}, "min 2 is above max 1"),
    ({"type": "list<int64>", "size": 3, "max_length": 2}, "size 3 is above max_length 2"),
    ({"type": "timestamp", "default": "yesterday"}, "default: 'yesterday' is not a timestamp"),
    ({"type": "list<int64>", "size": 2, "ragged": True}, "ragged and size exclude each other"),
    ({"type": "list<int64>", "default": 1}, "default: 1 is not a list<int64>"),
    ({"type": "list<int64>", "default": ["a"]}, "default: ['a'] is not a list<int64>"),
    # a default that the column's own rules would turn away
    ({"type": "int64", "default": 9, "max": 5}, "default: 9 is above the max, 5"),
    ({"type": "float32", "default": -1, "min": 0}, "default: -1 is below the min, 0"),
    ({"type": "timestamp", "default": "2013-01-01T00:00:00Z", "min": "2014-01-01T00:00:00Z"}, "is below the min"),
    ({"type": "string", "default": "C", "values": ["A", "B"]}, "default: 'C' is not among the values"),
    ({"type": "string", "default": "ab", "pattern": "a"}, "default: 'ab' does not match the pattern a"),
    ({"type": "string", "default": "ééé", "max_length": 2}, "default: 'ééé' is longer than 2 characters"),
    ({"type": "binary", "default": "é", "max_length": 1}, "default: 'é' is longer than 1 bytes"),
    ({"type": "float32", "default": float("nan")}, "default: nan is not finite"),
    ({"type": "list<int64>", "default": [1], "size": 2}, "default: [1] does not have 2 items"),
    ({"type": "list<int64>", "default": [1, 2], "max_length": 1}, "default: [1, 2] is longer than 1 items"),
    ({"type": "list<string>", "default": ["A", "C"], "values": ["A"]}, "default: ['A', 'C'] is not among the values"),
]


@pytest.mark.parametrize(("spec", "message"), REFUSED, ids=[str(spec) for spec, _ in REFUSED])
def test_a_column_that_cannot_be_meant_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        Column.model_validate(spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "int64", "default": 5, "min": 5, "max": 5, "values": [5]},
        {"type": "int64", "default": 5.0},
        {"type": "float32", "default": 0.1, "min": 0.1},  # as float32 both
        {"type": "float32", "default": float("nan"), "allow_nan": True},
        {"type": "string", "default": "éé", "max_length": 2, "pattern": "é+"},
        {"type": "decimal(5, 2)", "default": 1.25, "max": "1.25"},
        {"type": "list<decimal(5, 2)>", "default": [1.25], "min": 1},
        {"type": "list<date>", "default": ["2013-12-01"], "max": "2013-12-01"},
        {"type": "list<float32>", "default": [0, 1], "size": 2, "min": 0, "max": 1},
        {"type": "list<string>", "default": [], "values": ["A"], "pattern": "[A-Z]"},
    ],
    ids=str,
)
def test_a_default_that_keeps_the_rules_is_taken(spec: dict[str, Any]) -> None:
    Column.model_validate(spec)


def test_refused_types_say_why() -> None:
    with pytest.raises(ValueError, match="microseconds"):
        parse_type("timestamp[ns]")
