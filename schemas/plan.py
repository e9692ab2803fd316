"""The plan of a run: everything its workers need to know, made once by the driver."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from .. import __version__, storage
from .errors import HighbeamError
from .job import Job
from .join import Side, side_from_plain
from .layout import Layout, layout
from .replay import Replay
from .split import Split

SCORING_FORMAT = 1
"""Raised when a release of Highbeam can give other outputs for the same inputs."""


@dataclass(frozen=True)
class Plan:
    """What one launch is to do.

    Attributes:
      job: the job, overrides and variables filled in.
      date: the night, or the label of its partition.
      launch: UTC time to the microsecond and four random hex digits; launches sort by it.
      score_id: 16 hex digits over all that decides the predictions.
      attempt: number of this publication of the night.
      splits: all splits, in order.
      model: name, version, path and digest of the model, and of its transform graph.
      published: run_id of what the partition held at planning, or None.
      started: seconds since the epoch, for the manifest's `seconds` alone.
      versions: releases, for the manifest alone.
      replay: the run that this one replays, or None.
      sides: the side tables of the job's `join`, as they were planned.
    """

    job: Job
    date: str
    launch: str
    score_id: str
    attempt: int
    splits: tuple[Split, ...]
    model: Mapping[str, Any]
    published: str | None = None
    started: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    replay: Replay | None = None
    sides: tuple[Side, ...] = ()

    @property
    def run_id(self) -> str:
        """Date, attempt and score_id: the name of this publication."""
        return run_id(self.date, self.attempt, self.score_id)

    @property
    def layout(self) -> Layout:
        """Where this job's files lie."""
        return layout(self.job)

    @property
    def path(self) -> str:
        """Where the workers read this plan."""
        return self.layout.plan(self.score_id, self.launch)

    @property
    def code(self) -> str:
        """Where the workers find the user's code."""
        return self.layout.code(self.score_id)

    @property
    def manifest(self) -> str:
        """Where this launch's manifest lies."""
        return self.layout.manifest(self.date, self.attempt, self.score_id, self.launch)

    @property
    def submission(self) -> str:
        """Where this launch is noted if nobody waits for it."""
        return self.layout.submission(self.date, self.attempt, self.score_id, self.launch)

    def staged(self, number: int) -> str:
        """Where the staged object of a split lies."""
        return self.layout.staged(self.score_id, self.splits[number].id)

    def prepared(self, number: int) -> str:
        """Where the features of a split lie, if the model runs apart."""
        return self.layout.prepared(self.score_id, self.splits[number].id)

    @property
    def kept(self) -> str:
        """Where this plan is kept for those who replay its rejects."""
        return self.layout.kept_plan(self.date, self.run_id)

    @property
    def inputs(self) -> tuple[Split, ...]:
        """The splits of the files that rows and rejects name; a replay's own splits are others."""
        return self.replay.inputs if self.replay else self.splits

    def to_json(self) -> bytes:
        """The plan as workers read it."""
        plain = {**self.__dict__, "job": dump_job(self.job), "folder": self.job.folder}
        plain["sides"] = [side.to_plain() for side in self.sides]
        plain["replay"] = self.replay.to_plain() if self.replay else None
        return json.dumps({**plain, "splits": [asdict(split) for split in self.splits]}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Plan:
        """Reads a stored plan."""
        stored = json.loads(data)
        job = Job.model_validate(stored.pop("job")).model_copy(update={"folder": stored.pop("folder")})
        splits = tuple(Split(**{**split, "header": tuple(split["header"])}) for split in stored.pop("splits"))
        replay = stored.pop("replay", None)
        sides = tuple(side_from_plain(side, job.join, job.columns) for side in stored.pop("sides", ()))
        again = Replay.from_plain(replay) if replay else None
        return cls(job=job, splits=splits, replay=again, sides=sides, **stored)


@lru_cache(maxsize=4)
def load_plan(path: str) -> Plan:
    """Reads a plan, once for all steps of a worker process; a plan never changes once written.

    Raises:
      HighbeamError: when another release of Highbeam made it.
    """
    data = storage.read(path)
    planned = json.loads(data).get("versions", {}).get("highbeam")
    if planned not in (None, __version__):
        raise HighbeamError(
            f"this worker has Highbeam {__version__}, and the run was planned by {planned}: "
            f"give the workers an image of {planned}, or launch with {__version__}"
        )
    return Plan.from_json(data)


def run_id(date: str, attempt: int, score_id: str) -> str:
    """The name of a publication."""
    return f"{date}-{attempt:04d}-{score_id}"


def dump_job(job: Job) -> dict[str, Any]:
    """A job as plain data, as it would stand in job.yaml."""
    return job.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def score_id(
    job: Job,
    date: str,
    splits: tuple[Split, ...],
    models: Mapping[str, Any],
    code: Mapping[str, str],
    sides: Sequence[Side] = (),
) -> str:
    """Digests all that decides the predictions.

    Neither the budget, the sink, the runner, worker counts nor Highbeam's release are in it, so a run with another of
    these scores nothing again. The date is, so that two nights over the same files never share staging.

    Args:
      job: the job; its source options, contract, key, passthrough and predictions count.
      date: the night.
      splits: what is read: file names relative to the job, sizes, marks and ranges.
      models: model name -> {model, transform, backend} digests; the one name is `main` today.
      code: digests of user code and label files, by name.
      sides: the side tables; of a job without, nothing of them is in it.

    Returns:
      16 hex digits.
    """
    whole = dump_job(job)
    source = {name: value for name, value in whole["source"].items() if name not in ("ready", "min_rows", "split_size")}
    decides = {
        "format": SCORING_FORMAT,
        "date": date,
        "source": source,
        "splits": [(s.file, s.size, s.mark, s.start, s.end, s.compression, s.header, s.limit) for s in splits],
        "contract": {name: whole.get(name) for name in ("columns", "key")},
        "passthrough": list(job.output.passthrough),
        "predictions": whole.get("predictions"),
        "model": {name: value for name, value in whole["model"].items() if name not in ("path", "version")},
        "models": models,
        "code": code,
    }
    if job.apart:
        decides["apart"] = job.batch_size
    if sides:
        decides["join"] = [whole["join"], list(whole["join"]), [side.decides for side in sides]]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
