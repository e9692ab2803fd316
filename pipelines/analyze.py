"""Analyzes training rows: the next version of the transform graph, and transformed rows to train on."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import storage
from ..models import runtime as _runtime  # noqa: F401 - TensorFlow without its start-up lines
from ..models import store
from ..models.mirror import cache_folder
from ..models.specs import metadata
from ..models.user_code import load_function
from ..schemas.errors import UsageError
from ..schemas.job import Job
from ..schemas.join import Side
from ..schemas.layout import is_url, resolve
from ..schemas.sources import Source
from ..schemas.split import Split
from ..transforms import write_examples
from ..transforms.analysis import Analysis, Work, build
from ..transforms.analysis_cache import divide, fingerprint, forget, keep, kept_groups
from ..transforms.counts import Counts, add, judge
from ..transforms.preprocessing import PreprocessingFn, trace
from ..transforms.read_training import spread
from ..transforms.tft_runtime import metadata_io, tft, tft_beam
from .launch import Launch, launcher
from .training_files import training_sides, training_source, training_splits

CACHE = "_cache"
"""The folder of kept results beside the numbered versions."""


@dataclass(frozen=True)
class AnalyzeResult:
    """What an analysis made.

    Attributes:
      job: the job's name.
      path: folder of the new version.
      version: its number.
      read: records of the input.
      analysed: those that keep the contract.
      rejected: reason -> records left out.
      kept: records analysed before, and not read again.
      files: files of the input; 0 of rows of BigQuery.
      streams: of rows of BigQuery, into how many they were cut.
      vocabularies: name -> entries.
      examples: folder of the transformed rows, or None.
      seconds: how long it took.
    """

    job: str
    path: str
    version: int
    read: int
    analysed: int
    rejected: Mapping[str, int]
    kept: int
    files: int
    vocabularies: Mapping[str, int]
    examples: str | None
    seconds: float
    streams: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result for `--json`."""
        return asdict(self)

    def text(self) -> str:
        """The result for a person."""
        came = _numbered(self.streams, "stream") or _numbered(self.files, "file")
        lines = [
            f"{self.job}: transform version {self.version}   {self.seconds:.1f} s",
            f"  read       {self.read:,} records of {came}",
            f"  analysed   {self.analysed:,} rows" + (f" ({self.kept:,} records not read again)" if self.kept else ""),
        ]
        if self.rejected:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.rejected.items())
            lines.append(f"  rejected   {self.read - self.analysed:,}: {reasons}")
        if self.vocabularies:
            sizes = ", ".join(f"{name} {size:,}" for name, size in self.vocabularies.items())
            lines.append(f"  vocabulary {sizes}")
        lines.append(f"  graph      {self.path}")
        return "\n".join(lines + ([f"  examples   {self.examples}"] if self.examples else []))


def analyze(
    job: Job, date_from: str | None = None, date_to: str | None = None, examples: str | None = None
) -> AnalyzeResult:
    """Runs the TensorFlow Transform analysis and writes the next version of the graph.

    Rows are read and validated as at scoring; those that break the contract are left out and counted. Files that were
    analysed before, with the same preprocessing_fn and contract, are not analysed again; rows of BigQuery are.

    Args:
      job: the job; its `training` says what is read, with the nightly source in the place of what it leaves out.
      date_from: first night, YYYY-MM-DD, `today` or `yesterday`, where the source names the date.
      date_to: last night, included.
      examples: folder to write the transformed rows to, as Parquet.

    Raises:
      UsageError: the job, the input or the preprocessing_fn is wrong; nothing was launched.
      Refused: more rows break the contract than `rejects.max_fraction`, none is left, or a file cannot be read;
        nothing was written.
    """
    started = time.monotonic()
    function, root = _named(job)
    if examples is not None:
        write_examples.check_folder(examples)
    run = launcher(job)
    source = training_source(job, date_from, date_to)
    sides = training_sides(job, date_from, date_to)
    splits = training_splits(job, source, date_from, date_to)
    if not splits:
        nothing = "BigQuery has no such row" if source.bigquery else "the files hold no record"
        raise UsageError(f"nothing to analyze: {nothing}")
    analysis, cache = _planned(job, function, source, splits, sides, root)
    reads_kept = not analysis.kept or analysis.reads_kept()
    counts = []

    def write(folder: str) -> None:
        counts.append(_analyzed(analysis, reads_kept, job, Work(storage.join(folder, "work")), cache, run))
        _unpack(folder)
        schema = storage.join(folder, tft.TFTransformOutput.RAW_METADATA_DIR)  # of the columns, as TFX writes it too
        metadata_io.write_metadata(metadata(analysis.contract), schema)

    version = store.write_version(root, write, kind=store.TRANSFORMS)
    forget(_kept_in(root), [kept.path for kept, _ in analysis.kept])
    if examples is not None:
        _write_examples(analysis, splits, version, examples, counts[0].rows, run)
    return _result(job, version, counts[0], analysis, reads_kept, examples, time.monotonic() - started)


