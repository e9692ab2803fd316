"""Putting a transform graph and a trained model together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from highbeam.models import store
from highbeam.models.runtime import tf
from highbeam.models.scorer import load
from highbeam.models.scoring import examine
from highbeam.pipelines.package import package
from highbeam.schemas.errors import UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import load_job

from tests.support.models import linear_model, rows_of, saved_model, transform_graph

JOB = """\
name: flights
source: {csv: {path: "data/{date}.csv"}}
columns: {x: float32, s: string, n: {type: float32, nullable: true}}
transform: {preprocessing_fn: "preprocessing.py:fn", path: transforms}
training: {columns: {late: float32}}
model: {path: models}
output: {delta: {path: table}}
"""
VECTOR = tf.TensorSpec([None], tf.float32)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "job.yaml").write_text(JOB)
    return load_job(str(tmp_path))


def graph(job: Job, compute: Callable[[Any], Any], number: int = 1) -> None:
    """Writes a version of the transform graph."""
    transform_graph(Path(job.folder) / "transforms" / str(number), compute, job.training_contract)


def scaled(factor: float) -> Callable[[Any], Any]:
    def compute(i: Any) -> Any:
        return {"scaled": factor * i["x"], "label": i["late"], "n": i["n"], "size": factor * i["x"][:, None]}

    return compute


def predictions(job: Job, version: store.Version, x: Sequence[float]) -> list[float]:
    """What the packaged version gives, composed as a run composes it."""
    scoring = examine(job, version.path, version.transform).required()
    rows = rows_of(job.contract, x=x, s=["a"] * len(x), n=[None] * len(x))
    ((_, found),) = load(scoring).predictions(rows)
    assert not isinstance(found, Exception)
    return [float(value) for value in found.column(0).to_pylist()]


def test_a_version_holds_model_graph_and_digests(job: Job, tmp_path: Path) -> None:
    graph(job, scaled(10.0))
    result = package(job, linear_model(tmp_path / "trained", {"scaled": 2.0}, bias=1.0))
    assert (result.version, result.transform, result.predictions) == (1, 1, {"y": "float"})
    version = store.resolve(str(tmp_path / "models"))
    assert version.path == result.path == str(tmp_path / "models/1")
    assert predictions(job, version, [1.0, 2.0]) == [21.0, 41.0]
    note = yaml.safe_load((tmp_path / "models/1/model.yaml").read_text())
    assert {name: note[name] for name in ("backend", "transform", "job")} == {
        "backend": "tensorflow",
        "transform": 1,
        "job": "flights",
    }
    files = {path for path in (tmp_path / "models/1").rglob("*") if path.is_file() and path.name != "model.yaml"}
    assert set(note["files"]) == {path.relative_to(tmp_path / "models/1").as_posix() for path in files}
    for name, digest in note["files"].items():
        assert hashlib.sha256((tmp_path / "models/1" / name).read_bytes()).hexdigest() == digest
    copied = (tmp_path / "models/1/transform_fn/saved_model.pb").read_bytes()
    assert copied == (tmp_path / "transforms/1/transform_fn/saved_model.pb").read_bytes()
    assert "model version 1 with transform version 1" in result.text()
    assert json.loads(json.dumps(result.as_dict()))["version"] == 1


def test_the_latest_graph_is_taken_unless_another_is_asked_for(job: Job, tmp_path: Path) -> None:
    graph(job, scaled(10.0), 1)
    graph(job, scaled(100.0), 2)
    (tmp_path / "transforms/_cache").mkdir()
    trained = linear_model(tmp_path / "trained", {"scaled": 1.0})
    assert package(job, trained).transform == 2
    assert package(job, trained, transform=1).transform == 1
    assert [predictions(job, version, [1.0]) for version in store.versions(str(tmp_path / "models"))] == [
        [100.0],
        [10.0],
    ]
    with pytest.raises(UsageError, match="holds transform graph versions 1, 2"):
        package(job, trained, transform=3)


def test_the_same_parts_make_the_same_bytes(job: Job, tmp_path: Path) -> None:
    graph(job, scaled(10.0))
    trained = linear_model(tmp_path / "trained", {"scaled": 1.0})
    one, other = package(job, trained), package(job, trained)
    assert (other.version, store.digest(one.path)) == (2, store.digest(other.path))
    assert (Path(one.path) / "model.yaml").read_bytes() == (Path(other.path) / "model.yaml").read_bytes()


def test_a_packaged_version_can_be_packaged_behind_another_graph(job: Job, tmp_path: Path) -> None:
    graph(job, scaled(10.0), 1)
    first = package(job, linear_model(tmp_path / "trained", {"scaled": 1.0}))
    graph(job, scaled(5.0), 2)
    second = package(job, first.path)
    assert predictions(job, store.resolve(str(tmp_path / "models"), "2"), [1.0]) == [5.0]
    assert (second.version, second.transform) == (2, 2)


def test_a_keras_model_is_packaged(job: Job, tmp_path: Path) -> None:
    import keras

    graph(job, lambda i: {"scaled": 10 * i["x"], "length": tf.strings.to_number(i["s"])})
    inputs = {name: keras.Input((1,), name=name) for name in ("scaled", "length")}
    out = keras.layers.Dense(1, kernel_initializer="ones", name="late")(
        keras.layers.Concatenate()(list(inputs.values()))
    )
    keras.Model(inputs, {"late": out}).export(tmp_path / "trained", verbose=False)
    result = package(job, str(tmp_path / "trained"))
    assert result.predictions == {"late": "float"}
    scoring = examine(job, result.path, result.path).required()
    rows = rows_of(job.contract, x=[1.0, 2.0], s=["3", "4"], n=[None, None])
    ((_, found),) = load(scoring).predictions(rows)
    assert not isinstance(found, Exception)
    np.testing.assert_allclose(found["late"], [13, 24])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"scaled": tf.TensorSpec([None], tf.int64)}, ["takes scaled int64 [?]", "gives scaled float32 [?]"]),
        ({"absent": VECTOR}, ["takes absent float32 [?]", "it gives label, n, scaled, size"]),
        ({"n": VECTOR}, ["takes n float32 [?]", "gives n float32 sparse [?, ?]", "make it dense"]),
        ({"size": tf.TensorSpec([None, 3], tf.float32)}, ["takes size float32 [?, 3]", "gives size float32 [?, 1]"]),
    ],
    ids=["type", "name", "sparse", "shape"],
)
def test_a_misfit_names_both_sides_and_writes_nothing(
    job: Job, tmp_path: Path, spec: dict[str, Any], said: list[str]
) -> None:
    graph(job, scaled(10.0))
    trained = saved_model(tmp_path / "trained", lambda **t: {"y": tf.cast(next(iter(t.values())), tf.float32)}, **spec)
    with pytest.raises(UsageError) as error:
        package(job, trained)
    for part in said:
        assert part in str(error.value)
    assert not (tmp_path / "models").exists()


def test_without_transform_the_columns_feed_the_model(tmp_path: Path) -> None:
    text = "\n".join(line for line in JOB.splitlines() if not line.startswith("transform"))
    (tmp_path / "job.yaml").write_text(text)
    job = load_job(str(tmp_path))
    result = package(job, linear_model(tmp_path / "trained", {"x": 3.0}))
    assert (result.transform, sorted(path.name for path in Path(result.path).iterdir() if path.is_file())) == (
        None,
        ["fingerprint.pb", "model.yaml", "saved_model.pb"],
    )
    assert predictions(job, store.resolve(str(tmp_path / "models")), [2.0]) == [6.0]
    with pytest.raises(UsageError, match="the contract has no z"):
        package(job, linear_model(tmp_path / "other", {"z": 3.0}))
    with pytest.raises(UsageError, match="--transform 1: the job has no transform"):
        package(job, str(tmp_path / "trained"), transform=1)


def test_what_is_no_saved_model_is_said(job: Job, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist, so there is no transform graph: run `highbeam analyze`"):
        package(job, str(tmp_path / "trained"))
    graph(job, scaled(1.0))
    with pytest.raises(UsageError, match=r"no SavedModel in .*trained: saved_model.pb is missing"):
        package(job, str(tmp_path / "trained"))
    (tmp_path / "model.keras").touch()
    with pytest.raises(UsageError, match=r"model.keras is a file, .* model.export\(DIR\)"):
        package(job, str(tmp_path / "model.keras"))
    pathless = job.model_copy(update={"transform": job.transform and job.transform.model_copy(update={"path": None})})
    with pytest.raises(UsageError, match=r"transform.path is missing"):
        package(pathless, str(tmp_path / "trained"))
