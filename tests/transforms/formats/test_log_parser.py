from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from highbeam.schemas.contract import Contract

from tests.support.csv_files import contract
from tests.support.log_files import HEAD, NAMES, TAIL, TEXTS, USUAL, fate, fates, log, read, reason, write


def test_every_field_of_a_combined_line(tmp_path: Path) -> None:
    assert fate(tmp_path, USUAL) == {
        "host": "127.0.0.1", "ident": None, "user": "frank", "time": "10/Oct/2000:13:55:36 -0700",
        "request": "GET /apache_pb.gif HTTP/1.0", "method": "GET", "path": "/apache_pb.gif", "protocol": "HTTP/1.0",
        "status": "200", "bytes": "2326", "referer": "http://www.example.com/start.html",
        "user_agent": "Mozilla/4.08 [en] (Win98; I ;Nav)",
    }  # fmt: skip


def test_common_is_that_without_the_last_two(tmp_path: Path) -> None:
    what = Contract({name: TEXTS.columns[name] for name in NAMES[:-2]})
    common = USUAL.partition(' "http://www')[0]
    assert fate(tmp_path, common, log("common"), what) == {
        name: value for name, value in fate(tmp_path, USUAL).items() if name in NAMES[:-2]
    }
    assert fate(tmp_path, USUAL, log("common"), what)[:2] == (
        "no_match",
        "the line does not match the common log format",
    )
    assert fate(tmp_path, common)[0] == "no_match"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("GET / HTTP/1.1", ("GET", "/", "HTTP/1.1")),
        ("PRI * HTTP/2.0", ("PRI", "*", "HTTP/2.0")),
        (r"GET /a\"b\\ HTTP/1.1", ("GET", r"/a\"b\\", "HTTP/1.1")),
        ("-", (None, None, None)),
        ("", (None, None, None)),
        (r"\x16\x03\x01\x02", (None, None, None)),
        ("GET /", (None, None, None)),
        ("GET /a b HTTP/1.1", (None, None, None)),
        ("GET  HTTP/1.1", (None, None, None)),
        ("x" * 5000, (None, None, None)),
    ],
)
def test_a_request_that_is_none_leaves_its_parts_null(tmp_path: Path, text: str, parts: tuple[str | None, ...]) -> None:
    found = fate(tmp_path, HEAD + text + TAIL)
    assert found["request"] == (text if text not in ("", "-") else None)
    assert (found["method"], found["path"], found["protocol"]) == parts
    assert found["status"] == "400"


def test_escaped_quotes_and_backslashes_break_no_line(tmp_path: Path) -> None:
    found = fate(tmp_path, HEAD + r'GET /\" HTTP/1.1" 200 1 "http://a/\"b\"" "say \"x\" \\"')
    assert (found["path"], found["referer"], found["user_agent"]) == (r"/\"", r"http://a/\"b\"", r"say \"x\" \\")
    assert fate(tmp_path, HEAD + r'GET / HTTP/1.1" 200 1 "-" "open \"')[0] == "no_match"


def test_a_dash_and_an_empty_text_are_null_as_the_job_says(tmp_path: Path) -> None:
    line = USUAL.replace("frank", "NA").replace("2326", "-")
    assert [fate(tmp_path, line)[name] for name in ("ident", "user", "bytes")] == [None, "NA", None]
    mine = log(nulls=("NA",))
    assert [fate(tmp_path, line, mine)[name] for name in ("ident", "user", "bytes")] == ["-", None, "-"]


TYPED = contract({
    "when": {"type": "timestamp", "from": "time"}, "status": "int16", "bytes": {"type": "int64", "nullable": True},
    "same": {"type": "string", "from": "status"}, "gone": {"type": "string", "optional": True, "nullable": True},
})  # fmt: skip


def test_fields_are_read_as_the_types_of_the_contract(tmp_path: Path) -> None:
    when = datetime(2000, 10, 10, 20, 55, 36, tzinfo=timezone.utc)
    found = fate(tmp_path, USUAL, what=TYPED)
    assert found == {"when": when, "status": 200, "bytes": 2326, "same": "200", "gone": None}
    assert fate(tmp_path, USUAL.replace("Oct", "Foo"), what=TYPED)[:2] == (
        "bad_value", "column when: '10/Foo/2000:13:55:36 -0700' is not a timestamp"
    )  # fmt: skip
    assert fate(tmp_path, USUAL.replace(" 200 ", " 99999 "), what=TYPED)[0] == "bad_value"
    assert fate(tmp_path, USUAL, what=contract({"time": "date"})) == {
        "time": date(2000, 10, 10)
    }  # where it was written
    day = contract({"day": {"type": "timestamp", "from": "time", "format": "%d/%b/%Y", "timezone": "UTC"}})
    assert fate(tmp_path, USUAL, what=day)[0] == "bad_value"  # a format that the column says is the one that counts


def test_bytes_that_are_no_utf8_matter_only_where_a_string_is_wanted(tmp_path: Path) -> None:
    line = USUAL.encode().replace(b"Mozilla", b"\xff\xfe")
    assert fate(tmp_path, line)[0] == "not_utf8"
    assert fate(tmp_path, line, what=TYPED)["status"] == 200
    raw = contract({"user_agent": "binary"})
    assert fate(tmp_path, line, what=raw)["user_agent"].startswith(b"\xff\xfe")


