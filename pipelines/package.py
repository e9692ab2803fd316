"""Puts a transform graph and a trained model together: the next version of the model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..models import store
from ..models.mirror import here
from ..models.scoring import examine
from ..schemas.errors import UsageError
from ..schemas.job import Job
from ..schemas.layout import resolve


@dataclass(frozen=True)
class PackageResult:
    """What was packaged.

    Attributes:
      job: the job's name.
      path: folder of the new version.
      version: its number.
      transform: version of the transform graph in it, or None.
      predictions: name -> Arrow type of what it gives.
    """

    job: str
    path: str
    version: int
    transform: int | None
    predictions: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The result for `--json`."""
        return asdict(self)

    def text(self) -> str:
        """The result for a person."""
        graph = f" with transform version {self.transform}" if self.transform else ""
        gives = ", ".join(f"{name} ({type})" for name, type in self.predictions.items())
        return f"{self.job}: model version {self.version}{graph}\n  predicts {gives}\n  model    {self.path}"


def package(job: Job, saved_model: str, transform: int | None = None) -> PackageResult:
    """Writes the next version of the model: the SavedModel, and beside it the transform graph it was trained behind.

    Args:
      job: the job.
      saved_model: folder of a SavedModel whose signature takes what the transform graph gives, or the contract's
        columns when the job has no transform.
      transform: version of the transform graph; without it the one that the job's `transform.version` says.

    Raises:
      UsageError: when there is no such SavedModel or graph, or they do not fit, with both sides; nothing is written.
    """
    place = resolve(os.curdir, saved_model)
    source = _saved_model(place)
    graph = _graph(job, transform)
    examined = examine(job, place, graph.path if graph else None)
    scoring = examined.required()

    def write(folder: str) -> None:
        for part in _parts(source):
            _copy(part, Path(folder) / part.name)
        if graph is not None:
            _copy(Path(here(graph.path)) / store.TRANSFORM, Path(folder) / store.TRANSFORM)

    number = graph.number if graph else None
    meta = {"backend": scoring.model.backend, "transform": number, "job": job.name}
    version = store.write_version(resolve(job.folder, job.model.path), write, meta)
    predictions = {field.name: str(field.type) for field in scoring.schema}
    return PackageResult(job.name, version.path, version.number, number, predictions)


def _saved_model(path: str) -> Path:
    if Path(path).is_file():
        raise UsageError(f"{path} is a file, and a SavedModel is a folder; Keras writes one with model.export(DIR)")
    return Path(here(path))


def _graph(job: Job, number: int | None) -> store.Version | None:
    """The version of the transform graph to package, or None."""
    if job.transform is None:
        if number is not None:
            raise UsageError(f"--transform {number}: the job has no transform; write transform: {{path: …}}")
        return None
    if job.transform.path is None:
        raise UsageError("transform.path is missing: the folder of the graph's versions that analyze writes")
    version = job.transform.version if number is None else str(number)
    return store.resolve(resolve(job.folder, job.transform.path), version, store.TRANSFORMS)


def _parts(source: Path) -> list[Path]:
    """What belongs to the SavedModel itself, where it lies in a store of versions or is one."""
    beside = (store.MANIFEST, store.TRANSFORM)
    return [
        part
        for part in sorted(source.iterdir())
        if part.name not in beside and not part.name.isdigit() and not part.name.startswith(".")
    ]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
