"""The three programs of the benchmark do the same work: the same flights, the same predictions."""

from pathlib import Path

import pytest

from benchmarks import row_by_row, streaming_loop
from benchmarks.compare import expect_rows, largest_difference
from benchmarks.flights import write_flights
from benchmarks.prepare import prepare
from benchmarks.programs import DATE, HERE, Work
from highbeam import cli

ROWS = 3000


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    work = Work(tmp_path, shuffled=True)
    for name, value in work.settings(ROWS).items():
        monkeypatch.setenv(name, value)
    prepare(work, ROWS)
    write_flights(work.flights(ROWS), ROWS, work.shuffled)
    return work


def test_all_predict_the_same(work: Work) -> None:
    assert cli.main(["run", str(HERE / "job.yaml"), "--date", DATE, "--json"]) == 0
    streaming_loop.main(str(work.composed), str(work.flights(ROWS)), str(work.output("loop")))
    row_by_row.main(str(work.graph), str(work.packaged), str(work.flights(ROWS)), str(work.output("beam")))
    outputs = {name: work.output(name) for name in ("highbeam", "loop", "beam")}
    for name, output in outputs.items():
        expect_rows(name, output, ROWS)
    assert largest_difference(outputs) <= 1e-6
