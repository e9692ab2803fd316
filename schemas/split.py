"""A split: the byte range of input that is read, scored, staged, retried and counted as one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """One piece of one input file.

    Attributes:
      number: place in the plan, from 0; files in plan order, then ranges in file order.
      path: where to open the file.
      file: the file's name relative to the job's folder; goes into `_file` and into the split's identity.
      size: bytes of the file when it was planned.
      mark: modification mark when it was planned (mtime in nanoseconds, an ETag or a generation).
      start: first byte of the range, after decompression. A record belongs to the split its first byte lies in.
      end: one past the last byte, or None for everything to the end of the stream.
      compression: gzip, bz2, zstd, xz or None.
      header: column names of this file, in file order; empty where the format has none. Of Parquet and Avro one entry,
        the file's schema in Arrow IPC, so that a reject can be read again without the file.
      first_row: records of the file before the split, where offsets count records (Parquet, Avro).
      limit: most records to take; None for all.
    """

    number: int
    path: str
    file: str
    size: int
    mark: str
    start: int
    end: int | None
    compression: str | None = None
    header: tuple[str, ...] = ()
    first_row: int = 0
    limit: int | None = None

    @property
    def id(self) -> str:
        """Name of the split's staged object: sorts in plan order and is the same in every run over the same plan."""
        return f"{self.number:08d}"
