from __future__ import annotations

import pytest

from highbeam.transforms.formats.near_names import is_it


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
