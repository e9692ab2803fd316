from __future__ import annotations

import pyarrow as pa
import pytest
from deltalake import Schema

from highbeam.schemas.errors import UsageError
from highbeam.transforms.tables.columns import conform, grown, table_schema

CASES = [
    (pa.int8(), pa.int8()),
    (pa.int64(), pa.int64()),
    (pa.uint8(), pa.int16()),
    (pa.uint16(), pa.int32()),
    (pa.uint32(), pa.int64()),
    (pa.float32(), pa.float32()),
    (pa.float16(), pa.float32()),
    (pa.bool_(), pa.bool_()),
    (pa.string(), pa.string()),
    (pa.large_string(), pa.string()),
    (pa.dictionary(pa.int32(), pa.string()), pa.string()),
    (pa.dictionary(pa.int8(), pa.uint32()), pa.int64()),
    (pa.binary(), pa.binary()),
    (pa.binary(16), pa.binary()),
    (pa.date32(), pa.date32()),
    (pa.decimal128(38, 9), pa.decimal128(38, 9)),
    (pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
    (pa.timestamp("ns", "America/New_York"), pa.timestamp("us", "UTC")),
    (pa.list_(pa.uint32()), pa.list_(pa.int64())),
    (pa.list_(pa.float32(), 4), pa.list_(pa.float32())),
    (
        pa.list_(pa.struct([("label", pa.dictionary(pa.int32(), pa.string())), ("score", pa.float32())])),
        pa.list_(pa.struct([("label", pa.string()), ("score", pa.float32())])),
    ),
]


@pytest.mark.parametrize(("given", "held"), CASES, ids=[str(case[0]) for case in CASES])
def test_a_type_becomes_one_that_delta_has(given: pa.DataType, held: pa.DataType) -> None:
    schema = table_schema(pa.schema([pa.field("x", given, nullable=False)]))
    assert schema == pa.schema([("x", held), ("date", pa.string())])
    assert schema.field("x").nullable
    assert pa.schema(Schema.from_arrow(schema).to_arrow()) == schema
    assert table_schema(schema) == schema


@pytest.mark.parametrize(
    "type", [pa.uint64(), pa.timestamp("us"), pa.time64("us"), pa.decimal256(50, 2), pa.list_(pa.uint64())]
)
def test_a_type_that_delta_lacks_is_refused(type: pa.DataType) -> None:
    with pytest.raises(UsageError, match="column x: a Delta table has no type for"):
        table_schema(pa.schema([("x", type)]))


def test_a_table_grows_at_its_end_whatever_the_order() -> None:
    table = pa.schema([("a", pa.int64()), ("date", pa.string())])
    ours = pa.schema([("z", pa.string()), ("date", pa.string()), ("a", pa.int64())])
    schema, problems = grown(table, ours)
    assert schema.names == ["a", "date", "z"]
    assert problems == []


def test_every_lost_and_changed_column_is_named() -> None:
    table = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.list_(pa.float32()))])
    _, problems = grown(table, pa.schema([("a", pa.int32()), ("c", pa.list_(pa.float64()))]))
    assert problems == [
        "column b is in the table and no longer in the job",
        "column a is int64 in the table and would become int32",
        "column c is list<float32> in the table and would become list<float64>",
    ]


def test_conform_fills_what_an_old_file_lacks() -> None:
    schema = pa.schema([("a", pa.int64()), ("date", pa.string()), ("new", pa.list_(pa.string()))])
    rows = conform(pa.table({"a": [1, 2], "gone": [3, 4]}), schema, {"date": "2026-01-01"})
    assert rows.schema == schema
    assert rows.to_pylist() == [{"a": n, "date": "2026-01-01", "new": None} for n in (1, 2)]
