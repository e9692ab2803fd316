"""The dates of nights as a person gives them."""

from __future__ import annotations

import datetime

from .errors import UsageError


def resolve_date(text: str) -> str:
    """YYYY-MM-DD, `today` or `yesterday` (by this machine's clock) as YYYY-MM-DD.

    Raises:
      UsageError: when it is none of these.
    """
    days = {"today": 0, "yesterday": 1}
    if text in days:
        return (datetime.date.today() - datetime.timedelta(days[text])).isoformat()
    try:
        date = datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--date {text}: write YYYY-MM-DD, today or yesterday") from None
    if date.isoformat() != text:  # Python 3.11 takes 20131201 too
        raise UsageError(f"--date {text}: write it as {date.isoformat()}")
    return text


def days_between(first: str, last: str) -> list[str]:
    """Every date from first to last, both included; none when last is earlier.

    Args:
      first: YYYY-MM-DD.
      last: YYYY-MM-DD.
    """
    start, end = datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
    return [(start + datetime.timedelta(n)).isoformat() for n in range((end - start).days + 1)]
