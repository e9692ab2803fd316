"""Every example of the README and of docs/ does what it says.

A page is run from top to bottom in a folder of its own, which begins as `world` makes it. What becomes of a fenced
block is decided by its first line:

    ```yaml job.yaml    any language and a file's name: written to that file
    ```yaml             keys of job.yaml; laid over the page's job.yaml, and the whole must be a sound job
    ```python           executed; names live on to the page's next block
    ```console          the lines after `$ ` are run, and must print the lines below them; `...` stands for anything
    ```sh, ```text      shown only
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import runpy
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from highbeam import console
from highbeam.cli import main
from highbeam.schemas.job_file import parse_job

from tests.docs.world import make_world

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN_ONLY = {"sh", "text"}
_BLOCK = re.compile(r"^```(?P<language>\w*)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it names or None, its text, and its line in the page."""

    language: str
    file: str | None
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    for found in _BLOCK.finditer(page):
        yield Block(found["language"], found["file"], found["text"], page.count("\n", 0, found.start()) + 1)


def commands(text: str) -> Iterator[tuple[str, str]]:
    """What a console block runs, each with what it should print."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


@dataclass
class Reader:
    """Somebody who tries everything on a page."""

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__docs__"})
    status: int = 0

    def tries(self, block: Block) -> None:
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.language == "yaml":
            self.parses(block.text)
        elif block.language == "python":
            exec(compile(block.text, "a block of Python", "exec"), self.names)
        elif block.language == "console":
            for command, wanted in commands(block.text):
                self.sees(command, wanted)
        else:
            assert block.language in SHOWN_ONLY, f"```{block.language} is no language of these pages"

    def parses(self, text: str) -> None:
        path = self.folder / "job.yaml"
        whole = yaml.safe_load(path.read_text("utf-8"))
        parse_job(yaml.safe_dump(laid_over(whole, yaml.safe_load(text)), sort_keys=False), str(path))

    def sees(self, command: str, wanted: str) -> None:
        found = self.runs(command)
        flags = doctest.ELLIPSIS | doctest.REPORT_NDIFF
        example = doctest.Example(command, wanted)
        if not doctest.OutputChecker().check_output(wanted, found, flags):
            difference = doctest.OutputChecker().output_difference(example, found, doctest.ELLIPSIS)
            pytest.fail(f"$ {command}\n{difference}", pytrace=False)  # the text says all there is to say

    def runs(self, command: str) -> str:
        """What a command prints, on both streams; ours run in this process, since TensorFlow starts slowly."""
        program, *arguments = shlex.split(command, comments=True)
        if command == "echo $?":
            return f"{self.status}\n"
        if program not in ("highbeam", "python"):
            done = subprocess.run(command, shell=True, cwd=self.folder, capture_output=True, text=True, check=False)
            return done.stdout + done.stderr
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                self.status = main(arguments) if program == "highbeam" else self.executes(*arguments)
            except SystemExit as end:
                self.status = int(end.code or 0)
        return printed.getvalue()

    def executes(self, script: str) -> int:
        runpy.run_path(str(self.folder / script), run_name="__main__")
        return 0


def laid_over(whole: Any, part: Any) -> Any:
    """A mapping with some of its values replaced, mappings in it likewise."""
    if not isinstance(whole, dict) or not isinstance(part, dict):
        return part
    return {**whole, **{name: laid_over(whole.get(name), value) for name, value in part.items()}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every page finds in its folder."""
    return make_world(tmp_path_factory.mktemp("docs") / "world")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples(page: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "job"
    shutil.copytree(world, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(console, "PLAIN_LINE_SECONDS", float("inf"))  # a slow machine would show progress in between
    reader = Reader(folder)
    for block in blocks(page.read_text("utf-8")):
        try:
            reader.tries(block)
        except Exception as error:
            raise AssertionError(f"{page.name}:{block.line}: {error!r}") from error
