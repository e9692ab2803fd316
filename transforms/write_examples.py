"""Transformed training rows as Parquet files, to train on: one for each split, named in order."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam
import pyarrow.parquet as pq

from .. import storage
from ..models.transformer import Transformer
from ..schemas.contract import Contract
from ..schemas.errors import Unconserved, UsageError
from ..schemas.join import Side
from ..schemas.sources import Source
from ..schemas.split import Split
from . import coder as _  # noqa: F401 - registers the coders
from .read_training import read_training

MARKER = "_examples.json"
"""Says that the folder is ours and what is in it; readers of Parquet pass over such a name."""


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class WriteExamples(beam.PTransform):
    """Writes the transformed rows of splits.

    Takes a PCollection[Split], gives a PCollection[str], the files written. The same rows and graph give the same
    bytes.

    Args:
      source: how to read.
      contract: what a row must be, labels included.
      graph: folder of the tft.TFTransformOutput.
      folder: where to write.
      refusals: folder for a note on a file that cannot be read.
      sides: the side tables.
    """

    source: Source
    contract: Contract
    graph: str
    folder: str
    refusals: str
    sides: Sequence[Side] = ()

    def expand(self, splits: beam.PCollection[Split]) -> beam.PCollection[str]:
        """Wires the step."""
        return splits | beam.ParDo(_Write(self)).with_input_types(Split).with_output_types(str)


class _Write(beam.DoFn):
    def __init__(self, step: WriteExamples) -> None:
        self._source, self._contract, self._graph = step.source, step.contract, step.graph
        self._folder, self._refusals, self._sides = step.folder, step.refusals, step.sides

    def setup(self) -> None:
        self._transformer = Transformer(self._graph, self._contract)

    def process(self, split: Split) -> list[str]:
        with storage.writer(self._folder) as sink:
            with pq.ParquetWriter(sink.file, self._transformer.schema, compression="zstd") as writer:
                for batch in read_training(split, self._source, self._contract, self._refusals, self._sides):
                    if len(batch):
                        writer.write_batch(self._transformer.transform(batch.rows))
            return [sink.commit(file_name(split))]


def file_name(split: Split) -> str:
    """The file of a split's rows."""
    return f"part-{split.id}.parquet"


def make_ready(folder: str) -> None:
    """Empties a folder of earlier examples and marks it as ours.

    Raises:
      UsageError: when it holds anything else.
    """
    check_folder(folder)
    for info in storage.listing(folder):
        if info.path.endswith(".parquet"):
            storage.remove(info.path)
    storage.put(storage.join(folder, MARKER), b"{}")


def check_folder(folder: str) -> None:
    """Makes sure that examples may be written to a folder.

    Raises:
      UsageError: when it holds anything that is not of an earlier `analyze --examples`, or is no folder.
    """
    if os.path.isfile(folder):
        raise UsageError(f"--examples {folder}: is a file; name a folder")
    held = bool(storage.walk(folder)) or (os.path.isdir(folder) and bool(os.listdir(folder)))
    if held and not storage.exists(storage.join(folder, MARKER)):
        raise UsageError(f"--examples {folder}: holds files that are not Highbeam's; name an empty or a new folder")


def finish(folder: str, splits: Sequence[Split], rows: int, graph: int) -> None:
    """Counts the rows written and says in the marker that all are there.

    Args:
      folder: where they were written.
      splits: what was read.
      rows: how many rows were analysed.
      graph: version of the transform graph.

    Raises:
      Unconserved: when there are more rows, or fewer.
    """
    names = [file_name(split) for split in splits]
    written = sum(_rows_in(storage.join(folder, name)) for name in names)
    if written != rows:
        raise Unconserved(f"{folder}: {rows} rows were analysed, but {written} written as examples")
    note = {"transform": graph, "rows": rows, "files": names}
    storage.put(storage.join(folder, MARKER), json.dumps(note, indent=1).encode())


def _rows_in(path: str) -> int:
    with storage.open_input(path) as file:
        return int(pq.read_metadata(file).num_rows)
