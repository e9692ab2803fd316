from __future__ import annotations

import io
import json
from typing import Any

import pytest

from highbeam import cli, console
from highbeam.pipelines.progress import Progress
from highbeam.pipelines.rejects import reject_text
from highbeam.schemas.manifest import Manifest

BEGUN = Progress(splits=8)
HALF = Progress(splits=8, staged=4, read=5000, rejected=7, seconds=10.0, resumed=2, resumed_read=1000)
STAGED = Progress(splits=8, staged=8, read=9000, rejected=7, seconds=20.0)
CASES = {
    "before the first split": (BEGUN, "0 of 8 splits: 0 rows, 0 rows/s, 0 rejected, 0 s"),
    "what was there before does not count for the speed": (
        HALF, "4 of 8 splits: 5,000 rows, 400 rows/s, 7 rejected, 10 s, about 20 s left",
    ),
    "all staged": (STAGED, "merging: 9,000 rows, 450 rows/s, 7 rejected, 20 s"),
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("now", "text"), CASES.values(), ids=CASES)
def test_progress_as_a_line(now: Progress, text: str) -> None:
    assert console.progress_text(now) == text


def test_a_terminal_shows_one_line_that_changes_and_stays_at_the_end() -> None:
    terminal = Terminal()
    show = console.progress_line(terminal)
    for now in (BEGUN, HALF, Progress(8, 8, 9000, 7, 20.0, over=True)):
        show(now)
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().split("\r\x1b[2K")[1:] == [
        CASES["before the first split"][1],
        CASES["what was there before does not count for the speed"][1],
        CASES["all staged"][1] + "\n",
    ]


def test_elsewhere_a_plain_line_comes_now_and_then() -> None:
    stream = io.StringIO()
    show = console.progress_line(stream)
    for seconds in range(25):
        show(Progress(8, seconds=float(seconds)))
    assert [line.rsplit(" ", 2)[1] for line in stream.getvalue().splitlines()] == ["10", "20"]


def ended(status: Any, **more: Any) -> Manifest:
    model = {"name": "m", "version": "1"}
    return Manifest("2013-12-01-0001-s", "j", "2013-12-01", 1, "s", "l", status, model, "table", **more)


def test_the_way_to_the_rejects_repeats_what_the_command_set() -> None:
    refused = ended("refused", read=9, rejected=3)
    last = console.run_summary(refused, "a job", ["state=/tmp/s", "name=a b"]).splitlines()[-1]
    assert last == "  see them  highbeam rejects 'a job' --date 2013-12-01 --set state=/tmp/s --set 'name=a b'"


@pytest.mark.parametrize(("status", "counts"), [("published", 3), ("failed", 0), ("submitted", 0)])
def test_what_was_not_counted_is_not_shown(status: str, counts: int) -> None:
    lines = console.run_summary(ended(status, message="why"), "job.yaml").splitlines()
    assert sum(line.split()[0] in ("read", "predicted", "rejected") for line in lines) == counts


@pytest.mark.parametrize("version", ["abc", "-1", "1.5"])
def test_a_wrong_model_version_is_blamed_on_its_flag(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "job.yaml", "--date", "today", "--model-version", version]) == 2
    assert capsys.readouterr().err == f"highbeam: --model-version {version}: write a number, latest or published\n"


def test_control_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "runs", interrupted)
    assert cli.main(["runs", "job.yaml", "--json"]) == 1
    said = capsys.readouterr()
    assert said.err == "highbeam: interrupted; run the command again, staged splits are kept\n"
    assert json.loads(said.out)["reason"] == "interrupted"


def test_a_wrong_flag_is_told_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "job.yaml", "--date", "today", "--json", "--frce"])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["message"] == "unknown argument --frce; did you mean --force?"
    assert "did you mean --force?" in said.err


def test_a_reject_does_nothing_to_the_terminal() -> None:
    reject = {
        "file": "a\x1b[2J.csv", "offset": 7, "line": 2, "stage": "read", "reason": "bad_value", "message": "é \x07",
        "key": "k\x1b", "raw": "x\ty\x1b]0;z\x07", "length": 9,
    }  # fmt: skip
    text = reject_text(reject)
    assert text.replace("\n    ", "").isprintable()
    assert text.startswith(r"a\x1b[2J.csv at byte 7, line 2: read: bad_value: é \x07")
    assert text.endswith(r"x\ty\x1b]0;z\x07")