def test_a_contract_of_which_a_line_has_nothing_still_judges_it(tmp_path: Path) -> None:
    what = contract({"x": {"type": "string", "optional": True, "nullable": True}})
    body = f"{USUAL}\nnothing\n{USUAL}\n".encode()
    found = fates(read(write(tmp_path, body, log(), what), log(), what))
    assert list(map(reason, found.values())) == [{"x": None}, "no_match", {"x": None}]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("Jan  2 03:04:05 web-1 sshd[812]: Failed password for root", ("Jan  2 03:04:05", "web-1", "sshd", "812",
                                                                    "Failed password for root")),
        ("Jan 12 03:04:05 web-1 kernel: [1.2] up: yes", ("Jan 12 03:04:05", "web-1", "kernel", None, "[1.2] up: yes")),
        ("<34>Jan 12 03:04:05 h su: ", ("Jan 12 03:04:05", "h", "su", None, None)),
        ("2023-01-02T03:04:05.678901+01:00 h postfix/smtpd[1]: connect",
         ("2023-01-02T03:04:05.678901+01:00", "h", "postfix/smtpd", "1", "connect")),
        ("Jan 12 03:04:05 h -- MARK --", ("Jan 12 03:04:05", "h", None, None, "-- MARK --")),
        ("Jan 12 03:04:05 h last message repeated 2 times: x",
         ("Jan 12 03:04:05", "h", None, None, "last message repeated 2 times: x")),
    ],
)  # fmt: skip
def test_syslog_as_its_files_are(tmp_path: Path, line: str, fields: tuple[str | None, ...]) -> None:
    names = ("time", "host", "program", "pid", "message")
    what = contract({name: {"type": "string", "nullable": True} for name in names})
    assert tuple(fate(tmp_path, line, log("syslog"), what).values()) == fields


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"<34>1 2003-10-11T22:14:15.003Z h su - ID47 - \xef\xbb\xbf'su root' failed",
         (34, 1, "su", None, "ID47", None, "'su root' failed")),
        (rb'<165>1 2003-10-11T22:14:15Z h ev 8 - [e@1 a="x\]\" y" b="2"][f@2] An event',
         (165, 1, "ev", "8", None, r'[e@1 a="x\]\" y" b="2"][f@2]', "An event")),
        (b"<0>1 2003-10-11T22:14:15Z h a - - -", (0, 1, "a", None, None, None, None)),
    ],
)  # fmt: skip
def test_syslog_of_rfc_5424(tmp_path: Path, line: bytes, fields: tuple[Any, ...]) -> None:
    names = ("program", "pid", "msgid", "data", "message")
    what = contract({"pri": "int16", "version": "int8"} | {n: {"type": "string", "nullable": True} for n in names})
    assert tuple(fate(tmp_path, line, log("syslog5424"), what).values()) == fields
    time = contract({"time": "timestamp"})
    assert fate(tmp_path, line, log("syslog5424"), time)["time"].year == 2003


def test_a_pattern_of_ones_own_matches_whole_lines(tmp_path: Path) -> None:
    mine = log(None, r"(?i)(get|put) (?P<what>\w+)(?: took (?P<ms>[0-9]+))?|(?P<other>#.*)")
    what = contract({name: {"type": "string", "nullable": True} for name in ("what", "ms", "other")})
    body = b"GET x took 12\nput y\n# note\nget x now\n get x\n"
    found = [reason(each) for each in fates(read(write(tmp_path, body, mine, what), mine, what)).values()]
    assert found[:3] == [
        {"what": "x", "ms": "12", "other": None}, {"what": "y", "ms": None, "other": None},
        {"what": None, "ms": None, "other": "# note"},
    ]  # fmt: skip
    assert found[3:] == ["no_match", "no_match"]


def test_a_byte_order_mark_is_no_part_of_the_line(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    lines = [mark + USUAL.encode(), USUAL.encode(), mark, mark[:2], mark + mark + USUAL.encode(), mark + USUAL.encode()]
    found = list(fates(read(write(tmp_path, b"\n".join(lines), log()), log())).values())
    assert [each if isinstance(each, tuple) else each["host"] for each in found] == [
        "127.0.0.1", "127.0.0.1", found[2], found[3], mark.decode() + "127.0.0.1", "127.0.0.1"
    ]  # fmt: skip
    assert [reason(found[at]) for at in (2, 3)] == ["no_match", "no_match"]


def test_strings_are_dictionaries_and_the_keys_are_plain(tmp_path: Path) -> None:
    what = contract({"host": "string", "method": "string"}, ("host",))
    for body in (USUAL, f"{USUAL}\n{USUAL}\nbad"):
        (batch,) = read(write(tmp_path, body.encode(), log(), what), log(), what)
        assert batch.rows.schema == what.schema.append(pa.field("_offset", pa.int64()))
        assert batch.rows.column("method").dictionary.to_pylist() == ["GET"]
