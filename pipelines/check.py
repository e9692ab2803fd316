"""Finds everything that can be found before launch, and shows contract, graph and signature side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..models.fit_rows import FitRow, table
from ..models.predictions import to_yaml
from ..models.store import Version
from ..schemas.dates import resolve_date
from ..schemas.errors import UsageError
from ..schemas.job import Job, Prediction
from ..schemas.layout import layout
from ..schemas.split import Split
from .beam_options import pipeline_options
from .dataflow import describe
from .dataflow_options import RUNNER, named
from .planning import look, make_plan
from .standing import refuse_to_empty

if TYPE_CHECKING:
    from ..transforms.plan_bigquery import Estimate


@dataclass(frozen=True)
class Report:
    """What `check` found; it raises what is wrong.

    Attributes:
      job: the job's name.
      model: name and version of the model that would score.
      rows: contract, transform graph and signature side by side.
      predictions: what would be published, inferred where the job does not say.
      inferred: whether the job leaves `predictions` to the signature.
      output: the table.
      date: the night looked at, or None.
      files: input files of that night.
      splits: splits of that night.
      bytes: size of the input files.
      notes: what of the job has no effect, a sentence each.
      warnings: what may be wrong with the input of that night, a sentence each.
      warehouse: what the night would read where the source is BigQuery.
    """

    job: str
    model: str
    rows: Sequence[FitRow]
    predictions: dict[str, Prediction]
    inferred: bool
    output: str
    date: str | None = None
    files: int = 0
    splits: int = 0
    bytes: int = 0
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    warehouse: Estimate | None = None

    def as_dict(self) -> dict[str, Any]:
        """The report for `--json`."""
        plain = {name: value for name, value in self.__dict__.items() if name not in ("rows", "predictions")}
        plain["warehouse"] = asdict(self.warehouse) if self.warehouse else None
        predictions = {name: p.model_dump(exclude_defaults=True) for name, p in self.predictions.items()}
        return {**plain, "rows": [asdict(row) for row in self.rows], "predictions": predictions}

    def text(self) -> str:
        """The report for a person."""
        lines = [f"{self.job}: no problem found", f"  model  {self.model}", f"  table  {self.output}"]
        lines += [*(f"  note   {note}" for note in self.notes), ""]
        lines += [f"  {line}" for line in table(self.rows)]
        if self.inferred:
            lines += ["", "predictions are inferred from the signature; to fix them, paste into job.yaml:", ""]
            lines += [to_yaml(self.predictions).rstrip()]
        if self.warehouse:
            lines += ["", f"{self.date}: {self.warehouse.text()}"]
        elif self.date:
            lines += ["", f"{self.date}: input files: {self.files}, bytes: {self.bytes:,}, splits: {self.splits}"]
        return "\n".join(lines)


def job_description(job: Job, date: str, beam_flags: Sequence[str] = ()) -> dict[str, Any]:
    """What a run would submit to Dataflow, everything else checked first; Dataflow itself is not asked.

    Args:
      job: the job.
      date: YYYY-MM-DD, `today` or `yesterday`.
      beam_flags: Beam pipeline options, which win over the job's.

    Raises:
      UsageError: everything that is wrong, or another runner than Dataflow's.
    """
    options = pipeline_options(job.beam, beam_flags)
    if (runner := options.get_all_options()["runner"]) != RUNNER:
        raise UsageError(
            f"--job-description shows what Dataflow would get; the runner is {runner}: -- --runner={RUNNER}"
        )
    unasked = [*beam_flags, "--dry_run=true"]  # Beam's word for a job that is made and not handed in
    plan, scoring = make_plan(job, resolve_date(date), unasked, dry=True)
    return describe(plan, scoring, named(options, plan))


def check(job: Job, date: str | None = None) -> Report:
    """Looks at everything a run needs, and at one night's input if asked.

    Args:
      job: the job.
      date: YYYY-MM-DD, `today` or `yesterday`; without it no input is looked at.

    Raises:
      UsageError: everything that is wrong.
    """
    night = resolve_date(date) if date else None
    source = _Warehouse(job, night) if night and job.source.bigquery else None
    splits, settled = look(job, night, rows=source.look if source else None)
    if night and not source:
        refuse_to_empty(job, night, splits)
    sizes = {split.path: split.size for split in splits}
    return Report(
        job=job.name,
        model=f"{job.model.path} version {settled.model.number}",
        rows=settled.examined.rows,
        predictions=dict(settled.job.predictions or {}),
        inferred=job.predictions is None,
        output=layout(job).output,
        date=night,
        files=len(sizes),
        splits=len(splits),
        bytes=sum(sizes.values()),
        notes=tuple(notes(job, settled.model)),
        warnings=settled.warnings,
        warehouse=source.estimate if source else None,
    )


def notes(job: Job, model: Version) -> Iterator[str]:
    """What a job says that the model it names makes void."""
    if model.transform and job.transform and job.transform.version != "latest":
        graph = model.meta.get("transform")
        held = "its graph" if graph is None else f"its graph, transform {graph}"
        yield f"transform.version has no effect: model version {model.number} holds {held}"


class _Warehouse:
    """What a night would read of BigQuery."""

    def __init__(self, job: Job, night: str) -> None:
        self._job, self._night = job, night
        self.estimate: Estimate | None = None

    def look(self) -> list[Split]:
        """No split is made: a query would have to be run for it."""
        from ..transforms.plan_bigquery import estimate

        self.estimate = estimate(self._job, self._night)
        return []
