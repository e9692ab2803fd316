from __future__ import annotations

from datetime import date, datetime, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.schemas.errors import UsageError
from highbeam.transforms.tables.asked import Asked, positions

NUMBERS = st.lists(st.integers(-20, 20), max_size=30)
PAIRS = st.lists(st.tuples(st.sampled_from(["", "a", "aé", "b", "😀"]), st.integers(0, 3)), max_size=30)
PAIR = pa.schema([("s", pa.string()), ("n", pa.int64())])


def one(values: list, type: pa.DataType | None = None) -> Asked:
    type = type or pa.int64()
    return Asked.of(pa.table({"k": pa.array(values, type)}), pa.schema([("k", type)]))


def pairs(values: list) -> pa.Table:
    return pa.Table.from_pylist([{"s": s, "n": n} for s, n in values], schema=PAIR)


def test_keys_are_kept_once_and_in_order() -> None:
    asked = one([3, 1, None, 3])
    assert asked.distinct["k"].to_pylist() == [1, 3]
    assert asked.place.tolist() == [1, 0, -1, 1]


def test_a_key_of_another_type_is_told() -> None:
    with pytest.raises(UsageError, match="not of the table's type \\(k: int8\\)"):
        Asked.of(pa.table({"k": [300]}), pa.schema([("k", pa.int8())]))


@given(NUMBERS, NUMBERS)
def test_positions_of_one_column(rows: list[int], known: list[int]) -> None:
    known = sorted(set(known))
    found = positions(pa.table({"k": pa.array(rows, pa.int64())}), pa.table({"k": pa.array(known, pa.int64())}))
    assert found.tolist() == [known.index(row) if row in known else -1 for row in rows]


@given(PAIRS, PAIRS)
def test_positions_of_several_columns(rows: list, known: list) -> None:
    known = sorted(set(known))
    found = positions(pairs(rows), pairs(known))
    assert found.tolist() == [known.index(row) if row in known else -1 for row in rows]


@given(NUMBERS, st.lists(st.tuples(st.integers(-25, 25), st.integers(0, 10)), min_size=1))
def test_spans_hold_exactly_the_keys_in_a_range(keys: list[int], ranges: list[tuple[int, int]]) -> None:
    low = [start for start, _ in ranges]
    high = [start + length for start, length in ranges]
    first, last = one(keys).spans([pa.array(low)], [pa.array(high)])
    known = sorted(set(keys))
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        assert known[first[i] : last[i]] == [key for key in known if a <= key <= b]


@given(PAIRS, st.lists(PAIRS.filter(bool), min_size=1, max_size=5))
def test_spans_never_miss_a_row_of_a_composite_key(keys: list, groups: list[list]) -> None:
    asked = Asked.of(pairs(keys), PAIR)
    ends = [
        [pa.array([end(row[i] for row in group) for group in groups], PAIR.field(i).type) for i in (0, 1)]
        for end in (min, max)
    ]
    first, last = asked.spans(*ends)
    known = sorted(set(keys))
    for i, group in enumerate(groups):
        assert set(known[first[i] : last[i]]) >= set(known) & set(group)


def test_the_second_column_bounds_where_the_first_is_constant() -> None:
    asked = Asked.of(pairs([("a", 1), ("a", 5), ("b", 2)]), PAIR)
    low = [pa.array(["a", "a", "a", "b"]), pa.array([0, 2, 2, 3])]
    high = [pa.array(["a", "a", "b", "b"]), pa.array([1, 4, 4, 9])]
    first, last = asked.spans(low, high)
    assert (last - first).tolist() == [1, 0, 3, 0]


def test_a_range_that_is_not_known_may_hold_any_key() -> None:
    first, last = one([1, 5]).spans([pa.array([None, 9], pa.int64())], [pa.array([3, 9])])
    assert (last - first).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("type", "low", "key", "high"),
    [
        (pa.string(), "z", "é", "😀"),
        (pa.date32(), date(1969, 1, 1), date(1970, 1, 1), date(2026, 1, 1)),
        (
            pa.timestamp("us", "UTC"),
            *(datetime(2026, 1, 1, 12, 0, 0, us, tzinfo=timezone.utc) for us in (1, 2, 3)),
        ),
        (pa.int64(), -(2**63), 2**53 + 1, 2**63 - 1),
    ],
)
def test_every_type_of_key_has_its_order(type: pa.DataType, low: object, key: object, high: object) -> None:
    ends = [pa.array([low, low, key], type)], [pa.array([high, low, key], type)]
    first, last = one([key], type).spans(*ends)
    assert (last - first).tolist() == [1, 0, 1]


@given(NUMBERS, NUMBERS)
def test_rows_come_in_the_order_asked(keys: list[int], rows: list[int]) -> None:
    asked = one(keys)
    place = positions(pa.table({"k": pa.array(rows, pa.int64())}), asked.distinct)
    held = [i for i in range(len(rows)) if place[i] >= 0]
    numbers, taken = asked.expand(place[held])
    assert list(zip(numbers.tolist(), np.asarray(held, int)[taken].tolist(), strict=True)) == [
        (n, i) for n, key in enumerate(keys) for i, row in enumerate(rows) if row == key
    ]
