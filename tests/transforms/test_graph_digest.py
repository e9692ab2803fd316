"""The digest of a graph: equal for what computes the same, else not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from highbeam.models.runtime import tf
from highbeam.transforms.graph_digest import graph_digest

Compute = Callable[[Any], Any]


def digest(compute: Compute) -> str | None:
    traced = tf.function(compute, input_signature=[tf.TensorSpec([None], tf.float32)], autograph=False)
    return graph_digest(traced.get_concrete_function().graph.as_graph_def())


@tf.function
def inner(x: Any) -> Any:
    return tf.where(x > 1.0, x, tf.sqrt(x))


def loop(times: int) -> Compute:
    return lambda x: tf.while_loop(lambda k, _: k < times, lambda k, v: (k + 1, v * 2), [0, x])[1]


def with_inner_functions(x: Any) -> Any:
    doubled = tf.map_fn(lambda v: 2 * v, x)
    return inner(tf.cond(tf.reduce_sum(doubled) > 0, lambda: doubled, lambda: -doubled))


def test_the_same_function_has_the_same_digest_however_often_it_is_traced() -> None:
    first = digest(with_inner_functions)
    digest(loop(2))  # moves the numbers TensorFlow puts into names
    assert first is not None
    assert digest(with_inner_functions) == first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x + 1.0, lambda x: x - 1.0),
        (lambda x: x + 1.0, lambda x: x + 2.0),
        (lambda x: (x + 1.0) - x, lambda x: x - (x + 1.0)),
        (lambda x: tf.sqrt(x, name="same"), lambda x: tf.square(x, name="same")),
        (loop(2), loop(3)),
        (lambda x: tf.map_fn(lambda v: 2 * v, x), lambda x: tf.map_fn(lambda v: 3 * v, x)),
        (lambda x: tf.map_fn(tf.sqrt, x), lambda x: tf.map_fn(tf.square, x)),
    ],
    ids=["operation", "constant", "wiring", "op", "loop", "constant inside", "operation inside"],
)
def test_another_function_has_another_digest(one: Compute, other: Compute) -> None:
    assert digest(one) != digest(other)


def test_the_bytes_of_a_lookup_table_count(tmp_path: Path) -> None:
    def looked_up(x: Any) -> Any:
        layout = (tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
        table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(str(tmp_path / "words"), *layout), -1)
        return table.lookup(tf.as_string(x))

    digests = set()
    for words in ("a\n", "b\n", "a\n"):
        (tmp_path / "words").write_text(words)
        with tf.Graph().as_default():  # as an analysis traces: the file's name stands in the graph
            placeholder = tf.compat.v1.placeholder(tf.float32, [None])
            looked_up(placeholder)
            digests.add(graph_digest(tf.compat.v1.get_default_graph().as_graph_def()))
    assert len(digests) == 2


def test_a_graph_that_calls_python_has_none() -> None:
    assert digest(lambda x: tf.numpy_function(lambda v: 2 * v, [x], tf.float32)) is None
    assert digest(lambda x: tf.map_fn(lambda v: tf.py_function(lambda w: w, [v], tf.float32), x)) is None
