"""Analysis of training rows, from files to a numbered graph and Parquet."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from highbeam.models.specs import feature_spec
from highbeam.models.transformer import Transformer
from highbeam.pipelines.analyze import AnalyzeResult, analyze
from highbeam.pipelines.launch import first_cause
from highbeam.pipelines.training_files import training_source, training_splits
from highbeam.schemas.errors import HighbeamError, Refused, UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import load_job
from highbeam.transforms import read_training as reading

from tests.support.models import rows_of

JOB = """\
name: flights
source: {csv: {path: "data/{date}.csv"}, split_size: 65536}
columns:
  id: int64
  distance: {type: float32, min: 0}
  carrier: string
  delay: {type: float32, nullable: true}
key: id
transform: {preprocessing_fn: "preprocessing.py:preprocessing_fn", path: transforms}
training:
  source: {csv: {path: "history/*"}}
  columns: {late: int64}
model: {path: models}
output: {delta: {path: table}}
rejects: {max_fraction: 0.2}
"""
PREPROCESSING = """\
import tensorflow as tf
import tensorflow_transform as tft


def preprocessing_fn(inputs):
    return {
        "distance": tft.scale_to_z_score(inputs["distance"]),
        "carrier": tft.compute_and_apply_vocabulary(inputs["carrier"], vocab_filename="carrier", num_oov_buckets=1),
        "shouted": tf.strings.upper(inputs["carrier"]),
        "delay": inputs["delay"],
        "both": tf.stack([inputs["distance"], tf.cast(inputs["id"], tf.float32)], 1),
        "late": inputs["late"],
    }


def two_steps(inputs):
    far = tf.strings.as_string(tft.bucketize(inputs["distance"], 2))
    cross = tf.strings.join([inputs["carrier"], far], "/")
    return {"cross": tft.compute_and_apply_vocabulary(cross, vocab_filename="cross")}


def plain(inputs):
    return {"late": inputs["late"], "double": 2 * inputs["distance"]}


def fragile(inputs):
    near = tf.debugging.assert_less(inputs["distance"], 1.0, message="too far")
    with tf.control_dependencies([near]):
        return {"distance": tft.scale_to_z_score(tf.identity(inputs["distance"]))}
"""
PLAIN = ["transform.preprocessing_fn=preprocessing.py:plain"]


def lines(start: int, count: int) -> list[str]:
    """Rows in which every value follows from the id; every fifth has no delay."""
    return [
        f"{i},{i % 17 / 4},{'AA' if i % 3 else 'B6'},{'' if i % 5 == 0 else i},{i % 2}"
        for i in range(start, start + count)
    ]


def write(folder: Path, name: str, rows: list[str]) -> Path:
    path = folder / "history" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["id,distance,carrier,delay,late", *rows]) + "\n")
    return path


def job_in(folder: Path, overrides: tuple[str, ...] | list[str] = ()) -> Job:
    (folder / "job.yaml").write_text(JOB)
    (folder / "preprocessing.py").write_text(PREPROCESSING)
    return load_job(str(folder), overrides)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of history, the first with two bad rows."""
    folder = tmp_path_factory.mktemp("home")
    write(folder, "01.csv", [*lines(0, 20), "20,-1,AA,,0", "21,x,ZZ,,0"])
    write(folder, "02.csv", lines(100, 15))
    return folder


@pytest.fixture(scope="module")
def first(home: Path) -> AnalyzeResult:
    return analyze(job_in(home), examples=str(home / "examples"))


def accepted(home: Path) -> pa.Table:
    rows = [line.split(",") for line in [*lines(0, 20), *lines(100, 15)]]
    return pa.table({"distance": [float(row[1]) for row in rows], "carrier": [row[2] for row in rows]})


def test_what_was_read_and_left_out_is_counted(first: AnalyzeResult, home: Path) -> None:
    assert first.path == str(home / "transforms/1")
    assert (first.version, first.read, first.analysed, first.kept, first.files) == (1, 37, 35, 0, 2)
    assert first.rejected == {"bad_value": 1, "below_min": 1}
    assert first.vocabularies == {"carrier": 2}
    assert json.loads(json.dumps(first.as_dict()))["examples"] == str(home / "examples")
    assert "read       37 records of 2 files" in first.text()
    assert "rejected   2: 1 bad_value, 1 below_min" in first.text()


