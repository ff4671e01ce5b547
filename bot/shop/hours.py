"""Opening hours of one place: weekly spans and dated exceptions, asked in instants and days of the shop's zone.

It knows no staff, no bookings and no database, and it never guesses: a weekday that is not named is closed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, pairwise
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: `next_open` looks this far; a shop that is closed longer than a year has no next opening to name.
HORIZON_DAYS = 366

_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*[-\u2013]\s*(\d{1,2}):(\d{2})")
_DAY_MINUTES = 24 * 60
_NO_DATES: Mapping[date, tuple["Opening", ...]] = MappingProxyType({})


class Opening(NamedTuple):
    """One opening of a day in minutes of the wall clock since midnight; `end` may be 1440, the end of the day."""

    start: int
    end: int


@dataclass(frozen=True)
class Hours:
    """When a place is open; `week` begins on Monday, `dates` replace a weekday's openings on one date."""

    zone: ZoneInfo
    week: tuple[tuple[Opening, ...], ...]
    dates: Mapping[date, tuple[Opening, ...]] = field(default_factory=lambda: _NO_DATES, hash=False)

    @classmethod
    def parse(cls, raw: Mapping[str, Any], zone: ZoneInfo) -> "Hours":
        """Read {"mon": ["9:00-18:00"], …, "dates": {"2026-12-25": []}}; weekdays that are missing are closed.

        Raises ValueError with one sentence that names the wrong entry and what it should look like.
        """
        if not isinstance(raw, Mapping):
            raise ValueError(f'Opening hours must be a table of weekdays such as mon: ["9:00-18:00"], not {raw!r}.')
        for key in raw:
            if key not in WEEKDAYS and key != "dates":
                raise ValueError(f"Opening hours: {key!r} is no weekday; use {', '.join(WEEKDAYS)} or dates.")
        exceptions = raw.get("dates") or {}
        if not isinstance(exceptions, Mapping):
            raise ValueError(f'Opening hours: dates must be a table such as "2026-12-25": [], not {exceptions!r}.')
        dates = {_date(key): _openings(spans, str(key)) for key, spans in exceptions.items()}
        week = tuple(_openings(raw.get(name), name) for name in WEEKDAYS)
        return cls(zone, week, MappingProxyType(dates))

    def openings_on(self, day: date) -> tuple[Opening, ...]:
        """The openings of one date as the wall clock shows them, in order."""
        return self.dates.get(day, self.week[day.weekday()])

    def spans_on(self, day: date) -> list[tuple[datetime, datetime]]:
        """The openings of one date as aware instants in the zone, in order; start inclusive, end exclusive.

        A time the wall clock shows twice opens at its first showing and closes at its last; one it skips moves forward.
        """
        midnight = datetime.combine(day, time())
        spans = [
            (
                wall_time(midnight + timedelta(minutes=opening.start), self.zone),
                wall_time(midnight + timedelta(minutes=opening.end), self.zone, last=True),
            )
            for opening in self.openings_on(day)
        ]
        return [(start, end) for start, end in spans if start.astimezone(UTC) < end.astimezone(UTC)]

    def is_open(self, at: datetime) -> bool:
        """Whether the place is open at this instant; the closing minute itself is closed."""
        return any(start <= at.astimezone(UTC) < end for start, end in self._spans_utc(at))

    def fits(self, start: datetime, end: datetime) -> bool:
        """Whether [start, end) lies in openings without a gap; openings that touch, at midnight too, count as one."""
        reached, last = start.astimezone(UTC), end.astimezone(UTC)
        if last <= reached:
            return False
        for opens, closes in [*self._spans_utc(start), *self._spans_utc(end)]:
            if opens <= reached < closes:
                reached = closes
        return reached >= last

    def next_open(self, after: datetime) -> datetime | None:
        """The first open instant at or after this one, in the zone; None where none comes within a year."""
        moment = after.astimezone(UTC)
        first = after.astimezone(self.zone).date()
        for days in range(HORIZON_DAYS):
            for start, end in self.spans_on(first + timedelta(days=days)):
                if moment < end.astimezone(UTC):
                    return start if moment < start.astimezone(UTC) else after.astimezone(self.zone)
        return None

    def words_on(self, day: date) -> str:
        """One date's openings for a text message, such as "9:00 AM-6:00 PM", or "closed"; GSM-7."""
        openings = self.openings_on(day)
        return ", ".join(f"{_clock(o.start)}-{_clock(o.end)}" for o in openings) if openings else "closed"

    def week_words(self) -> str:
        """The usual week for a text message, equal neighbours joined: "Mon-Fri 9 AM-6 PM, Sun closed"; GSM-7."""
        groups = []
        for openings, run in groupby(zip(WEEKDAYS, self.week, strict=True), key=lambda item: item[1]):
            names = [name.capitalize() for name, _ in run]
            days = names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}"
            words = " and ".join(f"{_clock(o.start, short=True)}-{_clock(o.end, short=True)}" for o in openings)
            groups.append(f"{days} {words or 'closed'}")
        return ", ".join(groups)

    def _spans_utc(self, at: datetime) -> list[tuple[datetime, datetime]]:
        """The openings of the day an instant falls on, in UTC: instants of one zone compare by wall clock alone."""
        spans = self.spans_on(at.astimezone(self.zone).date())
        return [(start.astimezone(UTC), end.astimezone(UTC)) for start, end in spans]


