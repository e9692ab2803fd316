"""Commits to a table in a bucket, several at once."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from highbeam import storage

from tests.support.nights import B, publish, rows, write

DAYS = [str(date(2026, 1, 1) + timedelta(n)) for n in range(6)]


@pytest.mark.parametrize("service", ["bucket", "gcs_bucket"])
def test_nights_published_at_once_all_stand_though_there_is_no_table_yet(
    service: str, request: pytest.FixtureRequest
) -> None:
    path = f"{request.getfixturevalue(service)}/{uuid.uuid4().hex}"
    nights = [write(path, rows(n + 1), date=day) for n, day in enumerate(DAYS)]
    gate = Barrier(len(DAYS))

    def commit(number: int) -> None:
        gate.wait()
        nights[number].commit(path)

    with ThreadPoolExecutor(len(DAYS)) as pool:
        list(pool.map(commit, range(len(DAYS))))
    publish(path, rows(7), date=DAYS[0], attempt=2, score_id=B)
    table = DeltaTable(path, storage_options=storage.delta_options(path))
    held = {each["values"]: each["counts"] for each in pc.value_counts(table.to_pyarrow_table()["date"]).to_pylist()}
    assert held == {DAYS[0]: 7, **{day: n + 1 for n, day in enumerate(DAYS) if n}}
    assert table.version() == 1 + len(DAYS)
