"""What Dataflow would get, held field by field against reviewed expectations; and what is found before it gets it.

An expectation is `expected/dataflow_<kind>.json`: the description without what is Beam's release and not ours.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from highbeam import storage
from highbeam.cli import main
from highbeam.models.scoring import Scoring
from highbeam.pipelines import dataflow_preflight, flex_template
from highbeam.pipelines.beam_options import pipeline_options
from highbeam.pipelines.dataflow import describe
from highbeam.pipelines.dataflow_options import cores, named
from highbeam.pipelines.planning import make_plan
from highbeam.pipelines.predict import arguments
from highbeam.pipelines.run import launch
from highbeam.pipelines.runs import runs
from highbeam.schemas.errors import HighbeamError, JobError
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import parse_job
from highbeam.schemas.plan import Plan

from tests.support.jobs import DAY, JOB, csv_lines, make_job, write_night

EXPECTED = Path(__file__).parent / "expected"
CLOUD: dict[str, Any] = {
    "runner": "DataflowRunner",
    "project": "flights-prod",
    "region": "europe-west4",
    "temp_location": "gs://flights-prod-tmp/highbeam",
    "sdk_container_image": "europe-docker.pkg.dev/flights-prod/images/highbeam:0.1",
}
KINDS: dict[str, dict[str, Any]] = {
    "cpu": {
        "staging_location": "gs://flights-prod-staging/highbeam",
        "machine_type": "n2-standard-8",
        "disk_size_gb": 50,
        "num_workers": 2,
        "max_num_workers": 20,
        "autoscaling_algorithm": "THROUGHPUT_BASED",
        "labels": ["team=ops"],
        "service_account_email": "scorer@flights-prod.iam.gserviceaccount.com",
        "subnetwork": "regions/europe-west4/subnetworks/batch",
        "network": "prod",
        "no_use_public_ips": True,
    },
    "gpu": {
        "machine_type": "g2-standard-4",
        "disk_size_gb": 50,
        "max_num_workers": 4,
        "dataflow_service_options": ["worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"],
        "number_of_worker_harness_threads": 2,
    },
    "tpu": {
        "machine_type": "ct5lp-hightpu-1t",
        "max_num_workers": 1,
        "resource_hints": ["accelerator=type:tpu-v5-lite-podslice;topology:1x1", "min_ram=32GB"],
        "experiments": ["use_multiple_sdk_containers"],
        "labels": ["highbeam-job=renamed"],
    },
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Scoring]:
    """A plan as that of a job on Google's cloud; a model on this machine stands for the bucket's."""
    folder = tmp_path_factory.mktemp("dataflow")
    write_night(folder, csv_lines(range(5)))
    plan, scoring = make_plan(make_job(folder), DAY)
    cloud = parse_job(JOB.replace("path: table", "path: gs://flights-prod/table"), str(folder / "job.yaml"))
    job = plan.job.model_copy(update={"output": cloud.output})
    return dataclasses.replace(plan, job=job, score_id="0123456789abcdef", launch="20131202T010000Z-0000"), scoring


def no_network(*_: Any, **__: Any) -> None:
    raise AssertionError("something was contacted")


@pytest.mark.parametrize("kind", KINDS)
def test_the_job_is_the_expected_one(planned: tuple[Plan, Scoring], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    plan, scoring = planned
    options = named(pipeline_options(CLOUD | KINDS[kind]), plan)
    found = json.loads(json.dumps(describe(plan, scoring, options)).replace(version("apache-beam"), "{beam}"))
    pool = found["job"]["environment"]["workerPools"][0]
    for image in pool["sdkHarnessContainerImages"]:
        assert "beam:version:sdk_base:apache/beam_python" in str(image.pop("capabilities"))
    user_agent = found["job"]["environment"].pop("userAgent")
    assert user_agent["version"] == "{beam}"
    # one environment for all steps: a step of its own would cut the fused stage
    steps = found.pop("steps")
    assert len(found["environments"]) == 1
    assert set(steps.values()) == set(found["environments"])
    assert {"Read/ParDo(_Read)", "RunInference/BeamML_RunInference", "Publish/Reconcile and publish"} <= set(steps)
    assert found == json.loads((EXPECTED / f"dataflow_{kind}.json").read_text())


def test_a_checkout_instead_of_an_image(planned: tuple[Plan, Scoring], tmp_path: Path) -> None:
    """The workers get Highbeam as a source distribution, and install it over Beam's own image."""
    root = EXPECTED.parents[2]
    left_out = shutil.ignore_patterns(".*", "build", "dist", "work", "tests", "docs", "__pycache__", "*.egg-info")
    shutil.copytree(root, tmp_path / "checkout", ignore=left_out)
    given = {**CLOUD, "sdk_container_image": None, "setup_file": str(tmp_path / "checkout" / "setup.py")}
    dataflow_preflight.check_settings(gs_job(), pipeline_options(given))
    plan, scoring = planned
    found = describe(plan, scoring, named(pipeline_options(given), plan))
    (environment,) = found["environments"].values()
    assert environment["artifacts"] == ["workflow.tar.gz"]
    assert f"_sdk:{version('apache-beam')}" in environment["image"]
    (package,) = found["job"]["environment"]["workerPools"][0]["packages"]
    assert package["name"] == "workflow.tar.gz"


def test_cores_of_a_machine_type() -> None:
    types = {"n1-standard-8": 8, "a2-highgpu-1g": 4, "n2-custom-6-3072": 6, "custom-2-8192": 2, "": 4, "e2-medium": 4}
    assert {name: cores(name) for name in types} == types


