"""The house: which room may import which, what is packaged, and what a file may not hold."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Lowest first: a room imports itself and those before it.
ROOMS = ["stores", "storage", "schemas", "models", "transforms", "pipelines", "scheduler", "console", "cli", "__main__"]
HEAVY = {"apache_beam", "tensorflow", "tensorflow_transform", "tfx_bsl", "keras", "tf_keras"}
LIGHT_ROOMS = ["stores", "storage", "schemas"]


def sources(room: str) -> list[Path]:
    """The Python files of a room, which is a folder or one file."""
    return sorted((ROOT / room).rglob("*.py")) or [path for path in [ROOT / f"{room}.py"] if path.exists()]


def module_name(path: Path) -> str:
    """`schemas/batch.py` -> `highbeam.schemas.batch`; `schemas/__init__.py` -> `highbeam.schemas`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("highbeam", *(part for part in parts if part != "__init__")))


def imports(code: str, module: str, is_package: bool = False) -> Iterator[tuple[int, str, bool]]:
    """Line, full name and whether it is relative, of everything `code` imports, wherever it does so.

    Relative imports are resolved: in a room, `from ..schemas import batch` gives `highbeam.schemas.batch`.
    What stands under `if __name__ == "__main__"` is left out: a file started by its path knows no package.
    """
    package = module.split(".") if is_package else module.split(".")[:-1]
    parts = [part for part in ast.parse(code).body if not ast.unparse(part).startswith("if __name__ ==")]
    for node in (node for part in parts for node in ast.walk(part)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = [*base, *([node.module] if node.module else [])]
            names = [".".join([*stem, alias.name]) for alias in node.names]
            yield from ((node.lineno, name, node.level > 0) for name in names)


def fault(name: str, relative: bool, room: str) -> str | None:
    """What is wrong with importing `name` in a room, or nothing."""
    first, target, *_ = [*name.split("."), ""]
    if first == "highbeam" and target in ROOMS and ROOMS.index(target) > ROOMS.index(room):
        return f"{target} stands above {room}"
    if first == "highbeam" and target not in [*ROOMS, "__version__"]:
        return "the root stands above all rooms"
    if first in ROOMS or (first == "highbeam" and not relative):
        return "rooms import each other relatively"
    if first in HEAVY and room in LIGHT_ROOMS:
        return f"{room} does without Beam and TensorFlow"
    return None


def trespasses(code: str, module: str, is_package: bool = False) -> list[str]:
    """The imports of a module that the house does not allow, each as `line N: name: why`."""
    room = module.split(".")[1]
    found = ((line, name, fault(name, relative, room)) for line, name, relative in imports(code, module, is_package))
    return [f"line {line}: {name}: {why}" for line, name, why in found if why]


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_one_way(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}, {trespass}"
        for path in sources(room)
        for trespass in trespasses(path.read_text("utf-8"), module_name(path), path.name == "__init__.py")
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "module", "is_package"),
    [
        ("from ..models.store import latest", "highbeam.schemas.job", False),
        ("from .. import models", "highbeam.schemas.job", False),
        ("from ..models import store", "highbeam.schemas", True),
        ("from ...pipelines.run import run", "highbeam.transforms.tables.delta", False),
        ("def f():\n    from ..cli import main", "highbeam.scheduler.due", False),
        ("import highbeam.schemas.batch", "highbeam.models.store", False),
        ("from .. import predict", "highbeam.models.store", False),
        ("import schemas.batch", "highbeam.models.store", False),
        ("import tensorflow as tf", "highbeam.schemas.contract", False),
        ("from apache_beam.coders import Coder", "highbeam.storage", False),
    ],
)
def test_a_trespass_is_seen(code: str, module: str, is_package: bool) -> None:
    assert len(trespasses(code, module, is_package)) == 1


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("from ..schemas.batch import Batch", "highbeam.models.handler"),
        ("from .. import storage", "highbeam.schemas.manifest"),
        ("from .split import Split", "highbeam.schemas.plan"),
        ("from ...schemas import layout", "highbeam.transforms.tables.delta"),
        ("from . import __version__", "highbeam.cli"),
        ("import tensorflow as tf", "highbeam.models.graph"),
        ("if __name__ == '__main__':\n    from highbeam.models import store", "highbeam.models.store"),
    ],
)
def test_what_is_allowed_stays_allowed(code: str, module: str) -> None:
    assert not trespasses(code, module)


def test_light_rooms_load_neither_beam_nor_tensorflow() -> None:
    modules = [module_name(path) for room in LIGHT_ROOMS for path in sources(room)]
    code = f"import sys, {', '.join(modules)}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def packages() -> list[str]:
    """PACKAGES of setup.py, read without running it."""
    for node in ast.parse((ROOT / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PACKAGES":
            return list(ast.literal_eval(node.value))
    raise AssertionError("setup.py lists no PACKAGES")


def test_setup_lists_every_folder_with_code() -> None:
    rooms = [ROOT / room for room in ROOMS if (ROOT / room).is_dir()]
    folders = {path.parent for room in rooms for path in room.rglob("*.py")}
    names = {".".join(("highbeam", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert sorted(packages()) == sorted({"highbeam", *names})


def test_every_package_is_a_regular_one() -> None:
    folders = [ROOT.joinpath(*name.split(".")[1:]) for name in packages()]
    assert [folder.name for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_root_holds_no_module_without_a_room() -> None:
    known = {"__init__.py", "setup.py", *(f"{room}.py" for room in ROOMS)}
    assert {path.name for path in ROOT.glob("*.py")} <= known


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the repository, without what tools, builds and examples leave behind."""
    left_behind = {"build", "dist", "work", "__pycache__"}
    for folder, names, files in os.walk(ROOT):
        hidden = {name for name in names if name.startswith(".") and name != ".ci"}
        names[:] = set(names) - hidden - left_behind
        for path in (Path(folder, file) for file in files if not file.startswith((".coverage", ".git"))):
            yield path, path.read_text("utf-8", errors="ignore")


def test_no_file_holds_a_path_of_somebodys_machine() -> None:
    mine = [f"{folder}/" for folder in (ROOT, Path.home())]
    anybodys = re.compile(r"(?<![\w.}~*/-])/(?:home|root|Users|work)/[\w.]")
    found = [
        f"{path.relative_to(ROOT)}: {match}"
        for path, text in texts()
        for match in [*anybodys.findall(text), *(folder for folder in mine if folder in text)]
    ]
    assert not found, "\n".join(found)
