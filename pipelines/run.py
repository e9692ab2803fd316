"""Scores a night: plans it, launches the pipeline, waits, and reads the manifest of its own launch."""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from .. import storage
from ..models.code_archive import code_of
from ..models.handler import one_core_a_call
from ..models.scoring import Scoring
from ..schemas.dates import resolve_date
from ..schemas.errors import UsageError
from ..schemas.job import Job
from ..schemas.layout import layout
from ..schemas.manifest import NOTHING_RECOVERED, Manifest, Status, manifest_of
from ..schemas.plan import Plan
from ..transforms.tables.choose import table_of
from .beam_options import pipeline_options, runner_of
from .dataflow_options import RUNNER, in_template, named
from .dry_run import first_records, in_temporary_folder
from .launch import first_cause, foreseen, run_and_wait, said_by, submit
from .planning import make_plan
from .portable import check_detachable
from .predict import build
from .progress import Progress, watching
from .standing import holds, published_manifest, told_if_published, write_manifest

# Beam warns so because its model manager needs a package that nothing here does.
logging.getLogger().addFilter(lambda record: "Resource module is not available" not in str(record.msg))


def run(
    job: Job,
    date: str,
    *,
    force: bool = False,
    detach: bool = False,
    dry_run: bool = False,
    limit: int | None = None,
    beam_flags: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Scores a night and publishes it.

    Args:
      job: what to score, with what, and where to.
      date: YYYY-MM-DD, `today` or `yesterday`.
      force: publish again what is published already.
      detach: submit the pipeline and return; it publishes by itself.
      dry_run: score into a temporary folder; table, state and attempt stay as they are.
      limit: with `dry_run`, only the first records of the plan.
      beam_flags: Beam pipeline options, which win over the job's.
      progress: called about once a second.

    Returns:
      The manifest; its `status` says how it ended, `exit_code` what the command line makes of it. A refusal is a
      manifest too, not an exception.

    Raises:
      UsageError: the job, an option or the input is wrong; nothing was launched.
    """
    if limit is not None and (not dry_run or limit < 1):
        raise UsageError("--limit needs --dry-run, and a number of records from 1")
    night = resolve_date(date)
    one_core_a_call()  # looking at the model runs TensorFlow already
    plan, scoring = make_plan(job, night, beam_flags, force, dry_run)
    options = pipeline_options(job.beam, beam_flags)
    detach = detach or in_template(options)
    if detach:
        check_detachable(options.get_all_options())
    if dry_run:
        with in_temporary_folder(first_records(plan, limit)) as apart:
            return _as_dry_run(launch(apart, scoring, options, False, progress), job)
    if plan.published and not force and holds(plan):
        return _already_published(plan)
    with told_if_published(plan):
        return launch(plan, scoring, options, detach, progress)


def _already_published(plan: Plan) -> Manifest:
    """The manifest of what stands there; written now if the run that published it died before it could."""
    manifest = published_manifest(plan.job, plan.date, plan.published or "", plan)
    assert manifest is not None
    storage.remove_tree(plan.layout.staging(manifest.score_id))
    return dataclasses.replace(manifest, status="already_published", seconds=_seconds(plan))


def _seconds(plan: Plan) -> float:
    return round(time.time() - plan.started, 3)


def launch(
    plan: Plan, scoring: Scoring, options: PipelineOptions, detach: bool, progress: Callable[[Progress], None] | None
) -> Manifest:
    """Runs a plan; arguments and result as for `run`."""
    if options.get_all_options()["runner"] == RUNNER:
        named(options, plan)
    pipeline = beam.Pipeline(runner=runner_of(options), options=options)
    if plan.job.postprocess:
        storage.put(plan.code, code_of(plan.job).pack())
    storage.put(plan.path, plan.to_json())
    build(pipeline, plan, scoring, raise_refusal=detach)
    if detach:
        submit(pipeline)
        return _submitted(plan, options)
    with watching(plan, progress):
        error, printed = run_and_wait(pipeline, withdraw=partial(storage.remove, plan.path))
    if error:
        return _after_failure(plan, error, printed)
    return _finish(plan, Manifest.from_json(storage.read(plan.manifest)))


def _submitted(plan: Plan, options: PipelineOptions) -> Manifest:
    """Notes a launch that nobody waits for, so that `runs` knows of it whatever becomes of it."""
    name = options.get_all_options()["job_name"]
    manifest = manifest_of(plan, "submitted", message=f"job {name}" if name else "")
    storage.put(plan.submission, manifest.to_json())
    return manifest


def _after_failure(plan: Plan, error: Exception, printed: str) -> Manifest:
    """A refusal wrote its manifest before the pipeline failed; anything else gets one now, and staging is kept."""
    now = None
    with suppress(UsageError):  # a table that cannot be asked may be what it failed of
        now = table_of(plan.job).current(plan.date)
    if not storage.exists(plan.manifest) and now and now.run_id == plan.run_id:
        return _finish(plan, write_manifest(plan))  # it failed after the commit
    if not storage.exists(plan.manifest):
        cause = first_cause(said_by(error))
        if foreseen(cause) is None:
            sys.stderr.write(printed)  # the workers' tracebacks help
        manifest = manifest_of(plan, "failed", reason="failed", message=foreseen(cause) or cause)
        storage.create(plan.manifest, manifest.to_json())
    return _finish(plan, Manifest.from_json(storage.read(plan.manifest)))


def _finish(plan: Plan, manifest: Manifest) -> Manifest:
    """Removes the staging of a published run; the seconds are those of the whole run, not of the manifest."""
    if manifest.status in ("published", "already_published") or manifest.reason == NOTHING_RECOVERED:
        storage.remove_tree(plan.layout.staging(plan.score_id))
    if manifest.status == "published" and plan.replay:
        for score_id in plan.replay.ancestors:  # of a refused run all was kept
            storage.remove_tree(plan.layout.staging(score_id))
    return dataclasses.replace(manifest, seconds=_seconds(plan))


def _as_dry_run(manifest: Manifest, job: Job) -> Manifest:
    """A dry run ends with its verdict in the message, whatever the budget says of it."""
    said = f"would be {manifest.status}" + (f": {manifest.message}" if manifest.message else "")
    status: Status = "failed" if manifest.status == "failed" else "dry_run"
    return dataclasses.replace(manifest, status=status, message=said, files=(), output=layout(job).output)
