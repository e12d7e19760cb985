"""Wall time as both versions write it on the wire, to and from UTC seconds since 1970.

We write one form and read many: OCPP wants RFC 3339, and CSMSs in the field leave out the
zone, write it without a colon, use lower-case letters or nanoseconds. Calendar arithmetic
goes through `datetime` and never through the C library, so a board with a 32-bit `time_t`
reads and writes years after 2038 like any other.
"""

import datetime as dt
import math
import re

from agent.ocppj.quirks import Quirk, noted

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND = dt.timedelta(seconds=1)
_QUOTED = 40  # characters of an unreadable text that an error repeats

_FORM = re.compile(
    r"""
    (?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)
    [Tt\ ]
    (?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>[.,]\d+)?)?
    (?:[Zz]|(?P<sign>[+-])(?P<off_hour>\d\d)(?::?(?P<off_minute>\d\d))?)?
    """,
    re.VERBOSE | re.ASCII,
)

_STRICT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def to_text(wall_s: float) -> str:
    """Return an instant as `YYYY-MM-DDTHH:MM:SS.mmmZ`, to the nearest millisecond.

    At most three fractional digits and always `Z`: OCPP 2.0.1 part 2, chapter 2.1.3.

    Args:
        wall_s: UTC seconds since 1970, within the years 1 to 9999.

    Raises:
        ValueError: the instant is outside those years, or no number.
    """
    if not math.isfinite(wall_s):
        raise ValueError(f"{wall_s} is no instant: UTC seconds since 1970 are expected")
    try:
        instant = _EPOCH + dt.timedelta(milliseconds=round(wall_s * 1000))
    except OverflowError:
        raise ValueError(f"{wall_s:g} s since 1970 is outside the years 1 to 9999") from None
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_text(text: str) -> float:
    """Return the instant that a text names, UTC seconds since 1970.

    Any offset, fractions of any length (kept to the microsecond), a missing zone (taken as
    UTC), a missing colon in the offset, missing seconds, lower-case letters and the leap
    second 60 are accepted.

    Raises:
        ValueError: the text is no date and time of the years 1 to 9999.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text[:_QUOTED]!r} is no date and time: RFC 3339 is expected, "
            "such as 2025-01-31T12:00:00.000Z"
        )
    if not _STRICT.fullmatch(text):
        noted(Quirk.TIME_FORM)
    try:
        instant = _calendar(match) - _offset(match)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:_QUOTED]!r} is no date and time: {error}") from None
    return (instant - _EPOCH) / _SECOND


def _calendar(match: re.Match[str]) -> dt.datetime:
    year, month, day, hour, minute, second = (
        int(match[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")
    )
    leap = second == 60  # noqa: PLR2004  RFC 3339 5.7: the name of a leap second
    instant = dt.datetime(year, month, day, hour, minute, second - leap, tzinfo=dt.UTC)
    fraction = float("0." + match["fraction"][1:]) if match["fraction"] else 0.0
    return instant + dt.timedelta(seconds=leap + fraction)


def _offset(match: re.Match[str]) -> dt.timedelta:
    if match["sign"] is None:
        return dt.timedelta()
    hours, minutes = int(match["off_hour"]), int(match["off_minute"] or 0)
    # RFC 3339 5.6: time-hour and time-minute bound the offset too.
    dt.time(hours, minutes)
    size = dt.timedelta(hours=hours, minutes=minutes)
    return size if match["sign"] == "+" else -size
