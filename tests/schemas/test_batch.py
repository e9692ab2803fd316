"""The law of a Batch, and halving."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.schemas.batch import Batch
from highbeam.schemas.errors import Unconserved
from highbeam.schemas.halving import halving
from highbeam.schemas.split import Split

SPLIT = Split(0, "/in/a.csv", "a.csv", 100, "m", 0, 100)


def batch(n: int) -> Batch:
    rows = pa.record_batch({"k": pa.array(range(n), pa.int64()), "_offset": pa.array(range(0, 10 * n, 10), pa.int64())})
    return Batch(SPLIT, 0, True, n, rows)


def test_a_batch_that_lost_a_row_cannot_be_made() -> None:
    with pytest.raises(Unconserved, match="read 3 records, but 2 rows and 0 rejects"):
        Batch(SPLIT, 0, True, 3, batch(2).rows)
    with pytest.raises(Unconserved):
        batch(2).with_rows(batch(1).rows)


def test_an_empty_batch_is_true() -> None:
    assert batch(0)
    assert len(batch(0)) == 0


@given(st.lists(st.booleans(), max_size=30))
def test_rows_turned_away_are_all_there(guilty: list[bool]) -> None:
    after = batch(len(guilty)).turn_away(pa.array(guilty, pa.bool_()), "validate", "null", "column k: null", ("k",))
    assert after.rows["k"].to_pylist() == [i for i, bad in enumerate(guilty) if not bad]
    assert after.rejected["key"].to_pylist() == [str(i) for i, bad in enumerate(guilty) if bad]
    assert after.rejected["offset"].to_pylist() == [10 * i for i, bad in enumerate(guilty) if bad]
    assert after.read == len(guilty)


@given(st.sets(st.integers(0, 63)), st.integers(0, 64))
def test_halving_names_exactly_the_guilty(guilty: set[int], n: int) -> None:
    calls = 0

    def attempt(rows: pa.RecordBatch) -> list[int]:
        nonlocal calls
        calls += 1
        if guilty & set(rows["k"].to_pylist()):
            raise ValueError("guilty")
        return list(rows["k"].to_pylist())

    pieces = list(halving(batch(n).rows, attempt))
    assert [k for rows, _ in pieces for k in rows["k"].to_pylist()] == list(range(n))
    found = {rows["k"][0].as_py() for rows, result in pieces if isinstance(result, Exception)}
    assert found == {k for k in guilty if k < n}
    assert calls <= 1 + 14 * len(found)


def test_halving_lets_other_errors_through() -> None:
    with pytest.raises(KeyError):
        list(halving(batch(2).rows, lambda rows: rows["no such column"], (ValueError,)))
