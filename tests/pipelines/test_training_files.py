"""Which files an analysis reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from highbeam.pipelines.training_files import training_source, training_splits
from highbeam.schemas.errors import UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import parse_job

JOB = """\
name: t
source: {{csv: {{path: {source}, delimiter: ";"}}, ready: {ready}, split_size: 65536}}
columns: {{x: float32}}
{training}
model: {{path: m}}
output: {{delta: {{path: t}}}}
"""


def job_of(folder: Path, source: str = '"data/{date}.csv"', training: str = "", ready: str = "null") -> Job:
    text = f"training: {{{training}}}" if training else ""
    return parse_job(JOB.format(source=source, training=text, ready=ready), str(folder / "job.yaml"))


def names(folder: Path, job: Job, *dates: Any) -> list[str]:
    source = training_source(job, *(dates or (None, None)))
    return [split.file for split in training_splits(job, source)]


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for day in range(1, 4):
        (tmp_path / "data" / f"2013-01-0{day}.csv").write_text("x\n1\n")
    (tmp_path / "more.csv").write_text("x\n1\n")
    (tmp_path / "all.csv").write_text("x,y\n1,2\n")
    return tmp_path


def test_every_date_of_the_range_is_read_and_a_path_without_date_once(nights: Path) -> None:
    job = job_of(nights, '["data/{date}.csv", more.csv, "data/{date:%Y-%m-%d}.csv"]')
    expected = ["data/2013-01-02.csv", "data/2013-01-03.csv", "more.csv"]
    assert names(nights, job, "2013-01-02", "2013-01-03") == expected


def test_the_training_source_goes_before_the_nightly_one(nights: Path) -> None:
    job = job_of(nights, training="source: {csv: {path: all.csv}}, columns: {y: float32}")
    assert names(nights, job) == ["all.csv"]
    assert training_source(job, None, None).format == "csv"
    assert training_source(job, None, None).split_size == 65536


def test_labels_must_be_in_the_files(nights: Path) -> None:
    job = job_of(nights, training="columns: {y: float32}")
    with pytest.raises(UsageError, match="the header lacks 'y'"):
        names(nights, job, "2013-01-01", "2013-01-01")


@pytest.mark.parametrize(
    ("source", "dates", "message"),
    [
        ('"data/{date}.csv"', (None, None), r"source.csv.path: data/\{date\}.csv names a date; say which with --from"),
        ("all.csv", ("2013-01-01", "2013-01-02"), "source.csv.path names no {date}, so --from and --to choose nothing"),
        ('"data/{date}.csv"', ("2013-01-01", None), "--from needs --to"),
        ('"data/{date}.csv"', (None, "2013-01-01"), "--to needs --from"),
        ('"data/{date}.csv"', ("2013-01-02", "2013-01-01"), "--from 2013-01-02 is after --to 2013-01-01"),
        ('"data/{date}.csv"', ("2013-1-2", "2013-01-03"), "write YYYY-MM-DD"),
        ('"data/{date}.csv"', ("2013-01-03", "2013-01-05"), "2013-01-04.csv: no such file"),
    ],
)
def test_dates_that_choose_nothing_are_refused(nights: Path, source: str, dates: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        names(nights, job_of(nights, source), *dates)


def test_a_night_that_is_not_ready_is_not_analysed(nights: Path) -> None:
    job = job_of(nights, ready='"data/{date}.done"')
    (nights / "data/2013-01-01.done").touch()
    assert names(nights, job, "2013-01-01", "2013-01-01") == ["data/2013-01-01.csv"]
    with pytest.raises(UsageError, match=r"2013-01-02.done: not there"):
        names(nights, job, "2013-01-01", "2013-01-02")
