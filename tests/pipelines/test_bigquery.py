"""Whole runs that publish to BigQuery, an emulator of it: see tests/support/bigquery_emulator.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

import highbeam
from highbeam.cli import main
from highbeam.pipelines import planning
from highbeam.schemas.job import Job
from highbeam.transforms.tables import bigquery_told

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, shuffled, write_night

N, DIRTY = 3000, 20
NOBODY = "http://localhost:1"


def job_of(folder: Path, warehouse: Warehouse, *overrides: str, model: bool = False, text: str = JOB) -> Job:
    text = text.replace("delta: {path: table}", f"bigquery: {{table: {warehouse.table}}}") + "state: state\n"
    return make_job(folder, text, model, overrides)


@pytest.fixture
def job(tmp_path: Path, warehouse: Warehouse) -> Job:
    """A night of which 20 rows hold the letter q, which no job but a mended one knows."""
    lines = csv_lines(shuffled(N))
    for place in range(DIRTY):
        k, _, x = lines[place].split(",")
        lines[place] = f"{k},q,{x}"
    write_night(tmp_path, lines)
    return job_of(tmp_path, warehouse, model=True)


def test_a_night_goes_in_is_found_and_replayed(
    job: Job, warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = highbeam.run(job, DAY)
    assert (first.status, first.output, first.rejected) == ("published", warehouse.table, DIRTY)
    held = "SELECT COUNT(*), COUNT(DISTINCT k), MIN(_run_id), MAX(_run_id), MIN(date) FROM $t"
    assert warehouse.ask(held)[0][:4] == (N - DIRTY, N - DIRTY, first.run_id, first.run_id)
    assert warehouse.ask(f"SELECT COUNT(*), MIN(run_id) FROM `{warehouse.table}_rejected`") == [(DIRTY, first.run_id)]
    assert highbeam.run(job, DAY).status == "already_published"
    assert len([run for run in warehouse.jobs() if run.destination.table_id.startswith("scores$")]) == 1

    k = warehouse.ask("SELECT MAX(k) FROM $t")[0][0]
    found = highbeam.lookup(job, [k, -1]).to_pylist()
    assert [(row["k"], row["y"], row["g"], row["date"]) for row in found] == [(k, 2 * k / 4 + 1, "abc"[k % 3], DAY)]
    assert main(["lookup", job.folder, str(k), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["found"], printed["row"]["k"]) == (True, k)

    save_model(tmp_path, 2, factor=3.0)
    text = JOB.replace("[a, b, c]", "[a, b, c, q]")
    mended = job_of(tmp_path, warehouse, "model.version=published", text=text)
    replayed = highbeam.replay(mended, DAY)
    assert (replayed.status, replayed.attempt, replayed.predicted, replayed.rejected) == ("published", 2, N, 0)
    assert replayed.model["version"] == "1"
    assert warehouse.ask(held)[0][:4] == (N, N, first.run_id, replayed.run_id)
    assert warehouse.ask(f"SELECT COUNT(*) FROM `{warehouse.table}_rejected`") == [(0,)]
    assert highbeam.run(mended, DAY).status == "already_published"
    assert [ran.current for ran in highbeam.runs(mended)][-1]


def test_a_refused_and_a_dry_run_leave_the_table_alone(job: Job, warehouse: Warehouse, tmp_path: Path) -> None:
    strict = job_of(tmp_path, warehouse, "rejects.max_fraction=0")
    assert highbeam.run(strict, DAY, dry_run=True).exit_code == 3
    assert list(warehouse.client.list_tables(warehouse.dataset)) == []
    assert highbeam.run(strict, DAY).status == "refused"
    assert [table.table_id for table in warehouse.client.list_tables(warehouse.dataset)] == ["scores_rejected"]
    warehouse.proxy.lose("POST /upload")
    assert highbeam.run(job, DAY).status == "published"
    assert warehouse.ask("SELECT COUNT(*) FROM $t") == [(N - DIRTY,)]


def test_commands_end_in_a_line_where_bigquery_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_night(tmp_path, csv_lines(shuffled(9)))
    text = JOB.replace("delta: {path: table}", "bigquery: {table: p.d.t}") + "state: state\n"
    make_job(tmp_path, text, True)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", NOBODY)
    monkeypatch.setattr(bigquery_told, "PATIENCE", 0.2)
    for command in (["check"], ["run", "--date", DAY], ["lookup", "1"]):
        assert main([command[0], str(tmp_path), *command[1:]]) == 2
        said = capsys.readouterr().err.strip()
        assert f"p.d.t: BigQuery cannot be reached at {NOBODY}" in said
        assert "Traceback" not in said
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("what", ["permission", "outage"])
def test_a_publication_that_fails_is_told_in_a_line_and_made_up_for(
    what: str, job: Job, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_plan = planning.make_plan

    def then_fail(*arguments: Any) -> Any:
        planned = make_plan(*arguments)
        if what == "outage":
            monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", NOBODY)
            monkeypatch.setattr(bigquery_told, "PATIENCE", 0.2)
            monkeypatch.setattr(bigquery.DEFAULT_RETRY, "_timeout", 1.0)
        warehouse.proxy.refuse("POST /upload", (403, "accessDenied", "Access Denied: bigquery.tables.updateData"))
        return planned

    monkeypatch.setattr("highbeam.pipelines.run.make_plan", then_fail)
    failed = highbeam.run(job, DAY)
    assert (failed.status, failed.exit_code) == ("failed", 1)
    assert {"permission": "ask for the roles BigQuery Data Editor", "outage": "scored again"}[what] in failed.message
    assert "\n" not in failed.message
    assert "Traceback" not in capfd.readouterr().err

    monkeypatch.undo()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", warehouse.proxy.address)
    warehouse.proxy.hand_on()
    again = highbeam.run(job, DAY)
    assert (again.status, again.predicted, again.attempt) == ("published", N - DIRTY, 1)
    assert warehouse.ask("SELECT COUNT(*) FROM $t") == [(N - DIRTY,)]
