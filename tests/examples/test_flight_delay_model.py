"""The example's features, training and evaluation, on rows made up here; `make demo` runs all of it on real ones."""

import gc
import itertools
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import PipelineOptions

from examples.flight_delay import evaluate, preprocessing, train
from highbeam import load_job
from highbeam.models.specs import metadata

ROWS = 300
NUMBER = np.arange(ROWS)
JOB = load_job(str(Path(preprocessing.__file__).parent))
IDS = ("carrier", "origin", "dest", "carrier_dest", "tailnum", "hour", "weekday", "weekday_hour")
NUMBERS = ("departs", "planned", "distance", "age", "engines", "seats", *preprocessing.WEATHER)
HOUR = datetime(2013, 7, 2, 12, tzinfo=timezone.utc)
Columns = dict[str, np.ndarray]


def flight(number: int) -> dict[str, object]:
    """A flight every five minutes; every third has no plane yet, every seventh never arrived, every other was late.

    Planes are ten or twenty years old; a third has a side table's columns, the others found nothing there.
    """
    minute = 5 * (number % 250)
    return {
        "flight_id": number,
        "carrier": "AA" if number % 3 else "UA",
        "flight": number,
        "tailnum": [f"N{number % 2}"] if number % 3 else [],
        "origin": "JFK",
        "dest": "BOS" if number % 2 else "MIA",
        "distance": np.float32(187 + number),
        "weekday": 1 + number % 7,
        "sched_dep_time": clock(minute),
        "sched_arr_time": clock(minute + 300),
        "time_hour": int(HOUR.timestamp()) * 1_000_000,
        "built": [] if number % 3 else [2013 - 10 * (1 + number % 2)],
        **{name: [] if number % 3 else [number % 2] for name in ("engines", "seats")},
        **{name: [] if number % 3 else [np.float32(number)] for name in preprocessing.WEATHER},
        "arr_delay": [np.float32(15 + number % 2)] if number % 7 else [],
    }


def clock(minute: int) -> int:
    return minute // 60 % 24 * 100 + minute % 60


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Columns]:
    """The flights' features after analysis; `was_late` is -1 where there is none."""
    folder = str(tmp_path_factory.mktemp("tft"))
    rows = [flight(number) for number in range(ROWS)]
    with beam.Pipeline("FnApiRunner", PipelineOptions([])) as pipeline, tft_beam.Context(temp_dir=folder + "/temp"):
        given = (pipeline | beam.Create(rows), metadata(JOB.training_contract))
        graph = given | tft_beam.AnalyzeDataset(preprocessing.preprocessing_fn)
        _ = graph | tft_beam.WriteTransformFn(folder + "/graph")
    layer = tft.TFTransformOutput(folder + "/graph").transform_features_layer()
    made = layer({name: tensor([row[name] for row in rows]) for name in rows[0]})
    late = tf.sparse.to_dense(made.pop("was_late"), default_value=-1)
    yield {**{name: values.numpy() for name, values in made.items()}, "was_late": late[:, 0].numpy()}
    gc.freeze()  # what analysis leaves behind crashes the collector when the interpreter ends


def tensor(values: list) -> tf.Tensor | tf.SparseTensor:
    if not isinstance(values[0], list):
        return tf.constant(np.array(values))
    sparse = tf.ragged.constant(values).to_sparse()
    return tf.cast(sparse, tf.int64) if sparse.dtype == tf.int32 else sparse


def test_the_features_are_those_that_the_model_is_built_for(features: Columns) -> None:
    assert {name for name, values in features.items() if values.dtype == np.int64} == {*IDS, "was_late"}
    assert {name for name, values in features.items() if values.dtype == np.float32} == set(NUMBERS)
    assert {values.shape for values in features.values()} == {(ROWS,)}


def test_numbers_are_centred_and_scaled(features: Columns) -> None:
    for name in ("departs", "distance"):
        assert [features[name].mean(), features[name].std()] == pytest.approx([0, 1], abs=1e-3)


