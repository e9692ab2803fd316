"""Conversion of text: what is a value is for pyarrow.csv to say, wherever it reads the type itself."""

from __future__ import annotations

import decimal
import math
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from highbeam.transforms.convert import FALSE, TRUE, convert
from highbeam.transforms.verdict import Verdict

from tests.support.converted import outcome
from tests.support.csv_files import contract


def from_pyarrow(text: bytes, type: pa.DataType) -> tuple[bool, Any]:
    """Whether pyarrow.csv reads a quoted field as a value of that type, and which."""
    options = pacsv.ConvertOptions(
        column_types={"x": type}, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
        true_values=TRUE, false_values=FALSE,
    )  # fmt: skip
    field = b'"' + text.replace(b'"', b'""') + b'"'
    parse = pacsv.ParseOptions(newlines_in_values=True)
    try:
        table = pacsv.read_csv(pa.BufferReader(field), pacsv.ReadOptions(column_names=["x"]), parse, options)
        return True, table["x"][0].as_py()
    except pa.ArrowInvalid:
        return False, None


NUMBERLIKE = st.one_of(
    st.text("0123456789", max_size=45),
    st.integers(-(2**66), 2**66).map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.text("0123456789+-.eExXaAnNiIfFtyTY()_ \t", max_size=12),
    st.text(max_size=4),
    st.sampled_from(
        ["", " ", "1 ", "\t7", "0x", "0xFF", "-0x1", "0X00000000000000001", "+1", "-0", "1e400", "nan(1_a)"]
    ),
    st.sampled_from([*TRUE, *FALSE, "tRUE", " true", "yes"]),
).map(str.encode)
READ_BY_PYARROW = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "float32", "float64", "bool"]


def same(one: Any, other: Any) -> bool:
    nan = isinstance(one, float) and math.isnan(one)
    return (isinstance(other, float) and math.isnan(other)) if nan else one == other and type(one) is type(other)


@settings(max_examples=300)
@given(st.sampled_from(READ_BY_PYARROW), st.lists(st.one_of(NUMBERLIKE, st.binary(max_size=4)), max_size=12))
def test_text_becomes_what_pyarrow_csv_makes_of_each_value(name: str, texts: list[bytes]) -> None:
    values, guilty = outcome(list(texts), name)
    type = contract({"x": name}).arrow_type("x")
    for row, text in enumerate(texts):
        sound, value = from_pyarrow(text, type)
        if pa.types.is_integer(type) and text.strip(b" \t")[:2].lower() == b"0x":
            sound, value = False, None  # pyarrow takes 0xFF for -1 as an int8
        assert (row not in guilty) == sound, text
        assert same(values[row], value), text


@given(st.lists(st.one_of(st.text(), st.binary(max_size=8)), max_size=8), st.booleans())
def test_strings_are_utf8_or_rejected(texts: list[str | bytes], key: bool) -> None:
    array = [t.encode() if isinstance(t, str) else t for t in texts]
    values, guilty = outcome([*array, None], "string", key)
    assert values.pop() is None
    for row, text in enumerate(array):
        try:
            assert values[row] == text.decode()
            assert row not in guilty
        except UnicodeDecodeError:
            assert values[row] is None
            assert guilty[row][0] == "not_utf8"


@pytest.mark.parametrize(("spec", "bad"), [("string", b"\xff"), ("int8", b"x"), ("decimal(5, 2)", b"1e9")])
def test_a_part_of_a_longer_column_is_converted_like_the_whole(spec: str, bad: bytes) -> None:
    what = contract({"x": spec}, ("x",))
    text = pa.array([b"10", b"2", bad, b"30", None, b"44"], pa.binary())
    whole, part = (
        convert(one, "x", what.columns["x"], what.arrow_type("x"), Verdict(len(one))) for one in (text, text.slice(2))
    )
    part.validate(full=True)
    assert part.null_count == 2
    assert part.equals(whole.slice(2))


