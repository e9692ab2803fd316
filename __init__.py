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

if TYPE_CHECKING:  # `as` says to type checkers that the name is public
    from .pipelines.analyze import analyze as analyze
    from .pipelines.check import check as check
    from .pipelines.in_memory import predict as predict
    from .pipelines.infer import infer as infer
    from .pipelines.lookup import lookup as lookup
    from .pipelines.package import package as package
    from .pipelines.rejects import rejects as rejects
    from .pipelines.replay import replay as replay
    from .pipelines.run import run as run
    from .pipelines.runs import runs as runs
    from .schemas.batch import Batch as Batch
    from .schemas.errors import HighbeamError as HighbeamError
    from .schemas.errors import InputChanged as InputChanged
    from .schemas.errors import JobError as JobError
    from .schemas.errors import NotAvailable as NotAvailable
    from .schemas.errors import Refused as Refused
    from .schemas.errors import Superseded as Superseded
    from .schemas.errors import Unpublished as Unpublished
    from .schemas.errors import UnreadableInput as UnreadableInput
    from .schemas.errors import UsageError as UsageError
    from .schemas.job import Job as Job
    from .schemas.job_file import load_job as load_job
    from .schemas.split import Split as Split
    from .transforms.merge import Merge as Merge
    from .transforms.publish import Publish as Publish
    from .transforms.read import Read as Read
    from .transforms.stage import Stage as Stage
    from .transforms.validate import Validate as Validate

__version__ = "0.1.0"

_HOMES = {
    "load_job": "schemas.job_file",
    "Job": "schemas.job",
    "check": "pipelines.check",
    "analyze": "pipelines.analyze",
    "package": "pipelines.package",
    "run": "pipelines.run",
    "predict": "pipelines.in_memory",
    "infer": "pipelines.infer",
    "lookup": "pipelines.lookup",
    "rejects": "pipelines.rejects",
    "replay": "pipelines.replay",
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
