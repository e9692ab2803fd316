"""Plans a run: everything that can be settled before launch is settled here, and fails here."""

from __future__ import annotations

import datetime
import hashlib
import platform
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from .. import __version__, storage
from ..models import store
from ..models.code_archive import code_of, load_postprocess
from ..models.predictions import PredictionColumn
from ..models.scoring import Examined, Scoring, examine
from ..schemas.errors import Problems, UsageError
from ..schemas.job import Job, Prediction
from ..schemas.join import Side
from ..schemas.layout import layout, resolve
from ..schemas.plan import Plan, score_id
from ..schemas.split import Split
from ..schemas.types import type_name
from ..transforms.join_plan import plan_sides
from ..transforms.plan_splits import check_source, plan_splits
from ..transforms.published import published_schema
from ..transforms.tables.choose import table_of
from .beam_options import pipeline_options, runner_of
from .dataflow_preflight import check_services, check_settings
from .misspelt import misspelt, warn
from .standing import holds, refuse_to_empty

if TYPE_CHECKING:
    from ..transforms.plan_bigquery import NightlyRows

RELEASES = ("apache-beam", "tensorflow", "tensorflow-transform", "pyarrow", "deltalake")


@dataclass(frozen=True)
class Settled:
    """A job held against its model.

    Attributes:
      job: with every prediction declared and typed.
      model: the version that scores.
      transform: the version of the transform graph, where the model does not hold one; or None.
      examined: contract, graph and signature side by side.
      scoring: what the workers score with.
      sides: the side tables, as they are now.
      warnings: what may be wrong with the input, a sentence each.
    """

    job: Job
    model: store.Version
    transform: store.Version | None
    examined: Examined
    scoring: Scoring
    sides: tuple[Side, ...] = ()
    warnings: tuple[str, ...] = ()


def settle(job: Job) -> Settled:
    """Resolves the model and holds it against the contract.

    Raises:
      UsageError: everything that does not fit.
    """
    model = store.resolve(resolve(job.folder, job.model.path), _model_version(job))
    transform = None if model.transform else _transform(job)
    examined = examine(job, model.path, model.transform or (transform.path if transform else None))
    scoring = examined.required()
    if job.postprocess:
        load_postprocess(job)
    declared = {column.name: _typed(column, examined.predictions[column.name]) for column in scoring.predictions}
    return Settled(job.model_copy(update={"predictions": declared}), model, transform, examined, scoring)


def check_places(job: Job) -> None:
    """Makes sure that table and state can be written, and that the table takes the job's columns.

    Args:
      job: with every prediction declared.

    Raises:
      UsageError: saying which place, or which columns.
    """
    table = table_of(job)
    if problem := table.unusable():
        raise UsageError(problem)
    if problem := storage.unwritable(layout(job).state):
        raise UsageError(f"state: {problem}; choose another place")
    table.check_schema(published_schema(job))


def _model_version(job: Job) -> str:
    """The version to use; `published` is that of the newest published night."""
    if job.model.version != "published":
        return job.model.version
    table = table_of(job)
    for date in reversed(table.dates()):
        current = table.current(date)
        if current and (found := table.model_version(current)):
            return found
    raise UsageError(f"model.version: published: {table.name} holds no published night yet; name a number or latest")


def _transform(job: Job) -> store.Version | None:
    if job.transform is None or job.transform.path is None or job.model.input_format == "tf_example":
        return None
    return store.resolve(resolve(job.folder, job.transform.path), job.transform.version, store.TRANSFORMS)


def _typed(column: PredictionColumn, declared: Prediction) -> Prediction:
    """A prediction with the type it is published in spelled out."""
    if column.form == "top_k":
        return declared
    return declared.model_copy(update={"type": type_name(column.type), "size": column.size})


