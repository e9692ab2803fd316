"""job.yaml: what is understood, and that every mistake is named with its line and remedy."""

from __future__ import annotations

import pytest

from highbeam.schemas.errors import JobError, UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import load_job, parse_job
from highbeam.schemas.plan import dump_job

GOOD = """\
name: delays
source:
  csv: {path: "data/{date:%Y-%m-%d}/*.csv"}
columns:
  flight_id: int64
  carrier: {type: string, values: [AA, "NO"]}
  distance: {type: float32, min: 0}
  delay: {type: float32, nullable: true, default: 0}
  zip: {type: string, from: postal code, optional: true, nullable: true}
key: flight_id
model: {path: models/delays, version: 3}
output:
  delta: {path: predictions}
  passthrough: [carrier]
"""


def parse(text: str, *overrides: str) -> Job:
    return parse_job(text, "/jobs/delays/job.yaml", overrides)


def problems(text: str) -> list[str]:
    with pytest.raises(JobError) as error:
        parse(text)
    return [problem.removeprefix("/jobs/delays/job.yaml:") for problem in error.value.problems]


def test_a_good_job_is_read_whole() -> None:
    job = parse(GOOD)
    assert job.folder == "/jobs/delays"
    assert job.source.files.path == ("data/{date:%Y-%m-%d}/*.csv",)
    assert job.contract.key == ("flight_id",)
    assert job.columns["zip"].source == "postal code"
    assert job.columns["carrier"].values == ("AA", "NO")
    assert job.model.version == "3"
    assert job.rejects.max_fraction == 0.01
    assert parse_job(__import__("json").dumps(dump_job(job)), "/jobs/delays/job.yaml") == job


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "name: delays",
            "nam: delays",
            ["1: nam: unknown key; did you mean name?", "1: name is missing: the job's name"],
        ),
        ("min: 0", "mim: 0", ["7: columns.distance.mim: unknown key; did you mean min?"]),
        (
            "distance: {type: float32",
            "distance: {type: flot32",
            ["7: columns.distance.type: unknown type 'flot32'; known"],
        ),
        (
            "type: float32, min: 0",
            "type: uint64",
            ["7: columns.distance.type: type uint64 is not supported: no table"],
        ),
        ("key: flight_id", "key: flightid", ["10: key: flightid is no column of the contract"]),
        ("key: flight_id", "key: distance", ["10: key: distance is float32; a key is one of int8"]),
        ("key: flight_id", "key: zip", ["10: key: zip may be missing"]),
        ("version: 3", "version: prod", ["11: model.version: labels such as 'prod' are not available yet"]),
        ("version: 3", "password: x", ["11: model.password: secrets do not belong in a job"]),
        (
            "path: predictions",
            "path: ftp://host/p",
            ["13: output.delta.path: ftp://host/p: no such store is known; write a local path"],
        ),
        *(
            ("{date:%Y-%m-%d}", written, [f"3: source.csv.path.0: {written}: no format of a date; write {{date}}"])
            for written in ("{date:}", "{date:YYYY}", "{date:%Q}", "{date:%Y%}", "{date:%H}")
        ),
        *(
            ("{date:%Y-%m-%d}", written, [f"3: source.csv.path.0: {written} is not known; the night's date is"])
            for written in ("{dat}", "{Date}", "{date }", "{ds:%Y}")
        ),
        (
            'csv: {path: "data/{date:%Y-%m-%d}/*.csv"}',
            "bigquery: {table: p.d.t, where: \"day = '{date:%Q}'\"}",
            ["3: source.bigquery.where: {date:%Q}: no format of a date"],
        ),
        (
            "key: flight_id",
            "key: flight_id\ntraining: {source: {csv: {path: 'past/{dat}.csv'}}}",
            ["11: training.source.csv.path.0: {dat} is not known"],
        ),
        ("csv: {", "iceberg: {", ["2: source: name one of csv, json,", "3: source.iceberg: not available yet"]),
        (
            "delta: {path: predictions}",
            "bigquery: {table: a.b.c}",
            ["1: state is missing: a folder for staging"],
        ),
        ("key: flight_id", "schedule: daily", ["10: schedule: not available yet"]),
        (
            "[carrier]",
            "[carrier, flight_id, q]",
            [
                "14: output.passthrough: flight_id is published already",
                "14: output.passthrough: q is no column",
            ],
        ),
        ("name: delays", "name: delays\nname: again", ["2: name stands twice"]),
        (
            "name: delays",
            "name: ${NO_SUCH_VARIABLE}",
            ["1: ${NO_SUCH_VARIABLE}: no such environment variable"],
        ),
        ("name: delays", "name: [", ["3: not YAML"]),
        (
            "optional: true, nullable: true",
            "optional: true",
            ["9: columns.zip: optional needs nullable: true or a default"],
        ),
        ("default: 0", "default: often", ["8: columns.delay: default: 'often' is not a float32"]),
        (
            "  flight_id: int64",
            "  _id: int64\n  flight_id: int64",
            ["5: columns._id: names with a leading _"],
        ),
        (
            "[carrier]",
            "[carrier]\npredictions: {carrier: {tensor: y}}",
            ["15: predictions.carrier: already the name"],
        ),
        ("[carrier]", "[carrier]\nbeam: 3", ["15: beam: "]),
        ("key: flight_id", "key: {columns: [flight_id], duplicates: maybe}", ["10: key.duplicates: "]),
        (
            "distance: {type: float32, min: 0}",
            "distance: list<float32>",
            ["7: columns.distance: a CSV field cannot hold"],
        ),
        (
            "distance: {type: float32, min: 0}",
            "distance: {type: timestamp, format: '%Y'}",
            ["7: columns.distance: a format"],
        ),
        (
            "distance: {type: float32, min: 0}",
            "distance: {type: timestamp, timezone: Mars/Phobos}",
            ["7: columns.distance: timezone: no zone 'Mars/Phobos' is known here; write one such as America/New_York,"],
        ),
        ("version: 3", "version: -1", ["11: model.version: '-1' is no version; write a number, latest or published"]),
        ("[carrier]", "[date]", ["14: output.passthrough: date is no column"]),
        ("[carrier]", "[carrier]\npredictions: {}", ["15: predictions is empty; name at least one"]),
        ("{path: predictions}", "{path: [predictions]}", ["13: output.delta.path: should be a text, found a list"]),
        ("{path: models/delays, version: 3}", "models", ["11: model: should be a mapping, found 'models'"]),
        ("version: 3}", "on: 3}", ["11: model.1: keys should be texts (YAML reads"]),
        (
            '"data/{date:%Y-%m-%d}/*.csv"',
            "${DATA}/*.csv",
            ["3: not YAML: expected ',' or '}', but got '{'; put quotes around a text with ${…} in it"],
        ),
    ],
)
def test_each_mistake_is_named(old: str, new: str, expected: list[str]) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new))
    assert len(found) == len(expected), found
    for text, beginning in zip(found, expected, strict=True):
        assert text.startswith(beginning)


