"""What each command prints: for a person, or as JSON.

A command reads its job before it imports the pipelines: a mistake in job.yaml is told without waiting for TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .schemas.errors import UsageError
from .schemas.job import Job
from .schemas.job_file import load_job
from .schemas.manifest import Manifest

if TYPE_CHECKING:
    from .pipelines.progress import Progress

PLAIN_LINE_SECONDS = 10


def check(options: argparse.Namespace, beam_flags: Sequence[str]) -> int:
    """`highbeam check`."""
    if options.job_description and not options.date:
        raise UsageError("--job-description is that of one night's run; give --date too")
    if beam_flags and not options.job_description:
        raise UsageError(f"check takes Beam's flags with --job-description alone, found {beam_flags[0]}")
    job = _job(options)
    from .pipelines.check import check, job_description
    from .pipelines.misspelt import warn

    if options.job_description:
        print(json.dumps(job_description(job, options.date, beam_flags), indent=None if options.json else 2))
        return 0
    report = check(job, options.date)
    warn(report.warnings)
    _show(options.json, report.as_dict(), report.text())
    return 0


def analyze(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`highbeam analyze`."""
    job = _job(options)
    from .pipelines.analyze import analyze

    result = analyze(job, options.date_from, options.date_to, options.examples)
    _show(options.json, result.as_dict(), result.text())
    return 0


