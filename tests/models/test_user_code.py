"""Functions of the user's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from highbeam.models.user_code import load_function
from highbeam.schemas.errors import UsageError


def test_a_function_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "neighbour_of_fn.py").write_text("TWO = 2\n")
    (tmp_path / "code" / "fn.py").write_text("from neighbour_of_fn import TWO\ndef double(x): return TWO * x\n")
    assert load_function("code/fn.py:double", str(tmp_path))(21) == 42


def test_a_changed_file_is_loaded_anew(tmp_path: Path) -> None:
    file = tmp_path / "fn.py"
    file.write_text("def f(): return 1\n")
    first = load_function("fn.py:f", str(tmp_path))
    file.write_text("def f(): return 2\n")
    assert (first(), load_function("fn.py:f", str(tmp_path))()) == (1, 2)


WRONG = [
    ("fn.py", "does not name a function; write file.py:function"),
    (":f", "does not name a function"),
    ("absent.py:f", r"absent.py:f: there is no file .*absent.py"),
    ("fn.py:g", r"fn.py:g: .*fn.py defines no function 'g'"),
    ("fn.py:number", "defines no function 'number'"),
    ("syntax.py:f", r"importing .*syntax.py failed at line 2: SyntaxError"),
    ("raises.py:f", r"importing .*raises.py failed at line 3: KeyError\('lost'\)"),
    ("imports.py:f", r"importing .*imports.py failed at line 1: ModuleNotFoundError"),
]


@pytest.mark.parametrize(("reference", "message"), WRONG)
def test_mistakes_are_named_with_their_line(tmp_path: Path, reference: str, message: str) -> None:
    (tmp_path / "fn.py").write_text("number = 3\ndef f(): pass\n")
    (tmp_path / "syntax.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "raises.py").write_text("\n\n{}['lost']\n")
    (tmp_path / "imports.py").write_text("import there_is_no_such_module\n")
    with pytest.raises(UsageError, match=message):
        load_function(reference, str(tmp_path))
