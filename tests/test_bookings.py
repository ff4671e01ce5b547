"""Bookings, holds and the time they take, against the real constraint."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.db import Database, is_conflict
from bot.errors import Stale
from bot.shop import bookings
from bot.shop.bookings import BookingView
from bot.tables import Contact
from bot.values import Cancel, Confirm, Hold, Reschedule, Span

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=ZONE)
FRIDAY_2PM = datetime(2026, 11, 27, 14, 0, tzinfo=ZONE)
TUESDAY_3PM = datetime(2026, 12, 1, 15, 0, tzinfo=ZONE)
HOUR = timedelta(hours=1)


async def person(session: AsyncSession) -> UUID:
    """A contact nobody else has."""
    contact = Contact(id=uuid4(), phone=f"+1646{uuid4().int % 10**7:07d}", phone_hash=uuid4().hex, created_at=NOW)
    session.add(contact)
    await session.flush()
    return contact.id


async def booked(db: Database, start: datetime = FRIDAY_2PM, staff: str = "rosa") -> BookingView:
    """A styling session of somebody new."""
    async with db.begin() as session:
        resource = (await bookings.resource_ids(session))[staff]
        return await bookings.book(session, await person(session), "styling", resource, start, NOW)


def span(booking: BookingView, start: datetime) -> Span:
    """The booking's length from another start, with the same person."""
    return Span(resource_id=booking.resource_id, start=start, end=start + HOUR)


def move(booking: BookingView, start: datetime, *, restores: bool = False) -> Reschedule:
    """The change that moves a booking from where it is."""
    return Reschedule(
        booking_id=booking.id, expected_start=booking.starts_at, to=span(booking, start), restores=restores
    )


async def now_at(db: Database, booking: BookingView) -> tuple[datetime, str]:
    """Where a booking stands."""
    async with db.begin() as session:
        view = await bookings.get(session, booking.id)
    assert view is not None
    return view.starts_at, view.status


async def taken(db: Database) -> Sequence[tuple[UUID, str]]:
    """The rows of occupancy: whose, and which spans."""
    async with db.begin() as session:
        rows = await session.execute(text("SELECT contact_id, spans::text FROM occupancy ORDER BY contact_id"))
        return [(row.contact_id, row.spans) for row in rows]


async def test_one_slot_is_never_booked_by_two(db: Database) -> None:
    """The database itself refuses a second booking of an overlapping time."""
    await booked(db, FRIDAY_2PM)

    with pytest.raises(DBAPIError) as refused:
        await booked(db, FRIDAY_2PM + timedelta(minutes=30))

    assert is_conflict(refused.value)


async def test_back_to_back_bookings_are_fine(db: Database) -> None:
    """An end and a start at the same moment do not overlap."""
    await booked(db, FRIDAY_2PM)

    await booked(db, FRIDAY_2PM + HOUR)

    assert 2 == len(await taken(db))


async def test_moving_frees_the_old_time_and_takes_the_new(db: Database) -> None:
    """What was left can be booked by others, what was taken cannot."""
    booking = await booked(db)

    async with db.begin() as session:
        changed = await bookings.apply(session, booking.contact_id, move(booking, TUESDAY_3PM), NOW)

    assert "booking.rescheduled" == changed.kind
    assert (TUESDAY_3PM, "booked") == await now_at(db, booking)
    await booked(db, FRIDAY_2PM)
    with pytest.raises(DBAPIError):
        await booked(db, TUESDAY_3PM)


async def test_a_booking_may_move_into_time_it_takes_itself(db: Database) -> None:
    """Half an hour later overlaps the contact's own booking, which excludes others and not them."""
    booking = await booked(db)
    later = FRIDAY_2PM + timedelta(minutes=30)

    async with db.begin() as session:
        await bookings.apply(session, booking.contact_id, move(booking, later), NOW)

    assert (later, "booked") == await now_at(db, booking)


@pytest.mark.parametrize("kind", ["moved", "cancelled", "other contact", "in the past"])
async def test_a_change_on_old_facts_is_refused_and_changes_nothing(db: Database, kind: str) -> None:
    """A booking that moved, was cancelled, is somebody else's, or would move into the past stays as it is."""
    booking = await booked(db)
    change, contact = move(booking, TUESDAY_3PM), booking.contact_id
    if kind == "moved":
        change = change.model_copy(update={"expected_start": FRIDAY_2PM - HOUR})
    elif kind == "cancelled":
        cancel = Cancel(booking_id=booking.id, expected_start=booking.starts_at)
        async with db.begin() as session:
            await bookings.apply(session, contact, cancel, NOW)
    elif kind == "in the past":
        change = move(booking, NOW - HOUR)
    else:
        contact = (await booked(db, FRIDAY_2PM, "lena")).contact_id
    before = await now_at(db, booking)

    with pytest.raises(Stale):
        async with db.begin() as session:
            await bookings.apply(session, contact, change, NOW)

    assert before == await now_at(db, booking)


