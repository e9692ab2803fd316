"""What a replay scores again: the rejects of its parent, or an edited export of them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import storage
from ..schemas.errors import UsageError
from ..schemas.job import Job
from ..schemas.rejected import SCHEMA as REJECTED
from ..schemas.split import Split
from ..transforms.replay_records import SCHEMA, encode_records
from ..transforms.replayed import reread
from ..transforms.verdict import as_mask
from .raw_text import RawTexts
from .replay_parent import Parent

CHUNK_ROWS = 1 << 16
CHUNK_BYTES = 16 << 20
_SHOWN = 3

Edits = dict[tuple[str, int], str | bytes | None]
"""(file, offset) -> the record as text or as bytes, or None where an export has none."""


@dataclass(frozen=True)
class Laid:
    """Records laid down in a passing folder.

    Attributes:
      splits: one for each object, of the file its records came from.
      paths: the objects.
      digest: of them all.
      unread: records whose bytes could not be read again.
      merged_away: an object of the rows that the parent's merge turned away after they were staged; or None.
    """

    splits: tuple[Split, ...]
    paths: tuple[str, ...]
    digest: str
    unread: int
    merged_away: pa.Buffer | None


@contextmanager
def laid_down(parent: Parent, job: Job, edits: Edits | None) -> Iterator[Laid]:
    """Lays the records of a replay down for as long as the block runs, a bounded part at a time.

    Args:
      parent: whose rejects they are.
      job: says how files are read again.
      edits: what is to be scored again, and its bytes; None for all, as it is.

    Raises:
      UsageError: when an edit names no reject of the parent, or cannot be written in the source's encoding.
    """
    with tempfile.TemporaryDirectory(prefix="highbeam-replay-") as folder:
        digest, unread, splits, paths = hashlib.sha256(), 0, list[Split](), list[str]()
        gone: list[pa.Table] = []
        left = dict(edits) if edits is not None else None
        for chunk in _chunks(parent.rejects):
            records, missed = _settled(chunk, parent, job, left)
            data = encode_records(records)
            digest.update(data)
            paths.append(os.path.join(folder, str(len(paths))))
            Path(paths[-1]).write_bytes(data)
            file = records["file"][0].as_py()
            splits.append(next(split for split in parent.plan.inputs if split.file == file))
            gone.append(records.filter(pc.equal(records["stage"], "merge")))
            unread += missed
        _all_known(left, parent)
        merged = pa.concat_tables(gone) if gone else SCHEMA.empty_table()
        merged_away = encode_records(merged) if merged.num_rows and not parent.published else None
        yield Laid(tuple(splits), tuple(paths), digest.hexdigest(), unread, merged_away)


def _chunks(rejected: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Rejects cut where the file changes, and into parts of bounded size."""
    held: list[pa.RecordBatch] = []
    for batch in rejected:
        for part in _by_file(batch.select(REJECTED.names)):
            full = sum(b.num_rows for b in held) >= CHUNK_ROWS or sum(b.nbytes for b in held) >= CHUNK_BYTES
            if held and (full or held[0]["file"][0] != part["file"][0]):
                yield pa.Table.from_batches(held).combine_chunks()
                held = []
            held.append(part)
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def _by_file(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    start, files = 0, batch["file"].to_pylist()
    for place in range(1, len(files) + 1):
        if place == len(files) or files[place] != files[start]:
            yield batch.slice(start, place - start)
            start = place


def _settled(chunk: pa.Table, parent: Parent, job: Job, left: Edits | None) -> tuple[pa.Table, int]:
    """Rejects of one file with the bytes to score, and how many could not be read again; takes them out of `left`."""
    rows = chunk.cast(REJECTED).to_batches()[0]
    wanted = pa.repeat(True, rows.num_rows)
    edited = pa.repeat(False, rows.num_rows)
    if left is not None:
        rows, wanted, edited = _edited(rows, left, parent, job)
    lost = pc.and_(wanted, pc.and_(pc.invert(edited), pc.or_(rows["raw"].is_null(), rows["truncated"])))
    missed = 0
    if pc.any(lost).as_py():
        found, could = reread(rows.filter(lost), parent.plan.inputs, job)
        missed = pc.sum(pc.invert(could)).as_py()
        rows = _laid_over(rows, lost, found)
    again = pc.and_(wanted, pc.and_(rows["raw"].is_valid(), pc.invert(rows["truncated"])))
    columns = [*(rows[name] for name in REJECTED.names), again]
    return pa.Table.from_arrays(columns, schema=SCHEMA), int(missed)


def _laid_over(rows: pa.RecordBatch, where: pa.Array, found: pa.RecordBatch) -> pa.RecordBatch:
    """Rows, those of a mask replaced by others in their order."""
    # Not by replace_with_mask: up to Arrow 25 it takes the booleans of a slice from the slice's neighbours.
    order = np.arange(rows.num_rows)
    order[as_mask(where)] = rows.num_rows + np.arange(found.num_rows)
    return pa.concat_batches([rows, found]).take(pa.array(order))


def _edited(rows: pa.RecordBatch, left: Edits, parent: Parent, job: Job) -> tuple[pa.RecordBatch, pa.Array, pa.Array]:
    """Rows with edited bytes; which of them an export names, and which it changes."""
    raw, lengths, cut = rows["raw"].to_pylist(), rows["length"].to_pylist(), rows["truncated"].to_pylist()
    names = list(zip(rows["file"].to_pylist(), rows["offset"].to_pylist(), strict=True))
    wanted, edited = [name in left for name in names], [False] * len(names)
    shown, written = (RawTexts(source, parent.plan.inputs) for source in (parent.plan.job.source, job.source))
    for place, name in enumerate(names):
        new = _changed(name, raw[place], left.pop(name, None), shown, written)
        if new is not None:
            edited[place], raw[place], lengths[place], cut[place] = True, new, len(new), False
    columns = {"raw": raw, "length": lengths, "truncated": cut}
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else rows[f.name] for f in REJECTED]
    return pa.RecordBatch.from_arrays(arrays, schema=REJECTED), pa.array(wanted), pa.array(edited)