def look(
    job: Job, date: str | None, beam_flags: Sequence[str] = (), rows: Callable[[], list[Split]] | None = None
) -> tuple[list[Split], Settled]:
    """Looks at everything that a run needs.

    Args:
      job: the job.
      date: YYYY-MM-DD; without it no input is looked at.
      beam_flags: Beam's options from the command line.
      rows: gives the night's splits where they are not of files.

    Returns:
      The night's splits, and the job held against its model.

    Raises:
      UsageError: everything that is wrong with Beam's options, the input, the model or the table.
    """
    splits, settled, sides, problems = [], None, tuple[Side, ...](), Problems()
    options = None
    with problems.part():
        options = pipeline_options(job.beam, beam_flags)
        runner_of(options)
        check_settings(job, options)
    if options and not problems:
        check_services(job, options)  # alone: nothing else would be heard of either
    with problems.part():
        if date:
            splits = rows() if rows else plan_splits(job.source, job.read_contract, job.folder, date)
        else:
            check_source(job.source, job.read_contract)
    with problems.part():
        sides = plan_sides(job, [date] if date else [], skip_dated=True)
    with problems.part():
        settled = settle(job)
        check_places(settled.job)
    problems.raise_all()
    assert settled is not None
    warnings = misspelt(job.source, job.read_contract, splits)
    return splits, replace(settled, sides=sides, warnings=warnings)


def make_plan(
    job: Job, date: str, beam_flags: Sequence[str] = (), force: bool = False, dry: bool = False
) -> tuple[Plan, Scoring]:
    """Plans the run of a night.

    Args:
      job: the job.
      date: YYYY-MM-DD.
      beam_flags: Beam's options from the command line.
      force: whether the run reads its input even if the night is published, and may leave it empty.
      dry: whether nothing of the plan may be kept in the job's state.

    Returns:
      The plan, its job with every prediction declared, and what the workers score with.

    Raises:
      UsageError: as `look`; or the input of a published night has vanished.
    """
    started = time.time()
    rows = _nightly_rows(job, date, not dry)
    splits, settled = look(job, date, beam_flags, rows.splits if rows else None)
    warn(settled.warnings)
    if not force and not dry:
        refuse_to_empty(job, date, splits)
    plan = plan_of(settled, date, tuple(splits), started)
    stays = rows and plan.published and not force and not dry and holds(plan)
    if rows and not stays and not rows.readable():
        plan = plan_of(settled, date, tuple(rows.anew()), started)
    return plan, settled.scoring


def _nightly_rows(job: Job, date: str, keeps: bool) -> NightlyRows | None:
    if job.source.bigquery is None:
        return None
    from ..transforms.plan_bigquery import NightlyRows  # Google's libraries take their time

    return NightlyRows(job, date, keeps)


def plan_of(settled: Settled, date: str, splits: tuple[Split, ...], started: float) -> Plan:
    """The plan of a run over some splits; `started` is when planning began, in seconds since the epoch."""
    job, model = settled.job, settled.model
    digests = {
        "model": model.digest,
        "transform": settled.transform.digest if settled.transform else None,
        "backend": settled.scoring.model.backend,
    }
    identity = score_id(job, date, splits, {"main": digests}, _code_digests(job), settled.sides)
    now = table_of(job).current(date)
    return Plan(
        job=job,
        date=date,
        launch=launch_name(started),
        score_id=identity,
        attempt=now.attempt + 1 if now else 1,
        splits=splits,
        model=_model_record(settled, digests["model"]),
        published=now.run_id if now else None,
        started=started,
        versions=_releases(),
        sides=settled.sides,
    )


def launch_name(started: float) -> str:
    """A name for a launch, unlike any other; those of one job sort by when they began, also within a second.

    Args:
      started: when, in seconds since the epoch.
    """
    at = datetime.datetime.fromtimestamp(started, datetime.timezone.utc)
    return f"{at:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(2)}"


def _model_record(settled: Settled, digest: str | None) -> Mapping[str, object]:
    """The model as the manifest names it."""
    graph = settled.transform.number if settled.transform else settled.model.meta.get("transform")
    name = settled.job.model.path.rstrip("/").rpartition("/")[2]
    return {"name": name, "version": str(settled.model.number), "digest": digest, "transform": graph}


def _code_digests(job: Job) -> dict[str, str]:
    """Digests of the files besides model and data that predictions depend on."""
    files = {f"labels.{name}": p.labels for name, p in (job.predictions or {}).items() if p.labels}
    if job.postprocess:
        files["postprocess"] = job.postprocess.rpartition(":")[0]
    named = {name: storage.read(resolve(job.folder, file)) for name, file in sorted(files.items())}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in named.items()}
    return digests | ({f"code.{name}": digest for name, digest in code_of(job).digests.items()} if job.code else {})


def _releases() -> dict[str, str]:
    """The releases a manifest records; they decide nothing."""
    return {"highbeam": __version__, "python": platform.python_version(), **{name: version(name) for name in RELEASES}}
