"""Booking, moving and giving up by text: what is asked, offered, held and said; nothing is changed unasked."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text as sql
from sqlalchemy import update

from actions import appointments
from bot.db import Database
from bot.shop import bookings
from bot.shop.slots import HORIZON
from bot.tables import Booking, Resource
from bot.text import measure
from bot.values import (
    Answer,
    Ask,
    Book,
    Cancel,
    Confirm,
    Dismiss,
    HandOver,
    Hold,
    JoinWaitlist,
    Reschedule,
    Say,
    Value,
    parse_value,
)
from tests.test_actions import HOUR, offered, one, run, somebody, words
from tests.test_bookings import FRIDAY_2PM, NOW, TUESDAY_3PM, ZONE, booked

DAY = timedelta(days=1)
BOOK = "book_appointment"
Times = Sequence[tuple[datetime, datetime, str]]


def clock(start: datetime) -> Times:
    """A clock time, as the engine reads it."""
    return [(start, start + HOUR, "hour")]


def day(start: datetime) -> Times:
    """A whole day."""
    midnight = start.replace(hour=0, minute=0)
    return [(midnight, midnight + DAY, "day")]


def named(**keys: str) -> list[dict[str, Any]]:
    """What the engine found named in the text."""
    return [{"entity": name, "value": key} for name, key in keys.items()]


def opened(values: Sequence[Value]) -> dict[str, Any]:
    """The question just asked, as the engine tells the next action of it."""
    ask = parse_value(one(values, Ask).payload())
    assert isinstance(ask, Ask)
    starts = [
        next((c.to.start.isoformat() for c in option.changes if isinstance(c, Reschedule | Book)), None)
        for option in ask.options
    ]
    return {
        "kind": ask.kind,
        "booking_id": str(ask.booking_id) if ask.booking_id else None,
        "offered": starts,
        "affirmative": [number for number, option in enumerate(ask.options, 1) if option.changes],
        "reminder": ask.reminder,
        "intent": ask.intent,
        "slots": ask.slots,
    }


async def book(db: Database, contact: UUID, text: str = "", times: Times = (), **more: Any) -> Sequence[Value]:
    """What action_book comes to."""
    return await run(db, "action_book", contact, text, intent=BOOK, times=times, **more)


def starts(values: Sequence[Value]) -> list[datetime]:
    """When the slots held begin."""
    return [span.start.astimezone(ZONE) for span in one(values, Hold).spans]


async def fill_up(db: Database, *staff: str, from_: datetime = NOW, to: datetime = NOW + HORIZON + DAY) -> None:
    """Somebody else has all of these people's time."""
    for key in staff:
        booking = await booked(db, from_ + DAY, key)
        async with db.begin() as session:
            row = update(Booking).where(Booking.id == booking.id)
            await session.execute(row.values(starts_at=from_, ends_at=to))


# -- a new booking -------------------------------------------------------------------------------------------------


async def test_all_said_at_once_is_proposed_and_held(db: Database) -> None:
    """One free time: held for ten minutes for a booking that is not there yet, booked on 1, left on 2."""
    contact = await somebody(db)

    values = await book(db, contact, entities=named(service="fitting", staff="rosa"), times=clock(FRIDAY_2PM))

    hold, ask = one(values, Hold), one(values, Ask)
    assert (None, [FRIDAY_2PM], NOW + timedelta(minutes=10)) == (hold.booking_id, starts(values), hold.until)
    assert words(values) == (
        "I can book a shoe fitting on Fri Nov 27 at 2:00 PM at Elm Street with Rosa. Reply 1 to book it, 2 to leave it."
    )
    take, leave = ask.options
    assert ("booking_new", BOOK) == (ask.kind, ask.intent)
    assert [Book(service="fitting", to=hold.spans[0])] == take.changes
    assert take.say == (
        "Booked: your shoe fitting on Fri Nov 27 at 2:00 PM at Elm Street with Rosa. "
        "To move or cancel it, just text us."
    )
    assert ([], "OK, nothing is booked.") == (leave.changes, leave.say)
    assert {"service": "fitting", "staff": "rosa"}.items() <= ask.slots.items()


