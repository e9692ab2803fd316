"""The description of the job that a run hands to Dataflow, made without the service."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from ..models.scoring import Scoring
from ..schemas.errors import UsageError
from ..schemas.plan import Plan
from .predict import build

_FOR_THE_RECORD = "submission_environment_dependencies.txt"  # what pip lists here, if there is pip
_URN = re.compile(r"^beam:resources:(\w+):v1$")


def describe(plan: Plan, scoring: Scoring, options: PipelineOptions) -> dict[str, Any]:
    """The job that would be submitted; nothing is contacted, and nothing written.

    Args:
      plan: what is to be run.
      scoring: what to score with.
      options: for the Dataflow runner; `dataflow_options.named`, `project`, `region` and `temp_location` set.

    Returns:
      `job`: the body of the service's jobs.create as JSON, what changes with every call put in words; `environments`
      of the pipeline with their images and resource hints; `steps`: each step's name and environment.

    Raises:
      UsageError: when Beam refuses to make it.
    """
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    options = PipelineOptions([], **{**options.get_all_options(drop_default=True), "dry_run": True})
    # Beam looks for buckets, for minutes, where a pipeline is made for the Dataflow runner.
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=options)
    build(pipeline, plan, scoring, raise_refusal=True)
    try:
        made = DataflowRunner().run_pipeline(pipeline, options).job
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"beam: {error}") from None
    return _described(made)


def _described(made: Any) -> dict[str, Any]:
    """What Beam would send for a job it has made."""
    from apache_beam.runners.dataflow.internal import apiclient

    proto, staged = made.proto_pipeline, f"{made.google_cloud_options.staging_location}/pipeline.pb"
    packages = [artifact for env in proto.components.environments.values() for artifact in _artifacts(env)]
    digest = hashlib.sha256(proto.SerializeToString()).hexdigest()
    made.proto.environment = apiclient.Environment(packages, made.options, "8", staged, proto, digest).proto
    job = json.loads(made.json())
    settings = job["environment"].pop("sdkPipelineOptions", {}).get("options", {})
    job["environment"]["sdkPipelineOptions"] = {"options": _said(settings, made)}
    return {
        "job": _in_words(job, made),
        "environments": {name: _environment(env) for name, env in sorted(proto.components.environments.items())},
        "steps": _steps(proto),
    }


def _said(settings: Mapping[str, Any], made: Any) -> dict[str, Any]:
    """The options that workers are told, those that somebody has set."""
    chosen = {*made.options.get_all_options(drop_default=True), "pipelineUrl"} - {"dry_run", "beam_plugins"}
    return {name: settings[name] for name in sorted(chosen & settings.keys())}


def _in_words(value: Any, made: Any) -> Any:
    """The description with what is made up for each submission in words."""
    place = made.google_cloud_options.staging_location.rpartition("/")[2]
    request = made.proto.client_request_id
    text = json.dumps(value, sort_keys=True)
    return json.loads(text.replace(place, "{submission}").replace(request, "{request}"))


def _environment(env: Any) -> dict[str, Any]:
    from apache_beam.portability.api import beam_runner_api_pb2

    payload = beam_runner_api_pb2.DockerPayload.FromString(env.payload)
    hints = {_URN.sub(r"\1", urn): value.decode() for urn, value in sorted(env.resource_hints.items())}
    return {"image": payload.container_image, "resource_hints": hints, "artifacts": list(_artifacts(env))}


def _artifacts(env: Any) -> list[str]:
    """Names of the files that workers install, such as the source distribution of a setup file."""
    from apache_beam.portability.api import beam_runner_api_pb2

    payload = beam_runner_api_pb2.ArtifactStagingToRolePayload
    names = [payload.FromString(artifact.role_payload).staged_name for artifact in env.dependencies]
    return [name for name in names if name != _FOR_THE_RECORD]


def _steps(proto: Any) -> dict[str, str]:
    """The environment of each step that runs code, by the step's full name; in the order they run."""
    found = {}

    def visit(transform_id: str) -> None:
        step = proto.components.transforms[transform_id]
        if step.environment_id and not step.subtransforms:
            found[step.unique_name] = step.environment_id
        for part in step.subtransforms:
            visit(part)

    for root in proto.root_transform_ids:
        visit(root)
    return found
