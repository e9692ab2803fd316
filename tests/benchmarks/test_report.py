"""What a benchmark prints, and what it keeps."""

from pathlib import Path

import pytest

from benchmarks.bench import parser, plan
from benchmarks.measure import Cost
from benchmarks.report import lines, targets
from benchmarks.results import Results, keep

MB = 1_000_000


def results(rows: int, highbeam: float = 10, loop: float = 10, peak: int = 1500 * MB) -> Results:
    """Made-up figures: row by row takes a hundred times as long as Highbeam once both have started."""
    whole = {"highbeam": Cost(highbeam, 18, peak), "loop": Cost(loop, 19, 1200 * MB)}
    small = {"highbeam": Cost(5.5, 6, peak), "beam": Cost(60, 60, peak)}
    start_up = {"highbeam": Cost(5, 5, peak), "beam": Cost(10, 10, peak)}
    return Results(rows, 3, Cost(4, 4, 1100 * MB), whole, small, start_up)


def verdicts(*all_results: Results) -> list[str]:
    return [line[:4] for line in targets(all_results)]


def test_targets_need_their_rows() -> None:
    assert verdicts(results(1000)) == ["----", "----", "pass", "----", "----", "----"]
    assert verdicts(results(10_100_000)) == ["pass", "----", "pass", "pass", "pass", "----"]
    assert verdicts(results(10_100_000), results(50_500_000, highbeam=7)) == ["pass"] * 6


@pytest.mark.parametrize(
    ("missed", "ten", "fifty"),
    [
        (0, results(10_100_000, highbeam=10.6), results(50_500_000, highbeam=7)),
        (1, results(10_100_000), results(50_500_000, highbeam=8.1)),
        (3, results(10_100_000), results(50_500_000, highbeam=300, loop=400)),
        (4, results(10_100_000, peak=1601 * MB), results(50_500_000, highbeam=7, peak=1601 * MB)),
        (5, results(10_100_000, peak=1200 * MB), results(50_500_000, highbeam=7, peak=1400 * MB)),
    ],
)
def test_a_missed_target_shows(missed: int, ten: Results, fifty: Results) -> None:
    assert [at for at, verdict in enumerate(verdicts(ten, fifty)) if verdict == "FAIL"] == [missed]


def test_start_up_is_taken_off_both() -> None:
    speeds = results(1000)
    assert speeds.speed("highbeam") / speeds.speed("beam") == pytest.approx(50 / 0.5)
    assert results(10_000_010).night_speed("highbeam") == pytest.approx(10_000_000 / 5)


def test_the_report_names_every_program() -> None:
    text = "\n".join(lines(found := results(10_100_000, highbeam=8), [found]))
    assert "10,100,000 rows, whole processes, medians of 3" in text
    assert "hand-written loop" in text
    assert "Beam, row by row" in text
    assert "1.25" in text  # the loop's time over Highbeam's
    assert "  400 " in text  # MB above the bare imports and model


def test_results_are_kept_by_rows(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first, second, again = results(50), results(10), results(50, highbeam=3)
    keep(first, path)
    keep(second, path)
    assert keep(again, path) == [second, again]


def test_a_round_runs_row_by_row_beam_on_few_rows_only() -> None:
    names = [(name, rows) for _, name, rows in plan(["highbeam", "loop", "beam"], 10_000_000)]
    assert ("beam", 10_000_000) not in names
    assert {name for name, rows in names if rows == 10_000_000} == {"highbeam", "loop"}
    assert {name for name, rows in names if rows == 200_000} == {"highbeam", "beam"}


def test_only_known_programs_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert parser().parse_args(["--only", "loop,highbeam"]).only == ["loop", "highbeam"]
    with pytest.raises(SystemExit):
        parser().parse_args(["--only", "loop,spark"])
    assert "unknown program 'spark'; choose from highbeam, loop, beam" in capsys.readouterr().err
