"""The benchmark's flights as other kinds of files, and as CSV with dirty rows; files that stand are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.flights import KEY, NAMES, NUMBERS, write_flights

DIRT = (
    lambda line: line.replace(b",", b",x", 1),  # not a number
    lambda line: line + b",one,too,many",
    lambda line: b'"' + line,
    lambda line: line[:-3] + b"\xff\xfe\xfd",
    lambda line: line.rpartition(b",")[0] + b",",  # null
    lambda line: line.replace(b",", b",-", 1),  # below the min
)
"""What happens to rows: each kind is turned away for a reason of its own."""


def csv_file(folder: Path, rows: int) -> Path:
    """The flights as they are."""
    path = folder / f"flights-{rows}.csv"
    write_flights(path, rows)
    return path


def dirty_file(folder: Path, rows: int, percent: int) -> Path:
    """The flights with some rows damaged, of all kinds in turn."""

    def write(path: Path) -> None:
        header, *lines = csv_file(folder, rows).read_bytes().splitlines()
        for number, at in enumerate(np.linspace(0, len(lines) - 1, len(lines) * percent // 100, dtype=int).tolist()):
            lines[at] = DIRT[number % len(DIRT)](lines[at])
        path.write_bytes(b"\n".join([header, *lines, b""]))

    return _kept(folder / f"flights-{rows}-dirty-{percent}.csv", write)


def json_file(folder: Path, rows: int) -> Path:
    """The flights as JSON Lines."""

    def write(path: Path) -> None:
        table = _table(folder, rows)
        parts: list[str | pa.Array] = []
        for name in table.column_names:
            column = table[name].combine_chunks()
            text = column.cast(pa.string())
            quoted = pc.binary_join_element_wise('"', text, '"', "") if pa.types.is_string(column.type) else text
            parts += ["," if parts else "{", f'"{name}":', quoted]
        path.write_text("\n".join([*pc.binary_join_element_wise(*parts, "}", "").to_pylist(), ""]))

    return _kept(folder / f"flights-{rows}.jsonl", write)


def parquet_file(folder: Path, rows: int) -> Path:
    """The flights as Parquet, as pyarrow writes it by itself: a row group holds 1,048,576 rows."""
    return _kept(folder / f"flights-{rows}.parquet", lambda path: pq.write_table(_table(folder, rows), path))


def log_file(folder: Path, rows: int) -> Path:
    """The flights as an access log in the combined format, so that it says something different in each line."""

    def write(path: Path) -> None:
        table = _table(folder, rows)
        text = {name: table[name].combine_chunks().cast(pa.string()) for name in table.column_names}
        parts = [
            "10.0.", text["month"], ".", text["day"], " - - [03/Nov/2025:02:14:05 +0000] \"GET /", text["origin"], "/",
            text["dest"], "?flight=", text[KEY], " HTTP/1.1\" 200 ", text["distance"], " \"https://example.com/",
            text["carrier"], "\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\"",
        ]  # fmt: skip
        path.write_text("\n".join([*pc.binary_join_element_wise(*parts, "").to_pylist(), ""]))

    return _kept(folder / f"flights-{rows}.log", write)


def _table(folder: Path, rows: int) -> pa.Table:
    table = pyarrow.csv.read_csv(csv_file(folder, rows))
    return table.select([KEY, *NUMBERS, *NAMES])


def _kept(path: Path, write: Callable[[Path], None]) -> Path:
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        write(unfinished)
        os.replace(unfinished, path)
    return path
