"""Transform graph and model in two calls give what they give in one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from highbeam.models.backends import framework
from highbeam.models.runtime import tf
from highbeam.models.score import preprocess_batch, score_batch
from highbeam.models.scorer import Scorers, load, load_all, load_preprocessor
from highbeam.models.scoring import Examined, Model, Scoring
from highbeam.schemas.batch import Batch
from highbeam.transforms.coder import BatchCoder

from tests.support.models import batch_of, contract_of, rows_of, saved_model, transform_graph

CONTRACT = contract_of({"k": "int64", "x": "float32", "s": "string", "n": {"type": "int64", "nullable": True}}, ["k"])
N = 40
ROWS = rows_of(
    CONTRACT,
    k=range(N),
    x=[k / 4 for k in range(N)],
    s=["b".join("ac"[k % 2] for _ in range(k % 4)) for k in range(N)],
    n=[None if k % 3 else k for k in range(N)],
)


def placed(i: Any) -> Any:
    """x at the place that the length of s says, of five."""
    rows = tf.shape(i["x"], tf.int64)[0]
    at = tf.cast(tf.strings.length(i["s"]) % 5, tf.int64)
    return tf.SparseTensor(tf.stack([tf.range(rows), at], 1), i["x"], tf.stack([rows, tf.constant(5, tf.int64)]))


def holes(i: Any) -> Any:
    """Second places only, and not in every row."""
    found = tf.sparse.reorder(i["n"])
    shape = tf.stack([found.dense_shape[0], tf.constant(2, tf.int64)])
    return tf.SparseTensor(found.indices + [[0, 1]], found.values, shape)


FEATURES: dict[str, Callable[[Any], Any]] = {
    "scalar": lambda i: 2 * i["x"],
    "integer": lambda i: tf.cast(i["x"], tf.int64),
    "text": lambda i: tf.strings.upper(i["s"]),
    "pair": lambda i: tf.stack([i["x"], -2 * i["x"]], 1),
    "matrix": lambda i: tf.reshape(tf.stack([i["x"]] * 4, 1), [-1, 2, 2]),
    "texts": lambda i: tf.stack([i["s"], tf.strings.upper(i["s"])], 1),
    "sparse": lambda i: i["n"],
    "placed": placed,
    "holes": holes,
    "ragged": lambda i: tf.strings.split(i["s"], "b"),
}


def preprocessing_fn(inputs: Any) -> Any:
    sound = tf.debugging.assert_none_equal(inputs["x"], 7777.0, message="the graph's own beast")
    with tf.control_dependencies([sound]):
        return {name: compute(inputs) for name, compute in FEATURES.items()}


def model(**f: Any) -> Any:
    """Something of every feature, each with another weight."""
    with tf.control_dependencies([tf.debugging.assert_none_equal(f["scalar"], 1332.0, message="the beast")]):
        length = tf.cast(tf.strings.length(f["text"]), tf.float32)
    dense = tf.sparse.to_dense(f["placed"], 0.0) * [[1.0, 2.0, 3.0, 4.0, 5.0]]
    sparse = tf.sparse.reduce_sum(tf.cast(f["sparse"], tf.float32), 1)
    hole = tf.cast(tf.sparse.to_dense(f["holes"], 0), tf.float32) * [[1.0, 10.0]]
    parts = [
        f["scalar"],
        tf.cast(f["integer"], tf.float32) * 3,
        length * 7,
        tf.reduce_sum(f["pair"] * [[1.0, 2.0]], 1),
        tf.reduce_sum(f["matrix"] * [[[1.0, 2.0], [3.0, 4.0]]], [1, 2]),
        tf.cast(tf.reduce_sum(tf.strings.length(f["texts"]), 1), tf.float32) * 11,
        sparse * 13,
        tf.reduce_sum(dense, 1),
        tf.reduce_sum(hole, 1),
        tf.cast(f["ragged"].row_lengths(), tf.float32) * 17,
    ]
    return {"y": tf.add_n(parts)}


SPECS = {
    "scalar": tf.TensorSpec([None], tf.float32),
    "integer": tf.TensorSpec([None], tf.int64),
    "text": tf.TensorSpec([None], tf.string),
    "pair": tf.TensorSpec([None, 2], tf.float32),
    "matrix": tf.TensorSpec([None, 2, 2], tf.float32),
    "texts": tf.TensorSpec([None, 2], tf.string),
    "sparse": tf.SparseTensorSpec([None, None], tf.int64),
    "placed": tf.SparseTensorSpec([None, 5], tf.float32),
    "holes": tf.SparseTensorSpec([None, 2], tf.int64),
    "ragged": tf.RaggedTensorSpec([None, None], tf.string, 1, tf.int64),
}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Scoring:
    folder = tmp_path_factory.mktemp("apart")
    graph = transform_graph(folder / "graph", preprocessing_fn, CONTRACT)
    found = Model(saved_model(folder / "model", model, **SPECS), graph, CONTRACT)
    return examined(found).required()


def examined(model: Model) -> Examined:
    return framework("tensorflow").examine(model, None, "", [])


@pytest.fixture(scope="module")
def apart(together: Scoring) -> tuple[Any, Any]:
    """What the first workers run, and what the second ones do."""
    scoring = examined(replace(together.model, apart=True)).required()
    return load_preprocessor(scoring), load_all(scoring)


def two_calls(apart: tuple[Any, Any], *batches: Batch) -> Batch:
    """Features of each batch, sent to another worker, and there scored together."""
    made = [preprocess_batch(batch, apart[0], ["k"], ["k", "s"]) for batch in batches]
    coder = BatchCoder()
    sent = [coder.decode(coder.encode(batch)) for batch in made]
    rows = pa.Table.from_batches([batch.rows for batch in sent]).unify_dictionaries().combine_chunks().to_batches()
    rejected = pa.Table.from_batches([batch.rejected for batch in sent]).combine_chunks().to_batches()
    whole = replace(sent[0], read=sum(batch.read for batch in sent), rows=rows[0])
    whole = replace(whole, rejected=rejected[0]) if rejected else whole
    return score_batch(whole, apart[1].next(), ["k"], ["s"])


def test_every_kind_of_feature_is_handed_over(together: Scoring, apart: tuple[Any, Any]) -> None:
    expected = score_batch(batch_of(ROWS), load(together), ["k"], ["s"])
    parts = [batch_of(ROWS.slice(start, 13)) for start in range(0, N, 13)]
    found = two_calls(apart, *parts)
    assert (found.read, found.rejected.num_rows) == (N, 0)
    np.testing.assert_allclose(found.rows["y"].to_numpy(), expected.rows["y"].to_numpy(), rtol=1e-6)
    assert found.rows.drop_columns(["y"]).equals(expected.rows.drop_columns(["y"]))


@pytest.mark.parametrize("n", [[None] * 3, [1, 2, 3]], ids=["nothing in the sparse ones", "something in each"])
def test_a_call_of_few_rows(together: Scoring, apart: tuple[Any, Any], n: list[Any]) -> None:
    rows = rows_of(CONTRACT, k=[1, 2, 3], x=[1, 2, 3], s=["", "a", ""], n=n)
    expected = score_batch(batch_of(rows), load(together), ["k"], ["s"])
    assert two_calls(apart, batch_of(rows)).rows.equals(expected.rows)


def test_the_same_rows_are_rejected(together: Scoring, apart: tuple[Any, Any]) -> None:
    x = [1.0, 7777.0, 2.0, 666.0, float("inf"), 3.0]
    rows = rows_of(CONTRACT, k=range(6), x=x, s=["a"] * 6, n=[1] * 6)
    expected = score_batch(batch_of(rows), load(together), ["k"], ["s"])
    found = two_calls(apart, batch_of(rows))
    told = ["offset", "stage", "reason", "key"]
    assert found.rejected.select(told).to_pylist() == expected.rejected.select(told).to_pylist()
    assert found.rejected["stage"].to_pylist() == ["preprocess", "predict", "preprocess"]
    assert found.rejected["message"][2].as_py().startswith("feature ")
    assert found.rows.equals(expected.rows)


def test_a_batch_without_rows_left_has_the_same_columns(apart: tuple[Any, Any]) -> None:
    rows = rows_of(CONTRACT, k=[1], x=[7777.0], s=["a"], n=[1])
    gone, some = (preprocess_batch(batch_of(r), apart[0], ["k"], ["k"]) for r in (rows, ROWS.slice(0, 5)))
    assert gone.rows.num_rows == 0
    assert gone.rows.schema == some.rows.schema


def test_what_cannot_be_handed_over_is_told(tmp_path: Path) -> None:
    graph = transform_graph(
        tmp_path / "graph", lambda i: {"f": tf.sparse.from_dense(tf.reshape(i["x"], [-1, 1, 1]))}, CONTRACT
    )
    spec = tf.SparseTensorSpec([None, 1, 1], tf.float32)
    saved = saved_model(tmp_path / "model", lambda f: {"y": tf.reshape(tf.sparse.reduce_sum(f, [1, 2]), [-1])}, f=spec)
    both = [examined(Model(saved, graph, CONTRACT, apart=apart)).problems for apart in (False, True)]
    assert both[0] == []
    assert len(both[1]) == 1
    assert both[1][0].startswith("feature f: float32 sparse [?, 1, 1] cannot be handed over")


TWO_DEVICES = """
import sys
from highbeam.models.runtime import tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from highbeam.models.devices import accelerators, on_device
from highbeam.models.graph import load_signature
assert accelerators() == [""]
for name in ("/device:CPU:0", "/device:CPU:1"):
    found = load_signature(sys.argv[1], "serving_default", name)
    made = on_device(name, lambda: found.function(x=tf.constant([2.0]))["y"])
    print(found.owner.v.device.rpartition("/")[2], float(made[0]))
"""


def test_each_device_holds_a_copy_of_its_own(tmp_path: Path) -> None:
    module = tf.Module()
    module.v = tf.Variable(3.0)
    module.f = tf.function(lambda x: {"y": x * module.v}, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.f})
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["device:CPU:0 6.0", "device:CPU:1 6.0"], done.stderr


def test_copies_take_turns(together: Scoring) -> None:
    backend = load(together).backend
    scorers = Scorers([backend, backend])
    taken: list[Any] = [scorers.next() for _ in range(4)]
    assert taken[0] is taken[2] is not taken[1] is taken[3]
