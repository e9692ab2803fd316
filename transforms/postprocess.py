"""Runs the user's postprocess function over scored Batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam

from ..models.postprocess import postprocess
from ..models.predictions import PredictionColumn
from ..models.user_code import load_function
from ..schemas.batch import Batch
from . import coder as _  # noqa: F401 - registers the coders


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Postprocess(beam.PTransform):
    """Gives the user's function the last word on predictions.

    Takes and gives a PCollection[Batch]; rows the function fails on, and those whose result is out of bounds, become
    rejects of stage `postprocess`.

    Args:
      reference: the function, as `file.py:function`.
      folder: what a relative file is relative to.
      columns: what the function returns.
      key: the key's columns.
    """

    reference: str
    folder: str
    columns: tuple[PredictionColumn, ...]
    key: tuple[str, ...] = ()

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Wires the step."""
        return batches | beam.ParDo(_Postprocess(self)).with_input_types(Batch).with_output_types(Batch)


class _Postprocess(beam.DoFn):
    def __init__(self, step: Postprocess) -> None:
        self._reference, self._folder, self._columns, self._key = step.reference, step.folder, step.columns, step.key

    def setup(self) -> None:
        self._function = load_function(self._reference, self._folder)

    def process(self, batch: Batch) -> Iterator[Batch]:
        yield postprocess(batch, self._function, self._columns, self._key)
