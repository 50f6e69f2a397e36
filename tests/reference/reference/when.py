"""Instants, local days and intervals. An instant is a number of microseconds since 1970."""

import re
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_BARE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def is_day(text):
    """Whether a parameter is a bare date."""
    return bool(_BARE.match(text))


def instant(text):
    """The instant that an RFC 3339 text names."""
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH) // _MICROSECOND


def write(micros):
    """An instant as the API writes it: UTC with six digits."""
    return (EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def midnight(day, zone):
    """The instant at which a local day begins. Where the clock skips midnight, the day begins after the gap; where midnight comes
    twice, it begins with the first."""
    zone = ZoneInfo(zone)
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    at = begin.astimezone(timezone.utc)
    if at.astimezone(zone).replace(tzinfo=None) != begin.replace(tzinfo=None):
        # Midnight does not exist: the first instant that has this date, found by halving.
        low, high = at - timedelta(hours=26), at + timedelta(hours=26)
        while high - low > _MICROSECOND:
            middle = low + (high - low) / 2
            if middle.astimezone(zone).date() < day:
                low = middle
            else:
                high = middle
        at = high
    return (at - EPOCH) // _MICROSECOND


def local_day(micros, zone):
    """The local date of an instant."""
    return (EPOCH + timedelta(microseconds=micros)).astimezone(ZoneInfo(zone)).date()


def year_before(day):
    """The day one calendar year before; of 29 February it is the 28th."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)


def label(day, kind):
    """The name of the interval that a day lies in: `2026-W09`, `2026-03`, `2026-Q1` or `2026`."""
    if kind == "week":
        year, week, _ = day.isocalendar()
        return f"{year:04}-W{week:02}"
    if kind == "month":
        return f"{day.year:04}-{day.month:02}"
    if kind == "quarter":
        return f"{day.year:04}-Q{(day.month + 2) // 3}"
    return f"{day.year:04}"


def first_day(day, kind):
    """The first day of the interval that a day lies in. Weeks begin on Monday."""
    if kind == "week":
        return day - timedelta(days=day.weekday())
    if kind == "month":
        return day.replace(day=1)
    if kind == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(month=1, day=1)


def next_first_day(day, kind):
    """The first day of the interval after the one that a day lies in."""
    if kind == "week":
        return first_day(day, kind) + timedelta(days=7)
    ahead = {"month": 31, "quarter": 31 * 3, "year": 366}[kind]
    return first_day(first_day(day, kind) + timedelta(days=ahead), kind)


def parse_day(text):
    """A date."""
    return date.fromisoformat(text)
