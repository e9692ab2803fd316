"""Trains the probability of arriving more than 15 minutes late, on what `highbeam analyze --examples` wrote.

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
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

WORK = Path(__file__).parent / "work"
LABEL = "was_late"
SEED = 2013
EPOCHS = 3
BATCH = 4096
Arrays = dict[str, np.ndarray]


def read_examples(folder: Path) -> tuple[Arrays, np.ndarray]:
    """Features [rows] by name and the label [rows], of the flights that arrived."""
    table = pq.read_table(folder)
    table = table.filter(pc.equal(pc.list_value_length(table[LABEL]), 1))
    labels = pc.list_flatten(table[LABEL]).to_numpy().astype(np.float32)
    names = sorted(set(table.column_names) - {LABEL})  # one order, or the seed would mean nothing
    return {name: table[name].to_numpy() for name in names}, labels


def build(features: Arrays) -> keras.Model:
    """A small network: each id has a learned vector, numbers go in as they are."""
    inputs = {name: keras.Input((), dtype=values.dtype.name, name=name) for name, values in features.items()}
    joined = keras.layers.Concatenate()([_encoded(inputs[name], values) for name, values in features.items()])
    hidden = keras.layers.Dropout(0.2)(joined)
    for units in (64, 32):
        hidden = keras.layers.Dropout(0.2)(keras.layers.Dense(units, activation="relu")(hidden))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))


def _encoded(tensor: keras.KerasTensor, values: np.ndarray) -> keras.KerasTensor:
    if values.dtype != np.int64:
        return keras.layers.Reshape((1,))(tensor)
    ids = int(values.max()) + 2  # ids begin at 0; the last may be the vocabulary's spare one, not seen in training
    return keras.layers.Embedding(ids, 8)(tensor)


def fit(model: keras.Model, features: Arrays, labels: np.ndarray) -> None:
    """Trains in place."""
    steps = EPOCHS * -(-len(labels) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
    model.fit(features, labels, batch_size=BATCH, epochs=EPOCHS, verbose=2)


def export(model: keras.Model, folder: Path) -> None:
    """Writes a SavedModel whose `serving_default` takes every feature as [rows] and gives `late` as float32 [rows]."""
    shutil.rmtree(folder, ignore_errors=True)
    signature = {each.name: tf.TensorSpec([None], each.dtype, each.name) for each in model.inputs}
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", lambda features: {"late": model(features)[:, 0]}, [signature])
    archive.write_out(str(folder), verbose=False)


def main() -> None:
    """Reads, trains, exports."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    features, labels = read_examples(WORK / "examples")
    print(f"{len(labels):,} flights that arrived, {labels.mean():.1%} of them late; features: {', '.join(features)}")
    model = build(features)
    fit(model, features, labels)
    export(model, WORK / "trained")
    print(f"trained model in {os.path.relpath(WORK / 'trained')}")


if __name__ == "__main__":
    main()
