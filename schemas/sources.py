"""What can be read: one model for each kind of file, and the parts of job.yaml that name one."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from .base import Model

MIB = 1 << 20
Compression = Literal["infer", "none", "gzip", "bz2", "zstd", "xz"]
COMPRESSION = "`infer` goes by the file's ending: `.gz`, `.bz2`, `.zst`, `.xz`"
FORMATS = ("csv", "json", "log", "parquet", "avro", "tfrecord")


def as_tuple(value: Any) -> Any:
    """A single text where a list of them is meant."""
    return (value,) if isinstance(value, str) else value


class Files(Model):
    """Files of any kind."""

    path: tuple[str, ...] = Field(
        min_length=1,
        description="file, glob or a list of them; `{date}` and `{date:%Y%m%d}` are filled with the night's date",
    )

    _paths = field_validator("path", mode="before")(as_tuple)


class Csv(Files):
    """Comma-separated files."""

    delimiter: str = Field(",", min_length=1, max_length=1, description="one character between two fields")
    quote: str | None = Field(
        '"', min_length=1, max_length=1, description="one character around a field that holds delimiters or quotes; "
        "two in it are one; `null` where there is none",
    )  # fmt: skip
    escape: str | None = Field(
        None, min_length=1, max_length=1, description="one character; the one after it is taken as it is"
    )
    header: bool = Field(True, description="whether the first record names the columns")
    columns: tuple[str, ...] = Field((), description="names of all columns in file order, where there is no header")
    nulls: tuple[str, ...] = Field((), description="spellings of null beside the empty unquoted field")
    comment: str | None = Field(None, min_length=1, max_length=8, description="how lines begin that are no records")
    encoding: str = Field("utf-8", description="of the text, as Python names it: `latin-1`, `cp1252`, `utf-16` …")
    multiline: bool = Field(
        False, description="whether a line break in quotes is part of the field; then a file is one split"
    )
    compression: Compression = Field("infer", description=COMPRESSION)

    _lists = field_validator("nulls", "columns", mode="before")(as_tuple)


class Json(Files):
    """JSON Lines, or one array of objects in a file."""

    compression: Compression = Field("infer", description=COMPRESSION)


class Log(Files):
    """Logs of a web server or of a system, or lines of any other pattern."""

    format: Literal["common", "combined", "syslog", "syslog5424"] | None = Field(
        None, description="a well-known format: of web servers, or of syslog as its files are (RFC 3164) and RFC 5424"
    )
    pattern: str | None = Field(
        None, description="instead of `format`: RE2 for the whole line, with a group `(?P<name>…)` for each field"
    )
    nulls: tuple[str, ...] = Field(("-",), description="spellings of null beside the empty text")
    compression: Compression = Field("infer", description=COMPRESSION)

    _lists = field_validator("nulls", mode="before")(as_tuple)

    @model_validator(mode="after")
    def _one_of_them(self) -> Log:
        if (self.format is None) == (self.pattern is None):
            found = "none" if self.format is None else "both"
            raise ValueError(f"name one of format (common, combined, syslog, syslog5424) and pattern, found {found}")
        return self


class Parquet(Files):
    """Parquet files."""


class Avro(Files):
    """Avro container files."""


class TfRecord(Files):
    """TFRecord files of serialized tf.Examples."""

    compression: Compression = Field("infer", description=COMPRESSION)


class BigQueryRows(Model):
    """Rows of a BigQuery table, or what a query finds, as they are when a run is planned."""

    table: str | None = Field(None, description="`project.dataset.name`; `{date}` and `{date:%Y%m%d}` are filled")
    where: str | None = Field(
        None, description="which rows of the table, as after WHERE: `day = '{date}'`; `{date}` is filled"
    )
    query: str | None = Field(
        None, description="instead of `table`: GoogleSQL, run once; `{date}` is filled, `@date` is the night as a DATE"
    )
    project: str | None = Field(
        None, description="the project that runs the query and pays; that of the table without it"
    )
    location: str | None = Field(None, description="where the query runs; BigQuery finds out without it")

    @model_validator(mode="after")
    def _one_of_them(self) -> BigQueryRows:
        if (self.table is None) == (self.query is None):
            raise ValueError(f"name one of table and query, found {'none' if self.table is None else 'both'}")
        if self.query is not None and self.where is not None:
            raise ValueError("where belongs to table; a query says it itself")
        if self.query is not None and self.project is None:
            raise ValueError("a query needs project: the one that runs it and pays")
        return self

    @property
    def path(self) -> tuple[str, ...]:
        """No file is named."""
        return ()


class Inputs(Model):
    """Files of one kind."""

    csv: Csv | None = Field(None, description="CSV files")
    json_: Json | None = Field(None, alias="json", description="JSON files")
    log: Log | None = Field(None, description="log files")
    parquet: Parquet | None = Field(None, description="Parquet files")
    avro: Avro | None = Field(None, description="Avro files")
    tfrecord: TfRecord | None = Field(None, description="TFRecord files of tf.Examples")

    @model_validator(mode="after")
    def _one(self) -> Inputs:
        named = [name for name in self._kinds if getattr(self, _field(name)) is not None]
        if len(named) != 1:
            found = f"found {' and '.join(named)}" if named else "found none"
            raise ValueError(f"name one of {', '.join(self._kinds)}, {found}")
        return self

    @property
    def _kinds(self) -> tuple[str, ...]:
        return FORMATS

    @cached_property
    def format(self) -> str:
        """Which kind of files, as job.yaml names it."""
        return next(name for name in self._kinds if getattr(self, _field(name)) is not None)

    @property
    def files(self) -> Files | BigQueryRows:
        """The files, with the options of their kind; rows that are no files name none."""
        files: Files | BigQueryRows = getattr(self, _field(self.format))
        return files

    @property
    def counts_rows(self) -> bool:
        """Whether the place of a record in a file is its number, from 0, and not the byte where it begins."""
        return self.format in ("parquet", "avro", "bigquery")

    def inputs(self) -> dict[str, Files | None]:
        """The fields of all kinds, to copy them into another model."""
        return {_field(name): getattr(self, _field(name)) for name in FORMATS}

    def at(self, paths: tuple[str, ...]) -> dict[str, Any]:
        """The same with other paths."""
        return {**self.inputs(), _field(self.format): self.files.model_copy(update={"path": paths})}


def _field(name: str) -> str:
    return "json_" if name == "json" else name  # a pydantic model has a method `json`


class Rows(Inputs):
    """Files of one kind, or rows of a warehouse."""

    bigquery: BigQueryRows | None = Field(None, description="a BigQuery table, or what a query finds")

    @property
    def _kinds(self) -> tuple[str, ...]:
        return (*FORMATS, "bigquery")


class Source(Rows):
    """Where the night's rows come from, and how they are cut."""

    ready: str | None = Field(None, description="a file that must exist before the night is due")
    min_rows: int = Field(1, ge=0, description="fewer records, and nothing is published")
    split_size: int | None = Field(
        None, ge=64 << 10, description="bytes of a split, at which plain text files are cut; without it 1 to 32 MiB, "
        "by what there is to read",
    )  # fmt: skip
    max_record_bytes: int = Field(MIB, ge=1, description="a longer record is rejected")


class TrainingSource(Rows):
    """Rows that only training reads."""