async def test_what_is_wanted_is_asked_with_every_service_and_the_time_is_kept(db: Database) -> None:
    """A numbered choice; the one chosen goes on with the time that was named before."""
    contact = await somebody(db)

    asked = await book(db, contact, "can i come in friday at 2", times=clock(FRIDAY_2PM))
    ask = one(asked, Ask)
    chosen = ask.options[1]
    went_on = await book(db, contact, "2", filled={**ask.slots, **chosen.slots}, open=opened(asked))

    assert "What would you like to book?\n1 Styling session\n2 Shoe fitting\n3 Alteration" in words(asked)
    assert ("details", "service", BOOK) == (ask.kind, ask.wants, chosen.intent)
    assert {"fitting", "shoe", "shoe fittings", "a fitting", "the shoe fitting"} <= set(chosen.words)
    assert "booking.held" not in [getattr(value, "kind", "") for value in asked]
    assert [FRIDAY_2PM] == starts(went_on)


async def test_of_what_one_person_does_nothing_need_be_asked(db: Database) -> None:
    """Lena does one thing, Theo two: only these are asked for, and the person stays wanted."""
    contact = await somebody(db)

    lena = await book(db, contact, entities=named(staff="lena"))
    theo = await book(db, contact, entities=named(staff="theo"))

    assert {"staff": "lena", "service": "styling"}.items() <= one(lena, Ask).slots.items()
    assert ["Shoe fitting", "Alteration"] == [option.label for option in one(theo, Ask).options]
    assert "theo" == one(theo, Ask).slots["staff"]


async def test_of_two_times_that_may_be_meant_it_is_asked_which(db: Database) -> None:
    """Both are free: numbered in order of time, picked by place or date too; the one chosen is looked for, not both."""
    contact = await somebody(db)
    later = FRIDAY_2PM + 7 * DAY
    wanted = named(service="fitting", staff="rosa")

    asked = await book(db, contact, entities=wanted, times=[*clock(later), *clock(FRIDAY_2PM)], doubtful=True)
    ask = one(asked, Ask)
    chosen = await book(db, contact, "1", filled={**ask.slots, **ask.options[0].slots}, open=opened(asked))

    assert ("Which did you mean?\n1 Fri Nov 27 at 2:00 PM\n2 Fri Dec 4 at 2:00 PM\nReply with the number.") == words(
        asked
    )
    assert ("booking_new", BOOK) == (ask.kind, ask.options[0].intent)
    assert {"the earlier one", "27th", "the 27th", "Nov 27"} <= set(ask.options[0].words)
    assert {"the later one", "4th", "friday the 4th"} <= {word.lower() for word in ask.options[1].words}
    assert [FRIDAY_2PM] == starts(chosen)
    assert 2 == len(one(chosen, Ask).options)


async def test_of_two_times_only_one_of_which_is_free_none_is_asked(db: Database) -> None:
    """Who could only mean the other is not bothered."""
    contact = await somebody(db)
    later = FRIDAY_2PM + 7 * DAY
    await booked(db, later, "rosa")
    wanted = named(service="fitting", staff="rosa")

    values = await book(db, contact, entities=wanted, times=[*clock(later), *clock(FRIDAY_2PM)], doubtful=True)

    assert [FRIDAY_2PM] == starts(values)
    assert "Which did you mean" not in words(values)


async def test_when_are_you_free_gets_times_at_every_place(db: Database) -> None:
    """No place is asked for; each line says where and with whom."""
    await booked(db, datetime(2026, 11, 25, 10, 0, tzinfo=ZONE), "rosa")
    contact = await somebody(db)
    afternoon = datetime(2026, 11, 25, 17, 0, tzinfo=ZONE)

    values = await book(
        db,
        contact,
        "when are you free for a fitting?",
        entities=named(service="fitting"),
        times=[(afternoon, afternoon + 3 * HOUR, "hour")],
    )

    assert words(values) == (
        "For a shoe fitting, these times are free:\n"
        "1 Wed Nov 25 at 5:00 PM at Elm Street with Rosa\n"
        "2 Wed Nov 25 at 5:30 PM at Elm Street with Rosa\n"
        "3 Wed Nov 25 at 6:00 PM at Harbor Point with Theo\n"
        "Reply 1, 2 or 3 to book it, or text another day or time."
    )


