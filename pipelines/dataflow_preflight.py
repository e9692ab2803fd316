"""What can be wrong with a Dataflow job before it is submitted: all of it, in seconds, instead of a job that hangs."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from .. import storage
from ..schemas.errors import JobError
from ..schemas.job import Job
from ..schemas.layout import is_url, layout, resolve
from .dataflow_options import RUNNER, in_template

Ask = Callable[[], "str | None"]
"""Gives what is wrong, or None."""
PATIENCE = 5.0
"""Seconds to wait for all of them; Google's libraries look for credentials longer than anybody wants to."""
_PROJECT = re.compile(r"([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+\d+")
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?")
_MACHINE = re.compile(r"(.*/)?[a-z][a-z0-9]*(-[a-z0-9]+)+")
_IMAGE = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+(:[\w.-]{1,128})?(@sha256:[0-9a-f]{64})?")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}(=[a-z0-9_-]{0,63})?")
_ACCELERATOR = re.compile(r"type:(?P<type>[a-z0-9-]+)((;count:\d+)|(;topology:\d+(x\d+)+))(?P<more>;.*)?")
_DRIVER = re.compile(r";install-nvidia-driver(:[\w.-]+)?")


def check_settings(job: Job, options: PipelineOptions) -> None:
    """Looks at the options and places of a Dataflow job, without asking anybody; at nothing for another runner.

    Raises:
      JobError: everything that is wrong.
    """
    given = options.get_all_options()
    if given["runner"] != RUNNER:
        return
    problems = [*_cloud(given), *_image(given), *_workers(given), *_accelerator(given)]
    problems += [*_apart(given, job), *_places(job)]
    if problems:
        raise JobError(problems)


def check_services(job: Job, options: PipelineOptions) -> None:
    """Asks the service, the image's registry and the buckets that a Dataflow job writes to; does not wait for long.

    Only the buckets are asked where the job is not handed in from here: for its description, and by a template's
    launcher, behind which the service itself does it.

    Args:
      job: the job.
      options: sound by `check_settings`.

    Raises:
      JobError: which cannot be used, or does not answer.
    """
    given = options.get_all_options()
    if given["runner"] != RUNNER:
        return
    from .dataflow_service import missing_image, refusal_of_jobs  # here: a tenth of a second that others need not wait

    places = {f"beam: {name}": given[name] for name in ("temp_location", "staging_location") if given[name]}
    places |= dict([("state", layout(job).state), *_written(job)])
    late = f"no answer in {PATIENCE:g} seconds; look at network and credentials"
    asks: dict[str, tuple[Ask, str | None]] = {
        name: (partial(storage.unwritable, place), f"{place}: {late}") for name, place in places.items()
    }
    if not (in_template(options) or given["dry_run"]):
        asks["beam: project and region"] = partial(refusal_of_jobs, given, PATIENCE), late
        if given["sdk_container_image"]:  # of a registry that only workers reach nothing is heard
            asks["beam: sdk_container_image"] = partial(missing_image, given, PATIENCE), None
    if problems := _asked(asks):
        raise JobError(problems)


def _cloud(given: dict[str, Any]) -> Iterator[str]:
    """Project, region and buckets."""
    for name, form, example in (("project", _PROJECT, "my-project"), ("region", _REGION, "europe-west4")):
        if not given[name]:
            yield f"beam: {name} is missing; Dataflow needs it, for example --{name}={example}"
        elif not form.fullmatch(given[name]):
            yield f"beam: {name}: {given[name]!r} is no {name}; write one such as {example}"
    if not given["temp_location"]:
        yield "beam: temp_location is missing; Dataflow needs a folder, for example --temp_location=gs://my-bucket/tmp"
    for name in ("temp_location", "staging_location"):
        if given[name] and not _BUCKET.fullmatch(given[name]):
            yield f"beam: {name}: {given[name]} is not gs://bucket/folder; Dataflow takes no other place"


def _image(given: dict[str, Any]) -> Iterator[str]:
    """How Highbeam gets onto the workers."""
    image = given["sdk_container_image"]
    if not image and not given["setup_file"]:
        yield (
            "beam: the workers would lack Highbeam; name their image, --sdk_container_image=REGISTRY/highbeam:TAG, "
            "or from a checkout of Highbeam --setup_file=./setup.py"
        )
    setup = given["setup_file"]
    if setup and not (os.path.isfile(setup) and os.path.dirname(setup) and setup.endswith(("/setup.py", ".toml"))):
        yield f"beam: setup_file: {setup} is no file of a checkout; write its path, such as ./setup.py"
    if image and not _IMAGE.fullmatch(image):
        yield (
            f"beam: sdk_container_image: {image!r} is no image of a registry; "
            "write it as europe-docker.pkg.dev/project/repository/highbeam:tag"
        )
    elif image and ":" not in image.rpartition("/")[2]:
        yield f"beam: sdk_container_image: {image} has no tag; workers would take whatever is newest, so name one"