def wall_time(naive: datetime, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """The instant at which the wall clock of a zone shows this naive time, aware in the zone.

    A time shown twice is its first showing, or with `last` its second; a time the clocks skip moves forward by the gap,
    as RFC 5545 (3.3.5) reads it.
    """
    first, second = naive.replace(tzinfo=zone, fold=0), naive.replace(tzinfo=zone, fold=1)
    twice = first.astimezone(UTC) < second.astimezone(UTC)
    chosen = second if last and twice else first
    return chosen.astimezone(UTC).astimezone(zone)


def _date(key: object) -> date:
    if isinstance(key, date) and not isinstance(key, datetime):
        return key
    try:
        return date.fromisoformat(str(key))
    except ValueError:
        raise ValueError(f"Opening hours: {str(key)!r} under dates is no date; write it like 2026-12-25.") from None


def _openings(raw: object, entry: str) -> tuple[Opening, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list | tuple):
        raise ValueError(f'Opening hours of {entry}: {raw!r} must be a list such as ["9:00-18:00"], or [] for closed.')
    openings = sorted(_opening(item, entry) for item in raw)
    for before, after in pairwise(openings):
        if after.start < before.end:
            raise ValueError(f"Opening hours of {entry}: {_span(before)} and {_span(after)} overlap; join them in one.")
    return tuple(openings)


def _opening(item: object, entry: str) -> Opening:
    match = _SPAN.fullmatch(item.strip()) if isinstance(item, str) else None
    if match is None:
        raise ValueError(f'Opening hours of {entry}: {item!r} is no span of time; write it like "9:00-18:00".')
    hour, minute, to_hour, to_minute = (int(part) for part in match.groups())
    start, end = hour * 60 + minute, to_hour * 60 + to_minute
    if minute > 59 or to_minute > 59 or end > _DAY_MINUTES:
        raise ValueError(f"Opening hours of {entry}: {item!r} has a time that no clock shows; use 0:00 to 24:00.")
    if start >= end:
        raise ValueError(f"Opening hours of {entry}: {item!r} ends before it begins; split it at midnight if it must.")
    return Opening(start, end)


def _span(opening: Opening) -> str:
    return "-".join(f"{minutes // 60}:{minutes % 60:02}" for minutes in opening)


def _clock(minutes: int, *, short: bool = False) -> str:
    hour, minute = divmod(minutes % _DAY_MINUTES, 60)
    half = "AM" if hour < 12 else "PM"
    shown = f"{hour % 12 or 12}:{minute:02}" if minute or not short else f"{hour % 12 or 12}"
    return f"{shown} {half}"
