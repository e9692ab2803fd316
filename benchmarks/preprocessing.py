"""The benchmark's TFT graph: 7 z-scores and 3 vocabularies."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Turns the columns of a flight into features of the same names.

    Args:
      inputs: `flight_id` int64, carrier, origin and dest string, the others float32; [rows] each.

    Returns:
      float32 around 0 for numbers, int64 ids from 0 for names; and `flight_id` as it is, since TransformDataset on
      dicts has no other way to keep it beside its row. No prediction depends on it.
    """
    features = {"flight_id": inputs["flight_id"]}
    for name, column in inputs.items():
        if column.dtype == tf.float32:
            features[name] = tft.scale_to_z_score(column)
        elif column.dtype == tf.string:
            features[name] = tft.compute_and_apply_vocabulary(column, num_oov_buckets=1, vocab_filename=name)
    return features
