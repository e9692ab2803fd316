"""What is handed out: wheel, sdist, and the image's recipe."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from importlib.metadata import distribution, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def listed(name: str) -> list[str]:
    """A list of setup.py, read without running it."""
    for node in ast.parse((ROOT / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"setup.py holds no {name}")


def modules() -> set[str]:
    """The files the package consists of, as `highbeam/schemas/batch.py`."""
    folders = [ROOT.joinpath(*name.split(".")[1:]) for name in listed("PACKAGES")]
    files = {path for folder in folders for path in folder.glob("*.py")} - {ROOT / "setup.py"}
    return {f"highbeam/{path.relative_to(ROOT).as_posix()}" for path in files}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of this working copy, the wheel made from the sdist."""
    folder = tmp_path_factory.mktemp("packaging")
    kept = shutil.ignore_patterns(".*", "build", "dist", "work", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, folder / "source", ignore=kept)
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(folder / "source"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == modules() | {"highbeam/py.typed"}


def test_the_wheel_brings_the_command_and_the_license(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        texts = {Path(name).name: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
    assert "highbeam = highbeam.cli:entry" in texts["entry_points.txt"]
    assert re.search(r"^License(-Expression)?: Apache-2.0$", texts["METADATA"], re.MULTILINE)
    assert "Apache License" in texts["LICENSE"]


def test_the_sdist_holds_the_whole_repository(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    code = {name.removeprefix("highbeam/") for name in modules()}
    assert code | {"setup.py", "pyproject.toml", "Makefile", "LICENSE", "tests/test_packaging.py"} <= names
    assert not [name for name in names if "__pycache__" in name or ".venv" in name]


@pytest.mark.parametrize("line", listed("REQUIREMENTS"))
def test_what_is_installed_is_within_the_tested_ranges(line: str) -> None:
    requirement = Requirement(line)
    assert version(requirement.name) in requirement.specifier
    assert {"<", ">="} <= {one.operator for one in requirement.specifier}, "a range has two ends"


def imported() -> set[str]:
    """The top-level modules of others that the package imports anywhere, its functions included."""
    found: set[str] = set()
    for name in modules():
        for node in ast.walk(ast.parse((ROOT / name.removeprefix("highbeam/")).read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).split(".")[0])
    return found - sys.stdlib_module_names - {"highbeam"}


def required() -> set[str]:
    """What comes with an installation without extras, by name."""
    names, new = set[str](), [Requirement(line).name for line in listed("REQUIREMENTS")]
    while new:
        name = canonicalize_name(new.pop())
        if name not in names:
            names.add(name)
            lines = map(Requirement, requires(name) or ())
            new += [line.name for line in lines if line.marker is None or line.marker.evaluate({"extra": ""})]
    return names


def provided() -> set[str]:
    """The top-level modules of all that is required; Python 3.10 tells them only of packages with a top_level.txt."""
    files = [file for name in required() for file in distribution(name).files or ()]
    return {file.parts[0].split(".")[0] for file in files if file.suffix in (".py", ".so")}


def test_all_that_is_imported_comes_without_extras() -> None:
    """A worker of Dataflow that gets Highbeam by --setup_file installs it without."""
    assert len(imported()) > 10
    assert imported() - provided() == set()


def test_the_image_has_the_beam_that_launches_the_jobs() -> None:
    recipe = (ROOT / "Dockerfile").read_text("utf-8")
    (beam,) = re.findall(r"^ARG BEAM=(\S+)$", recipe, re.MULTILINE)
    (allowed,) = [line for line in map(Requirement, listed("REQUIREMENTS")) if line.name == "apache-beam"]
    assert beam in allowed.specifier
    if sys.version_info >= (3, 11):  # Python 3.10 gets an older Beam, the image runs 3.11
        assert beam == version("apache-beam")


def test_the_image_is_made_of_what_is_packaged() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = [line[1:] for line in lines if line.startswith("!")]
    needed = {name.removeprefix("highbeam/").split("/")[0] for name in modules()}
    needed |= {"setup.py", "pyproject.toml", "LICENSE", "py.typed"}
    assert [name for name in needed if not any(fnmatch(name, pattern) for pattern in allowed)] == []
    assert not any(fnmatch("tests", pattern) for pattern in allowed)
