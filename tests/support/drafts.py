"""Drafts of jobs, and the rows they were drafted from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from highbeam import storage
from highbeam.pipelines.infer import Draft, infer
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import parse_job
from highbeam.transforms.formats.choose import format_of
from highbeam.transforms.validate import validate


def job_of(draft: Draft, folder: Path) -> Job:
    """The draft, read as a job."""
    return parse_job(draft.text(), str(folder / "job.yaml"))


def rejects(job: Job, path: Path) -> list[tuple[str, str]]:
    """Reason and message of what the drafted contract turns away of a file."""
    file = storage.stat(str(path))
    assert file is not None
    format = format_of(job.source)
    assert list(format.problems(job.contract)) == []
    found = []
    for split in format.splits(file, path.name, job.contract, 1 << 20):
        for batch in format.read(split, job.contract, 1 << 20):
            gone = validate(batch, job.contract).rejected
            found += list(zip(gone["reason"].to_pylist(), gone["message"].to_pylist(), strict=True))
    return found


def columns(draft: Draft) -> dict[str, Any]:
    return dict(draft.as_dict()["columns"])


def drafted_from(folder: Path, name: str, data: str | bytes) -> tuple[Draft, list[str]]:
    """A draft of a file, and the reasons for which a run of it rejects rows of that file."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    draft = infer([str(path)], str(folder))
    return draft, [reason for reason, _ in rejects(job_of(draft, folder), path)]
