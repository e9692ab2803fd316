"""Whole commands, as a shell sees them: what they print and how they end."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from highbeam.cli import main

from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, write_night


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = csv_lines(range(1000))
    lines[7] = "-7,b,1.75"
    write_night(tmp_path, [*lines, "12O,a,1"])
    make_job(tmp_path)
    return tmp_path


def output(capsys: pytest.CaptureFixture) -> str:
    return str(capsys.readouterr().out)


def test_a_night_from_check_to_lookup(folder: Path, capsys: pytest.CaptureFixture) -> None:
    job = str(folder / "job.yaml")
    assert main(["check", job, "--date", DAY]) == 0
    shown = output(capsys)
    assert "doubling: no problem found" in shown
    assert "y: {tensor: y, type: float32}" in shown
    assert "2013-12-01: input files: 1," in shown

    assert main(["run", job, "--date", DAY, "--", "--direct_num_workers=1"]) == 0
    shown = output(capsys)
    assert "doubling 2013-12-01: published" in shown
    assert "read              1,001" in shown
    assert "bad_value 1" in shown

    assert main(["run", job, "--date", DAY, "--json"]) == 0
    record = json.loads(output(capsys))
    assert {name: record[name] for name in ("status", "read", "predicted", "rejected", "attempt", "model")} == {
        "status": "already_published",
        "read": 1001,
        "predicted": 1000,
        "rejected": 1,
        "attempt": 1,
        "model": {"name": "models", "version": "1"},
    }
    assert {"run_id", "job", "date", "output", "seconds"} <= set(record)

    assert main(["rejects", job]) == 0
    assert "data/2013-12-01/a.csv at byte" in output(capsys)
    assert main(["rejects", job, "--json"]) == 0
    reject = json.loads(output(capsys))
    assert (reject["stage"], reject["reason"], reject["raw"], reject["key"]) == ("read", "bad_value", "12O,a,1", None)

    assert main(["runs", job, "--json"]) == 0
    assert json.loads(output(capsys))["current"] is True
    assert main(["runs", job]) == 0
    assert "published" in output(capsys)

    assert main(["lookup", job, "3", "--date", DAY, "55555", "--", "-7"]) == 0
    found = [json.loads(line) for line in output(capsys).splitlines()]
    assert [(line["key"], line["found"]) for line in found] == [(3, True), (55555, False), (-7, True)]
    assert found[0]["row"]["y"] == 2.5
    assert found[0]["date"] == DAY


def test_lookup_takes_keys_from_a_file(folder: Path, capsys: pytest.CaptureFixture) -> None:
    job = str(folder)
    assert main(["lookup", job, "3"]) == 2
    assert "no night is published yet" in capsys.readouterr().err
    assert main(["run", job, "--date", DAY]) == 0
    (folder / "keys").write_text("3\n\n4\n")
    output(capsys)
    assert main(["lookup", job, "--keys-from", str(folder / "keys"), "--all-dates"]) == 0
    assert len(output(capsys).splitlines()) == 2
    for wrong, message in [
        (["x3"], "key 'x3': k is int64, and this is not"),
        ([], "no key given"),
        (["3", "--date", "2013-12-31"], "the newest published night is 2013-12-01"),
        (["3", "--date", "1.12.2013"], "write YYYY-MM-DD, today or yesterday"),
        (["3", "--date", DAY, "--all-dates"], "exclude each other"),
        (["--keys-from", "/nowhere"], "--keys-from /nowhere: no such file\n"),
    ]:
        assert main(["lookup", job, *wrong]) == 2
        assert message in capsys.readouterr().err


WRONG = {
    "unknown key": (JOB.replace("split_size", "splitsize"), "job.yaml:4: source.splitsize: unknown key; did you mean"),
    "wrong type": (JOB.replace("65536", "often"), "job.yaml:4: source.split_size: "),
    "missing file": (JOB.replace("*.csv", "none.csv"), "none.csv: no such file"),
    "missing column": (JOB.replace("x: {", "weight: {"), "weight"),
    "no SavedModel": (JOB.replace("path: models", "path: elsewhere"), "holds no complete model|does not exist"),
    "no such version": (JOB.replace("path: models", "path: models, version: 7"), "models/7 does not exist"),
    "no such signature": (JOB.replace("path: models", "path: models, signature: other"), "no signature 'other'"),
    "wrong dtype": (JOB.replace("x: {type: float32, min: 0}", "x: string"), "x"),
    "no such output": (JOB + "predictions: {p: {tensor: nope}}\n", "no output 'nope'"),
    "no such runner": (JOB + "beam: {runner: NoSuchRunner}\n", "NoSuchRunner"),
    "unknown option": (JOB + "beam: {direct_num_wrkers: 2}\n", "did you mean direct_num_workers?"),
    "no postprocess": (JOB + "postprocess: post.py:fn\npredictions: {y: {tensor: y}}\n", "there is no file"),
    "not ready": (JOB.replace("split_size: 65536", "ready: data/_SUCCESS"), "_SUCCESS"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_job_ends_with_2_and_one_message(folder: Path, what: str, capsys: pytest.CaptureFixture) -> None:
    text, message = WRONG[what]
    (folder / "job.yaml").write_text(text)
    for command in (["check", str(folder), "--date", DAY], ["run", str(folder), "--date", DAY]):
        assert main(command) == 2
        printed = capsys.readouterr()
        assert re.search(message, printed.err), printed.err
        assert "Traceback" not in printed.err
        assert printed.out == ""
    assert not (folder / "table").exists()


def test_mistakes_of_options_input_and_model_are_told_at_once(folder: Path, capsys: pytest.CaptureFixture) -> None:
    text = JOB.replace("*.csv", "none.csv").replace("path: models", "path: models, version: 7")
    (folder / "job.yaml").write_text(text + "beam: {runner: NoSuchRunner}\n")
    for command in ("check", "run"):
        assert main([command, str(folder), "--date", DAY]) == 2
        said = capsys.readouterr().err
        for message in ("NoSuchRunner", "none.csv: no such file", "models/7 does not exist"):
            assert message in said


def test_a_lost_output_column_ends_with_2(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["run", str(folder), "--date", DAY]) == 0
    (folder / "job.yaml").write_text(JOB.replace("passthrough: [g]", "passthrough: []"))
    assert main(["run", str(folder), "--date", DAY]) == 2
    assert "column g is in the table and no longer in the job" in capsys.readouterr().err


def test_refusals_end_with_3(folder: Path, capsys: pytest.CaptureFixture) -> None:
    strict = ["--set", "rejects.max_fraction=0"]
    assert main(["run", str(folder), "--date", DAY, *strict]) == 3
    assert "more than rejects.max_fraction: 0" in output(capsys)
    assert main(["run", str(folder), "--date", DAY, *strict, "--json"]) == 3
    assert json.loads(output(capsys))["status"] == "refused"
    assert main(["run", str(folder), "--date", DAY, "--dry-run", *strict, "--json"]) == 3
    assert json.loads(output(capsys))["status"] == "dry_run"
    assert main(["rejects", str(folder), "--run", "2013-12-01-0009-0000000000000000"]) == 2
    assert main(["run", str(folder), "--date", DAY, "--dry-run"]) == 0
    assert "dry run" in output(capsys)


def test_model_version_flag_rolls_back(folder: Path, capsys: pytest.CaptureFixture) -> None:
    save_model(folder, 2, factor=5.0)
    assert main(["run", str(folder), "--date", DAY, "--json"]) == 0
    assert json.loads(output(capsys))["model"]["version"] == "2"
    assert main(["run", str(folder), "--date", DAY, "--json", "--model-version", "1"]) == 0
    assert json.loads(output(capsys))["attempt"] == 2
    assert main(["run", str(folder), "--date", DAY, "--json", "--model-version", "published"]) == 0
    assert json.loads(output(capsys))["status"] == "already_published"


def test_detach_needs_another_runner(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["run", str(folder), "--date", DAY, "--detach"]) == 2
    assert "--detach needs a runner on other machines" in capsys.readouterr().err


def test_a_plain_beam_main(folder: Path, capsys: pytest.CaptureFixture) -> None:
    from highbeam.pipelines.predict import main as beam_main

    flags = [f"--job={folder}", f"--date={DAY}", "--runner=FnApiRunner", "--direct_num_workers=1"]
    assert beam_main(flags) == 0
    assert json.loads(output(capsys))["status"] == "published"
    assert beam_main([*flags, "--direct_num_workrs=1"]) == 2
    assert "did you mean direct_num_workers?" in capsys.readouterr().err
    assert beam_main([*flags, "--set=rejects.max_fraction=0", "--force"]) == 3


def test_a_folder_with_any_name_works(folder: Path, capsys: pytest.CaptureFixture) -> None:
    odd = folder / "we[i]rd * folder?"
    shutil.copytree(folder / "data", odd / "data")
    models = f"path: {folder}/models"  # TensorFlow itself takes such a name for a pattern
    (odd / "job.yaml").write_text(JOB.replace("path: models", models))
    assert main(["run", str(odd), "--date", DAY]) == 0
    assert "highbeam rejects '" in output(capsys)
    assert main(["runs", str(odd), "--json"]) == 0
    assert json.loads(output(capsys))["status"] == "published"
    assert main(["lookup", str(odd), "3"]) == 0
    assert json.loads(output(capsys))["found"] is True


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("output.delta.path=job.yaml", "output.delta.path: .*job.yaml is a file, not a folder"),
        ("state=job.yaml/x", "state: .*job.yaml is a file, not a folder"),
        ("state=table/x", "state: must not lie among the table's files"),
        ("columns.x.pattern='(['", "pattern belongs to string"),
        ("columns.g.pattern='(['", "columns.g: pattern: "),
        ("beam.direct_num_workers=many", "beam: argument --direct_num_workers: invalid int value: 'many'$"),
        ("predictions={}", "predictions is empty"),
        ("predictions.y={tensor: y, min: 2, max: 1}", "min 2 is above max 1"),
    ],
)
def test_check_finds_what_a_run_would_stumble_over(
    folder: Path, override: str, message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["check", str(folder), "--set", override]) == 2
    printed = capsys.readouterr()
    assert re.search(message, printed.err, re.MULTILINE), printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_raw_bytes_are_not_kept_against_the_jobs_will(folder: Path, capsys: pytest.CaptureFixture) -> None:
    run = ["run", str(folder), "--date", DAY, "--json"]
    assert main([*run, "--set", "rejects.max_fraction=0"]) == 3
    assert main([*run, "--set", "rejects.keep_raw=false"]) == 0
    output(capsys)
    assert main(["rejects", str(folder), "--json"]) == 0
    reject = json.loads(output(capsys))
    assert (reject["reason"], reject["length"], reject["raw"]) == ("bad_value", 7, None)


def test_a_postprocess_that_breaks_its_promise_is_one_line(folder: Path, capsys: pytest.CaptureFixture) -> None:
    (folder / "post.py").write_text("def fn(rows):\n    return rows\n")
    (folder / "job.yaml").write_text(JOB + "postprocess: post.py:fn\npredictions: {y: {tensor: y, type: float32}}\n")
    assert main(["run", str(folder), "--date", DAY]) == 1
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert "highbeam.schemas" not in printed.out
    assert "while running" not in printed.out
    assert "postprocess" in printed.out


def test_a_limited_dry_run_may_be_smaller_than_a_night(folder: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["run", str(folder), "--date", DAY, "--dry-run", "--limit", "5", "--set", "source.min_rows=900"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(output(capsys))["read"] == 5


def test_a_fraction_is_no_integer_key(folder: Path) -> None:
    import highbeam

    job = highbeam.load_job(str(folder))
    assert main(["run", str(folder), "--date", DAY]) == 0
    assert highbeam.lookup(job, [3, 4.0, "5"])["k"].to_pylist() == [3, 4, 5]
    for wrong in (1.5, True, {"z": 1}):
        with pytest.raises(highbeam.UsageError):
            highbeam.lookup(job, [wrong])


def test_predict_in_memory_does_not_look_at_the_table(folder: Path) -> None:
    import highbeam

    assert main(["run", str(folder), "--date", DAY]) == 0
    (folder / "job.yaml").write_text(JOB.replace("passthrough: [g]", "passthrough: []"))
    job = highbeam.load_job(str(folder))
    table = pa.table({"k": [1], "g": ["a"], "x": [2.0]})
    assert highbeam.predict(job, table)[0].to_pylist() == [{"k": 1, "y": 5.0}]


PREPROCESSING = """\
import tensorflow_transform as tft


def fn(inputs):
    return {"x": tft.scale_to_z_score(inputs["x"]), "g": tft.compute_and_apply_vocabulary(inputs["g"])}
"""


@pytest.mark.parametrize(("limit", "status"), [("0.01", 0), ("0", 3)])
def test_the_exit_status_survives_an_analysis(folder: Path, limit: str, status: int) -> None:
    """The interpreter itself must come down well after TensorFlow Transform was at work in it."""
    (folder / "pre.py").write_text(PREPROCESSING)
    (folder / "job.yaml").write_text(JOB + "transform: {preprocessing_fn: pre.py:fn, path: transforms}\n")
    command = [sys.executable, "-m", "highbeam.cli", "analyze", str(folder), "--from", DAY, "--to", DAY, "--json"]
    done = subprocess.run([*command, "--set", f"rejects.max_fraction={limit}"], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert (folder / "transforms" / "1").exists() == (status == 0)
    if status == 0:
        assert json.loads(done.stdout)["analysed"] == 1000
