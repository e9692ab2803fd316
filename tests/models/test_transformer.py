"""A transform graph applied to rows: every kind of output as a column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from highbeam.models.runtime import tf
from highbeam.models.transformer import Transformer
from highbeam.schemas.errors import HighbeamError, UsageError

from tests.support.models import contract_of, rows_of, transform_graph

CONTRACT = contract_of({"x": "float32", "s": "string", "n": {"type": "int64", "nullable": True}})
ROWS = rows_of(CONTRACT, x=[1.0, 2.0, 3.0, 4.0], s=["a", "bb", "", "a"], n=[7, None, None, 0])
PLACES = pa.list_(pa.struct([("index", pa.int64()), ("value", pa.float32())]))

Compute = Callable[[Any], Any]


def diagonal(width: int) -> Compute:
    """Row k holds x at place k."""

    def compute(i: Any) -> Any:
        rows = tf.range(tf.shape(i["x"], tf.int64)[0])
        places = tf.stack([rows, rows if width > 1 else 0 * rows], 1)
        return tf.SparseTensor(places, i["x"], tf.stack([tf.shape(rows, tf.int64)[0], width]))

    return compute


def backwards(i: Any) -> Any:
    """A sparse tensor whose values are not in the order of rows."""
    found = tf.sparse.concat(1, [i["n"], i["n"]])
    return tf.SparseTensor(found.indices[::-1], found.values[::-1], found.dense_shape)


CASES: dict[str, tuple[Compute, pa.DataType, list[Any]]] = {
    "scalar": (lambda i: 2 * i["x"], pa.float32(), [2, 4, 6, 8]),
    "integers": (lambda i: tf.cast(i["x"], tf.int64), pa.int64(), [1, 2, 3, 4]),
    "text": (lambda i: tf.strings.upper(i["s"]), pa.string(), ["A", "BB", "", "A"]),
    "column": (lambda i: i["x"][:, None], pa.list_(pa.float32()), [[1], [2], [3], [4]]),
    "pair": (lambda i: tf.stack([i["x"], -i["x"]], 1), pa.list_(pa.float32()), [[1, -1], [2, -2], [3, -3], [4, -4]]),
    "matrix": (
        lambda i: tf.reshape(tf.stack([i["x"]] * 2, 1), [-1, 2, 1]),
        pa.list_(pa.list_(pa.float32())),
        [[[1], [1]], [[2], [2]], [[3], [3]], [[4], [4]]],
    ),
    "no items": (lambda i: tf.stack([i["x"]], 1)[:, 1:], pa.list_(pa.float32()), [[], [], [], []]),
    "texts": (lambda i: tf.stack([i["s"]] * 2, 1), pa.list_(pa.string()), [["a"] * 2, ["bb"] * 2, [""] * 2, ["a"] * 2]),
    "sparse": (lambda i: i["n"], pa.list_(pa.int64()), [[7], [], [], [0]]),
    "sparse, unordered": (backwards, pa.list_(pa.int64()), [[7, 7], [], [], [0, 0]]),
    "sparse of one": (diagonal(1), pa.list_(pa.float32()), [[1], [2], [3], [4]]),
    "sparse of five": (diagonal(5), PLACES, [[{"index": k, "value": k + 1}] for k in range(4)]),
    "ragged": (lambda i: tf.strings.split(i["s"], "b"), pa.list_(pa.string()), [["a"], ["", "", ""], [""], ["a"]]),
}


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    def preprocessing_fn(inputs: Any) -> Any:
        return {name: compute(inputs) for name, (compute, _, _) in CASES.items()}

    return Transformer(transform_graph(tmp_path_factory.mktemp("graph"), preprocessing_fn, CONTRACT), CONTRACT)


@pytest.mark.parametrize("name", CASES)
def test_an_output_becomes_a_column(transformer: Transformer, name: str) -> None:
    _, type, expected = CASES[name]
    assert transformer.schema.field(name).type == type
    assert transformer.transform(ROWS).column(name).to_pylist() == expected


def test_columns_stand_in_the_order_of_their_names_and_follow_the_rows(transformer: Transformer) -> None:
    found = transformer.transform(ROWS.slice(1, 2))
    assert found.schema == transformer.schema
    assert found.schema.names == sorted(CASES)
    assert found.column("scalar").to_pylist() == [4, 6]
    assert found.column("sparse").to_pylist() == [[], []]


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda i: tf.sparse.from_dense(tf.reshape(i["x"], [-1, 1, 1])), "feature out: no column holds float32 sparse"),
        (
            lambda i: tf.RaggedTensor.from_row_lengths(tf.stack([i["x"]] * 2, 1), tf.cast(0 * i["x"] + 1, tf.int64)),
            "ragged",
        ),
    ],
)
def test_an_output_that_no_column_holds_is_refused(tmp_path: Path, compute: Compute, message: str) -> None:
    graph = transform_graph(tmp_path, lambda i: {"out": compute(i)}, CONTRACT)
    with pytest.raises(UsageError, match=message):
        Transformer(graph, CONTRACT)


def test_a_graph_of_another_contract_is_refused(tmp_path: Path) -> None:
    graph = transform_graph(tmp_path, lambda i: {"out": i["x"]}, CONTRACT)
    with pytest.raises(UsageError, match="made for another contract: it takes n"):
        Transformer(graph, contract_of({"x": "float32", "s": "string"}))


def test_what_is_not_one_value_a_row_is_an_error(tmp_path: Path) -> None:
    graph = transform_graph(tmp_path, lambda i: {"out": i["x"][1:]}, CONTRACT)
    with pytest.raises(HighbeamError, match="3 values for 4 rows"):
        Transformer(graph, CONTRACT).transform(ROWS)


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    graph = transform_graph(
        tmp_path, lambda i: {"out": tf.io.encode_jpeg(tf.zeros([1, 1, 3], tf.uint8)) + i["s"]}, CONTRACT
    )
    with pytest.raises(HighbeamError, match="feature out is not valid UTF-8"):
        Transformer(graph, CONTRACT).transform(ROWS)
