"""The benchmark's model: an MLP of 55-256-128-64-1 with random weights: what it costs does not depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft

from benchmarks.flights import NAMES, NUMBERS

EMBEDDING = 16
LAYERS = (len(NUMBERS) + EMBEDDING * len(NAMES), 256, 128, 64, 1)


class Mlp(tf.Module):
    """Seven numbers beside three embeddings, through three hidden layers, to one number.

    Args:
      sizes: name -> ids its vocabulary has.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__()
        random = tf.random.Generator.from_seed(0)
        self.embeddings = {name: tf.Variable(random.normal([size, EMBEDDING])) for name, size in sizes.items()}
        self.weights = [tf.Variable(random.normal(shape, stddev=(2 / shape[0]) ** 0.5)) for shape in pairwise(LAYERS)]
        self.biases = [tf.Variable(tf.zeros([width])) for width in LAYERS[1:]]

    def __call__(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Features of [rows] to predictions of [rows], float32 between -0.1 and 0.1.

        Small on purpose: then predictions from batches of any size agree to 1e-6.
        """
        numbers = tf.stack([features[name] for name in NUMBERS], axis=1)
        names = [tf.gather(self.embeddings[name], features[name]) for name in NAMES]
        hidden = tf.concat([numbers, *names], axis=1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = tf.nn.relu(hidden @ weight + bias)
        return 0.1 * tf.tanh(hidden @ self.weights[-1] + self.biases[-1])[:, 0]


def save_model(transform: Path, folder: Path) -> None:
    """Saves a model for the features of a TFT graph, as a training program would.

    Args:
      transform: what `highbeam analyze` wrote.
      folder: where the SavedModel goes.
    """
    graph = tft.TFTransformOutput(str(transform))
    model = Mlp({name: graph.vocabulary_size_by_name(name) + 1 for name in NAMES})  # one more for what is unknown
    features = {name: tf.TensorSpec([None], tf.float32, name) for name in NUMBERS}
    features |= {name: tf.TensorSpec([None], tf.int64, name) for name in NAMES}
    serve = tf.function(lambda features: {"delay": model(features)}, input_signature=[features])
    tf.saved_model.save(model, str(folder), signatures={"serving_default": serve})


def save_composed(version: Path, folder: Path) -> None:
    """Saves a packaged model with its graph inside: raw columns in, prediction out, in one call.

    Args:
      version: what `highbeam package` wrote: the model, and its graph in `transform_fn`.
      folder: where the SavedModel goes.
    """
    module = tf.Module()
    module.model = tf.saved_model.load(str(version))
    module.graph = tft.TFTransformOutput(str(version)).transform_features_layer()
    predict = module.model.signatures["serving_default"]
    specs = {name: tf.TensorSpec([None], tf.float32, name) for name in NUMBERS}
    specs |= {name: tf.TensorSpec([None], tf.string, name) for name in NAMES}

    def serve(raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        features = module.graph(raw)
        predictions: dict[str, tf.Tensor] = predict(**{name: features[name] for name in raw})
        return predictions

    tf.saved_model.save(
        module, str(folder), signatures={"serving_default": tf.function(serve, input_signature=[specs])}
    )