async def test_what_is_done_at_one_place_is_offered_there(db: Database) -> None:
    """The place is said and never asked."""
    values = await book(db, await somebody(db), entities=named(service="alteration"), times=day(TUESDAY_3PM))

    assert words(values).startswith("For an alteration, these times are free:\n1 Tue Dec 1 at 11:00 AM at Harbor Point")
    assert 3 == words(values).count(" at Harbor Point with Theo")


async def test_a_place_named_is_the_only_one_offered(db: Database) -> None:
    """Only there, also where the other place is free sooner."""
    values = await book(db, await somebody(db), entities=named(service="fitting", location="harbor"))

    assert words(values).startswith("For a shoe fitting, these times are free:\n1 Tue Nov 24 at 11:00 AM with Theo\n")
    assert "harbor" == one(values, Ask).slots["location"]


@pytest.mark.parametrize(
    "wishes, told",
    [
        pytest.param({"service": "fitting", "staff": "lena"}, "Lena does not offer a shoe fitting.", id="not theirs"),
        pytest.param(
            {"service": "alteration", "location": "elm"}, "We offer no alteration at Elm Street.", id="not there"
        ),
        pytest.param(
            {"service": "fitting", "staff": "theo", "location": "elm"}, "Theo is not at Elm Street.", id="elsewhere"
        ),
    ],
)
async def test_who_cannot_be_had_is_said_and_others_are_offered(
    db: Database, wishes: dict[str, str], told: str
) -> None:
    """A person who does not do it, a place that does not have it."""
    values = await book(db, await somebody(db), entities=named(**wishes))

    assert words(values).startswith(f"{told} Free times:\n1 ")
    assert one(values, Hold).spans


async def test_what_nobody_does_any_more_is_said_and_the_rest_is_asked_for(db: Database) -> None:
    """A service taken out of shop.yml."""
    async with db.begin() as session:
        await session.execute(update(Resource).where(Resource.key == "theo").values(services=["fitting"]))

    values = await book(db, await somebody(db), entities=named(service="alteration"))

    assert words(values).startswith("We no longer offer an alteration. What would you like to book?\n1 Styling session")
    assert ["Styling session", "Shoe fitting"] == [option.label for option in one(values, Ask).options]


async def test_a_shop_without_bookings_says_so(db: Database) -> None:
    """Nothing to choose from is not asked about."""
    async with db.begin() as session:
        await session.execute(update(Resource).values(services=[]))

    assert "We take no bookings by text" in words(await book(db, await somebody(db)))


@pytest.mark.parametrize(
    "service, times, opening",
    [
        ("styling", clock(datetime(2026, 11, 29, 14, 0, tzinfo=ZONE)), "We are closed then. Near it:"),
        ("alteration", day(datetime(2026, 11, 30, 0, 0, tzinfo=ZONE)), "Harbor Point is closed then. Near it:"),
        ("styling", clock(datetime(2026, 12, 1, 17, 30, tzinfo=ZONE)), "That is too close to closing time. Near it:"),
        ("styling", clock(NOW - HOUR), "That is over or too soon. Free next:"),
        ("styling", clock(TUESDAY_3PM + timedelta(days=70)), "We book up to 60 days ahead. Free now:"),
    ],
)
async def test_why_a_time_cannot_be_had_is_told_as_it_is(
    db: Database, service: str, times: Times, opening: str
) -> None:
    """Closed, over, too far off: said, with other times to choose from, and no waiting list for what never is free."""
    values = await book(db, await somebody(db), entities=named(service=service), times=times)

    assert words(values).splitlines()[0] == opening
    assert "Waiting list" not in words(values)
    assert one(values, Hold).spans


