"""Scores the rows that a run turned away again, after a fix, into the same night."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence

from .. import storage
from ..models.handler import one_core_a_call
from ..models.scoring import Scoring
from ..schemas.dates import resolve_date
from ..schemas.errors import Unpublished, UsageError
from ..schemas.job import Job
from ..schemas.manifest import Manifest
from ..schemas.plan import Plan
from ..schemas.replay import Replay
from ..transforms.join_plan import plan_sides
from ..transforms.tables.choose import table_of
from .beam_options import pipeline_options
from .planning import Settled, look, plan_of
from .progress import Progress
from .replay_input import Edits, Laid, laid_down, read_export
from .replay_parent import Parent, check_fits, parent_of, same_model
from .run import launch
from .standing import published_manifest, told_if_published


def replay(
    job: Job,
    date: str,
    *,
    export: str | None = None,
    other_model: bool = False,
    beam_flags: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Scores rejected rows again and puts those that are sound now into the same night.

    The parent is the published run of the night, or the newest refused one if none is published. Its rows are not
    scored again; they and the recovered ones replace the partition in one transaction.

    Args:
      job: the mended job.
      date: YYYY-MM-DD, `today` or `yesterday`.
      export: path of an edited export of the rejects; only the rows that it names are scored again.
      other_model: whether a model may score that is not the parent's.
      beam_flags: Beam pipeline options, which win over the job's.
      progress: called about once a second.

    Returns:
      The manifest. Its status is `already_published` when there was nothing to recover; `refused` when the night
      still must not be published.

    Raises:
      UsageError: the job, the export or the model does not fit the night, or nothing ran for it; nothing was launched.
    """
    night = resolve_date(date)
    parent = parent_of(job, night)
    if parent is None:
        if export is not None and not storage.exists(export):
            raise UsageError(f"{export}: no such file")
        return _nothing_rejected(job, night)
    edits = read_export(export) if export is not None else None
    one_core_a_call()  # looking at the model runs TensorFlow already
    started = time.time()
    settled = dataclasses.replace(look(job, None, beam_flags)[1], sides=plan_sides(job, [night]))
    plan, scoring = _plan(settled, parent, edits, other_model, started)
    with told_if_published(plan):
        return launch(plan, scoring, pipeline_options(job.beam, beam_flags), False, progress)


def _nothing_rejected(job: Job, date: str) -> Manifest:
    """The manifest of a night of which no row was rejected."""
    now = table_of(job).current(date)
    found = published_manifest(job, date, now.run_id) if now else None
    if found is None:
        raise Unpublished(f"{job.name} {date}: no run of this night is known; use highbeam run")
    said = "no row of this night is rejected; there is nothing to replay"
    return dataclasses.replace(found, status="already_published", message=said, files=(), seconds=0.0)


def _plan(
    settled: Settled, parent: Parent, edits: Edits | None, other_model: bool, started: float
) -> tuple[Plan, Scoring]:
    """Plans the replay, and lays its records down where the workers read them."""
    whole = plan_of(settled, parent.plan.date, parent.plan.inputs, started)
    check_fits(whole.job, parent.plan, dict(whole.model), other_model)
    with laid_down(parent, whole.job, edits) as laid:
        plan = _plan_of(whole, parent, laid)
        for number, path in enumerate(laid.paths):
            split = plan.splits[len(parent.carried) + number]
            storage.put(plan.layout.records(plan.score_id, split.id), storage.read(path))
        if laid.merged_away is not None:
            storage.put(plan.layout.records(plan.score_id, "merge"), laid.merged_away)
    return plan, settled.scoring


def _plan_of(whole: Plan, parent: Parent, laid: Laid) -> Plan:
    """The plan of the replay, from that of a run of the same job over all of the parent's files."""
    pieces = [(split.file, split.size) for split in parent.carried]  # a compaction makes others of the same rows
    decides = json.dumps(["replay", whole.score_id, parent.plan.run_id, laid.digest, pieces])
    splits = [*parent.carried, *laid.splits]
    return dataclasses.replace(
        whole,
        score_id=hashlib.sha256(decides.encode()).hexdigest()[:16],
        splits=tuple(dataclasses.replace(split, number=number) for number, split in enumerate(splits)),
        replay=Replay(
            parent=parent.plan.run_id,
            published=parent.published,
            model_version=str(parent.plan.model["version"]),
            read=parent.predicted + parent.rejected,
            predicted=parent.predicted,
            ancestors=_ancestors(whole, parent.plan),
            inputs=parent.plan.inputs,
            carried=len(parent.carried),
            unread=laid.unread,
        ),
    )


def _ancestors(whole: Plan, parent: Plan) -> tuple[str, ...]:
    """The score_ids that the replay stands for.

    A run of the mended job over the same files is among them: it would score the whole night again, and lose what an
    edited export has mended; unless it would use another model than most of the night.
    """
    older = parent.replay.ancestors if parent.replay else ()
    mended = (whole.score_id,) if same_model(parent, dict(whole.model)) else ()
    return tuple(dict.fromkeys((parent.score_id, *older, *mended)))
