"""What can be known before launch of runners behind a job server: Flink, Spark, and others of Beam's Job API."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import grpc
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from ..schemas.errors import UsageError

PORTABLE = ("FlinkRunner", "SparkRunner", "PortableRunner")
SECONDS = 10.0
"""How long a job server may take to answer a call."""
FLAGS = ("--experiments=disable_logging_submission_environment",)
"""Added to what is given: without it every launch waits for `pip freeze`, whose answer only Beam's containers log."""

_PAGE = "see docs/runners.md"


def check_portable(options: Mapping[str, Any]) -> None:
    """Finds what would keep a job from starting, where Beam would wait for a minute or fail without a word.

    Args:
      options: Beam's options, by name.

    Raises:
      UsageError: no job server answers at `job_endpoint`, or an address or a file is missing.
    """
    runner, endpoint = options["runner"], options["job_endpoint"]
    if runner == "PrismRunner":
        _check_file("prism_location", options["prism_location"])
    if runner not in PORTABLE:
        return
    if options["environment_type"] == "EXTERNAL" and not options["environment_config"]:
        raise UsageError(f"beam: EXTERNAL needs --environment_config=HOST:PORT of the workers' pool; {_PAGE}")
    if not endpoint:
        _check_own_server(options)
    elif endpoint != "embed":
        _call(endpoint)


def _check_own_server(options: Mapping[str, Any]) -> None:
    """A runner starts a job server of its own from a jar; without one Beam would look for it on the internet."""
    runner = options["runner"]
    name = {"FlinkRunner": "flink_job_server_jar", "SparkRunner": "spark_job_server_jar"}.get(runner, "")
    if name and options[name]:
        _check_file(name, options[name])
    elif not _submits_itself(options):
        raise UsageError(f"beam: {runner} needs --job_endpoint=HOST:PORT of a job server; start one, {_PAGE}")


def _check_file(name: str, path: str | None) -> None:
    """A file that an option names; addresses are left to Beam."""
    if path and "://" not in path and not os.path.isfile(path):
        raise UsageError(f"beam: --{name}={path}: no such file")


def _call(endpoint: str) -> None:
    """Takes up a connection, and asks what only a job server answers."""
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"beam: job_endpoint {endpoint!r} is no HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise UsageError(f"beam: no job server at --job_endpoint={endpoint}: {said}; start one, {_PAGE}") from None
    with grpc.insecure_channel(endpoint) as channel:
        _ask(beam_job_api_pb2_grpc.JobServiceStub(channel), endpoint)


def _ask(service: beam_job_api_pb2_grpc.JobServiceStub, endpoint: str) -> None:
    """Asks for the runner's options, as Beam will before it sends a job."""
    try:
        service.DescribePipelineOptions(beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=SECONDS)
    except grpc.RpcError as error:
        said = " ".join(f"{error.code().name}: {error.details()}".split())[:300]
        what = f"beam: what listens at --job_endpoint={endpoint} does not answer as a job server does"
        raise UsageError(f"{what} ({said}); start one, {_PAGE}") from None


def check_detachable(options: Mapping[str, Any]) -> None:
    """Whether a job can outlive the command that submits it.

    Raises:
      UsageError: a part of it would end with the command.
    """
    runner, why = options["runner"], None
    if runner in ("FnApiRunner", "PrismRunner", "DirectRunner"):
        why = f"needs a runner on other machines, not {runner}; this one ends with the command"
    elif runner in PORTABLE and _in_this_process(options):
        why = "needs workers of their own, not LOOPBACK, which ends with the command: --environment_type=EXTERNAL"
    elif runner in PORTABLE and not (options["job_endpoint"] or _submits_itself(options)):
        why = f"needs the --job_endpoint of a job server; the one that {runner} starts ends with the command"
    if why:
        raise UsageError(f"--detach {why}")


def _in_this_process(options: Mapping[str, Any]) -> bool:
    """Whether the workers are threads of this process; FlinkRunner decides so for a Flink of its own."""
    own = options["runner"] == "FlinkRunner" and options["flink_master"] in ("[auto]", "[local]")
    return options["environment_type"] == "LOOPBACK" or (own and not options["environment_type"])


def _submits_itself(options: Mapping[str, Any]) -> bool:
    return bool(options.get("flink_submit_uber_jar") or options.get("spark_submit_uber_jar"))
