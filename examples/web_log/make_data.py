"""Makes the example's input: access logs of a web shop that does not exist. All of it is made up by this script.

    python make_data.py                     # three nights in work/logs, five with labels in work/history
    python make_data.py --requests 2000     # smaller ones

People read pages, whose pictures and scripts their browsers fetch; crawlers say who they are; scrapers and scanners
often say that they are browsers. Four lines of every night are damaged, as disks and broken programs do it. What is
written depends on the arguments alone, and a file that is already right is left untouched.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

WORK = Path(__file__).parent / "work"
NIGHTS = ("2024-03-01", "2024-03-02", "2024-03-03")
HISTORY = ("2024-02-25", "2024-02-26", "2024-02-27", "2024-02-28", "2024-02-29")
REQUESTS = 20_000

SITE = "https://shop.example"
BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.3 Safari/605",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS {}_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    r"Mozilla/5.0 (Linux; Android {}; \"Fold\") AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36",
)
CRAWLERS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
)
TOOLS = ("curl/8.5.0", "python-requests/2.31.0", "Go-http-client/1.1", "-")
KNOCKS = ("/wp-login.php", "/.env", "/.git/config", "/admin/login", "/phpmyadmin/index.php", "/xmlrpc.php", "/login")
TOPICS = ("bikes", "lamps", "books", "tea", "chairs", "paper")


@dataclass(frozen=True)
class Request:
    """One request: seconds since midnight, who, what, what came of it, and whether a program asked."""

    at: float
    host: str
    request: str
    status: int
    size: int
    referer: str
    agent: str
    bot: bool


def page(rng: random.Random) -> str:
    """The path of a page that there is."""
    topic = rng.choice(TOPICS)
    return rng.choice(
        ("/", "/about", f"/blog/{topic}-{rng.randrange(40)}", f"/shop/{topic}", f"/shop/{topic}/{rng.randrange(200)}",
         f"/search?q={topic}")
    )  # fmt: skip


def browser(rng: random.Random) -> str:
    """What a browser calls itself."""
    return rng.choice(BROWSERS).format(rng.randrange(12, 123))


def address(rng: random.Random) -> str:
    """An address; one in ten is of IPv6."""
    if rng.random() < 0.1:
        return f"2001:db8::{rng.randrange(1, 65536):x}"
    return f"{rng.choice((78, 91, 109, 203))}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def person(rng: random.Random) -> Iterator[Request]:
    """Reads some pages, mostly in the evening; the browser fetches what stands in them."""
    host, agent, at = address(rng), browser(rng), rng.triangular(5, 24, 20) * 3600
    came_from, tells = rng.choice(("-", "-", "https://www.google.com/")), rng.random() < 0.8
    for _ in range(rng.randrange(1, 9)):
        path = page(rng)
        status = rng.choices((200, 301, 404, 500), (95, 2, 2, 1))[0]
        yield Request(at, host, f"GET {path} HTTP/2.0", status, rng.randrange(4000, 60_000), came_from, agent, False)
        came_from = SITE + path if tells else "-"
        for _ in range(rng.randrange(4)):
            part = rng.choice(("/static/css/site.css", "/static/js/app.js", f"/static/img/{rng.randrange(900)}.jpg"))
            status = rng.choice((200, 200, 304))
            size = 0 if status == 304 else rng.randrange(1000, 200_000)
            yield Request(at + rng.random(), host, f"GET {part} HTTP/2.0", status, size, came_from, agent, False)
        if rng.random() < 0.1:
            yield Request(at + 9, host, "POST /cart HTTP/2.0", 302, 0, came_from, agent, False)
        at += rng.uniform(5, 120)


def crawler(rng: random.Random) -> Iterator[Request]:
    """Says who it is, and fetches page after page at any hour."""
    host, agent, at = address(rng), rng.choice(CRAWLERS), rng.uniform(0, 80_000)
    yield Request(at, host, "GET /robots.txt HTTP/1.1", 200, 120, "-", agent, True)
    for _ in range(rng.randrange(5, 40)):
        at += rng.uniform(2, 60)
        status = rng.choices((200, 304, 404), (80, 15, 5))[0]
        yield Request(at, host, f"GET {page(rng)} HTTP/1.1", status, rng.randrange(60_000), "-", agent, True)


def scraper(rng: random.Random) -> Iterator[Request]:
    """Copies the shop, one item after the other; half of them say they are browsers."""
    host, agent, at = address(rng), rng.choice((rng.choice(TOOLS), browser(rng))), rng.uniform(0, 85_000)
    topic, first = rng.choice(TOPICS), rng.randrange(100)
    came_from = rng.choice(("-", "-", f"{SITE}/shop/{topic}"))
    for item in range(first, first + rng.randrange(10, 80)):
        at += rng.uniform(0.2, 3)
        request = f"GET /shop/{topic}/{item} HTTP/1.1"
        yield Request(
            at, host, request, 200 if item < 200 else 404, rng.randrange(4000, 60_000), came_from, agent, True
        )


def scanner(rng: random.Random) -> Iterator[Request]:
    """A burst that looks for open doors; some knock with TLS on the port of HTTP."""
    host, agent, at = address(rng), rng.choice((rng.choice(TOOLS), browser(rng))), rng.uniform(0, 86_000)
    if rng.random() < 0.3:
        yield Request(at, host, r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", 400, 157, "-", "-", True)
    for _ in range(rng.randrange(5, 60)):
        at += rng.uniform(0.01, 0.5)
        method, path = rng.choice(("GET", "GET", "HEAD", "POST")), rng.choice(KNOCKS)
        status = rng.choices((404, 403, 401, 200), (80, 12, 5, 3))[0]
        yield Request(at, host, f"{method} {path} HTTP/1.1", status, rng.choice((0, 153, 548)), "-", agent, True)


def requests_of(day: str, count: int) -> list[Request]:
    """The first `count` requests of a day, in order of time; the same ones whenever it is asked."""
    rng = random.Random(f"{day} {count}")
    made: list[Request] = []
    while len(made) < count:
        who = rng.choices((person, crawler, scraper, scanner), (85, 5, 4, 6))[0]
        made += (request for request in who(rng) if request.at < 86_400)
    return sorted(made[:count], key=lambda request: request.at)


def as_line(request: Request, day: str) -> str:
    """A request in the combined log format."""
    time = dt.datetime.fromisoformat(day) + dt.timedelta(seconds=int(request.at))
    return (
        f'{request.host} - - [{time:%d/%b/%Y:%H:%M:%S} +0000] "{request.request}" {request.status} {request.size} '
        f'"{request.referer}" "{request.agent}"'
    )


DAMAGES: tuple[Callable[[bytes], bytes], ...] = (
    lambda line: line[: len(line) * 2 // 3],  # the disk was full
    lambda line: line.replace(b"/2024:", b"/24:", 1),  # a time of another format
    lambda line: line[:-1] + b'\xfcr"',  # Latin-1 in a text
    lambda line: line + line,  # a line break that was lost
)


def damage(lines: list[bytes]) -> None:
    """Breaks some lines in place, evenly spread and each in another of the ways."""
    for number, broken in enumerate(DAMAGES):
        at = (2 * number + 1) * len(lines) // (2 * len(DAMAGES))
        lines[at] = broken(lines[at])


def make(work: Path, count: int = REQUESTS) -> None:
    """Writes `logs/<night>/access.log`, and `history/<day>.log` with a last field: 1 for a bot, else 0.

    Args:
      work: the folder to write to.
      count: requests of a day.
    """
    for day in HISTORY:
        labelled = [f"{as_line(request, day)} {int(request.bot)}".encode() for request in requests_of(day, count)]
        _write(work / "history" / f"{day}.log", labelled)
    for day in NIGHTS:
        lines = [as_line(request, day).encode() for request in requests_of(day, count)]
        damage(lines)
        _write(work / "logs" / day / "access.log", lines)


def _write(path: Path, lines: list[bytes]) -> None:
    """Writes a file unless it holds just that, so that an unchanged night keeps its time stamp."""
    content = b"".join(line + b"\n" for line in lines)
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main() -> None:
    """Reads the arguments, makes the data and says what was done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--requests", type=int, default=REQUESTS, metavar="N", help="requests a day (%(default)s)")
    options = parser.parse_args()
    make(WORK, options.requests)
    work = os.path.relpath(WORK)
    print(f"{len(NIGHTS)} nights of {options.requests:,} requests in {work}/logs, {len(DAMAGES)} lines of each damaged")
    print(f"{len(HISTORY)} days with labels in {work}/history")


if __name__ == "__main__":
    main()