def test_a_name_fits_dataflow(planned: tuple[Plan, Scoring]) -> None:
    plan = planned[0]
    for name in ("9 lives", "x" * 80, "Flight_Delay"):
        job = plan.job.model_copy(update={"name": name})
        options = named(pipeline_options(CLOUD), dataclasses.replace(plan, job=job))
        found = options.get_all_options()
        assert len(found["job_name"]) <= 63
        assert found["job_name"].endswith("-01234567")
        assert found["job_name"][0].isalpha()
    assert found["job_name"] == "flight-delay-2013-12-01-01234567"
    assert found["labels"] == [
        "highbeam-job=flight_delay",
        "highbeam-date=2013-12-01",
        "highbeam-score=0123456789abcdef",
    ]


GS_JOB = (
    JOB.replace('"data/', '"gs://bucket-of-flights/data/')
    .replace("path: models", "path: gs://bucket-of-flights/models")
    .replace("path: table", "path: gs://bucket-of-flights/table")
)
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
    ({"subnetwork": "batch"}, "write regions/REGION/subnetworks/NAME"),
    ({"subnetwork": "regions/us-east1/subnetworks/b"}, "is not in the region europe-west4"),
    ({"service_account_email": "scorer"}, "scorer is no address"),
    ({"labels": ["Team=Ops"]}, "labels: 'Team=Ops'"),
    ({"dataflow_service_options": [GPU]}, "workers come without a driver"),
    ({"dataflow_service_options": ["worker_accelerator=nvidia-l4"]}, "write type:nvidia-l4;count:1"),
    ({"resource_hints": ["accelerator=type:tpu-v5-lite-podslice;topology:1x1"]}, "a TPU needs its own machine_type"),
    (KINDS["gpu"] | {"resource_hints": ["accelerator=type:nvidia-l4;count:1;install-nvidia-driver"]}, "leave one out"),
]


def gs_job() -> Job:
    return parse_job(GS_JOB, "job.yaml")


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_setting_that_cannot_work_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError) as found:
        dataflow_preflight.check_settings(gs_job(), pipeline_options(CLOUD | options))
    assert len(found.value.problems) == 1
    assert message in str(found.value)


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


def test_buckets_that_do_not_answer_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and never says a word
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(_emulated(silent.getsockname()[1])))
        monkeypatch.setattr(dataflow_preflight, "PATIENCE", 0.5)
        before = time.monotonic()
        with pytest.raises(JobError, match=r"(?s)temp_location: gs://.*no answer in 0.5 s.*state: gs://.*no answer"):
            dataflow_preflight.check_buckets(gs_job(), pipeline_options(CLOUD))
        assert time.monotonic() - before < 5


def _emulated(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}"
    return {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}


def test_a_description_needs_dataflow_and_a_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_job(tmp_path, model=False)
    assert main(["check", str(tmp_path), "--job-description"]) == 2
    assert main(["check", str(tmp_path), "--job-description", "--date", DAY]) == 2
    assert main(["check", str(tmp_path), "--", "--runner=DataflowRunner"]) == 2
    said = capsys.readouterr().err
    for what in ("give --date too", "the runner is FnApiRunner", "with --job-description alone"):
        assert what in said


def test_a_template_declares_the_flags_of_its_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = flex_template.metadata()["parameters"]
    ours = {flag.dest: flag.required for flag in arguments()._actions if flag.dest != "help"}
    found = {parameter["name"]: not parameter["isOptional"] for parameter in declared}
    assert ours.items() <= found.items()
    dataflow_preflight.check_settings(gs_job(), pipeline_options({}, [f"--{k}={v}" for k, v in CLOUD.items()]))
    for name in found.keys() - ours.keys():
        pipeline_options({}, [f"--{name}={'1' if name.startswith('number') else 'x-y-1'}"])  # Beam knows it
    assert all(re.compile(form) for parameter in declared for form in parameter.get("regexes", ()))
    # a launcher passes all that it has as --name=value
    read = arguments().parse_args(["--job=/job", "--date=today", "--set=model.version=3", "--force=true"])
    assert (read.force, read.detach, read.set) == (True, False, ["model.version=3"])
    with pytest.raises(SystemExit):
        arguments().parse_args(["--job=/job", "--date=today", "--force=maybe"])


def test_the_main_file_of_a_template_runs_as_a_script(tmp_path: Path) -> None:
    """As the launcher starts it: by its path, from another folder, with Beam's flags among the parameters."""
    make_job(tmp_path, model=False)
    command = [sys.executable, str(Path(flex_template.__file__))]
    flags = [f"--job={tmp_path}", f"--date={DAY}", "--runner=DataflowRunner", "--template_location=gs://b/launch/job"]
    done = subprocess.run([*command, *flags], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "temp_location is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_launch_that_nobody_waits_for_is_known_to_runs(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    write_night(tmp_path, csv_lines(range(5)))
    plan, scoring = make_plan(job, DAY)
    options = pipeline_options({})
    assert launch(plan, scoring, options, True, None).status == "submitted"  # FnApiRunner runs it all the same
    assert [ran.manifest.status for ran in runs(job)] == ["published"]
    storage.remove(plan.manifest)
    assert [(ran.manifest.status, ran.manifest.launch) for ran in runs(job)] == [("submitted", plan.launch)]


def test_a_job_that_nobody_waits_for_refuses_by_itself(tmp_path: Path) -> None:
    job = make_job(tmp_path, JOB + "rejects: {max_fraction: 0}\n")
    write_night(tmp_path, [*csv_lines(range(5)), "6,q,1"])
    plan, scoring = make_plan(job, DAY)
    with pytest.raises(HighbeamError, match="of 6"):  # the job itself ends red
        launch(plan, scoring, pipeline_options({}), True, None)
    ((status, reason),) = [(ran.manifest.status, ran.manifest.reason) for ran in runs(job)]
    assert (status, reason) == ("refused", "over_budget")
