"""Free times offered for a booking: open, free of others, near what was wished."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from bot.db import Database
from bot.shop import bookings, shopfile, slots
from bot.shop.bookings import BookingView
from bot.shop.slots import Need, Offer, Wish
from bot.tables import Booking, Resource
from bot.values import Hold, Span
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
        staff = await bookings.staff(session)
        people = [p for p in staff if booking.service_key in p.services and p.location_id == booking.location_id]
        people.sort(key=lambda person: person.id != booking.resource_id)
        minutes = int((booking.ends_at - booking.starts_at).total_seconds()) // 60
        need = Need(booking.contact_id, minutes, people, booking)
        return await slots.find(session, need, await shopfile.read(session), wishes, now)


async def offer_new(
    db: Database,
    service: str,
    *wishes: Wish,
    contact: UUID | None = None,
    staff: str | None = None,
    now: datetime = NOW,
) -> Offer:
    """What is offered for a new booking, with everybody who does the service or one of them."""
    async with db.begin() as session:
        who = contact or await person(session)
        (minutes,) = [item.minutes for item in await bookings.services(session) if item.key == service]
        people = [p for p in await bookings.staff(session) if service in p.services and staff in (None, p.key)]
        return await slots.find(session, Need(who, minutes, people), await shopfile.read(session), wishes, now)


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

    assert (False, "taken") == (found.granted, found.refused)
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

    assert (False, "closed") == (found.granted, found.refused)
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


# -- new bookings --------------------------------------------------------------------------------------------------


async def test_a_new_booking_is_offered_the_first_time_of_the_next_open_days(db: Database) -> None:
    """Nothing was wished and nothing stands: the soonest, an hour from now at least, holidays left out."""
    found = await offer_new(db, "styling")

    first = [NOW.replace(hour=11), NOW.replace(day=25, hour=10), NOW.replace(day=27, hour=10)]
    assert (True, first) == (found.granted, starts(found))


async def test_times_of_every_place_are_offered(db: Database) -> None:
    """One place closes, the other is open: who does the service there is offered, and the slot says where."""
    late = datetime(2026, 12, 2, 18, 0, tzinfo=ZONE)

    open_late = await offer_new(db, "fitting", clock_time(late))
    early = await offer_new(db, "fitting", clock_time(at(2, 10)))

    assert [("Theo", "Harbor Point", late)] == [(slot.staff, slot.location, slot.start) for slot in open_late.slots]
    assert [("Rosa", "Elm Street")] == [(slot.staff, slot.location) for slot in early.slots]


async def test_where_one_is_taken_the_other_place_steps_in(db: Database) -> None:
    """The first of the people who is free, wherever that is."""
    await booked(db, TUESDAY_3PM, "rosa")

    found = await offer_new(db, "fitting", clock_time(TUESDAY_3PM))
    only = await offer_new(db, "fitting", clock_time(TUESDAY_3PM), staff="rosa")

    assert [("Theo", TUESDAY_3PM)] == [(slot.staff, slot.start) for slot in found.slots]
    assert "taken" == only.refused
    assert {"Rosa"} == {slot.staff for slot in only.slots}


async def test_a_slot_is_as_long_as_the_service(db: Database) -> None:
    """Forty-five minutes are kept, not an hour."""
    found = await offer_new(db, "alteration", clock_time(TUESDAY_3PM))

    assert [timedelta(minutes=45)] == [slot.span.end - slot.span.start for slot in found.slots]


@pytest.mark.parametrize(
    "wish, why",
    [
        pytest.param(clock_time(at(6, 14)), "closed", id="Sunday"),
        pytest.param(clock_time(at(1, 17, 30)), "closing", id="over at half past six"),
        pytest.param(clock_time(at(1, 15, 3)), "odd", id="three minutes past"),
        pytest.param(clock_time(NOW + timedelta(minutes=30)), "soon", id="in half an hour"),
        pytest.param(stretch(NOW - HOUR, NOW), "soon", id="over"),
        pytest.param(clock_time(TUESDAY_3PM + timedelta(days=70)), "far", id="in ten weeks"),
        pytest.param(clock_time(TUESDAY_3PM), "taken", id="taken"),
    ],
)
async def test_a_wish_that_cannot_be_granted_says_why_and_gets_others(db: Database, wish: Wish, why: str) -> None:
    """The reason is told as it is, and there is always something to choose."""
    for staff in ("rosa", "lena"):
        await booked(db, TUESDAY_3PM, staff)

    found = await offer_new(db, "styling", wish)

    assert (False, why) == (found.granted, found.refused)
    assert found.slots
    assert min(starts(found)) >= NOW + slots.LEAD


async def test_nobody_who_does_it_free_means_nothing_is_offered(db: Database) -> None:
    """All sixty days are full: no slots, and it is not called granted."""
    async with db.begin() as session:
        ids = await bookings.resource_ids(session)
        session.add(
            Booking(
                contact_id=await person(session),
                service_id=1,
                resource_id=ids["theo"],
                starts_at=NOW,
                ends_at=NOW + timedelta(days=70),
            )
        )

    found = await offer_new(db, "alteration")
    wished = await offer_new(db, "alteration", clock_time(TUESDAY_3PM))

    assert ([], False) == (found.slots, found.granted)
    assert ([], "taken") == (wished.slots, wished.refused)


async def test_a_new_booking_never_meets_another_of_the_same_contact(db: Database) -> None:
    """Also with somebody else, also at another place."""
    booking = await booked(db, TUESDAY_3PM, "lena")

    found = await offer_new(db, "alteration", stretch(TUESDAY_3PM, TUESDAY_3PM + 2 * HOUR), contact=booking.contact_id)

    assert found.slots
    assert min(starts(found)) >= TUESDAY_3PM + HOUR


async def test_what_is_held_for_the_contact_themselves_is_offered_again(db: Database) -> None:
    """An own hold is no obstacle, another contact's is."""
    async with db.begin() as session:
        contact = await person(session)
        theo = (await bookings.resource_ids(session))["theo"]
        held = Span(resource_id=theo, start=TUESDAY_3PM, end=TUESDAY_3PM + HOUR)
        await bookings.apply(session, contact, Hold(booking_id=None, spans=[held], until=NOW + HOUR), NOW)

    own = await offer_new(db, "alteration", clock_time(TUESDAY_3PM), contact=contact)
    others = await offer_new(db, "alteration", clock_time(TUESDAY_3PM))

    assert (True, False) == (own.granted, others.granted)


