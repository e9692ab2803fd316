from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given
from hypothesis import strategies as st

from highbeam.schemas.batch import OFFSET, Batch
from highbeam.schemas.contract import Contract
from highbeam.schemas.reasons import REASONS
from highbeam.schemas.split import Split
from highbeam.transforms.rules import column_rules
from highbeam.transforms.validate import Validate, validate

from tests.support.csv_files import contract

SPLIT = Split(0, "in.csv", "in.csv", 0, "m", 4, None)
NAN, INF = float("nan"), float("inf")
OK = None


def batch(what: Contract, columns: dict[str, list[Any]]) -> Batch:
    arrays = []
    for name, values in columns.items():
        array = pa.array(values, what.columns[name].typed.arrow)
        encoded = pa.types.is_dictionary(what.arrow_type(name))
        arrays.append(array.dictionary_encode() if encoded else array)
    n = len(arrays[0])
    rows = pa.RecordBatch.from_arrays(
        [*arrays, pa.array(range(0, 10 * n, 10), pa.int64())], schema=what.schema.append(pa.field(OFFSET, pa.int64()))
    )
    return Batch(SPLIT, 0, True, n, rows)


DAY = dt.datetime(2013, 7, 4, tzinfo=dt.timezone.utc)

# One column x: what it must be, values, and for each the reason, if it is turned away.
CASES: list[tuple[Any, list[Any], list[str | None]]] = [
    ("int64", [1, None], [OK, "null"]),
    ("string", ["a", None], [OK, "null"]),
    ({"type": "int64", "nullable": True}, [1, None], [OK, OK]),
    ({"type": "int64", "min": 0, "max": 9}, [-1, 0, 9, 10], ["below_min", OK, OK, "above_max"]),
    ({"type": "int64", "min": 0, "nullable": True}, [-1, None, 1], ["below_min", OK, OK]),
    ({"type": "float32", "min": 0.1}, [0.1, 0.09], [OK, "below_min"]),
    ("float32", [1.5, NAN, INF, -INF], [OK, "not_finite", "not_finite", "not_finite"]),
    ({"type": "float64", "nullable": True}, [1.5, None, NAN], [OK, OK, "not_finite"]),
    ({"type": "float32", "allow_nan": True, "max": 1}, [NAN, INF, -INF], [OK, "above_max", OK]),
    ({"type": "string", "values": ["UA", "AA"]}, ["UA", "ZZ", "AA", ""], [OK, "not_in_values", OK, "not_in_values"]),
    ({"type": "int8", "values": [1, 2], "nullable": True}, [1, 3, None], [OK, "not_in_values", OK]),
    ({"type": "bool", "values": [True]}, [True, False], [OK, "not_in_values"]),
    ({"type": "string", "min": "b", "max": "c"}, ["a", "b", "c", "ca"], ["below_min", OK, OK, "above_max"]),
    ({"type": "string", "pattern": "[a-z]+|1"}, ["ab", "1", "a1", "ab\n"], [OK, OK, "pattern", "pattern"]),
    ({"type": "string", "max_length": 2}, ["éé", "abc"], [OK, "too_long"]),
    ({"type": "binary", "max_length": 2}, [b"ab", "é!".encode()], [OK, "too_long"]),
    ({"type": "date", "min": "2013-07-04"}, [DAY.date(), dt.date(2013, 7, 3)], [OK, "below_min"]),
    ({"type": "timestamp", "max": "2013-07-04T00:00:00Z"}, [DAY, DAY.replace(hour=1)], [OK, "above_max"]),
    ({"type": "decimal(5, 2)", "min": 0}, [Decimal("0.00"), Decimal("-0.01")], [OK, "below_min"]),
    ({"type": "list<float32>", "size": 2}, [[1, 2], [1], [], None], [OK, "wrong_size", "wrong_size", "null"]),
    ({"type": "list<float32>", "max_length": 1}, [[1], [], [1, 2]], [OK, OK, "too_long"]),
    ({"type": "list<int64>", "min": 0, "max": 9}, [[0, 9], [], [1, -1], [10]], [OK, OK, "below_min", "above_max"]),
    ({"type": "list<int64>", "min": 0, "nullable": True}, [None, [-1], [0]], [OK, "below_min", OK]),
    ({"type": "list<string>", "values": ["a", "b"]}, [["a", "b", "a"], ["a", "z"], []], [OK, "not_in_values", OK]),
    ({"type": "list<string>", "pattern": "[a-z]"}, [["a"], ["a", "aa"], ["A"]], [OK, "pattern", "pattern"]),
    ({"type": "list<date>", "min": "2013-07-04"}, [[DAY.date()], [dt.date(2013, 7, 3)]], [OK, "below_min"]),
    ({"type": "list<float32>"}, [[1], [NAN, 1], [None], [], [2, INF]], [OK, "not_finite", "null", OK, "not_finite"]),
]


