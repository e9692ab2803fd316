"""Beam's pipeline options of a run: the job's, the command line's, and our defaults for one machine."""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineRunner, create_runner

from ..schemas.errors import UsageError
from . import dataflow_options
from .option_views import Views
from .portable import FLAGS, PORTABLE, SECONDS, check_portable

LOCAL = "FnApiRunner"
_OURS = ("save_main_session",)
# Options that Flink's job server takes, and Beam's Python does not know before it asks one.
_OF_JOB_SERVERS = {"parallelism", "max_parallelism"}


def pipeline_options(options: Mapping[str, Any], flags: Sequence[str] = ()) -> PipelineOptions:
    """Makes Beam's options.

    Args:
      options: the job's `beam` mapping, by option name.
      flags: Beam flags of the command line, which win.

    Returns:
      Options with a runner named: Beam's own default would try to download one.

    Raises:
      UsageError: an option Beam does not know, with the nearest name; or one that Highbeam decides.
    """
    spelled = [flag for name, value in options.items() for flag in _flags(name, value)] + list(flags)
    _refuse_unknown(spelled)
    given = {flag[2:].partition("=")[0] for flag in spelled}
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            read = PipelineOptions(spelled).get_all_options()
    except SystemExit:
        raise UsageError(f"beam: {said.getvalue().strip().rpartition('error: ')[2]}") from None
    runner = _named_as_beam_names_it(read["runner"] or LOCAL)
    if runner == dataflow_options.RUNNER:
        spelled += dataflow_options.default_flags(read)
    if runner in PORTABLE:
        spelled += FLAGS
    ours = {name: value for name, value in _defaults(runner).items() if name not in given}
    return Views(spelled, runner=runner, **ours)


def _named_as_beam_names_it(runner: str) -> str:
    """The class's name; Beam takes it in small letters, without `Runner`, and with its module, too."""
    names = {name.lower(): name for name in StandardOptions.KNOWN_RUNNER_NAMES}
    module, _, last = runner.lower().rpartition(".")
    if module and not module.startswith("apache_beam."):
        return runner  # another one's
    return names.get(last) or names.get(f"{last}runner") or runner


def _defaults(runner: str) -> dict[str, Any]:
    """What Highbeam sets where nobody does."""
    defaults: dict[str, Any] = {}
    if runner == LOCAL:
        defaults |= {"direct_running_mode": "multi_threading", "direct_num_workers": os.cpu_count() or 1}
    if runner in PORTABLE:
        defaults["job_server_timeout"] = int(SECONDS)
    return defaults


def runner_of(options: PipelineOptions) -> PipelineRunner:
    """The runner that the options name; FnApiRunner is made here, since Beam knows it by a longer name.

    Raises:
      UsageError: no such runner, or none that answers.
    """
    check_portable(options.get_all_options())
    name = options.get_all_options()["runner"]
    if name == LOCAL:
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        return FnApiRunner()
    try:
        return create_runner(name)
    except (ValueError, ImportError) as error:
        raise UsageError(f"beam: runner {name}: {error}") from None


def _flags(name: str, value: Any) -> list[str]:
    if value is True:
        return [f"--{name}"]
    if value is False or value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [f"--{name}={item}" for item in value]
    return [f"--{name}={value}"]


def _refuse_unknown(flags: Sequence[str]) -> None:
    known = _known_flags()
    for flag in flags:
        if not flag.startswith("--"):
            raise UsageError(f"beam: {flag!r} is no option; write --name=value")
        name = flag[2:].partition("=")[0]
        if name in _OURS:
            raise UsageError(f"beam: {name} must stay off: workers import Highbeam, not the main program")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise UsageError(f"beam: unknown option {name}" + (f"; did you mean {near[0]}?" if near else ""))


def _known_flags() -> set[str]:
    """Every option name of Beam's own option classes, and those Flink's and Spark's job servers take."""
    from argparse import ArgumentParser

    parser = ArgumentParser(allow_abbrev=False, add_help=False)
    for options in PipelineOptions.__subclasses__():
        if options.__module__.startswith("apache_beam."):
            options._add_argparse_args(_Lenient(parser))
    return {name[2:] for action in parser._actions for name in action.option_strings} | _OF_JOB_SERVERS


class _Lenient:
    """Lets option classes add an option that another one has added already."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def add_argument(self, *names: str, **settings: Any) -> Any:
        known = [name for name in names if name not in self._parser._option_string_actions]
        return self._parser.add_argument(*known, **settings) if known else None

    def add_mutually_exclusive_group(self, **_: Any) -> _Lenient:
        return self

    def add_argument_group(self, *_: Any, **__: Any) -> _Lenient:
        return self
