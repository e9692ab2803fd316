"""What is published of a model: inferred from its signature, or declared and held against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa
import yaml

from .. import storage
from ..schemas.errors import JobError, UsageError
from ..schemas.job import Prediction
from ..schemas.types import parse_type
from .specs import spec_text

Form = Literal["scalar", "list", "top_k"]
BEST = pa.list_(pa.struct([pa.field("label", pa.string()), pa.field("score", pa.float32())]))
"""What `top_k` publishes: best first, of equal scores the lower index first."""

_NARROW = {"half": "float32", "float16": "float32", "bfloat16": "float32"}
_WIDER = {
    "int8": ("int16", "int32", "int64"),
    "int16": ("int32", "int64"),
    "int32": ("int64",),
    "uint8": ("uint16", "uint32", "int16", "int32", "int64"),
    "uint16": ("uint32", "int32", "int64"),
    "uint32": ("int64",),
    "float32": ("float64",),
    "float64": ("float32",),
    "string": ("binary",),
}
"""What a tensor's type may be published as beside itself."""


@dataclass(frozen=True)
class PredictionColumn:
    """One published column, with all that making it needs: it travels to the workers, files do not.

    Attributes:
      name: the column's name.
      tensor: the signature's output.
      type: Arrow type of the column.
      form: `scalar`, `list`, or `top_k` of a vector of scores.
      size: items of every list, or None.
      min: smallest value allowed, or None.
      max: largest value allowed, or None.
      allow_nan: whether NaN and infinity may be published.
      top_k: how many of the best are kept.
      labels: a label for each index; empty, and the index is the label.
    """

    name: str
    tensor: str
    type: pa.DataType
    form: Form
    size: int | None = None
    min: float | None = None
    max: float | None = None
    allow_nan: bool = False
    top_k: int = 0
    labels: tuple[str, ...] = ()

    @property
    def item(self) -> pa.DataType:
        """Type of a scalar, or of a list's items."""
        return self.type if self.form == "scalar" else self.type.value_type


def prediction_schema(columns: Sequence[PredictionColumn]) -> pa.Schema:
    """Arrow schema of the prediction columns."""
    return pa.schema([pa.field(column.name, column.type) for column in columns])


def infer(outputs: Mapping[str, Any]) -> dict[str, Prediction]:
    """What a signature gives, as `predictions` of job.yaml.

    `[?]` and `[?, 1]` are a scalar, `[?, n]` a list of n, `[?, ?]` a list; the name is the tensor's.

    Args:
      outputs: name -> spec.

    Raises:
      JobError: when an output is none of these; the job must say which outputs it wants.
    """
    problems = [f"output {name}: {problem}" for name, spec in outputs.items() if (problem := _unpublishable(spec))]
    if problems:
        raise JobError([f"{problem}; list the outputs you want under predictions" for problem in problems])
    return {name: _inferred(name, outputs[name]) for name in sorted(outputs)}


def _unpublishable(spec: Any) -> str | None:
    """Why an output cannot be published as it is, or None."""
    if not hasattr(spec, "shape") or hasattr(spec, "row_splits_dtype") or "Sparse" in type(spec).__name__:
        return f"{spec_text(spec)} is not a dense tensor"
    if _published(spec) is None:
        return f"no column holds {spec.dtype.name}; cast it in the signature"
    if spec.shape.rank is None:
        return None
    if spec.shape.rank not in (1, 2):
        return f"{spec_text(spec)} must have the shape [?] or [?, n]"
    if spec.shape[0] is not None:
        return f"{spec_text(spec)} has a fixed number of rows; the first dimension must be open"
    return None


def _published(spec: Any) -> str | None:
    """The type name a tensor is published as, or None where there is none."""
    name = _NARROW.get(spec.dtype.name, spec.dtype.name)
    try:
        parse_type(name)
    except ValueError:
        return None
    return str(name)


def _inferred(name: str, spec: Any) -> Prediction:
    if spec.shape.rank is None:
        raise JobError([f"output {name}: its shape is unknown; declare it under predictions with its type"])
    item = _published(spec)
    if spec.shape.rank == 1 or spec.shape[1] == 1:
        return Prediction(tensor=name, type=item)
    return Prediction(tensor=name, type=f"list<{item}>", size=spec.shape[1])


def plan_predictions(
    declared: Mapping[str, Prediction] | None,
    outputs: Mapping[str, Any],
    folder: str = "",
    taken: Sequence[str] = (),
) -> tuple[PredictionColumn, ...]:
    """Settles the published columns.

    Args:
      declared: the job's `predictions`; None infers them.
      outputs: the signature's outputs, name -> spec.
      folder: the job's folder, which `labels` is relative to.
      taken: names of key, passthrough and partition columns.

    Raises:
      JobError: with every declared prediction the signature cannot give.
    """
    wanted = infer(outputs) if declared is None else declared
    problems = [] if declared is not None else _clashes(wanted, taken)
    columns = []
    for name, prediction in wanted.items():
        try:
            columns.append(_column(name, prediction, outputs, folder))
        except UsageError as error:
            problems.append(f"predictions.{name}: {error}")
    if problems:
        raise JobError(problems)
    return tuple(columns)