# -- correcting it -------------------------------------------------------------------------------------------------


async def proposed(db: Database, contact: UUID) -> dict[str, Any]:
    """The question after a fitting with Rosa on Friday at two was proposed."""
    asked = await book(db, contact, entities=named(service="fitting", staff="rosa"), times=clock(FRIDAY_2PM))
    return opened(asked)


@pytest.mark.parametrize(
    "action, intent, text",
    [
        ("action_time", "give_time", "what about tuesday at 3"),
        ("action_deny", "deny", "no, tuesday 3pm"),
        ("action_affirm", "affirm", "ok but tuesday at 3"),
        ("action_book", BOOK, "book me for tuesday at 3"),
        ("action_reschedule", "reschedule_booking", "make it tuesday at 3 instead"),
    ],
)
async def test_another_time_is_for_what_is_being_booked(db: Database, action: str, intent: str, text: str) -> None:
    """Whatever it is read as, the service and the person stay, and nothing that stands is moved."""
    contact = (await booked(db, TUESDAY_3PM + DAY, "lena")).contact_id
    asked = await proposed(db, contact)

    values = await run(
        db, action, contact, text, intent=intent, times=clock(TUESDAY_3PM), open=asked, filled=asked["slots"]
    )

    assert "I can book a shoe fitting on Tue Dec 1 at 3:00 PM at Elm Street with Rosa." in words(values)
    assert one(values, Hold).booking_id is None


@pytest.mark.parametrize("action, intent", [("action_deny", "deny"), ("action_book", BOOK)])
async def test_another_place_keeps_the_time(db: Database, action: str, intent: str) -> None:
    """The person is not there, so somebody else is offered; the time named before still counts."""
    contact = await somebody(db)
    asked = await proposed(db, contact)

    values = await run(
        db,
        action,
        contact,
        "no, at harbor point",
        intent=intent,
        entities=named(location="harbor"),
        open=asked,
        filled=asked["slots"],
    )

    assert "on Fri Nov 27 at 2:00 PM at Harbor Point with Theo." in words(values)


@pytest.mark.parametrize("text, goes_on", [("with theo at harbor point", True), ("is theo at harbor point?", False)])
async def test_a_person_or_place_named_goes_on_however_unsure_the_reading(
    db: Database, text: str, goes_on: bool
) -> None:
    """Short words that name what can be booked are no riddle while a time is chosen; a question stays one."""
    contact = await somebody(db)
    asked = await proposed(db, contact)

    values = await run(
        db,
        "action_unclear",
        contact,
        text,
        intent="nlu_fallback",
        entities=named(staff="theo", location="harbor"),
        open=asked,
    )

    assert goes_on == ("on Fri Nov 27 at 2:00 PM at Harbor Point with Theo." in words(values))
    assert goes_on == (one(values, Ask).kind == "booking_new")


async def test_an_offered_time_named_books_it_unless_it_is_asked_about(db: Database) -> None:
    """A time is an answer; "what about 3" is a question with or without its mark, and "with lena" is no answer."""
    contact = await somebody(db)
    listed = await book(db, contact, entities=named(service="fitting"), times=day(TUESDAY_3PM))
    third = starts(listed)[2]
    asked = opened(listed)

    async def say(text: str, **more: Any) -> Sequence[Value]:
        return await run(db, "action_time", contact, text, intent="give_time", times=clock(third), open=asked, **more)

    assert [Answer(option=3)] == list(await say("11 works"))
    for question in ("what about 11", "is 11 ok?", "how about 11 then", "no, what about 11"):
        assert "Reply 1 to book it" in words(await say(question))
    assert "Theo" in words(await say("11 with theo", entities=named(staff="theo"), filled=asked["slots"]))


async def test_book_it_is_a_yes_to_what_was_proposed(db: Database) -> None:
    """To one time it is the answer, of several it asks which."""
    contact = await somebody(db)
    one_time = await proposed(db, contact)
    several = opened(await book(db, contact, entities=named(service="fitting")))

    assert [Answer(option=1)] == list(await book(db, contact, "yes book it please", open=one_time))
    assert [Say(text=several["reminder"])] == list(await book(db, contact, "book it", open=several))


