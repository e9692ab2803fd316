"""Every command with everything in a bucket but job.yaml and the Python files."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

import highbeam
from highbeam import storage
from highbeam.cli import main
from highbeam.models.runtime import tf

from tests.support.jobs import DAY, csv_lines, shuffled

JOB = """\
name: doubling
source:
  csv: {path: "BUCKET/data/{date}/*.csv"}
  ready: BUCKET/data/{date}/_SUCCESS
columns:
  k: int64
  g: string
  x: {type: float32, min: 0}
join:
  groups:
    csv: {path: BUCKET/groups.csv}
    by: g
    columns: {weight: {type: float32, nullable: true, default: 0}}
key: k
transform: {preprocessing_fn: preprocessing.py:preprocessing_fn, path: BUCKET/transforms}
training:
  source: {csv: {path: BUCKET/history.csv}}
  columns: {late: float32}
model: {path: BUCKET/models}
predictions:
  best: {tensor: scores, top_k: 2, labels: BUCKET/labels.txt}
output:
  delta: {path: BUCKET/table}
  passthrough: [g, weight]
"""
PREPROCESSING = """\
import tensorflow_transform as tft

def preprocessing_fn(inputs):
    return {"x": tft.scale_to_0_1(inputs["x"]), "weight": inputs["weight"], "late": inputs["late"]}
"""
N = 500
Ask = Callable[..., tuple[int, str]]


class Trained(tf.Module):
    """Two scores of what the graph gives."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([None], tf.float32, "weight")])
    def score(self, x: Any, weight: Any) -> Any:
        return {"scores": tf.stack([x, weight], axis=1)}


@pytest.fixture(scope="module", params=["bucket", "gcs_bucket"])
def store(request: pytest.FixtureRequest) -> str:
    """A bucket of each kind."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, store: str) -> highbeam.Job:
    """A night that was published: one row of it is broken."""
    folder = tmp_path_factory.mktemp("commands")
    lines = csv_lines(shuffled(N))
    for name, content in {
        f"data/{DAY}/a.csv": ["k,g,x", *lines, "oops,a,1"],
        f"data/{DAY}/_SUCCESS": [],
        "history.csv": ["k,g,x,late", *(f"{line},1" for line in lines)],
        "groups.csv": ["g,weight", "a,7", "b,9"],
        "labels.txt": ["soon", "later"],
    }.items():
        storage.put(f"{store}/{name}", "".join(f"{line}\n" for line in content).encode())
    (folder / "preprocessing.py").write_text(PREPROCESSING)
    (folder / "job.yaml").write_text(JOB.replace("BUCKET", store))
    trained = Trained()
    tf.saved_model.save(trained, str(folder / "trained"), signatures={"serving_default": trained.score})
    for file in (folder / "trained").rglob("*"):
        if file.is_file():
            storage.put(f"{store}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        job = highbeam.load_job(str(folder))
        highbeam.analyze(job, examples=f"{store}/examples")
        highbeam.package(job, f"{store}/trained/")
        manifest = highbeam.run(job, DAY)
    assert (manifest.status, manifest.predicted, manifest.rejected) == ("published", N, 1), manifest.message
    return job


@pytest.fixture
def ask(job: highbeam.Job, capsys: pytest.CaptureFixture[str]) -> Ask:
    """A command for the job: its exit status, and what it printed."""

    def asked(command: str, *arguments: str) -> tuple[int, str]:
        status = main([command, job.folder, *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    return asked


def test_versions_and_examples_lie_in_the_bucket(job: highbeam.Job, store: str) -> None:
    assert [storage.folders(f"{store}/{kind}") for kind in ("transforms", "models")] == [["1"], ["1"]]
    assert [file.path for file in storage.find(f"{store}/examples/*")] == [f"{store}/examples/part-00000000.parquet"]
    with pytest.raises(highbeam.UsageError, match="holds files that are not Highbeam's"):
        highbeam.analyze(job, examples=f"{store}/data")


def test_nothing_of_a_bucket_is_taken_for_a_folder_of_this_machine(job: highbeam.Job) -> None:
    assert sorted(path.name for path in Path(job.folder).iterdir()) == [
        "cache",
        "job.yaml",
        "preprocessing.py",
        "trained",
    ]


def test_keys_come_from_a_bucket(ask: Ask, store: str) -> None:
    storage.put(f"{store}/keys.txt", b"3\r\n\n4\n")
    status, said = ask("lookup", "--keys-from", f"{store}/keys.txt")
    rows = [json.loads(line)["row"] for line in said.splitlines()]
    assert status == 0
    assert [(row["k"], row["g"], row["weight"]) for row in rows] == [(3, "a", 7), (4, "b", 9)]
    assert rows[0]["best"][0] == {"label": "later", "score": 7}
    status, said = ask("lookup", "--keys-from", f"{store}/none.txt")
    assert (status, f"--keys-from {store}/none.txt: no such file" in said) == (2, True)


def test_rejects_go_to_a_bucket_and_come_back_mended(job: highbeam.Job, ask: Ask, store: str) -> None:
    edits = f"{store}/edits.jsonl"
    assert ask("rejects", "--export", f"{store}/")[0] == 2
    assert ask("rejects", "--export", edits)[0] == 0
    reject = json.loads(storage.read(edits))
    storage.put(edits, json.dumps({**reject, "raw": f"{N},b,1"}).encode())
    assert ask("replay", "--date", DAY, "--from", edits)[0] == 0
    assert highbeam.lookup(job, [N])["weight"].to_pylist() == [9]


def test_a_job_is_drafted_from_a_bucket_and_written_here(ask: Ask, store: str, capsys: Any) -> None:
    avro = BytesIO()
    schema = {"type": "record", "name": "r", "fields": [{"name": "k", "type": "long"}]}
    fastavro.writer(avro, fastavro.parse_schema(schema), [{"k": 1}])
    storage.put(f"{store}/rows.avro", avro.getvalue())
    for file, drafted in (
        (f"data/{DAY}/a.csv", f"csv: {{path: '{store}/data/{{date}}/a.csv'}}"),
        ("rows.avro", f"avro: {{path: '{store}/rows.avro'}}"),
    ):
        assert main(["infer", f"{store}/{file}"]) == 0
        assert drafted in capsys.readouterr().out
    assert main(["infer", f"{store}/rows.avro", "--out", f"{store}/job.yaml"]) == 2


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("transform.preprocessing_fn=s3://b/p.py:f", "transform.preprocessing_fn: s3://b/p.py:f: Python files lie on"),
        ("code=[s3://b/code]", "code.0: s3://b/code: Python files lie on this machine"),
        ("postprocess=s3://b/p.py:f", "postprocess: s3://b/p.py:f: Python files lie on this machine"),
        ("output.delta.path=ftp://b/t", "ftp://b/t: no such store is known"),
    ],
)
def test_what_cannot_lie_in_a_bucket_is_refused(ask: Ask, setting: str, said: str) -> None:
    status, told = ask("check", "--set", setting)
    assert (status, said in told) == (2, True), told


def test_a_job_in_a_bucket_is_refused() -> None:
    with pytest.raises(highbeam.UsageError, match=r"s3://b/job\.yaml: a job.yaml and the Python files"):
        highbeam.load_job("s3://b/job.yaml")
