"""What Ctrl-C does to a job that runs elsewhere."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowPipelineResult
from apache_beam.runners.portability import local_job_service, portable_runner
from google.cloud import dataflow

import highbeam
from highbeam import storage
from highbeam.pipelines import interrupt, run
from highbeam.pipelines.interrupt import Interrupts
from highbeam.pipelines.launch import run_and_wait
from highbeam.pipelines.standing import told_if_published
from highbeam.schemas.errors import HighbeamError
from highbeam.schemas.manifest import manifest_of
from highbeam.schemas.plan import load_plan
from highbeam.transforms.publish import publish

from tests.support.jobs import DAY, csv_lines, make_job, write_night
from tests.support.plans import plan_of
from tests.support.processes import free_port

# Of Beam's thread that reads messages, when the job server goes away; it may be told while a later test runs.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(autouse=True)
def usual_signals() -> Iterator[None]:
    """What a command starts with; Beam's runner Prism leaves a handler of its own behind, for one."""
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def pressed(*numbers: int, handed_over: bool = False) -> int:
    """Sends signals to this process; gives after how many of them it was interrupted, if all but that was let be."""
    with Interrupts() as interrupts:
        if handed_over:
            interrupts.handed_over()
        for sent, number in enumerate(numbers, 1):
            try:
                os.kill(os.getpid(), number)
                time.sleep(0.01)  # Python handles a signal a moment later
            except KeyboardInterrupt:
                return sent
        interrupts.handed_over()
    return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_waits_until_the_job_is_handed_over(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        pressed(number)
    assert signal.getsignal(number) is before


def test_later_ones_do_not_wait() -> None:
    assert pressed(signal.SIGINT, signal.SIGTERM) == 2
    assert pressed(signal.SIGTERM, handed_over=True) == 1


def test_what_a_program_handles_itself_is_left_to_it() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with Interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def wait(folder: str) -> str:
    """A job that says that it has begun, and lasts."""
    Path(folder, "began").touch()
    time.sleep(2)
    return folder


def pipeline_on(endpoint: str, folder: Path) -> beam.Pipeline:
    options = PipelineOptions([f"--job_endpoint={endpoint}", "--environment_type=LOOPBACK"])
    pipeline = beam.Pipeline(runner=portable_runner.PortableRunner(), options=options)
    pipeline | beam.Create([str(folder)]) | beam.Map(wait)
    return pipeline


@pytest.fixture
def server() -> Iterator[Any]:
    made = local_job_service.LocalJobServicer()
    made.endpoint = f"localhost:{made.start_grpc_server()}"
    yield made
    made.stop()


def interrupted(pipeline: beam.Pipeline, folder: Path, before: Any = lambda: None, withdraw: Any = None) -> str:
    """What a run says that is interrupted while its job runs."""

    def press() -> None:
        while not (folder / "began").exists():
            time.sleep(0.01)
        before()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt) as ended:
        run_and_wait(pipeline, withdraw)
    return str(ended.value)


def test_a_job_is_withdrawn_and_cancelled(server: Any, tmp_path: Path) -> None:
    withdrawn: list[bool] = []
    said = interrupted(pipeline_on(server.endpoint, tmp_path), tmp_path, withdraw=lambda: withdrawn.append(True))
    assert said == "interrupted; the job was cancelled; run the command again, staged splits are kept"
    assert withdrawn
    [job] = server._jobs.values()
    assert job.state == interrupt._STATES.CANCELLED


def test_a_job_server_that_is_gone_cancels_nothing(server: Any, tmp_path: Path) -> None:
    said = interrupted(pipeline_on(server.endpoint, tmp_path), tmp_path, before=lambda: server._server.stop(None))
    assert said.startswith("interrupted; the job goes on, but nothing comes of it; the job server does not answer")
    assert said.endswith("in the cluster; then run the command again")


class DataflowRunner:
    """Hands a job in that runs until it is cancelled; what is beneath of Beam's own runner is Google's service."""

    def __init__(self, takes_it: bool | None) -> None:
        self.dataflow_client, self.takes_it = self, takes_it
        self.state = dataflow.JobState.JOB_STATE_RUNNING
        self.asked: list[tuple[str, str]] = []

    def get_job(self, job_id: str) -> dataflow.Job:
        return dataflow.Job(id=job_id, current_state=self.state)

    def modify_job_state(self, job_id: str, state: str) -> bool:
        self.asked.append((job_id, state))
        if self.takes_it is None:
            time.sleep(2)  # and then takes it: Beam would else complain in the midst of a later test
        if self.takes_it is not False:
            self.state = dataflow.JobState.JOB_STATE_CANCELLING
        return self.takes_it is not False