@pytest.mark.parametrize(
    "action, intent, text",
    [
        ("action_deny", "deny", "never mind"),
        ("action_book", BOOK, "don't book it"),
        ("action_cancel", "cancel_booking", "cancel that"),
    ],
)
async def test_leaving_midway_books_nothing_and_cancels_nothing(
    db: Database, action: str, intent: str, text: str
) -> None:
    """What was held is let go; a booking that stands is not spoken of."""
    contact = (await booked(db, TUESDAY_3PM)).contact_id
    asked = await proposed(db, contact)

    values = await run(db, action, contact, text, intent=intent, open=asked)

    assert isinstance(values[0], Dismiss)
    assert words(values).startswith("OK, nothing is booked.")
    assert [] == [value for value in values if isinstance(value, Ask | Cancel)]


async def test_who_has_no_booking_and_cancels_midway_gives_up_the_new_one(db: Database) -> None:
    """There is nothing else it could mean."""
    contact = await somebody(db)

    values = await run(
        db, "action_cancel", contact, "cancel my booking", intent="cancel_booking", open=await proposed(db, contact)
    )

    assert [Dismiss(), Say(text="OK, nothing is booked.")] == list(values)


async def test_a_time_that_was_just_taken_is_replaced_by_others(db: Database) -> None:
    """Read again because the slot went: said, and the next ones are offered."""
    contact = await somebody(db)
    asked = await proposed(db, contact)
    await booked(db, FRIDAY_2PM, "rosa")

    values = await book(db, contact, "1", times=clock(FRIDAY_2PM), filled=asked["slots"], open=asked, gone=True)

    assert words(values).startswith("That time was just taken. Free now:\n1 ")
    assert FRIDAY_2PM not in starts(values)


# -- moving with somebody else or elsewhere ------------------------------------------------------------------------


async def test_moving_to_somebody_else_offers_their_times_only(db: Database) -> None:
    """With Lena instead: hers, though Rosa is free as well; the next text need not say it again."""
    booking = await booked(db)

    values = await run(
        db,
        "action_reschedule",
        booking.contact_id,
        "with lena instead, tuesday",
        intent="reschedule_booking",
        entities=named(staff="lena"),
        times=day(TUESDAY_3PM),
    )
    asked = opened(values)
    next_one = await run(
        db,
        "action_time",
        booking.contact_id,
        "no wednesday",
        intent="give_time",
        times=day(TUESDAY_3PM + DAY),
        open=asked,
        filled=asked["slots"],
    )

    for found in (values, next_one):
        assert 3 == words(found).count("with Lena")
    assert ("lena", "reschedule_booking") == (asked["slots"]["staff"], asked["intent"])


async def test_moving_to_another_place_offers_its_times_only_and_says_so(db: Database) -> None:
    """At Harbor Point instead; the answer names the new place."""
    async with db.begin() as session:
        contact = (await booked(db)).contact_id
        rosa = (await bookings.resource_ids(session))["rosa"]
        await session.execute(sql("UPDATE bookings SET status = 'cancelled'"))
        await bookings.book(session, contact, "fitting", rosa, TUESDAY_3PM, NOW)

    values = await run(
        db,
        "action_reschedule",
        contact,
        "at harbor point instead, wednesday at 4",
        intent="reschedule_booking",
        entities=named(location="harbor"),
        times=clock(TUESDAY_3PM + DAY + HOUR),
    )

    moved = one(values, Ask).options[0]
    assert "to Wed Dec 2 at 4:00 PM with Theo at Harbor Point. Reply 1 to move it, 2 to keep it." in words(values)
    assert "Done: your shoe fitting is now on Wed Dec 2 at 4:00 PM with Theo at Harbor Point." == moved.say


