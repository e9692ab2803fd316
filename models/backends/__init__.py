"""One framework a file: input columns, output columns, RecordBatch to RecordBatch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol, cast

from ...schemas.errors import NotAvailable
from ...schemas.job import Prediction
from ..scoring import Examined, Model, Scoring
from .base import Backend, Preprocessor

NAMES = ("tensorflow",)


class Framework(Protocol):
    """What a backend's module offers."""

    def examine(
        self, model: Model, declared: Mapping[str, Prediction] | None, folder: str, taken: Sequence[str]
    ) -> Examined:
        """Holds a model against a contract and the predictions declared; see `scoring.examine`."""
        ...

    def load(self, scoring: Scoring) -> Backend:
        """Loads a model that was examined."""
        ...

    def load_preprocessor(self, scoring: Scoring) -> Preprocessor:
        """Loads what comes before the model, to run on other workers than the model."""
        ...

    def load_predictors(self, scoring: Scoring) -> list[Backend]:
        """Loads a model that reads what the preprocessor gives, once for each accelerator of this worker."""
        ...


def framework(name: str) -> Framework:
    """The backend of that name; imported only now, since frameworks are slow to import.

    Raises:
      NotAvailable: when there is none.
    """
    if name not in NAMES:
        raise NotAvailable(f"backend {name!r} is not available yet; there is {', '.join(NAMES)}")
    return cast("Framework", import_module(f".{name}", __name__))
