"""The waiting list: joined once for one wish, left again, refused on old facts."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from bot.db import Database
from bot.errors import Stale
from bot.shop import bookings, waitlist
from bot.tables import Hold as HoldRow
from bot.tables import Waiting
from bot.values import Cancel, Changed, Hold, JoinWaitlist, LeaveWaitlist
from tests.test_bookings import NOW, TUESDAY_3PM, ZONE, booked, person, span

DAY = timedelta(days=1)
THURSDAY = datetime(2026, 12, 3, 0, 0, tzinfo=ZONE)


def wish(start: datetime = THURSDAY, end: datetime = THURSDAY + DAY, booking_id: UUID | None = None) -> JoinWaitlist:
    """A shoe fitting some time that day."""
    return JoinWaitlist(service="fitting", booking_id=booking_id, wanted_from=start, wanted_to=end)


async def somebody(db: Database) -> UUID:
    """A contact nobody else is."""
    async with db.begin() as session:
        return await person(session)


async def do(db: Database, contact: UUID, change: JoinWaitlist | LeaveWaitlist, now: datetime = NOW) -> Changed:
    """One change in a transaction of its own."""
    async with db.begin() as session:
        return await waitlist.apply(session, contact, change, now)


async def waiting(db: Database, contact: UUID) -> int:
    """How many wishes of theirs are on the list."""
    async with db.begin() as session:
        mine = select(func.count()).where(Waiting.contact_id == contact, Waiting.left_at.is_(None))
        return await session.scalar(mine) or 0


async def test_joining_is_told_with_all_that_taking_it_back_needs(db: Database) -> None:
    """The effect names the service and the row; the row holds the wish."""
    contact = await somebody(db)

    changed = await do(db, contact, wish())

    assert ("waitlist.joined", "fitting", None) == (changed.kind, changed.ref, changed.before)
    assert {"service": "fitting", "from": "2026-12-03T05:00:00+00:00"}.items() <= (changed.after or {}).items()
    left = await do(db, contact, LeaveWaitlist(waitlist_id=(changed.after or {})["waitlist_id"]))
    assert ("waitlist.left", changed.after, None) == (left.kind, left.before, left.after)
    assert 0 == await waiting(db, contact)


@pytest.mark.parametrize("narrower", [False, True])
async def test_the_same_wish_twice_is_one_row(db: Database, narrower: bool) -> None:
    """Said again, or a part of it said again, it stays one; the effect names that row before and after."""
    contact = await somebody(db)
    first = await do(db, contact, wish())

    again = await do(db, contact, wish(THURSDAY + timedelta(hours=12)) if narrower else wish())

    assert 1 == await waiting(db, contact)
    assert first.after == again.before == again.after


async def test_joining_twice_at_the_same_moment_is_one_row(db: Database) -> None:
    """Two texts of one contact, read side by side, wait for each other."""
    contact = await somebody(db)

    both = await asyncio.gather(*(do(db, contact, wish()) for _ in range(4)))

    assert 1 == await waiting(db, contact)
    assert 1 == len({(changed.after or {})["waitlist_id"] for changed in both})


async def test_another_wish_and_another_contact_are_rows_of_their_own(db: Database) -> None:
    """A list is by wish, and nobody's row stands for somebody else."""
    contact, other = await somebody(db), await somebody(db)

    for who, change in ((contact, wish()), (contact, wish(THURSDAY + DAY, THURSDAY + 2 * DAY)), (other, wish())):
        await do(db, who, change)

    assert (2, 1) == (await waiting(db, contact), await waiting(db, other))


async def test_who_left_can_join_again(db: Database) -> None:
    """A row that was left stands for nothing."""
    contact = await somebody(db)
    first = await do(db, contact, wish())
    await do(db, contact, LeaveWaitlist(waitlist_id=(first.after or {})["waitlist_id"]))

    again = await do(db, contact, wish())

    assert again.before is None
    assert 1 == await waiting(db, contact)


async def test_waiting_lets_go_of_what_was_held(db: Database) -> None:
    """Who would rather wait keeps no time from others."""
    booking = await booked(db)
    async with db.begin() as session:
        for booking_id, start in ((booking.id, TUESDAY_3PM), (None, TUESDAY_3PM + DAY)):
            hold = Hold(booking_id=booking_id, spans=[span(booking, start)], until=NOW + timedelta(minutes=10))
            await bookings.apply(session, booking.contact_id, hold, NOW)

    await do(db, booking.contact_id, wish(booking_id=booking.id))
    async with db.begin() as session:
        held = list(await session.scalars(select(HoldRow.booking_id)))
    await do(db, booking.contact_id, wish())
    async with db.begin() as session:
        left = list(await session.scalars(select(HoldRow.booking_id)))

    assert ([None], []) == (held, left)


@pytest.mark.parametrize("kind", ["no service", "over", "booking cancelled", "not on it", "other contact"])
async def test_what_rests_on_old_facts_is_refused(db: Database, kind: str) -> None:
    """A service that is gone, a time that is over, a booking that fell through, a row that is not theirs."""
    booking = await booked(db)
    contact, change, now = booking.contact_id, wish(booking_id=booking.id), NOW
    refused: JoinWaitlist | LeaveWaitlist = change
    if kind == "no service":
        refused = change.model_copy(update={"service": "tattoo"})
    elif kind == "over":
        now = THURSDAY + DAY
    elif kind == "booking cancelled":
        async with db.begin() as session:
            cancel = Cancel(booking_id=booking.id, expected_start=booking.starts_at)
            await bookings.apply(session, contact, cancel, NOW)
    elif kind == "not on it":
        refused = LeaveWaitlist(waitlist_id=uuid4())
    else:
        theirs = await do(db, contact, change)
        contact = await somebody(db)
        refused = LeaveWaitlist(waitlist_id=(theirs.after or {})["waitlist_id"])
    before = await waiting(db, booking.contact_id)

    with pytest.raises(Stale):
        await do(db, contact, refused, now)

    assert before == await waiting(db, booking.contact_id)
