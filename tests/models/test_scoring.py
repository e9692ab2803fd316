"""A model held against a job before launch."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from highbeam.models.backends import framework
from highbeam.models.scorer import load
from highbeam.models.scoring import examine
from highbeam.schemas.errors import JobError, NotAvailable, UsageError
from highbeam.schemas.job import Job

from tests.support.models import contract_of, linear_model, rows_of, transform_graph

COLUMNS = {"k": "int64", "x": "float32", "carrier": "string"}


def job_of(folder: Path, **parts: Any) -> Job:
    return Job.model_validate(
        {
            "folder": str(folder),
            "name": "j",
            "source": {"csv": {"path": "*.csv"}},
            "columns": COLUMNS,
            "key": "k",
            "model": {"path": "models"},
            "output": {"delta": {"path": "table"}, "passthrough": ["carrier"]},
            **parts,
        }
    )


def test_what_fits_is_ready_to_travel_and_to_score(tmp_path: Path) -> None:
    examined = examine(job_of(tmp_path), linear_model(tmp_path / "m", {"x": 2.0}), None)
    assert {name: said.type for name, said in examined.predictions.items()} == {"y": "float32"}
    scoring = pickle.loads(pickle.dumps(examined.required()))
    assert scoring == examined.required()
    assert scoring.schema.names == ["y"]
    rows = rows_of(contract_of(COLUMNS), x=[1.0, 2.0])
    assert load(scoring).backend.predict(rows).to_pydict() == {"y": [2.0, 4.0]}


def test_what_does_not_fit_is_told_with_the_three_sides(tmp_path: Path) -> None:
    model = linear_model(tmp_path / "m", {"x_z": 2.0, "dep": 1.0})
    contract = contract_of({"x": "int64"})
    graph = transform_graph(tmp_path / "g", lambda inputs: {"x_z": inputs["x"]}, contract)
    examined = examine(job_of(tmp_path, model={"path": "models", "inputs": {"dep": "d"}}), model, graph)
    with pytest.raises(UsageError) as caught:
        examined.required()
    contract_differs, first, second, _, heading, *table = str(caught.value).splitlines()
    assert "made for another contract: it takes x int64 [?], the contract gives float32 [?]" in contract_differs
    assert "takes dep float32 [?], the transform graph has no d" in first
    assert "takes x_z float32 [?], the transform graph gives x_z int64 [?]" in second
    assert heading.split() == ["name", "contract", "transform", "graph", "signature"]
    assert any(line.startswith("x_z") and line.endswith("does not fit") for line in table)


def test_predictions_the_signature_cannot_give(tmp_path: Path) -> None:
    model = linear_model(tmp_path / "m", {"x": 2.0}, output="carrier")
    with pytest.raises(JobError, match="output carrier: the name is taken; declare it under predictions"):
        examine(job_of(tmp_path), model, None)
    job = job_of(tmp_path, predictions={"late": {"tensor": "prob"}})
    with pytest.raises(JobError, match=r"predictions.late: the signature has no output 'prob'; it has: carrier"):
        examine(job, model, None)


def test_other_frameworks_are_for_later() -> None:
    with pytest.raises(NotAvailable, match="backend 'onnx' is not available yet; there is tensorflow"):
        framework("onnx")
