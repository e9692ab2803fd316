"""The example's data: every flight once, in the columns of job.yaml, and broken where it says so."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from examples.flight_delay import demo, make_data
from highbeam import load_job
from highbeam.schemas.batch import Batch
from highbeam.schemas.contract import Contract
from highbeam.schemas.job import Job
from highbeam.transforms.formats.choose import format_of
from highbeam.transforms.plan_splits import plan_splits
from highbeam.transforms.validate import validate

NIGHT = "2013-12-01"
FLIGHTS = 336_776
UNDAMAGED = 987
TIMETABLE = [
    "month",
    "day",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "sched_dep_time",
    "distance",
    "time_hour",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's work folder with all its data, undamaged; a test that changes it puts it right again."""
    folder = tmp_path_factory.mktemp("flight_delay") / "work"
    assert make_data.make(folder) == (FLIGHTS, [])
    return folder


@pytest.fixture
def damaged(work: Path) -> Iterator[list[make_data.Damage]]:
    """One row of each kind broken in NIGHT, for as long as a test runs."""
    yield make_data.make(work, len(make_data.KINDS), NIGHT)[1]
    make_data.make(work)


@pytest.fixture(scope="module")
def job() -> Job:
    return load_job(str(Path(make_data.__file__).parent))


def read(files: Iterator[Path]) -> pa.Table:
    return pa.concat_tables([pyarrow.csv.read_csv(file) for file in sorted(files)])


def batches(job: Job, contract: Contract, work: Path) -> Iterator[Batch]:
    """A night as a run reads it."""
    for split in plan_splits(job.source, contract, str(work.parent), NIGHT):
        for batch in format_of(job.source).read(split, contract, job.source.max_record_bytes):
            yield validate(batch, contract)


def test_the_nights_hold_every_flight_exactly_once(work: Path) -> None:
    nights = read(work.glob("data/*/*.csv")).select(TIMETABLE)
    source = pyarrow.csv.read_csv(pa.BufferReader(make_data.source_csv())).select(TIMETABLE)
    order = [(name, "ascending") for name in TIMETABLE]
    assert nights.num_rows == FLIGHTS
    assert nights.sort_by(order).equals(source.sort_by(order))


def test_a_flight_is_in_the_night_of_its_date_with_an_id_of_its_own(work: Path) -> None:
    for folder in (work / "data").iterdir():
        night = pyarrow.csv.read_csv(folder / "flights.csv")
        first = int(folder.name.replace("-", "")) * 10_000 + 1
        assert night["flight_id"].to_pylist() == list(range(first, first + night.num_rows))


def test_the_order_of_the_lines_gives_no_delay_away(work: Path) -> None:
    night = pyarrow.csv.read_csv(work / "data" / NIGHT / "flights.csv")
    known = ("sched_dep_time", "carrier", "flight", "origin", "dest")
    assert night.equals(night.sort_by([(name, "ascending") for name in known]))


def test_weekdays_are_those_of_the_calendar(work: Path) -> None:
    assert set(pyarrow.csv.read_csv(work / "data/2013-12-01/flights.csv")["weekday"].to_pylist()) == {7}  # a Sunday
    assert set(pyarrow.csv.read_csv(work / "data/2013-01-01/flights.csv")["weekday"].to_pylist()) == {2}


def test_history_holds_the_same_flights_and_their_delays(work: Path) -> None:
    nights, history = read(work.glob("data/*/*.csv")), read(work.glob("history/*.csv"))
    assert history.select(nights.column_names).equals(nights)
    assert history["arr_delay"].null_count == 9_430  # cancelled or diverted


def test_the_files_have_the_columns_of_the_job_and_no_night_has_a_label(work: Path, job: Job) -> None:
    assert job.training is not None
    files = ("data/2013-12-01/flights.csv", "history/2013-01.csv")
    night, month = ((work / file).read_text().split("\n")[0].split(",") for file in files)
    assert set(job.columns) <= set(night)
    assert set(job.columns) | set(job.training.columns) <= set(month)
    assert not {"arr_delay", "dep_delay", "dep_time", "arr_time", "air_time"} & set(night)


def test_the_contract_accepts_every_row_of_an_undamaged_night(work: Path, job: Job) -> None:
    found = list(batches(job, job.read_contract, work))
    assert [sum(batch.read for batch in found), sum(batch.rejected.num_rows for batch in found)] == [UNDAMAGED, 0]


def test_most_flights_have_their_plane_and_their_weather(work: Path, job: Job) -> None:
    flights = read(work.glob("data/*/*.csv"))
    lost = {}
    for name, join in job.join.items():
        side = pyarrow.csv.read_csv(work.parent / join.paths[0])
        assert {column.source or name for name, column in join.columns.items()} <= set(side.column_names)
        lost[name] = flights.join(side, list(join.by), list(join.by.values()), join_type="left anti").num_rows
    assert lost == {"planes": 52_606, "weather": 1_556}


def test_what_is_right_already_is_not_written_again(work: Path) -> None:
    night = work / "data" / NIGHT / "flights.csv"
    clean, before = night.read_bytes(), {path: path.stat().st_mtime_ns for path in work.glob("*/**/*.csv")}
    make_data.make(work, 1, NIGHT)
    assert [path for path in before if path.stat().st_mtime_ns != before[path]] == [night]
    assert night.read_bytes() != clean
    make_data.make(work)
    assert night.read_bytes() == clean


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9])
def test_damage_is_where_and_what_it_says(count: int) -> None:
    clean = [
        make_data.NIGHTLY,
        *(f"{n},AA,{n},N{n},JFK,BOS,187,12,1,7,{n},{n},2013-12-01T10:00:00Z" for n in range(100, 120)),
    ]
    lines = list(clean)
    damaged = make_data.damage(lines, count)
    text = "\n".join(lines)
    assert len(damaged) == count
    assert [n for n, (old, new) in enumerate(zip(clean, lines, strict=True), 1) if old != new] == [
        row.line for row in damaged
    ]
    for row in damaged:
        assert text[row.offset :].split("\n")[0] == row.text == lines[row.line - 1]


def test_every_damaged_row_and_no_other_is_rejected_for_what_was_done_to_it(
    work: Path, damaged: list[make_data.Damage], job: Job
) -> None:
    rejected = pa.Table.from_batches([batch.rejected for batch in batches(job, job.read_contract, work)])
    expected = [
        ("read", "bad_value"),
        ("read", "wrong_field_count"),
        ("read", "unbalanced_quote"),
        ("validate", "not_in_values"),
    ]
    found = {row["offset"]: (row["stage"], row["reason"]) for row in rejected.to_pylist()}
    assert found == dict(zip((row.offset for row in damaged), expected, strict=True))


def test_more_damage_than_rows_and_an_unknown_night_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the night has 1"):
        make_data.damage([make_data.NIGHTLY, "1,AA,1,,JFK,BOS,187,12,1,7,1,1,2013-12-01T06:00:00Z"], 2)
    with pytest.raises(SystemExit, match="2014-01-01"):
        make_data.make(tmp_path, 1, "2014-01-01")


def test_the_readme_shows_every_command_of_the_demo_in_its_order() -> None:
    readme = (Path(demo.__file__).parent / "README.md").read_text("utf-8")
    shown = [line.removeprefix("    $ ") for line in readme.splitlines() if line.startswith("    $ ")]
    ran = [command for _, command in demo.STEPS]
    assert [command for command in shown if command in ran] == ran
