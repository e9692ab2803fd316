"""Whatever the SavedModel, its predictions are its own."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from highbeam.models.runtime import tf

from tests.support.models import analyzed_graph, contract_of, linear_model, rows_of, saved_model, transform_graph
from tests.support.scoring import COLUMNS, F, I, S, rows, scorer_of


def test_predictions_are_the_savedmodels_own(tmp_path: Path) -> None:
    """Of all the shapes a column can have, with and without a transform graph, in one call and in three."""
    columns = {
        "x": "float64",
        "n": {"type": "int16", "nullable": True},
        "t": {"type": "string", "nullable": True},
        "e": {"type": "list<float32>", "size": 2},
        "l": "list<string>",
        "r": {"type": "list<int64>", "ragged": True},
        "b": "bool",
        "at": "timestamp",
    }
    contract = contract_of(columns)

    def graph(inputs: dict[str, Any]) -> dict[str, Any]:
        dense = tf.sparse.to_dense(inputs["t"], "?")
        many = tf.strings.reduce_join(tf.RaggedTensor.from_sparse(inputs["l"]), axis=1, separator="+")
        return {
            "a": inputs["x"] + tf.cast(tf.reduce_sum(tf.sparse.to_dense(inputs["n"]), axis=1), tf.float32),
            "t": tf.squeeze(dense, axis=1),
            "e": inputs["e"],
            "l": many,
            "r": tf.reduce_sum(inputs["r"], axis=1) + inputs["b"] + inputs["at"] % 7,
        }

    def model(a: Any, t: Any, e: Any, l: Any, r: Any) -> Any:  # noqa: E741
        return {"o": a + tf.reduce_sum(e, 1), "s": tf.strings.join([t, l], "/"), "i": r, "e2": e * 2}

    specs = {"a": F, "t": S, "e": tf.TensorSpec([None, 2], tf.float32), "l": S, "r": I}
    folder = saved_model(tmp_path / "m", model, **specs)
    scorer = scorer_of(folder, contract, transform=transform_graph(tmp_path / "g", graph, contract))
    batch = rows_of(
        contract,
        x=[0.5, 1.5, 2.5],
        n=[None, 3, None],
        t=["", None, "ü"],
        e=[[1, 2], [3, 4], [5, 6]],
        l=[["p", "q"], [], ["r"]],
        r=[[1, 2], [3], []],
        b=[True, False, True],
        at=pa.array([8, 9, 10], pa.timestamp("us", "UTC")),
    )
    whole = scorer.backend.predict(batch)
    assert whole.to_pydict() == {
        "e2": [[2, 4], [6, 8], [10, 12]],
        "i": [3 + 1 + 1, 3 + 0 + 2, 0 + 1 + 3],
        "o": [3.5, 11.5, 13.5],
        "s": ["/p+q", "?/", "ü/r"],
    }
    singly = [scorer.backend.predict(batch.slice(i, 1)) for i in range(3)]
    assert pa.Table.from_batches(singly).to_pydict() == whole.to_pydict()


def test_tables_and_variables_come_along(tmp_path: Path) -> None:
    """A vocabulary is a table of the graph, weights are variables of the model: both must stay alive."""
    weights = tf.Variable([1.0, 10.0, 100.0])

    def model(g_: Any, x: Any) -> Any:
        return {"y": tf.gather(weights, g_) * x}

    model.keep = weights  # type: ignore[attr-defined]
    folder = saved_model(tmp_path / "m", model, g_=I, x=F)
    seen = [{"k": 1, "x": x, "g": g, "late": 0.0} for x, g in ((1.0, "b"), (3.0, "b"), (2.0, "a"))]
    graph = analyzed_graph(tmp_path / "g", vocabulary_and_mean, COLUMNS, seen)
    scorer = scorer_of(folder, COLUMNS, transform=graph)
    gc.collect()
    batch = rows_of(COLUMNS, g=["a", "b", "never seen"], x=[1, 3, 4])
    assert scorer.backend.columns == ("g", "x")
    assert scorer.backend.predict(batch).to_pydict() == {"y": [-10.0, 1.0, 200.0]}


def vocabulary_and_mean(inputs: dict[str, Any]) -> dict[str, Any]:
    import tensorflow_transform as tft

    g = tft.compute_and_apply_vocabulary(inputs["g"], num_oov_buckets=1)
    return {"g_": g, "x": inputs["x"] - tft.mean(inputs["x"]), "label": tft.scale_to_0_1(inputs["late"])}


def test_whatever_the_batch_predictions_are_what_the_signature_gives(tmp_path: Path) -> None:
    weights = tf.random.stateless_normal([2, 16], [1, 2])

    def model(x: Any, late: Any) -> Any:
        hidden = tf.nn.relu(tf.stack([x, late], 1) @ weights)
        return {"y": tf.reduce_sum(hidden, 1), "h": hidden}

    folder = saved_model(tmp_path, model, x=F, late=F)
    scorer, direct = scorer_of(folder, COLUMNS), tf.saved_model.load(folder).signatures["serving_default"]
    x, late = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
    expected = direct(x=tf.constant(x), late=tf.constant(late))
    for start, stop in ((0, 1000), (0, 1), (17, 900)):
        found = scorer.backend.predict(rows_of(COLUMNS, x=x, late=late).slice(start, stop - start))
        np.testing.assert_allclose(found.column("y"), expected["y"][start:stop], rtol=1e-6)
        np.testing.assert_allclose(found.column("h").to_pylist(), expected["h"][start:stop], rtol=1e-6)


def test_a_keras_export_is_a_savedmodel_like_any_other(tmp_path: Path) -> None:
    """Its inputs are [?, 1], and so is what it gives."""
    import keras

    inputs = {name: keras.Input((1,), name=name) for name in ("x", "late")}
    hidden = keras.layers.Dense(8, "relu")(keras.layers.Concatenate()(list(inputs.values())))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(hidden))
    model.export(str(tmp_path), verbose=False)
    x, late = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    scored = scorer_of(str(tmp_path), COLUMNS).backend.predict(rows_of(COLUMNS, x=x, late=late))
    expected = model({"x": x[:, None], "late": late[:, None]}).numpy()[:, 0]
    np.testing.assert_allclose(scored.column("output_0"), expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")  # TensorFlow 1 announces its own end at every step
def test_a_savedmodel_of_tensorflow_1_scores_too(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        late, x, g = (v1.placeholder(kind, [None]) for kind in (tf.float32, tf.float32, tf.string))
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [100.0]), 0.0)
        y = v1.get_variable("w", initializer=3.0) * x - late + table.lookup(g)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        ends = {"late": late, "x": x, "g": g}, {"y": y, "z": 2 * x}
        v1.saved_model.simple_save(session, str(tmp_path / "m"), *ends, v1.tables_initializer())
    scorer = scorer_of(str(tmp_path / "m"), COLUMNS)
    batch = rows_of(COLUMNS, x=[1, 2], late=[10, 20], g=["a", "b"])
    assert scorer.backend.predict(batch).to_pydict() == {"y": [93.0, -14.0], "z": [2.0, 4.0]}
    assert scorer_of(str(tmp_path / "m"), COLUMNS, {"z": {"tensor": "z"}}).backend.columns == ("x",)


def test_a_tensor_of_unknown_shape_is_judged_when_it_comes(tmp_path: Path) -> None:
    def model(x: Any) -> Any:
        return {"y": tf.numpy_function(lambda x: x[:, None] * 2, [x], tf.float32)}

    scorer = scorer_of(saved_model(tmp_path, model, x=F), COLUMNS, {"y": {"tensor": "y", "type": "float32"}})
    assert scorer.backend.predict(rows([1, 2])).to_pydict() == {"y": [2.0, 4.0]}


def test_columns_feed_a_signature_by_mapping(tmp_path: Path) -> None:
    folder = linear_model(tmp_path, {"a": 2.0, "b": 10.0})
    scorer = scorer_of(folder, COLUMNS, inputs={"a": "x", "b": "late"})
    given_rows = rows_of(COLUMNS, x=[1, 2], late=[3, 4])
    assert scorer.backend.predict(given_rows).to_pydict() == {"y": [32.0, 44.0]}


def test_outputs_nobody_wants_need_no_inputs(tmp_path: Path) -> None:
    folder = saved_model(tmp_path, lambda x, late: {"y": x + 1, "error": x - late}, x=F, late=F)
    scorer = scorer_of(folder, COLUMNS, {"y": {"tensor": "y"}})
    assert scorer.backend.columns == ("x",)
    assert scorer.backend.predict(rows([1, 2])).to_pydict() == {"y": [2.0, 3.0]}


@tf.function
def _first(x: Any, *others: Any) -> Any:
    """Takes everything and uses one."""
    seen = [tf.debugging.assert_equal(tf.shape(other.values)[0], 0) for other in others]
    with tf.control_dependencies(seen):
        return tf.identity(x)


def test_what_an_inner_function_takes_without_need_is_left_blank(tmp_path: Path) -> None:
    """Labels may be of any kind, and are not there at scoring."""
    labels = {"late": {"type": "string", "nullable": True}, "many": {"type": "list<int64>", "ragged": True}}
    training = contract_of({"x": "float32", **labels})

    def graph(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"x_": _first(inputs["x"], inputs["late"], inputs["many"])}

    folder = saved_model(tmp_path / "m", lambda x_: {"y": tf.cast(x_ * 2, tf.bfloat16)}, x_=F)
    scorer = scorer_of(folder, COLUMNS, transform=transform_graph(tmp_path / "g", graph, training))
    assert scorer.backend.columns == ("x",)
    assert scorer.backend.predict(rows([1, 2])).to_pydict() == {"y": [2.0, 4.0]}
