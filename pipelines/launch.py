"""Runs the pipelines of training, which somebody waits for."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import apache_beam as beam

from ..schemas.errors import HighbeamError
from ..schemas.job import Job
from ..transforms.read_training import refusal
from .beam_options import pipeline_options, runner_of

Launch = Callable[[Callable[[beam.Pipeline], Any], str], None]
"""Runs the pipeline that a function wires; the text is the folder of notes on files that cannot be read."""

_LOG = logging.getLogger(__name__)
_CAUSE = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Unconserved)\b.*: ")
_GRAPH = "Graph execution error:"
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
        try:
            with _quiet_workers():
                pipeline.run().wait_until_finish()
        except Exception as error:  # runners turn every exception into one of their own
            _LOG.debug("the pipeline failed", exc_info=error)
            raise refusal(refusals) or HighbeamError(f"the analysis failed: {first_cause(str(error))}") from error

    return run


@contextmanager
def _quiet_workers() -> Iterator[None]:
    """Keeps the workers of a local runner from logging and printing an exception that is raised here all the same.

    What else they print comes after they are done.
    """
    logger, held = logging.getLogger("apache_beam.runners"), io.StringIO()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(held):
            yield
        sys.stderr.write(held.getvalue())
    finally:
        logger.setLevel(level)


def first_cause(text: str) -> str:
    """The line that names the cause, in the text that a runner makes of a worker's traceback."""
    after = text.partition(_GRAPH)[2]
    graph = [line.strip() for line in after.splitlines() if line.strip()]
    telling = [line for line in graph if not line.startswith(_PREAMBLE)]
    if telling:
        return f"the graph of preprocessing_fn: {telling[0]}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if _CAUSE.match(line)]
    return (causes[-1] if causes else lines[0] if lines else "no reason given")[:2000]
