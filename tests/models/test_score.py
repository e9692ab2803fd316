"""Scoring Batches: every prediction is the SavedModel's own, and every row is accounted for."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam.models.backends import framework
from highbeam.models.runtime import tf
from highbeam.models.score import score_batch
from highbeam.models.scorer import Scorer, load
from highbeam.models.scoring import Model
from highbeam.schemas.contract import Contract
from highbeam.schemas.errors import HighbeamError
from highbeam.schemas.job import Prediction

from tests.support.models import (
    analyzed_graph,
    batch_of,
    contract_of,
    linear_model,
    rows_of,
    saved_model,
    transform_graph,
)

F, S = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.string)
I = tf.TensorSpec([None], tf.int64)  # noqa: E741


def scorer_of(
    folder: str,
    contract: Contract,
    said: Mapping[str, Mapping[str, Any]] | None = None,
    transform: str | None = None,
    labels: str = "",
    **model: Any,
) -> Scorer:
    """A model ready to score; `said` is the job's `predictions`, and `labels` the folder of its files."""
    declared = {name: Prediction(**prediction) for name, prediction in said.items()} if said else None
    backend = framework("tensorflow")
    return load(backend.examine(Model(folder, transform, contract, **model), declared, labels, []).required())


def flaw(x: Any, value: float, message: str) -> Any:
    """x, unless it holds a value."""
    with tf.control_dependencies([tf.debugging.assert_none_equal(x, value, message=message)]):
        return tf.identity(x)


COLUMNS = contract_of({"k": "int64", "x": "float32", "g": "string", "late": "float32"}, ["k"])


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    tf.debugging.assert_positive(inputs["late"])
    x = flaw(inputs["x"], 13.0, "thirteen is no number")
    return {"x_": x * 2, "g_": tf.cast(tf.strings.length(inputs["g"]), tf.int64), "label": inputs["late"]}


@pytest.fixture(scope="module")
def behind_graph(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """y = 2 x + length of g; 13 fails in the graph, 26 in the model; the label is nowhere to be seen."""
    folder = tmp_path_factory.mktemp("scored")
    graph = transform_graph(folder / "graph", preprocessing_fn, COLUMNS)

    def model(x_: Any, g_: Any) -> Any:
        return {"y": flaw(x_, 52.0, "the model dislikes 52") + tf.cast(g_, tf.float32)}

    contract = Contract({name: column for name, column in COLUMNS.columns.items() if name != "late"}, ("k",))
    return scorer_of(saved_model(folder / "model", model, x_=F, g_=I), contract, transform=graph)


def rows(x: Sequence[float]) -> pa.RecordBatch:
    contract = contract_of({"k": "int64", "x": "float32", "g": "string"})
    return rows_of(contract, k=range(len(x)), x=x, g=["ab" * (i % 3) for i in range(len(x))])


def test_rows_come_out_as_key_passthrough_predictions_and_offset(behind_graph: Scorer) -> None:
    scored = score_batch(batch_of(rows([1, 2, 3])), behind_graph, ["k"], ["g"])
    assert scored.rows.schema.names == ["k", "g", "y", "_offset"]
    assert scored.rows.column("y").to_pylist() == [2.0, 6.0, 10.0]
    assert scored.rows.column("_offset").to_pylist() == [0, 10, 20]
    assert behind_graph.backend.columns == ("g", "x")


def test_an_empty_batch_has_the_same_columns_and_never_reaches_the_model() -> None:
    class Absent:
        columns, predictions = ("x",), scorer_predictions()

        def predict(self, rows: pa.RecordBatch) -> pa.RecordBatch:
            raise AssertionError("called")

        preprocess: Any = predict

    scored = score_batch(batch_of(rows([])), Scorer(Absent()), ["k"], ["g"])
    assert scored.rows.num_rows == 0
    assert scored.rows.schema.names == ["k", "g", "y", "_offset"]
    assert scored.rows.schema.field("y").type == pa.float32()


def scorer_predictions() -> Any:
    from highbeam.models.predictions import plan_predictions

    return plan_predictions(None, {"y": F})


@settings(max_examples=25)
@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, 13.0, 26.0]), max_size=40))
def test_guilty_rows_are_named_exactly(behind_graph: Scorer, x: list[float]) -> None:
    scored = score_batch(batch_of(rows(x)), behind_graph, ["k"], [])
    sound = [i for i, value in enumerate(x) if value not in (13.0, 26.0)]
    assert scored.rows.column("k").to_pylist() == sound
    assert scored.rows.column("y").to_pylist() == [2 * x[i] + 2 * (i % 3) for i in sound]
    found = {reject["offset"]: (reject["stage"], reject["reason"]) for reject in scored.rejected.to_pylist()}
    wanted = {13.0: ("preprocess", "preprocess_failed"), 26.0: ("predict", "model_failed")}
    assert found == {10 * i: wanted[value] for i, value in enumerate(x) if value in wanted}


