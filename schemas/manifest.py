"""The manifest: what one launch of a run did. Written once, never overwritten."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .plan import Plan, dump_job

Status = Literal["published", "already_published", "refused", "superseded", "submitted", "dry_run", "failed"]
EXIT_CODES: dict[str, int] = {
    "published": 0,
    "already_published": 0,
    "submitted": 0,
    "dry_run": 0,
    "refused": 3,
    "superseded": 3,
    "failed": 1,
}

NOTHING_RECOVERED = "nothing_recovered"
"""Reason of a replay that changes nothing, after a run that was refused."""


@dataclass(frozen=True)
class Manifest:
    """What a run did.

    Attributes:
      run_id: date, attempt and score_id.
      job: the job's name.
      date: the night.
      attempt: numbers the publications of that night.
      score_id: digest of all that decides the predictions.
      launch: UTC time to the microsecond and four random hex digits; one for every invocation.
      status: how it ended.
      reason: short code of a refusal or failure.
      message: what a person should know of it.
      read: records framed.
      predicted: rows published, or that would have been.
      rejected: rows turned away.
      rejected_by: stage -> reason -> count.
      model: name, version and digest.
      output: the table.
      splits: splits of the plan.
      files: published files, relative to the table: this run's, or those that were there already.
      seconds: wall time from planning to the manifest.
      ancestors: score_ids a replay builds on.
      parent: run_id of the run whose rejects were replayed; empty for a run that is no replay.
      replayed: counts of a replay: read and predicted are the parent's; read = predicted + recovered + still_rejected.
      resolved: the job as it was read, overrides and variables filled in.
      versions: releases of Highbeam and of what it stands on.
    """

    run_id: str
    job: str
    date: str
    attempt: int
    score_id: str
    launch: str
    status: Status
    model: dict[str, Any]
    output: str
    reason: str = ""
    message: str = ""
    read: int = 0
    predicted: int = 0
    rejected: int = 0
    rejected_by: dict[str, dict[str, int]] = field(default_factory=dict)
    splits: int = 0
    files: tuple[str, ...] = ()
    seconds: float = 0.0
    ancestors: tuple[str, ...] = ()
    parent: str = ""
    replayed: dict[str, int] = field(default_factory=dict)
    resolved: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The status `highbeam run` ends with."""
        return EXIT_CODES["refused"] if self.status == "dry_run" and self.reason else EXIT_CODES[self.status]

    def to_json(self) -> bytes:
        """The manifest as it is stored."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Reads a stored manifest; keys of later releases are passed over."""
        stored = json.loads(data)
        known = {name: stored[name] for name in cls.__dataclass_fields__ if name in stored}
        return cls(**{**known, "files": tuple(stored["files"]), "ancestors": tuple(stored["ancestors"])})


def manifest_of(plan: Plan, status: Status, **more: Any) -> Manifest:
    """The manifest of a plan's launch; `more` are its counts and reasons."""
    if plan.replay and "predicted" in more:
        more["replayed"] = plan.replay.counts(more["predicted"], more["rejected"])
    return Manifest(
        run_id=plan.run_id,
        job=plan.job.name,
        date=plan.date,
        attempt=plan.attempt,
        score_id=plan.score_id,
        launch=plan.launch,
        status=status,
        model=dict(plan.model),
        output=plan.layout.output,
        splits=len(plan.splits),
        seconds=round(time.time() - plan.started, 3),
        ancestors=plan.replay.ancestors if plan.replay else (),
        parent=plan.replay.parent if plan.replay else "",
        resolved=dump_job(plan.job),
        versions=dict(plan.versions),
        **more,
    )
