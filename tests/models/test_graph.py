"""Transform graphs and signatures: what they take and give, and cutting away what is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from highbeam.models.graph import load_signature, load_transform
from highbeam.models.runtime import tf
from highbeam.schemas.errors import UsageError

from tests.support.models import contract_of, linear_model, saved_model, transform_graph

CONTRACT = contract_of(
    {
        "x": "float32",
        "s": "string",
        "v": {"type": "string", "nullable": True},
        "r": {"type": "list<int64>", "ragged": True},
        "late": "float32",
    }
)


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    below = tf.debugging.assert_less(inputs["x"], 100.0, message="x is too great")
    with tf.control_dependencies([below]):
        x = tf.identity(inputs["x"])
    tf.debugging.assert_positive(inputs["late"], message="a label must be positive")
    both = _inner(x, inputs["late"])
    return {
        "double": both[0],
        "lateness": both[1],
        "length": tf.cast(tf.strings.length(inputs["s"]), tf.int64),
        "v_sparse": inputs["v"],
        "r_ragged": inputs["r"],
        "sum": tf.cast(tf.reduce_sum(inputs["r"], axis=1), tf.float32) + x,
    }


@tf.function
def _inner(x: Any, late: Any) -> Any:
    return 2 * x, late + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return transform_graph(tmp_path_factory.mktemp("graph"), preprocessing_fn, CONTRACT)


@pytest.mark.parametrize(
    ("outputs", "needed"),
    [
        (["double"], {"x"}),
        (["lateness"], {"late"}),
        (["length", "v_sparse"], {"s", "v"}),
        (["r_ragged"], {"r"}),
        (["sum", "double"], {"r", "x"}),
        ([], set()),
    ],
)
def test_each_output_depends_on_some_inputs(folder: str, outputs: list[str], needed: set[str]) -> None:
    """Also through an inner function, where each result depends on one argument only."""
    assert load_transform(folder).needed(outputs) == needed


def inlined(folder: str, outputs: list[str]) -> Any:
    """The graph in a function of its own, with a label that would fail its assertion."""
    graph = load_transform(folder)
    specs = {name: spec for name, spec in graph.inputs.items() if name != "late"}

    def body(inputs: dict[str, Any]) -> Any:
        return graph.inlined({**inputs, "late": tf.zeros_like(inputs["x"])}, outputs)

    return tf.function(body, input_signature=[specs], autograph=False).get_concrete_function(), graph


INPUTS = {
    "x": tf.constant([1.0, 2.0]),
    "s": tf.constant(["a", "bcd"]),
    "v": tf.SparseTensor([[1, 0]], ["q"], [2, 1]),
    "r": tf.ragged.constant([[1, 2], []], dtype=tf.int64),
}


def test_inlined_it_gives_what_it_gave(folder: str) -> None:
    function, _ = inlined(folder, ["double", "length", "v_sparse", "r_ragged", "sum"])
    out = function(INPUTS)
    assert out["double"].numpy().tolist() == [2.0, 4.0]
    assert out["length"].numpy().tolist() == [1, 3]
    assert out["v_sparse"].values.numpy().tolist() == [b"q"]
    assert out["r_ragged"].to_list() == [[1, 2], []]
    assert out["sum"].numpy().tolist() == [4.0, 2.0]


def test_assertions_stay_except_those_about_what_is_not_needed(folder: str) -> None:
    """The label is zero, which its assertion forbids; only x may fail."""
    function, _ = inlined(folder, ["double"])
    assert function(INPUTS)["double"].numpy().tolist() == [2.0, 4.0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="x is too great"):
        function({**INPUTS, "x": tf.constant([1.0, 200.0])})


def test_a_needed_label_keeps_its_assertion(folder: str) -> None:
    function, _ = inlined(folder, ["lateness"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="a label must be positive"):
        function(INPUTS)


def test_a_signature_depends_on_what_its_inner_function_uses(tmp_path: Path) -> None:
    spec = tf.TensorSpec([None], tf.float32)
    saved_model(tmp_path, lambda a, b, c: {"ab": a + b, "c": c * 2}, a=spec, b=spec, c=spec)
    signature = load_signature(str(tmp_path), "serving_default")
    assert signature.needed(["ab"]) == {"a", "b"}
    assert signature.needed(["c"]) == {"c"}


def test_what_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    folder = linear_model(tmp_path / "m", {"x": 1.0})
    with pytest.raises(UsageError, match=r"has no signature 'serve'; it has: serving_default. Set model.signature"):
        load_signature(folder, "serve")
    with pytest.raises(UsageError, match=r"no SavedModel in .*none: saved_model.pb is missing"):
        load_signature(str(tmp_path / "none"), "serve")
    with pytest.raises(UsageError, match="run `highbeam analyze`"):
        load_transform(folder)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "saved_model.pb").write_bytes(b"\x00not a protocol buffer")
    with pytest.raises(UsageError, match=r"bad cannot be loaded as a SavedModel: "):
        load_signature(str(tmp_path / "bad"), "serve")


def test_a_model_written_anew_is_loaded_anew(tmp_path: Path) -> None:
    for weight in (1.0, 5.0):
        folder = linear_model(tmp_path / "m", {"x": weight})
        signature = load_signature(folder, "serving_default")
        assert signature.function(x=tf.constant([2.0]))["y"].numpy().tolist() == [2 * weight]
