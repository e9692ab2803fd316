"""Analysis of rows of BigQuery, read from an emulator of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from highbeam.cli import main
from highbeam.pipelines.training_files import training_source, training_splits
from highbeam.schemas.errors import InputChanged, JobError, UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.split import Split
from highbeam.transforms.read_training import read_training, refusal

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_storage import DAY, StorageProxy, reading
from tests.support.bigquery_storage import reads as reads
from tests.support.jobs import JOB

NEXT, LATER = "2013-12-02", "2013-12-03"
PREPROCESSING = """\
import tensorflow as tf
import tensorflow_transform as tft


def preprocessing_fn(inputs):
    return {
        "k": inputs["k"],
        "x": tft.scale_to_z_score(inputs["x"]),
        "g": tft.compute_and_apply_vocabulary(inputs["g"], vocab_filename="g"),
        "late": inputs["late"],
    }
"""
MORE = """\
transform: {{preprocessing_fn: "preprocessing.py:preprocessing_fn", path: transforms}}
training: {{{source}columns: {{late: {{type: float32, from: minutes}}}}}}
"""


NIGHTLY = "{{table: {0}, where: \"day = '{{date}}'\"}}"
SIZES = {DAY: 2000, NEXT: 900, LATER: 10}


def rows_of(day: str, count: int) -> str:
    """Query of a day's rows, of which every fiftieth breaks the contract; no two days have the same keys."""
    first = 10_000 * int(day[-1])
    return (
        "SELECT k, IF(MOD(k, 50) = 7, 'q', SUBSTR('abbccc', MOD(k, 6) + 1, 1)) AS g, MOD(k, 40) / 4 AS x, "
        f"MOD(k, 90) / 4 AS minutes, DATE '{day}' AS day FROM UNNEST(GENERATE_ARRAY({first}, {first + count - 1})) AS k"
    )


def sound(*days: str) -> list[int]:
    """The keys of the rows of some days that keep the contract."""
    firsts = {day: 10_000 * int(day[-1]) for day in days}
    return [k for day, first in firsts.items() for k in range(first, first + SIZES[day]) if k % 50 != 7]


@pytest.fixture
def table(warehouse: Warehouse, reads: StorageProxy) -> str:
    """Three days."""
    name = f"{warehouse.dataset}.flights"
    days = " UNION ALL ".join(rows_of(day, count) for day, count in SIZES.items())
    warehouse.ask(f"CREATE TABLE `{name}` AS {days}")
    return name


def job_of(folder: Path, nightly: str, training: str = "", overrides: Sequence[str] = ()) -> Job:
    """A job without a model; the sources are what follows `bigquery:`."""
    source = f"source: {{bigquery: {training}}}, " if training else ""
    folder.mkdir(exist_ok=True)
    (folder / "preprocessing.py").write_text(PREPROCESSING)
    return reading(folder, nightly, False, JOB + MORE.format(source=source), overrides)


def splits_of(job: Job, *dates: str) -> list[Split]:
    first, last = dates or (None, None)
    return training_splits(job, training_source(job, first, last), first, last)


def keys(job: Job, splits: Sequence[Split]) -> list[int]:
    """The keys of the rows that keep the contract, in order."""
    how = (job.source, job.training_contract, job.folder)
    batches = [batch for split in splits for batch in read_training(split, *how)]
    return sorted(key for batch in batches for key in batch.rows["k"].to_pylist())