def test_all_mistakes_are_named_at_once() -> None:
    text = GOOD.replace("name:", "nam:").replace("min:", "mim:").replace("output:", "outputs:")
    assert [problem.split(":")[1].strip() for problem in problems(text)] == [
        "nam",
        "name is missing",
        "output is missing",
        "columns.distance.mim",
        "outputs",
    ]


def test_variables_and_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIN_ROWS", "7")
    text = GOOD.replace("source:\n", "source:\n  min_rows: ${MIN_ROWS}\n").replace("delays\n", "${NAME:-nightly}\n", 1)
    job = parse(text, "output.delta.path=/tmp/table", "rejects.max_fraction=0.5", "beam.runner=PrismRunner")
    assert (job.name, job.source.min_rows) == ("nightly", 7)
    assert job.output.delta
    assert (job.output.delta.path, job.rejects.max_fraction, job.beam) == (
        "/tmp/table",
        0.5,
        {"runner": "PrismRunner"},
    )


def test_overrides_hold_variables_and_spell_shorthands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLES", "/tables")
    text = GOOD + "accelerator: nvidia-l4\ntraining: {columns: {late: int64}}\n"
    flags = ["output.delta.path=${TABLES}/x", "columns.flight_id.min=3", "key.duplicates=refuse"]
    job = parse(text, *flags, "accelerator.count=2", "training.columns.late.max=1")
    assert job.output.delta
    assert job.output.delta.path == "/tables/x"
    assert (job.columns["flight_id"].type, job.columns["flight_id"].min) == ("int64", 3)
    assert (job.contract.key, job.contract.duplicates) == (("flight_id",), "refuse")
    assert job.accelerator
    assert (job.accelerator.type, job.accelerator.count) == ("nvidia-l4", 2)
    assert job.training
    assert (job.training.columns["late"].type, job.training.columns["late"].max) == ("int64", 1)


def test_rules_across_parts_are_named_beside_what_is_not_available() -> None:
    text = GOOD.replace("key: flight_id", "key: flightid\nschedule: daily").replace("[carrier]", "[q]")
    assert [problem.split(":")[1].strip() for problem in problems(text)] == ["key", "schedule", "output.passthrough"]


def test_a_mistake_of_a_flag_is_named_by_its_flag() -> None:
    with pytest.raises(JobError, match=r"^--set: source.min_rows: should be a whole number, found 'often'$"):
        parse(GOOD, "source.min_rows=often")
    assert parse(GOOD, "output.passthrough=distance").output.passthrough == ("distance",)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nothing", "key.path=value"),
        ("name.x=1", "holds no keys"),
        ("name=[", "not YAML"),
        (
            "state=${NO_SUCH_VARIABLE}/s",
            r"^--set state=.*: \$\{NO_SUCH_VARIABLE\}: no such environment variable; set it",
        ),
    ],
)
def test_a_wrong_override_is_named(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(GOOD, override)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_job(str(tmp_path / "job.yaml"))
    (tmp_path / "job.yaml").write_text(GOOD)
    assert load_job(str(tmp_path)).folder == str(tmp_path)