def _named(job: Job) -> tuple[PreprocessingFn, str]:
    """The preprocessing_fn and the folder of versions."""
    transform = job.transform
    if transform is None or transform.preprocessing_fn is None:
        raise UsageError("analyze runs a preprocessing_fn: write transform: {preprocessing_fn: FILE.py:FUNCTION}")
    if transform.path is None:
        raise UsageError("analyze writes numbered versions: write transform: {path: transforms/NAME}")
    load_function(transform.preprocessing_fn, job.folder, job.code)
    return PreprocessingFn(transform.preprocessing_fn, job.folder, job.code), resolve(job.folder, transform.path)


def _kept_in(root: str) -> str:
    """The folder of results that serve the next analysis: beside the versions, or on this machine for a bucket's."""
    if is_url(root):
        return cache_folder("analyses", hashlib.sha256(root.encode()).hexdigest()[:16])
    return storage.join(root, CACHE)


def _planned(
    job: Job, function: PreprocessingFn, source: Source, splits: Sequence[Split], sides: Sequence[Side], root: str
) -> tuple[Analysis, str]:
    """What is to be analysed, and the folder of results that serve it."""
    traced = trace(function, job.training_contract)
    if source.bigquery:  # the streams of two sessions hold other rows: there is nothing that results could be kept by
        traced = replace(traced, digest=None)
    cache = storage.join(_kept_in(root), fingerprint(job, source, traced.digest, sides))
    kept, new = divide(splits, kept_groups(cache) if traced.digest else [])
    return Analysis(function, traced, source, job.training_contract, new, kept, sides), cache


def _analyzed(analysis: Analysis, reads_kept: bool, job: Job, work: Work, cache: str, run: Launch) -> Counts:
    """Runs an analysis; keeps its results and gives its counts, if it may stand."""
    with tft_beam.Context(temp_dir=work.scratch, use_deep_copy_optimization=True):
        run(lambda pipeline: build(pipeline, analysis, work, reads_kept), work.refusals)
    fresh = [Counts.from_plain(json.loads(storage.read(work.counts(group)))) for group in analysis.new]
    counts = add([*(kept.counts for kept, _ in analysis.kept), *fresh])
    judge(counts, job.rejects, "row" if analysis.source.counts_rows else "byte")
    if analysis.trace.digest:
        keep(cache, work.cache, zip(analysis.new, fresh, strict=True))
    return counts


def _unpack(folder: str) -> None:
    """Leaves the graph alone in a version's folder."""
    work = Work(storage.join(folder, "work"))
    for part in Path(work.graph).iterdir():
        part.rename(Path(folder) / part.name)
    shutil.rmtree(work.root)


def _write_examples(
    analysis: Analysis, splits: Sequence[Split], version: store.Version, folder: str, rows: int, run: Launch
) -> None:
    write_examples.make_ready(folder)
    refusals = storage.join(folder, "_refusals")
    how = (analysis.source, analysis.contract)
    step = write_examples.WriteExamples(*how, version.path, folder, refusals, analysis.sides)
    run(lambda pipeline: spread(pipeline, splits, "examples") | step, refusals)
    write_examples.finish(folder, splits, rows, version.number)


def _result(
    job: Job,
    version: store.Version,
    counts: Counts,
    analysis: Analysis,
    reads_kept: bool,
    examples: str | None,
    seconds: float,
) -> AnalyzeResult:
    groups = [*analysis.new, *(group for _, group in analysis.kept)]
    files = sum(len(group.files) for group in groups)
    return AnalyzeResult(
        job=job.name,
        path=version.path,
        version=version.number,
        read=counts.read,
        analysed=counts.rows,
        rejected=counts.rejected,
        kept=0 if reads_kept else sum(kept.counts.read for kept, _ in analysis.kept),
        files=0 if analysis.source.bigquery else files,
        streams=files if analysis.source.bigquery else 0,
        vocabularies=_vocabularies(version.path),
        examples=examples,
        seconds=round(seconds, 3),
    )


def _numbered(count: int, noun: str) -> str:
    """A count of things, for people; nothing of none."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}" if count else ""


def _vocabularies(path: str) -> dict[str, int]:
    """Entries of each vocabulary that lies beside the graph as text."""
    assets = storage.listing(storage.join(path, store.TRANSFORM, "assets"))
    texts = [info.path for info in assets if not info.path.endswith(".gz")]
    return {Path(path).name: storage.read(path).count(b"\n") for path in texts}
