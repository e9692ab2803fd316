"""Contract, graph and signature held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from highbeam.models.fit import Fit, fit
from highbeam.models.fit_rows import problems, table
from highbeam.models.graph import load_signature, load_transform
from highbeam.models.runtime import tf

from tests.support.models import contract_of, saved_model, transform_graph

F, V = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None, None], tf.float32)
COLUMNS = {"x": "float32", "n": "int32", "g": {"type": "string", "nullable": True}, "late": "float32"}
WITHOUT_LABEL = {name: spec for name, spec in COLUMNS.items() if name != "late"}


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"x_z": inputs["x"] - 1, "n_": inputs["n"], "g_": inputs["g"], "label": inputs["late"]}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    return transform_graph(tmp_path_factory.mktemp("graph"), preprocessing_fn, contract_of(COLUMNS))


def fitted(
    tmp_path: Path, specs: Mapping[str, Any], columns: Mapping[str, Any], graph: str | None = None, **mapping: str
) -> Fit:
    """A model that returns its inputs, held against a contract."""
    folder = saved_model(tmp_path, lambda **tensors: {f"o_{name}": t for name, t in tensors.items()}, **specs)
    signature = load_signature(folder, "serving_default")
    transform = load_transform(graph) if graph else None
    return fit(contract_of(columns), transform, signature, mapping, list(signature.outputs))


def test_behind_a_graph_labels_are_not_needed(tmp_path: Path, graph: str) -> None:
    found = fitted(tmp_path, {"x_z": F, "n_": tf.TensorSpec([None], tf.int64)}, WITHOUT_LABEL, graph)
    assert problems(found.rows) == []
    assert [feed.column for feed in found.feeds] == ["n", "x"]
    notes = {row.name: row.note for row in found.rows}
    assert notes == {"g": "not needed", "late": "not needed", "n": "", "x": "", "g_": "not used", "label": "not used",
                     "n_": "", "x_z": ""}  # fmt: skip


def test_the_three_sides_stand_in_columns(tmp_path: Path, graph: str) -> None:
    found = fitted(tmp_path, {"x_z": F}, WITHOUT_LABEL, graph)
    lines = [" ".join(line.split()) for line in table(found.rows)]
    assert lines[0] == "name contract transform graph signature"
    assert "x float32 takes float32 [?]" in lines
    assert "g string or null takes string sparse [?, ?] not needed" in lines
    assert "x_z gives float32 [?] float32 [?]" in lines


OTHER_CONTRACTS: list[tuple[dict[str, Any], str]] = [
    ({"n": "int64"}, "it takes x float32 [?], the contract has no such column; declare it, or analyze again"),
    ({"x": "string"}, "it takes x float32 [?], the contract gives string [?]; change the column back"),
    ({"x": "int64"}, "it takes x float32 [?], the contract gives int64 [?]"),
    ({"x": {"type": "float32", "nullable": True}}, "the contract gives float32 sparse [?, ?]"),
    ({"x": {"type": "list<float32>", "size": 3}}, "the contract gives float32 [?, 3]"),
    ({"x": "date"}, "the column is a date, which is no feature; say `as:` in its column"),
]


@pytest.mark.parametrize(("columns", "message"), OTHER_CONTRACTS)
def test_a_graph_made_for_another_contract(tmp_path: Path, graph: str, columns: dict[str, Any], message: str) -> None:
    (problem,) = problems(fitted(tmp_path, {"x_z": F}, columns, graph).rows)
    assert problem.startswith("the transform graph was made for another contract: ")
    assert message in problem


SAME_CONTRACTS: list[dict[str, Any]] = [
    {"x": "float64"},  # widened alike
    {"x": {"type": "float32", "nullable": True, "default": 0, "min": -1}},  # filled before the graph
    {"x": {"type": "decimal", "as": "float32"}},
    {"x": "float32", "more": "binary", "n": "string"},  # what no prediction depends on does not matter
]


@pytest.mark.parametrize("columns", SAME_CONTRACTS)
def test_what_the_graph_cannot_tell_apart_is_the_same_contract(
    tmp_path: Path, graph: str, columns: dict[str, Any]
) -> None:
    assert problems(fitted(tmp_path, {"x_z": F}, columns, graph).rows) == []


MISFITS: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"y": F}, {}, "takes y float32 [?], the transform graph has no y; it gives g_, label, n_, x_z. Name it under "
                   "model.inputs: {y: …}"),
    ({"n_": F}, {}, "takes n_ float32 [?], the transform graph gives n_ int64 [?]; cast it in preprocessing_fn"),
    ({"g_": tf.TensorSpec([None], tf.string)}, {}, "gives g_ string sparse [?, ?]; make it dense in preprocessing_fn"),
    ({"x_z": tf.TensorSpec([None, 4], tf.float32)}, {}, "gives x_z float32 [?]; the shapes differ"),
    ({"all": tf.TensorSpec([None, 7], tf.float32)}, {}, "one matrix for all features, and nothing says in which order"),
    ({"a": F}, {"a": "x_y"}, "the transform graph has no x_y"),
    ({"x_z": F}, {"x": "x_z"}, "model.inputs.x: the signature has no such input; it takes x_z"),
]  # fmt: skip


@pytest.mark.parametrize(("specs", "mapping", "message"), MISFITS)
def test_a_signature_that_does_not_fit(
    tmp_path: Path, graph: str, specs: dict[str, Any], mapping: dict[str, str], message: str
) -> None:
    (problem,) = problems(fitted(tmp_path, specs, WITHOUT_LABEL, graph, **mapping).rows)
    assert message in problem


def test_every_misfit_is_told_at_once(tmp_path: Path, graph: str) -> None:
    found = fitted(tmp_path, {"x_z": F, "y": F, "n_": F}, {"x": "string"}, graph)
    assert len(problems(found.rows)) == 4


DIRECT: list[tuple[Any, dict[str, Any] | str, str | None]] = [
    (tf.TensorSpec([None], tf.int32), "int32", "int32"),
    (tf.TensorSpec([None], tf.int64), "int32", "int64"),
    (tf.TensorSpec([None], tf.bool), "bool", "bool"),
    (tf.TensorSpec([None], tf.float64), "float64", "float64"),
    (tf.TensorSpec([None, 1], tf.float32), "float64", "float32"),
    (tf.TensorSpec([None], tf.string), "binary", "string"),
    (tf.TensorSpec([None], tf.int64), "timestamp", "int64"),
    (tf.TensorSpec([None], tf.float32), {"type": "int64", "as": "float32"}, "float32"),
    (tf.TensorSpec([None, None], tf.float32), {"type": "list<float32>", "size": 3}, "float32"),
    (tf.TensorSpec([None], tf.int32), "int64", None),
    (tf.TensorSpec([None], tf.float32), "int64", None),
    (tf.TensorSpec([None], tf.float32), {"type": "float32", "nullable": True}, None),
    (tf.TensorSpec([None, None], tf.float32), "list<float32>", None),
    (tf.TensorSpec([None], tf.float32), "date", None),
]


@pytest.mark.parametrize(("spec", "column", "dtype"), DIRECT)
def test_columns_feed_a_signature(tmp_path: Path, spec: Any, column: Any, dtype: str | None) -> None:
    found = fitted(tmp_path, {"tensor": spec}, {"c": column}, None, tensor="c")
    assert [feed.dtype for feed in found.feeds] == ([dtype] if dtype else [])
    assert len(problems(found.rows)) == (0 if dtype else 1)


def test_composite_features_feed_their_components(tmp_path: Path) -> None:
    columns = {"s": {"type": "float32", "nullable": True}, "r": {"type": "list<int64>", "ragged": True}}
    specs = {
        "s": tf.SparseTensorSpec([None, None], tf.float32),
        "r": tf.RaggedTensorSpec([None, None], tf.int64, 1, tf.int64),
    }
    folder = saved_model(tmp_path, lambda s, r: {"o": tf.sparse.reduce_sum(s, 1), "p": tf.reduce_sum(r, 1)}, **specs)
    found = fit(contract_of(columns), None, load_signature(folder, "serving_default"), {}, ["o", "p"])
    assert problems(found.rows) == []
    assert [link.tensors for link in found.links] == [("r", "r_1"), ("s", "s_1", "s_2")]
