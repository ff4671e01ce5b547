"""Finds free times for a booking, new or to be moved: while open, free of everybody else, near what was wished.

It holds nothing and books nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice, zip_longest
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bot.shop.bookings import BookingView, StaffView
from bot.shop.hours import Hours
from bot.shop.shopfile import ShopView
from bot.values import Span

#: Offered starts are this far apart, counted from opening; a time the contact names may lie on any quarter of an hour.
GRID, QUARTER = timedelta(minutes=30), timedelta(minutes=15)
#: Nobody is offered a time sooner than this, or later than that.
LEAD, HORIZON = timedelta(hours=1), timedelta(days=60)
#: As many as fit a text of two parts with words around them.
OFFERS = 3

#: Why a wish cannot be granted: nobody works then, it would last past closing, it begins between two quarters of an
#: hour, it is over or too soon, it is further off than we book, or somebody else has it.
Refusal = Literal["closed", "closing", "odd", "soon", "far", "taken"]


@dataclass(frozen=True)
class Wish:
    """A stretch of time the contact named; `end` exclusive; `exact` where they named a clock time, which is `start`.

    `doubt` where their words may mean this rather than the wish before it.
    """

    start: datetime
    end: datetime
    exact: bool
    doubt: bool = False

    @classmethod
    def of(cls, entity: dict[str, Any], now: datetime) -> "Wish":
        """The wish in the value of a `time` entity; an open end is the horizon, an open start is now."""
        start = datetime.fromisoformat(entity["from"]) if entity["from"] else now
        end = datetime.fromisoformat(entity["to"]) if entity["to"] else start + HORIZON
        length = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}.get(entity["grain"])
        exact = length is not None and end - start == length
        return cls(start, end, exact, doubt=bool(entity.get("doubt")))

    @classmethod
    def kept(cls, raw: dict[str, Any]) -> "Wish":
        """The wish that `keep` gave away."""
        return cls(datetime.fromisoformat(raw["from"]), datetime.fromisoformat(raw["to"]), raw["exact"], raw["doubt"])

    def keep(self) -> dict[str, Any]:
        """This wish as JSON, for a request that goes on in a later text."""
        edges = {"from": self.start.isoformat(), "to": self.end.isoformat()}
        return {**edges, "exact": self.exact, "doubt": self.doubt}


@dataclass(frozen=True)
class Need:
    """What a time is looked for: `minutes` of one of these people, best first; `booking` is what would move."""

    contact_id: UUID
    minutes: int
    people: Sequence[StaffView]
    booking: BookingView | None = None


@dataclass(frozen=True)
class Slot:
    """A free span, whose it is and where."""

    span: Span
    staff: str
    location: str

    @property
    def start(self) -> datetime:
        """When it begins."""
        return self.span.start


@dataclass(frozen=True)
class Offer:
    """Free slots in order of time: those wished, or where `refused` says why there are none, others near to them."""

    slots: Sequence[Slot]
    refused: Refusal | None = None

    @property
    def granted(self) -> bool:
        """Whether these are what was asked for."""
        return bool(self.slots) and self.refused is None


async def find(session: AsyncSession, need: Need, shop: ShopView, wishes: Sequence[Wish], now: datetime) -> Offer:
    """Up to OFFERS slots for what is needed, at each time with the first of the people who is free then.

    Without a wish: one time on each of the next open days, nearest to the clock time of the booking that would move,
    for a new booking the first of the day. A wish that cannot be granted gets what lies nearest to it. No slots at all
    where everybody is taken until the horizon.
    """
    calendar = await _calendar(session, need, shop, now)
    for wish in wishes:
        if wish.exact and (slot := calendar.slot(wish.start)) is not None:
            return Offer([slot])
    chosen = _in_turns([_spread(calendar.within(wish), calendar.length) for wish in wishes if not wish.exact])
    if chosen:
        return Offer(chosen)
    if not wishes:
        return Offer(calendar.one_a_day(now, need.booking.starts_at if need.booking is not None else None))
    refused = calendar.refusal(wishes)
    target = wishes[0].start
    near = calendar.same_day(target)
    if near:
        nearest = sorted(near, key=lambda slot: abs(slot.start - target))[:OFFERS]
        return Offer(sorted(nearest, key=lambda slot: slot.start), refused)
    return Offer(calendar.one_a_day(target, target) or calendar.one_a_day(now, target), refused)


def _spread(slots: Iterable[Slot], length: timedelta) -> list[Slot]:
    """The first few that do not overlap: 3:00, 4:00 and 5:00 rather than 3:00, 3:30 and 4:00."""
    chosen: list[Slot] = []
    for slot in slots:
        if not chosen or slot.start >= chosen[-1].start + length:
            chosen.append(slot)
        if len(chosen) == OFFERS:
            break
    return chosen


def _in_turns(lists: Sequence[Sequence[Slot]]) -> list[Slot]:
    """OFFERS slots, one of each list in turn, so that "the 3rd or the 4th" gets times on both; in order of time."""
    turns = (slot for row in zip_longest(*lists) for slot in row if slot is not None)
    return sorted(islice(dict.fromkeys(turns), OFFERS), key=lambda slot: slot.start)


# -- free times ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Taken:
    """The stretches that are taken of one resource, joined where they touch, so that one look at two of them tells."""

    starts: Sequence[datetime] = ()
    ends: Sequence[datetime] = ()

    @classmethod
    def of(cls, spans: Iterable[tuple[datetime, datetime]]) -> "_Taken":
        starts: list[datetime] = []
        ends: list[datetime] = []
        for begin, until in sorted(spans):
            if ends and begin <= ends[-1]:
                ends[-1] = max(ends[-1], until)
            else:
                starts.append(begin)
                ends.append(until)
        return cls(starts, ends)

    def meets(self, start: datetime, end: datetime) -> bool:
        """Whether any of it lies within [start, end)."""
        before = bisect_left(self.starts, end)
        return before > 0 and self.ends[before - 1] > start


@dataclass(frozen=True)
class _Calendar:
    """Who could take the booking, when each place is open, and what is taken of each person until the horizon."""

    need: Need
    zone: ZoneInfo
    places: Mapping[int, Hours]
    taken: Mapping[int, _Taken]
    now: datetime

    @property
    def length(self) -> timedelta:
        """How long the booking is."""
        return timedelta(minutes=self.need.minutes)

    @property
    def first(self) -> datetime:
        """The soonest anything may begin."""
        return self.now + LEAD

    @property
    def last(self) -> datetime:
        """The latest anything may begin, exclusive."""
        return self.now + HORIZON

    def slot(self, start: datetime, place: int | None = None) -> Slot | None:
        """The slot that begins exactly then, at any place or one, with the first person who is free."""
        end = start + self.length
        if not (self.first <= start < self.last) or not _on_quarter(start):
            return None
        open_at = {key for key in ([place] if place is not None else self.places) if self.places[key].fits(start, end)}
        own = self.need.booking
        for person in self.need.people:
            same = own is not None and person.id == own.resource_id and start == own.starts_at
            if person.location_id not in open_at or same:
                continue
            taken = self.taken.get(person.id)
            if taken is None or not taken.meets(start, end):
                return Slot(Span(resource_id=person.id, start=start, end=end), person.name, person.location)
        return None

    def on_day(self, day: date) -> list[Slot]:
        """Every slot of a day, on the grid of each place; of several at one moment that of the first person."""
        order = {person.id: position for position, person in enumerate(self.need.people)}
        found: dict[datetime, Slot] = {}
        for place, hours in self.places.items():
            for span in hours.spans_on(day):
                for start in _grid(*span):
                    slot = self.slot(start, place)
                    known = found.get(start)
                    if slot is not None and (
                        known is None or order[slot.span.resource_id] < order[known.span.resource_id]
                    ):
                        found[start] = slot
        return [found[start] for start in sorted(found)]

    def within(self, wish: Wish) -> Iterator[Slot]:
        """Every slot that begins within the wish."""
        start, end = max(wish.start, self.first), min(wish.end, self.last)
        return (slot for day in self._days(start, end) for slot in self.on_day(day) if start <= slot.start < end)

    def same_day(self, moment: datetime) -> list[Slot]:
        """Every slot of the day a moment lies in."""
        return self.on_day(moment.astimezone(self.zone).date())

    def refusal(self, wishes: Sequence[Wish]) -> Refusal:
        """Why none of these wishes can be granted."""
        if all(wish.start < self.first if wish.exact else wish.end <= self.first for wish in wishes):
            return "soon"
        if all(wish.start >= self.last for wish in wishes):
            return "far"
        if not any(self._open_during(wish) for wish in wishes):
            return "closed"
        exact = [wish.start for wish in wishes if wish.exact]
        if len(exact) < len(wishes):
            return "taken"
        if not any(hours.fits(start, start + self.length) for start in exact for hours in self.places.values()):
            return "closing"
        return "taken" if any(map(_on_quarter, exact)) else "odd"

    def one_a_day(self, after: datetime, like: datetime | None) -> list[Slot]:
        """On each of the next days with a free slot the one nearest to a clock time, or the first of the day.

        The day of the booking that would move is left out.
        """
        clock = like.astimezone(self.zone).time() if like is not None else time()
        own = self.need.booking.starts_at.astimezone(self.zone).date() if self.need.booking is not None else None
        chosen: list[Slot] = []
        for day in self._days(max(after, self.now), self.last):
            wanted = datetime.combine(day, clock, self.zone)
            free = self.on_day(day) if day != own else []
            if free:
                chosen.append(min(free, key=lambda slot: abs(slot.start - wanted)))
            if len(chosen) == OFFERS:
                break
        return chosen

    def _open_during(self, wish: Wish) -> bool:
        """Whether anybody works at some time of the wish."""
        return any(
            begin < wish.end and wish.start < until
            for hours in self.places.values()
            for day in self._days(wish.start, min(wish.end, self.last))
            for begin, until in hours.spans_on(day)
        )

    def _days(self, start: datetime, end: datetime) -> Iterator[date]:
        day, last = start.astimezone(self.zone).date(), end.astimezone(self.zone).date()
        while day <= last:
            yield day
            day += timedelta(days=1)


def _on_quarter(start: datetime) -> bool:
    return (start.minute * 60 + start.second) % int(QUARTER.total_seconds()) == 0


def _grid(begin: datetime, until: datetime) -> Iterable[datetime]:
    while begin < until:
        yield begin
        begin += GRID


async def _calendar(session: AsyncSession, need: Need, shop: ShopView, now: datetime) -> _Calendar:
    places = {person.location_id: shop.hours_at(person.location_id) for person in need.people}
    taken = await _taken(session, need, now, now + HORIZON)
    return _Calendar(need, shop.zone, places, taken, now)


async def _taken(session: AsyncSession, need: Need, now: datetime, last: datetime) -> dict[int, _Taken]:
    """What others have of each person, and what the contact has elsewhere at the same time; one query for all."""
    rows = await session.execute(
        text(
            """
            SELECT r.id, taken.starts_at, taken.ends_at
            FROM unnest(CAST(:resources AS int[])) AS r(id)
            JOIN (
                SELECT contact_id, resource_id, starts_at, ends_at FROM bookings
                WHERE status <> 'cancelled' AND id IS DISTINCT FROM CAST(:booking AS uuid)
                UNION ALL
                SELECT contact_id, resource_id, starts_at, ends_at FROM holds
                WHERE expires_at > :now AND contact_id <> :contact
            ) taken ON taken.resource_id = r.id OR taken.contact_id = :contact
            WHERE taken.ends_at > :now AND taken.starts_at < :last
            """
        ),
        {
            "resources": [person.id for person in need.people],
            "booking": need.booking.id if need.booking is not None else None,
            "contact": need.contact_id,
            "now": now,
            "last": last,
        },
    )
    spans: dict[int, list[tuple[datetime, datetime]]] = {}
    for row in rows:
        spans.setdefault(row.id, []).append((row.starts_at, row.ends_at))
    return {resource: _Taken.of(found) for resource, found in spans.items()}
