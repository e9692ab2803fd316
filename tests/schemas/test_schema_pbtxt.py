"""A schema of TensorFlow Metadata in the place of `columns`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from highbeam.schemas.errors import JobError
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import load_job
from highbeam.schemas.plan import dump_job
from highbeam.schemas.schema_pbtxt import read_schema

PRESENT = "presence { min_fraction: 1.0 min_count: 1 }"
ONE = "value_count { min: 1 max: 1 }"

# What stands in a feature besides its name, and the column it becomes.
CASES: list[tuple[str, dict[str, Any]]] = [
    (f"type: INT {PRESENT} {ONE}", {"type": "int64"}),
    (f"type: FLOAT {PRESENT} shape {{}}", {"type": "float32"}),
    (f"type: BYTES {PRESENT} shape {{ dim {{ size: 1 }} }}", {"type": "string"}),
    (f"type: BYTES {PRESENT} {ONE} image_domain {{}}", {"type": "binary"}),
    (f"type: FLOAT {PRESENT} shape {{ dim {{ size: 3 }} }}", {"type": "list<float32>", "size": 3}),
    (f"type: INT {PRESENT} value_count {{ min: 2 max: 2 }}", {"type": "list<int64>", "size": 2}),
    (f"type: INT {PRESENT} value_count {{ min: 0 max: 9 }}", {"type": "list<int64>", "max_length": 9}),
    (f"type: BYTES {PRESENT} value_count {{ min: 1 }}", {"type": "list<string>"}),
    (f"type: FLOAT presence {{ min_count: 1 }} {ONE}", {"type": "float32", "nullable": True}),
    (f"type: FLOAT presence {{ min_fraction: 0.5 }} {ONE}", {"type": "float32", "nullable": True}),
    ("type: FLOAT value_count { min: 0 max: 1 }", {"type": "float32", "nullable": True, "optional": True}),
    ("type: FLOAT", {"type": "float32", "nullable": True, "optional": True}),
    (f"type: INT {PRESENT} {ONE} int_domain {{ min: 1 max: 5 is_categorical: true }}",
     {"type": "int64", "min": 1, "max": 5}),
    (f"type: INT {PRESENT} {ONE} int_domain {{ is_categorical: true }}", {"type": "int64"}),
    (f"type: INT {PRESENT} {ONE} bool_domain {{}}", {"type": "int64", "min": 0, "max": 1}),
    (f"type: FLOAT {PRESENT} {ONE} float_domain {{ min: 0.5 }}", {"type": "float32", "min": 0.5}),
    (f'type: BYTES {PRESENT} {ONE} string_domain {{ value: "b" value: "a" }}',
     {"type": "string", "values": ("b", "a")}),
    (f'type: BYTES {PRESENT} {ONE} domain: "letters"', {"type": "string", "values": ("x", "y")}),
    (f'type: INT {PRESENT} {ONE} domain: "hours"', {"type": "int64", "min": 0, "max": 23}),
    (f'type: BYTES {PRESENT} {ONE} domain: "letters" distribution_constraints {{ min_domain_mass: 0.9 }}',
     {"type": "string"}),
    (f'type: BYTES {PRESENT} {ONE} bool_domain {{ true_value: "y" false_value: "n" }}',
     {"type": "string", "values": ("y", "n")}),
    (f"type: BYTES {PRESENT} {ONE} natural_language_domain {{}}", {"type": "string"}),
]  # fmt: skip
SHARED = """
string_domain { name: "letters" value: "x" value: "y" }
int_domain { name: "hours" min: 0 max: 23 }
"""
JOB = """\
name: taxi
source: {csv: {path: a.csv}}
columns: schema.pbtxt
model: {path: models}
output: {delta: {path: table}}
"""


def job_of(folder: Path, schema: str, more: str = "") -> Job:
    (folder / "schema.pbtxt").write_text(schema)
    (folder / "job.yaml").write_text(JOB + more)
    return load_job(str(folder))


@pytest.mark.parametrize(("said", "column"), CASES, ids=[said for said, _ in CASES])
def test_a_feature_becomes_a_column(tmp_path: Path, said: str, column: dict[str, Any]) -> None:
    path = tmp_path / "schema.pbtxt"
    path.write_text(f'feature {{ name: "x" {said} }} {SHARED}')
    columns, problems = read_schema(str(path))
    assert problems == []
    wanted = {name: list(value) if isinstance(value, tuple) else value for name, value in column.items()}
    assert columns == {"x": wanted}


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "schema.pbtxt"
    path.write_text('feature { name: "x" type: INT }', "utf-8-sig")
    assert [*read_schema(str(path))[0]] == ["x"]


def test_a_job_takes_it_and_the_manifest_holds_what_it_said(tmp_path: Path) -> None:
    job = job_of(tmp_path, f'feature {{ name: "x" type: FLOAT {PRESENT} float_domain {{ min: 0 }} }}')
    assert job.columns["x"].min == 0
    resolved = dump_job(job)
    assert resolved["columns"] == {"x": {"type": "float32", "min": 0}}
    assert Job.model_validate(json.loads(json.dumps(resolved))).contract == job.contract


def test_what_no_night_has_is_left_out(tmp_path: Path) -> None:
    schema = f"""
    feature {{ name: "x" type: FLOAT {PRESENT} }}
    feature {{ name: "gone" type: FLOAT deprecated: true }}
    feature {{ name: "planned" type: FLOAT lifecycle_stage: PLANNED }}
    feature {{ name: "debug" type: FLOAT lifecycle_stage: DEBUG_ONLY }}
    feature {{ name: "beta" type: FLOAT lifecycle_stage: BETA {PRESENT} }}
    feature {{ name: "label" type: FLOAT not_in_environment: "SERVING" }}
    feature {{ name: "weight" type: STRUCT }}
    default_environment: "TRAINING" default_environment: "SERVING"
    """
    job = job_of(tmp_path, schema, "training: {columns: {weight: float32, label: float32}}\n")
    assert list(job.columns) == ["x", "beta"]
    assert list(job.training_contract.columns) == ["x", "beta", "weight", "label"]


@pytest.mark.parametrize(
    ("environments", "there"),
    [
        ("", True),
        ('not_in_environment: "SERVING"', False),
        ('not_in_environment: "TRAINING"', True),
        ('in_environment: "TRAINING"', False),
        ('in_environment: "serving"', True),
    ],
)
def test_environments(tmp_path: Path, environments: str, there: bool) -> None:
    path = tmp_path / "schema.pbtxt"
    path.write_text(f'feature {{ name: "x" type: INT {environments} }} feature {{ name: "y" type: INT }}')
    assert ("x" in read_schema(str(path))[0]) == there


def test_tensor_representations_say_ragged_and_default(tmp_path: Path) -> None:
    path = tmp_path / "schema.pbtxt"
    path.write_text(f"""
    feature {{ name: "tags" type: BYTES {PRESENT} value_count {{ min: 0 max: 5 }} }}
    feature {{ name: "x" type: FLOAT {ONE} }}
    tensor_representation_group {{ key: "" value {{
      tensor_representation {{ key: "tags" value {{ ragged_tensor {{ feature_path {{ step: "tags" }} }} }} }}
      tensor_representation {{ key: "x" value {{
        dense_tensor {{ column_name: "x" shape {{}} default_value {{ float_value: -1 }} }} }} }}
    }} }}""")
    columns, _ = read_schema(str(path))
    assert columns["tags"] == {"type": "list<string>", "max_length": 5, "ragged": True}
    assert columns["x"] == {"type": "float32", "nullable": True, "optional": True, "default": -1}


REFUSED = [
    ('feature { name: "x" type: STRUCT struct_domain {} }', "feature x: its type is STRUCT"),
    ('feature { name: "x" }', "feature x: its type is TYPE_UNKNOWN"),
    ('feature { name: "x" type: INT shape { dim { size: 2 } dim { size: 3 } } }', r"feature x: its shape is \[2, 3\]"),
    ('feature { name: "x" type: INT value_count { min: 2 max: 4 } }', "feature x: value_count"),
    ('feature { name: "x" type: INT value_counts { value_count { min: 1 } } }', "feature x: value_counts describes"),
    ('feature { name: "x" type: INT domain: "nowhere" }', "feature x: the schema has no domain 'nowhere'"),
    ('feature { name: "x" type: INT string_domain { value: "a" } }', "feature x: a string_domain does not go with"),
    ('sparse_feature { name: "s" }', "feature s: a sparse_feature is put together"),
    ('feature { name: "x" type: INT } feature { name: "x" type: FLOAT }', "feature x: the schema describes it twice"),
    ('feature { name: "_x" type: INT }', "feature _x: names with a leading _ .* rename it in the schema .* from: _x"),
    ("feture {}", r"is no TensorFlow Metadata schema in text form \(line 1:"),
    ("", "has no feature that is read at scoring"),
]


@pytest.mark.parametrize(("schema", "message"), REFUSED)
def test_what_cannot_be_said_is_named(tmp_path: Path, schema: str, message: str) -> None:
    with pytest.raises(JobError, match=f"job.yaml:3: columns: schema.pbtxt: {message}"):
        job_of(tmp_path, schema)


def test_every_problem_at_once(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        job_of(tmp_path, "".join(schema.replace('"x"', f'"x{i}"') for i, (schema, _) in enumerate(REFUSED[:4])))
    assert len(caught.value.problems) == 4


def test_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    with pytest.raises(JobError, match=r"job.yaml:3: columns: schema.pbtxt: cannot be read"):
        load_job(str(tmp_path))
