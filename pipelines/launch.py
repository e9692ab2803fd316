"""Runs a pipeline that somebody waits for, and tells what became of it in a line instead of tracebacks."""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import cache
from typing import Any

import apache_beam as beam
import grpc

from ..schemas.errors import HighbeamError
from ..schemas.job import Job
from ..transforms.read_training import refusal
from .beam_options import pipeline_options, runner_of
from .dataflow_options import RUNNER
from .interrupt import Interrupts, cancel
from .portable import PORTABLE

Launch = Callable[[Callable[[beam.Pipeline], Any], str], None]
"""Runs the pipeline that a function wires; the text is the folder of notes on files that cannot be read."""

_CAUSE = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Unconserved|Refused|Superseded)\b.*: ")
_OURS = re.compile(r"highbeam\.schemas\.errors\.\w+: ")
_WHERE = re.compile(r" \[while running '[^']*'\]$")
_GRAPH = "Graph execution error:"
# What runners behind a job server say of what happens outside of a worker, and what it means.
_MEANINGS = (
    (
        re.compile(r"ConnectException: finishConnect"),
        "a TaskManager found no worker pool at --environment_config: connection refused; each needs one there",
    ),
    (
        re.compile(r"StatusCode.UNAVAILABLE"),
        "the job server went away; the job may go on without it, and `highbeam runs` shows when it is published",
    ),
    (
        re.compile(r"FutureTimeoutError|StatusCode.DEADLINE_EXCEEDED"),
        "what listens at --job_endpoint does not answer as Beam's job server does",
    ),
)
_RPC = re.compile(r'of RPC that terminated with:\s+status = StatusCode\.(\w+)\s+details = "(.*)"')
_PREAMBLE = ("Detected at node", "<stack traces", "Traceback", "File ")


def launcher(job: Job) -> Launch:
    """What runs pipelines as the job's `beam` says.

    Raises:
      UsageError: an option or a runner that does not exist. What it returns raises Refused when a file cannot be
        read, and HighbeamError when anything else fails.
    """
    options = pipeline_options(job.beam)
    runner = runner_of(options)

    def run(wire: Callable[[beam.Pipeline], Any], refusals: str) -> None:
        pipeline = beam.Pipeline(runner=runner, options=options)
        wire(pipeline)
        error, _ = run_and_wait(pipeline)
        if error:
            cause = first_cause(said_by(error), "the graph of preprocessing_fn")
            raise refusal(refusals) or HighbeamError(f"the analysis failed: {cause}") from error

    return run


def run_and_wait(pipeline: beam.Pipeline, withdraw: Callable[[], None] | None = None) -> tuple[Exception | None, str]:
    """Runs a pipeline to its end.

    The workers of a local runner log and print an exception that ends the pipeline all the same, so what they print is
    held back until they are done.

    Args:
      pipeline: what to run.
      withdraw: makes sure that nothing comes of a job which was interrupted, and may go on elsewhere.

    Returns:
      (what ended it or None, what was printed on standard error meanwhile); after a success that is printed here.

    Raises:
      KeyboardInterrupt: with a text if the job ran elsewhere: what became of it.
    """
    leave_hang_ups_untold()
    logger, held = logging.getLogger("apache_beam.runners"), io.StringIO()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    remote = type(pipeline.runner).__name__ in (*PORTABLE, RUNNER)
    try:
        with redirect_stderr(held):
            _wait_for_job(pipeline, withdraw) if remote else pipeline.run().wait_until_finish()
    except Exception as error:  # runners turn every exception into one of their own
        return error, held.getvalue()
    finally:
        logger.setLevel(level)
    sys.stderr.write(held.getvalue())
    return None, held.getvalue()


@cache
def leave_hang_ups_untold() -> None:
    """Keeps Python from printing how threads end that a job server hung up on, from now on.

    Workers in this process (LOOPBACK) end so now and then when their job is done, or after it. What becomes of the
    job, its state tells.
    """
    usual = threading.excepthook

    def told(ended: Any) -> None:
        if not isinstance(ended.exc_value, grpc.RpcError):
            usual(ended)

    threading.excepthook = told


def _wait_for_job(pipeline: beam.Pipeline, withdraw: Callable[[], None] | None) -> None:
    """Runs a pipeline elsewhere, where it does not end with this process."""
    began, result = time.monotonic(), None
    with Interrupts() as interrupts:
        try:
            result = pipeline.run()
            interrupts.handed_over()
            result.wait_until_finish()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_stop(result, began, withdraw)) from None


def _stop(result: Any, began: float, withdraw: Callable[[], None] | None) -> str:
    """Withdraws and cancels a job; gives what to tell of it."""
    may = "may go on and publish"
    try:
        print("highbeam: interrupted; cancelling the job", file=sys.__stderr__)
        if withdraw:  # first, so that it publishes nothing while it is cancelled
            withdraw()
            may = "may go on, but nothing comes of it"
        why = cancel(result, time.monotonic() - began) if result else "it was not handed over yet: look in the cluster"
    except (Exception, KeyboardInterrupt) as error:
        return f"interrupted; the job {may}: look in the cluster ({first_cause(said_by(error))})"
    if why:
        return f"interrupted; the job goes on, but nothing comes of it; {why}; then run the command again"
    return "interrupted; the job was cancelled; run the command again, staged splits are kept"


def submit(pipeline: beam.Pipeline) -> None:
    """Hands a pipeline over to a cluster, and does not wait.

    Raises:
      HighbeamError: it is not taken.
    """
    try:
        pipeline.run()
    except Exception as error:  # as above
        raise HighbeamError(f"the job was not submitted: {first_cause(said_by(error))}") from error


def said_by(error: BaseException) -> str:
    """The text of an exception; of one without a text, its name."""
    return str(error) or type(error).__name__


def first_cause(text: str, graph: str = "the graph") -> str:
    """The line that names the cause, in the text that a runner makes of a worker's traceback.

    Args:
      text: what the runner raised.
      graph: what to call the TensorFlow graph, if it is that which failed.
    """
    after = text.partition(_GRAPH)[2]
    said = [line.strip() for line in after.splitlines() if line.strip()]
    telling = [line for line in said if not line.startswith(_PREAMBLE)]
    if telling:
        return f"{graph}: {telling[0]}"
    meant = [meaning for pattern, meaning in _MEANINGS if pattern.search(text)]
    call = _RPC.findall(text)
    if meant and "Traceback" not in text:  # a traceback is a worker's own
        return meant[0] + (f" ({call[-1][0]}: {call[-1][1]})" if call else "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if _CAUSE.match(line)]
    cause = causes[-1] if causes else lines[0] if lines else "no reason given"
    if call and "of RPC that terminated with:" in cause:
        return f"a call ended with {call[-1][0]}: {call[-1][1]}"[:2000]
    return _WHERE.sub("", cause)[:2000]


def foreseen(cause: str) -> str | None:
    """What one of our own errors says, without its class; None for any other cause."""
    match = _OURS.match(cause)
    return cause[match.end() :] if match else None