def test_the_graph_is_what_the_accepted_rows_say(first: AnalyzeResult, home: Path) -> None:
    rows = accepted(home)
    distance = rows["distance"].to_numpy()
    found = pq.read_table(home / "examples")
    np.testing.assert_allclose(found["distance"], (distance - distance.mean()) / distance.std(), rtol=1e-5)
    assert (home / "transforms/1/transform_fn/assets/carrier").read_text().split() == ["AA", "B6"]
    assert found["carrier"].to_pylist() == [0 if name == "AA" else 1 for name in rows["carrier"].to_pylist()]


def test_a_version_is_a_plain_transform_output(first: AnalyzeResult, home: Path) -> None:
    import tensorflow_transform as tft

    assert sorted(os.listdir(first.path)) == ["metadata", "transform_fn", "transformed_metadata"]
    output = tft.TFTransformOutput(first.path)
    assert set(output.transformed_feature_spec()) == {"distance", "carrier", "shouted", "delay", "both", "late"}
    assert output.vocabulary_size_by_name("carrier") == 2
    assert output.raw_feature_spec() == feature_spec(job_in(home).training_contract)


def test_examples_are_the_graph_applied_to_the_accepted_rows(first: AnalyzeResult, home: Path) -> None:
    job = job_in(home)
    files = sorted(path.name for path in (home / "examples").glob("*.parquet"))
    assert files == ["part-00000000.parquet", "part-00000001.parquet"]
    source = training_source(job, None, None)
    transformer = Transformer(first.path, job.training_contract)
    for name, split in zip(files, training_splits(job, source), strict=True):
        batches = reading.read_training(split, source, job.training_contract, str(home))
        direct = pa.Table.from_batches([transformer.transform(batch.rows) for batch in batches])
        assert pq.read_table(home / "examples" / name) == direct
    table = pq.read_table(home / "examples")
    assert table.schema.names == ["both", "carrier", "delay", "distance", "late", "shouted"]
    assert table["late"].to_pylist() == [i % 2 for i in [*range(20), *range(100, 115)]]
    assert table["delay"].to_pylist()[:6] == [[], [1], [2], [3], [4], []]
    assert table["shouted"].to_pylist()[:2] == ["B6", "AA"]


def test_unchanged_files_are_not_read_again(first: AnalyzeResult, home: Path, tmp_path: Path) -> None:
    """The old files hold other bytes now, of the same size and mark: whoever read them would notice."""
    write(home, "03.csv", lines(200, 5))
    for name in ("01.csv", "02.csv"):
        path = home / "history" / name
        before, whole = path.stat(), path.read_bytes()
        header = whole.index(b"\n") + 1
        path.write_bytes(whole[:header] + b"#" * (len(whole) - header))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second, third = analyze(job_in(home)), analyze(job_in(home))
    assert (second.version, second.read, second.analysed, second.kept, second.files) == (2, 42, 40, 37, 3)
    assert (third.version, third.read, third.analysed, third.kept, third.files) == (3, 42, 40, 42, 3)
    assert third.rejected == second.rejected == first.rejected
    distance = np.append(accepted(home)["distance"].to_numpy(), [i % 17 / 4 for i in range(200, 205)])
    contract = job_in(home).training_contract
    rows = rows_of(contract, id=[1, 2], distance=[0, 9], carrier=["AA", "B6"], delay=[None, None], late=[0, 0])
    for version in (second, third):
        found = Transformer(version.path, contract).transform(rows)
        np.testing.assert_allclose(found["distance"], (np.array([0, 9]) - distance.mean()) / distance.std(), rtol=1e-5)
        assert found["carrier"].to_pylist() == [0, 1]


def test_an_earlier_version_is_left_as_it_was(first: AnalyzeResult, home: Path) -> None:
    assert (home / "transforms/1/transform_fn/saved_model.pb").is_file()
    assert sorted(path.name for path in (home / "transforms").iterdir() if not path.name.isdigit()) == ["_cache"]


def test_analyzers_that_build_on_each_other_read_everything_again(tmp_path: Path) -> None:
    job = job_in(tmp_path, ["transform.preprocessing_fn=preprocessing.py:two_steps"])
    write(tmp_path, "01.csv", lines(0, 40))
    assert analyze(job).kept == 0
    write(tmp_path, "02.csv", [f"{i},9,{'ZZ' if i else 'QQ'},,0" for i in range(60)])
    again = analyze(job)
    assert (again.read, again.kept) == (100, 0)
    vocabulary = (tmp_path / "transforms/2/transform_fn/assets/cross").read_text().split()
    far = [i % 17 / 4 for i in range(40)]
    expected = {f"{'AA' if i % 3 else 'B6'}/{int(far[i] >= 9)}" for i in range(40)} | {"ZZ/1", "QQ/1"}
    assert set(vocabulary) == expected
    assert vocabulary[0] == "ZZ/1"


