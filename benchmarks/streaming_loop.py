"""The peer to beat: a hand-written loop from CSV to Parquet. It knows this one file and this one model by heart.

python streaming_loop.py SAVED_MODEL FLIGHTS_CSV PREDICTIONS_PARQUET

Blocks of 8 MiB from pyarrow's streaming reader, the TFT graph and the model in one tf.function on 8,192 rows, one
ParquetWriter. It sorts, checks and accounts for nothing: no offsets, no rejects, no restart, and a table half written
when it dies.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import sys
from collections.abc import Callable

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import tensorflow as tf

NUMBERS = ["sched_dep_time", "sched_arr_time", "distance", "hour", "minute", "month", "day"]
NAMES = ["carrier", "origin", "dest"]
BLOCK_BYTES = 8 << 20
BATCH_ROWS = 8192
SCHEMA = pa.schema([("flight_id", pa.int64()), ("delay", pa.float32())])


def predict(batch: pa.RecordBatch, serve: Callable[..., dict[str, tf.Tensor]]) -> pa.RecordBatch:
    """Ids and predictions of a batch."""
    tensors = {name: tf.constant(batch[name].to_numpy()) for name in NUMBERS}
    tensors |= {name: tf.constant(batch[name].to_numpy(zero_copy_only=False)) for name in NAMES}
    return pa.record_batch([batch["flight_id"], pa.array(serve(**tensors)["delay"].numpy())], schema=SCHEMA)


def main(saved_model: str, flights: str, predictions: str) -> None:
    """Scores a file of flights."""
    model = tf.saved_model.load(saved_model)
    serve = model.signatures["serving_default"]
    types = {"flight_id": pa.int64()} | dict.fromkeys(NUMBERS, pa.float32()) | dict.fromkeys(NAMES, pa.binary())
    blocks = csv.open_csv(
        flights,
        read_options=csv.ReadOptions(block_size=BLOCK_BYTES),
        convert_options=csv.ConvertOptions(column_types=types),
    )
    with pq.ParquetWriter(predictions, SCHEMA) as writer:
        for block in blocks:
            batches = pa.Table.from_batches([block]).to_batches(BATCH_ROWS)
            writer.write_table(pa.Table.from_batches([predict(batch, serve) for batch in batches]))


if __name__ == "__main__":
    main(*sys.argv[1:])
