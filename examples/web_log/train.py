"""Trains the probability that a program asked, on what `highbeam analyze --examples` wrote.

    python train.py        # work/examples/*.parquet -> work/trained, a SavedModel

The signature takes the transformed features by name. `highbeam package` puts the transform graph in front of it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: no notes about missing GPUs

import keras
import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

WORK = Path(__file__).parent / "work"
LABEL = "is_bot"
SEED = 2024
EPOCHS = 3
BATCH = 1024
HELD_BACK = 5  # one row in so many is not trained on
Arrays = dict[str, np.ndarray]


def read_examples(folder: Path) -> tuple[Arrays, np.ndarray]:
    """Features [rows] by name and the label [rows]."""
    table = pq.read_table(folder)
    names = sorted(set(table.column_names) - {LABEL})  # one order, or the seed would mean nothing
    return {name: table[name].to_numpy() for name in names}, table[LABEL].to_numpy().astype(np.float32)


def build(features: Arrays) -> keras.Model:
    """A small network: each id has a learned vector, numbers go in as they are."""
    inputs = {name: keras.Input((), dtype=values.dtype.name, name=name) for name, values in features.items()}
    joined = keras.layers.Concatenate()([_encoded(inputs[name], values) for name, values in features.items()])
    hidden = keras.layers.Dense(32, activation="relu")(joined)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))


def _encoded(tensor: keras.KerasTensor, values: np.ndarray) -> keras.KerasTensor:
    if values.dtype != np.int64:
        return keras.layers.Reshape((1,))(tensor)
    ids = max(int(values.max()) + 2, 128)  # ids begin at 0; what training has not seen may have a greater one
    return keras.layers.Embedding(ids, 4)(tensor)


def fit(model: keras.Model, features: Arrays, labels: np.ndarray, epochs: int = EPOCHS) -> float:
    """Trains in place; gives the area under the ROC curve on the rows held back."""
    held = np.arange(len(labels)) % HELD_BACK == 0
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    model.fit({n: v[~held] for n, v in features.items()}, labels[~held], batch_size=BATCH, epochs=epochs, verbose=2)
    scores = model.predict({n: v[held] for n, v in features.items()}, batch_size=BATCH, verbose=0)
    metric = keras.metrics.AUC()
    metric.update_state(labels[held], scores[:, 0])
    return float(metric.result())


def export(model: keras.Model, folder: Path) -> None:
    """Writes a SavedModel whose `serving_default` takes every feature as [rows] and gives `bot` as float32 [rows]."""
    shutil.rmtree(folder, ignore_errors=True)
    signature = {each.name: tf.TensorSpec([None], each.dtype, each.name) for each in model.inputs}
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", lambda features: {"bot": model(features)[:, 0]}, [signature])
    archive.write_out(str(folder), verbose=False)


def main() -> None:
    """Reads, trains, exports."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    features, labels = read_examples(WORK / "examples")
    print(f"{len(labels):,} requests, {labels.mean():.1%} of them of bots; features: {', '.join(features)}")
    model = build(features)
    print(f"AUC {fit(model, features, labels):.3f} on every {HELD_BACK}th request, held back")
    export(model, WORK / "trained")
    print(f"trained model in {os.path.relpath(WORK / 'trained')}")


if __name__ == "__main__":
    main()
