"""Bookings, holds and the time they take, against the real constraint."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.db import Database, is_conflict
from bot.errors import Stale
from bot.shop import bookings
from bot.shop.bookings import BookingView
from bot.tables import Booking, Contact, Resource
from bot.tables import Hold as HoldRow
from bot.values import Book, Cancel, Changed, Confirm, Hold, Reschedule, Span, Unconfirm

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


# -- new bookings --------------------------------------------------------------------------------------------------


async def somebody(db: Database) -> UUID:
    """A contact without bookings."""
    async with db.begin() as session:
        return await person(session)


async def new(db: Database, start: datetime, staff: str = "rosa", service: str = "styling") -> Book:
    """The change that books a service with somebody, as long as it takes."""
    async with db.begin() as session:
        resource = (await bookings.resource_ids(session))[staff]
        (minutes,) = [item.minutes for item in await bookings.services(session) if item.key == service]
    end = start + timedelta(minutes=minutes)
    return Book(service=service, to=Span(resource_id=resource, start=start, end=end))


async def do(
    db: Database, contact: UUID, change: Book | Hold | Reschedule | Cancel | Confirm | Unconfirm, now: datetime = NOW
) -> Changed:
    """One change in a transaction of its own."""
    async with db.begin() as session:
        return await bookings.apply(session, contact, change, now)


async def count(db: Database, contact: UUID) -> int:
    """How many bookings of theirs stand."""
    async with db.begin() as session:
        mine = select(func.count()).where(Booking.contact_id == contact, Booking.status != "cancelled")
        return await session.scalar(mine) or 0


async def test_a_booking_made_takes_the_time_and_lets_go_of_what_was_held_for_it(db: Database) -> None:
    """The slot is taken, the others that were offered are free, what is held for another booking stays held."""
    booking = await booked(db)
    contact = booking.contact_id
    first, second, third = (TUESDAY_3PM + count * HOUR for count in range(3))
    until = NOW + timedelta(minutes=10)
    await do(db, contact, Hold(booking_id=booking.id, spans=[span(booking, third)], until=until))
    held = await do(
        db, contact, Hold(booking_id=None, spans=[span(booking, first), span(booking, second)], until=until)
    )

    made = await do(db, contact, await new(db, first))

    assert ("booking.held", "new") == (held.kind, held.ref)
    assert ("booking.created", None) == (made.kind, made.before)
    after = made.after or {}
    assert ("styling", "booked", first.astimezone(UTC).isoformat()) == (
        after["service"],
        after["status"],
        after["start"],
    )
    async with db.begin() as session:
        view = await bookings.get(session, UUID(after["booking_id"]))
        kept = list(await session.scalars(select(HoldRow.starts_at)))
    assert view is not None
    assert (made.ref, "Rosa", first) == (str(view.number), view.staff, view.starts_at)
    assert [third] == kept
    await booked(db, second)
    for start in (first, third):
        with pytest.raises(DBAPIError):
            await booked(db, start)


async def test_what_is_held_for_a_new_booking_is_replaced_and_let_go(db: Database) -> None:
    """A new offer frees the old one; letting go frees all."""
    booking = await booked(db)
    until = NOW + timedelta(minutes=10)
    for start in (TUESDAY_3PM, TUESDAY_3PM + HOUR):
        await do(db, booking.contact_id, Hold(booking_id=None, spans=[span(booking, start)], until=until))
    await booked(db, TUESDAY_3PM)
    with pytest.raises(DBAPIError):
        await booked(db, TUESDAY_3PM + HOUR)

    async with db.begin() as session:
        await bookings.release(session, booking.contact_id, None, NOW)

    await booked(db, TUESDAY_3PM + HOUR)


async def test_of_two_who_book_one_slot_at_once_one_gets_it(db: Database) -> None:
    """Both saw it free; one is booked, the other has nothing and is told by a conflict."""
    people = [await somebody(db), await somebody(db)]
    change = await new(db, TUESDAY_3PM)
    at_once = asyncio.Barrier(2)

    async def try_to_book(contact: UUID) -> bool:
        try:
            async with db.begin() as session:
                await session.execute(text("SELECT 1"))
                await at_once.wait()
                await bookings.apply(session, contact, change, NOW)
        except DBAPIError as exc:
            if not is_conflict(exc):
                raise
            return False
        return True

    got = await asyncio.gather(*map(try_to_book, people))

    assert [False, True] == sorted(got)
    assert [int(lucky) for lucky in got] == [await count(db, contact) for contact in people]


async def test_nobody_is_booked_in_two_places_at_once(db: Database) -> None:
    """A contact's own bookings exclude each other too, whoever they are with, also when asked for at one moment."""
    contact = await somebody(db)
    await do(db, contact, await new(db, TUESDAY_3PM, "rosa"))
    at_once = asyncio.Barrier(2)

    async def try_to_book(change: Book) -> bool:
        try:
            async with db.begin() as session:
                await session.execute(text("SELECT 1"))
                await at_once.wait()
                await bookings.apply(session, contact, change, NOW)
        except Stale:
            return False
        return True

    with pytest.raises(Stale):
        await do(db, contact, await new(db, TUESDAY_3PM + timedelta(minutes=45), "lena"))
    later = TUESDAY_3PM + 2 * HOUR
    both = await asyncio.gather(try_to_book(await new(db, later, "rosa")), try_to_book(await new(db, later, "lena")))

    assert [False, True] == sorted(both)
    await do(db, contact, await new(db, TUESDAY_3PM + HOUR, "lena"))
    assert 3 == await count(db, contact)