async def test_a_cancelled_booking_can_be_taken_back(db: Database) -> None:
    """The way back books the same time again, while it is free."""
    booking = await booked(db)
    async with db.begin() as session:
        await bookings.apply(
            session, booking.contact_id, Cancel(booking_id=booking.id, expected_start=booking.starts_at), NOW
        )
    freed = await taken(db)

    async with db.begin() as session:
        await bookings.apply(session, booking.contact_id, move(booking, FRIDAY_2PM, restores=True), NOW)

    assert [] == freed
    assert (FRIDAY_2PM, "booked") == await now_at(db, booking)


async def test_a_held_slot_is_nobody_elses_until_it_lapses(db: Database) -> None:
    """Others cannot book what is held; once the hold has lapsed they can, whoever held it."""
    booking = await booked(db)
    hold = Hold(booking_id=booking.id, spans=[span(booking, TUESDAY_3PM)], until=NOW + timedelta(minutes=10))
    async with db.begin() as session:
        await bookings.apply(session, booking.contact_id, hold, NOW)

    with pytest.raises(DBAPIError):
        await booked(db, TUESDAY_3PM)
    async with db.begin() as session:
        resource = (await bookings.resource_ids(session))["rosa"]
        later = NOW + timedelta(minutes=11)
        other = await bookings.book(session, await person(session), "styling", resource, TUESDAY_3PM, later)

    assert (TUESDAY_3PM, "booked") == await now_at(db, other)


async def test_a_new_hold_replaces_the_old_one(db: Database) -> None:
    """What was offered before and is not offered again is free at once."""
    booking = await booked(db)
    for start in (TUESDAY_3PM, TUESDAY_3PM + 2 * HOUR):
        hold = Hold(booking_id=booking.id, spans=[span(booking, start)], until=NOW + timedelta(minutes=10))
        async with db.begin() as session:
            await bookings.apply(session, booking.contact_id, hold, NOW)

    await booked(db, TUESDAY_3PM)

    with pytest.raises(DBAPIError):
        await booked(db, TUESDAY_3PM + 2 * HOUR)


async def test_letting_go_frees_what_was_held(db: Database) -> None:
    """A question dismissed gives its slots back."""
    booking = await booked(db)
    hold = Hold(booking_id=booking.id, spans=[span(booking, TUESDAY_3PM)], until=NOW + timedelta(minutes=10))
    async with db.begin() as session:
        await bookings.apply(session, booking.contact_id, hold, NOW)
        await bookings.release(session, booking.contact_id, None, NOW)

    await booked(db, TUESDAY_3PM)

    assert 2 == len(await taken(db))


async def test_confirming_keeps_the_time_and_says_so(db: Database) -> None:
    """Before and after are logged."""
    booking = await booked(db)

    async with db.begin() as session:
        changed = await bookings.apply(
            session, booking.contact_id, Confirm(booking_id=booking.id, expected_start=booking.starts_at), NOW
        )

    assert (FRIDAY_2PM, "confirmed") == await now_at(db, booking)
    assert ("booked", "confirmed") == ((changed.before or {})["status"], (changed.after or {})["status"])


async def test_of_many_who_want_one_slot_at_once_one_gets_it(db: Database) -> None:
    """Twelve bookings move to the same slot at the same moment: one stands there, eleven stay where they were."""
    starts = [datetime(2026, 12, day, hour, 0, tzinfo=ZONE) for day in (2, 3, 4) for hour in (11, 13, 15, 16)]
    everybody = [await booked(db, start) for start in starts]
    at_once = asyncio.Barrier(len(everybody))

    async def try_to_move(booking: BookingView) -> bool:
        try:
            async with db.begin() as session:
                await session.execute(text("SELECT 1"))
                await at_once.wait()
                await bookings.apply(session, booking.contact_id, move(booking, TUESDAY_3PM), NOW)
        except DBAPIError as exc:
            if not is_conflict(exc):
                raise
            return False
        return True

    moved = await asyncio.gather(*(try_to_move(booking) for booking in everybody))

    assert 1 == sum(moved)
    standing = [start for start, _ in [await now_at(db, booking) for booking in everybody]]
    assert 1 == standing.count(TUESDAY_3PM)
    assert 12 == len(set(standing))


@pytest.mark.parametrize(
    "start, words",
    [
        (datetime(2026, 11, 27, 14, 0, tzinfo=ZONE), "Fri Nov 27 at 2:00 PM"),
        (datetime(2026, 12, 1, 0, 5, tzinfo=ZONE), "Tue Dec 1 at 12:05 AM"),
        (datetime(2026, 12, 1, 12, 0, tzinfo=ZONE), "Tue Dec 1 at 12:00 PM"),
        (datetime(2027, 11, 2, 9, 30, tzinfo=ZONE), "Tue Nov 2 2027 at 9:30 AM"),
    ],
)
def test_a_time_is_told_as_people_read_it(start: datetime, words: str) -> None:
    """Weekday, month, day and clock in the shop's zone; the year only when it is far off."""
    assert words == bookings.when_words(start.astimezone(ZoneInfo("UTC")), ZONE, NOW)