async def test_the_booking_named_by_its_service_or_day_is_the_one_meant(db: Database) -> None:
    """Of two, nothing is asked where the text says which."""
    booking = await booked(db)
    async with db.begin() as session:
        theo = (await bookings.resource_ids(session))["theo"]
        await bookings.book(session, booking.contact_id, "alteration", theo, TUESDAY_3PM, NOW)

    by_service = await run(
        db, "action_reschedule", booking.contact_id, "move my alteration", entities=named(service="alteration")
    )
    by_day = await run(db, "action_cancel", booking.contact_id, "cancel friday", times=day(FRIDAY_2PM))
    both = await run(db, "action_cancel", booking.contact_id, "cancel all my appointments", intent="cancel_booking")

    assert words(by_service).startswith("For your alteration, Tue Dec 1 at 3:00 PM,")
    assert words(by_day).startswith("Shall I cancel your styling session, Fri Nov 27 at 2:00 PM?")
    assert words(both).startswith("Which booking do you mean?")
    assert [{"booking_id"}] * 2 == [set(option.slots) for option in one(both, Ask).options]


async def test_what_nobody_does_any_more_is_a_persons_to_move(db: Database) -> None:
    """Neither times nor a waiting list could help."""
    booking = await booked(db)
    async with db.begin() as session:
        await session.execute(update(Resource).values(services=[]))

    values = await run(db, "action_reschedule", booking.contact_id, intent="reschedule_booking")

    assert "failed_action" == one(values, HandOver).reason


# -- the waiting list ----------------------------------------------------------------------------------------------


async def test_where_nothing_is_free_at_all_the_waiting_list_is_offered(db: Database) -> None:
    """No hand-over and nothing held: 1 waits, 2 leaves it."""
    await fill_up(db, "theo")
    contact = await somebody(db)

    values = await book(db, contact, entities=named(service="alteration"))
    wished = await book(db, contact, entities=named(service="alteration"), times=day(TUESDAY_3PM))

    assert words(values) == (
        "Nothing is free for an alteration in the next 60 days. Reply 1 for the waiting list, 2 to leave it."
    )
    (any_time,), (that_day,) = (one(found, Ask).options[0].changes for found in (values, wished))
    assert isinstance(any_time, JoinWaitlist)
    assert isinstance(that_day, JoinWaitlist)
    assert any_time.wanted_from <= NOW < NOW + HORIZON - DAY < any_time.wanted_to
    assert (TUESDAY_3PM.replace(hour=0), DAY) == (that_day.wanted_from, that_day.wanted_to - that_day.wanted_from)
    assert one(wished, Ask).options[0].say == (
        "You are on the waiting list for an alteration on Tue Dec 1. We will text you if a time comes free."
    )
    assert [] == [value for value in values if isinstance(value, Hold | HandOver)]


async def test_a_full_calendar_offers_the_waiting_list_to_who_would_move(db: Database) -> None:
    """The booking stands meanwhile, and may be kept as it is."""
    booking = await booked(db, TUESDAY_3PM, "lena")
    await fill_up(db, "rosa")
    await fill_up(db, "lena", to=TUESDAY_3PM)
    await fill_up(db, "lena", from_=TUESDAY_3PM + HOUR)

    values = await run(db, "action_reschedule", booking.contact_id, intent="reschedule_booking")

    wait, keep = one(values, Ask).options
    assert "Reply 1 for the waiting list, 2 to keep it." in words(values)
    assert booking.id == wait.changes[0].booking_id
    assert "stays on Tue Dec 1 at 3:00 PM" in wait.say
    assert "OK, your styling session stays on Tue Dec 1 at 3:00 PM." == keep.say


async def test_a_day_that_is_full_has_the_waiting_list_as_its_last_choice(db: Database) -> None:
    """Other days first; the list waits for the day that was wished."""
    await fill_up(db, "theo", from_=TUESDAY_3PM.replace(hour=9), to=TUESDAY_3PM.replace(hour=20))

    values = await book(db, await somebody(db), entities=named(service="alteration"), times=day(TUESDAY_3PM), filled={})

    lines = words(values).splitlines()
    last = one(values, Ask).options[-1]
    assert ("Nothing is free then. Near it:", "4 Waiting list") == (lines[0], lines[4])
    assert "Reply with a number, or text another day or time." == lines[5]
    assert {"waitlist", "waiting list", "list"} == set(last.words)
    assert (TUESDAY_3PM.replace(hour=0), "alteration", 2) == (
        last.changes[0].wanted_from,
        last.changes[0].service,
        last.changes[0].location_id,
    )


