"""Free times offered for a booking: open, free of others, near what was wished."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from bot.db import Database
from bot.shop import bookings, shopfile, slots
from bot.shop.bookings import BookingView
from bot.shop.slots import Offer, Wish
from tests.test_bookings import FRIDAY_2PM, NOW, TUESDAY_3PM, ZONE, booked, person

HOUR = timedelta(hours=1)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of December 2026 in the shop's zone."""
    return datetime(2026, 12, day, hour, minute, tzinfo=ZONE)


def clock_time(start: datetime) -> Wish:
    """They named a clock time."""
    return Wish(start, start + HOUR, exact=True)


def stretch(start: datetime, end: datetime) -> Wish:
    """They named a stretch of time."""
    return Wish(start, end, exact=False)


async def offer(db: Database, booking: BookingView, *wishes: Wish, now: datetime = NOW) -> Offer:
    """What is offered for this booking."""
    async with db.begin() as session:
        shop = await shopfile.read(session)
        return await slots.find(session, booking, wishes, shop.hours_at(booking.location_id), now)


def starts(found: Offer) -> Sequence[datetime]:
    """When the offered slots begin."""
    return [slot.start for slot in found.slots]


async def test_the_time_wished_is_offered_alone(db: Database) -> None:
    """Who names a free clock time is offered that and nothing else."""
    booking = await booked(db)

    found = await offer(db, booking, clock_time(TUESDAY_3PM))

    assert (True, [TUESDAY_3PM]) == (found.granted, starts(found))


async def test_a_quarter_past_can_be_wished_but_not_three_past(db: Database) -> None:
    """Odd minutes would break the day; quarters are fine."""
    booking = await booked(db)

    quarter = await offer(db, booking, clock_time(at(1, 15, 15)))
    odd = await offer(db, booking, clock_time(at(1, 15, 3)))

    assert [at(1, 15, 15)] == starts(quarter)
    assert not odd.granted


async def test_after_three_gets_times_that_do_not_overlap(db: Database) -> None:
    """A stretch of time is filled with starts one session apart, all inside opening hours."""
    booking = await booked(db)

    found = await offer(db, booking, stretch(TUESDAY_3PM, at(2, 0)))

    assert [at(1, 15), at(1, 16), at(1, 17)] == starts(found)


async def test_two_wished_days_are_both_offered(db: Database) -> None:
    """An offer for "the 3rd or the 4th" has times on both."""
    booking = await booked(db)

    found = await offer(db, booking, stretch(at(3, 0), at(4, 0)), stretch(at(4, 0), at(5, 0)))

    assert {3, 4} == {start.astimezone(ZONE).day for start in starts(found)}


async def test_a_colleague_steps_in_where_the_same_person_is_taken(db: Database) -> None:
    """The booked person first; where somebody else has them, whoever does the service at the same place."""
    booking = await booked(db)
    await booked(db, TUESDAY_3PM, "rosa")

    found = await offer(db, booking, clock_time(TUESDAY_3PM))

    assert (["Lena"], [TUESDAY_3PM]) == ([slot.staff for slot in found.slots], starts(found))


async def test_a_taken_time_gets_the_nearest_of_that_day(db: Database) -> None:
    """Near means on the same day first."""
    booking = await booked(db)
    for staff in ("rosa", "lena"):
        await booked(db, TUESDAY_3PM, staff)

    found = await offer(db, booking, clock_time(TUESDAY_3PM))

    assert (False, False) == (found.granted, found.closed)
    assert {TUESDAY_3PM.date()} == {start.astimezone(ZONE).date() for start in starts(found)}
    assert TUESDAY_3PM not in starts(found)


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param(clock_time(at(6, 11)), id="Sunday"),
        pytest.param(clock_time(at(25, 11)), id="a holiday"),
        pytest.param(clock_time(at(1, 21)), id="at night"),
        pytest.param(stretch(at(6, 0), at(7, 0)), id="all of Sunday"),
    ],
)
async def test_closed_times_are_called_closed(db: Database, wish: Wish) -> None:
    """Nothing is offered while nobody works, and the offer says why."""
    booking = await booked(db)

    found = await offer(db, booking, wish)

    assert (False, True) == (found.granted, found.closed)
    assert found.slots


async def test_no_wish_gets_the_usual_time_on_the_next_days(db: Database) -> None:
    """One time a day, nearest to the booking's own clock time; the booking's own day and holidays are left out."""
    booking = await booked(db)

    found = await offer(db, booking)

    assert [NOW.replace(hour=14), NOW.replace(day=25, hour=14), NOW.replace(day=28, hour=14)] == starts(found)


async def test_nothing_is_offered_within_the_hour_or_in_the_past(db: Database) -> None:
    """A slot one cannot reach any more helps nobody."""
    booking = await booked(db)

    found = await offer(db, booking, stretch(NOW.replace(hour=0), NOW.replace(hour=12)))

    assert starts(found)
    assert min(starts(found)) >= NOW + slots.LEAD


async def test_the_booking_s_own_time_is_no_move(db: Database) -> None:
    """Asked for the time they have, nobody is offered to move there with the same person."""
    booking = await booked(db)

    found = await offer(db, booking, clock_time(FRIDAY_2PM))

    assert [("Lena", FRIDAY_2PM)] == [(slot.staff, slot.start) for slot in found.slots]


async def test_what_the_contact_has_elsewhere_at_that_time_is_not_offered(db: Database) -> None:
    """Nobody can be in two places."""
    async with db.begin() as session:
        contact: UUID = await person(session)
        ids = await bookings.resource_ids(session)
        first = await bookings.book(session, contact, "styling", ids["rosa"], FRIDAY_2PM, NOW)
        await bookings.book(session, contact, "alteration", ids["theo"], TUESDAY_3PM, NOW)

    found = await offer(db, first, clock_time(TUESDAY_3PM))

    assert TUESDAY_3PM not in starts(found)


async def test_every_offer_can_be_held_at_once(db: Database) -> None:
    """What is offered together fits together, also in a full week."""
    others = [await booked(db, at(1, hour)) for hour in (10, 12, 16)]
    booking = await booked(db)

    found = await offer(db, booking, stretch(at(1, 0), at(2, 0)))

    spans = sorted((slot.span.start, slot.span.end) for slot in found.slots)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert not {slot.start for slot in found.slots if slot.staff == "Rosa"} & {other.starts_at for other in others}
