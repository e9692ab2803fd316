"""What can be known before launch of runners behind a job server: Flink, Spark, and others of Beam's Job API."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

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
      UsageError: nobody answers at `job_endpoint`, or an address is missing.
    """
    if options["runner"] not in PORTABLE:
        return
    endpoint = options["job_endpoint"]
    if options["runner"] == "PortableRunner" and not endpoint:
        raise UsageError(f"beam: PortableRunner needs --job_endpoint=HOST:PORT of a job server; {_PAGE}")
    if options["environment_type"] == "EXTERNAL" and not options["environment_config"]:
        raise UsageError(f"beam: EXTERNAL needs --environment_config=HOST:PORT of the workers' pool; {_PAGE}")
    if endpoint and endpoint != "embed":
        _call(endpoint)


def _call(endpoint: str) -> None:
    """Takes up a connection and drops it again."""
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"beam: job_endpoint {endpoint!r} is no HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise UsageError(f"beam: no job server at --job_endpoint={endpoint}: {said}; start one, {_PAGE}") from None


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
