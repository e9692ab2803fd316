"""The web-log example from raw lines to a prediction looked up, on small nights."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pytest

import highbeam
from examples.web_log import make_data, train
from highbeam.schemas.layout import layout
from highbeam.transforms.formats.choose import format_of
from highbeam.transforms.plan_splits import plan_splits

HERE = Path(make_data.__file__).parent
REQUESTS = 1500
NIGHT = make_data.NIGHTS[0]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> highbeam.Job:
    """The example in a folder of its own, with its data."""
    folder = tmp_path_factory.mktemp("web_log")
    for file in ("job.yaml", "preprocessing.py"):
        shutil.copy(HERE / file, folder)
    make_data.make(folder / "work", REQUESTS)
    return highbeam.load_job(str(folder))


@pytest.fixture(scope="module")
def night(job: highbeam.Job) -> Iterator[Any]:
    """The manifest of a night that was scored with a model trained on the history."""
    work = Path(job.folder) / "work"
    highbeam.analyze(job, examples=str(work / "examples"))
    features, labels = train.read_examples(work / "examples")
    model = train.build(features)
    assert train.fit(model, features, labels, epochs=4) > 0.9
    train.export(model, work / "trained")
    highbeam.package(job, str(work / "trained"))
    yield highbeam.run(job, NIGHT)
    gc.freeze()  # what analysis leaves behind crashes the collector when the interpreter ends


def test_what_is_right_already_is_not_written_again(job: highbeam.Job) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(job.folder).glob("work/**/*.log")}
    make_data.make(Path(job.folder) / "work", REQUESTS)
    assert len(before) == len(make_data.NIGHTS) + len(make_data.HISTORY)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_history_says_what_the_generator_says(job: highbeam.Job) -> None:
    assert job.training is not None
    assert job.training.source is not None
    source = highbeam.load_job(job.folder, [f"source.log.path=work/history/{make_data.HISTORY[0]}.log"]).source
    source = source.model_copy(update=job.training.source.at(source.files.path))
    rows = [
        batch.rows
        for split in plan_splits(source, job.training_contract, job.folder, None)
        for batch in format_of(source).read(split, job.training_contract, 1 << 20)
    ]
    expected = make_data.requests_of(make_data.HISTORY[0], REQUESTS)
    found = pa.Table.from_batches(rows).select(["host", "status", "bytes", "bot"]).to_pylist()
    assert found == [{"host": r.host, "status": r.status, "bytes": r.size, "bot": int(r.bot)} for r in expected]


def test_only_the_damaged_lines_are_turned_away(job: highbeam.Job, night: Any) -> None:
    assert (night.status, night.read, night.predicted) == ("published", REQUESTS, REQUESTS - len(make_data.DAMAGES))
    rejects = [row for batch in highbeam.rejects(job, NIGHT) for row in batch.to_pylist()]
    assert [row["reason"] for row in sorted(rejects, key=lambda row: row["offset"])] == [
        "no_match", "bad_value", "not_utf8", "no_match",
    ]  # fmt: skip
    lines = (Path(job.folder) / "work" / "logs" / NIGHT / "access.log").read_bytes()
    assert all(lines[row["offset"] :].split(b"\n")[0] == row["raw"] for row in rejects)


def test_bots_score_higher_than_people(job: highbeam.Job, night: Any) -> None:
    table = polars.read_delta(layout(job).table).sort("_offset")
    lines = (Path(job.folder) / "work" / "logs" / NIGHT / "access.log").read_bytes().split(b"\n")[:-1]
    offsets = np.cumsum([0, *(len(line) + 1 for line in lines)])[:-1]
    bots = np.array([request.bot for request in make_data.requests_of(NIGHT, REQUESTS)])
    bots = bots[np.isin(offsets, table["_offset"].to_numpy())]
    scores = table["bot"].to_numpy()
    assert len(scores) == night.predicted
    assert scores[bots].mean() > scores[~bots].mean() + 0.4


def test_a_request_is_found_by_address_and_time_garbage_too(job: highbeam.Job, night: Any) -> None:
    table = polars.read_delta(layout(job).table)
    knock = table.filter(polars.col("method") == "-").row(0, named=True)
    key = {"host": knock["host"], "time": knock["time"]}
    found = highbeam.lookup(job, [key], NIGHT).to_pylist()
    assert knock["_offset"] in [row["_offset"] for row in found]
    assert {(row["host"], row["time"]) for row in found} == {(knock["host"], knock["time"])}
    assert [row["path"] for row in found if row["_offset"] == knock["_offset"]] == ["-"]


def test_the_readme_names_every_file_of_the_example() -> None:
    readme = (HERE / "README.md").read_text("utf-8")
    files = {path.name for path in HERE.iterdir() if path.suffix in (".py", ".yaml")}
    assert all(f"`{file}`" in readme for file in files)
