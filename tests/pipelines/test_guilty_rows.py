"""A row that graph, model or postprocess cannot take, or makes NaN of, is named exactly; the others are published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable

import highbeam
from highbeam.models.runtime import tf
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import load_job
from highbeam.schemas.layout import layout

from tests.support.models import saved_model, transform_graph

DAY = "2013-12-01"
JOB = """\
name: guilty
source:
  csv: {path: "data/{date}/*.csv"}
columns:
  k: int64
  x: float32
  s: {type: string, nullable: true}
  y: {type: float32, nullable: true}
key: k
transform: {path: transforms}
model: {path: models}
predictions:
  p: {tensor: p, type: float32}
  list: {tensor: list, type: list<float32>, size: 2}
  word: {tensor: word, type: string}
  words: {tensor: words, type: list<string>, size: 2}
  best: {tensor: list, top_k: 1}
output: {delta: {path: table}}
rejects: {max_fraction: 1}
"""
POSTPROCESS = """\
import pyarrow as pa
import pyarrow.compute as pc

NAMES = ["p", "list", "word", "words", "best"]


def fn(rows):
    p = rows["p"]
    if pc.any(pc.equal(p, 400.0)).as_py():
        raise ValueError("four hundred")
    p = pc.if_else(pc.equal(p, 402.0), pa.scalar(float("inf"), pa.float32()), p)
    p = pc.if_else(pc.equal(pc.is_nan(p), True), p, pc.add(p, pa.scalar(1000.0, pa.float32())))
    return pa.record_batch([p, *(rows[name] for name in NAMES[1:])], names=NAMES)
"""


@dataclass
class Guilt:
    """What becomes of a row with some x."""

    x: float
    stage: str
    reason: str
    message: str


GUILTY = [
    Guilt(13, "preprocess", "preprocess_failed", "the transform graph failed on this row: assertion failed: [thirteen"),
    Guilt(-1, "preprocess", "not_finite", "feature root of the transform graph is NaN or infinite"),
    Guilt(14, "preprocess", "not_finite", "feature pair of the transform graph is NaN or infinite"),
    Guilt(15, "preprocess", "not_finite", "feature sparse of the transform graph is NaN or infinite"),
    Guilt(26, "predict", "model_failed", "the model failed on this row: assertion failed: [twenty-six"),
    Guilt(27, "predict", "not_finite", "prediction p is NaN or infinite"),
    Guilt(28, "predict", "not_finite", "prediction list is NaN or infinite"),
    Guilt(29, "predict", "model_failed", "the model failed on this row: output word is not valid UTF-8"),
    Guilt(30, "predict", "model_failed", "the model failed on this row: output words is not valid UTF-8"),
]
NAN = float("nan")


def at(x: Any, value: float, otherwise: Any, then: Any) -> Any:
    """`then` where x is a value."""
    return tf.where(tf.equal(x, value), tf.cast(then, tf.float32), otherwise)


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    x = inputs["x"]
    with tf.control_dependencies([tf.debugging.assert_none_equal(x, 13.0, message="thirteen")]):
        x = tf.identity(x)
    root = tf.where(x < 0, tf.sqrt(x), x)
    pair = tf.stack([x, at(x, 14, x, np.inf)], 1)
    y = inputs["y"]
    there = tf.gather(x, y.indices[:, 0])
    sparse = tf.SparseTensor(y.indices, at(there, 15, y.values, NAN), y.dense_shape)
    return {"root": root, "pair": pair, "sparse": sparse, "text": tf.sparse.to_dense(inputs["s"], "-")[:, 0]}


def model(root: Any, pair: Any, sparse: Any, text: Any) -> dict[str, Any]:
    with tf.control_dependencies([tf.debugging.assert_none_equal(root, 26.0, message="twenty-six")]):
        root = tf.identity(root)
    added = tf.sparse.reduce_sum(sparse, axis=1)
    p = at(root, 27, root + pair[:, 1] + tf.ensure_shape(added, [None]), NAN)
    word = tf.where(tf.equal(root, 29), b"\xff", tf.strings.join([text, "!"]))
    other = tf.where(tf.equal(root, 30), b"\xfe", text)
    return {"p": p, "list": tf.stack([root, at(root, 28, root, np.inf)], 1), "word": word,
            "words": tf.stack([text, other], 1)}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guilty")
    (folder / "job.yaml").write_text(JOB)
    (folder / "post.py").write_text(POSTPROCESS)
    contract = load_job(str(folder)).contract
    transform_graph(folder / "transforms" / "1", preprocessing_fn, contract)
    one, texts = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.string)
    two, some = tf.TensorSpec([None, 2], tf.float32), tf.SparseTensorSpec([None, None], tf.float32)
    saved_model(folder / "models" / "1", model, root=one, pair=two, sparse=some, text=texts)
    return folder


def run(folder: Path, rows: list[tuple[float, str]], *overrides: str) -> tuple[Job, Any]:
    """Runs a night of rows (x, s); the key is the row's number, and every second row has a y of 0.5."""
    data = folder / "data" / DAY / "a.csv"
    data.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{k},{x},{s},{'' if k % 2 and x != 15 else 0.5}" for k, (x, s) in enumerate(rows)]
    data.write_text("\n".join(["k,x,s,y", *lines, ""]))
    job = load_job(str(folder), overrides)
    return job, highbeam.run(job, DAY)


