"""Base64 against Python's own decoder, on arrays that begin anywhere."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from highbeam.transforms.formats.base64_text import decode_base64
from highbeam.transforms.verdict import Verdict

WRONG = ["?", "QQ", "QQ=", "Q===", "QQ==\n", " QQ==", "QQ==QQ==", "Q-_=", "QUI", "=", "é==="]
TEXTS = st.none() | st.binary(max_size=7).map(lambda data: base64.b64encode(data).decode()) | st.sampled_from(WRONG)


def decoded(text: str | None) -> bytes | None:
    """As Python does it; None where it is no base64 as well."""
    try:
        return None if text is None else base64.b64decode(text.encode(), validate=True)
    except binascii.Error:
        return None


def is_wrong(text: str | None) -> bool:
    return text is not None and decoded(text) is None


def blamed(verdict: Verdict) -> list[int]:
    """The rows found guilty, all for their value."""
    if not verdict:
        return []
    rows, reasons, _ = verdict.findings()
    assert set(reasons.to_pylist()) == {"bad_value"}
    return [int(row) for row in rows]


@given(texts=st.lists(TEXTS, max_size=60), start=st.integers(0, 40))
def test_each_text_is_decoded_or_its_row_is_blamed(texts: list[str | None], start: int) -> None:
    rest, verdict = texts[start:], Verdict(len(texts[start:]))
    found = decode_base64(pa.array(texts, pa.string()).slice(start), "y", verdict)
    assert found.to_pylist() == [decoded(text) for text in rest]
    assert found.type == pa.binary()
    assert blamed(verdict) == [place for place, text in enumerate(rest) if is_wrong(text)]


@given(lists=st.lists(st.none() | st.lists(TEXTS, max_size=4), max_size=30), start=st.integers(0, 20))
def test_a_list_is_blamed_for_one_of_its_items(lists: list[Any], start: int) -> None:
    rest, verdict = lists[start:], Verdict(len(lists[start:]))
    found = decode_base64(pa.array(lists, pa.list_(pa.string())).slice(start), "y", verdict)
    assert found.to_pylist() == [row if row is None else [decoded(text) for text in row] for row in rest]
    assert blamed(verdict) == [place for place, row in enumerate(rest) if any(map(is_wrong, row or []))]
