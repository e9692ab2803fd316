"""The public API: names that are loaded on first use."""

import ast
import re
from pathlib import Path

import pytest

import highbeam

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", highbeam.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(highbeam, name) is not None
    assert name in dir(highbeam)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(highbeam.__all__) - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(highbeam, "nothing")  # noqa: B009 - mypy would rightly refuse highbeam.nothing


def test_the_changelog_knows_the_version() -> None:
    versions = re.findall(r"^## (\S+?),", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert versions[0] == highbeam.__version__
