"""What is said before launch when there is no job server, or when a job could not outlive its command."""

from __future__ import annotations

import socketserver
import threading

import grpc
import pytest
from apache_beam.runners.portability import local_job_service

from highbeam.pipelines.beam_options import pipeline_options, runner_of
from highbeam.pipelines.launch import first_cause, leave_hang_ups_untold
from highbeam.pipelines.portable import check_detachable
from highbeam.schemas.errors import UsageError

from tests.support.processes import free_port

_RPC = '<_InactiveRpcError of RPC that terminated with:\n\tstatus = StatusCode.{}\n\tdetails = "{}"\n\tdebug = "d"\n>'


def test_a_job_server_that_is_not_there_is_said_at_once() -> None:
    endpoint = f"localhost:{free_port()}"
    with pytest.raises(UsageError, match=f"no job server at --job_endpoint={endpoint}: Connection refused"):
        runner_of(pipeline_options({"runner": "FlinkRunner", "job_endpoint": endpoint}))


def test_a_job_server_that_is_there_is_taken() -> None:
    server = local_job_service.LocalJobServicer()
    try:
        endpoint = f"localhost:{server.start_grpc_server()}"
        assert runner_of(pipeline_options({"runner": "SparkRunner", "job_endpoint": endpoint}))
    finally:
        server.stop()


class _WebServer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(1000)
        self.request.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")


def test_what_is_no_job_server_is_not_taken() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _WebServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"localhost:{server.server_address[1]}"
        with pytest.raises(UsageError, match=f"{endpoint} does not answer as a job server does .UNAVAILABLE: .*start"):
            runner_of(pipeline_options({"runner": "FlinkRunner", "job_endpoint": endpoint}))
        server.shutdown()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"runner": "PortableRunner"}, "PortableRunner needs --job_endpoint"),
        ({"runner": "FlinkRunner"}, "FlinkRunner needs --job_endpoint"),
        ({"runner": "SparkRunner"}, "SparkRunner needs --job_endpoint"),
        ({"runner": "FlinkRunner", "flink_job_server_jar": "/no.jar"}, "--flink_job_server_jar=/no.jar: no such file"),
        ({"runner": "PrismRunner", "prism_location": "/nope"}, "--prism_location=/nope: no such file"),
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
        {"runner": "FlinkRunner", "flink_job_server_jar": __file__},
        {"runner": "FlinkRunner", "flink_job_server_jar": "https://example.com/server.jar"},
        {"runner": "FlinkRunner", "flink_master": "h:8081", "flink_submit_uber_jar": True},
        {"runner": "PrismRunner", "prism_location": __file__},
        {"runner": "PrismRunner"},
    ],
)
def test_what_beam_starts_by_itself(options: dict[str, object]) -> None:
    assert runner_of(pipeline_options(options))


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
        (_RPC.format("UNAVAILABLE", "Socket closed"), "(UNAVAILABLE: Socket closed)"),
        (_RPC.format("NOT_FOUND", "no job x"), "a call ended with NOT_FOUND: no job x"),
        (
            "Traceback (most recent call last):\ngrpc._channel._InactiveRpcError: " + _RPC.format("ABORTED", "a"),
            "ABORTED: a",
        ),
        ("java: Error received: Traceback (most recent call last):\nKeyError: 'StatusCode.UNAVAILABLE'", "KeyError"),
    ],
)
def test_causes_outside_of_the_workers(text: str, said: str) -> None:
    assert said in first_cause(text)


def test_a_thread_that_was_hung_up_on_is_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Beam's are now and then, in a process that holds the workers itself."""
    told: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda ended: told.append(ended.exc_value))
    leave_hang_ups_untold.__wrapped__()
    for error in (nobody_answers(), ValueError("a mistake")):
        ends_with(error)
    assert [str(error) for error in told] == ["a mistake"]


def nobody_answers() -> grpc.RpcError:
    """What a call of somebody who is not there ends with."""
    with grpc.insecure_channel(f"localhost:{free_port()}") as channel, pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/no/service")(b"", timeout=5)
    return failed.value


def ends_with(error: BaseException) -> None:
    """Lets a thread end with an error."""

    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def test_a_launch_lists_no_installed_packages() -> None:
    options = pipeline_options({"runner": "FlinkRunner", "job_endpoint": "h:1"}, ["--experiments=mine"])
    assert options.get_all_options()["experiments"] == ["mine", "disable_logging_submission_environment"]
    assert not pipeline_options({}).get_all_options()["experiments"]


@pytest.mark.parametrize(
    ("spelled", "runner"),
    [
        *((text, "DataflowRunner") for text in ("DataflowRunner", "dataflowrunner", "Dataflow")),
        ("apache_beam.runners.dataflow.dataflow_runner.DataflowRunner", "DataflowRunner"),
        ("flink", "FlinkRunner"),
        ("sparkRunner", "SparkRunner"),
        ("apache_beam.runners.portability.portable_runner.PortableRunner", "PortableRunner"),
        ("prism", "PrismRunner"),
        ("fnapirunner", "FnApiRunner"),
        ("a_company.runners.FlinkRunner", "a_company.runners.FlinkRunner"),
        ("Flnk", "Flnk"),
    ],
)
def test_a_runner_is_known_by_every_name_that_beam_takes(spelled: str, runner: str) -> None:
    expected = pipeline_options({"runner": runner}).get_all_options()
    for options in (pipeline_options({"runner": spelled}), pipeline_options({}, [f"--runner={spelled}"])):
        assert options.get_all_options()["runner"] == runner
        assert options.get_all_options() == expected
    assert runner != "DataflowRunner" or "no_use_multiple_sdk_containers" in expected["experiments"]