def _workers(given: dict[str, Any]) -> Iterator[str]:
    """Settings of the machines that Dataflow would turn down after minutes."""
    few, most = given["num_workers"], given["max_num_workers"]
    if few and most and few > most:
        yield f"beam: num_workers {few} is above max_num_workers {most}"
    for name in ("num_workers", "max_num_workers", "disk_size_gb", "number_of_worker_harness_threads"):
        if given[name] is not None and given[name] < 0:
            yield f"beam: {name} is {given[name]}; write how many, or leave it out"
    if given["machine_type"] and not _MACHINE.fullmatch(given["machine_type"]):
        yield f"beam: machine_type: {given['machine_type']!r} is none; write one such as n2-standard-8"
    if given["subnetwork"] and not re.search(r"(^|/)regions/[a-z0-9-]+/subnetworks/[a-z0-9-]+$", given["subnetwork"]):
        yield f"beam: subnetwork: write regions/REGION/subnetworks/NAME, found {given['subnetwork']}"
    elif given["subnetwork"] and given["region"] and f"regions/{given['region']}/" not in given["subnetwork"]:
        yield f"beam: subnetwork: {given['subnetwork']} is not in the region {given['region']}"
    account = given["service_account_email"]
    if account and "@" not in account:
        yield f"beam: service_account_email: {account} is no address; write NAME@PROJECT.iam.gserviceaccount.com"
    for label in given["labels"] or ():
        if not _LABEL.fullmatch(label):
            yield f"beam: labels: {label!r}: write name=value, of lower-case letters, digits, _ and -"


def _accelerator(given: dict[str, Any]) -> Iterator[str]:
    """GPU and TPU of all workers, by service option or by a hint for the whole job."""
    options = [text for text in given["dataflow_service_options"] or () if text.startswith("worker_accelerator=")]
    hints = [text for text in given["resource_hints"] or () if text.startswith("accelerator=")]
    if options and hints:
        yield "beam: worker_accelerator and a resource hint name accelerators; leave one out"
    for text in [*options, *hints]:
        value = text.partition("=")[2]
        found = _ACCELERATOR.fullmatch(value)
        if not found:
            yield (
                f"beam: accelerator {value!r}: write type:nvidia-l4;count:1;install-nvidia-driver, "
                "or for a TPU type:tpu-v5-lite-podslice;topology:1x1"
            )
        elif found["type"].startswith("nvidia") and not _DRIVER.fullmatch(found["more"] or ""):
            yield f"beam: accelerator {value!r}: workers come without a driver; end it with ;install-nvidia-driver"
        elif found["type"].startswith("tpu") and not (given["machine_type"] or "").startswith("ct"):
            yield f"beam: accelerator {value!r}: a TPU needs its own machine_type, for example ct5lp-hightpu-1t"


def _apart(given: dict[str, Any], job: Job) -> Iterator[str]:
    """The accelerator of the steps that need one, beside what is said of all workers."""
    ours = job.accelerator
    if ours is None:
        return
    for name, mark in (("dataflow_service_options", "worker_accelerator="), ("resource_hints", "accelerator=")):
        if any(text.startswith(mark) for text in given[name] or ()):
            yield f"beam: {name} gives accelerators to all workers, `accelerator` to those of the model; leave one out"
    if ours.is_tpu and not (ours.machine_type or "").startswith("ct"):
        yield "accelerator: a TPU needs a machine_type of its own, for example ct5lp-hightpu-1t"
    if ours.is_tpu and not ours.topology:
        yield "accelerator: a TPU needs its topology, for example 1x1"


def places(job: Job) -> list[tuple[str, str]]:
    """Every place that workers read or write, each with the key of job.yaml that names it."""
    found = [(f"source.{job.source.format}.path", path) for path in getattr(job.source.files, "path", ())]
    found += [(f"join.{name}", path) for name, join in job.join.items() for path in join.paths]
    found += [("model.path", job.model.path), ("state", layout(job).state)]
    if job.transform and job.transform.path:
        found.append(("transform.path", job.transform.path))
    return [(name, resolve(job.folder, place)) for name, place in found + _written(job)]


def _written(job: Job) -> list[tuple[str, str]]:
    """The table's own place; rows for BigQuery are loaded from files in a bucket."""
    if job.output.delta:
        return [("output.delta.path", job.output.delta.path)]
    staging = job.output.bigquery and job.output.bigquery.staging
    return [("output.bigquery.staging", staging)] if staging else []


def _places(job: Job) -> Iterator[str]:
    for name, place in places(job):
        if not is_url(place):
            yield f"{name}: {place} lies on this machine, where no worker of Dataflow can see it; write gs://…"


def _asked(asks: Mapping[str, tuple[Ask, str | None]]) -> list[str]:
    """What is wrong, by what each one asked says, all at once.

    Args:
      asks: name -> the question, and what is wrong if the answer is late: then it is left to itself.
    """
    answers = {name: late for name, (_, late) in asks.items()}

    def ask(name: str) -> None:
        try:
            answers[name] = asks[name][0]()
        except storage.StorageError as error:
            answers[name] = str(error)
        except Exception as error:  # of a client library; in a thread it would be printed, and lost
            answers[name] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in asks]
    for thread in threads:
        thread.start()
    until = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0, until - time.monotonic()))
    return [f"{name}: {problem}" for name, problem in dict(answers).items() if problem]
