"""The run whose rejects a replay scores again, and whether the job still fits it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from .. import storage
from ..schemas.dates import resolve_date
from ..schemas.errors import UsageError
from ..schemas.job import Job
from ..schemas.layout import layout
from ..schemas.manifest import Manifest
from ..schemas.plan import Plan
from ..schemas.split import Split
from ..transforms.published import published_schema
from ..transforms.tables import rejects
from ..transforms.tables.base import Current
from ..transforms.tables.choose import table_of
from ..transforms.tables.columns import grown
from .runs import came_to_nothing, manifests_of
from .standing import kept_plan

_NEVER_COUNTED = ("unreadable_input", "input_changed")


@dataclass(frozen=True)
class Parent:
    """A run with rejects.

    Attributes:
      plan: what it did.
      published: whether its rows are the night's; else they are staged.
      rejected: rows it turned away.
      predicted: rows it made.
      carried: what holds these rows: data files, or staged objects.
    """

    plan: Plan
    published: bool
    rejected: int
    predicted: int
    carried: tuple[Split, ...]

    @property
    def rejects(self) -> pa.RecordBatchReader:
        """Its rejects, by file and offset."""
        return rejects.read(self.plan.layout.rejects, self.plan.date, self.plan.run_id)

    def earlier_rejects(self) -> Iterator[pa.RecordBatch]:
        """Those of the runs that it replayed."""
        plan: Plan | None = self.plan
        while plan and plan.replay:
            run = plan.replay.parent
            yield from rejects.read(plan.layout.rejects, plan.date, run)
            plan = kept_plan(plan.job, plan.date, run)


def parent_of(job: Job, date: str) -> Parent | None:
    """The run to replay: the published one of the night, or the newest refused one if none is published.

    Args:
      job: the job.
      date: YYYY-MM-DD, `today` or `yesterday`.

    Returns:
      None when the published run turned no row away.

    Raises:
      UsageError: when nothing ran, or what is needed of the run is gone.
    """
    night = resolve_date(date)
    now = table_of(job).current(night)
    return _published(job, night, now) if now else _refused(job, night)


def _published(job: Job, date: str, now: Current) -> Parent | None:
    rejected = rejects.count(layout(job).rejects, date, now.run_id)
    if not rejected:
        return None
    plan = _plan(job, date, now.run_id, "highbeam run --force")
    if now.rows and not now.files:
        gone = f"{job.name} {date}: the files of run {now.run_id} are no longer in {plan.layout.table}"
        raise UsageError(f"{gone}; use highbeam run --force")
    paths = [storage.join(plan.layout.table, file) for file in now.files]
    carried = [_split(number, path, file) for number, (path, file) in enumerate(zip(paths, now.files, strict=True))]
    return Parent(plan, True, rejected, now.rows, tuple(carried))


def _refused(job: Job, date: str) -> Parent:
    newest = _newest_refused(job, date)
    if newest is None:
        raise UsageError(f"{job.name} {date}: no run has rejects to replay; see highbeam runs")
    rejected = rejects.count(layout(job).rejects, date, newest.run_id)
    if not (rejected or newest.parent):  # a refused replay brings its mends forward even so
        raise UsageError(f"{job.name} {date}: run {newest.run_id} rejected no row; mend the cause, and run again")
    plan = _plan(job, date, newest.run_id, "highbeam run")
    staged = [plan.staged(number) for number in range(len(plan.splits))]
    if not all(storage.exists(path) for path in staged):
        raise UsageError(f"{job.name} {date}: the rows of run {newest.run_id} are no longer staged; run it again")
    pairs = zip(staged, plan.splits, strict=True)
    carried = [_split(number, path, split.file) for number, (path, split) in enumerate(pairs)]
    return Parent(plan, False, rejected, newest.predicted, tuple(carried))


def _newest_refused(job: Job, date: str) -> Manifest | None:
    refused = [m for m in manifests_of(job, date) if m.status == "refused" and m.reason not in _NEVER_COUNTED]
    refused = [m for m in refused if not came_to_nothing(m)]
    return max(refused, key=lambda m: m.launch, default=None)


def _plan(job: Job, date: str, run_id: str, remedy: str) -> Plan:
    plan = kept_plan(job, date, run_id)
    if plan is None:
        raise UsageError(f"{job.name} {date}: run {run_id} kept no plan to replay by; use {remedy}")
    return plan


def _split(number: int, path: str, file: str) -> Split:
    info = storage.stat(path)
    if info is None:
        raise UsageError(f"{path}: not there, though a run made it; run the night again with --force")
    return Split(number, path, file, info.size, info.mark, 0, info.size)


def check_fits(job: Job, plan: Plan, model: dict[str, object], other_model: bool) -> None:
    """Makes sure that rows scored by a job can stand beside those of a parent.

    Args:
      job: with every prediction declared.
      plan: the parent's.
      model: what is to score, as a manifest names it.
      other_model: whether it may be another model than the parent's.

    Raises:
      UsageError: with everything that speaks against it.
    """
    problems = [*_unlike(job, plan), *_lacking(job, plan)]
    if not other_model and not same_model(plan, model):
        ours, theirs = _named(model), _named(dict(plan.model))
        other = f"the job names {ours}: say --model-version to score with the same one, or --other-model"
        if ours == theirs:
            other = (
                "its files are not the same any more: say --other-model to score with them, or put the old ones back"
            )
        problems.append(f"run {plan.run_id} was scored with {theirs}, and {other}")
    if problems:
        raise UsageError("\n".join(problems))


def same_model(plan: Plan, model: dict[str, object]) -> bool:
    """Whether a plan's model is this one."""
    return all(plan.model.get(name) == model.get(name) for name in ("version", "digest", "transform"))


def _named(model: dict[str, object]) -> str:
    transform = f" with transform {model['transform']}" if model.get("transform") is not None else ""
    return f"{model.get('name')} version {model.get('version')}{transform}"


def _unlike(job: Job, plan: Plan) -> Iterator[str]:
    """What a replay may not change."""
    again = "run the night again with --force"
    if job.source.format != plan.job.source.format:
        yield f"source: run {plan.run_id} read {plan.job.source.format}, not {job.source.format}; {again}"
    if job.contract.key != plan.job.contract.key:
        yield f"key: run {plan.run_id} has another key, {', '.join(plan.job.contract.key) or 'none'}; {again}"
    for problem in grown(published_schema(plan.job), published_schema(job))[1]:
        yield f"{problem.replace(' is in the table', f' was published by run {plan.run_id}')}; {again}"


def _lacking(job: Job, plan: Plan) -> Iterator[str]:
    """Columns that the headers of the files lack; where a file has none, records say themselves what they hold."""
    if job.source.format != "csv":
        return
    wanted = {name: column.source or name for name, column in job.columns.items() if not column.optional}
    for file, header in {split.file: split.header for split in plan.inputs}.items():
        lacking = [source for source in wanted.values() if header and source not in header]
        if lacking:
            yield f"{file}: the header lacks {', '.join(lacking)}; it has {', '.join(header)}"
            return