async def test_more_people_cost_no_more_queries(db: Database) -> None:
    """One person or twenty: a look at the calendar sends the same statements."""
    sent: list[str] = []
    event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *call: sent.append(call[2]))

    async def statements() -> int:
        sent.clear()
        await offer_new(db, "styling", stretch(at(1, 0), at(4, 0)))
        return len(sent)

    before = await statements()
    async with db.begin() as session:
        session.add_all(
            Resource(key=f"new{number}", name=f"New {number}", location_id=1, services=["styling"])
            for number in range(20)
        )

    assert before == await statements()


@given(
    spans=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12),
    start=st.integers(-5, 90),
    length=st.integers(1, 15),
)
def test_a_time_is_free_exactly_where_it_meets_nothing_taken(
    spans: list[tuple[int, int]], start: int, length: int
) -> None:
    """However the taken stretches lie in, over and beside each other."""
    taken = [(NOW + timedelta(minutes=begin), NOW + timedelta(minutes=begin + long)) for begin, long in spans]
    begin, end = NOW + timedelta(minutes=start), NOW + timedelta(minutes=start + length)

    assert any(one < end and begin < other for one, other in taken) == slots._Taken.of(taken).meets(begin, end)


@given(
    start=st.datetimes(datetime(2026, 11, 24), datetime(2027, 2, 1), timezones=st.just(ZONE)),
    minutes=st.integers(1, 60 * 24 * 80),
    exact=st.booleans(),
)
def test_a_wish_kept_for_a_later_text_is_the_same(start: datetime, minutes: int, exact: bool) -> None:
    """Through JSON and back."""
    wish = Wish(start, start + timedelta(minutes=minutes), exact)

    assert wish == Wish.kept(json.loads(json.dumps(wish.keep())))
