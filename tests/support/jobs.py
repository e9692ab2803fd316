"""A small whole job: files, a SavedModel and a job.yaml, ready to run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from highbeam.models.runtime import tf
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import load_job

JOB = """\
name: doubling
source:
  csv: {path: "data/{date}/*.csv"}
  split_size: 65536
columns:
  k: int64
  g: {type: string, values: [a, b, c]}
  x: {type: float32, min: 0}
key: k
model: {path: models}
output:
  delta: {path: table}
  passthrough: [g]
"""
DAY = "2013-12-01"


class Doubling(tf.Module):
    """y = factor * x, plus the length of g, and the row fails where x is 666666."""

    def __init__(self, factor: float, dtype: Any = tf.float32) -> None:
        super().__init__()
        self.factor, self.dtype = factor, dtype

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([None], tf.string, "g")])
    def score(self, x: Any, g: Any) -> Any:
        sound = tf.debugging.assert_none_equal(x, 666666.0, message="the beast")
        with tf.control_dependencies([sound]):
            y = self.factor * x + tf.cast(tf.strings.length(g), tf.float32)
        return {"y": tf.cast(y, self.dtype)}


def save_model(folder: Path, version: int, factor: float = 2.0, dtype: Any = tf.float32) -> None:
    """Writes a SavedModel as one version of a model store."""
    model = Doubling(factor, dtype)
    tf.saved_model.save(model, str(folder / "models" / str(version)), signatures={"serving_default": model.score})


def csv_lines(keys: Iterable[int]) -> list[str]:
    """Records whose other fields follow from the key."""
    return [f"{k},{'abc'[k % 3]},{k / 4}" for k in keys]


def write_night(folder: Path, lines: list[str], date: str = DAY, name: str = "a.csv") -> Path:
    """Writes one CSV file of a night."""
    path = folder / "data" / date / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["k,g,x", *lines]) + "\n")
    return path


def shuffled(n: int, seed: int = 0) -> list[int]:
    """0 to n - 1 in another order."""
    return [int(k) for k in np.random.default_rng(seed).permutation(n)]


def make_job(folder: Path, text: str = JOB, model: bool = True, overrides: Iterable[str] = ()) -> Job:
    """Writes job.yaml and, unless told not to, version 1 of the model."""
    os.makedirs(folder, exist_ok=True)
    (folder / "job.yaml").write_text(text)
    if model:
        save_model(folder, 1)
    return load_job(str(folder), list(overrides))
