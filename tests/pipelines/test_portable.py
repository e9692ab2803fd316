"""What is said before launch when there is no job server, or when a job could not outlive its command."""

from __future__ import annotations

import socket

import pytest

from highbeam.pipelines.beam_options import pipeline_options, runner_of
from highbeam.pipelines.launch import first_cause
from highbeam.pipelines.portable import check_detachable
from highbeam.schemas.errors import UsageError

from tests.support.processes import free_port


def test_a_job_server_that_is_not_there_is_said_at_once() -> None:
    endpoint = f"localhost:{free_port()}"
    with pytest.raises(UsageError, match=f"no job server at --job_endpoint={endpoint}: Connection refused"):
        runner_of(pipeline_options({"runner": "FlinkRunner", "job_endpoint": endpoint}))


def test_a_job_server_that_is_there_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"localhost:{server.getsockname()[1]}"
        assert runner_of(pipeline_options({"runner": "SparkRunner", "job_endpoint": endpoint}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"runner": "PortableRunner"}, "PortableRunner needs --job_endpoint"),
        ({"runner": "FlinkRunner", "job_endpoint": "here"}, "'here' is no HOST:PORT"),
        ({"runner": "FlinkRunner", "environment_type": "EXTERNAL"}, "EXTERNAL needs --environment_config"),
    ],
)
def test_an_address_that_is_missing(options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        runner_of(pipeline_options(options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "not FnApiRunner"),
        ({"runner": "PrismRunner"}, "not PrismRunner"),
        ({"runner": "FlinkRunner", "job_endpoint": "h:1"}, "not LOOPBACK"),
        ({"runner": "SparkRunner", "job_endpoint": "h:1", "environment_type": "LOOPBACK"}, "not LOOPBACK"),
        ({"runner": "FlinkRunner", "environment_type": "DOCKER"}, "needs the --job_endpoint"),
    ],
)
def test_what_cannot_be_detached(options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=f"--detach .*{said}"):
        check_detachable(pipeline_options(options).get_all_options())


@pytest.mark.parametrize(
    "options",
    [
        {"runner": "FlinkRunner", "job_endpoint": "h:1", "environment_type": "EXTERNAL"},
        {"runner": "FlinkRunner", "flink_master": "h:8081", "flink_submit_uber_jar": True},
        {"runner": "DataflowRunner"},
    ],
)
def test_what_can_be_detached(options: dict[str, object]) -> None:
    check_detachable(pipeline_options(options).get_all_options())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("java.net.ConnectException: java.net.ConnectException: finishConnect(..) failed: Connection refused", "pool"),
        ("<_MultiThreadedRendezvous of RPC that terminated with:\n\tstatus = StatusCode.UNAVAILABLE\n", "went away"),
        ("FutureTimeoutError", "does not answer"),
        ("java: Error received: Traceback (most recent call last):\nKeyError: 'StatusCode.UNAVAILABLE'", "KeyError"),
    ],
)
def test_causes_outside_of_the_workers(text: str, said: str) -> None:
    assert said in first_cause(text)


def test_a_launch_lists_no_installed_packages() -> None:
    options = pipeline_options({"runner": "FlinkRunner", "job_endpoint": "h:1"}, ["--experiments=mine"])
    assert options.get_all_options()["experiments"] == ["mine", "disable_logging_submission_environment"]
    assert not pipeline_options({}).get_all_options()["experiments"]
