"""A flight's features, by TensorFlow Transform: the same graph computes them for training and for every night."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

HOURS = 12  # buckets of the day, each with about as many departures
LATE = 15  # minutes; an arrival up to here counts as on time
DAY = 24 * 60
YEAR = 365.2425 * DAY * 60e6  # microseconds
WEATHER = ("temp", "dewp", "humid", "wind_speed", "precip", "visib")

Features = dict[str, tf.Tensor | tf.SparseTensor]


def preprocessing_fn(inputs: Features) -> Features:
    """Turns the contract's columns into features.

    Args:
      inputs: tensors of [rows], by column. `tailnum` and the label `arr_delay` are sparse: either may be missing.

    Returns:
      Tensors of [rows]: float32 around 0, or int64 ids from 0. And the label `was_late`, sparse: a flight that never
      arrived has none. No prediction depends on it, so scoring leaves it out, and `arr_delay` with it.
    """
    departs, arrives = _minutes(inputs["sched_dep_time"]), _minutes(inputs["sched_arr_time"])
    hour = tft.bucketize(departs, HOURS)
    return {
        "departs": _scaled(departs),
        "planned": _scaled((arrives - departs) % DAY),  # between two local clocks: holds the time zones too
        "distance": _scaled(inputs["distance"]),
        "weekday": inputs["weekday"],
        "hour": hour,
        "weekday_hour": inputs["weekday"] * HOURS + hour,
        "carrier": _ids(inputs["carrier"], "carrier"),
        "origin": _ids(inputs["origin"], "origin"),
        "dest": _ids(inputs["dest"], "dest"),
        "carrier_dest": _ids(tf.strings.join([inputs["carrier"], inputs["dest"]], "/"), "carrier_dest"),
        "age": _scaled_or_mean(_age(inputs["built"], inputs["time_hour"])),
        "engines": _scaled_or_mean(inputs["engines"]),
        "seats": _scaled_or_mean(inputs["seats"]),
        **{name: _scaled_or_mean(inputs[name]) for name in WEATHER},
        "tailnum": _ids(_dense(inputs["tailnum"]), "tailnum", rare=100),
        "was_late": _was_late(inputs["arr_delay"]),
    }


def _minutes(clock: tf.Tensor) -> tf.Tensor:
    """Minutes after midnight of a clock time written as one number: 1745 is a quarter to six in the evening."""
    return clock // 100 * 60 + clock % 100


def _scaled(numbers: tf.Tensor) -> tf.Tensor:
    return tft.scale_to_z_score(tf.cast(numbers, tf.float32))


def _scaled_or_mean(numbers: tf.SparseTensor) -> tf.Tensor:
    """What is missing becomes the mean, which is 0 here."""
    scaled = tft.scale_to_z_score(numbers.with_values(tf.cast(numbers.values, tf.float32)))
    return tft.sparse_tensor_to_dense_with_shape(scaled, [None, 1], default_value=0.0)[:, 0]


def _age(built: tf.SparseTensor, hour: tf.Tensor) -> tf.SparseTensor:
    """Years from the one a plane was built in to the flight, where that is known."""
    flown = 1970 + tf.gather(tf.cast(hour, tf.float64), built.indices[:, 0]) / YEAR
    return built.with_values(tf.cast(flown - tf.cast(built.values, tf.float64), tf.float32))


def _ids(text: tf.Tensor, name: str, rare: int = 20) -> tf.Tensor:
    """Ids in order of frequency; one more id is for what is missing, new, or was seen fewer than `rare` times."""
    return tft.compute_and_apply_vocabulary(text, vocab_filename=name, num_oov_buckets=1, frequency_threshold=rare)


def _dense(text: tf.SparseTensor) -> tf.Tensor:
    """Missing text as the empty string, which TensorFlow Transform keeps out of a vocabulary."""
    return tft.sparse_tensor_to_dense_with_shape(text, [None, 1], default_value="")[:, 0]


def _was_late(arr_delay: tf.SparseTensor) -> tf.SparseTensor:
    return arr_delay.with_values(tf.cast(arr_delay.values > LATE, tf.int64))