def test_a_reject_tells_what_tensorflow_said(behind_graph: Scorer) -> None:
    rejected = score_batch(batch_of(rows([1, 26, 13])), behind_graph, ["k"], []).rejected.to_pylist()
    messages = {reject["key"]: reject["message"] for reject in rejected}
    assert messages["1"].startswith("the model failed on this row: assertion failed: [the model dislikes 52]")
    assert messages["2"].startswith("the transform graph failed on this row: assertion failed: [thirteen is no number]")
    assert not any("{{node" in message or "\n" in message for message in messages.values())


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


NAN, INF = float("nan"), float("inf")
BOUNDS: list[tuple[dict[str, Any], list[float], list[tuple[int, str]]]] = [
    ({}, [1, NAN, INF, -INF], [(1, "not_finite"), (2, "not_finite"), (3, "not_finite")]),
    ({"allow_nan": True}, [1, NAN, INF], []),
    ({"min": 0, "max": 1}, [0, -0.5, 1, 1.5, NAN], [(1, "below_min"), (3, "above_max"), (4, "not_finite")]),
    ({"min": 0, "max": 1}, [-INF, INF], [(0, "not_finite"), (1, "not_finite")]),  # the first rule broken is named
    ({"min": 0, "allow_nan": True}, [NAN, -1, -INF], [(1, "below_min"), (2, "below_min")]),
]