@pytest.mark.parametrize("text, waits", [("tuesday at 3", False), ("only tuesday at 3 works for me", True)])
async def test_a_taken_time_has_a_waiting_list_for_who_wants_only_that(db: Database, text: str, waits: bool) -> None:
    """Other times of that day are enough for everybody else."""
    await booked(db, TUESDAY_3PM, "rosa")
    await booked(db, TUESDAY_3PM, "lena")

    values = await book(db, await somebody(db), text, entities=named(service="styling"), times=clock(TUESDAY_3PM))

    assert words(values).startswith("That time is taken. Near it:")
    assert waits == ("4 Waiting list" in words(values))


async def test_a_yes_to_times_and_a_waiting_list_asks_which(db: Database) -> None:
    """Nobody waits, and nothing is booked, by a bare yes."""
    await fill_up(db, "theo", from_=TUESDAY_3PM.replace(hour=9), to=TUESDAY_3PM.replace(hour=20))
    contact = await somebody(db)
    asked = opened(await book(db, contact, entities=named(service="alteration"), times=day(TUESDAY_3PM)))

    assert [Say(text=asked["reminder"])] == list(await run(db, "action_affirm", contact, "yes", open=asked))


# -- yes and no ----------------------------------------------------------------------------------------------------

KINDS = ("booking_change", "booking_cancel", "booking_new", "order_change", "details", "identify", "clarify")


@pytest.mark.parametrize("kind", KINDS)
async def test_yes_and_no_answer_every_kind_of_question(db: Database, kind: str) -> None:
    """Yes takes the only choice that changes something, else it is asked again; no closes the question."""
    contact = await somebody(db)
    single = {**offered(kind=kind), "affirmative": [1]}
    none = {**offered(kind=kind), "affirmative": []}

    yes = await run(db, "action_affirm", contact, "yes please", intent="affirm", open=single)
    unsure = await run(db, "action_affirm", contact, "yes please", intent="affirm", open=none)
    no = await run(db, "action_deny", contact, "no thanks", intent="deny", open=single)

    assert [Answer(option=1)] == list(yes)
    assert [Say(text="Reply 1 or 2.")] == list(unsure)
    assert [Dismiss, Say] == [type(value) for value in no]


@pytest.mark.parametrize(
    "text, intent, cancels",
    [
        ("yes", "affirm", True),
        ("yes please cancel", "affirm", True),
        ("yes, i can't come", "affirm", True),
        ("ok, we won't make it", "affirm", True),
        ("confirm", "confirm_booking", True),
        ("yes but don't cancel it", "affirm", False),
        ("yes i don\u2019t want to cancel", "affirm", False),
        ("ok keep it", "affirm", False),
        ("yes I'm coming", "confirm_booking", False),
        ("looking forward to it", "confirm_booking", False),
        ("ok i'll be there", "confirm_booking", False),
    ],
)
async def test_a_yes_that_keeps_the_booking_never_cancels_it(
    db: Database, text: str, intent: str, cancels: bool
) -> None:
    """With "Shall I cancel it?" open, what speaks of coming or keeping closes the question."""
    booking = await booked(db)
    asked = opened(await run(db, "action_cancel", booking.contact_id, "cancel", intent="cancel_booking"))
    action = "action_affirm" if intent == "affirm" else "action_confirm"

    values = await run(db, action, booking.contact_id, text, intent=intent, open=asked)

    assert cancels == ([Answer(option=1)] == list(values))
    if not cancels:
        assert [Dismiss(), Say(text="OK, nothing is changed.")] == list(values)