class Submitted(DataflowPipelineResult):
    """Is interrupted while it is waited for."""

    def wait_until_finish(self, duration: int | None = None) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("takes_it", "said"),
    [
        (True, "interrupted; the job was cancelled; run the command again, staged splits are kept"),
        (
            False,
            "interrupted; the job goes on, but nothing comes of it; Dataflow does not cancel it "
            "(DataflowRuntimeException): cancel job j-1 on its page; then run the command again",
        ),
        (
            None,
            "interrupted; the job goes on, but nothing comes of it; Dataflow does not answer: "
            "cancel job j-1 on its page; then run the command again",
        ),
    ],
)
def test_a_dataflow_job_is_withdrawn_and_cancelled(
    takes_it: bool | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupt, "SECONDS", 0.5)
    runner = DataflowRunner(takes_it)
    pipeline = SimpleNamespace(runner=runner, run=lambda: Submitted(runner.get_job("j-1"), runner))
    withdrawn: list[int] = []
    with pytest.raises(KeyboardInterrupt) as found:
        run_and_wait(cast("beam.Pipeline", pipeline), withdraw=lambda: withdrawn.append(len(runner.asked)))
    assert str(found.value) == said
    assert withdrawn == [0]
    assert runner.asked == [("j-1", "JOB_STATE_CANCELLED")]


class _Flink(BaseHTTPRequestHandler):
    """Answers as Flink's REST interface does; its jobs are none that end."""

    jobs: ClassVar = [
        {"jid": "1", "name": "mine", "state": "RUNNING", "duration": 900},
        {"jid": "2", "name": "mine", "state": "RUNNING", "duration": 90_000},
        {"jid": "3", "name": "mine", "state": "FINISHED", "duration": 900},
        {"jid": "4", "name": "twice", "state": "RUNNING", "duration": 900},
        {"jid": "5", "name": "twice", "state": "RESTARTING", "duration": 900},
    ]
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"jobs": self.jobs}).encode())

    def do_PATCH(self) -> None:
        self.asked.append(self.path)
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("name", "said", "asked"),
    [
        ("mine", "Flink has not ended it yet", ["/jobs/1?mode=cancel"]),
        ("twice", "there are 2 of its name", []),
        ("another", "Flink does not know it yet", []),
    ],
)
def test_only_the_job_itself_is_cancelled_in_flink(name: str, said: str, asked: list[str]) -> None:
    _Flink.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Flink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        flink = f"http://127.0.0.1:{server.server_port}"
        told = interrupt._cancel_in_flink(flink, name, 5.0, time.monotonic() + 0.5)
        server.shutdown()
    assert (told or "").startswith(said)
    assert (told or "").endswith(f"look for job {name} at {flink}: cancel it there")
    assert _Flink.asked == asked


def test_a_flink_that_does_not_answer() -> None:
    flink = f"http://127.0.0.1:{free_port()}"
    told = interrupt._cancel_in_flink(flink, "mine", 5.0, time.monotonic() + 5)
    assert told == f"Flink does not answer (Connection refused), look for job mine at {flink}: cancel it there"


def test_a_launch_whose_plan_is_withdrawn_publishes_nothing(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 1)
    storage.put(plan.path, plan.to_json())
    load_plan(plan.path)  # as a worker has long done, which remembers it
    storage.remove(plan.path)
    with pytest.raises(HighbeamError, match="is gone: the run was interrupted"):
        publish(plan.path, [])
    assert not storage.exists(plan.manifest)


@pytest.mark.parametrize(
    ("status", "said"),
    [("published", f"interrupted; 2013-12-01 is published nevertheless, run 2013-12-01-0001-{'0' * 16}"),
     ("refused", ""), (None, "")],
)  # fmt: skip
def test_who_interrupts_a_published_night_is_told_so(tmp_path: Path, status: Any, said: str) -> None:
    plan = plan_of(tmp_path, 1)
    if status:
        storage.put(plan.manifest, manifest_of(plan, status).to_json())
    with pytest.raises(KeyboardInterrupt) as stopped, told_if_published(plan):
        raise KeyboardInterrupt
    assert str(stopped.value) == said


def test_a_run_tells_so_and_a_dry_run_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_night(tmp_path, csv_lines(range(10)))
    job = make_job(tmp_path)
    monkeypatch.setattr(run, "_finish", _interrupted)
    with pytest.raises(KeyboardInterrupt, match=f"{DAY} is published nevertheless, run {DAY}-0001-"):
        highbeam.run(job, DAY)
    with pytest.raises(KeyboardInterrupt) as stopped:
        highbeam.run(job, DAY, force=True, dry_run=True)
    assert not str(stopped.value)


def _interrupted(*_: Any) -> None:
    raise KeyboardInterrupt
