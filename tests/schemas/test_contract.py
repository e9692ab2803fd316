"""The type table: column -> Arrow in a Batch -> feature of the graph."""

from __future__ import annotations

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
        ({"type": "list<int32>"}, pa.list_(pa.int32()), ("varlen", "int64", None)),
        ({"type": "list<string>", "ragged": True}, pa.list_(pa.string()), ("ragged", "string", None)),
        ({"type": "timestamp"}, pa.timestamp("us", "UTC"), ("fixed", "int64", None)),
        ({"type": "decimal(9, 2)"}, pa.decimal128(9, 2), None),
        ({"type": "decimal(9, 2)", "as": "float32"}, pa.decimal128(9, 2), ("fixed", "float32", None)),
        ({"type": "date"}, pa.date32(), None),
        ({"type": "date", "as": "int64"}, pa.date32(), ("fixed", "int64", None)),
    ],
)
def test_type_table(spec: dict, arrow: pa.DataType, feature: tuple | None) -> None:
    contract = Contract({"x": Column.model_validate(spec)})
    assert contract.schema.field("x").type == arrow
    found = features(contract).get("x")
    assert (found and (found.kind, found.dtype, found.size)) == feature


def test_a_key_string_stays_plain() -> None:
    contract = Contract({"k": Column(type="string"), "s": Column(type="string")}, ("k",))
    assert contract.schema.types == [pa.string(), DICTIONARY]


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "float16"},
        {"type": "list<list<int64>>"},
        {"type": "int64", "size": 2},
        {"type": "int64", "min": "x"},
        {"type": "bool", "default": 1},
        {"type": "int8", "max": 300},
        {"type": "string", "values": [1]},
        {"type": "float32", "pattern": "x"},
        {"type": "float32", "timezone": "UTC"},
        {"type": "list<int64>", "min": 1},
        {"type": "timestamp", "default": "yesterday"},
        {"type": "list<int64>", "size": 2, "ragged": True},
    ],
)
def test_a_column_that_cannot_be_meant_is_refused(spec: dict) -> None:
    with pytest.raises(ValidationError):
        Column.model_validate(spec)


def test_refused_types_say_why() -> None:
    with pytest.raises(ValueError, match="microseconds"):
        parse_type("timestamp[ns]")
