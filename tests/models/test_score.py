"""Scoring Batches: every row is accounted for, whatever the model does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam.models.runtime import tf
from highbeam.models.score import score_batch
from highbeam.models.scorer import Scorer
from highbeam.schemas.contract import Contract
from highbeam.schemas.errors import HighbeamError

from tests.support.models import batch_of, saved_model, transform_graph
from tests.support.scoring import COLUMNS, F, I, rows, scorer_of


def flaw(x: Any, value: float, message: str) -> Any:
    """x, unless it holds a value."""
    with tf.control_dependencies([tf.debugging.assert_none_equal(x, value, message=message)]):
        return tf.identity(x)


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
