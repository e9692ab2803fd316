"""The type table: what the contract says of a column, what a file holds, and what becomes of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa

from highbeam.models.runtime import tf

UTC = pa.timestamp("us", "UTC")
NOON = dt.datetime(2013, 12, 1, 12, tzinfo=dt.timezone.utc)
MICROS = 1385899200000000
INT, FLOAT, TEXT = tf.int64, tf.float32, tf.string
ONE = {type: tf.io.FixedLenFeature([], type) for type in (INT, FLOAT, TEXT)}
SPARSE = {type: tf.io.VarLenFeature(type) for type in (INT, FLOAT, TEXT)}


def ragged(name: str, type: Any) -> Any:
    return tf.io.RaggedFeature(type, value_key=name, row_splits_dtype=tf.int64)


@dataclass
class Row:
    """A row of the type table.

    Attributes:
      said: what job.yaml says of the column.
      file: type in the Parquet file.
      values: four values, as they stand in the file.
      published: type in the table.
      spec: TensorFlow Transform's feature, None where the column is no feature.
      seen: what the graph makes of each value: of a scalar itself, of sparse, ragged and list values their sum, or the
        texts joined by +, where each number counts one more than it is (so that a 0 is told from nothing).
      kept: what the table holds; the values without it.
    """

    said: Any
    file: pa.DataType
    values: list[Any]
    published: pa.DataType
    spec: Any = None
    seen: list[Any] | None = None
    kept: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = self.kept or self.values


def integers(type: str, arrow: pa.DataType, low: int, high: int, published: pa.DataType) -> Row:
    return Row(type, arrow, [low, 0, 1, high], published, ONE[INT], [low, 0, 1, high])


LISTS = [[1, 2], [], [0], [7, 8, 9]]
SUMS = [5, 0, 1, 27]
PAIRS = [[1, 2], [0, 0], [3, 4], [5, 6]]
OF_PAIRS = [5, 2, 9, 13]
TEXTS = [["a", ""], [], ["ü"], ["a", "a", "b"]]
JOINED = ["a+", "", "ü", "a+a+b"]
DATES = [dt.date(1970, 1, 3), dt.date(1969, 12, 31), dt.date(2013, 12, 1), dt.date(9999, 12, 31)]
PRICES = [Decimal("1.25"), Decimal("-1.00"), Decimal("0.00"), Decimal("9999999.99")]
TIMES = [NOON, NOON + dt.timedelta(microseconds=1), dt.datetime(1969, 12, 31, tzinfo=dt.timezone.utc), NOON]
OF_TIMES = [MICROS, MICROS + 1, -86400000000, MICROS]

TABLE: dict[str, Row] = {
    "i8": integers("int8", pa.int8(), -128, 127, pa.int8()),
    "i16": integers("int16", pa.int16(), -(2**15), 2**15 - 1, pa.int16()),
    "i32": integers("int32", pa.int64(), -(2**31), 2**31 - 1, pa.int32()),
    "i64": integers("int64", pa.int64(), -(2**63), 2**63 - 1, pa.int64()),
    "u8": integers("uint8", pa.uint8(), 0, 255, pa.int16()),
    "u16": integers("uint16", pa.uint16(), 0, 2**16 - 1, pa.int32()),
    "u32": integers("uint32", pa.uint32(), 0, 2**32 - 1, pa.int64()),
    "f32": Row("float32", pa.float32(), [0.5, -1, 0, 2.0**127], pa.float32(), ONE[FLOAT], [0.5, -1, 0, 2.0**127]),
    "f64": Row("float64", pa.float64(), [0.1, -1, 0, 3.0], pa.float64(), ONE[FLOAT], [0.1, -1, 0, 3]),
    "yes": Row("bool", pa.bool_(), [True, False, True, False], pa.bool_(), ONE[INT], [1, 0, 1, 0]),
    "s": Row("string", pa.string(), ["a", "", "ü", "a"], pa.string(), ONE[TEXT], ["a", "", "ü", "a"]),
    "b": Row("binary", pa.binary(), [b"a", b"", b"b\x00", b"a"], pa.binary(), ONE[TEXT], ["a", "", "b\x00", "a"]),
    # nullable
    "n_default": Row({"type": "float32", "nullable": True, "default": 7}, pa.float32(), [None, 1, 0, None],
                     pa.float32(), ONE[FLOAT], [7, 1, 0, 7], [7, 1, 0, 7]),
    "n_i": Row({"type": "int16", "nullable": True}, pa.int16(), [None, 1, 0, -1], pa.int16(), SPARSE[INT],
               [0, 2, 1, 0]),
    "n_f": Row({"type": "float32", "nullable": True}, pa.float32(), [None, 1.5, 0, None], pa.float32(), SPARSE[FLOAT],
               [0, 2.5, 1, 0]),
    "n_b": Row({"type": "bool", "nullable": True}, pa.bool_(), [None, True, False, None], pa.bool_(), SPARSE[INT],
               [0, 2, 1, 0]),
    "n_s": Row({"type": "string", "nullable": True, "pattern": "[a-zü]*", "max_length": 2}, pa.string(),
               [None, "a", "", "üü"], pa.string(), SPARSE[TEXT], ["", "a", "", "üü"]),
    "n_at": Row({"type": "timestamp", "nullable": True}, UTC, [None, NOON, NOON, None], UTC, SPARSE[INT],
                [0, MICROS + 1, MICROS + 1, 0]),
    "none": Row({"type": "string", "nullable": True}, pa.string(), [None] * 4, pa.string(), SPARSE[TEXT], [""] * 4),
    "absent": Row({"type": "int64", "nullable": True, "optional": True}, pa.null(), [None] * 4, pa.int64(), SPARSE[INT],
                  [0] * 4),
    # lists of a size
    "v_f": Row({"type": "list<float32>", "size": 2}, pa.list_(pa.float32()), PAIRS, pa.list_(pa.float32()),
               tf.io.FixedLenFeature([2], FLOAT), OF_PAIRS),
    "v_i": Row({"type": "list<int8>", "size": 2, "min": 0}, pa.list_(pa.int8(), 2), PAIRS, pa.list_(pa.int8()),
               tf.io.FixedLenFeature([2], INT), OF_PAIRS),
    "v_s": Row({"type": "list<string>", "size": 1}, pa.list_(pa.string()), [["a"], [""], ["ü"], ["b"]],
               pa.list_(pa.string()), tf.io.FixedLenFeature([1], TEXT), ["a", "", "ü", "b"]),
    "v_n": Row({"type": "list<float32>", "size": 2, "nullable": True}, pa.list_(pa.float32()), [None, *PAIRS[1:]],
               pa.list_(pa.float32()), SPARSE[FLOAT], [0, *OF_PAIRS[1:]]),
    "v_d": Row({"type": "list<float32>", "size": 2, "default": [0, 0]}, pa.list_(pa.float32()), [None, *PAIRS[1:]],
               pa.list_(pa.float32()), tf.io.FixedLenFeature([2], FLOAT), [2, *OF_PAIRS[1:]], [[0, 0], *PAIRS[1:]]),
    # lists of any length
    "l_i": Row("list<int32>", pa.list_(pa.int32()), LISTS, pa.list_(pa.int32()), SPARSE[INT], SUMS),
    "l_u": Row("list<uint8>", pa.list_(pa.uint8()), LISTS, pa.list_(pa.int16()), SPARSE[INT], SUMS),
    "l_f": Row({"type": "list<float64>", "max_length": 3}, pa.large_list(pa.float64()), LISTS, pa.list_(pa.float64()),
               SPARSE[FLOAT], SUMS),
    "l_s": Row("list<string>", pa.list_(pa.string()), TEXTS, pa.list_(pa.string()), SPARSE[TEXT], JOINED),
    "l_b": Row("list<bool>", pa.list_(pa.bool_()), [[True], [], [False], [True, True]], pa.list_(pa.bool_()),
               SPARSE[INT], [2, 0, 1, 4]),
    "l_at": Row("list<timestamp>", pa.list_(UTC), [[NOON], [], [NOON], []], pa.list_(UTC), SPARSE[INT],
                [MICROS + 1, 0, MICROS + 1, 0]),
    "l_n": Row({"type": "list<int64>", "nullable": True}, pa.list_(pa.int64()), [None, *LISTS[1:]],
               pa.list_(pa.int64()), SPARSE[INT], [0, *SUMS[1:]]),
    "l_as": Row({"type": "list<int64>", "as": "list<float32>"}, pa.list_(pa.int64()), LISTS, pa.list_(pa.int64()),
                SPARSE[FLOAT], SUMS),
    "r_i": Row({"type": "list<int64>", "ragged": True}, pa.list_(pa.int64()), LISTS, pa.list_(pa.int64()),
               ragged("r_i", INT), SUMS),
    "r_f": Row({"type": "list<float32>", "ragged": True, "nullable": True}, pa.list_(pa.float32()),
               [None, *LISTS[1:]], pa.list_(pa.float32()), ragged("r_f", FLOAT), [0, *SUMS[1:]]),
    "r_s": Row({"type": "list<string>", "ragged": True}, pa.list_(pa.string()), TEXTS, pa.list_(pa.string()),
               ragged("r_s", TEXT), JOINED),
    # times
    "at": Row("timestamp", UTC, TIMES, UTC, ONE[INT], OF_TIMES),
    "at_ns": Row("timestamp", pa.timestamp("ns", "Europe/Berlin"), [NOON] * 4, UTC, ONE[INT], [MICROS] * 4),
    "at_text": Row({"type": "timestamp", "format": "%Y-%m-%d %H:%M", "timezone": "America/New_York"}, pa.string(),
                   ["2013-12-01 07:00"] * 4, UTC, ONE[INT], [MICROS] * 4, [NOON] * 4),
    "at_as": Row({"type": "timestamp", "as": "string"}, UTC, [NOON] * 4, UTC, ONE[TEXT],
                 ["2013-12-01 12:00:00.000000Z"] * 4),
    # passed through, or cast
    "day": Row("date", pa.date32(), DATES, pa.date32()),
    "day_as": Row({"type": "date", "as": "int64"}, pa.date32(), DATES, pa.date32(), ONE[INT],
                  [(day - dt.date(1970, 1, 1)).days for day in DATES]),
    "day_n": Row({"type": "date", "as": "int64", "nullable": True}, pa.date32(), [None, *DATES[:3]], pa.date32(),
                 SPARSE[INT], [0, 3, 0, 16041]),
    "price": Row("decimal(9, 2)", pa.decimal128(9, 2), PRICES, pa.decimal128(9, 2)),
    "wide": Row("decimal", pa.decimal128(38, 9), PRICES, pa.decimal128(38, 9)),
    "price_as": Row({"type": "decimal(9, 2)", "as": "float32"}, pa.decimal128(9, 2), PRICES, pa.decimal128(9, 2),
                    ONE[FLOAT], [1.25, -1, 0, 9999999.99]),
    "code_as": Row({"type": "string", "as": "int64"}, pa.string(), ["12", "-7", "0", "1"], pa.string(), ONE[INT],
                   [12, -7, 0, 1]),
    "days": Row("list<date>", pa.list_(pa.date32()), [[day] for day in DATES], pa.list_(pa.date32())),
    "prices": Row("list<decimal(9, 2)>", pa.list_(pa.decimal128(9, 2)), [PRICES, [], [], []],
                  pa.list_(pa.decimal128(9, 2))),
    "prices_as": Row({"type": "list<decimal(9, 2)>", "as": "list<float32>"}, pa.list_(pa.decimal128(9, 2)),
                     [[PRICES[0]], [], [PRICES[2]], []], pa.list_(pa.decimal128(9, 2)), SPARSE[FLOAT],
                     [2.25, 0, 1, 0]),
    "blobs": Row("list<binary>", pa.list_(pa.binary()), [[b"a", b"b"], [], [b"c"], []], pa.list_(pa.binary()),
                 SPARSE[TEXT], ["a+b", "", "c", ""]),
}  # fmt: skip
