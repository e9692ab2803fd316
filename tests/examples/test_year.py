"""The whole year of flights in one run: every flight predicted or rejected, as the model itself predicts it."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.csv as pc
import pytest
import tensorflow as tf
import tensorflow_transform as tft

import highbeam
from examples.flight_delay import make_data, train
from highbeam.models.specs import feature_spec
from highbeam.schemas.layout import layout

HERE = Path(make_data.__file__).parent
FLIGHTS = 336_776
DAY = "2013-12-31"
PATHS = ["source.csv.path=work/data/*/flights.csv", "training.source.csv.path=work/history/2013-01.csv"]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[highbeam.Job, Any]]:
    """A model trained on January, and one run over all 365 files."""
    folder = tmp_path_factory.mktemp("year")
    for file in ("job.yaml", "preprocessing.py"):
        shutil.copy(HERE / file, folder)
    make_data.make(folder / "work")
    job = highbeam.load_job(str(folder), PATHS)
    highbeam.analyze(job, examples=str(folder / "work/examples"))
    features, labels = train.read_examples(folder / "work/examples")
    model = train.build(features)
    model.compile("adam", "binary_crossentropy")
    model.fit(features, labels, batch_size=4096, epochs=1, verbose=0)
    train.export(model, folder / "work/trained")
    highbeam.package(job, str(folder / "work/trained"))
    yield job, highbeam.run(job, DAY)
    gc.freeze()


def test_no_flight_is_lost(year: tuple[highbeam.Job, Any]) -> None:
    _, manifest = year
    assert manifest.status == "published"
    assert manifest.read == FLIGHTS
    assert manifest.predicted + manifest.rejected == FLIGHTS
    assert manifest.predicted > 0.999 * FLIGHTS


def test_every_prediction_is_the_models_own(year: tuple[highbeam.Job, Any]) -> None:
    job, manifest = year
    rows = [pc.read_csv(path) for path in sorted(Path(job.folder).glob("work/data/*/flights.csv"))]
    flights = joined(job, pa.concat_tables(rows, promote_options="permissive"))
    expected = direct(job, flights)
    table = polars.read_delta(layout(job).table).sort("flight_id")
    assert table.height == manifest.predicted
    places = np.searchsorted(flights["flight_id"].to_numpy(), table["flight_id"].to_numpy())
    np.testing.assert_allclose(table["late"].to_numpy(), expected[places], rtol=0, atol=1e-6)


def joined(job: highbeam.Job, flights: pa.Table) -> pa.Table:
    """The flights in order, with the columns of the side tables."""
    for join in job.join.values():
        side = pc.read_csv(Path(job.folder) / join.paths[0])
        named = [*join.by.values(), *(column.source or name for name, column in join.columns.items())]
        renamed = side.select(named).rename_columns([*join.by, *join.columns])
        flights = flights.join(renamed, list(join.by), join_type="left outer")
    return flights.sort_by("flight_id")


def direct(job: highbeam.Job, flights: pa.Table) -> np.ndarray:
    """What graph and SavedModel give when they are called by hand, row for row."""
    transform = tft.TFTransformOutput(f"{job.folder}/work/transforms/1")
    layer = transform.transform_features_layer()
    score = tf.saved_model.load(f"{job.folder}/work/models/1").signatures["serving_default"]
    specs = {name: spec for name, spec in feature_spec(job.contract).items() if name in layer_inputs(transform)}
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
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    values = [None if value == "" else value for value in column.to_pylist()]
    if isinstance(spec, tf.io.FixedLenFeature):
        return tf.constant(values, spec.dtype)
    places = [i for i, value in enumerate(values) if value is not None]
    indices = np.array([[i, 0] for i in places], np.int64).reshape(-1, 2)
    return tf.SparseTensor(indices, tf.constant([values[i] for i in places], spec.dtype), [len(values), 1])


def test_other_engines_read_the_same_table(year: tuple[highbeam.Job, Any]) -> None:
    job, manifest = year
    files = [f"{layout(job).table}/{file}" for file in manifest.files]
    ((count, late),) = duckdb.execute("select count(*), avg(late) from read_parquet($1)", [files]).fetchall()
    frame = polars.read_delta(layout(job).table)
    assert count == frame.height == manifest.predicted
    assert frame["late"].mean() == pytest.approx(late, abs=1e-6)