def rejected(job: Job) -> dict[int, tuple[str, str, str]]:
    """Key -> stage, reason and message."""
    found = highbeam.rejects(job, DAY).read_all().to_pylist()
    named = {int(row["key"]): (row["stage"], row["reason"], row["message"]) for row in found}
    assert len(named) == len(found)
    return named


Expect = Callable[[float], float]


def check(job: Job, manifest: Any, rows: list[tuple[float, str]], guilty: list[Guilt], p: Expect) -> None:
    """Every guilty row has its own reject, and all others the predictions they would have alone."""
    of = {one.x: one for one in guilty}
    assert (manifest.status, manifest.read) == ("published", len(rows)), manifest.message
    found = rejected(job)
    assert set(found) == {k for k, (x, _) in enumerate(rows) if x in of}
    for k, (stage, reason, message) in found.items():
        one = of[rows[k][0]]
        assert (stage, reason) == (one.stage, one.reason), message
        assert message.startswith(one.message)
    table = DeltaTable(layout(job).table).to_pyarrow_table(columns=["k", "p", "list", "word", "words"])
    alive = [(k, x, s) for k, (x, s) in enumerate(rows) if x not in of]
    assert table.to_pydict() == {
        "k": [k for k, _, _ in alive],
        "p": [p(x) + (0 if k % 2 else 0.5) for k, x, _ in alive],
        "list": [[x, x] for _, x, _ in alive],
        "word": [f"{s or '-'}!" for _, _, s in alive],
        "words": [[s or "-"] * 2 for _, _, s in alive],
    }


def mixed(guilty: list[Guilt], times: int = 3) -> list[tuple[float, str]]:
    """Several guilty rows of each kind among sound ones, in one batch."""
    sound = [(100.0 + i, "ab"[i % 2] if i % 3 else "") for i in range(60)]
    return [row for i, row in enumerate(sound) for row in [row, *[(g.x, "q") for g in guilty if i % 20 < times]]]


def test_in_each_stage(folder: Path) -> None:
    rows = mixed(GUILTY)
    job, manifest = run(folder, rows, "output.delta.path=mixed")
    check(job, manifest, rows, GUILTY, lambda x: 2 * x)
    assert manifest.rejected_by == {
        "preprocess": {"preprocess_failed": 9, "not_finite": 27},
        "predict": {"model_failed": 27, "not_finite": 18},
    }


def test_with_postprocess(folder: Path) -> None:
    """The step raises where p is 400 and gives infinity where it is 402: of an x of 200 and 201, and no y."""
    rows = mixed(GUILTY)
    rows += [(200.0, "z"), (200.0, "z"), (201.0, "z"), (201.0, "z")]
    job, _ = run(folder, rows, "output.delta.path=post", "postprocess=post.py:fn")
    odd = {k for k, (x, _) in enumerate(rows) if x in (200, 201) and k % 2}
    found = rejected(job)
    late = {k: found.pop(k) for k in odd}
    assert sorted(reason for _, reason, _ in late.values()) == ["not_finite", "postprocess_failed"]
    assert {stage for stage, _, _ in late.values()} == {"postprocess"}
    of = {one.x: one for one in GUILTY}
    assert set(found) == {k for k, (x, _) in enumerate(rows) if x in of}
    for k, (stage, reason, _) in found.items():
        one = of[rows[k][0]]
        # after the postprocess step nobody can tell a NaN of the graph from one of the model
        assert (stage, reason) == ("predict" if one.reason == "not_finite" else one.stage, one.reason)
    table = DeltaTable(layout(job).table).to_pyarrow_table(columns=["k", "p"])
    alive = [k for k, (x, _) in enumerate(rows) if x not in of and k not in odd]
    assert table["k"].to_pylist() == alive
    assert table["p"].to_pylist() == [2 * rows[k][0] + (0 if k % 2 else 0.5) + 1000 for k in alive]


@pytest.mark.parametrize("one", GUILTY, ids=lambda one: str(one.x))
def test_all_rows_guilty(folder: Path, one: Guilt) -> None:
    """In memory; every row is named, and none is left."""
    import pyarrow as pa

    n = 20
    table = pa.table({"k": range(n), "x": pa.array([one.x] * n), "s": ["a"] * n, "y": [0.5] * n})
    predictions, gone = highbeam.predict(load_job(str(folder)), table)
    assert predictions.num_rows == 0
    assert gone["offset"].to_pylist() == list(range(n))
    assert set(gone["stage"].to_pylist()) == {one.stage}
    assert set(gone["reason"].to_pylist()) == {one.reason}
    assert all(message.startswith(one.message) for message in gone["message"].to_pylist())


def test_a_night_of_guilty_rows_publishes_none(folder: Path) -> None:
    rows = [(one.x, "q") for one in GUILTY] * 2
    job, manifest = run(folder, rows, "output.delta.path=none")
    assert (manifest.status, manifest.read, manifest.predicted) == ("published", len(rows), 0)
    assert set(rejected(job)) == set(range(len(rows)))


def test_infinity_that_the_job_allows_is_published(folder: Path) -> None:
    rows = [(-1.0, "a"), (27.0, "a"), (1.0, "a")]
    allow = [f"predictions.{name}.allow_nan=true" for name in ("p", "list", "best")]
    job, manifest = run(folder, rows, "output.delta.path=allowed", *allow)
    assert manifest.predicted == 3
    table = DeltaTable(layout(job).table).to_pyarrow_table(columns=["p"])
    assert np.isnan(table["p"].to_numpy()).tolist() == [True, True, False]
