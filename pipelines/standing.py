"""What a night's partition holds: which run made it, and on what that run builds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .. import storage
from ..schemas.errors import Refused, UsageError
from ..schemas.job import Job
from ..schemas.layout import layout
from ..schemas.manifest import Manifest, manifest_of
from ..schemas.plan import Plan
from ..schemas.split import Split
from ..transforms.staged import add_reasons, count_reasons
from ..transforms.tables import rejects
from ..transforms.tables.choose import table_of
from .runs import manifests_of


def kept_plan(job: Job, date: str, run_id: str) -> Plan | None:
    """The plan of a run that turned rows away, or None; its paths are where the job has them now."""
    path = layout(job).kept_plan(date, run_id)
    if not storage.exists(path):
        return None
    plan = Plan.from_json(storage.read(path))
    places = {"output": plan.job.output.model_copy(update=job.output.tables), "state": job.state}
    return dataclasses.replace(plan, job=plan.job.model_copy(update={**places, "folder": job.folder}))


def holds(plan: Plan) -> bool:
    """Whether the partition was made by this very scoring, or by a replay that builds on it."""
    now = table_of(plan.job).current(plan.date)
    if now is None:
        return False
    ancestors = {a for m in manifests_of(plan.job, plan.date) if m.run_id == now.run_id for a in m.ancestors}
    kept = kept_plan(plan.job, plan.date, now.run_id)
    if kept and kept.replay:  # it may have died before its manifest was written
        ancestors |= set(kept.replay.ancestors)
    return plan.score_id in {now.score_id, *ancestors}


def published_manifest(job: Job, date: str, run_id: str, plan: Plan | None = None) -> Manifest | None:
    """The manifest of the run that published a night; written now if that run died before it could.

    Args:
      job: the job.
      date: the night.
      run_id: what the partition holds.
      plan: of a run of the same scoring, in case the run kept none of its own.
    """
    found = [m for m in manifests_of(job, date) if m.run_id == run_id and m.status == "published"]
    if found:
        return max(found, key=lambda m: m.launch)
    plan = kept_plan(job, date, run_id) or plan
    return write_manifest(plan) if plan else None


def write_manifest(plan: Plan) -> Manifest:
    """Writes the manifest of the night's publication from what table and rejects hold."""
    now = table_of(plan.job).current(plan.date)
    if now is None:
        raise Refused(f"{plan.layout.output}: {plan.date} was taken out of the table meanwhile; run again")
    held = dataclasses.replace(plan, attempt=now.attempt)
    by = add_reasons([count_reasons(batch) for batch in rejects.read(plan.layout.rejects, plan.date, now.run_id)])
    gone = sum(sum(reasons.values()) for reasons in by.values())
    counts = {"read": now.rows + gone, "predicted": now.rows, "rejected": gone}
    manifest = manifest_of(held, "published", rejected_by=by, files=now.files, **counts)
    storage.create(held.manifest, manifest.to_json())
    return manifest


def refuse_to_empty(job: Job, date: str, splits: Sequence[Split]) -> None:
    """Makes sure that input which has vanished does not take a published night with it.

    Args:
      job: the job, of which a night may be empty.
      date: the night.
      splits: its input.

    Raises:
      UsageError: there is nothing to read, and the night holds predictions.
    """
    now = None if splits else table_of(job).current(date)
    if now and now.rows:
        raise UsageError(
            f"{date}: there is nothing to read, and the table holds {now.rows:,} predictions of run {now.run_id}; "
            "bring the input back, or publish an empty night over them with --force"
        )


@contextmanager
def told_if_published(plan: Plan) -> Iterator[None]:
    """Around a launch: who interrupts it when the night is published already is told so."""
    try:
        yield
    except KeyboardInterrupt:
        if storage.exists(plan.manifest) and Manifest.from_json(storage.read(plan.manifest)).status == "published":
            raise KeyboardInterrupt(f"interrupted; {plan.date} is published nevertheless, run {plan.run_id}") from None
        raise