async def test_a_booking_does_not_move_onto_another_of_the_same_contact(db: Database) -> None:
    """Moving is held to the same rule as booking."""
    booking = await booked(db)
    await do(db, booking.contact_id, await new(db, TUESDAY_3PM, "lena"))

    with pytest.raises(Stale):
        await do(db, booking.contact_id, move(booking, TUESDAY_3PM))

    assert (FRIDAY_2PM, "booked") == await now_at(db, booking)


@pytest.mark.parametrize("kind", ["past", "no service", "other length", "not theirs", "left"])
async def test_a_booking_on_old_facts_is_refused(db: Database, kind: str) -> None:
    """Over, no longer offered, of another length by now, or with somebody who does not do it (any more)."""
    contact, change = await somebody(db), await new(db, TUESDAY_3PM)
    if kind == "past":
        change = await new(db, NOW - HOUR)
    elif kind == "no service":
        change = change.model_copy(update={"service": "tattoo"})
    elif kind == "other length":
        longer = change.to.model_copy(update={"end": change.to.end + HOUR})
        change = change.model_copy(update={"to": longer})
    elif kind == "not theirs":
        change = await new(db, TUESDAY_3PM, "theo")
    else:
        async with db.begin() as session:
            await session.execute(update(Resource).where(Resource.key == "rosa").values(services=[]))

    with pytest.raises(Stale):
        await do(db, contact, change)

    assert (0, []) == (await count(db, contact), await taken(db))


async def test_every_change_can_be_taken_back_by_what_its_effect_says(db: Database) -> None:
    """Made, confirmed, moved and cancelled, then each undone from its before and after alone, in the other order."""
    contact = await somebody(db)
    made = await do(db, contact, await new(db, TUESDAY_3PM))
    after = made.after or {}
    booking_id, start = UUID(after["booking_id"]), datetime.fromisoformat(after["start"])
    confirmed = await do(db, contact, Confirm(booking_id=booking_id, expected_start=start))
    lena = (await new(db, TUESDAY_3PM + HOUR, "lena")).to
    moved = await do(db, contact, Reschedule(booking_id=booking_id, expected_start=start, to=lena))
    cancelled = await do(db, contact, Cancel(booking_id=booking_id, expected_start=lena.start))

    for effect in (cancelled, moved):
        before, now = effect.before or {}, effect.after or {}
        back = Span(resource_id=before["resource"], start=before["start"], end=before["end"])
        restores = effect.kind == "booking.cancelled"
        await do(
            db,
            contact,
            Reschedule(booking_id=now["booking_id"], expected_start=now["start"], to=back, restores=restores),
        )
    # Whoever cancels and comes back is asked to confirm again.
    await do(db, contact, Confirm(booking_id=booking_id, expected_start=start))
    now = confirmed.after or {}
    await do(db, contact, Unconfirm(booking_id=now["booking_id"], expected_start=now["start"]))
    async with db.begin() as session:
        view = await bookings.get(session, booking_id)
    assert view is not None
    assert ("Rosa", TUESDAY_3PM, "booked") == (view.staff, view.starts_at, view.status)
    await do(db, contact, Cancel(booking_id=after["booking_id"], expected_start=after["start"]))
    assert (0, []) == (await count(db, contact), await taken(db))


async def test_only_what_is_confirmed_can_be_unconfirmed(db: Database) -> None:
    """Taking back twice is refused, and changes nothing."""
    booking = await booked(db)

    with pytest.raises(Stale):
        await do(db, booking.contact_id, Unconfirm(booking_id=booking.id, expected_start=booking.starts_at))

    assert (FRIDAY_2PM, "booked") == await now_at(db, booking)


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