def test_a_side_tables_numbers_are_scaled_and_what_it_lacks_is_the_mean(features: Columns) -> None:
    known = NUMBER % 3 == 0
    for name in ("age", "engines", "seats", *preprocessing.WEATHER):
        assert [features[name][known].mean(), features[name][known].std()] == pytest.approx([0, 1], abs=1e-3)
        assert set(features[name][~known]) == {0}
    assert features["age"][known] == pytest.approx(features["seats"][known], abs=1e-3)  # older where there are more


def test_the_planned_time_goes_over_midnight(features: Columns) -> None:
    assert features["planned"] == pytest.approx(0, abs=1e-3)  # five hours each, also from 20:00 to 01:00


def test_ids_go_by_frequency_and_crosses_tell_pairs_apart(features: Columns) -> None:
    assert features["carrier"].tolist() == [0 if number % 3 else 1 for number in NUMBER]
    assert set(features["origin"]) == {0}
    assert len({*zip(NUMBER % 3 > 0, NUMBER % 2, features["carrier_dest"], strict=True)}) == 4
    assert len({*zip(features["weekday"], features["hour"], features["weekday_hour"], strict=True)}) == len(
        {*features["weekday_hour"]}
    )


def test_a_missing_plane_has_the_spare_id(features: Columns) -> None:
    tailnum = features["tailnum"]
    assert set(tailnum[NUMBER % 3 == 0]) == {2}
    assert {*zip(NUMBER[NUMBER % 3 > 0] % 2, tailnum[NUMBER % 3 > 0], strict=True)} in (
        {(0, 0), (1, 1)},
        {(0, 1), (1, 0)},
    )


def test_the_day_is_cut_into_hours_of_about_equally_many_flights(features: Columns) -> None:
    hours, counts = np.unique(features["hour"], return_counts=True)
    assert hours.tolist() == list(range(preprocessing.HOURS))
    assert counts.min() >= ROWS / preprocessing.HOURS / 2


def test_late_is_more_than_fifteen_minutes_and_unknown_without_an_arrival(features: Columns) -> None:
    assert features["was_late"].tolist() == [number % 2 if number % 7 else -1 for number in NUMBER]


def test_the_exported_model_takes_features_by_name_and_gives_one_probability_a_row(tmp_path: Path) -> None:
    columns = dict.fromkeys(IDS, NUMBER % 5)
    columns |= {name: np.linspace(-1, 1, ROWS, dtype=np.float32) for name in NUMBERS}
    train.export(train.build(columns), tmp_path / "model")
    signature = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    _, inputs = signature.structured_input_signature
    assert {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in inputs.items()} == {
        **{name: ("int64", [None]) for name in IDS},
        **{name: ("float32", [None]) for name in NUMBERS},
    }
    spare = {name: tf.constant([5 if name in IDS else 0], spec.dtype) for name, spec in inputs.items()}
    late = signature(**spare)["late"]  # id 5 stands for what the vocabulary does not hold
    assert (late.dtype.name, late.shape.as_list()) == ("float32", [1])
    assert 0 < float(late[0]) < 1


def test_examples_are_read_without_the_flights_that_never_arrived(tmp_path: Path) -> None:
    rows = {"hour": [1, 2, 3, 4], "was_late": pa.array([[1], [], None, [0]], pa.list_(pa.int64()))}
    for part in (0, 1):
        pq.write_table(pa.table(rows), tmp_path / f"{part}.parquet")
    columns, labels = train.read_examples(tmp_path)
    assert {name: values.tolist() for name, values in columns.items()} == {"hour": [1, 4, 1, 4]}
    assert (labels.dtype.name, labels.tolist()) == ("float32", [1, 0, 1, 0])


def test_auc_counts_the_pairs_in_the_right_order() -> None:
    late, probability = np.array([True, False, True, False, True]), np.array([0.9, 0.9, 0.5, 0.1, 0.1])
    pairs = list(itertools.product(probability[late], probability[~late]))
    expected = sum((hit > miss) + (hit == miss) / 2 for hit, miss in pairs) / len(pairs)
    assert evaluate.auc(late, probability) == pytest.approx(expected)


def test_both_say_the_same_of_late() -> None:
    assert evaluate.LATE == preprocessing.LATE