def test_too_many_rejects_write_nothing(tmp_path: Path) -> None:
    write(tmp_path, "01.csv", lines(0, 7) + ["7,x,AA,,0", "8,,AA,,0"])
    with pytest.raises(Refused, match=r"rejected 2 of 9 records \(22.22%\)") as refused:
        analyze(job_in(tmp_path, PLAIN), examples=str(tmp_path / "examples"))
    assert (refused.value.exit_code, refused.value.reason) == (3, "over_budget")
    assert "column distance: 'x' is not a float32 (history/01.csv, byte " in str(refused.value)
    assert list((tmp_path / "transforms").iterdir()) == []
    assert not (tmp_path / "examples").exists()
    raised = analyze(job_in(tmp_path, [*PLAIN, "rejects.max_fraction=0.3"]))
    assert (raised.version, raised.analysed) == (1, 7)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = gzip.compress(write(tmp_path, "01.csv", lines(0, 5000)).read_bytes())
    (tmp_path / "history/01.csv").unlink()
    (tmp_path / "history/01.csv.gz").write_bytes(whole[:-100])
    with pytest.raises(Refused, match=r"history/01.csv.gz: cannot be read past byte") as refused:
        analyze(job_in(tmp_path, PLAIN))
    assert refused.value.reason == "unreadable_input"
    assert "Traceback" not in capfd.readouterr().err


def test_a_graph_that_fails_on_the_data_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "01.csv", lines(0, 20))
    with pytest.raises(HighbeamError, match=r"the graph of preprocessing_fn: assertion failed: \[too far\]"):
        analyze(job_in(tmp_path, ["transform.preprocessing_fn=preprocessing.py:fragile"]))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["transform={path: t}"], "transform: {preprocessing_fn: FILE.py:FUNCTION}"),
        (["transform={preprocessing_fn: 'preprocessing.py:plain'}"], "transform: {path: transforms/NAME}"),
        (["transform.preprocessing_fn=preprocessing.py:absent"], "defines no function 'absent'"),
        (["training.source.csv.path=empty.csv", *PLAIN], "the files hold no record"),
        (["training.source.csv.path=absent.csv"], "absent.csv: no such file"),
        (["training.columns={on_time: int64}"], "the header lacks 'on_time'"),
        (["beam={runner: NoRunner}"], "NoRunner"),
    ],
)
def test_what_can_be_seen_before_launch_is_seen_before_launch(
    tmp_path: Path, overrides: list[str], message: str
) -> None:
    write(tmp_path, "01.csv", lines(0, 3))
    (tmp_path / "empty.csv").write_text("id,distance,carrier,delay,late\n")
    with pytest.raises(UsageError) as error:
        analyze(job_in(tmp_path, overrides))
    assert message in str(error.value)
    assert not (tmp_path / "transforms").exists()


def test_examples_go_only_where_nothing_else_lies(tmp_path: Path) -> None:
    write(tmp_path, "01.csv", lines(0, 6))
    job = job_in(tmp_path, PLAIN)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").touch()
    for place in (taken, tmp_path / "job.yaml"):
        with pytest.raises(UsageError, match=rf"--examples {place}"):
            analyze(job, examples=str(place))
    analyze(job, examples=str(tmp_path / "out"))
    bytes_before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.parquet")}
    (tmp_path / "out/part-00000007.parquet").touch()
    analyze(job, examples=str(tmp_path / "out"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.parquet")} == bytes_before
    assert json.loads((tmp_path / "out/_examples.json").read_text()) == {
        "transform": 2,
        "rows": 6,
        "files": ["part-00000000.parquet"],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Traceback\n  File x\nValueError: boo\n\nRuntimeError: a.b.KeyError: 'k' [while running 'x']",
            "RuntimeError: ",
        ),
        ("Graph execution error:\n\nDetected at node a\n<stack traces>\nassertion failed: [no]\n", "assertion failed"),
        ("killed", "killed"),
        ("", "no reason given"),
    ],
)
def test_the_cause_is_found_in_a_runners_text(text: str, said: str) -> None:
    assert said in first_cause(text)
