"""What ran: the manifests of a job, and which of them is published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .. import storage
from ..schemas.job import Job
from ..schemas.layout import SUBMITTED, layout
from ..schemas.manifest import NOTHING_RECOVERED, Manifest
from ..transforms.tables.choose import table_of


@dataclass(frozen=True)
class RanOnce:
    """One launch.

    Attributes:
      manifest: what it did.
      current: whether its files are the night's.
    """

    manifest: Manifest
    current: bool


def runs(job: Job) -> list[RanOnce]:
    """Every launch of a job, oldest first; those that published nothing, and those not heard of again, too."""
    ended = list(manifests_of(job))
    heard_of = {manifest.launch for manifest in ended}
    manifests = ended + [manifest for manifest in _submitted(job) if manifest.launch not in heard_of]
    table = table_of(job)
    now = {date: current.run_id for date in {m.date for m in manifests} if (current := table.current(date))}
    launches = [RanOnce(m, m.status == "published" and now.get(m.date) == m.run_id) for m in manifests]
    return sorted(launches, key=lambda ran: ran.manifest.launch)


def manifests_of(job: Job, date: str | None = None) -> Iterator[Manifest]:
    """The manifests of a date, or of all, in no order that matters."""
    pattern = storage.join(storage.escape(layout(job).runs(date)), "*.json" if date else "*/*.json")
    for info in storage.find(pattern):
        yield Manifest.from_json(storage.read(info.path))


def _submitted(job: Job) -> Iterator[Manifest]:
    """The launches that nobody waited for, as they were submitted."""
    for info in storage.find(storage.join(storage.escape(layout(job).runs()), f"*/*{SUBMITTED}")):
        yield Manifest.from_json(storage.read(info.path))


def unheard(job: Job, date: str | None = None) -> Manifest | None:
    """The newest launch of a date, or of all, whatever became of it; for those of which no rejects stand."""
    launched = [m for m in _submitted(job) if date in (None, m.date)]
    return max([*launched, *manifests_of(job, date)], key=lambda m: (m.launch, m.status != "submitted"), default=None)


def newest(job: Job, date: str | None = None) -> Manifest | None:
    """The newest launch whose rejects stand, published or refused; of the greatest date when none is named."""
    ended = [m for m in manifests_of(job, date) if m.status in ("published", "refused", "superseded")]
    published = {m.run_id for m in ended if m.status == "published"}
    counted = [m for m in ended if not (came_to_nothing(m) or (m.status != "published" and m.parent in published))]
    return max(counted, key=lambda m: (m.date, m.launch), default=None)


def came_to_nothing(manifest: Manifest) -> bool:
    """Whether a run is a replay that did not bring its refused parent forward: the parent's rejects still stand."""
    return bool(manifest.parent) and manifest.reason in (NOTHING_RECOVERED, "duplicate_key")
