"""A model ready to score, which learns how many rows fit into memory at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Generic, TypeVar

import pyarrow as pa

from ..schemas.errors import HighbeamError
from ..schemas.halving import halving
from .backends import framework
from .backends.base import Backend, Exhausted, Guilty, Preprocessor
from .scoring import Scoring

Piece = tuple[pa.RecordBatch, pa.RecordBatch | Exception]
"""Rows and their predictions, or one row and why it has none."""


Loaded = TypeVar("Loaded", Backend, Preprocessor)


class Scorer(Generic[Loaded]):
    """A loaded model, or what comes before it.

    Args:
      backend: scores record batches.

    Attributes:
      backend: the same.
      ceiling: the most rows to score at once, learned from batches that did not fit; None while all did.
    """

    def __init__(self, backend: Loaded) -> None:
        self.backend: Loaded = backend
        self.ceiling: int | None = None

    def predictions(self, rows: pa.RecordBatch) -> Iterator[Piece]:
        """Scores rows, in one call if it can be.

        Yields:
          Pieces that follow each other and cover all rows; a piece whose result is an exception has one row.

        Raises:
          HighbeamError: when one row alone does not fit into memory, or the model fails whatever the rows.
        """
        step = self.ceiling or max(rows.num_rows, 1)
        for start in range(0, rows.num_rows, step):
            yield from halving(rows.slice(start, step), self._attempt, (Guilty, Exhausted))

    def _attempt(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        if self.ceiling is not None and rows.num_rows > self.ceiling:
            raise Exhausted(f"more than {self.ceiling} rows did not fit before")
        try:
            return self.backend.predict(rows)
        except Exhausted as error:
            if rows.num_rows == 1:
                raise HighbeamError(f"one row alone does not fit into memory: {error}") from error
            self.ceiling = min(self.ceiling or rows.num_rows, max(1, rows.num_rows // 2))
            raise


class Scorers:
    """A model and its copies, one for each accelerator of this worker.

    Args:
      backends: the copies.
    """

    def __init__(self, backends: Iterable[Backend]) -> None:
        self._scorers = [Scorer(backend) for backend in backends]
        self._turns = count()

    def next(self) -> Scorer[Backend]:
        """The copies in turn."""
        return self._scorers[next(self._turns) % len(self._scorers)]


def load(scoring: Scoring) -> Scorer[Backend]:
    """Loads transform graph and model, to be run in one call.

    Raises:
      UsageError: when it does not fit, as `examine` would have said.
    """
    return Scorer(framework(scoring.model.backend).load(scoring))


def load_all(scoring: Scoring) -> Scorers:
    """Loads a model as a worker needs it: with its graph, or alone for each accelerator."""
    backends = framework(scoring.model.backend)
    return Scorers(backends.load_predictors(scoring) if scoring.model.apart else [backends.load(scoring)])


def load_preprocessor(scoring: Scoring) -> Scorer[Preprocessor]:
    """Loads what comes before the model, for workers that do nothing else."""
    return Scorer(framework(scoring.model.backend).load_preprocessor(scoring))
