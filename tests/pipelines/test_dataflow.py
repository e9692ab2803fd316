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
from highbeam.schemas.errors import HighbeamError
from highbeam.schemas.job_file import parse_job
from highbeam.schemas.plan import Plan, load_plan

from tests.support.dataflow import CLOUD, KINDS, gs_job
from tests.support.jobs import DAY, JOB, csv_lines, make_job, write_night

EXPECTED = Path(__file__).parent / "expected"


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


def described(plan: Plan, scoring: Scoring, options: dict[str, Any]) -> dict[str, Any]:
    """The description, without what is Beam's release."""
    found = describe(plan, scoring, named(pipeline_options(options), plan))
    ours: dict[str, Any] = json.loads(json.dumps(found).replace(version("apache-beam"), "{beam}"))
    images = ours["job"]["environment"]["workerPools"][0]["sdkHarnessContainerImages"]
    images.sort(key=lambda image: image["environmentId"])  # Beam keeps them in a set
    for image in images:
        assert "beam:version:sdk_base:apache/beam_python" in str(image.pop("capabilities"))
    assert ours["job"]["environment"].pop("userAgent")["version"] == "{beam}"
    return ours


@pytest.mark.parametrize("kind", KINDS)
def test_the_job_is_the_expected_one(planned: tuple[Plan, Scoring], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    found = described(*planned, CLOUD | KINDS[kind])
    # one environment for all steps: a step of its own would cut the fused stage
    steps = found.pop("steps")
    assert len(found["environments"]) == 1
    assert set(steps.values()) == set(found["environments"])
    assert {"Read/ParDo(_Read)", "RunInference/BeamML_RunInference", "Publish/Reconcile and publish"} <= set(steps)
    assert found == json.loads((EXPECTED / f"dataflow_{kind}.json").read_text())


ACCELERATORS = {
    "accelerator: {type: nvidia-l4, count: 2, machine_type: g2-standard-24, min_ram: 16GB}\n": {
        "accelerator": "type:nvidia-l4;count:2;machine_type:g2-standard-24;install-nvidia-driver",
        "min_ram_bytes": "16000000000",
    },
    "accelerator: {type: tpu-v5-lite-podslice, topology: 1x1, machine_type: ct5lp-hightpu-1t}\n": {
        "accelerator": "type:tpu-v5-lite-podslice;topology:1x1;machine_type:ct5lp-hightpu-1t"
    },
}
ON_IT = ("ReadFeatures/ParDo(_ReadFeatures)", "RunInference/BeamML_RunInference", "Stage/ParDo(_Stage)")


@pytest.mark.parametrize(("kind", "spelled"), [*zip(["apart_gpu", "apart_tpu"], ACCELERATORS, strict=True)])
def test_only_what_runs_the_model_asks_for_an_accelerator(
    planned: tuple[Plan, Scoring], kind: str, spelled: str
) -> None:
    job = gs_job(spelled)
    dataflow_preflight.check_settings(job, pipeline_options(CLOUD))
    plan, scoring = planned
    plan = dataclasses.replace(plan, job=plan.job.model_copy(update={"accelerator": job.accelerator}))
    found = described(plan, scoring, CLOUD)
    steps, environments = found.pop("steps"), found["environments"]
    assert found == json.loads((EXPECTED / f"dataflow_{kind}.json").read_text())
    by_hints = {name: environment["resource_hints"] for name, environment in environments.items()}
    assert sorted(by_hints.values(), key=len) == [{}, ACCELERATORS[spelled]]
    assert len({environment["image"] for environment in environments.values()}) == 1
    on_it = {step for step, environment in steps.items() if by_hints[environment]}
    assert {f"ScoreFeatures/{step}" for step in ON_IT} <= on_it
    assert {step.partition("/")[0] for step in on_it} == {"ScoreFeatures"}
    others = {"Read/ParDo(_Read)", "Preprocess/BeamML_RunInference", "Publish/Reconcile and publish"}
    assert others <= set(steps) - on_it


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


def test_a_launch_on_dataflow_returns_at_once(tmp_path: Path) -> None:
    """All of a launch but the call of the service, which Beam leaves out of its own dry runs."""
    job = make_job(tmp_path)
    write_night(tmp_path, csv_lines(range(5)))
    plan, scoring = make_plan(job, DAY)
    manifest = launch(plan, scoring, pipeline_options(CLOUD, ["--dry_run=True"]), True, None)
    assert (manifest.status, manifest.exit_code) == ("submitted", 0)
    assert manifest.message == f"job doubling-{DAY}-{plan.score_id[:8]}"
    assert load_plan(plan.path).score_id == plan.score_id
    assert [ran.manifest.status for ran in runs(job)] == ["submitted"]


def test_a_job_that_nobody_waits_for_refuses_by_itself(tmp_path: Path) -> None:
    job = make_job(tmp_path, JOB + "rejects: {max_fraction: 0}\n")
    write_night(tmp_path, [*csv_lines(range(5)), "6,q,1"])
    plan, scoring = make_plan(job, DAY)
    with pytest.raises(HighbeamError, match="of 6"):  # the job itself ends red
        launch(plan, scoring, pipeline_options({}), True, None)
    ((status, reason),) = [(ran.manifest.status, ran.manifest.reason) for ran in runs(job)]
    assert (status, reason) == ("refused", "over_budget")
