"""What is wrong with a Dataflow job is found before anything is launched, all at once and soon."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from highbeam.cli import main
from highbeam.pipelines import dataflow_preflight
from highbeam.pipelines.beam_options import pipeline_options
from highbeam.schemas.errors import JobError
from highbeam.schemas.job_file import parse_job

from tests.support.dataflow import CLOUD, KINDS, gs_job
from tests.support.jobs import DAY, JOB, csv_lines, make_job, write_night

GPU = "worker_accelerator=type:nvidia-l4;count:1"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"project": None}, "project is missing"),
    ({"project": "My Project"}, "'My Project' is no project"),
    ({"region": None}, "region is missing"),
    ({"region": "europe-west4-a"}, "'europe-west4-a' is no region"),
    ({"temp_location": None}, "temp_location is missing"),
    ({"temp_location": "/tmp/here"}, "temp_location: /tmp/here is not gs://"),
    ({"staging_location": "s3://bucket/x"}, "staging_location: s3://bucket/x is not gs://"),
    ({"sdk_container_image": None}, "the workers would lack Highbeam"),
    ({"sdk_container_image": "Highbeam:latest"}, "'Highbeam:latest' is no image"),
    ({"sdk_container_image": "gcr.io/p/highbeam"}, "has no tag"),
    ({"setup_file": "setup.py"}, "setup_file: setup.py is no file of a checkout"),
    ({"num_workers": 5, "max_num_workers": 2}, "num_workers 5 is above max_num_workers 2"),
    ({"disk_size_gb": -3}, "disk_size_gb is -3; write how many, or leave it out"),
    ({"machine_type": "foo"}, "machine_type: 'foo' is none; write one such as n2-standard-8"),
    ({"subnetwork": "batch"}, "write regions/REGION/subnetworks/NAME"),
    ({"subnetwork": "regions/us-east1/subnetworks/b"}, "is not in the region europe-west4"),
    ({"service_account_email": "scorer"}, "scorer is no address"),
    ({"labels": ["Team=Ops"]}, "labels: 'Team=Ops'"),
    ({"dataflow_service_options": [GPU]}, "workers come without a driver"),
    ({"dataflow_service_options": ["worker_accelerator=nvidia-l4"]}, "write type:nvidia-l4;count:1"),
    ({"resource_hints": ["accelerator=type:tpu-v5-lite-podslice;topology:1x1"]}, "a TPU needs its own machine_type"),
    (KINDS["gpu"] | {"resource_hints": ["accelerator=type:nvidia-l4;count:1;install-nvidia-driver"]}, "leave one out"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_setting_that_cannot_work_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError) as found:
        dataflow_preflight.check_settings(gs_job(), pipeline_options(CLOUD | options))
    assert len(found.value.problems) == 1
    assert message in str(found.value)


@pytest.mark.parametrize(
    ("accelerator", "options", "message"),
    [
        ("nvidia-l4", KINDS["gpu"], "gives accelerators to all workers"),
        ("nvidia-l4", {"resource_hints": ["accelerator=type:nvidia-l4;count:1"]}, "leave one out"),
        ("{type: tpu-v5-lite-podslice, topology: 1x1}", {}, "a TPU needs a machine_type of its own"),
        ("{type: tpu-v5-lite-podslice, machine_type: ct5lp-hightpu-1t}", {}, "a TPU needs its topology"),
    ],
)
def test_an_accelerator_that_cannot_work_is_named(accelerator: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        dataflow_preflight.check_settings(gs_job(f"accelerator: {accelerator}\n"), pipeline_options(CLOUD | options))


@pytest.mark.parametrize("kind", KINDS)
def test_sound_settings_pass(kind: str) -> None:
    dataflow_preflight.check_settings(gs_job(), pipeline_options(CLOUD | KINDS[kind]))


def test_everything_is_told_at_once_and_nothing_launched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_job(tmp_path)
    write_night(tmp_path, csv_lines(range(5)))
    before = time.monotonic()
    assert main(["run", str(tmp_path), "--date", DAY, "--detach", "--", "--runner=DataflowRunner"]) == 2
    assert time.monotonic() - before < 30
    said = capsys.readouterr().err
    for what in ("project is", "region is", "temp_location is", "lack Highbeam"):
        assert what in said
    for key in ("source.csv.path", "model.path", "state", "output.delta.path"):
        assert f"{key}: {tmp_path}" in said
    assert not (tmp_path / "table").exists()


def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and never says a word
        port = silent.getsockname()[1]
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(_emulated(port)))
        monkeypatch.setattr(dataflow_preflight, "PATIENCE", 0.5)
        here = {"dataflow_endpoint": f"http://127.0.0.1:{port}", "sdk_container_image": f"127.0.0.1:{port}/highbeam:1"}
        before = time.monotonic()
        with pytest.raises(JobError) as found:
            dataflow_preflight.check_services(gs_job(), pipeline_options(CLOUD | here | {"no_auth": True}))
        assert time.monotonic() - before < 5
    names = [problem.partition(": gs://")[0] for problem in found.value.problems[:-1]]
    assert names == ["beam: temp_location", "state", "output.delta.path"]  # a registry may be there for workers alone
    assert all(": no answer in 0.5 seconds" in problem for problem in found.value.problems[:-1])
    assert found.value.problems[-1].startswith("beam: project and region: ")


def _emulated(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}"
    return {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}


def test_every_place_that_workers_see_is_looked_at(tmp_path: Path) -> None:
    text = JOB.replace('path: "data/{date}/*.csv"', 'path: [a.csv, "gs://b/c.csv", d.csv]')
    text += "join: {planes: {parquet: {path: planes.parquet}, by: k, columns: {year: int64}}}\n"
    job = parse_job(text, str(tmp_path / "job.yaml"))
    with pytest.raises(JobError) as found:
        dataflow_preflight.check_settings(job, pipeline_options(CLOUD))
    said = [problem.partition(" lies on")[0].replace(str(tmp_path), "") for problem in found.value.problems]
    assert said == [
        "source.csv.path: /a.csv",
        "source.csv.path: /d.csv",
        "join.planes: /planes.parquet",
        "model.path: /models",
        "state: /table/_highbeam",
        "output.delta.path: /table",
    ]
