"""Finds times a booking could move to: while open, free of everybody else, near what was wished; it holds nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice, zip_longest
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot.shop.bookings import BookingView
from bot.shop.hours import Hours
from bot.tables import Resource
from bot.values import Span

#: Offered starts are this far apart, counted from opening; a time the contact names may lie on any quarter of an hour.
GRID, QUARTER = timedelta(minutes=30), timedelta(minutes=15)
#: Nobody is offered a time sooner than this, or later than that.
LEAD, HORIZON = timedelta(hours=1), timedelta(days=60)
#: As many as fit a text of two parts with words around them.
OFFERS = 3


@dataclass(frozen=True)
class Wish:
    """A stretch of time the contact named; `end` exclusive; `exact` where they named a clock time, which is `start`."""

    start: datetime
    end: datetime
    exact: bool

    @classmethod
    def of(cls, entity: dict[str, Any], now: datetime) -> "Wish":
        """The wish in the value of a `time` entity; an open end is the horizon, an open start is now."""
        start = datetime.fromisoformat(entity["from"]) if entity["from"] else now
        end = datetime.fromisoformat(entity["to"]) if entity["to"] else start + HORIZON
        length = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}.get(entity["grain"])
        return cls(start, end, exact=length is not None and end - start == length)


@dataclass(frozen=True)
class Slot:
    """A free span and whose it is."""

    span: Span
    staff: str

    @property
    def start(self) -> datetime:
        """When it begins."""
        return self.span.start


@dataclass(frozen=True)
class Offer:
    """Free slots in order of time; `granted` where they lie in what was wished, `closed` where nobody works then."""

    slots: Sequence[Slot]
    granted: bool
    closed: bool = False


async def find(
    session: AsyncSession, booking: BookingView, wishes: Sequence[Wish], hours: Hours, now: datetime
) -> Offer:
    """Up to OFFERS slots this booking could move to, with the same person where they are free, else a colleague.

    Without a wish: the free time nearest to the booking's own clock time on each of the next open days. A wish that
    cannot be granted gets what lies nearest to it.
    """
    calendar = await _calendar(session, booking, hours, now)
    for wish in wishes:
        if wish.exact and (slot := calendar.slot(wish.start)) is not None:
            return Offer([slot], granted=True)
    chosen = _in_turns([_spread(calendar.within(wish), booking) for wish in wishes if not wish.exact])
    if chosen:
        return Offer(chosen, granted=True)
    target = wishes[0].start if wishes else booking.starts_at
    closed = bool(wishes) and not any(calendar.open_during(wish) for wish in wishes)
    near = calendar.same_day(target) if wishes else []
    if near:
        nearest = sorted(near, key=lambda slot: abs(slot.start - target))[:OFFERS]
        return Offer(sorted(nearest, key=lambda slot: slot.start), granted=False, closed=closed)
    return Offer(calendar.one_a_day(target if wishes else now, target), granted=not wishes, closed=closed)


def _spread(slots: Iterable[Slot], booking: BookingView) -> list[Slot]:
    """The first few that do not overlap: 3:00, 4:00 and 5:00 rather than 3:00, 3:30 and 4:00."""
    length = booking.ends_at - booking.starts_at
    chosen: list[Slot] = []
    for slot in slots:
        if len(chosen) < OFFERS and (not chosen or slot.start >= chosen[-1].start + length):
            chosen.append(slot)
    return chosen


def _in_turns(lists: Sequence[Sequence[Slot]]) -> list[Slot]:
    """OFFERS slots, one of each list in turn, so that "the 3rd or the 4th" gets times on both; in order of time."""
    turns = (slot for row in zip_longest(*lists) for slot in row if slot is not None)
    return sorted(islice(dict.fromkeys(turns), OFFERS), key=lambda slot: slot.start)


# -- free times ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Calendar:
    """Who could take the booking, and what is taken of each until the horizon."""

    booking: BookingView
    hours: Hours
    staff: Sequence[tuple[int, str]]
    taken: dict[int, list[tuple[datetime, datetime]]]
    first: datetime
    last: datetime

    def slot(self, start: datetime) -> Slot | None:
        """The slot that begins exactly then, with the first person who is free."""
        end = start + (self.booking.ends_at - self.booking.starts_at)
        on_quarter = (start.minute * 60 + start.second) % int(QUARTER.total_seconds()) == 0
        if not (self.first <= start < self.last) or not on_quarter or not self.hours.fits(start, end):
            return None
        for resource_id, name in self.staff:
            same = resource_id == self.booking.resource_id and start == self.booking.starts_at
            clash = any(begin < end and start < until for begin, until in self.taken.get(resource_id, []))
            if not same and not clash:
                return Slot(Span(resource_id=resource_id, start=start, end=end), name)
        return None

    def on_day(self, day: date) -> list[Slot]:
        """Every slot of a day, on the grid."""
        found = (self.slot(start) for span in self.hours.spans_on(day) for start in _grid(*span))
        return [slot for slot in found if slot is not None]

    def within(self, wish: Wish) -> list[Slot]:
        """Every slot that begins within the wish."""
        start, end = max(wish.start, self.first), min(wish.end, self.last)
        return [slot for day in self._days(start, end) for slot in self.on_day(day) if start <= slot.start < end]

    def same_day(self, moment: datetime) -> list[Slot]:
        """Every slot of the day a moment lies in."""
        return self.on_day(moment.astimezone(self.hours.zone).date())

    def open_during(self, wish: Wish) -> bool:
        """Whether anybody works at some time of the wish."""
        return any(
            begin < wish.end and wish.start < until
            for day in self._days(wish.start, min(wish.end, self.last))
            for begin, until in self.hours.spans_on(day)
        )

    def one_a_day(self, after: datetime, like: datetime) -> list[Slot]:
        """On each of the next days with a free slot the one nearest to a clock time, the booking's own day left out."""
        clock = like.astimezone(self.hours.zone).time()
        own = self.booking.starts_at.astimezone(self.hours.zone).date()
        chosen: list[Slot] = []
        for day in self._days(after, self.last):
            wanted = datetime.combine(day, clock, self.hours.zone)
            free = self.on_day(day) if day != own else []
            if free and len(chosen) < OFFERS:
                chosen.append(min(free, key=lambda slot: abs(slot.start - wanted)))
        return chosen

    def _days(self, start: datetime, end: datetime) -> Iterator[date]:
        day, last = start.astimezone(self.hours.zone).date(), end.astimezone(self.hours.zone).date()
        while day <= last:
            yield day
            day += timedelta(days=1)


