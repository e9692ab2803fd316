"""How well the newest packaged model ranks flights it never saw: October to December.

    python evaluate.py

Scores through `highbeam.predict`, so contract, graph and model are those that score the nights.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: no notes about missing GPUs

import numpy as np
import pyarrow as pa
import pyarrow.csv

import highbeam

HERE = Path(__file__).parent
LATE = 15  # minutes, as in preprocessing.py


def read_history(months: str) -> pa.Table:
    """The flights of the history files that match `months`; an empty field is null, as it is to Highbeam."""
    convert = pyarrow.csv.ConvertOptions(null_values=[""], strings_can_be_null=True)
    files = sorted((HERE / "work" / "history").glob(months))
    return pa.concat_tables([pyarrow.csv.read_csv(file, convert_options=convert) for file in files])


def auc(late: np.ndarray, probability: np.ndarray) -> float:
    """Area under the ROC curve: how often a late flight has the higher probability of the two, ties counting half.

    Args:
      late: bool [rows].
      probability: float [rows].
    """
    _, place, count = np.unique(probability, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]  # of equal values all have the mean of their ranks
    hits = int(late.sum())
    return float((rank[late].sum() - hits * (hits + 1) / 2) / (hits * (len(late) - hits)))


def main() -> None:
    """Scores, compares, prints."""
    flights = read_history("2013-1[0-2].csv")
    flights = flights.filter(flights["arr_delay"].is_valid())
    predictions, rejected = highbeam.predict(highbeam.load_job(str(HERE)), flights)
    if rejected.num_rows:
        raise SystemExit(f"{rejected.num_rows} flights were rejected, the first: {rejected['message'][0]}")
    late = flights["arr_delay"].to_numpy() > LATE
    score = auc(late, predictions["late"].to_numpy())
    print(f"October to December: {len(late):,} flights that arrived, {late.mean():.1%} of them late; AUC {score:.3f}")


if __name__ == "__main__":
    main()
