"""Batches and splits survive the way between two workers, and a slice carries only its own rows."""

from __future__ import annotations

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest

from highbeam.schemas.batch import Batch
from highbeam.schemas.rejected import EMPTY, rejects
from highbeam.schemas.split import Split
from highbeam.transforms.coder import BatchCoder, SplitCoder

SPLIT = Split(3, "/in/a.csv.gz", "a.csv.gz", 100, "m", 7, None, "gzip", ("k", "größe"))


def batch(rows: int, rejected: int) -> Batch:
    words = pa.array(["a", None, "b"] * rows, pa.string()).dictionary_encode()[:rows]
    columns = {
        "k": pa.array(range(rows), pa.int64()),
        "g": words,
        "v": pa.array([[1.0]] * rows, pa.list_(pa.float32())),
    }
    offsets = pa.array(range(rejected), pa.int64())
    gone = rejects("a.csv.gz", offsets, "read", "bad_value", "no") if rejected else EMPTY
    return Batch(SPLIT, 2, True, rows + rejected, pa.record_batch(columns), gone)


@pytest.mark.parametrize(("rows", "rejected"), [(0, 0), (3, 0), (0, 2), (5, 4)])
def test_round_trip(rows: int, rejected: int) -> None:
    before = batch(rows, rejected)
    after = BatchCoder().decode(BatchCoder().encode(before))
    assert (after.split, after.index, after.last, after.read) == (SPLIT, 2, True, rows + rejected)
    assert after.rows.schema == before.rows.schema
    assert after.rows.to_pylist() == before.rows.to_pylist()
    assert after.rejected.equals(before.rejected)


def test_split_round_trip() -> None:
    assert SplitCoder().decode(SplitCoder().encode(SPLIT)) == SPLIT
    assert SplitCoder().is_deterministic()


def test_a_slice_carries_only_its_own_rows() -> None:
    rows = pa.record_batch({"x": np.arange(100_000)})
    part = Batch(SPLIT, 0, True, 10, rows.slice(500, 10))
    assert len(BatchCoder().encode(part)) < 4000
    assert BatchCoder().estimate_size(part) < 4000


def test_beam_uses_the_coders_for_the_types() -> None:
    assert isinstance(beam.coders.registry.get_coder(Batch), BatchCoder)
    assert isinstance(beam.coders.registry.get_coder(Split), SplitCoder)
