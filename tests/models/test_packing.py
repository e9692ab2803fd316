"""Columns that travel together arrive apart, each as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.models.packing import pack_specs, packed, packs, unpacked
from highbeam.models.runtime import tf
from highbeam.models.tensors import BadColumn, Feed

FEEDS = [
    Feed("a", "fixed", "float32"),
    Feed("s", "fixed", "string"),
    Feed("n", "varlen", "int64"),
    Feed("b", "fixed", "float32"),
    Feed("t", "fixed", "string"),
    Feed("i", "fixed", "int64"),
]


def arrive(rows: pa.RecordBatch, feeds: Sequence[Feed]) -> dict[str, Any]:
    """The tensors inside a graph."""
    specs = [[tf.TensorSpec([], tf.int64)], *(pack_specs(pack) for pack in packs(feeds))]

    def body(count: Any, *groups: Any) -> Any:
        found: dict[str, Any] = {}
        for pack, parts in zip(packs(feeds), groups, strict=True):
            found |= unpacked(pack, parts, count[0])
        return found

    function = tf.function(body, input_signature=specs, autograph=False).get_concrete_function()
    flat = [tensor for pack in packs(feeds) for tensor in packed(pack, rows)]
    return dict(function(tf.constant(rows.num_rows, tf.int64), *flat))


def test_plain_columns_of_a_type_travel_as_one() -> None:
    assert [[feed.column for feed in pack.feeds] for pack in packs(FEEDS)] == [["a", "b"], ["s", "t"], ["i"], ["n"]]
    shapes = [[spec.shape.as_list() for spec in pack_specs(pack)] for pack in packs(FEEDS)]
    assert shapes == [[[2, None]], [[None], [2, None]], [[None]], [[None], [None]]]


WORDS = st.sampled_from(["", "x", "y", "ö"])
ROW = st.tuples(st.floats(width=32, allow_nan=False), WORDS, st.none() | st.integers(0, 9), WORDS)


@given(st.lists(ROW, min_size=1, max_size=20), st.data())
def test_each_arrives_as_it_was(rows: list[Any], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(rows) - 1))
    a, s, n, t = zip(*rows, strict=True)
    columns = {
        "a": pa.array(a, pa.float32()),
        "s": pa.array(s).dictionary_encode(),
        "n": pa.array(n, pa.int64()),
        "b": pa.array(a, pa.float64()),
        "t": pa.array(t),
        "i": pa.array(range(len(rows)), pa.int8()),
    }
    found = arrive(pa.RecordBatch.from_pydict(columns).slice(start), FEEDS)
    assert found["a"].numpy().tolist() == found["b"].numpy().tolist() == list(a[start:])
    assert [word.decode() for word in found["s"].numpy()] == list(s[start:])
    assert [word.decode() for word in found["t"].numpy()] == list(t[start:])
    assert found["i"].numpy().tolist() == list(range(start, len(rows)))
    assert found["n"].values.numpy().tolist() == [value for value in n[start:] if value is not None]


@pytest.mark.parametrize(("kind", "values"), [("float32", [1.0, None]), ("string", ["x", None])])
def test_the_guilty_column_is_named(kind: str, values: list[Any]) -> None:
    sound = pa.array([value or values[0] for value in values])
    rows = pa.RecordBatch.from_pydict({"sound": sound, "c": pa.array(values)})
    (pack,) = packs([Feed("sound", "fixed", kind), Feed("c", "fixed", kind)])
    with pytest.raises(BadColumn, match="column c: a value is missing"):
        packed(pack, rows)
