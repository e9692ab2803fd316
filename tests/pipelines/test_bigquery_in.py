"""Whole runs over rows of BigQuery, read from an emulator of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import highbeam
from highbeam.cli import main
from highbeam.pipelines import planning
from highbeam.schemas.job import Job

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_storage import DAY, StorageProxy, flights_of, reading
from tests.support.bigquery_storage import reads as reads
from tests.support.jobs import JOB
from tests.support.replays import published

N = 5000


@pytest.fixture
def job(warehouse: Warehouse, reads: StorageProxy, tmp_path: Path) -> Job:
    """Of a table of three streams."""
    return reading(tmp_path, f"{{table: {flights_of(warehouse, N)}}}")


def over(job: Job) -> None:
    """Lets the time of all kept sessions be up."""
    for path in (Path(job.folder) / "table/_highbeam/sessions" / DAY).glob("*"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "expires": 0}))


def test_a_night_is_published_once(job: Job, warehouse: Warehouse, reads: StorageProxy) -> None:
    first = highbeam.run(job, DAY)
    assert (first.status, first.read, first.splits, first.rejected) == ("published", N, 3, 0)
    rows = published(job, ["k", "y", "_file", "_offset"])
    assert rows["k"].to_pylist() == list(range(N))
    assert rows["y"].to_pylist()[8] == 2 * 8 / 4 + 1
    table = f"bigquery://{warehouse.dataset}.night"
    assert rows.slice(4000, 1).to_pylist()[0] == {
        "k": 4000,
        "y": 2001,
        "_file": f"{table}/streams/0002",
        "_offset": 667,
    }
    over(job)
    assert highbeam.run(job, DAY).status == "already_published"
    assert len(reads.made) == 1

    forced = highbeam.run(job, DAY, force=True)
    assert (forced.status, forced.attempt, len(reads.made)) == ("published", 2, 2)
    assert published(job, ["k", "_file"]).equals(rows.select(["k", "_file"]))
    warehouse.ask(f"DELETE FROM `{warehouse.dataset}.night` WHERE k < 4500")
    changed = highbeam.run(job, DAY)
    assert (changed.status, changed.attempt, changed.read) == ("published", 3, N - 4500)


def test_a_table_that_changes_under_the_run(job: Job, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    make_plan = planning.make_plan

    def then_change(*arguments: Any) -> Any:
        planned = make_plan(*arguments)
        warehouse.ask(f"DELETE FROM `{warehouse.dataset}.night` WHERE k < 4500")
        warehouse.ask(f"ALTER TABLE `{warehouse.dataset}.night` RENAME COLUMN g TO gone")
        return planned

    monkeypatch.setattr("highbeam.pipelines.run.make_plan", then_change)
    manifest = highbeam.run(job, DAY)
    assert (manifest.status, manifest.read, manifest.rejected) == ("published", N, 0)


def test_a_run_that_broke_off_goes_on(job: Job, warehouse: Warehouse, reads: StorageProxy) -> None:
    reads.gone_after = 1
    refused = highbeam.run(job, DAY, beam_flags=["--direct_num_workers=1"])
    assert (refused.status, refused.reason, refused.exit_code) == ("refused", "input_changed", 3)
    assert "its read session is gone (session expired)" in refused.message
    reads.gone_after, reads.breaks = None, [N, 500]
    reads.read.clear()
    whole = highbeam.run(job, DAY, beam_flags=["--direct_num_workers=1"])
    assert (whole.status, whole.read, len(reads.made)) == ("published", N, 1)
    first, *others = [(name.rpartition("/")[2], offset) for name, offset in reads.read]
    assert first == ("0", 0)  # whether the session still lives
    assert others == [("1", 0), ("1", 485), ("2", 0)]  # and 0 was staged
    assert published(job, ["k"])["k"].to_pylist() == list(range(N))


def test_streams_of_two_sessions_are_never_mixed(job: Job, reads: StorageProxy) -> None:
    reads.gone_after = 1
    first = highbeam.run(job, DAY, beam_flags=["--direct_num_workers=1"])
    over(job)
    reads.gone_after = None
    reads.read.clear()
    second = highbeam.run(job, DAY)
    assert (second.status, second.read, len(reads.made)) == ("published", N, 2)
    assert second.score_id != first.score_id
    assert len(reads.read) == 3


def test_rejected_rows_are_shown_mended_and_replayed(
    warehouse: Warehouse, reads: StorageProxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = flights_of(warehouse, N, dirty=100)
    job = reading(tmp_path, f"{{table: {table}}}", overrides=["rejects.max_fraction=0.5"])
    first = highbeam.run(job, DAY)
    assert (first.status, first.rejected) == ("published", N // 100)
    assert main(["rejects", job.folder, "--date", DAY]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"bigquery://{table}/streams/0000 at row 7: validate: not_in_values: column g: 'q'")
    assert json.loads(shown[1]) == {"k": 7, "g": "q", "x": 1.75}

    over(job)  # what was rejected can be scored without the table
    warehouse.ask(f"DROP TABLE `{table}`")
    mended = reading(tmp_path, f"{{table: {table}}}", False, JOB.replace("[a, b, c]", "[a, b, c, q]"))
    replayed = highbeam.replay(mended, DAY)
    assert (replayed.status, replayed.predicted, replayed.rejected) == ("published", N, 0)
    assert published(mended, ["k"])["k"].to_pylist() == list(range(N))
    (row,) = highbeam.lookup(mended, [107]).to_pylist()
    assert (row["g"], row["y"], row["_offset"]) == ("q", 2 * 107 / 4 + 1, 107)


def test_a_query_from_check_to_the_table(
    warehouse: Warehouse, reads: StorageProxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = f"SELECT k, g, x FROM `{flights_of(warehouse, N)}` WHERE day = @date AND k < 100"
    job = reading(tmp_path, f"{{query: '{query}', project: demo}}")
    assert main(["check", job.folder, "--date", DAY, "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)["warehouse"]
    assert (seen["name"], seen["rows"], seen["streams"]) == ("source.bigquery.query", None, None)
    dry = highbeam.run(job, DAY, dry_run=True, limit=10)
    assert (dry.status, dry.read) == ("dry_run", 10)
    assert not (tmp_path / "table").exists()
    assert highbeam.run(job, DAY).predicted == 100
    assert highbeam.run(job, "2013-12-02").reason == "too_few_rows"
    assert main(["check", job.folder, "--date", DAY, "--set", "source.bigquery.query=SELECT 1 AS k"]) == 2
    said = capsys.readouterr().err
    assert "source.bigquery.query: lacks 'g'; it has k" in said
