"""Ctrl-C while a job runs elsewhere: the job is cancelled, since it would go on and publish by itself."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.request
from types import FrameType, TracebackType
from typing import Any

import grpc
from apache_beam.portability.api import beam_job_api_pb2

SECONDS = 10.0
"""How long a cancelled job may take to end."""

_CALL_SECONDS = 5.0
_POLL_SECONDS = 0.2
_ENDED = ("FINISHED", "FAILED", "CANCELED")
_NO_ADDRESS = ("", "[local]", "[auto]", "[collection]")
_STATES = beam_job_api_pb2.JobState
_OVER = (_STATES.STOPPED, _STATES.DONE, _STATES.FAILED, _STATES.CANCELLED, _STATES.DRAINED)


class Interrupts:
    """Makes a job cancellable: Ctrl-C waits until the job is handed over, and SIGTERM counts as Ctrl-C.

    A job that was sent and not yet acknowledged has no name to cancel it by. A second Ctrl-C does not wait. What
    another program handles otherwise is left to it.
    """

    def __init__(self) -> None:
        self._came = self._handed_over = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is usual:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def handed_over(self) -> None:
        """From now on nothing waits; raises KeyboardInterrupt if one came meanwhile."""
        self._handed_over = True
        if self._came:
            raise KeyboardInterrupt

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._handed_over or self._came:
            raise KeyboardInterrupt
        self._came = True


def cancel(result: Any, seconds: float) -> str | None:
    """Cancels a job, and waits a while for its end; not for that of a Dataflow job, which takes minutes.

    Args:
      result: what the runner gave for it.
      seconds: since it was handed over, or longer.

    Returns:
      None when it has ended; else what keeps it running, and where to look.
    """
    if not hasattr(result, "_job_service"):
        return _cancel_in_dataflow(result)
    service, end = result._job_service, time.monotonic() + SECONDS
    try:
        job = _described(service, result._job_id)
        if job is None or job.state in _OVER:
            return None
        if flink := _flink(job):
            return _cancel_in_flink(flink, job.job_name, seconds, end)
        service.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=job.job_id), timeout=_CALL_SECONDS)
        return _wait(service, job, end)
    except grpc.RpcError as error:
        return f"the job server does not answer ({error.code().name}): look for job {result._job_id} in the cluster"


def _cancel_in_dataflow(result: Any) -> str | None:
    """Asks Dataflow, not for as long as Beam would ask again and again."""
    said: list[str] = []

    def ask() -> None:
        try:
            result.cancel()
        except Exception as error:  # Beam's, or one of Google's clients
            said.append(f"does not cancel it ({type(error).__name__})")

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS)
    if asking.is_alive():
        said.append("does not answer")
    return f"Dataflow {said[0]}: cancel job {result.job_id()} on its page" if said else None


def _described(service: Any, job_id: str) -> Any:
    """What the job server knows of a job; None if nothing."""
    jobs = service.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=_CALL_SECONDS).job_info
    return next((job for job in jobs if job.job_id == job_id), None)


def _wait(service: Any, job: Any, end: float) -> str | None:
    """Waits for the end that the job server tells of."""
    asked = beam_job_api_pb2.GetJobStateRequest(job_id=job.job_id)
    while service.GetState(asked, timeout=_CALL_SECONDS).state not in _OVER:
        if time.monotonic() > end:
            return f"the job server has not ended job {job.job_name} yet: look for it in the cluster"
        time.sleep(_POLL_SECONDS)
    return None


def _flink(job: Any) -> str | None:
    """Where the Flink of a job server is found; None for one inside of it, and for other runners."""
    options = job.pipeline_options
    name = "beam:option:flink_master:v1"
    master = str(options[name] or "") if name in options else ""
    if master in _NO_ADDRESS:
        return None
    return master.rstrip("/") if "://" in master else f"http://{master}"


def _cancel_in_flink(flink: str, name: str, seconds: float, end: float) -> str | None:
    """Cancels a job in Flink itself: Beam's job server calls it cancelled and lets a batch job run on."""
    where = f"job {name} at {flink}: cancel it there"
    started = time.monotonic() - seconds
    told: set[str] = set()
    try:
        while time.monotonic() < end:
            running = _running(flink, name, time.monotonic() - started)
            if told and not running:
                return None
            if len(running) > 1:
                return f"there are {len(running)} of its name, look for {where}"
            if running and not told:
                told.update(running)
                _ask(flink, f"jobs/{running[0]}?mode=cancel", "PATCH")
            time.sleep(_POLL_SECONDS)
    except OSError as error:
        reason = getattr(error, "reason", error)
        return f"Flink does not answer ({getattr(reason, 'strerror', None) or reason}), look for {where}"
    return f"Flink {'has not ended it' if told else 'does not know it'} yet, look for {where}"


def _running(flink: str, name: str, seconds: float) -> list[str]:
    """Ids of jobs of a name that have not ended, and began no longer ago; so none of an earlier launch."""
    jobs = _ask(flink, "jobs/overview")["jobs"]
    ours = [job for job in jobs if job["name"] == name and job["duration"] <= seconds * 1000]
    return [job["jid"] for job in ours if job["state"] not in _ENDED]


def _ask(flink: str, path: str, method: str = "GET") -> Any:
    """Calls Flink's REST interface."""
    request = urllib.request.Request(f"{flink}/{path}", method=method)
    with urllib.request.urlopen(request, timeout=_CALL_SECONDS) as answer:
        return json.load(answer)
