"""The job: one frozen model for each part of job.yaml. What a later release brings is named here and refused."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from .accelerator import ROWS, Accelerator
from .base import Model
from .contract import Column, Contract, Key
from .join import Join, joined_columns
from .sources import Source, TrainingSource, as_tuple
from .types import TypeName, parse_type

BIGQUERY_TABLE = re.compile(r"([a-z0-9.-]+:)?[a-z0-9-]+\.\w+\.[\w-]+")


class Transform(Model):
    """The TensorFlow Transform graph."""

    preprocessing_fn: str | None = Field(None, description="`file.py:function`, what `analyze` runs")
    path: str | None = Field(None, description="folder of the graph's numbered versions")
    version: str = Field("latest", description="a number or `latest`, for a model packaged without a graph")

    _text = field_validator("version", mode="before")(lambda value: str(value) if type(value) is int else value)


class Training(Model):
    """What `analyze` reads beyond the nightly rows."""

    source: TrainingSource | None = Field(None, description="rows with labels; the nightly source without it")
    columns: dict[str, Column] = Field({}, description="labels and weights: analysed, never needed at scoring")

    _short = field_validator("columns", mode="before")(lambda value: _columns(value))


class ModelRef(Model):
    """Which model scores."""

    path: str = Field(description="folder of numbered versions, as TensorFlow Serving lays them out")
    version: str = Field("latest", description="a number, `latest`, or `published`: what the table's newest night used")
    signature: str = Field("serving_default", description="the SavedModel's signature")
    inputs: dict[str, str] = Field({}, description="tensor: column, only where the names differ")
    input_format: Literal["tensors", "tf_example"] = Field(
        "tensors", description="`tf_example`: the signature takes serialized tf.Examples"
    )

    _text = field_validator("version", mode="before")(lambda value: str(value) if type(value) is int else value)


class Prediction(Model):
    """One published prediction column."""

    tensor: str = Field(description="the signature's output")
    type: str | None = Field(None, description="a type of the contract; inferred from the signature without it")
    min: float | None = Field(None, description="smallest value allowed")
    max: float | None = Field(None, description="largest value allowed")
    size: int | None = Field(None, gt=0, description="items of a list")
    top_k: int | None = Field(
        None, gt=0, description="keep the k best of a vector of scores, as `list<struct<label, score>>`"
    )
    labels: str | None = Field(None, description="text file of one label a line; the index is the label without it")
    allow_nan: bool = Field(False, description="whether NaN and infinity may be published")

    @field_validator("type")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name if name is None else parse_type(name).name

    @model_validator(mode="after")
    def _consistent(self) -> Prediction:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        if self.labels and not self.top_k:
            raise ValueError("labels belong to top_k")
        if self.top_k and (self.type or self.size):
            raise ValueError("top_k decides the type; leave type and size out")
        if self.size and self.type and not parse_type(self.type).is_list:
            raise ValueError("size belongs to list<type>")
        return self

    @cached_property
    def typed(self) -> TypeName | None:
        """The parsed type, if one is declared."""
        return parse_type(self.type) if self.type else None


class Delta(Model):
    """A Delta Lake table."""

    path: str = Field(description="the table's folder")


class BigQuery(Model):
    """A BigQuery table."""

    table: str = Field(description="`project.dataset.name`; the table is made when there is none, the dataset is not")
    location: str | None = Field(None, description="where its jobs run, for example `EU`; the dataset's without it")
    staging: str | None = Field(
        None, description="`gs://` folder of the files that are loaded; those in `state` are without it"
    )

    @field_validator("table")
    @classmethod
    def _named(cls, table: str) -> str:
        if not BIGQUERY_TABLE.fullmatch(table):
            raise ValueError(f"write project.dataset.name, found {table!r}")
        return table


class Output(Model):
    """Where predictions are published."""

    delta: Delta | None = Field(None, description="a Delta Lake table, partitioned by date")
    bigquery: BigQuery | None = Field(None, description="or a BigQuery table, partitioned by date")
    passthrough: tuple[str, ...] = Field((), description="input columns kept beside the predictions")

    _lists = field_validator("passthrough", mode="before")(as_tuple)

    @model_validator(mode="after")
    def _one(self) -> Output:
        if (self.delta is None) == (self.bigquery is None):
            raise ValueError(f"name one of delta and bigquery, found {'none' if self.delta is None else 'both'}")
        return self

    @property
    def tables(self) -> dict[str, Delta | BigQuery | None]:
        """The fields that name a table, to copy them into another model."""
        return {"delta": self.delta, "bigquery": self.bigquery}


class Rejects(Model):
    """What becomes of rows that are turned away."""

    max_fraction: float = Field(0.01, ge=0, le=1, description="more than this share, and nothing is published")
    keep_raw: bool = Field(True, description="whether the rejected record's bytes are kept")

    def allows(self, rejected: int, read: int) -> bool:
        """Whether so many rejects are within the budget."""
        return rejected <= self.max_fraction * read


class Job(Model):
    """A whole job.

    Attributes:
      folder: the folder job.yaml lies in; relative paths resolve against it. Not a key of the file.
    """

    folder: str = Field("", exclude=True, description="")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="the job's name")
    source: Source = Field(description="the night's input")
    columns: dict[str, Column] = Field(
        min_length=1, description="the contract: what a row must be; or the path of a `schema.pbtxt` that says it"
    )
    join: dict[str, Join] = Field({}, description="side tables: name -> what is looked up in it, by which columns")
    key: Key | None = Field(None, description="the column or columns that name a row; lookup needs it")
    transform: Transform | None = Field(
        None, description="the TensorFlow Transform graph; without it the columns feed the signature"
    )
    training: Training | None = Field(None, description="what analyze reads beyond the nightly rows")
    model: ModelRef = Field(description="the model")
    preprocess: Literal["fused", "separate"] | None = Field(
        None,
        description="`fused`: transform graph and model in one call; `separate`: on different workers, which is what "
        "`accelerator` asks for",
    )
    accelerator: Accelerator | None = Field(None, description="GPUs or TPUs for the model; or their type alone")
    predictions: dict[str, Prediction] | None = Field(
        None, min_length=1, description="what is published; inferred when absent"
    )
    postprocess: str | None = Field(None, description="`file.py:function`, RecordBatch -> RecordBatch, row for row")
    code: tuple[str, ...] = Field(
        (), description="files and folders that `preprocessing_fn` and `postprocess` import; workers get them too"
    )
    output: Output = Field(description="the table")
    state: str | None = Field(
        None, description="folder of staging, runs and rejects; `<delta path>/_highbeam` without it; BigQuery needs it"
    )
    rejects: Rejects = Field(Rejects(), description="the budget of rejects")
    beam: dict[str, Any] = Field({}, description="Beam pipeline options, by name")

    @field_validator("columns", mode="before")
    @classmethod
    def _short_columns(cls, value: Any) -> Any:
        return _columns(value)

    _lists = field_validator("code", mode="before")(as_tuple)
    _short = field_validator("accelerator", mode="before")(
        lambda value: {"type": value} if isinstance(value, str) else value
    )

    @field_validator("key", mode="before")
    @classmethod
    def _short_key(cls, value: Any) -> Any:
        if isinstance(value, dict) and "columns" in value:
            return {**value, "columns": as_tuple(value["columns"])}
        return value if isinstance(value, (dict, Key)) or value is None else {"columns": as_tuple(value)}

    @cached_property
    def contract(self) -> Contract:
        """The columns, joined ones among them, and key as a contract."""
        key, columns = self.key, {**self.columns, **joined_columns(self.join)}
        return Contract(columns, key.columns if key else (), key.duplicates if key else "keep")

    @property
    def read_contract(self) -> Contract:
        """The contract of what the night's files hold: all but the joined columns."""
        return self.contract.without(joined_columns(self.join))

    @property
    def apart(self) -> bool:
        """Whether transform graph and model run on different workers."""
        return self.preprocess == "separate" or (self.preprocess is None and self.accelerator is not None)

    @property
    def batch_size(self) -> int:
        """Rows of a call to a model that runs apart."""
        return self.accelerator.batch_size if self.accelerator else ROWS

    @cached_property
    def training_contract(self) -> Contract:
        """The contract with labels and weights."""
        return self.contract.extended(self.training.columns if self.training else {})


def _columns(value: Any) -> Any:
    """Spells out the shorthand `name: type`."""
    if not isinstance(value, dict):
        return value
    return {name: {"type": spec} if isinstance(spec, str) else spec for name, spec in value.items()}
