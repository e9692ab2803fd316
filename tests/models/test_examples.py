"""Signatures that take serialized tf.Examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from highbeam.models.backends import framework
from highbeam.models.examples import serialize
from highbeam.models.runtime import tf
from highbeam.models.score import score_batch
from highbeam.models.scorer import Scorer, load
from highbeam.models.scoring import Model
from highbeam.schemas.contract import Contract
from highbeam.schemas.errors import UsageError

from tests.support.models import batch_of, contract_of, linear_model, rows_of, saved_model

CONTRACT = contract_of(
    {
        "i": "int8",
        "f": "float64",
        "s": {"type": "string", "nullable": True},
        "raw": "binary",
        "b": "bool",
        "at": "timestamp",
        "many": "list<int32>",
        "day": "date",
        "year": {"type": "date", "as": "string"},
    }
)
ROWS = {
    "i": [1, -2],
    "f": [0.5, 1.5],
    "s": [None, ""],
    "raw": [b"\xff", b""],
    "b": [True, False],
    "at": pa.array([1, 2], pa.timestamp("us", "UTC")),
    "many": [[], [3, 4]],
    "day": pa.array([0, 1], pa.date32()),
    "year": pa.array([0, 366], pa.date32()),
}


def test_an_example_holds_the_raw_columns() -> None:
    examples = [
        tf.train.Example.FromString(data).features.feature for data in serialize(rows_of(CONTRACT, **ROWS), CONTRACT)
    ]
    first, second = examples
    assert sorted(first) == ["at", "b", "f", "i", "raw", "year"]  # null and the empty list are absent, `day` no feature
    assert sorted(second) == ["at", "b", "f", "i", "many", "raw", "s", "year"]
    assert (first["i"].int64_list.value, second["i"].int64_list.value) == ([1], [-2])
    assert (first["f"].float_list.value, first["b"].int64_list.value) == ([0.5], [1])
    assert (second["s"].bytes_list.value, first["raw"].bytes_list.value) == ([b""], [b"\xff"])
    assert (second["at"].int64_list.value, second["many"].int64_list.value) == ([2], [3, 4])
    assert second["year"].bytes_list.value == [b"1971-01-02"]


SMALL = contract_of({"k": "int64", "x": "float32", "s": {"type": "string", "nullable": True}})


def parsing(examples: Any) -> Any:
    """What a TFX export does: parse, then score."""
    spec = {"x": tf.io.FixedLenFeature([], tf.float32), "s": tf.io.FixedLenFeature([], tf.string, "absent")}
    parsed = tf.io.parse_example(examples, spec)
    low = tf.debugging.assert_less(parsed["x"], 10.0, message="too high")
    with tf.control_dependencies([low]):
        return {"y": parsed["x"] * 2, "t": tf.strings.upper(parsed["s"])}


def scorer_of(folder: str, contract: Contract) -> Scorer:
    backend = framework("tensorflow")
    model = Model(folder, None, contract, input_format="tf_example")
    return load(backend.examine(model, None, "", []).required())


def test_scored_by_the_signature(tmp_path: Path) -> None:
    scorer = scorer_of(saved_model(tmp_path, parsing, examples=tf.TensorSpec([None], tf.string)), SMALL)
    batch = batch_of(rows_of(SMALL, k=[1, 2, 3], x=[1, 99, 3], s=["a", "b", None]))
    scored = score_batch(batch, scorer, ["k"], [])
    assert scored.rows.drop_columns(["_offset"]).to_pydict() == {"k": [1, 3], "t": ["A", "ABSENT"], "y": [2.0, 6.0]}
    (reject,) = scored.rejected.to_pylist()
    assert (reject["key"], reject["stage"], reject["reason"]) == ("2", "predict", "model_failed")
    assert "too high" in reject["message"]


def test_an_example_that_cannot_be_made_is_no_fault_of_the_model(tmp_path: Path) -> None:
    contract = contract_of({"k": "int64", "x": {"type": "string", "as": "float32"}})
    scorer = scorer_of(saved_model(tmp_path, parsing, examples=tf.TensorSpec([None], tf.string)), contract)
    scored = score_batch(batch_of(rows_of(contract, k=[1, 2], x=["1.5", "x"])), scorer, ["k"], [])
    assert scored.rows.column("y").to_pylist() == [3.0]
    assert scored.rejected.column("stage").to_pylist() == ["preprocess"]


def test_other_signatures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"but signature serving_default takes a float32 \[\?\], b float32 \[\?\] instead"
    ):
        scorer_of(linear_model(tmp_path, {"a": 1.0, "b": 1.0}), SMALL)


def test_what_an_example_holds_is_shown(tmp_path: Path) -> None:
    folder = saved_model(tmp_path, parsing, examples=tf.TensorSpec([None], tf.string))
    contract = contract_of({"x": "float32", "day": "date", "bad": {"type": "list<int64>", "as": "int64"}})
    examined = framework("tensorflow").examine(Model(folder, None, contract, input_format="tf_example"), None, "", [])
    assert [(row.name, row.contract, row.note) for row in examined.rows][1:3] == [
        ("x", "float32", ""),
        ("day", "date", "not used"),
    ]
    assert examined.problems[0].startswith("columns.bad: as: int64 cannot be made from list<int64>")
