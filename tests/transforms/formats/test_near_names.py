from __future__ import annotations

import pytest
import yaml

from highbeam.transforms.formats.near_names import is_it, other_delimiter


@pytest.mark.parametrize(
    ("source", "names", "found"),
    [
        ("arr", ["carrier", "Arr_Delay_Minutes", "Arr_Delay"], "Arr_Delay"),  # not carrier, which is as much alike
        ("carier", ["carrier", "distance"], "carrier"),
        (" A ", ["b", "a"], "a"),
        ("arr", ["arr_delay;carrier"], None),  # a header read with another delimiter
        ("a", ["abc", "b"], None),
        ("", ["abc"], None),
    ],
)
def test_which_name_was_meant(source: str, names: list[str], found: str | None) -> None:
    assert is_it(source, names) == (f" (is it {found!r}? then write from: {found})" if found else "")


@pytest.mark.parametrize(
    ("name", "written"),
    [(" A", "' A'"), ("a: b", "'a: b'"), ("A#", "A#"), ("aé", "aé"), ("A,", "'A,'"), ("YES", "'YES'")],
)
def test_a_name_is_written_so_that_yaml_keeps_it(name: str, written: str) -> None:
    hint = is_it(name.lower().strip(), [name])
    assert hint == f" (is it {name!r}? then write from: {written})"
    assert yaml.safe_load(f"{{from: {written}}}") == {"from": name}


@pytest.mark.parametrize(
    ("names", "sign"),
    [
        (["a;b"], ";"),
        (["a\tb"], "\t"),
        (["a|b;c"], ";"),
        (["a|b"], "|"),
        (["a,b"], ","),
        (["a"], None),
        (["a;b", "c"], None),
    ],
)
def test_a_header_of_another_delimiter(names: list[str], sign: str | None) -> None:
    hint = other_delimiter(names)
    if sign is None:
        assert not hint
    else:
        written = hint.partition("then write ")[2].removesuffix(")")
        assert yaml.safe_load(written) == {"delimiter": sign}
