"""The user's preprocessing_fn: called, and looked at before a pipeline is launched."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models.runtime import tf
from ..models.user_code import load_function
from ..schemas.contract import Contract
from ..schemas.errors import UsageError, first_line
from .graph_digest import graph_digest
from .tft_rows import tensor_specs
from .tft_runtime import DatasetKey, analysis_graph_builder, tft


@dataclass(frozen=True)
class PreprocessingFn:
    """A preprocessing_fn as a worker gets it: by name, loaded where it is called.

    Attributes:
      reference: `file.py:function`.
      folder: what a relative file is relative to.
      code: files and folders that it imports.
    """

    reference: str
    folder: str
    code: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """The file it stands in."""
        return (Path(self.folder) / self.reference.rpartition(":")[0]).resolve()

    def __call__(self, inputs: dict[str, Any]) -> Any:
        """Calls it, in a TensorFlow graph being traced."""
        return load_function(self.reference, self.folder, self.code)(inputs)


@dataclass(frozen=True)
class Trace:
    """What is known of a preprocessing_fn before it has seen a row.

    Attributes:
      entries: names of the results that an analyzer cache can keep for it.
      digest: of all that it computes; or None when it calls Python, of which a graph knows nothing.
    """

    entries: tuple[bytes, ...]
    digest: str | None


def trace(function: PreprocessingFn, contract: Contract) -> Trace:
    """Traces a preprocessing_fn with the contract's features.

    Raises:
      UsageError: when it raises, asks for a feature that is not there, or does not return features; with its line.
    """
    specs = tensor_specs(contract)
    if not specs:
        raise UsageError("the contract offers no feature to analyze: date and decimal columns need as:")
    watched = _Watched(function, contract, specs)
    try:
        probe = [DatasetKey("probe")]
        entries = analysis_graph_builder.get_analysis_cache_entry_keys(watched, specs, probe, False)
    except Exception as error:
        raise watched.problem or UsageError(f"{function.reference} cannot be analyzed: {first_line(error)}") from error
    return Trace(tuple(sorted(entries)), _digest(function, watched.graph))


def _digest(function: PreprocessingFn, graph: Any) -> str | None:
    computed = graph_digest(graph.as_graph_def())
    if computed is None:
        return None
    code = hashlib.sha256(function.file.read_bytes()).hexdigest()
    return hashlib.sha256(f"{computed}\n{code}\n{tft.__version__}".encode()).hexdigest()


class _Watched:
    """Calls a preprocessing_fn and keeps what tracing it leaves behind."""

    def __init__(self, function: PreprocessingFn, contract: Contract, offered: Mapping[str, Any]) -> None:
        self.problem: UsageError | None = None
        self.graph: Any = None
        self._function, self._contract, self._offered = function, contract, offered

    def __call__(self, inputs: dict[str, Any]) -> Any:
        self.graph = tf.compat.v1.get_default_graph()
        try:
            outputs = self._function(inputs)
        except Exception as error:
            self.problem = error if isinstance(error, UsageError) else self._raised(error)
            raise
        if found := _no_features(outputs):
            self.problem = UsageError(f"{self._function.reference} returned {found}; it returns a dict of name: tensor")
            raise self.problem
        return outputs

    def _raised(self, error: Exception) -> UsageError:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(self._function.file)]
        where = self._function.reference + (f" at line {lines[-1]}" if lines else "")
        if isinstance(error, KeyError) and error.args and error.args[0] not in self._offered:
            return UsageError(f"{where}: no input {error.args[0]!r}; {self._instead(error.args[0])}")
        return UsageError(f"{where}: {type(error).__name__}: {first_line(error)}")

    def _instead(self, name: Any) -> str:
        column = self._contract.columns.get(name) if isinstance(name, str) else None
        if column is not None:
            return f"the column is a {column.type}, which is no feature; say as: in its column"
        return f"the contract and training.columns offer {', '.join(self._offered)}"


def _no_features(outputs: Any) -> str:
    """What is wrong with what a preprocessing_fn returned, or ""."""
    if not isinstance(outputs, dict) or not outputs:
        return "an empty dict" if outputs == {} else "nothing" if outputs is None else f"a {type(outputs).__name__}"
    for name, value in outputs.items():
        if not isinstance(value, (tf.Tensor, tf.SparseTensor, tf.RaggedTensor)):
            return f"a {type(value).__name__} as {name!r}"
        if value.shape.rank == 0:
            return f"one value for all rows as {name!r}"
        if value.dtype not in (tf.int64, tf.float32, tf.string):
            return f"{name!r} as {value.dtype.name} (a feature is int64, float32 or string: cast it)"
    return ""