def reasons_by_row(after: Batch) -> list[str | None]:
    gone = dict(zip(after.rejected["offset"].to_pylist(), after.rejected["reason"].to_pylist(), strict=True))
    alive = set(after.rows[OFFSET].to_pylist())
    return [gone[at] if at not in alive else OK for at in range(0, 10 * after.read, 10)]


@pytest.mark.parametrize(("spec", "values", "reasons"), CASES, ids=[str(case[0]) for case in CASES])
def test_each_rule(spec: Any, values: list[Any], reasons: list[str | None]) -> None:
    what = contract({"x": spec})
    after = validate(batch(what, {"x": values}), what)
    assert reasons_by_row(after) == reasons
    assert set(after.rejected["stage"].to_pylist()) <= {"validate"}
    for one, reason in zip(values, reasons, strict=True):  # its neighbours have no say
        assert reasons_by_row(validate(batch(what, {"x": [one]}), what)) == [reason]


def test_the_transform_does_the_same() -> None:
    batches = [(contract({"x": spec}), values, reasons) for spec, values, reasons in CASES[:6]]
    with beam.Pipeline("FnApiRunner") as pipeline:
        for number, (what, values, reasons) in enumerate(batches):
            given_ = pipeline | f"{number}" >> beam.Create([batch(what, {"x": values})], reshuffle=False)
            after = given_ | f"validate {number}" >> Validate(what)
            assert after.element_type is Batch

            def check(found: list[Batch], expected: list[str | None] = reasons) -> None:
                assert [reasons_by_row(one) for one in found] == [expected]

            assert_that(after, check, label=f"check {number}")


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        ({"type": "float32", "min": 0}, -5.0, "column x: -5 is below the min, 0"),
        ({"type": "string", "values": list("abcdefghij")}, "Z",
         "column x: 'Z' is not one of a, b, c, d, e, f, g, h and 2 more"),
        ({"type": "string", "pattern": "[a-z]"}, "A'", "column x: 'A'' does not match the pattern [a-z]"),
        ({"type": "string", "max_length": 3}, "x" * 200, f"column x: '{'x' * 80}…' is longer than 3 characters"),
        ("string", None, "column x: null, and the column is not nullable"),
        ({"type": "string", "from": "geo.contry"}, None,
         "column x: no value in geo.contry, and the column is not nullable"),
        ("float32", NAN, "column x: nan is not finite"),
        ("float32", -INF, "column x: -inf is not finite: infinite, or too large for a float32"),
        ({"type": "list<int8>", "size": 3}, [1], "column x: [1] does not have 3 items"),
        ({"type": "list<int8>", "min": 3}, [1], "column x: [1] has an item that is below the min, 3"),
    ],
)  # fmt: skip
def test_a_message_names_column_value_and_rule(spec: Any, value: Any, message: str) -> None:
    what = contract({"x": spec})
    assert validate(batch(what, {"x": [value]}), what).rejected["message"].to_pylist() == [message]


