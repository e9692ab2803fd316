"""Every type of the contract, from the source to the feature spec of TensorFlow Transform to the published table."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow_transform as tft
from deltalake import DeltaTable

import highbeam
from highbeam import storage
from highbeam.models.graph import Graph, load_transform
from highbeam.models.runtime import tf
from highbeam.models.specs import feature_spec
from highbeam.schemas.contract import Contract
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import load_job
from highbeam.schemas.layout import layout
from highbeam.schemas.sources import Json, Parquet
from highbeam.transforms.formats.base import Format
from highbeam.transforms.formats.choose import FORMATS
from highbeam.transforms.validate import validate

from tests.support.models import saved_model
from tests.support.type_table import FLOAT, INT, TABLE

DAY = "2013-12-01"
TENSORS = {
    tf.io.FixedLenFeature: tf.TensorSpec,
    tf.io.VarLenFeature: tf.SparseTensorSpec,
    tf.io.RaggedFeature: tf.RaggedTensorSpec,
}
FEATURES = {name: row for name, row in TABLE.items() if row.seen is not None}

PREPROCESSING = """\
import tensorflow as tf
import tensorflow_transform as tft


def one_each(tensor):
    \"\"\"One value a row, whatever the tensor's kind; each item counts one more than it is.\"\"\"
    if isinstance(tensor, tf.SparseTensor):
        items, rows, n = tensor.values, tensor.indices[:, 0], tensor.dense_shape[0]
    elif isinstance(tensor, tf.RaggedTensor):
        items, rows, n = tensor.values, tensor.value_rowids(), tensor.nrows()
    elif tensor.shape.rank == 1:
        return tensor
    elif tensor.dtype == tf.string:
        return tf.strings.reduce_join(tensor, axis=1, separator="+")
    else:
        return tf.reduce_sum(tensor + 1, axis=1)
    if items.dtype == tf.string:
        return tf.strings.unsorted_segment_join(items, rows, n, separator="+")
    return tf.math.unsorted_segment_sum(items + 1, rows, n)


def preprocessing_fn(inputs):
    seen = {f"in_{name}": one_each(tensor) for name, tensor in inputs.items() if name != "k"}
    seen["centred"] = inputs["f64"] - tft.mean(inputs["f64"])
    seen["word"] = tft.compute_and_apply_vocabulary(one_each(inputs["n_s"]), vocab_filename="n_s")
    tft.vocabulary(inputs["l_s"], vocab_filename="l_s")
    tft.vocabulary(inputs["r_s"].to_sparse(), vocab_filename="r_s")
    return seen
