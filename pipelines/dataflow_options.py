"""Beam's options on Dataflow: what Highbeam sets where nobody else does, and the job's name and labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from ..schemas.plan import Plan

RUNNER = "DataflowRunner"
_CORES = 4  # where the machine type does not say
_MULTIPLE = "use_multiple_sdk_containers"


def default_flags(read: Mapping[str, Any]) -> list[str]:
    """The flags Highbeam adds on Dataflow, where the user says nothing of the matter.

    One SDK process a worker, since each would load TensorFlow and the model; in it one thread a core, since a thread
    holds a batch, and Dataflow's own choice is far more.

    Args:
      read: all options as given.
    """
    flags = []
    if not {_MULTIPLE, f"no_{_MULTIPLE}"} & set(read["experiments"] or ()):
        flags.append(f"--experiments=no_{_MULTIPLE}")
    if read["number_of_worker_harness_threads"] is None:
        flags.append(f"--number_of_worker_harness_threads={cores(read['machine_type'] or '')}")
    return flags


def in_template(options: PipelineOptions) -> bool:
    """Whether a template's launcher calls: the job is written for it to submit, and nobody here can wait for it."""
    return bool(options.get_all_options()["template_location"])


def cores(machine_type: str) -> int:
    """How many cores a machine type has, as its name tells: `n1-standard-8`, `custom-8-16384`; or 4."""
    parts = machine_type.split("-")
    custom = parts.index("custom") if "custom" in parts else None
    said = parts[custom + 1 : custom + 2] if custom is not None else parts[2:3]
    return int(said[0]) if said and said[0].isdigit() else _CORES


def named(options: PipelineOptions, plan: Plan) -> PipelineOptions:
    """Names and labels the job by what it scores; changes the options.

    A name that follows from the scoring makes Dataflow refuse a second job of it while the first is running.
    """
    cloud = options.view_as(GoogleCloudOptions)
    cloud.job_name = cloud.job_name or _job_name(plan)
    given = list(cloud.labels or ())
    ours = {"highbeam-job": plan.job.name, "highbeam-date": plan.date, "highbeam-score": plan.score_id}
    names = {label.partition("=")[0] for label in given}
    cloud.labels = given + [f"{name}={_label(value)}" for name, value in ours.items() if name not in names]
    return options


def _job_name(plan: Plan) -> str:
    tail = f"-{plan.score_id[:8]}"
    name = re.sub(r"[^a-z0-9]+", "-", f"{plan.job.name}-{plan.date}".lower()).strip("-")
    name = name if name[:1].isalpha() else f"highbeam-{name}"
    return name[: 63 - len(tail)].rstrip("-") + tail


def _label(value: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", value.lower())[:63]
