"""Counts every record of a run before anything becomes visible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from .. import storage
from ..schemas.errors import Refused
from ..schemas.plan import Plan
from ..schemas.split import Split
from .merge import Report, read_report
from .raw import without_raw
from .staged import Footer, Staged, add_reasons, count_reasons

Reasons = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Tally:
    """The counts of a run.

    Attributes:
      read: records framed.
      predicted: rows in the data files.
      rejected: rows turned away, at any stage.
      rejected_by: stage -> reason -> count.
      files: what the merge wrote, in key order.
      problem: why the run must not be published, if it must not.
    """

    read: int
    predicted: int
    rejected: int
    rejected_by: Reasons
    files: tuple[Report, ...]
    problem: Refused | None = None

    def taken_from(self, splits: Sequence[Split]) -> int:
        """Rows in the data files that came from some splits."""
        return sum(report.taken.get(str(split.number), 0) for report in self.files for split in splits)


def reconcile(plan: Plan, report_paths: Sequence[str]) -> Tally:
    """Adds up what was staged and merged, and looks for a reason to refuse.

    Args:
      plan: the run.
      report_paths: one report for each merge task.

    Returns:
      The counts; `problem` says why the run is refused, and is None when it may be published.
    """
    footers = [_footer(plan.staged(number)) for number in range(len(plan.splits))]
    merged = [read_report(path) for path in sorted(report_paths)]
    reports = tuple(report for report, _ in merged)
    by = add_reasons([*(f.rejected_by for f in footers if f), *(count_reasons(rejected) for _, rejected in merged)])
    tally = Tally(
        read=sum(footer.read for footer in footers if footer),
        predicted=sum(report.rows for report in reports),
        rejected=sum(sum(reasons.values()) for reasons in by.values()),
        rejected_by=by,
        files=reports,
    )
    problem = next(_problems(plan, tally, footers), None)
    return Tally(**{**tally.__dict__, "problem": problem})


def staged_rejects(plan: Plan, report_paths: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """All rejects of a run, split by split, then those of the merge."""
    for number in range(len(plan.splits)):
        footer = _footer(plan.staged(number))
        if footer and footer.rejected:
            with Staged(plan.staged(number)) as staged:
                yield _kept(staged.rejected(), plan)
    for path in sorted(report_paths):
        yield _kept(read_report(path)[1], plan)


def _kept(rejected: pa.RecordBatch, plan: Plan) -> pa.RecordBatch:
    """Rejects without their raw bytes, where the job keeps none: they may have been staged before it said so."""
    return rejected if plan.job.rejects.keep_raw else without_raw(rejected)


def _footer(path: str) -> Footer | None:
    try:
        with Staged(path) as staged:
            return staged.footer
    except FileNotFoundError:
        return None


def _problems(plan: Plan, tally: Tally, footers: Sequence[Footer | None]) -> Iterator[Refused]:
    """Reasons to refuse, the gravest first."""
    yield from _unconserved(plan, tally, footers)
    if duplicates := [key for report in tally.files for key in report.duplicates]:
        shown = ", ".join(duplicates[:10])
        yield Refused(f"keys stand more than once: {shown}; mend the input, or set key.duplicates", "duplicate_key")
    if tally.read < plan.job.source.min_rows:
        yield Refused(
            f"read {tally.read:,} records, fewer than source.min_rows: {plan.job.source.min_rows:,}",
            "too_few_rows",
        )
    budget = plan.job.rejects.max_fraction
    if not plan.job.rejects.allows(tally.rejected, tally.read):
        share = tally.rejected / tally.read
        again = " and use highbeam replay again" if plan.replay else ""
        yield Refused(
            f"rejected {tally.rejected:,} of {tally.read:,} records ({share:.2%}), more than rejects.max_fraction: "
            f"{budget:g}; mend the input or the contract, or raise the budget{again}: nothing is scored again",
            "over_budget",
        )


def _unconserved(plan: Plan, tally: Tally, footers: Sequence[Footer | None]) -> Iterator[Refused]:
    if missing := [plan.splits[i].file for i, footer in enumerate(footers) if footer is None]:
        yield Refused(f"{len(missing)} splits were never staged, the first of {missing[0]}; run again", "unconserved")
        return
    if plan.replay and tally.read != plan.replay.read:
        yield Refused(
            f"{plan.replay.read:,} records were read, but {tally.read:,} are carried over or scored again; "
            "report this as a bug",
            "unconserved",
        )
    taken: Counter[str] = Counter()
    for report in tally.files:
        taken.update(report.taken)
        taken.update(report.rejected)
    for number, footer in enumerate(footers):
        if footer and footer.read != taken[str(number)] + footer.rejected:
            yield Refused(
                f"{plan.splits[number].file} split {number}: {footer.read} records were read, but {taken[str(number)]} "
                f"rows were merged and {footer.rejected} rejected; report this as a bug",
                "unconserved",
            )
    for report in tally.files:
        there = _rows_in(storage.join(plan.layout.table, report.file))
        if there != report.rows:
            yield Refused(f"{report.file} holds {there} rows, not the {report.rows} merged into it", "unconserved")


def _rows_in(path: str) -> int:
    with storage.open_input(path) as file:
        return int(pq.ParquetFile(file).metadata.num_rows)
