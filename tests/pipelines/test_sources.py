"""The same rows as any kind of file: the same keys in the same order, and the same predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
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
