"""Runs the user's postprocess function over scored Batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam

from ..models.code_archive import fetched
from ..models.postprocess import postprocess
from ..models.predictions import PredictionColumn
from ..models.user_code import load_function
from ..schemas.batch import Batch
from ..schemas.layout import ARCHIVE
from . import coder as _  # noqa: F401 - registers the coders


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Postprocess(beam.PTransform):
    """Gives the user's function the last word on predictions.

    Takes and gives a PCollection[Batch]; rows the function fails on, and those whose result is out of bounds, become
    rejects of stage `postprocess`.

    Args:
      reference: the function, as `file.py:function`.
      code: the folder that the file lies in, or the stored archive.
      columns: what the function returns.
      key: the key's columns.
    """

    reference: str
    code: str
    columns: tuple[PredictionColumn, ...]
    key: tuple[str, ...] = ()

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Wires the step."""
        return batches | beam.ParDo(_Postprocess(self)).with_input_types(Batch).with_output_types(Batch)


class _Postprocess(beam.DoFn):
    def __init__(self, step: Postprocess) -> None:
        self._reference, self._code, self._columns, self._key = step.reference, step.code, step.columns, step.key

    def setup(self) -> None:
        folder = fetched(self._code) if self._code.endswith(ARCHIVE) else self._code
        self._function = load_function(self._reference, folder)

    def process(self, batch: Batch) -> Iterator[Batch]:
        yield postprocess(batch, self._function, self._columns, self._key)
