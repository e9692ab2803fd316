"""The same rows as any kind of file: the same keys in the same order, and the same predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import highbeam
from highbeam.schemas.layout import layout

from tests.support.jobs import DAY, JOB, make_job, save_model, shuffled
from tests.support.sources import KINDS

N = 20_000
FILES = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    save_model(folder, 1)
    return folder


def night() -> pa.Table:
    keys = np.array(shuffled(N))
    names = np.array(["a", "b", "c"])[keys % 3]
    return pa.table({"k": keys, "g": names, "x": pa.array(keys / 4, pa.float32())})


def published(folder: Path, kind: str) -> pa.Table:
    """Writes the night as one kind of file, runs, and gives what the table holds, in its order."""
    source, ending, write = KINDS[kind]
    data = folder / ending / "data" / DAY
    data.mkdir(parents=True)
    rows = night()
    for number in range(FILES):
        write(rows.slice(number * N // FILES, N // FILES), data / f"{number}.{ending}")
    text = JOB.replace('csv: {path: "data/{date}/*.csv"}', f'{source}: {{path: "{ending}/data/{{date}}/*.{ending}"}}')
    job = make_job(folder, text, model=False, overrides=[f"output.delta.path={ending}/table"])
    manifest = highbeam.run(job, DAY)
    assert (manifest.status, manifest.read, manifest.predicted) == ("published", N, N), manifest.message
    return DeltaTable(layout(job).table).to_pyarrow_table(columns=["k", "g", "y"])


@pytest.fixture(scope="module")
def expected(folder: Path) -> pa.Table:
    return published(folder, "CSV")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "CSV"])
def test_the_same_rows_give_the_same_table(folder: Path, expected: pa.Table, kind: str) -> None:
    found = published(folder, kind)
    assert found.drop_columns(["y"]).equals(expected.drop_columns(["y"]))
    np.testing.assert_allclose(found["y"].to_numpy(), expected["y"].to_numpy(), rtol=1e-6)
    assert expected["k"].to_pylist() == list(range(N))


@pytest.mark.parametrize("damaged", [False, True])
def test_a_column_that_nobody_asks_for_may_end_a_night_only_if_it_cannot_be_read(folder: Path, damaged: bool) -> None:
    """A rejected row is shown whole, so that column is read then; a time beyond Python's is no reason to fail."""
    path = folder / f"unasked-{damaged}" / DAY / "a.parquet"
    path.parent.mkdir(parents=True)
    odd = pa.array([1_385_900_000_000_000_000] * 99 + [0], pa.int64()).view(pa.timestamp("us", "UTC"))
    rows = pa.table({"k": range(100), "g": ["a"] * 100, "x": pa.array([-1.0] + [1.0] * 99, pa.float32()), "odd": odd})
    pq.write_table(rows, path, write_page_checksum=True, compression="none", use_dictionary=False)
    if damaged:
        content = bytearray(path.read_bytes())
        content[pq.ParquetFile(path).metadata.row_group(0).column(3).data_page_offset + 300] ^= 255
        path.write_bytes(content)
    text = JOB.replace('csv: {path: "data/{date}/*.csv"}', f'parquet: {{path: "{path.parent.parent.name}/{{date}}/*"}}')
    more = [f"output.delta.path={path.parent.parent.name}/table", "rejects.max_fraction=0.5"]
    manifest = highbeam.run(make_job(folder, text, model=False, overrides=more), DAY)
    if damaged:
        assert (manifest.status, manifest.reason, manifest.exit_code) == ("refused", "unreadable_input", 3)
        assert "a.parquet: cannot be read" in manifest.message
    else:
        assert (manifest.status, manifest.predicted, manifest.rejected) == ("published", 99, 1), manifest.message
