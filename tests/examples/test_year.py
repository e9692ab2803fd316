"""The whole year of flights: none is lost, each is predicted as the model predicts it, and alike by every runner."""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
import tensorflow as tf
import tensorflow_transform as tft

import highbeam
from examples.flight_delay import make_data, train
from highbeam.models.specs import feature_spec
from highbeam.schemas.job import Job
from highbeam.schemas.layout import layout

from tests.support.flink import Cluster, needs_flink
from tests.support.namespaces import needs_namespaces
from tests.support.spark import needs_spark

HERE = Path(make_data.__file__).parent
PAGE = HERE.parents[1] / "docs" / "runners.md"
FLIGHTS = 336_776
BROKEN = 12
DAMAGED = "2013-12-01"
DAY = "2013-12-31"
SETTINGS = ["source.csv.path=work/data/*/flights.csv", "training.source.csv.path=work/history/2013-01.csv"]
PRISM = os.environ.get("HIGHBEAM_PRISM", "")
needs_prism = pytest.mark.skipif(not PRISM, reason="HIGHBEAM_PRISM does not name Beam's Prism runner")
cluster = pytest.mark.cluster

# What the page calls a runner, and its flags, or the fixture that gives them; Beam's own is the one to compare with.
RUNNERS: dict[str, list[str] | str] = {
    "Prism": ["--runner=PrismRunner", f"--prism_location={PRISM}"],
    "Flink, local": "flink_local",
    "Flink, cluster": "flink_cluster",
    "Flink, cluster of two machines": "flink_machines",
    "Spark, local": "spark_local",
}
NEEDS = {
    "Prism": [needs_prism],
    "Flink, local": [needs_flink, cluster],
    "Flink, cluster": [needs_flink, cluster],
    "Flink, cluster of two machines": [needs_flink, needs_namespaces, cluster],
    "Spark, local": [needs_spark, cluster],
}


@dataclass(frozen=True)
class Year:
    """One run over all 365 files: the job, its manifest, digests of the data files by name, and the rejects."""

    job: Job
    manifest: Any
    files: dict[str, str]
    rejects: list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example with a year of data, some rows broken, and a model trained on January."""
    folder = tmp_path_factory.mktemp("year")
    for file in ("job.yaml", "preprocessing.py"):
        shutil.copy(HERE / file, folder)
    make_data.make(folder / "work", BROKEN, DAMAGED)
    job = highbeam.load_job(str(folder), SETTINGS)
    highbeam.analyze(job, examples=str(folder / "work/examples"))
    features, labels = train.read_examples(folder / "work/examples")
    model = train.build(features)
    model.compile("adam", "binary_crossentropy")
    model.fit(features, labels, batch_size=4096, epochs=1, verbose=0)
    train.export(model, folder / "work/trained")
    highbeam.package(job, str(folder / "work/trained"))
    yield folder
    gc.freeze()


def run(folder: Path, table: str, *flags: str) -> Year:
    """Runs into a table of its own."""
    job = highbeam.load_job(str(folder), [*SETTINGS, f"output.delta.path=tables/{table}"])
    manifest = highbeam.run(job, DAY, beam_flags=flags)
    assert manifest.status == "published", manifest.message
    files = {path.name: path.read_bytes() for path in Path(layout(job).table).glob("date=*/*.parquet")}
    assert set(files) == {file.rpartition("/")[2] for file in manifest.files}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return Year(job, manifest, digests, highbeam.rejects(job, DAY).read_all().to_pylist())


@pytest.fixture(scope="module")
def year(folder: Path) -> Year:
    return run(folder, "expected")


def counts(manifest: Any) -> tuple[int, int, int]:
    return manifest.read, manifest.predicted, manifest.rejected


def line(runner: str) -> str:
    """The runner's line of the page."""
    return f"| {runner} | flights | {FLIGHTS:,} | {FLIGHTS - BROKEN:,} | {BROKEN} | the same |"


def test_no_flight_is_lost(year: Year) -> None:
    assert counts(year.manifest) == (FLIGHTS, FLIGHTS - BROKEN, BROKEN)
    reasons = Counter(row["reason"] for row in year.rejects)
    assert reasons == dict.fromkeys(("bad_value", "wrong_field_count", "unbalanced_quote", "not_in_values"), 3)
    assert {row["file"] for row in year.rejects} == {f"work/data/{DAMAGED}/flights.csv"}
    assert line("FnApiRunner") in PAGE.read_text("utf-8")