def _grid(begin: datetime, until: datetime) -> Iterable[datetime]:
    while begin < until:
        yield begin
        begin += GRID


async def _calendar(session: AsyncSession, booking: BookingView, hours: Hours, now: datetime) -> _Calendar:
    people = (
        await session.execute(
            select(Resource.id, Resource.name)
            .where(Resource.location_id == booking.location_id, Resource.services.contains([booking.service_key]))
            .order_by(Resource.id != booking.resource_id, Resource.id)
        )
    ).all()
    first, last = now + LEAD, now + HORIZON
    taken = await _taken(session, [row.id for row in people], booking.contact_id, booking.id, now, last)
    return _Calendar(booking, hours, [(row.id, row.name) for row in people], taken, first, last)


async def _taken(
    session: AsyncSession, resources: list[int], contact_id: UUID, booking_id: UUID, now: datetime, last: datetime
) -> dict[int, list[tuple[datetime, datetime]]]:
    """What others have of each resource, and what the contact has elsewhere at the same time."""
    rows = await session.execute(
        text(
            """
            SELECT r.id, taken.starts_at, taken.ends_at
            FROM unnest(CAST(:resources AS int[])) AS r(id)
            JOIN (
                SELECT contact_id, resource_id, starts_at, ends_at FROM bookings
                WHERE status <> 'cancelled' AND id <> :booking
                UNION ALL
                SELECT contact_id, resource_id, starts_at, ends_at FROM holds
                WHERE expires_at > :now AND contact_id <> :contact
            ) taken ON taken.resource_id = r.id OR taken.contact_id = :contact
            WHERE taken.ends_at > :now AND taken.starts_at < :last
            """
        ),
        {"resources": resources, "booking": booking_id, "contact": contact_id, "now": now, "last": last},
    )
    taken: dict[int, list[tuple[datetime, datetime]]] = {}
    for row in rows:
        taken.setdefault(row.id, []).append((row.starts_at, row.ends_at))
    return taken
