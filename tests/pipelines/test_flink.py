"""A cluster of Flink: what its graph moves, and what becomes of a job when a part of the cluster dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import highbeam
from highbeam.schemas.job import Job
from highbeam.schemas.layout import layout

from tests.support.flink import Cluster, needs_flink
from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, shuffled, write_night
from tests.support.namespaces import needs_namespaces
from tests.support.processes import free_port

N = 60_000
SPLITS = 15
ENDED = ("FINISHED", "FAILED", "CANCELED")
SLOW = """\
import time

def slow(rows):
    time.sleep(0.15)
    return rows.select(['y'])
"""
PREDICTIONS = "postprocess: post.py:slow\npredictions:\n  y: {tensor: y, type: float32}\n"

pytestmark = [needs_flink, pytest.mark.cluster]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    (folder / "post.py").write_text(SLOW)
    write_night(folder, csv_lines(shuffled(N)))
    save_model(folder, 1)
    return folder


def job_of(folder: Path, table: str, more: str = "") -> Job:
    return make_job(folder, JOB + PREDICTIONS + more, model=False, overrides=[f"output.delta.path=tables/{table}"])


def rows_of(job: Job) -> pa.Table:
    """What was published, without the name of the run."""
    return DeltaTable(layout(job).table).to_pyarrow_table(columns=["k", "g", "y", "_file", "_offset"])


@pytest.fixture(scope="module")
def expected(folder: Path) -> tuple[str, ...]:
    """The data files of an undisturbed run; their names hold digests of their bytes."""
    manifest = highbeam.run(job_of(folder, "expected"), DAY)
    assert manifest.status == "published", manifest.message
    assert highbeam.check(job_of(folder, "expected"), DAY).splits == SPLITS
    return tuple(manifest.files)


def started(folder: Path, table: str, *flags: str) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    command = [sys.executable, "-m", "highbeam.cli", "run", str(folder), "--date", DAY]
    command += ["--set", f"output.delta.path=tables/{table}", "--", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def newest_job(flink: Cluster) -> dict[str, Any]:
    """What Flink tells of the job that came last."""
    jobs = flink.ask("jobs/overview")["jobs"]
    found: dict[str, Any] = flink.ask("jobs/" + max(jobs, key=lambda job: job["start-time"])["jid"])
    return found


def test_no_row_crosses_an_exchange(flink_cluster: Cluster, folder: Path, expected: tuple[str, ...]) -> None:
    workers = flink_cluster.workers()
    manifest = highbeam.run(job_of(folder, "graph"), DAY, beam_flags=flink_cluster.flags())
    assert (manifest.status, tuple(manifest.files)) == ("published", expected), manifest.message
    assert flink_cluster.workers() == workers + 1  # TensorFlow starts once
    job = newest_job(flink_cluster)
    scoring = [v for v in job["vertices"] if "{Read, Validate, RunInference, Postprocess, Stage}" in v["name"]]
    assert len(scoring) == 1, [v["name"] for v in job["vertices"]]
    assert scoring[0]["parallelism"] == 2
    for vertex in job["vertices"]:
        assert vertex["metrics"]["read-records"] <= SPLITS, vertex["name"]
        assert vertex["metrics"]["write-bytes"] < 500 * SPLITS, vertex["name"]


def test_the_model_has_a_worker_of_its_own(flink_cluster: Cluster, folder: Path, expected: tuple[str, ...]) -> None:
    workers, apart = flink_cluster.workers(), job_of(folder, "apart", "accelerator: nvidia-l4\n")
    manifest = highbeam.run(apart, DAY, beam_flags=flink_cluster.flags())
    assert manifest.status == "published", manifest.message
    assert flink_cluster.workers() == workers + 2
    assert rows_of(apart).equals(rows_of(job_of(folder, "expected")))


def test_no_worker_pool_ends_the_run(flink_cluster: Cluster, folder: Path) -> None:
    nobody = [*flink_cluster.flags(), f"--environment_config=localhost:{free_port()}"]
    manifest = highbeam.run(job_of(folder, "nobody"), DAY, beam_flags=nobody)
    assert (manifest.status, manifest.exit_code) == ("failed", 1)
    assert "worker pool" in manifest.message


def test_a_refused_detached_job_ends_red(flink_cluster: Cluster, folder: Path) -> None:
    job = make_job(folder, JOB, model=False, overrides=["output.delta.path=tables/red", "source.min_rows=1000000"])
    before = len(flink_cluster.ask("jobs")["jobs"])
    assert highbeam.run(job, DAY, detach=True, beam_flags=flink_cluster.flags()).status == "submitted"
    while len(flink_cluster.ask("jobs")["jobs"]) == before:  # the job server takes it first, Flink a moment later
        time.sleep(0.1)
    while (state := newest_job(flink_cluster)["state"]) not in ENDED:
        time.sleep(0.1)
    assert state == "FAILED"
    [ran] = highbeam.runs(job)
    assert ran.manifest.status == "refused"


def test_an_interrupted_job_is_cancelled(flink_cluster: Cluster, folder: Path, expected: tuple[str, ...]) -> None:
    job = job_of(folder, "interrupted")
    run = started(folder, "interrupted", *flink_cluster.flags())
    staging = Path(layout(job).state) / "staging"
    while run.poll() is None and len(list(staging.glob("*/*.staged"))) < 2:
        time.sleep(0.005)
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 1, said
    assert "interrupted; the job was cancelled; run the command again" in said
    assert newest_job(flink_cluster)["state"] == "CANCELED"
    assert not list(staging.glob("*/plan-*.json"))
    assert not highbeam.runs(job)
    again = highbeam.run(job, DAY)
    assert (again.status, tuple(again.files)) == ("published", expected), again.message


@needs_namespaces
@pytest.mark.parametrize("victim", ["task-manager", "pool"])
def test_a_killed_part_changes_nothing(
    flink_machines: Cluster, folder: Path, expected: tuple[str, ...], victim: str
) -> None:
    job, [machine, *_] = job_of(folder, victim), flink_machines.machines
    workers = flink_machines.workers(machine)
    run = started(folder, victim, *flink_machines.flags())
    staging = Path(layout(job).state) / "staging"
    while run.poll() is None and len(list(staging.glob("*/*.staged"))) < 2:
        time.sleep(0.005)
    flink_machines.kill(f"{victim}{machine}")  # of a pool, its workers too
    assert 2 <= len(list(staging.glob("*/*.staged"))) < SPLITS
    flink_machines.start_task_manager(machine) if victim == "task-manager" else flink_machines.start_pool(machine)
    said, _ = run.communicate(timeout=180)
    assert run.returncode == 0, said
    assert flink_machines.workers(machine) >= workers + 2
    [ran] = highbeam.runs(job)
    assert ran.current
    files = sorted(file.name for file in Path(layout(job).table).glob("date=*/*"))
    assert files == sorted(file.rpartition("/")[2] for file in expected)