@pytest.mark.parametrize(("said", "x", "expected"), BOUNDS)
@pytest.mark.parametrize("form", ["scalar", "list", "top_k"])
def test_predictions_out_of_bounds_are_rejected(
    tmp_path: Path, said: dict[str, Any], x: list[float], expected: list[tuple[int, str]], form: str
) -> None:
    """A list is guilty if one of its items is; so is a vector of scores, also if that one is not kept."""
    functions: dict[str, Callable[[Any], Any]] = {
        "scalar": lambda x: {"y": x},
        "list": lambda x: {"y": tf.stack([tf.ones_like(x), x], 1)},
        "top_k": lambda x: {"y": tf.stack([tf.zeros_like(x), x], 1)},
    }
    if form == "top_k":
        said = {**said, "top_k": 2}
    scorer = scorer_of(saved_model(tmp_path, functions[form], x=F), COLUMNS, {"p": {"tensor": "y", **said}})
    scored = score_batch(batch_of(rows(x)), scorer, ["k"], [])
    found = [(reject["offset"] // 10, reject["reason"]) for reject in scored.rejected.to_pylist()]
    assert found == expected
    assert {reject["stage"] for reject in scored.rejected.to_pylist()} <= {"predict"}
    assert scored.rows.num_rows == len(x) - len(expected)
    untouched = score_batch(batch_of(rows(x)), scorer, ["k"], [], judged=False)
    assert untouched.rows.num_rows == len(x)


def test_a_nan_below_the_top_k_is_not_hidden(tmp_path: Path) -> None:
    folder = saved_model(tmp_path, lambda x: {"y": tf.stack([x, tf.fill(tf.shape(x), 5.0), tf.ones_like(x)], 1)}, x=F)
    scorer = scorer_of(folder, COLUMNS, {"p": {"tensor": "y", "top_k": 1}})
    scored = score_batch(batch_of(rows([1, NAN])), scorer, ["k"], [])
    assert scored.rows.column("p").to_pylist() == [[{"label": "1", "score": 5.0}]]
    assert scored.rejected.column("reason").to_pylist() == ["not_finite"]


def test_the_best_come_first_and_of_equals_the_lower_index(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    probs = tf.constant([0.2, 0.4, 0.4, 0.1])
    folder = saved_model(tmp_path / "m", lambda x: {"probs": x[:, None] * probs}, x=F)
    said = {"p": {"tensor": "probs", "top_k": 3, "labels": "labels.txt"}, "q": {"tensor": "probs", "top_k": 1}}
    scorer = scorer_of(folder, COLUMNS, said, labels=str(tmp_path))
    scored = scorer.backend.predict(rows([1, 2]))
    names = [[pair["label"] for pair in row] for row in scored.column("p").to_pylist()]
    assert names == [["b", "c", "a"]] * 2
    assert scored.column("q").to_pylist()[0][0]["label"] == "1"
    np.testing.assert_allclose([pair["score"] for pair in scored.column("p").to_pylist()[1]], [0.8, 0.8, 0.4])


NOT_ONE_FOR_ONE: list[tuple[Callable[[Any], Any], dict[str, Any], str]] = [
    (lambda x: {"y": tf.boolean_mask(tf.reduce_sum(x, keepdims=True), [True])}, {},
     r"shape \[1\] for 3 rows; the model must give one scalar for each row"),
    (lambda x: {"y": tf.boolean_mask(x, x > 1)}, {}, r"shape \[2\] for 3 rows"),
    (lambda x: {"y": tf.boolean_mask(tf.as_string(x), x > 1)}, {}, r"shape \[2\] for 3 rows"),
    (lambda x: {"y": tf.tile(x[:, None], [1, tf.size(x)])}, {"type": "list<float32>", "size": 2},
     "gives lists of 3 items, predictions.p declares size 2"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "said", "message"), NOT_ONE_FOR_ONE)
def test_a_model_that_is_not_one_for_one_is_no_rows_fault(
    tmp_path: Path, function: Callable[[Any], Any], said: dict[str, Any], message: str
) -> None:
    """Halving would end at single rows, for which such a model looks right."""
    scorer = scorer_of(saved_model(tmp_path, function, x=F), COLUMNS, {"p": {"tensor": "y", **said}})
    with pytest.raises(HighbeamError, match=message):
        score_batch(batch_of(rows([1, 2, 3])), scorer, ["k"], [])


def test_text_that_is_not_utf8_is_a_rows_fault(tmp_path: Path) -> None:
    folder = saved_model(tmp_path, lambda x: {"y": tf.where(x > 1, b"\xff", b"ok")}, x=F)
    scored = score_batch(batch_of(rows([1, 2])), scorer_of(folder, COLUMNS), ["k"], [])
    assert scored.rows.column("y").to_pylist() == ["ok"]
    assert "is not valid UTF-8; publish it as binary" in scored.rejected.column("message")[0].as_py()
    binary = scorer_of(folder, COLUMNS, {"y": {"tensor": "y", "type": "binary"}})
    assert binary.backend.predict(rows([2])).column("y").to_pylist() == [b"\xff"]


def test_what_does_not_fit_into_memory_is_retried_halved_and_remembered() -> None:
    scorer = Scorer(Hungry(3))
    seen = scorer.backend.seen  # type: ignore[attr-defined]
    scored = score_batch(batch_of(rows(range(10))), scorer, ["k"], [])
    assert scored.rows.column("y").to_pylist() == [2.0 * x for x in range(10)]
    assert scored.rejected.num_rows == 0
    assert seen == [10, 5, 2, 1, 2, 2, 1, 2]  # the second 5 is cut without being tried
    assert scorer.ceiling == 2
    seen.clear()
    score_batch(batch_of(rows(range(5))), scorer, ["k"], [])
    assert seen == [2, 2, 1]


class Hungry:
    """A backend with memory for so many rows."""

    columns, predictions = ("x",), scorer_predictions()

    def __init__(self, limit: int) -> None:
        self.limit, self.seen = limit, list[int]()

    def predict(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        from highbeam.models.backends.base import Exhausted

        self.seen.append(rows.num_rows)
        if rows.num_rows > self.limit:
            raise Exhausted("OOM")
        return pa.RecordBatch.from_arrays([pa.array(rows.column("x").to_numpy() * 2)], ["y"])

    def preprocess(self, rows: pa.RecordBatch) -> None: ...


def test_one_row_too_many_is_an_error() -> None:
    with pytest.raises(HighbeamError, match="one row alone does not fit into memory: OOM"):
        score_batch(batch_of(rows([1, 2])), Scorer(Hungry(0)), ["k"], [])


def test_tensorflows_exhaustion_is_told_from_a_rows_fault(tmp_path: Path) -> None:
    """A Python function that raises MemoryError is TensorFlow's ResourceExhaustedError."""
    seen = []

    def eat(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        seen.append(len(x))
        if len(x) > 4:
            raise MemoryError(f"{len(x)} rows")
        if 7 in x:
            raise ValueError("seven")
        return np.asarray(x * 2)

    def model(x: Any) -> Any:
        y = tf.numpy_function(eat, [x], tf.float32)
        y.set_shape([None])
        return {"y": y}

    scorer = scorer_of(saved_model(tmp_path, model, x=F), COLUMNS)
    scored = score_batch(batch_of(rows(range(8))), scorer, ["k"], [])
    assert scored.rows.column("y").to_pylist() == [2.0 * x for x in range(7)]
    assert [reject["key"] for reject in scored.rejected.to_pylist()] == ["7"]
    assert (seen, scorer.ceiling) == ([8, 4, 4, 2, 2, 1, 1], 4)


@pytest.mark.parametrize("error", [NotImplementedError])
def test_a_failure_of_the_model_blames_no_row(tmp_path: Path, error: type[Exception]) -> None:
    def fail(x: Any) -> Any:
        raise error("no kernel for this machine")

    def model(x: Any) -> Any:
        y = tf.numpy_function(fail, [x], tf.float32)
        y.set_shape([None])
        return {"y": y}

    scorer = scorer_of(saved_model(tmp_path, model, x=F), COLUMNS)
    with pytest.raises(HighbeamError, match=r"the model failed, and no row is to blame: .*no kernel for this machine"):
        score_batch(batch_of(rows([1, 2])), scorer, ["k"], [])
