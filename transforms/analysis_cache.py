"""Results of analyses that are done, kept so that files that did not change are not analysed again.

Files are analysed and kept in groups. A group is a folder, renamed into its place when it is complete and never
changed: `<root>/<fingerprint>/<group id>/`, with `group.json` and a file for every result. The fingerprint stands for
the preprocessing_fn, the contract and how files are read; the group's id for its files, with sizes and marks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from .. import storage
from ..schemas.job import Job
from ..schemas.join import Side
from ..schemas.plan import dump_job
from ..schemas.sources import Source
from ..schemas.split import Split
from .counts import Counts

GROUP_BYTES = 1 << 30
"""Input of a new group. Each group makes the pipeline larger, which takes seconds; so much input takes far longer."""
MOST_NEW_GROUPS = 16
KEPT_SECONDS = 7 * 24 * 3600
"""How long groups are kept that an analysis had no use for: the next may have, or somebody may still read them."""
_SCHEMA = pa.schema([pa.field("record", pa.binary(), nullable=False)])
_CHUNK = 4096

ANALYSIS_FORMAT = 1
"""Raised when a release reads rows, or keeps results, in another way."""

FileId = tuple[str, int, str]
"""A file's name, size and mark."""


@dataclass(frozen=True)
class Group:
    """Files that are analysed together.

    Attributes:
      splits: all splits of its files, in plan order.
    """

    splits: tuple[Split, ...]

    @cached_property
    def files(self) -> tuple[FileId, ...]:
        """Its files, in plan order."""
        return tuple(dict.fromkeys(_file(split) for split in self.splits))

    @property
    def id(self) -> str:
        """Digest of its files."""
        return hashlib.sha256(json.dumps(self.files).encode()).hexdigest()[:16]

    @property
    def bytes(self) -> int:
        """Size of its files."""
        return sum(size for _, size, _ in self.files)


@dataclass(frozen=True)
class Kept:
    """A group that was analysed before.

    Attributes:
      path: its folder.
      files: its files.
      counts: what became of its records.
      results: name -> bytes of what is kept in the folder; a result without records has no file.
    """

    path: str
    files: tuple[FileId, ...]
    counts: Counts
    results: Mapping[str, int] = field(default_factory=dict)

    def records_of(self, entry: bytes) -> list[str]:
        """Where the records of a result lie: one path, or none."""
        name = result_name(entry)
        return [storage.join(self.path, name)] if name in self.results else []


def _file(split: Split) -> FileId:
    return split.file, split.size, split.mark


def fingerprint(job: Job, source: Source, function: str | None, sides: Sequence[Side] = ()) -> str:
    """16 hex digits over all that decides the results of a file.

    Args:
      job: its contract, labels included, counts.
      source: how files are read.
      function: digest of the preprocessing_fn.
      sides: the side tables, as they are now.
    """
    whole = dump_job(job)
    decides = {
        "format": ANALYSIS_FORMAT,
        "function": function,
        "contract": [whole["columns"], whole.get("training", {}).get("columns"), whole.get("key")],
        source.format: source.files.model_dump(mode="json", exclude={"path"}),
        "max_record_bytes": source.max_record_bytes,
    }
    if sides:
        decides["join"] = [whole["join"], [side.digest for side in sides]]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]


def kept_groups(folder: str) -> list[Kept]:
    """The groups below a fingerprint's folder that are as they were written; none if the folder is not there."""
    found = (_kept(note.path) for note in storage.find(storage.join(folder, "*", "group.json")))
    return [kept for kept in found if kept.results == _results(kept.path)]


def _kept(note: str) -> Kept:
    plain = json.loads(storage.read(note))
    files = tuple((name, size, mark) for name, size, mark in plain["files"])
    return Kept(os.path.dirname(note), files, Counts.from_plain(plain["counts"]), plain["results"])


def _results(folder: str) -> dict[str, int]:
    found = storage.listing(folder)
    return {os.path.basename(info.path): info.size for info in found if info.path.endswith(".arrow")}


def divide(splits: Sequence[Split], kept: Iterable[Kept]) -> tuple[list[tuple[Kept, Group]], list[Group]]:
    """Divides splits into what was analysed before and what was not.

    A kept group serves when all its files are wanted and none of them stands in a greater one.

    Returns:
      The kept groups with their splits, and new groups of about GROUP_BYTES, in plan order.
    """
    wanted: dict[FileId, list[Split]] = {}
    for split in splits:
        wanted.setdefault(_file(split), []).append(split)
    reused = []
    for one in sorted(kept, key=lambda one: (-sum(size for _, size, _ in one.files), one.path)):
        if all(file in wanted for file in one.files):
            reused.append((one, Group(tuple(split for file in one.files for split in wanted.pop(file)))))
    return reused, list(_new_groups(list(wanted.values())))


def _new_groups(files: Sequence[list[Split]]) -> Iterator[Group]:
    """Consecutive files, cut where the bytes before them pass a multiple of the groups' size."""
    size = max(GROUP_BYTES, -(-sum(splits[0].size for splits in files) // MOST_NEW_GROUPS))
    before, numbered = 0, []
    for splits in files:
        numbered.append((before // size, splits))
        before += splits[0].size
    for _, part in groupby(numbered, key=lambda pair: pair[0]):
        yield Group(tuple(split for _, splits in part for split in splits))


def result_name(entry: bytes) -> str:
    """The file in which a group's folder keeps one result."""
    return f"{hashlib.sha256(entry).hexdigest()[:32]}.arrow"


def write_records(path: str, records: Iterable[bytes]) -> None:
    """Writes the records of one result."""
    with storage.writer(os.path.dirname(path)) as sink:
        with pa.ipc.new_file(sink.file, _SCHEMA) as writer:
            for chunk in _chunks(records):
                writer.write_batch(pa.record_batch([pa.array(chunk, pa.binary())], schema=_SCHEMA))
        sink.commit(os.path.basename(path))


def _chunks(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk = []
    for record in records:
        chunk.append(record)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    yield chunk


def read_records(path: str) -> Iterator[bytes]:
    """Reads the records of one result."""
    with storage.open_input(path) as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            yield from reader.get_batch(number).column(0).to_pylist()


def keep(folder: str, built: str, groups: Iterable[tuple[Group, Counts]]) -> None:
    """Puts new groups in their place; one that is there already stays.

    Args:
      folder: the fingerprint's.
      built: where their results were written, a folder for each group's id.
      groups: the groups and what became of their records.
    """
    for group, counted in groups:
        source, target = Path(built) / group.id, Path(folder) / group.id
        note = {"files": group.files, "counts": json.loads(counted.to_json()), "results": _results(str(source))}
        storage.put(str(source / "group.json"), json.dumps(note).encode())
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            source.rename(target)


def forget(root: str, used: Collection[str]) -> None:
    """Removes groups that this analysis had no use for, once they are old: their files or function have changed.

    Args:
      root: holds the folders of all fingerprints.
      used: folders of the groups to keep.
    """
    for folder in Path(root).glob("*/*"):
        if str(folder) not in used and time.time() - folder.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
