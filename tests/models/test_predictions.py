"""What is published of a model: inferred, or declared and held against the signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from highbeam.models.predictions import BEST, infer, plan_predictions, prediction_schema, to_yaml
from highbeam.models.runtime import tf
from highbeam.schemas.errors import JobError
from highbeam.schemas.job import Prediction


def spec(dtype: Any, *shape: int | None) -> Any:
    return tf.TensorSpec(list(shape), dtype)


INFERRED = [
    (spec(tf.float32, None), "float32", None, pa.float32()),
    (spec(tf.float32, None, 1), "float32", None, pa.float32()),
    (spec(tf.float64, None), "float64", None, pa.float64()),
    (spec(tf.bfloat16, None), "float32", None, pa.float32()),
    (spec(tf.float16, None, 2), "list<float32>", 2, pa.list_(pa.float32())),
    (spec(tf.int8, None), "int8", None, pa.int8()),
    (spec(tf.uint32, None), "uint32", None, pa.uint32()),
    (spec(tf.bool, None), "bool", None, pa.bool_()),
    (spec(tf.string, None), "string", None, pa.string()),
    (spec(tf.int64, None, 128), "list<int64>", 128, pa.list_(pa.int64())),
    (spec(tf.string, None, None), "list<string>", None, pa.list_(pa.string())),
]


@pytest.mark.parametrize(("output", "name", "size", "arrow"), INFERRED)
def test_inferred_from_the_signature(output: Any, name: str, size: int | None, arrow: pa.DataType) -> None:
    inferred = infer({"out": output})
    assert inferred == {"out": Prediction(tensor="out", type=name, size=size)}
    columns = plan_predictions(None, {"out": output})
    assert prediction_schema(columns) == pa.schema([("out", arrow)])
    assert plan_predictions(inferred, {"out": output}) == columns  # what `check` prints means the same


NOT_INFERRED = [
    (spec(tf.float32, None, 2, 2), r"float32 \[\?, 2, 2\] must have the shape \[\?\] or \[\?, n\]; list the outputs"),
    (spec(tf.float32), r"float32 \[\] must have the shape"),
    (spec(tf.float32, 8), "has a fixed number of rows"),
    (spec(tf.uint64, None), "no column holds uint64; cast it in the signature"),
    (spec(tf.complex64, None), "no column holds complex64"),
    (tf.SparseTensorSpec([None, None], tf.float32), "is not a dense tensor"),
    (tf.RaggedTensorSpec([None, None], tf.float32), "is not a dense tensor"),
    (tf.TensorSpec(None, tf.float32), "its shape is unknown; declare it under predictions"),
]


@pytest.mark.parametrize(("output", "message"), NOT_INFERRED)
def test_what_cannot_be_inferred(output: Any, message: str) -> None:
    with pytest.raises(JobError, match=f"output out: .*{message}"):
        infer({"out": output, "fine": spec(tf.float32, None)})


def test_inferred_names_must_be_free() -> None:
    outputs = {name: spec(tf.float32, None) for name in ("date", "_id", "carrier", "y")}
    with pytest.raises(JobError) as caught:
        plan_predictions(None, outputs, taken=["carrier"])
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "output _id",
        "output carrier",
        "output date",
    ]


DECLARED = [
    ({"type": "float64"}, spec(tf.float32, None), pa.float64()),
    ({"type": "float32"}, spec(tf.float64, None), pa.float32()),
    ({"type": "int64"}, spec(tf.uint32, None), pa.int64()),
    ({"type": "binary"}, spec(tf.string, None), pa.binary()),
    ({"type": "list<float32>", "size": 1}, spec(tf.float32, None, 1), pa.list_(pa.float32())),
    ({"type": "list<float32>"}, spec(tf.float32, None, 3), pa.list_(pa.float32())),
    ({"type": "list<float32>", "size": 3}, spec(tf.float32, None, None), pa.list_(pa.float32())),
    ({"type": "float32"}, tf.TensorSpec(None, tf.float32), pa.float32()),
    ({}, spec(tf.float32, None, 3), pa.list_(pa.float32())),
    ({"min": 0}, spec(tf.float32, None), pa.float32()),
    ({"top_k": 2}, spec(tf.float32, None, 3), BEST),
    ({"top_k": 3}, spec(tf.float64, None, None), BEST),
]


@pytest.mark.parametrize(("declared", "output", "arrow"), DECLARED)
def test_declared(declared: dict[str, Any], output: Any, arrow: pa.DataType) -> None:
    (column,) = plan_predictions({"p": Prediction(tensor="t", **declared)}, {"t": output})
    assert (column.name, column.type) == ("p", arrow)


WRONG = [
    ({"type": "string"}, spec(tf.float32, None), r"string cannot be made from float32 \[\?\]; publish it as float32"),
    ({"type": "int32"}, spec(tf.int64, None), "publish it as int64"),
    ({"type": "float32"}, spec(tf.float32, None, 3), r"needs the shape \[\?\] or \[\?, 1\], the tensor is"),
    ({"type": "list<float32>"}, spec(tf.float32, None), r"needs the shape \[\?, n\]"),
    ({"type": "list<float32>", "size": 2}, spec(tf.float32, None, 3), "size 2 is declared"),
    ({"size": 2}, spec(tf.float32, None), "size belongs to list<type>; the tensor is"),
    ({"size": 1}, spec(tf.float32, None, 1), "size belongs to list<type>; the tensor is"),
    ({"top_k": 4}, spec(tf.float32, None, 3), "top_k 4 is more than the 3 scores"),
    ({"top_k": 1}, spec(tf.float32, None), "top_k needs the shape"),
    ({"top_k": 1}, spec(tf.string, None, 3), "top_k needs scores"),
    ({"type": "string", "min": 0}, spec(tf.string, None), "min and max need numbers"),
    ({"top_k": 2, "labels": "absent.txt"}, spec(tf.float32, None, 3), "absent.txt cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "output", "message"), WRONG)
def test_declared_otherwise_than_the_signature(declared: dict[str, Any], output: Any, message: str) -> None:
    with pytest.raises(JobError, match=f"predictions.p: .*{message}"):
        plan_predictions({"p": Prediction(tensor="t", **declared)}, {"t": output})


def test_an_output_that_is_not_there_and_every_mistake_at_once() -> None:
    declared = {"a": Prediction(tensor="late"), "b": Prediction(tensor="y", type="string")}
    with pytest.raises(JobError) as caught:
        plan_predictions(declared, {"y": spec(tf.float32, None)})
    assert len(caught.value.problems) == 2
    assert "predictions.a: the signature has no output 'late'; it has: y float32 [?]" in caught.value.problems


def test_labels_one_a_line(tmp_path: Path) -> None:
    outputs = {"t": spec(tf.float32, None, 3)}
    declared = {"p": Prediction(tensor="t", top_k=2, labels="labels.txt")}
    (tmp_path / "labels.txt").write_bytes("ein\r\nzwei mehr\n\u2028drei\n".encode())
    assert plan_predictions(declared, outputs, str(tmp_path))[0].labels == ("ein", "zwei mehr", "\u2028drei")
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    with pytest.raises(JobError, match=r"labels.txt has 2 labels, the tensor 3 scores"):
        plan_predictions(declared, outputs, str(tmp_path))


def test_yaml_to_paste() -> None:
    inferred = infer({"y": spec(tf.float32, None), "emb": spec(tf.float32, None, 4), "123": spec(tf.int64, None)})
    inferred["Größe"] = Prediction(tensor="Größe", type="float32")
    text = to_yaml(inferred)
    assert "\n  Größe: {tensor: Größe, type: float32}\n" in text
    assert "\n  y: {tensor: y, type: float32}\n" in text
    pasted = yaml.safe_load(text)["predictions"]
    assert {name: Prediction(**said) for name, said in pasted.items()} == inferred