def analyzed(folder: Path, capsys: pytest.CaptureFixture[str], *dates: str) -> dict[str, Any]:
    """What the command says of an analysis that writes examples."""
    wide = ["--set", "rejects.max_fraction=0.1"]
    status = main(["analyze", str(folder), *dates, *wide, "--examples", str(folder / "examples"), "--json"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    found: dict[str, Any] = json.loads(printed.out)
    return found


def test_features_are_those_of_the_same_rows_in_files(
    table: str, warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job_of(tmp_path / "rows", NIGHTLY.format(table))
    rows = analyzed(tmp_path / "rows", capsys, "--from", DAY, "--to", NEXT)

    folder = tmp_path / "files"
    job_of(folder, "{table: a.b.c}")
    (folder / "job.yaml").write_text(JOB.replace("data/{date}/*.csv", "all.csv") + MORE.format(source=""))
    held = warehouse.ask(f"SELECT k, g, x, minutes FROM `{table}` WHERE day < '{LATER}'")
    lines = [",".join(map(str, row)) for row in held]
    (folder / "all.csv").write_text("\n".join(["k,g,x,minutes", *lines]) + "\n")
    files = analyzed(folder, capsys)

    for name in ("read", "analysed", "rejected", "vocabularies"):
        assert rows[name] == files[name]
    assert (rows["read"], rows["rejected"], rows["kept"]) == (2900, {"not_in_values": 58}, 0)
    assert (rows["files"], rows["streams"], files["files"], files["streams"]) == (0, 2, 1, 0)
    found, wanted = (pq.read_table(tmp_path / name / "examples").sort_by("k") for name in ("rows", "files"))
    assert found["k"].to_pylist() == sound(DAY, NEXT)
    assert found.schema == wanted.schema
    for name in wanted.column_names:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-6)
    assert not (tmp_path / "rows/transforms/_cache").exists()  # nothing is kept


def test_nights_of_one_table_are_one_session_of_one_instant(
    table: str, warehouse: Warehouse, reads: StorageProxy, tmp_path: Path
) -> None:
    job = job_of(tmp_path, NIGHTLY.format(table))
    splits = splits_of(job, DAY, LATER)
    assert [split.number for split in splits] == list(range(len(splits)))
    (made,) = (request.read_session for request in reads.made)
    assert made.read_options.row_restriction == f"(day = '{DAY}') OR (day = '{NEXT}') OR (day = '{LATER}')"
    assert sorted(made.read_options.selected_fields) == ["g", "k", "minutes", "x"]
    warehouse.ask(f"DELETE FROM `{table}` WHERE day = '{NEXT}'")
    assert keys(job, splits) == sound(DAY, NEXT, LATER)
    assert keys(job, splits_of(job, NEXT, LATER)) == sound(LATER)
    assert splits_of(job, NEXT, NEXT) == []


def test_every_night_has_its_table_or_its_query(
    table: str, warehouse: Warehouse, reads: StorageProxy, tmp_path: Path
) -> None:
    for day in (NEXT, LATER):
        warehouse.ask(f"CREATE TABLE `{table}_{day.replace('-', '')}` AS SELECT * FROM `{table}` WHERE day = '{day}'")
    tables = job_of(tmp_path, f"{{table: '{table}_{{date:%Y%m%d}}', where: x < 99}}")
    splits = splits_of(tables, NEXT, LATER)
    assert keys(tables, splits) == sound(NEXT, LATER)
    assert {split.file.split("/")[2] for split in splits} == {f"{table}_20131202", f"{table}_20131203"}
    assert len(reads.made) == 2
    queries = job_of(tmp_path, f"{{query: 'SELECT * FROM `{table}` WHERE day = @date', project: demo}}")
    splits = splits_of(queries, NEXT, LATER)
    assert keys(queries, splits) == sound(NEXT, LATER)
    assert len({split.id for split in splits}) == len(splits)


def test_the_training_source_goes_before_the_nightly_one(table: str, reads: StorageProxy, tmp_path: Path) -> None:
    whole = job_of(tmp_path, "{table: demo.no.table}", f"{{table: {table}}}")
    assert keys(whole, splits_of(whole)) == sound(DAY, NEXT, LATER)
    query = f"{{query: \"SELECT * FROM `{table}` WHERE day < '{NEXT}'\", project: demo}}"
    undated = job_of(tmp_path, "{table: demo.no.table}", query)
    assert keys(undated, splits_of(undated)) == sound(DAY)
    dated = job_of(tmp_path, "{table: demo.no.table}", NIGHTLY.format(table))
    assert keys(dated, splits_of(dated, NEXT, NEXT)) == sound(NEXT)


TRAINING = "training.source.bigquery"
WRONG = {
    "{table: $t_nix}": r"$t_nix: .*[Nn]ot found.*; correct the name, or wait for the table",
    "{table: $t, where: nix = 1}": rf"$t: BigQuery says: .*; correct {TRAINING}.where",
    "{query: SELECT nix FROM `$t`, project: demo}": rf"Unrecognized name: nix; correct {TRAINING}.query",
    "{query: SELECT k FROM `$t`, project: demo}": rf"{TRAINING}.query: lacks 'minutes' for column late",
    "{table: '$t_{date}'}": rf"^{TRAINING}.table names a date; say which with --from D --to D$",
    "{query: SELECT @DATE, project: demo}": rf"^{TRAINING}.query names a date; say which",
}


def test_what_cannot_be_read_is_told_before(table: str, reads: StorageProxy, tmp_path: Path) -> None:
    for source, said in WRONG.items():
        job = job_of(tmp_path, "{table: demo.no.table}", source.replace("$t", table))
        with pytest.raises(UsageError, match=said.replace("$t", table)):
            splits_of(job)


def test_every_night_that_is_missing_is_told_at_once(table: str, reads: StorageProxy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"_20131201: .*\n.*_20131202: .*"):
        splits_of(job_of(tmp_path, f"{{table: '{table}_{{date:%Y%m%d}}'}}"), DAY, NEXT)
    with pytest.raises(UsageError, match=r"source.bigquery.where names a date; say which .*, or give training.source"):
        splits_of(job_of(tmp_path, NIGHTLY.format(table)))
    with pytest.raises(UsageError, match=r"source.bigquery names no \{date\}, so --from and --to choose nothing"):
        splits_of(job_of(tmp_path, f"{{query: 'SELECT @@date FROM `{table}`', project: demo}}"), DAY, NEXT)
    reads.denied = True
    with pytest.raises(UsageError, match=r"readsessions.create; ask for the roles BigQuery Data Viewer"):
        splits_of(job_of(tmp_path, NIGHTLY.format(table)), DAY, DAY)
    with pytest.raises(JobError, match=rf"{TRAINING}.table: write project.dataset.name, found flights"):
        job_of(tmp_path, "{table: a.b.c}", "{table: flights}")


def test_a_session_that_ends_is_noted_for_the_refusal(table: str, reads: StorageProxy, tmp_path: Path) -> None:
    job = job_of(tmp_path, NIGHTLY.format(table))
    (split,) = splits_of(job, LATER, LATER)
    reads.gone = True
    with pytest.raises(InputChanged, match="its read session is gone"):
        list(read_training(split, job.source, job.training_contract, str(tmp_path / "notes")))
    noted = refusal(str(tmp_path / "notes"))
    assert noted
    assert noted.reason == "input_changed"


def test_no_row_is_told_as_with_files(table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job_of(tmp_path, NIGHTLY.format(table))
    assert main(["analyze", str(tmp_path), "--from", "2013-12-04", "--to", "2013-12-05"]) == 2
    assert capsys.readouterr().err == "highbeam: nothing to analyze: BigQuery has no such row\n"
