"""The format of a source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...schemas.sources import Inputs
from .avro_files import AvroFormat
from .base import Format
from .bigquery_rows import BigQueryFormat
from .csv_files import CsvFormat
from .json_files import JsonFormat
from .log_files import LogFormat
from .parquet_files import ParquetFormat
from .tfrecord_files import TfRecordFormat

FORMATS: Mapping[str, Callable[[Any], Format]] = {
    "csv": CsvFormat,
    "json": JsonFormat,
    "log": LogFormat,
    "parquet": ParquetFormat,
    "avro": AvroFormat,
    "tfrecord": TfRecordFormat,
    "bigquery": BigQueryFormat,
}
"""Name in job.yaml -> what makes the format of its options."""


def format_of(source: Inputs) -> Format:
    """The format that a source names, with its options."""
    return FORMATS[source.format](source.files)