def test_no_rejected_text_stays_behind_in_a_dictionary() -> None:
    what = contract({"x": "string"})
    text = pa.array([b"\xff", b"UA", b"UA", None, b"\xfe"], pa.binary()).dictionary_encode()
    values = convert(text, "x", what.columns["x"], what.arrow_type("x"), Verdict(5))
    assert values.dictionary.to_pylist() == ["UA"]


@settings(max_examples=300)
@given(st.sampled_from(["decimal", "decimal(5, 2)", "decimal(38, 0)"]), st.lists(NUMBERLIKE, max_size=8))
@example("decimal(5, 2)", [b"12345", b"1.20", b"1.234"])
@example("decimal", [b"1." + b"0" * 40, b"x"])
@example("decimal(38, 0)", [b"3" + b"0" * 38, b"2.784600162211351e+52", b"-1E38", b"1e+37", b"0.001e41", b"0e99"])
@example("decimal(38, 0)", [b".1e39", b".1e38", b"123e-2", b"69e-39", b"70e-1", b"1e999999999999"])
def test_decimals_are_arrows_casts_value_by_value(name: str, texts: list[bytes]) -> None:
    values, guilty = outcome(list(texts), name)
    for row, text in enumerate(texts):
        try:
            expected = pa.scalar(text.decode().strip(" \t")).cast(contract({"x": name}).arrow_type("x")).as_py()
        except pa.ArrowInvalid:
            assert (values[row], row in guilty) == (None, True), text
        else:
            lost = expected != decimal.Decimal(text.decode())  # Arrow overflows on some, and makes 0 of others
            assert (values[row], row in guilty) == ((None, True) if lost else (expected, False)), text


@pytest.mark.parametrize(
    ("spec", "text", "message"),
    [
        ("float32", b"12O", "column x: '12O' is not a float32"),
        ("int64", b"", "column x: '' is not an int64"),
        ("int8", b"300", "column x: '300' is not an int8"),
        ("bool", b"yes", "column x: 'yes' is not a bool"),
        ("date", b"2013-02-30", "column x: '2013-02-30' is not a date"),
        ("decimal(5, 2)", b"1.234", "column x: '1.234' is not a decimal(5, 2)"),
        ("decimal(5, 2)", b"9" * 400, f"column x: '{'9' * 80}…' is not a decimal(5, 2)"),  # Arrow makes -1 of it
        ("int64", b"9" * 200, f"column x: '{'9' * 80}…' is not an int64"),
        ("int64", b"\xff1", "column x: '\\xff1' is not an int64"),
        ("string", b"a\xff", "column x: 'a\\xff' is not valid UTF-8"),
        (
            "timestamp",
            b"2013-07-04 15:30",
            "column x: '2013-07-04 15:30' has no offset from UTC, and the column no timezone; write one, such as "
            "timezone: UTC",
        ),
        ("timestamp", b"2013-02-29 15:30", "column x: '2013-02-29 15:30' is not a timestamp"),
    ],
)
def test_a_message_names_column_value_and_type(spec: str, text: bytes, message: str) -> None:
    reason = "not_utf8" if spec == "string" else "bad_value"
    assert outcome([b"1", text], spec)[1][1] == (reason, message)


def test_many_guilty_values_are_found_without_asking_about_each(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def counting(rows: Any, attempt: Any, errors: Any) -> Any:
        tried.append(rows.num_rows)
        yield rows, attempt(rows)

    monkeypatch.setattr("highbeam.transforms.convert_numbers.halving", counting)
    texts = [b"1", b"12O", b"300", b"1-1", b"0x1F", b"0x1FF", b"-129", b"", b"--"] * 50
    values, guilty = outcome(list(texts), "int8")
    assert values[:9] == [1, None, None, None, None, None, None, None, None]
    assert len(guilty) == 400
    assert len(tried) == 1
