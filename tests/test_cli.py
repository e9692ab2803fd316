"""The command line's own law: help at once, no abbreviations, the nearest name for an unknown one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from highbeam.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rum", "job.yaml"], "unknown command 'rum'; did you mean run?"),
        (["run", "job.yaml", "--date", "today", "--forse"], "unknown argument --forse; did you mean --force?"),
        (["run", "job.yaml", "--da", "today"], "unknown argument --da; did you mean --date?"),
        (["run", "job.yaml", "--dat=today"], "unknown argument --dat=today; did you mean --date?"),
        (["run", "job.yaml"], "--date"),
        (["replay", "job.yaml"], "--date"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


def test_a_missing_job_is_one_line(capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", "/nowhere/job.yaml"]) == 2
    assert capsys.readouterr().err == (
        "highbeam: /nowhere/job.yaml: no such file; name a job.yaml or the folder it lies in\n"
    )


COMMANDS = ["check", "analyze", "package", "run", "lookup", "rejects", "replay", "runs"]
FLAGS = {"package": ["--saved-model", "m"], "run": ["--date", "today"], "replay": ["--date", "today"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert exit.value.code == 0
    assert "JOB" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from highbeam.cli import parser; parser().format_help(); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "apache_beam", "pyarrow", "numpy", "pydantic", "yaml", "deltalake"} & set(loaded)


def test_a_mistake_in_the_job_is_told_without_waiting_for_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("nam: delays\n")
    commands = [[command, str(tmp_path), *FLAGS.get(command, [])] for command in COMMANDS]
    code = f"import sys; from highbeam.cli import main; print(*map(main, {commands!r})); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    statuses, loaded = done.stdout.splitlines()
    assert set(statuses.split()) == {"2"}, done.stderr
    assert done.stderr.count("nam: unknown key; did you mean name?") == len(COMMANDS)
    assert not {"tensorflow", "apache_beam", "deltalake"} & set(loaded.split())
