"""Everything of a job in a bucket, behind an S3 server that is real as far as the protocol goes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

import highbeam
from highbeam import storage
from highbeam.schemas.job import Job
from highbeam.schemas.layout import layout

from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, shuffled, write_night

N = 30_000
BAD = "oops,a,1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night and a model here, and what became of them here."""
    folder = tmp_path_factory.mktemp("stores")
    save_model(folder, 1)
    for number in range(3):
        write_night(folder, [*csv_lines(shuffled(N)[number::3]), BAD], name=f"{number}.csv")
    manifest = highbeam.run(job_of(folder, ""), DAY)
    assert (manifest.status, manifest.predicted, manifest.rejected) == ("published", N, 3), manifest.message
    return folder


@pytest.fixture(scope="module", params=["bucket", "gcs_bucket"])
def place(request: pytest.FixtureRequest, folder: Path) -> str:
    """A bucket of each service with the same night and model, as the start of a path."""
    place = str(request.getfixturevalue(request.param))
    for file in (*folder.glob("data/**/*"), *folder.glob("models/**/*")):
        if file.is_file():
            storage.put(f"{place}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return f"{place}/"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies of versions lie: for each test a place of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "highbeam"


def job_of(folder: Path, place: str, table: str = "table") -> Job:
    """The job with everything below a place; \"\" is its own folder."""
    text = JOB.replace('"data/', f'"{place}data/').replace("path: models", f'path: "{place}models"')
    return make_job(folder, text.replace("path: table", f'path: "{place}{table}"'), model=False)


def rows(job: Job, keys: list[int]) -> pa.Table:
    return highbeam.lookup(job, keys).select(["k", "g", "y", "_offset", "date"])


def test_the_same_job_in_a_bucket(folder: Path, place: str) -> None:
    here, there = job_of(folder, ""), job_of(folder, place)
    manifest = highbeam.run(there, DAY)
    assert (manifest.status, manifest.predicted, manifest.rejected) == ("published", N, 3), manifest.message
    assert highbeam.run(there, DAY).status == "already_published"
    assert not [path for path in folder.rglob("*") if path.name in ("s3:", "gs:")]
    asked = list(range(0, N + 5, 7))
    assert rows(there, asked).equals(rows(here, asked))
    raw = [row["raw"] for batch in highbeam.rejects(there) for row in batch.to_pylist()]
    assert raw == [BAD.encode()] * 3
    assert [ran.current for ran in highbeam.runs(there)] == [True]
    assert storage.find(f"{layout(there).state}/staging/**") == []


@pytest.mark.parametrize("place", ["bucket"], indirect=True)  # the other service would tell nothing new
def test_a_killed_run_resumes(folder: Path, place: str) -> None:
    job = job_of(folder, place, "killed")
    command = [sys.executable, "-m", "highbeam.cli", "run", str(folder), "--date", DAY, "--", "--direct_num_workers=1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    staging = f"{layout(job).state}/staging/*/*.staged"
    while process.poll() is None and len(storage.find(staging)) < 2:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    marks = {file.path: file.mark for file in storage.find(staging)}
    assert len(marks) >= 2
    assert not highbeam.runs(job)
    manifest = highbeam.run(job, DAY)
    assert (manifest.status, manifest.predicted) == ("published", N)
    other = job_of(folder, place, "undisturbed")
    assert highbeam.run(other, DAY).files == tuple(manifest.files)  # names hold the digests of the bytes


def test_a_model_of_a_bucket_is_fetched_once(folder: Path, place: str, cache: Path) -> None:
    job = job_of(folder, place)
    table = pa.table({"k": [1], "g": ["a"], "x": pa.array([2.0], pa.float32())})
    marks = []
    for _ in range(2):
        predictions, _ = highbeam.predict(job, table)
        assert predictions["y"].to_pylist() == [5.0]
        copies = list((cache / "versions").iterdir())
        marks.append([path.stat().st_mtime_ns for path in copies])
    assert len(marks[0]) == 1
    assert marks[0] == marks[1]


def test_versions_are_written_to_a_bucket_and_numbered_on(folder: Path, place: str) -> None:
    overrides = [f"model.path={place}written"]
    job = make_job(folder, JOB, model=False, overrides=overrides)
    numbers = [highbeam.package(job, str(folder / "models" / "1")).version for _ in range(2)]
    assert numbers == [1, 2]
    storage.remove(f"{place}written/2/saved_model.pb")
    assert highbeam.check(job).model.endswith("version 1")  # `latest` passes over what is not complete
    with pytest.raises(highbeam.UsageError, match="is not complete: it has no saved_model"):
        highbeam.check(make_job(folder, JOB, model=False, overrides=[*overrides, "model.version=2"]))
