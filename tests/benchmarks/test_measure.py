"""Whole processes, measured."""

import sys
from pathlib import Path

import pytest

from benchmarks.measure import Cost, ProcessFailed, middle, quickest, run_process

TAKES_300_MB = "import time; held = bytearray(300_000_000); held[::4096] = b'x' * len(held[::4096]); time.sleep(0.2)"


def test_a_process_costs_what_it_takes_and_not_what_its_starter_took(tmp_path: Path) -> None:
    held = b"x" * 100_000_000
    little = run_process([sys.executable, "-c", "pass"], tmp_path, tmp_path / "log", {})
    assert little.peak < len(held)
    cost = run_process([sys.executable, "-c", TAKES_300_MB], tmp_path, tmp_path / "log", {})
    assert cost.peak > 300_000_000
    assert cost.seconds > 0.2
    assert cost.cpu_seconds > 0


def test_settings_and_folder_reach_the_process(tmp_path: Path) -> None:
    code = "import os; open(os.environ['NAME'], 'w').close()"
    run_process([sys.executable, "-c", code], tmp_path, tmp_path / "log", {"NAME": "made"})
    assert (tmp_path / "made").exists()


def test_a_failure_says_what_the_process_said(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such flight')"]
    with pytest.raises(ProcessFailed, match="status 1:\nno such flight"):
        run_process(command, tmp_path, tmp_path / "log", {})


def test_the_middle_takes_each_figure_by_itself() -> None:
    assert middle([Cost(1, 9, 5), Cost(2, 8, 7), Cost(9, 1, 6)]) == Cost(2, 8, 6)


def test_the_quickest_is_one_whole_run() -> None:
    assert quickest([Cost(2, 8, 7), Cost(1, 9, 5), Cost(9, 1, 6)]) == Cost(1, 9, 5)
