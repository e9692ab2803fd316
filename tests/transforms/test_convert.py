"""Conversion of text: what is a value is for pyarrow.csv to say, wherever it reads the type itself."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from highbeam.schemas.contract import Column
from highbeam.transforms import convert_times
from highbeam.transforms.convert import FALSE, TRUE, convert
from highbeam.transforms.verdict import Verdict

from tests.support.csv_files import contract

Outcome = tuple[list[Any], dict[int, tuple[str, str]]]


def outcome(texts: list[bytes | None], spec: dict[str, Any] | str, key: bool = False) -> Outcome:
    """Values, and (reason, message) by row."""
    what = contract({"x": spec}, ("x",) if key else ())
    type = what.arrow_type("x")
    array = pa.array(texts, pa.binary())
    verdict = Verdict(len(texts))
    as_dictionary = pa.types.is_dictionary(type)
    values = convert(array.dictionary_encode() if as_dictionary else array, "x", what.columns["x"], type, verdict)
    assert values.type == type
    assert len(values) == len(texts)
    at, reasons, messages = verdict.findings()
    found = zip(at.tolist(), reasons.to_pylist(), messages.to_pylist(), strict=True)
    return values.to_pylist(), {row: (reason, message) for row, reason, message in found}


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


def test_no_rejected_text_stays_behind_in_a_dictionary() -> None:
    what = contract({"x": "string"})
    text = pa.array([b"\xff", b"UA", b"UA", None, b"\xfe"], pa.binary()).dictionary_encode()
    values = convert(text, "x", what.columns["x"], what.arrow_type("x"), Verdict(5))
    assert values.dictionary.to_pylist() == ["UA"]


@settings(max_examples=300)
@given(st.sampled_from(["decimal", "decimal(5, 2)", "decimal(38, 0)"]), st.lists(NUMBERLIKE, max_size=8))
@example("decimal(5, 2)", [b"12345", b"1.20", b"1.234"])
@example("decimal", [b"1." + b"0" * 40, b"x"])
def test_decimals_are_arrows_casts_value_by_value(name: str, texts: list[bytes]) -> None:
    values, guilty = outcome(list(texts), name)
    for row, text in enumerate(texts):
        try:
            expected = pa.scalar(text.decode().strip(" \t")).cast(contract({"x": name}).arrow_type("x")).as_py()
        except pa.ArrowInvalid:
            assert (values[row], row in guilty) == (None, True), text
        else:
            assert (values[row], row in guilty) == (expected, False), text


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


# Times


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.timezone.utc)  # type: ignore[misc,arg-type]


WEB = {"type": "timestamp", "format": "%d/%b/%Y:%H:%M:%S %z"}
NEW_YORK = {"type": "timestamp", "timezone": "America/New_York"}


@pytest.mark.parametrize(
    ("spec", "text", "value"),
    [
        ({"type": "timestamp"}, b"2013-07-04T15:30:00Z", utc(2013, 7, 4, 15, 30)),
        ({"type": "timestamp"}, b"2013-07-04 15:30+02:00", utc(2013, 7, 4, 13, 30)),
        ({"type": "timestamp"}, b"2013-07-04 15:30:01.5-0330", utc(2013, 7, 4, 19, 0, 1, 500000)),
        ({"type": "timestamp"}, b" 2013-07-04 15Z\t", utc(2013, 7, 4, 15)),
        ({"type": "timestamp"}, b"2013-07-04 15:30", "bad_value"),  # no zone, and the column names none
        ({"type": "timestamp"}, b"2013-07-04T15:30:00.1234567Z", "bad_value"),
        ({"type": "timestamp"}, b"2013-02-29T00:00:00Z", "bad_value"),
        ({"type": "timestamp"}, b"0000-12-31T00:00:00Z", "bad_value"),
        ({"type": "timestamp"}, b"0001-01-01T00:00:00+01:00", "bad_value"),
        ({"type": "timestamp"}, b"9999-12-31T23:59:59.999999Z", utc(9999, 12, 31, 23, 59, 59, 999999)),
        ({"type": "timestamp"}, b"9999-12-31T23:59:59-00:01", "bad_value"),
        (NEW_YORK, b"2013-07-04", utc(2013, 7, 4, 4)),
        (NEW_YORK, b"2013-07-04T15:30", utc(2013, 7, 4, 19, 30)),
        (NEW_YORK, b"2013-07-04T15:30Z", utc(2013, 7, 4, 15, 30)),
        (NEW_YORK, b"2013-03-10T02:30", "no_such_time"),
        (NEW_YORK, b"2013-03-10T02:30Z", utc(2013, 3, 10, 2, 30)),
        (NEW_YORK, b"2013-11-03T01:30", utc(2013, 11, 3, 5, 30)),
        ({**NEW_YORK, "ambiguous": "latest"}, b"2013-11-03T01:30", utc(2013, 11, 3, 6, 30)),
        ({**NEW_YORK, "ambiguous": "reject"}, b"2013-11-03T01:30", "ambiguous_time"),
        ({**NEW_YORK, "ambiguous": "reject"}, b"2013-11-03T02:30", utc(2013, 11, 3, 7, 30)),
        ({**NEW_YORK, "format": "%d/%m/%Y %H:%M"}, b"04/07/2013 15:30", utc(2013, 7, 4, 19, 30)),
        ({**NEW_YORK, "format": "%d/%m/%Y %H:%M"}, b"4/7/2013 5:30", utc(2013, 7, 4, 9, 30)),
        ({**NEW_YORK, "format": "%d/%m/%Y %H:%M"}, b"10/03/2013 02:30", "no_such_time"),
        ({**NEW_YORK, "format": "%d/%m/%Y %H:%M"}, b"30/02/2013 12:00", "bad_value"),
        ({**NEW_YORK, "format": "%d/%m/%Y %H:%M"}, b"04/07/2013 15:30x", "bad_value"),
        ({**NEW_YORK, "format": "%d/%m/%Y %H:%M"}, b"04-07-2013 15:30", "bad_value"),
        ({**NEW_YORK, "format": "%Y%m%d %H:%M:%S"}, b"20130704 24:00:00", "bad_value"),
        ({"type": "timestamp", "format": "%b %d %Y %I:%M %p %z"}, b"jul 4 2013 3:30 pm +0200", utc(2013, 7, 4, 13, 30)),
        (WEB, b"10/Oct/2000:13:55:36 -0730", utc(2000, 10, 10, 21, 25, 36)),
        (WEB, b"10/OCT/2000:13:55:36 +0100", utc(2000, 10, 10, 12, 55, 36)),
        (WEB, b"10/Oct/2000:13:55:36 Z", utc(2000, 10, 10, 13, 55, 36)),
        (WEB, b"10/Okt/2000:13:55:36 +0100", "bad_value"),
        (WEB, b"31/Feb/2000:13:55:36 +0100", "bad_value"),
        (WEB, b"10/Oct/2000:13:55:36 +2400", "bad_value"),
        ({"type": "timestamp", "format": "%A, %d %B %y %H:%M:%S.%f%z"}, b"Thursday, 4 July 13 15:30:00.25Z",
         utc(2013, 7, 4, 15, 30, 0, 250000)),
        ({"type": "timestamp", "format": "%Y-%j %R %z"}, b"2012-366 12:00 Z", utc(2012, 12, 31, 12)),
        ({"type": "timestamp", "format": "%Y-%j %R %z"}, b"2013-366 12:00 Z", "bad_value"),
        ({"type": "timestamp", "format": "%I %p %F", "timezone": "UTC"}, b"12 AM 2013-07-04", utc(2013, 7, 4)),
        ("date", b"2013-07-04", dt.date(2013, 7, 4)),
        ("date", b"2013-7-4", "bad_value"),
        ("date", b"0000-01-01", "bad_value"),
        ({"type": "date", "format": "%m/%d/%Y"}, b"07/04/2013", dt.date(2013, 7, 4)),
        ({"type": "date", "format": "%Y年%m月%d日"}, "2013年07月04日".encode(), dt.date(2013, 7, 4)),
        ({"type": "date", "format": "%Y年%m月%d日"}, "2013年7月4日".encode(), dt.date(2013, 7, 4)),
        ({"type": "date", "format": "%Y年%m月%d日"}, "2013月07月04日".encode(), "bad_value"),
        ({"type": "date", "format": "%m/%d/%Y"}, b"02/29/2013", "bad_value"),
        ({"type": "date", "format": "%m/%d/%Y %H:%M"}, b"07/04/2013 23:59", dt.date(2013, 7, 4)),
    ],
)  # fmt: skip
def test_times(spec: dict[str, Any] | str, text: bytes, value: Any) -> None:
    values, guilty = outcome([text], spec)
    assert (guilty[0][0] if guilty else values[0]) == value
    # The same among neighbours that are wrong, repeated and missing.
    values, guilty = outcome([b"?", text, None, b"\xff", text, b""], spec)
    assert (guilty[1][0] if 1 in guilty else values[1]) == value
    assert (guilty[4][0] if 4 in guilty else values[4]) == value
    assert values[2] is None
    assert 2 not in guilty
    assert guilty[0][0] == guilty[3][0] == guilty[5][0] == "bad_value"


SPECS: list[dict[str, Any]] = [
    {"type": "timestamp"},
    NEW_YORK,
    {**NEW_YORK, "ambiguous": "reject"},
    {**NEW_YORK, "format": "%Y-%m-%d %H:%M:%S"},
    {"type": "date"},
    {"type": "date", "format": "%d.%m.%Y"},
    WEB,
]
WRITTEN = st.builds(
    lambda time, form: time.strftime(form.replace("%Y", f"{time.year:04}")),
    st.datetimes(dt.datetime(1, 1, 1)),
    st.sampled_from(["%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%d.%m.%Y"]),
)
_ZONE = r"(Z|[+-][0-2][0-9]:?([0-6][0-9])?)?"
_TIME = rf"([T ][0-2][0-9](:[0-6][0-9](:[0-6][0-9](\.[0-9]{{1,7}})?)?)?{_ZONE})?"
_WEB = r"[0-3][0-9]/(?i:Jan|feb|OCT|dec|Okt)/[0-9]{4}:[0-2][0-9]:[0-6][0-9]:[0-6][0-9] [+-][0-2][0-9][0-6][0-9]"
NEARLY = st.from_regex(rf"\A(0[01]|20)[0-9]{{2}}-[01][0-9]-[0-3][0-9]{_TIME}\Z") | st.from_regex(rf"\A{_WEB}\Z")


@settings(max_examples=300)
@given(
    st.sampled_from(SPECS),
    st.lists(st.one_of(WRITTEN, NEARLY, st.text("0123456789-:TZ .", max_size=20)).map(str.encode), max_size=4),
)
def test_one_by_one_agrees_with_all_at_once(spec: dict[str, Any], texts: list[bytes]) -> None:
    column = Column.model_validate(spec)
    for text in texts:
        array = pa.array([text], pa.binary())
        try:
            at_once = convert_times._at_once(array.view(pa.string()), column)[0]
        except pa.ArrowInvalid:
            at_once = None
        times = convert_times._one_by_one(array.cast(pa.string()), column)
        sound = not (times.bad[0] or times.skipped[0] or times.twice[0])
        if at_once is not None:
            assert (sound, times.values[0]) == (True, at_once), text
        elif sound:  # only what Arrow does not read at once for its form
            assert "format" in spec or (spec["type"] == "timestamp" and "timezone" in spec), text


def test_every_month_is_known_by_its_first_three_letters() -> None:
    texts = pa.array([f"01/{dt.date(2001, month, 1):%b}/2001:00:00:00 +0000" for month in range(1, 13)])
    times = convert_times._at_once(texts, Column.model_validate(WEB))
    assert [time.month for time in times.to_pylist()] == list(range(1, 13))


@pytest.mark.parametrize(
    ("format", "said"),
    [
        ("%Y-%m-%d %Q", "%Q is not supported"),
        ("%H:%M", "does not name a whole date"),
        ("%Y-%m-%d %I:%M", "%I and %p belong together"),
        ("%Y-%m-%d %Y", "says year twice"),
        ("%Y-%m-%d %", "% is not supported"),
    ],
)
def test_a_format_that_cannot_be_meant_is_refused(format: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        convert_times.time_format(Column(type="timestamp", format=format, timezone="UTC"))
