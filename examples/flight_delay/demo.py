"""The whole example in one go: data, analysis, training, packaging, a night with three broken rows, a lookup.

    python demo.py         # or `make demo` at the top of the repository

It only runs the commands of README.md one after another and shows them; each can be repeated by hand, in this folder.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
NIGHT = "2013-12-01"
STEPS = (
    ("A year of flights as a nightly export, and the same with delays as history", "python make_data.py"),
    (
        "Analyze January to September; transformed rows to train on",
        "highbeam analyze job.yaml --examples work/examples",
    ),
    ("Train", "python train.py"),
    ("Put transform graph and model together", "highbeam package job.yaml --saved-model work/trained"),
    ("Evaluate on October to December", "python evaluate.py"),
    ("Break three rows of one night", f"python make_data.py --damage 3 --date {NIGHT}"),
    ("Score that night", f"highbeam run job.yaml --date {NIGHT}"),
    ("The rows that were turned away", f"highbeam rejects job.yaml --date {NIGHT}"),
    ("Look two flights up", f"highbeam lookup job.yaml 201312010001 201312010500 --date {NIGHT}"),
)


def program(name: str) -> list[str]:
    """How to start `python` or `highbeam`: those of the environment this program runs in."""
    if name == "python":
        return [sys.executable]
    script = shutil.which(name, path=str(Path(sys.executable).parent))
    return [script] if script else [sys.executable, "-m", "highbeam.cli"]


def main() -> None:
    """Runs the steps; stops at the first that fails, with its exit status."""
    started = time.monotonic()
    shutil.rmtree(HERE / "work" / "examples", ignore_errors=True)  # not to train on an earlier demo's rows as well
    for title, command in STEPS:
        print(f"\n# {title}\n$ {command}", flush=True)
        name, *arguments = shlex.split(command)
        done = subprocess.run([*program(name), *arguments], cwd=HERE, check=False)
        if done.returncode:
            sys.exit(done.returncode if done.returncode > 0 else 1)
    print(f"\n{time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
