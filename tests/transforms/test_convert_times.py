"""Conversion of text to times."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam.schemas.contract import Column
from highbeam.transforms import convert_times

from tests.support.converted import outcome


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
    {**NEW_YORK, "ambiguous": "latest"},
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


@pytest.mark.parametrize(("ambiguous", "hour"), [("earliest", 5), ("latest", 6), ("reject", None)])
def test_a_time_that_happens_twice_beside_one_that_never_does(ambiguous: str, hour: int | None) -> None:
    texts: list[bytes | None] = [b"2013-11-03T01:30", b"2013-03-10T02:30"]  # the second is looked at for itself
    values, guilty = outcome(texts, {**NEW_YORK, "ambiguous": ambiguous})
    assert values[0] == (hour and utc(2013, 11, 3, hour, 30))
    assert {row: reason for row, (reason, _) in guilty.items()} == (
        {1: "no_such_time"} if hour else {0: "ambiguous_time", 1: "no_such_time"}
    )


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