def package(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`highbeam package`."""
    job = _job(options)
    from .pipelines.package import package

    result = package(job, options.saved_model, options.transform)
    _show(options.json, result.as_dict(), result.text())
    return 0


def run(options: argparse.Namespace, beam_flags: Sequence[str]) -> int:
    """`highbeam run`."""
    job = _job_of_version(options)
    from .pipelines.run import run

    manifest = run(
        job,
        options.date,
        force=options.force,
        detach=options.detach,
        dry_run=options.dry_run,
        limit=options.limit,
        beam_flags=beam_flags,
        progress=progress_line(sys.stderr),
    )
    return _ended(options, manifest)


def lookup(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`highbeam lookup`: one JSON object for each key asked and row found."""
    job = _job(options)
    from .pipelines.lookup import lookup_lines

    for line in lookup_lines(job, options.keys, options.keys_from, options.date, options.all_dates):
        print(json.dumps(line, ensure_ascii=False))
    return 0


def rejects(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`highbeam rejects`."""
    job, count = _job(options), 0
    from .pipelines.rejects import export_rejects, none_rejected, reject_lines, reject_text

    if options.export:
        count = export_rejects(job, options.export, options.date, options.run)
        _show(
            options.json, {"exported": count, "path": options.export}, f"{count:,} rejects written to {options.export}"
        )
        return 0
    for reject in reject_lines(job, options.date, options.run):
        print(json.dumps(reject, ensure_ascii=False) if options.json else reject_text(reject, job.source.counts_rows))
        count += 1
    if not count and not options.json:
        print(none_rejected(job, options.date, options.run))
    return 0


def replay(options: argparse.Namespace, beam_flags: Sequence[str]) -> int:
    """`highbeam replay`."""
    job = _job_of_version(options)
    from .pipelines.replay import replay

    manifest = replay(
        job,
        options.date,
        export=options.export,
        other_model=options.other_model,
        beam_flags=beam_flags,
        progress=progress_line(sys.stderr),
    )
    return _ended(options, manifest)


def runs(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`highbeam runs`."""
    job = _job(options)
    from .pipelines.runs import runs

    launches = runs(job)
    if options.json:
        for ran in launches:
            print(json.dumps({**asdict(ran.manifest), "current": ran.current}, ensure_ascii=False))
        return 0
    rows: list[tuple[str, ...]] = [
        ("date", "attempt", "status", "model", "read", "predicted", "rejected", "seconds", "current")
    ]
    for ran in launches:
        m = ran.manifest
        counts = [f"{n:,}" for n in (m.read, m.predicted, m.rejected)]
        model = f"{m.model.get('name')} {m.model.get('version')}"
        rows.append((m.date, str(m.attempt), m.status, model, *counts, f"{m.seconds:.1f}", "*" if ran.current else ""))
    print(_table(rows) if launches else "nothing ran yet")
    return 0


def infer(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`highbeam infer`: no job is needed, one is made."""
    from .pipelines.infer import infer, write

    draft = infer(options.files, os.path.dirname(options.out or ""))
    if options.out:
        write(draft, options.out)
        print(f"{options.out}: drafted from {draft.rows:,} rows; read it through", file=sys.stderr)
    if options.json or not options.out:
        _show(options.json, draft.as_dict(), draft.text())
    return 0


def run_record(manifest: Manifest) -> dict[str, Any]:
    """What `run --json` prints."""
    record = asdict(manifest)
    model = {name: manifest.model.get(name) for name in ("name", "version")}
    return {**{name: value for name, value in record.items() if name not in ("resolved", "versions")}, "model": model}


def run_summary(manifest: Manifest, job_path: str, overrides: Sequence[str] = ()) -> str:
    """A run's end, readable in five seconds.

    Args:
      manifest: what it did.
      job_path: the job, as the command named it.
      overrides: the command's `--set`; a hint repeats them, since they may say where the rejects are.
    """
    m = manifest
    lines = [f"{m.job} {m.date}: {m.status.replace('_', ' ')} in {m.seconds:.1f} s (attempt {m.attempt})"]
    if m.message:
        lines += [f"  {m.message}"]
    rate = (
        f"   {m.read / m.seconds:,.0f} rows/s"
        if m.seconds and m.status in ("published", "dry_run") and not m.parent
        else ""
    )
    if m.status not in ("failed", "submitted"):  # of which nothing was counted
        counts = {"read": m.read, "predicted": m.predicted, "rejected": m.rejected}
        lines += [f"  {name:<9} {n:>13,}{rate if name == 'read' else ''}" for name, n in counts.items()]
    for stage, reasons in m.rejected_by.items():
        lines += [f"    {stage:<11} {', '.join(f'{reason} {count:,}' for reason, count in reasons.items())}"]
    if m.replayed:
        lines += _replayed(m)
    lines += [f"  model     {m.model.get('name')} version {m.model.get('version')}"]
    if m.status in ("published", "already_published"):
        lines += [f"  table     {m.output}  date={m.date}"]
    if m.rejected and m.status != "dry_run":
        flags = "".join(f" --set {shlex.quote(override)}" for override in overrides)
        lines += [f"  see them  highbeam rejects {shlex.quote(job_path)} --date {m.date}{flags}"]
    return "\n".join(lines)


def _replayed(m: Manifest) -> list[str]:
    before = m.replayed["read"] - m.replayed["predicted"]
    lines = [f"  recovered {m.replayed['recovered']:>13,}   of {before:,} rejected by run {m.parent}"]
    if unread := m.replayed["not_read_again"]:
        lines += [f"            {unread:>13,}   could not be read again: no whole bytes kept, file changed or gone"]
    return lines


class progress_line:  # noqa: N801 - used as a function
    """Shows progress: one line that is rewritten on a terminal, a plain line now and then elsewhere."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._terminal, self._last = stream, stream.isatty(), 0.0

    def __call__(self, now: Progress) -> None:
        """Shows one state."""
        if self._terminal:
            self._stream.write(f"\r\x1b[2K{progress_text(now)}" + ("\n" if now.over else ""))
            self._stream.flush()
        elif now.seconds - self._last >= PLAIN_LINE_SECONDS:
            self._last = now.seconds
            print(progress_text(now), file=self._stream, flush=True)


def progress_text(now: Progress) -> str:
    """One state of a run in a line."""
    left = "" if now.seconds_left is None or now.staged == now.splits else f", about {now.seconds_left:.0f} s left"
    stage = "merging" if now.staged == now.splits else f"{now.staged} of {now.splits} splits"
    rate = f"{now.rows_per_second:,.0f} rows/s"
    return f"{stage}: {now.read:,} rows, {rate}, {now.rejected:,} rejected, {now.seconds:.0f} s{left}"


def _job(options: argparse.Namespace) -> Job:
    return load_job(options.job, options.set)


def _job_of_version(options: argparse.Namespace) -> Job:
    """The job, with the model version of the command line."""
    version = options.model_version
    if version is None:
        return _job(options)
    if not version.isdecimal() and version not in ("latest", "published"):
        raise UsageError(f"--model-version {version}: write a number, latest or published")
    return load_job(options.job, [*options.set, f"model.version={version}"])


def _ended(options: argparse.Namespace, manifest: Manifest) -> int:
    """Shows how a run or a replay ended; gives the exit status."""
    _show(options.json, run_record(manifest), run_summary(manifest, options.job, options.set))
    return manifest.exit_code


def _show(as_json: bool, record: dict[str, Any], text: str) -> None:
    print(json.dumps(record, ensure_ascii=False) if as_json else text)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
