"""Reconciles a run and publishes it, once; the last step of the pipeline, so that a detached job publishes too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import apache_beam as beam

from .. import storage
from ..schemas.errors import HighbeamError, Refused, Superseded
from ..schemas.manifest import NOTHING_RECOVERED, Manifest, Status, manifest_of
from ..schemas.plan import Plan, load_plan
from .published import published_schema
from .reconcile import Tally, reconcile, staged_rejects
from .replayed import may_now, recovers_nothing, scored_splits, why_nothing
from .staged import add_reasons, count_reasons
from .tables import rejects
from .tables.base import Publication, Written
from .tables.choose import table_of


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Publish(beam.PTransform):
    """Publishes when everything is merged.

    Takes a PCollection[str], the merge reports; gives a PCollection[str] of one element, the manifest's path. It hangs
    on an Impulse with the reports as a side input, never on a grouping: with nothing to group it would not run at all,
    and an empty night would end unpublished.

    Args:
      plan_path: where the plan lies.
      raise_refusal: whether a refusal fails the pipeline after the manifest is written; so that a detached job that
        nobody waits for ends red.
    """

    plan_path: str
    raise_refusal: bool = False

    def expand(self, reports: beam.PCollection[str]) -> beam.PCollection[str]:
        """Wires the step."""
        one = reports.pipeline | "Publish once" >> beam.Impulse()
        merged = one | "Merged" >> beam.Map(_all, beam.pvalue.AsIter(reports)).with_output_types(list[str])
        # A step behind a shuffle is opened when the job starts, one with a side input when that is there. Flink ends
        # its Python workers when no step is open, and would start TensorFlow again for the publication alone.
        reports_of_all = merged | "Hand over" >> beam.Reshuffle().with_output_types(list[str])
        work = beam.Map(_publish, self.plan_path, self.raise_refusal).with_output_types(str)
        return reports_of_all | "Reconcile and publish" >> work


def _all(_once: bytes, report_paths: Iterable[str]) -> list[str]:
    return list(report_paths)


def _publish(report_paths: list[str], plan_path: str, raise_refusal: bool) -> str:
    return publish(plan_path, report_paths, raise_refusal)


def publish(plan_path: str, report_paths: Iterable[str], raise_refusal: bool = False) -> str:
    """Reconciles and, if nothing speaks against it, publishes; writes rejects first and the manifest last.

    Args:
      plan_path: where the plan lies.
      report_paths: one report for each merge task.
      raise_refusal: raise after the manifest is written.

    Returns:
      The manifest's path.

    Raises:
      Refused: if asked to.
      HighbeamError: the plan is gone: the command that waited for this launch was interrupted and withdrew it.
    """
    plan, paths = load_plan(plan_path), sorted(report_paths)
    if not storage.exists(plan_path):  # workers remember a plan
        raise HighbeamError(f"{plan_path} is gone: the run was interrupted, or another launch has published the night")
    if recovers_nothing(plan):
        return _keep(plan)
    tally = reconcile(plan, paths)
    if plan.replay and not (tally.taken_from(scored_splits(plan)) or tally.problem or may_now(plan)):
        return _keep(plan)
    if tally.rejected or plan.replay:  # for those who replay what is rejected, or ask on what a replay builds
        storage.put(plan.kept, plan.to_json())
    rejects.write(plan.layout.rejects, plan.date, plan.run_id, staged_rejects(plan, paths))
    kept = partial(rejects.read, plan.layout.rejects, plan.date, plan.run_id)
    table_of(plan.job).reject(plan.date, plan.run_id, kept)
    problem = tally.problem
    if problem is None:
        try:
            commit(plan, tally)
        except Refused as error:
            problem = error
    manifest = describe(plan, tally, problem)
    storage.create(plan.manifest, manifest.to_json())
    if problem and raise_refusal:
        raise problem
    return plan.manifest


def _keep(plan: Plan) -> str:
    """Ends a replay that recovers nothing: table and rejects stay as they are.

    Returns:
      The manifest's path.
    """
    assert plan.replay is not None
    parent, date = plan.replay.parent, plan.date
    by = add_reasons([count_reasons(batch) for batch in rejects.read(plan.layout.rejects, date, parent)])
    gone = plan.replay.read - plan.replay.predicted
    said = (
        f"none of the {gone:,} rejected rows of run {parent} was recovered; nothing was published; {why_nothing(plan)}"
    )
    counts: dict[str, Any] = {"read": plan.replay.read, "predicted": plan.replay.predicted, "rejected": gone}
    status: Status = "already_published" if plan.replay.published else "refused"
    reason = "" if plan.replay.published else NOTHING_RECOVERED
    manifest = manifest_of(plan, status, reason=reason, message=said, rejected_by=by, **counts)
    if plan.replay.published:  # what stands is the parent
        now = table_of(plan.job).current(date)
        manifest = replace(manifest, run_id=parent, attempt=plan.attempt - 1, files=now.files if now else ())
    storage.create(plan.manifest, manifest.to_json())
    return plan.manifest


def commit(plan: Plan, tally: Tally) -> None:
    """Replaces the night's partition by the run's files, at once. Raises as `Table.commit`."""
    files = tuple(Written(report.file, report.size, report.rows) for report in tally.files)
    key = plan.job.contract.key
    run = (plan.date, plan.run_id, plan.attempt, files, published_schema(plan.job), key, commit_metadata(plan))
    table_of(plan.job).commit(Publication(*run))


def commit_metadata(plan: Plan) -> dict[str, str]:
    """What the table's history says of a publication."""
    return {"job": plan.job.name, "score_id": plan.score_id, "model_version": str(plan.model["version"])}


def describe(plan: Plan, tally: Tally, problem: Refused | None) -> Manifest:
    """The manifest of a run that came to its end."""
    status: Status = "published"
    if problem:
        status = "superseded" if isinstance(problem, Superseded) else "refused"
    counts: dict[str, Any] = {"read": tally.read, "predicted": tally.predicted, "rejected": tally.rejected}
    return manifest_of(
        plan,
        status,
        reason=problem.reason if problem else "",
        message=str(problem) if problem else "",
        rejected_by=tally.rejected_by,
        files=() if problem else tuple(report.file for report in tally.files),
        **counts,
    )
