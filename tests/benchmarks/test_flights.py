"""The benchmark's input."""

from pathlib import Path

import pyarrow.csv
import pytest

from benchmarks.flights import HEADER, KEY, write_flights

YEAR = 336_776


def read_ids(path: Path) -> list[int]:
    return list(pyarrow.csv.read_csv(path)[KEY].to_pylist())


def test_flights_repeat_with_fresh_ids(tmp_path: Path) -> None:
    write_flights(path := tmp_path / "flights.csv", YEAR + 2)
    lines = path.read_text().splitlines()
    assert lines[0] == HEADER
    assert len(lines) == YEAR + 3
    assert lines[1] == "0,515,819,1400,5,15,1,1,UA,EWR,IAH"
    assert lines[YEAR + 1] == lines[1].replace("0", str(YEAR), 1)
    assert lines[YEAR + 2] == lines[2].replace("1", str(YEAR + 1), 1)


@pytest.mark.parametrize("rows", [1, 2, 10, 97, 1000])
def test_shuffled_ids_are_the_same_ones_in_another_order(rows: int, tmp_path: Path) -> None:
    write_flights(path := tmp_path / "flights.csv", rows, shuffled=True)
    ids = read_ids(path)
    assert sorted(ids) == list(range(rows))
    assert ids != sorted(ids) or rows <= 2


def test_a_file_that_stands_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "flights.csv"
    path.write_text("as it was")
    write_flights(path, 10)
    assert path.read_text() == "as it was"
