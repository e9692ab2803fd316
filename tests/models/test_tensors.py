"""Columns as tensors: what arrives in the graph is what the column says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.models.runtime import tf
from highbeam.models.tensors import SMALL, BadColumn, Feed, assemble, cast_problem, component_specs, components
from highbeam.schemas.contract import Column

DICTIONARY = pa.dictionary(pa.int32(), pa.string())
_TRACED: dict[Feed, Any] = {}


def arrive(column: pa.Array, feed: Feed) -> Any:
    """The tensor inside a graph, through one trace a feed: other sizes must not need another."""
    if feed not in _TRACED:
        specs = [tf.TensorSpec([], tf.int64), *component_specs(feed)]
        body: Callable[..., Any] = lambda rows, *parts: assemble(feed, list(parts), rows)  # noqa: E731
        _TRACED[feed] = tf.function(body, input_signature=specs, autograph=False).get_concrete_function()
    return _TRACED[feed](tf.constant(len(column), tf.int64), *components(column, feed))


def text(values: list[str | None]) -> pa.Array:
    return pa.array(values, pa.string()).dictionary_encode()


NOON = datetime(2013, 12, 1, 12, tzinfo=timezone.utc)

FIXED = [
    (pa.array([1, 2], pa.int8()), Feed("c", "fixed", "int64"), [1, 2]),
    (pa.array([1, 2], pa.uint32()), Feed("c", "fixed", "int64"), [1, 2]),
    (pa.array([True, False]), Feed("c", "fixed", "int64"), [1, 0]),
    (pa.array([True, False]), Feed("c", "fixed", "bool"), [True, False]),
    (pa.array([0.5, 1e300], pa.float64()), Feed("c", "fixed", "float32"), [0.5, np.inf]),
    (pa.array([7, 8], pa.int32()), Feed("c", "fixed", "int32"), [7, 8]),
    (pa.array([NOON], pa.timestamp("us", "UTC")), Feed("c", "fixed", "int64"), [1385899200000000]),
    (text(["a", "", "a"]), Feed("c", "fixed", "string"), [b"a", b"", b"a"]),
    (pa.array(["ä", "b"]), Feed("c", "fixed", "string"), ["ä".encode(), b"b"]),
    (pa.array([b"\xff\x00", b""]), Feed("c", "fixed", "string"), [b"\xff\x00", b""]),
    (pa.array([[1, 2], [3, 4]], pa.list_(pa.int64())), Feed("c", "fixed", "int64", 2, True), [[1, 2], [3, 4]]),
    (pa.array([["a", ""], ["b", "a"]]), Feed("c", "fixed", "string", 2, True), [[b"a", b""], [b"b", b"a"]]),
    (pa.array([date(1970, 1, 3)]), Feed("c", "fixed", "int64", cast="int32"), [2]),
    (pa.array([date(1970, 1, 3)]), Feed("c", "fixed", "string", cast="string"), [b"1970-01-03"]),
    (pa.array([date(1970, 1, 2)]), Feed("c", "fixed", "int64", cast="timestamp"), [86400000000]),
    (pa.array([Decimal("1.25")]), Feed("c", "fixed", "float32", cast="float32"), [1.25]),
    (pa.array([2**24 + 1]), Feed("c", "fixed", "float32", cast="float32"), [float(2**24)]),
    (text(["12", "7"]), Feed("c", "fixed", "int64", cast="int64"), [12, 7]),
    (pa.array([3, 4]), Feed("c", "fixed", "string", cast="string"), [b"3", b"4"]),
]


@pytest.mark.parametrize(("column", "feed", "expected"), FIXED, ids=lambda value: str(getattr(value, "type", "")))
def test_fixed(column: pa.Array, feed: Feed, expected: list[Any]) -> None:
    assert arrive(column, feed).numpy().tolist() == expected


@pytest.mark.parametrize(("column", "feed", "expected"), FIXED, ids=lambda value: str(getattr(value, "type", "")))
def test_a_slice_is_its_own_rows(column: pa.Array, feed: Feed, expected: list[Any]) -> None:
    longer = pa.concat_arrays([column, column])
    assert arrive(longer.slice(1, 1), feed).numpy().tolist() == [(expected + expected)[1]]


def test_nullable_scalar_is_sparse() -> None:
    tensor = arrive(pa.array([None, 5.0, None], pa.float32()), Feed("c", "varlen", "float32"))
    assert tensor.indices.numpy().tolist() == [[1, 0]]
    assert tensor.values.numpy().tolist() == [5.0]
    assert tensor.dense_shape.numpy().tolist() == [3, 1]


def test_nothing_present_still_has_a_column() -> None:
    """A graph that squeezes the dense form must survive a batch where all values are missing."""
    tensor = arrive(text([None, None]), Feed("c", "varlen", "string"))
    assert tf.sparse.to_dense(tensor, "none").numpy().tolist() == [[b"none"], [b"none"]]


def test_empty_string_is_present_and_null_is_not() -> None:
    tensor = arrive(text(["", None, "x"]), Feed("c", "varlen", "string"))
    assert tensor.indices.numpy().tolist() == [[0, 0], [2, 0]]
    assert tensor.values.numpy().tolist() == [b"", b"x"]


def test_a_null_in_the_dictionary_is_a_missing_value() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), pa.array([None, "x"]))
    assert column.null_count == 0  # Arrow counts only null indices
    tensor = arrive(column, Feed("c", "varlen", "string"))
    assert (tensor.indices.numpy()[:, 0].tolist(), tensor.values.numpy().tolist()) == ([1], [b"x"])
    with pytest.raises(BadColumn, match="column c: a value is missing"):
        components(column, Feed("c", "fixed", "string"))


def test_a_dictionary_longer_than_the_rows_is_cut_down() -> None:
    column = text([str(number) for number in range(10 * SMALL)]).slice(3 * SMALL, 2)
    dictionary, indices = components(column, Feed("c", "fixed", "string"))
    assert dictionary.numpy().tolist() == [b"192", b"193"]
    assert indices.numpy().tolist() == [0, 1]


LISTS = pa.array([[1, 2], None, [], [3]], pa.list_(pa.int64()))


def test_lists_are_sparse_as_parse_example_makes_them() -> None:
    tensor = arrive(LISTS, Feed("c", "varlen", "int64", None, True))
    assert tensor.indices.numpy().tolist() == [[0, 0], [0, 1], [3, 0]]
    assert tensor.values.numpy().tolist() == [1, 2, 3]
    assert tensor.dense_shape.numpy().tolist() == [4, 2]


def test_lists_are_ragged_where_the_contract_says_so() -> None:
    tensor = arrive(LISTS.slice(1), Feed("c", "ragged", "int64", None, True))
    assert tensor.to_list() == [[], [], [3]]
    strings = arrive(pa.array([["a"], ["", "a"]]), Feed("c", "ragged", "string", None, True))
    assert strings.to_list() == [[b"a"], [b"", b"a"]]


BAD = [
    (pa.array([1, None]), Feed("c", "fixed", "int64"), "a value is missing"),
    (pa.array([[1], [1, 2]]), Feed("c", "fixed", "int64", 2, True), "a list has 1 items, not 2"),
    (pa.array([[1], None]), Feed("c", "fixed", "int64", 1, True), "a list is missing"),
    (pa.array([[1, None]]), Feed("c", "varlen", "int64", None, True), "a list holds a null"),
]


@pytest.mark.parametrize(("column", "feed", "message"), BAD)
def test_what_no_tensor_holds(column: pa.Array, feed: Feed, message: str) -> None:
    with pytest.raises(BadColumn, match=f"column c: {message}"):
        components(column, feed)


def test_as_that_cannot_convert_a_value_says_which() -> None:
    with pytest.raises(pa.ArrowInvalid, match="twelve"):
        components(text(["1", "twelve"]), Feed("c", "fixed", "int64", cast="int64"))


CASTS = [("date", "int64", True), ("date", "float32", True), ("decimal(9, 2)", "float64", True),
         ("timestamp", "float32", True), ("string", "int64", True), ("list<int64>", "int64", False)]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "possible"), CASTS)
def test_which_casts_there_are(source: str, target: str, possible: bool) -> None:
    problem = cast_problem(Column.model_validate({"type": source, "as": target}))
    assert (problem is None) == possible
    assert possible or f"as: {target} cannot be made from {source}" in str(problem)


@given(st.lists(st.one_of(st.none(), st.sampled_from(["", "a", "b", "ü"])), max_size=30), st.data())
def test_any_strings_arrive_whole(values: list[str | None], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(values)))
    tensor = arrive(text(values).slice(start), Feed("c", "varlen", "string"))
    present = [(row, value.encode()) for row, value in enumerate(values[start:]) if value is not None]
    assert list(zip(tensor.indices.numpy()[:, 0].tolist(), tensor.values.numpy().tolist(), strict=True)) == present
