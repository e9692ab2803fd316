"""Highbeam: batch inference on Apache Beam, at Arrow speed, and not one row lost.

    import highbeam

    job = highbeam.load_job("job.yaml")
    highbeam.run(job, "2013-12-01")                      # score a night and publish it
    highbeam.lookup(job, [331_701])                      # its predictions, as an Arrow table
    predictions, rejected = highbeam.predict(job, table) # a table in memory, without a pipeline

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pipelines.analyze import analyze
    from .pipelines.check import check
    from .pipelines.in_memory import predict
    from .pipelines.lookup import lookup
    from .pipelines.package import package
    from .pipelines.rejects import rejects
    from .pipelines.run import run
    from .pipelines.runs import runs
    from .schemas.batch import Batch
    from .schemas.errors import (
        HighbeamError,
        InputChanged,
        JobError,
        NotAvailable,
        Refused,
        Superseded,
        Unpublished,
        UnreadableInput,
        UsageError,
    )
    from .schemas.job import Job
    from .schemas.job_file import load_job
    from .schemas.split import Split
    from .transforms.merge import Merge
    from .transforms.publish import Publish
    from .transforms.read import Read
    from .transforms.stage import Stage
    from .transforms.validate import Validate

__version__ = "0.1.0"

_HOMES = {
    "load_job": "schemas.job_file",
    "Job": "schemas.job",
    "check": "pipelines.check",
    "analyze": "pipelines.analyze",
    "package": "pipelines.package",
    "run": "pipelines.run",
    "predict": "pipelines.in_memory",
    "lookup": "pipelines.lookup",
    "rejects": "pipelines.rejects",
    "runs": "pipelines.runs",
    "Batch": "schemas.batch",
    "Split": "schemas.split",
    "Read": "transforms.read",
    "Validate": "transforms.validate",
    "Stage": "transforms.stage",
    "Merge": "transforms.merge",
    "Publish": "transforms.publish",
    "HighbeamError": "schemas.errors",
    "UsageError": "schemas.errors",
    "JobError": "schemas.errors",
    "NotAvailable": "schemas.errors",
    "Unpublished": "schemas.errors",
    "Refused": "schemas.errors",
    "UnreadableInput": "schemas.errors",
    "InputChanged": "schemas.errors",
    "Superseded": "schemas.errors",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