def _clashes(names: Mapping[str, Prediction], taken: Sequence[str]) -> list[str]:
    return [
        f"output {name}: the name is taken; declare it under predictions with another name"
        for name in names
        if name in taken or name.startswith("_") or name == "date"
    ]


def _column(name: str, wanted: Prediction, outputs: Mapping[str, Any], folder: str) -> PredictionColumn:
    if wanted.tensor not in outputs:
        there = ", ".join(f"{output} {spec_text(spec)}" for output, spec in sorted(outputs.items()))
        raise UsageError(f"the signature has no output {wanted.tensor!r}; it has: {there}")
    spec = outputs[wanted.tensor]
    if problem := _unpublishable(spec):
        raise UsageError(problem)
    make = _best if wanted.top_k else _plain
    return make(name, wanted, spec, folder)


def _plain(name: str, wanted: Prediction, spec: Any, folder: str) -> PredictionColumn:
    if wanted.type is None:
        inferred = _inferred(name, spec)
        wanted = wanted.model_copy(update={"type": inferred.type, "size": wanted.size or inferred.size})
    typed = parse_type(str(wanted.type))
    form: Form = "list" if typed.is_list else "scalar"
    if form == "scalar" and wanted.size:
        raise UsageError(f"size belongs to list<type>; the tensor is {spec_text(spec)}, published as {typed.name}")
    _check_shape(form, wanted, spec)
    own = str(_published(spec))
    item = typed.name[5:-1] if typed.is_list else typed.name
    if item != own and item not in _WIDER.get(own, ()):
        choices = ", ".join((own, *_WIDER.get(own, ())))
        raise UsageError(f"type {wanted.type} cannot be made from {spec_text(spec)}; publish it as {choices}")
    if (wanted.min is not None or wanted.max is not None) and item in ("string", "binary", "bool"):
        raise UsageError(f"min and max need numbers, the tensor is {spec_text(spec)}")
    size = wanted.size or (spec.shape[1] if form == "list" and spec.shape.rank == 2 else None)
    return PredictionColumn(name, wanted.tensor, typed.arrow, form, size, wanted.min, wanted.max, wanted.allow_nan)


def _check_shape(form: Form, wanted: Prediction, spec: Any) -> None:
    rank = spec.shape.rank
    width = spec.shape[1] if rank == 2 else None
    if form == "scalar" and rank == 2 and width != 1:
        raise UsageError(f"type {wanted.type} needs the shape [?] or [?, 1], the tensor is {spec_text(spec)}")
    if form != "scalar" and rank == 1:
        raise UsageError(f"{wanted.type or 'top_k'} needs the shape [?, n], the tensor is {spec_text(spec)}")
    if wanted.size and width and wanted.size != width:
        raise UsageError(f"size {wanted.size} is declared, the tensor is {spec_text(spec)}")


def _best(name: str, wanted: Prediction, spec: Any, folder: str) -> PredictionColumn:
    _check_shape("top_k", wanted, spec)
    if not spec.dtype.is_floating and not spec.dtype.is_integer:
        raise UsageError(f"top_k needs scores, the tensor is {spec_text(spec)}")
    width = spec.shape[1] if spec.shape.rank == 2 else None
    count = wanted.top_k or 0
    if width and count > width:
        raise UsageError(f"top_k {count} is more than the {width} scores of {spec_text(spec)}")
    labels = _labels(wanted.labels, folder, width) if wanted.labels else ()
    column = PredictionColumn(name, wanted.tensor, BEST, "top_k", None, wanted.min, wanted.max, wanted.allow_nan)
    return replace(column, top_k=count, labels=labels)


def _labels(file: str, folder: str, width: int | None) -> tuple[str, ...]:
    path = storage.join(folder, file)
    try:
        labels = tuple(line.rstrip("\r") for line in storage.read(path).decode().rstrip("\n").split("\n"))
    except (OSError, storage.StorageError, UnicodeDecodeError) as error:
        raise UsageError(f"labels file {path} cannot be read: {error}") from error
    if width is not None and len(labels) != width:
        raise UsageError(f"{path} has {len(labels)} labels, the tensor {width} scores; one label a line")
    return labels


def to_yaml(predictions: Mapping[str, Prediction]) -> str:
    """`predictions` as YAML to paste into job.yaml."""
    lines = ["predictions:"]
    for name, prediction in predictions.items():
        said = prediction.model_dump(exclude_defaults=True)
        flow = yaml.safe_dump(said, default_flow_style=True, sort_keys=False, width=10**9, allow_unicode=True).strip()
        lines.append(f"  {yaml.safe_dump(name, allow_unicode=True).splitlines()[0]}: {flow}")
    return "\n".join(lines) + "\n"