@pytest.mark.parametrize("runner", [pytest.param(runner, marks=NEEDS[runner]) for runner in RUNNERS])
def test_every_runner_gives_the_same(folder: Path, year: Year, runner: str, request: pytest.FixtureRequest) -> None:
    flags = RUNNERS[runner]
    made = request.getfixturevalue(flags) if isinstance(flags, str) else flags
    started = workers(made)
    again = run(folder, str(list(RUNNERS).index(runner)), *(made.flags() if isinstance(made, Cluster) else made))
    assert counts(again.manifest) == counts(year.manifest)
    assert again.files == year.files
    assert again.rejects == year.rejects
    assert [after - before for before, after in zip(started, workers(made), strict=True)] == [1] * len(started)
    assert line(runner) in PAGE.read_text("utf-8")


def workers(made: Cluster | list[str]) -> list[int]:
    """How many workers each machine of a cluster has started; nothing of a runner that has none of its own."""
    return [made.workers(machine) for machine in made.machines or [""]] if isinstance(made, Cluster) else []


def test_every_prediction_is_the_models_own(year: Year) -> None:
    """The months hold the same flights as the nights, none of them broken."""
    months = [pyarrow.csv.read_csv(path) for path in sorted(Path(year.job.folder).glob("work/history/*.csv"))]
    flights = joined(year.job, pa.concat_tables(months, promote_options="permissive"))
    expected = direct(year.job, flights)
    table = polars.read_delta(layout(year.job).table).sort("flight_id")
    known, scored = flights["flight_id"].to_numpy(), table["flight_id"].to_numpy()
    places = np.searchsorted(known, scored)
    assert len(set(scored)) == FLIGHTS - BROKEN
    assert (known[places] == scored).all()
    np.testing.assert_allclose(table["late"].to_numpy(), expected[places], rtol=0, atol=1e-6)


def joined(job: highbeam.Job, flights: pa.Table) -> pa.Table:
    """The flights in order, with the columns of the side tables."""
    for join in job.join.values():
        side = pyarrow.csv.read_csv(Path(job.folder) / join.paths[0])
        named = [*join.by.values(), *(column.source or name for name, column in join.columns.items())]
        renamed = side.select(named).rename_columns([*join.by, *join.columns])
        flights = flights.join(renamed, list(join.by), join_type="left outer")
    return flights.sort_by("flight_id")


def direct(job: highbeam.Job, flights: pa.Table) -> np.ndarray:
    """What graph and SavedModel give when they are called by hand, row for row."""
    transform = tft.TFTransformOutput(f"{job.folder}/work/transforms/1")
    layer = transform.transform_features_layer()
    score = tf.saved_model.load(f"{job.folder}/work/models/1").signatures["serving_default"]
    taken = layer_inputs(transform)
    specs = {name: spec for name, spec in feature_spec(job.contract).items() if name in taken}
    results = []
    for start in range(0, flights.num_rows, 10_000):
        part = flights.slice(start, 10_000)
        features = layer({name: tensor(part[name], spec) for name, spec in specs.items()})
        wanted = score.structured_input_signature[1]
        results.append(score(**{name: features[name] for name in wanted})["late"].numpy())
    return np.concatenate(results)


def layer_inputs(transform: tft.TFTransformOutput) -> set[str]:
    """The raw features the graph takes; the label is not among the nightly columns and is not needed."""
    loaded = tf.saved_model.load(transform.transform_savedmodel_dir)
    return set(loaded.transform_fn.structured_input_signature[0][0])


def tensor(column: pa.ChunkedArray, spec: Any) -> Any:
    """A column as the graph takes it; nothing between two commas is no value, of text too."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    if pa.types.is_string(column.type):
        column = pc.if_else(pc.equal(column, ""), pa.nulls(len(column), column.type), column)  # not None: Arrow 23 errs
    values = tf.constant(column.drop_null().to_numpy(), spec.dtype)
    if isinstance(spec, tf.io.FixedLenFeature):
        return values
    rows = np.flatnonzero(column.is_valid())
    return tf.SparseTensor(np.stack([rows, np.zeros_like(rows)], axis=1), values, [len(column), 1])


def test_other_engines_read_the_same_table(year: Year) -> None:
    files = [f"{layout(year.job).table}/{file}" for file in year.manifest.files]
    ((count, late),) = duckdb.execute("select count(*), avg(late) from read_parquet($1)", [files]).fetchall()
    frame = polars.read_delta(layout(year.job).table)
    assert count == frame.height == year.manifest.predicted
    assert frame["late"].mean() == pytest.approx(late, abs=1e-6)
