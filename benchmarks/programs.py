"""The programs that are measured: where each reads and writes, and the command that starts it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATE = "2013-12-31"


@dataclass(frozen=True)
class Work:
    """The folder that holds inputs, models and outputs.

    Args:
      folder: absolute.
      shuffled: whether the input's ids are out of order.
    """

    folder: Path
    shuffled: bool = False

    def flights(self, rows: int) -> Path:
        """The input of `rows` flights."""
        return self.folder / f"flights-{rows}{'-shuffled' if self.shuffled else ''}.csv"

    @property
    def graph(self) -> Path:
        """The TFT graph that `highbeam analyze` writes."""
        return self.folder / "transforms" / "1"

    @property
    def packaged(self) -> Path:
        """The model version that `highbeam package` writes: the SavedModel, and its graph in `transform_fn`."""
        return self.folder / "models" / "1"

    @property
    def composed(self) -> Path:
        """Graph and model as one SavedModel, made from `packaged`."""
        return self.folder / "composed"

    def output(self, program: str) -> Path:
        """What a program writes: a table's folder, a file or a prefix of files."""
        return self.folder / {"highbeam": "highbeam", "loop": "loop.parquet", "beam": "beam"}[program]

    def clear(self, program: str) -> None:
        """Removes a program's output, so that every run starts alike."""
        for path in self.folder.glob(f"{self.output(program).name}*"):
            if path.suffix == ".log":
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def settings(self, rows: int) -> Mapping[str, str]:
        """The environment variables that job.yaml and the programs read."""
        return {"BENCH_WORK": str(self.folder), "BENCH_INPUT": self.flights(rows).name, "TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass(frozen=True)
class Program:
    """One way to do the work.

    Attributes:
      name: as `--only` takes it.
      title: as the table shows it.
      command: (work, rows of the input) -> program and arguments.
    """

    name: str
    title: str
    command: Callable[[Work, int], Sequence[str]]


def _highbeam(work: Work, rows: int) -> Sequence[str]:
    return [sys.executable, "-m", "highbeam.cli", "run", str(HERE / "job.yaml"), "--date", DATE, "--json"]


def _loop(work: Work, rows: int) -> Sequence[str]:
    return _script("streaming_loop.py", work.composed, work.flights(rows), work.output("loop"))


def _beam(work: Work, rows: int) -> Sequence[str]:
    return _script("row_by_row.py", work.graph, work.packaged, work.flights(rows), work.output("beam"))


def _bare(work: Work, rows: int) -> Sequence[str]:
    return _script("bare.py", work.composed)


def _script(name: str, *arguments: Path) -> Sequence[str]:
    return [sys.executable, str(HERE / name), *map(str, arguments)]


PROGRAMS = {
    program.name: program
    for program in (
        Program("highbeam", "Highbeam", _highbeam),
        Program("loop", "hand-written loop", _loop),
        Program("beam", "Beam, row by row", _beam),
    )
}
BARE = Program("bare", "bare imports and model", _bare)