"""


def job_of(folder: Path) -> Job:
    said: dict[str, Any] = {
        "name": "types",
        "source": {"parquet": {"path": "data/{date}/*.parquet"}},
        "columns": {"k": "int64", **{name: row.said for name, row in TABLE.items()}},
        "key": "k",
        "transform": {"preprocessing_fn": "preprocessing.py:preprocessing_fn", "path": "transforms"},
        "model": {"path": "models"},
        "output": {"delta": {"path": "table"}, "passthrough": list(TABLE)},
    }
    (folder / "job.yaml").write_text(json.dumps(said))
    (folder / "preprocessing.py").write_text(PREPROCESSING)
    return load_job(str(folder))


def echo(**tensors: Any) -> dict[str, Any]:
    """What the model sees of each feature is what it predicts."""
    return {name.replace("in_", "saw_"): tf.identity(tensor) for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """All columns at once: analyzed, packaged with a model, run and published."""
    folder = tmp_path_factory.mktemp("types")
    job = job_of(folder)
    (folder / "data" / DAY).mkdir(parents=True)
    columns = {name: pa.array(row.values, row.file) for name, row in TABLE.items() if name != "absent"}
    pq.write_table(pa.table({"k": [0, 1, 2, 3], **columns}), folder / "data" / DAY / "a.parquet")
    highbeam.analyze(job, DAY, DAY)
    takes = {f"in_{name}": tf.TensorSpec([None], row.spec.dtype) for name, row in FEATURES.items()}
    takes |= {"centred": tf.TensorSpec([None], FLOAT), "word": tf.TensorSpec([None], INT)}
    highbeam.package(job, saved_model(folder / "trained", echo, **takes))
    manifest = highbeam.run(job, DAY)
    assert (manifest.status, manifest.read, manifest.rejected) == ("published", 4, 0), manifest.message
    return job


@pytest.fixture(scope="module")
def graph(job: Job) -> Graph:
    return load_transform(str(Path(job.folder) / "transforms" / "1"))


@pytest.fixture(scope="module")
def published(job: Job) -> pa.Table:
    return DeltaTable(layout(job).table).to_pyarrow_table().sort_by("k")


@pytest.mark.parametrize("name", TABLE)
def test_what_the_table_holds(published: pa.Table, name: str) -> None:
    row = TABLE[name]
    assert published.schema.field(name).type == row.published
    assert published[name].to_pylist() == row.kept


@pytest.mark.parametrize("name", TABLE)
def test_the_feature_spec(job: Job, graph: Graph, name: str) -> None:
    """That of the contract, which is what TensorFlow Transform analyzed with, and the tensors its graph takes."""
    spec = TABLE[name].spec
    assert repr(feature_spec(job.contract).get(name)) == repr(spec)
    if spec is not None:
        assert type(graph.inputs[name]) is TENSORS[type(spec)]
        assert (graph.inputs[name].dtype, graph.inputs[name].shape[1:]) == (spec.dtype, getattr(spec, "shape", [None]))


@pytest.mark.parametrize("name", FEATURES)
def test_what_the_graph_and_the_model_see(published: pa.Table, name: str) -> None:
    seen = published[f"saw_{name}"].to_pylist()
    expected = FEATURES[name].seen
    assert seen == (pytest.approx(expected, rel=1e-6) if FEATURES[name].spec.dtype == FLOAT else expected)


def test_the_analysis_saw_the_values_too(job: Job, published: pa.Table) -> None:
    assert published["centred"].to_pylist() == pytest.approx([v - 2.1 / 4 for v in TABLE["f64"].values], rel=1e-5)
    graph = tft.TFTransformOutput(str(Path(job.folder) / "transforms" / "1"))
    assert graph.vocabulary_by_name("l_s")[:1] == [b"a"]
    assert sorted(graph.vocabulary_by_name("r_s")) == sorted(graph.vocabulary_by_name("l_s"))


def test_in_memory_it_is_the_same(job: Job, published: pa.Table) -> None:
    columns = {name: pa.array(row.values, row.file) for name, row in TABLE.items() if name != "absent"}
    predictions, rejected = highbeam.predict(job, pa.table({"k": [0, 1, 2, 3], **columns}))
    assert rejected.num_rows == 0
    same = [name for name in predictions.column_names if name != "k"]
    assert predictions.select(same).to_pydict() == published.select(same).to_pydict()


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value).replace("+00:00", "Z") if isinstance(value, (Decimal, dt.date)) else value


def test_json_lines_give_the_same_rows(job: Job, tmp_path: Path) -> None:
    """All but bytes, which JSON has no word for."""
    named = [name for name, row in TABLE.items() if name != "absent" and "binary" not in str(row.said)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(
        json.dumps({"k": k, **{name: plain(TABLE[name].values[k]) for name in named}}, ensure_ascii=False) + "\n"
        for k in range(4)
    ))  # fmt: skip
    contract = Contract({name: job.columns[name] for name in ["k", *named]}, ("k",))
    found = [
        read(FORMATS[kind](options), file, contract)
        for kind, options, file in [
            ("json", Json(path=(str(path),)), path),
            ("parquet", Parquet(path=("a.parquet",)), Path(job.folder) / "data" / DAY / "a.parquet"),
        ]
    ]
    assert found[0].equals(found[1])


def read(format: Format, path: Path, contract: Contract) -> pa.RecordBatch:
    """The rows of a file, all of which are sound; texts plain, and without `_offset`."""
    file = storage.stat(str(path))
    assert file is not None
    (split,) = format.splits(file, path.name, contract, 1 << 20)
    (batch,) = format.read(split, contract, 1 << 20)
    assert batch.rejected.num_rows == 0, batch.rejected.to_pylist()
    rows = validate(batch, contract).rows
    columns = {name: rows.column(name) for name in contract.columns}
    return pa.record_batch(
        {n: c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for n, c in columns.items()}
    )


def test_lookup_prints_every_type(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    from highbeam.cli import main

    assert main(["lookup", job.folder, "0"]) == 0
    row = json.loads(capsys.readouterr().out)["row"]
    shown = {name: row[name] for name in ("at", "price", "b", "day", "v_f", "prices", "l_at", "blobs", "n_i")}
    assert shown == {
        "at": "2013-12-01T12:00:00Z",
        "price": "1.25",
        "b": "YQ==",
        "day": "1970-01-03",
        "v_f": [1, 2],
        "prices": ["1.25", "-1.00", "0.00", "9999999.99"],
        "l_at": ["2013-12-01T12:00:00Z"],
        "blobs": ["YQ==", "Yg=="],
        "n_i": None,
    }
