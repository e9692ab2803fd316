"""Whether programs did the same work; and that ours do."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.compare import Differs, expect_rows, largest_difference


def write(path: Path, delays: dict[int, float]) -> Path:
    table = pa.table({"delay": pa.array(delays.values(), pa.float32()), "flight_id": list(delays)})
    pq.write_table(table, path)
    return path


def test_order_does_not_matter(tmp_path: Path) -> None:
    left = write(tmp_path / "a.parquet", {1: 0.5, 2: 0.25})
    right = write(tmp_path / "b.parquet", {2: 0.25, 1: 0.5000005})
    assert 0 < largest_difference({"one": left, "other": right}) < 1e-6


@pytest.mark.parametrize(
    ("delays", "message"),
    [
        ({1: 0.5, 2: 0.26}, "flight 2: one predicts 0.25, other 0.2599"),
        ({1: 0.5, 2: float("nan")}, "flight 2: one predicts 0.25, other nan"),
        ({1: 0.5, 3: 0.25}, "one has 2 flights, other 2, and they are not the same ones"),
        ({1: 0.5}, "one has 2 flights, other 1"),
    ],
)
def test_a_difference_is_found(delays: dict[int, float], message: str, tmp_path: Path) -> None:
    outputs = {"one": write(tmp_path / "a.parquet", {1: 0.5, 2: 0.25}), "other": write(tmp_path / "b.parquet", delays)}
    with pytest.raises(Differs, match=message):
        largest_difference(outputs)


def test_shards_count_together(tmp_path: Path) -> None:
    write(tmp_path / "out-00000-of-00002.parquet", {1: 0.5})
    write(tmp_path / "out-00001-of-00002.parquet", {2: 0.5, 3: 0.5})
    expect_rows("it", tmp_path / "out", 3)
    with pytest.raises(Differs, match="it wrote 3 of 4 rows"):
        expect_rows("it", tmp_path / "out", 4)