def _changed(
    name: tuple[str, int], raw: bytes | None, new: str | bytes | None, shown: RawTexts, written: RawTexts
) -> bytes | None:
    """The bytes of an edit, or None where it says what was exported.

    Args:
      name: file and offset.
      raw: the bytes that were rejected.
      new: what the export has now.
      shown: how the parent's rejects are shown.
      written: how the job reads text.
    """
    if isinstance(new, str):
        exported = None if raw is None else shown.text(name[0], raw)
        if exported is not None and new in (exported, exported + "\n", exported + "\r\n"):
            return None
        new = written.raw(*name, _stripped(new))
    return None if new == raw else new


def _stripped(text: str) -> str:
    """Edited text without a line break at its end, which an editor put there."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _all_known(left: Edits | None, parent: Parent) -> None:
    """Refuses edits of rows that nobody rejected; those that an earlier replay recovered are done already."""
    if not left:
        return
    for batch in parent.earlier_rejects():
        for name in zip(batch["file"].to_pylist(), batch["offset"].to_pylist(), strict=True):
            left.pop(name, None)
    if left:
        shown = ", ".join(f"{file} at {offset:,}" for file, offset in list(left)[:_SHOWN])
        more = f" and {len(left) - _SHOWN:,} more" if len(left) > _SHOWN else ""
        raise UsageError(f"--from names rows that run {parent.plan.run_id} did not reject: {shown}{more}")


def read_export(path: str) -> Edits:
    """Reads an export, as `highbeam rejects --export` writes it and as somebody has edited it.

    Args:
      path: JSON Lines; of each object `file`, `offset`, and `raw` or `raw_base64` count.

    Raises:
      UsageError: naming the line that is none, or when there is no line.
    """
    edits: Edits = {}
    try:
        lines = storage.read_text(path).split("\n")
    except storage.StorageError as error:
        raise UsageError(str(error)) from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            name, raw = _edit(f"{path}:{number}", line)
            if name in edits:
                raise UsageError(f"{path}:{number}: {name[0]} at {name[1]:,} stands there twice")
            edits[name] = raw
    if not edits:
        raise UsageError(f"{path}: names no rows; write one with highbeam rejects --export")
    return edits


def _edit(where: str, line: str) -> tuple[tuple[str, int], str | bytes | None]:
    try:
        record: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: not JSON: {error}") from error
    if not isinstance(record, dict):
        raise UsageError(f"{where}: not an object with file, offset and raw")
    file, offset, raw, coded = (record.get(name) for name in ("file", "offset", "raw", "raw_base64"))
    if not isinstance(file, str) or type(offset) is not int:
        raise UsageError(f"{where}: file and offset must name a reject, as the export did")
    if not isinstance(raw, str | None) or not isinstance(coded, str | None):
        raise UsageError(f"{where}: raw and raw_base64 must be texts")
    if raw is not None or coded is None:
        return (file, offset), raw
    try:
        return (file, offset), base64.b64decode(coded, validate=True)
    except ValueError as error:
        raise UsageError(f"{where}: raw_base64 is no base64: {error}") from error