@pytest.mark.parametrize(
    ("spec", "values", "filled"),
    [
        ({"type": "float32", "default": 7, "max": 7}, [None, 1], [7, 1]),
        ({"type": "string", "default": "UA", "nullable": True}, [None, "AA", "UA"], ["UA", "AA", "UA"]),
        ({"type": "string", "default": "UA"}, [None, "AA"], ["UA", "AA"]),
        ({"type": "string", "default": "UA"}, [None, None], ["UA", "UA"]),
        ({"type": "timestamp", "default": "2013-07-04T00:00:00Z"}, [None], [DAY]),
        ({"type": "list<int8>", "default": [1]}, [None, [2]], [[1], [2]]),
    ],
)
def test_defaults_are_filled_before_the_rules(spec: Any, values: list[Any], filled: list[Any]) -> None:
    what = contract({"x": spec})
    before = batch(what, {"x": values})
    after = validate(before, what)
    assert after.rows["x"].to_pylist() == filled
    assert after.rows.schema == before.rows.schema
    if pa.types.is_dictionary(after.rows["x"].type):
        dictionary = after.rows["x"].dictionary.to_pylist()
        assert None not in dictionary
        assert len(set(dictionary)) == len(dictionary)


def test_the_first_broken_rule_stands_in_column_order_then_rule_order() -> None:
    what = contract({"b": {"type": "int64", "min": 0}, "a": {"type": "string", "values": ["x"], "max_length": 1}})
    after = validate(batch(what, {"b": [-1, 1, 1, None], "a": ["yy", "yy", "x", None]}), what)
    assert reasons_by_row(after) == ["below_min", "not_in_values", OK, "null"]
    assert after.rows["a"].to_pylist() == ["x"]


def test_keys_are_not_null_and_not_too_long() -> None:
    what = contract({"k": "string", "n": "int64", "m": "string"}, ("k", "m"))
    keys = ["k", None, "x" * 1024, "x" * 1024, "é" * 513]
    after = validate(batch(what, {"k": keys, "n": [1] * 5, "m": ["", "b", "", "y", ""]}), what)
    assert reasons_by_row(after) == [OK, "null_key", OK, "key_too_long", "key_too_long"]
    assert after.rejected["message"].to_pylist()[1] == "key k, m: 1025 bytes, at most 1024 are allowed"
    assert after.rejected["key"].to_pylist()[1].startswith('{"k": "xxx')


def test_nothing_is_copied_when_nothing_is_wrong() -> None:
    what = contract({"x": {"type": "float32", "min": 0, "default": 1}})
    before = batch(what, {"x": [1.0, 2.0]})
    assert validate(before, what) is before


def test_an_empty_batch_passes() -> None:
    what = contract({"x": {"type": "string", "values": ["a"]}, "y": "list<float32>"})
    assert validate(batch(what, {"x": [], "y": []}), what).read == 0


RANGE = contract(
    {"x": {"type": "int64", "min": -3, "max": 3, "nullable": True}, "s": {"type": "string", "pattern": "a*"}}
)


@given(st.lists(st.tuples(st.none() | st.integers(-5, 5), st.none() | st.text("ab", max_size=3))))
def test_a_row_passes_if_and_only_if_it_keeps_the_contract(pairs: list[tuple[int | None, str | None]]) -> None:
    columns: dict[str, list[Any]] = {"x": [x for x, _ in pairs], "s": [s for _, s in pairs]}
    after = validate(batch(RANGE, columns), RANGE)
    sound = [(x is None or -3 <= x <= 3) and s is not None and set(s) <= {"a"} for x, s in pairs]
    assert [reason is OK for reason in reasons_by_row(after)] == sound
    assert after.read == len(pairs)


def test_every_reason_is_explained() -> None:
    given_ = {reason for _, _, reasons in CASES for reason in reasons if reason} | {"null_key", "key_too_long"}
    assert given_ <= set(REASONS)
    everything = {"min": 0, "max": 1, "values": [1]}
    numbers = contract({"x": {"type": "float32", **everything}}).columns["x"]
    assert {rule.reason for rule in column_rules(numbers)} <= set(REASONS)
