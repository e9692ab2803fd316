from __future__ import annotations

import datetime
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.schemas.keys import json_value, key_text

NOON = datetime.datetime(2013, 12, 1, 12, tzinfo=datetime.timezone.utc)
TYPES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int8": (pa.int8(), st.integers(-128, 127)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "string": (pa.string(), st.text(st.characters(exclude_categories=["Cs"]))),
    "date": (pa.date32(), st.dates()),
    "timestamp": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(datetime.timezone.utc))),
}


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_a_key_is_the_json_of_its_value(name: str, data: st.DataObject) -> None:
    type, values = TYPES[name]
    column = data.draw(st.lists(st.none() | values, max_size=5))
    rows = pa.record_batch({"k": pa.array(column, type)})
    expected = [None if v is None else json.dumps(json_value(v), ensure_ascii=False) for v in column]
    assert key_text(rows, ["k"]).to_pylist() == expected


def test_a_composite_key_is_an_object_in_the_keys_order() -> None:
    rows = pa.record_batch({"a": ['x"', None, "z"], "b": [1, 2, None], 'c"': pa.array([NOON] * 3)})
    first, *others = key_text(rows, ["b", "a", 'c"']).to_pylist()
    assert first == '{"b": 1, "a": "x\\"", "c\\"": "2013-12-01T12:00:00Z"}'
    assert others == [None, None]


def test_dictionaries_are_what_they_stand_for() -> None:
    rows = pa.record_batch({"k": pa.array(["x", None, "x\n"]).dictionary_encode()})
    assert key_text(rows, ["k"]).to_pylist() == ['"x"', None, '"x\\n"']


@pytest.mark.parametrize("key", [[], ["k", "absent"]])
def test_a_key_that_rows_do_not_have_is_null(key: list[str]) -> None:
    assert key_text(pa.record_batch({"k": [1]}), key).to_pylist() == [None]
