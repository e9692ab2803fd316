"""A request's features, by TensorFlow Transform: the same graph computes them for training and for every night."""

from __future__ import annotations

import math

import tensorflow as tf
import tensorflow_transform as tft

FAMILIES = 128  # buckets of user agents without their version numbers
DEEPEST = 7
DAY = 86_400_000_000  # microseconds

Features = dict[str, tf.Tensor]


def preprocessing_fn(inputs: Features) -> Features:
    """Turns the contract's columns into features.

    Args:
      inputs: tensors of [rows], by column; the label `bot` only where rows are analysed.

    Returns:
      Tensors of [rows]: float32 around 0, int64 ids from 0, and the label `is_bot`. No prediction depends on that,
      so scoring leaves it out, and `bot` with it.
    """
    path = tf.strings.regex_replace(inputs["path"], r"\?.*$", "")
    angle = tf.cast(inputs["time"] % DAY, tf.float32) * (2 * math.pi / DAY)
    return {
        "status_class": tf.clip_by_value(tf.cast(inputs["status"], tf.int64) // 100, 0, 5),
        "bytes": tft.scale_to_z_score(tf.math.log1p(tf.cast(inputs["bytes"], tf.float32))),
        "hour_sin": tf.sin(angle),
        "hour_cos": tf.cos(angle),
        "depth": tf.minimum(_count(path, "/"), DEEPEST),
        "prefix": _ids(tf.strings.regex_replace(path, r"^(/[^/]*).*$", r"\1"), "prefix"),
        "method": _ids(inputs["method"], "method"),
        "family": tft.hash_strings(_family(inputs["agent"]), FAMILIES),
        "asked": _is(inputs["path"], r".*\?.*"),
        "referred": _is(inputs["referer"], r".+"),
        "is_bot": inputs["bot"],
    }


def _count(text: tf.Tensor, character: str) -> tf.Tensor:
    return tf.cast(tf.strings.length(tf.strings.regex_replace(text, f"[^{character}]", "")), tf.int64)


def _ids(text: tf.Tensor, name: str) -> tf.Tensor:
    """Ids in order of frequency; one more id is for what is new or was seen fewer than ten times."""
    return tft.compute_and_apply_vocabulary(text, vocab_filename=name, num_oov_buckets=1, frequency_threshold=10)


def _family(agent: tf.Tensor) -> tf.Tensor:
    """A user agent without its version numbers."""
    return tf.strings.regex_replace(tf.strings.lower(agent), r"[0-9._]+", "")


def _is(text: tf.Tensor, pattern: str) -> tf.Tensor:
    return tf.cast(tf.strings.regex_full_match(text, pattern), tf.float32)