async def test_keeping_what_was_cancelled_by_word_gets_it_back(db: Database) -> None:
    """After CANCEL the open choice is the way back, so "yes, keep it" takes it."""
    booking = await booked(db)
    way_back = {**offered(FRIDAY_2PM, kind="booking_cancel", booking_id=booking.id), "affirmative": [1]}

    values = await run(db, "action_affirm", booking.contact_id, "yes keep it", intent="affirm", open=way_back)

    assert [Answer(option=1)] == list(values)


@pytest.mark.parametrize(
    "text",
    [
        "I don't want to cancel",
        "please do not cancel my appointment",
        "dont cancel it",
        "i never meant to cancel",
        "no need to cancel",
        "I didn\u2019t mean to cancel",
        "not cancelling",
    ],
)
async def test_what_is_not_to_be_cancelled_is_not_even_asked_about(db: Database, text: str) -> None:
    """Read as a cancellation all the same, it changes nothing and asks nothing."""
    booking = await booked(db)

    values = await run(db, "action_cancel", booking.contact_id, text, intent="cancel_booking")

    assert [Say(text="OK, nothing is cancelled.")] == list(values)


async def test_not_cancelling_but_moving_moves(db: Database) -> None:
    """A time named besides is where it should go."""
    booking = await booked(db)

    values = await run(
        db,
        "action_cancel",
        booking.contact_id,
        "don't cancel, can we do tuesday at 3 instead",
        intent="cancel_booking",
        times=clock(TUESDAY_3PM),
    )

    assert "I can move your styling session" in words(values)


@pytest.mark.parametrize(
    "text",
    ["cancel my appointment", "why don't you cancel it", "i don't feel well, cancel please", "cant come, cancel"],
)
async def test_who_wants_to_cancel_is_still_asked(db: Database, text: str) -> None:
    """A no elsewhere in the text is not taken for one to cancelling."""
    booking = await booked(db)

    assert "Shall I cancel" in words(await run(db, "action_cancel", booking.contact_id, text, intent="cancel_booking"))


@given(st.text(max_size=60), st.sampled_from(["don't", "do not", "never", "not"]), st.text(max_size=60))
def test_not_cancel_is_heard_in_any_surroundings(before: str, no: str, after: str) -> None:
    """Whatever stands before and after."""
    assert appointments._keeps(f"{before}. please {no} cancel {after}")


async def test_a_confirmation_of_one_of_two_is_told_by_its_day(db: Database) -> None:
    """I'll be there on Friday."""
    booking = await booked(db)
    async with db.begin() as session:
        theo = (await bookings.resource_ids(session))["theo"]
        await bookings.book(session, booking.contact_id, "alteration", theo, TUESDAY_3PM, NOW)

    values = await run(
        db, "action_confirm", booking.contact_id, "see you friday", intent="confirm_booking", times=day(FRIDAY_2PM)
    )

    assert booking.id == one(values, Confirm).booking_id


# -- what it costs -------------------------------------------------------------------------------------------------


async def test_every_question_of_a_booking_fits_two_parts_in_plain_letters(db: Database) -> None:
    """With everything in it at once, the opt-out line of a first reply included."""
    await fill_up(db, "theo", "rosa", from_=TUESDAY_3PM.replace(hour=9), to=TUESDAY_3PM.replace(hour=20))
    contact = await somebody(db)
    found = [
        await book(db, contact),
        await book(db, contact, entities=named(service="fitting"), times=day(TUESDAY_3PM)),
        await book(db, contact, entities=named(service="fitting", staff="lena"), times=day(TUESDAY_3PM)),
        await book(db, contact, entities=named(service="fitting"), times=day(FRIDAY_2PM)),
        await book(db, contact, entities=named(service="fitting"), times=clock(FRIDAY_2PM)),
    ]

    for values in found:
        said = [words(values), *(option.say or "" for option in one(values, Ask).options)]
        for reply in said:
            assert measure(f"{reply}\nReply STOP to opt out.").parts <= 2, reply
            assert measure(reply).encoding == "GSM-7"
