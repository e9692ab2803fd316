"""TensorFlow Transform's analysis of training rows, as steps of a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa

from .. import storage
from ..schemas.batch import Batch
from ..schemas.contract import Contract
from ..schemas.errors import UsageError
from ..schemas.join import Side
from ..schemas.sources import Source
from ..schemas.split import Split
from .analysis_cache import Group, Kept, read_records, result_name, write_records
from .counts import Counts, add, count
from .preprocessing import PreprocessingFn, Trace
from .read_training import read_training, spread
from .tft_rows import adapter_config, tensor_specs, tft_rows
from .tft_runtime import DatasetCache, DatasetKey, analysis_graph_builder, tft_beam

_KEPT = DatasetKey("kept")
_ENTRY = tuple[str, bytes]
"""A file of the cache, and one record of it."""
_COUNTED = tuple[str, Counts]
"""A file of counts, and counts that go into it."""


@dataclass(frozen=True)
class Work:
    """Folders of an analysis while it runs.

    Attributes:
      root: holds the others; the caller makes and removes it.
    """

    root: str

    @property
    def graph(self) -> str:
        """Where the tft.TFTransformOutput is written."""
        return storage.join(self.root, "graph")

    @property
    def cache(self) -> str:
        """Where results to keep are written, a folder for each group's id."""
        return storage.join(self.root, "cache")

    @property
    def refusals(self) -> str:
        """Notes on files that cannot be read."""
        return storage.join(self.root, "refusals")

    @property
    def scratch(self) -> str:
        """TensorFlow Transform's own."""
        return storage.join(self.root, "scratch")

    def counts(self, group: Group) -> str:
        """What became of a group's records."""
        return storage.join(self.root, "counts", f"{group.id}.json")


@dataclass(frozen=True)
class Analysis:
    """What is analysed.

    Attributes:
      function: the preprocessing_fn.
      trace: what is known of it.
      source: how files are read.
      contract: what a row must be, labels included.
      new: groups to analyse.
      kept: groups analysed before, and their splits.
      sides: the side tables.
    """

    function: PreprocessingFn
    trace: Trace
    source: Source
    contract: Contract
    new: Sequence[Group]
    kept: Sequence[tuple[Kept, Group]]
    sides: Sequence[Side] = ()

    @property
    def keys(self) -> dict[DatasetKey, Group]:
        """TensorFlow Transform's name of each new group."""
        cached = self.trace.digest is not None
        return {DatasetKey(f"group-{number}", cached): group for number, group in enumerate(self.new)}

    def reads_kept(self) -> bool:
        """Whether the kept groups must be read all the same.

        They must when one analyzer works on another's result: what comes of that cannot be kept.
        """
        keys = [*self.keys, _KEPT]
        known = {_KEPT: DatasetCache(dict.fromkeys(self.trace.entries, b""), None)}
        specs = tensor_specs(self.contract)
        needed = analysis_graph_builder.get_analysis_dataset_keys(self.function, specs, keys, known, False)
        return _KEPT in needed


def build(pipeline: beam.Pipeline, analysis: Analysis, work: Work, reads_kept: bool) -> None:
    """Wires an analysis: graph, counts and results to keep are written to the work folder.

    Args:
      pipeline: where to add the steps.
      analysis: what to analyse.
      work: where to.
      reads_kept: what `analysis.reads_kept` says.
    """
    data, counts = {}, []
    for key, group in analysis.keys.items():
        batches = _batches(pipeline, analysis, group.splits, key.key, work)
        data[key] = _rows(batches, analysis.contract, key.key)
        counts.append(
            batches | f"Count {key.key}" >> beam.Map(_counted, work.counts(group)).with_output_types(_COUNTED)
        )
    if counts:
        counts | "Counts" >> beam.Flatten() | "Write counts" >> _WriteCounts()
    known = {}
    if analysis.kept:
        splits = [split for _, group in analysis.kept for split in group.splits]
        batches = _batches(pipeline, analysis, splits, "kept", work) if reads_kept else None
        data[_KEPT] = _rows(batches, analysis.contract, "kept") if batches else None
        known[_KEPT] = _kept_results(pipeline, analysis)
    graph, results = _analyzed(pipeline, analysis, data, known)
    graph | tft_beam.WriteTransformFn(work.graph)
    _write_results(results, analysis, work)


def _analyzed(pipeline: beam.Pipeline, analysis: Analysis, data: Any, known: Any) -> tuple[Any, Any]:
    """TensorFlow Transform's own steps: the graph, and the results to keep."""
    step = tft_beam.AnalyzeDatasetWithCache(analysis.function, pipeline=pipeline)
    try:
        graph, results = (data, known, adapter_config(analysis.contract)) | step
    except (ValueError, TypeError) as error:
        raise UsageError(f"{analysis.function.reference} cannot be analyzed: {error}") from error
    return graph, results or {}


def _batches(
    pipeline: beam.Pipeline, analysis: Analysis, splits: Sequence[Split], name: str, work: Work
) -> beam.PCollection[Batch]:
    read = beam.FlatMap(read_training, analysis.source, analysis.contract, work.refusals, analysis.sides)
    return spread(pipeline, splits, name) | f"Read {name}" >> read.with_output_types(Batch)


def _rows(batches: beam.PCollection[Batch], contract: Contract, name: str) -> beam.PCollection[pa.RecordBatch]:
    return batches | f"Rows {name}" >> beam.FlatMap(_packed, contract).with_output_types(pa.RecordBatch)


def _packed(batch: Batch, contract: Contract) -> Iterator[pa.RecordBatch]:
    if len(batch):
        yield tft_rows(batch.rows, contract)


def _kept_results(pipeline: beam.Pipeline, analysis: Analysis) -> DatasetCache:
    """All kept groups as one dataset, whose every result has the records of all of them.

    TensorFlow Transform adds up the records of a result whatever dataset they come from, so that any number of groups
    costs no more steps than one.
    """
    entries = {}
    for number, entry in enumerate(analysis.trace.entries):
        paths = [path for kept, _ in analysis.kept for path in kept.records_of(entry)]
        created = pipeline | f"Kept {number}" >> beam.Create(paths, reshuffle=False)
        entries[entry] = created | f"Load {number}" >> beam.FlatMap(read_records).with_output_types(bytes)
    return DatasetCache(entries, None)


def _write_results(results: Any, analysis: Analysis, work: Work) -> None:
    """Writes the results of new groups, all in one shuffle."""
    tagged = []
    for key, cache in results.items():
        folder = storage.join(work.cache, analysis.keys[key].id)
        for number, (entry, records) in enumerate(cache.items()):
            path = storage.join(folder, result_name(entry))
            tagged.append(records | f"Tag {key.key} {number}" >> beam.Map(_tag, path).with_output_types(_ENTRY))
    if tagged:
        grouped = tagged | "Results" >> beam.Flatten() | "By file" >> beam.GroupByKey()
        grouped | "Keep" >> beam.MapTuple(write_records)


def _tag(record: bytes, path: str) -> _ENTRY:
    return path, record


def _counted(batch: Batch, path: str) -> _COUNTED:
    return path, count(batch)


class _WriteCounts(beam.PTransform):
    """Adds counts up by file, and writes the files."""

    def expand(self, counts: beam.PCollection[_COUNTED]) -> beam.PCollection[None]:
        return counts | beam.CombinePerKey(_total) | beam.MapTuple(_write_counts)


def _total(counts: Iterable[Counts]) -> Counts:
    return add(counts)


def _write_counts(path: str, counted: Counts) -> None:
    storage.put(path, counted.to_json())
