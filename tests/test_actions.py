"""Actions by themselves: a hand-built tracker in, values out; every reply fits a text."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import yaml
from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import ACTIONS, all_actions
from bot.db import Database
from bot.settings import ROOT
from bot.shop import bookings
from bot.tables import Order
from bot.text import measure
from bot.values import (
    Answer,
    Ask,
    Confirm,
    Dismiss,
    HandOver,
    Hold,
    OptOut,
    RecordRating,
    Say,
    Unclear,
    Value,
    parse_value,
)
from tests.test_bookings import FRIDAY_2PM, NOW, TUESDAY_3PM, ZONE, booked, person

HOUR = timedelta(hours=1)


async def run(
    db: Database,
    action: str,
    contact: UUID,
    text: str = "",
    *,
    intent: str = "greet",
    confidence: float = 0.9,
    ranking: Sequence[tuple[str, float]] = (),
    entities: Sequence[dict[str, Any]] = (),
    times: Sequence[tuple[datetime, datetime, str]] = (),
    doubtful: bool = False,
    slots: dict[str, Any] | None = None,
    **context: Any,
) -> Sequence[Value]:
    """The values of one action, through rasa-sdk's own tracker and dispatcher; `doubtful` where times are rivals."""
    metadata = {
        "now": NOW.isoformat(),
        "zone": ZONE.key,
        "contact_id": str(contact),
        "turn_id": str(contact),
        "times": [
            {"from": start.isoformat(), "to": end.isoformat(), "grain": grain, "doubt": doubtful and place > 0}
            for place, (start, end, grain) in enumerate(times)
        ],
        "unclear": 0,
        "out_of_scope": 0,
        "open": None,
        "gone": False,
        "chosen": None,
        "mentions": [],
        "filled": {},
        "waiting": {},
        **context,
    }
    message = {
        "text": text,
        "intent": {"name": intent, "confidence": confidence},
        "intent_ranking": [{"name": name, "confidence": value} for name, value in ranking],
        "entities": list(entities),
        "metadata": metadata,
    }
    tracker = Tracker("conversation", slots or {}, message, [], False, None, {}, "action_listen")
    dispatcher = CollectingDispatcher()
    (found,) = [item for item in all_actions(db) if item.name() == action]
    await found.run(dispatcher, tracker, {})
    return [
        parse_value(item["custom"]) if item.get("custom") else Say(text=item["text"]) for item in dispatcher.messages
    ]


def words(values: Sequence[Value]) -> str:
    """Everything said."""
    return "\n".join(value.text for value in values if isinstance(value, Say))


def one(values: Sequence[Value], kind: type[Value]) -> Any:
    """The only value of a kind."""
    (found,) = [value for value in values if isinstance(value, kind)]
    return found


async def somebody(db: Database) -> UUID:
    """A contact without bookings or orders."""
    async with db.begin() as session:
        return await person(session)


def offered(*starts: datetime, kind: str = "booking_change", booking_id: UUID | None = None) -> dict[str, Any]:
    """An open choice of these times."""
    return {
        "kind": kind,
        "booking_id": str(booking_id) if booking_id else None,
        "offered": [start.isoformat() for start in starts],
        "affirmative": list(range(1, len(starts) + 1)),
        "reminder": "Reply 1 or 2.",
        "intent": None,
        "slots": {},
    }


def test_every_action_of_the_domain_exists_and_no_other() -> None:
    """What a designer can name is what the engine can do."""
    domain = yaml.safe_load((ROOT / "domain.yml").read_text())

    assert sorted(domain["actions"]) == sorted(action.called for action in ACTIONS)


async def test_a_wished_time_is_held_and_proposed(db: Database) -> None:
    """One free time: held for ten minutes, moved on 1, kept on 2."""
    booking = await booked(db)

    values = await run(
        db,
        "action_reschedule",
        booking.contact_id,
        intent="reschedule_booking",
        times=[(TUESDAY_3PM, TUESDAY_3PM + HOUR, "hour")],
    )

    hold, ask = one(values, Hold), one(values, Ask)
    assert ([TUESDAY_3PM], NOW + timedelta(minutes=10)) == ([span.start for span in hold.spans], hold.until)
    assert [1, 0] == [len(option.changes) for option in ask.options]
    assert "Reply 1 to move it, 2 to keep it." in words(values)


async def test_a_time_that_was_just_taken_is_said_to_be(db: Database) -> None:
    """Read again because the slot went: the next one is offered and the reason given."""
    booking = await booked(db)

    values = await run(db, "action_reschedule", booking.contact_id, intent="reschedule_booking", gone=True)

    assert words(values).startswith("That time was just taken.")
    assert one(values, Hold).spans


@pytest.mark.parametrize("text, answered", [("4pm works", True), ("is 4pm ok?", False)])
async def test_an_offered_time_named_in_words_is_an_answer_unless_asked(
    db: Database, text: str, answered: bool
) -> None:
    """Saying "4pm works" chooses what was offered; a question gets an answer and changes nothing."""
    booking = await booked(db)
    four = TUESDAY_3PM + HOUR

    values = await run(
        db,
        "action_reschedule",
        booking.contact_id,
        text,
        intent="give_time",
        times=[(four, four + HOUR, "hour")],
        open=offered(TUESDAY_3PM, four, booking_id=booking.id),
    )

    assert answered == ([Answer(option=2)] == list(values))


async def test_no_thursday_offers_thursday(db: Database) -> None:
    """A no with another day goes on with that day."""
    booking = await booked(db)
    thursday = datetime(2026, 12, 3, 0, 0, tzinfo=ZONE)

    values = await run(
        db,
        "action_deny",
        booking.contact_id,
        "no, thursday",
        intent="deny",
        times=[(thursday, thursday + timedelta(days=1), "day")],
        open=offered(TUESDAY_3PM, booking_id=booking.id),
    )

    assert {3} == {span.start.astimezone(ZONE).day for span in one(values, Hold).spans}


async def test_the_order_spoken_of_last_is_told_first(db: Database) -> None:
    """A question without a number is about the one named before."""
    owner = await somebody(db)
    async with db.begin() as session:
        for number in ("7002", "7003"):
            session.add(
                Order(
                    number=number,
                    contact_id=owner,
                    status="placed",
                    placed_at=NOW + timedelta(minutes=int(number) - 7000),
                    items=[{"name": "Nova heels", "quantity": 1}],
                )
            )

    told = await run(db, "action_order_status", owner, slots={"order_number": "7002"})

    assert words(told).splitlines()[0].startswith("Order 7002")


async def test_no_alone_changes_nothing(db: Database) -> None:
    """The question is closed and what was held is free."""
    values = await run(db, "action_deny", await somebody(db), "no", intent="deny", open=offered(TUESDAY_3PM))
    kept = await run(db, "action_deny", await somebody(db), "no", intent="deny", open=offered(kind="booking_cancel"))

    assert isinstance(values[0], Dismiss)
    assert words(kept) == "OK, nothing is changed."


@pytest.mark.parametrize("action", ["action_affirm", "action_confirm"])
async def test_yes_takes_the_only_offer_and_asks_which_of_several(db: Database, action: str) -> None:
    """A yes is never guessed onto one of several times."""
    booking = await booked(db)

    only = await run(db, action, booking.contact_id, "yes", open=offered(TUESDAY_3PM))
    several = await run(db, action, booking.contact_id, "yes", open=offered(TUESDAY_3PM, TUESDAY_3PM + HOUR))

    assert [Answer(option=1)] == list(only)
    assert [Say(text="Reply 1 or 2.")] == list(several)


@pytest.mark.parametrize("action", ["action_reschedule", "action_cancel", "action_confirm"])
async def test_of_several_bookings_the_one_meant_is_asked(db: Database, action: str) -> None:
    """Which one, by number; the text is read again for the one chosen."""
    async with db.begin() as session:
        contact = await person(session)
        ids = await bookings.resource_ids(session)
        await bookings.book(session, contact, "styling", ids["rosa"], FRIDAY_2PM, NOW)
        await bookings.book(session, contact, "fitting", ids["rosa"], TUESDAY_3PM, NOW)

    asked = await run(db, action, contact, intent="reschedule_booking")
    options = one(asked, Ask).options
    chosen = await run(db, action, contact, intent="reschedule_booking", filled=options[1].slots)

    assert ["styling session, Fri Nov 27 at 2:00 PM", "shoe fitting, Tue Dec 1 at 3:00 PM"] == [
        option.label for option in options
    ]
    assert "shoe fitting" in words(chosen)
    assert "styling" not in words(chosen)


@pytest.mark.parametrize("action", ["action_reschedule", "action_cancel", "action_confirm"])
async def test_who_has_no_booking_is_told_so(db: Database, action: str) -> None:
    """And how to reach a person."""
    values = await run(db, action, await somebody(db))

    assert "no upcoming booking" in words(values)


async def test_cancelling_is_asked_before_it_is_done(db: Database) -> None:
    """No change without a yes."""
    booking = await booked(db)

    values = await run(db, "action_cancel", booking.contact_id, intent="cancel_booking")

    assert ["Cancel it", "Keep it"] == [option.label for option in one(values, Ask).options]


async def test_confirming_marks_the_booking(db: Database) -> None:
    """Nothing to ask: the contact keeps what they have."""
    booking = await booked(db)

    values = await run(db, "action_confirm", booking.contact_id, intent="confirm_booking")

    assert booking.id == one(values, Confirm).booking_id


async def test_an_order_is_told_to_its_own_number_only(db: Database) -> None:
    """State and tracking for whoever placed it; nothing at all for anybody else."""
    owner, stranger = await somebody(db), await somebody(db)
    async with db.begin() as session:
        session.add(
            Order(
                number="7001",
                contact_id=owner,
                status="shipped",
                placed_at=NOW,
                items=[{"name": "Nova heels", "quantity": 1}],
                tracking_company="UPS",
                tracking_number="1Z999",
                expected_on=NOW + timedelta(days=2),
            )
        )
    named = [{"entity": "order_number", "value": "7001"}]

    told = await run(db, "action_order_status", owner, entities=named)
    refused = await run(db, "action_order_status", stranger, entities=named)

    assert ("Order 7001 (Nova heels) is on its way with UPS, tracking 1Z999. Expected Thu Nov 26.") == words(told)
    assert "heels" not in words(refused)
    assert "I find no order 7001" in words(refused)


async def test_hours_are_told_for_the_day_named(db: Database) -> None:
    """A holiday is closed, a day named is answered for that day."""
    thanksgiving = datetime(2026, 11, 26, 0, 0, tzinfo=ZONE)

    values = await run(
        db, "action_hours", await somebody(db), times=[(thanksgiving, thanksgiving + timedelta(days=1), "day")]
    )

    assert "Thursday, Nov 26: Elm Street closed, Harbor Point closed." == words(values)


async def test_a_rating_nobody_asked_for_is_recorded_as_unasked(db: Database) -> None:
    """Kept without a survey."""
    values = await run(db, "action_rating", await somebody(db), "5 stars, love the heels", intent="give_rating")

    assert (5, None) == (one(values, RecordRating).score, one(values, RecordRating).question_id)


async def test_the_second_unclear_text_gets_a_person(db: Database) -> None:
    """First a numbered choice with a person on it, then the hand-over."""
    contact = await somebody(db)
    ranking = [("nlu_fallback", 0.4), ("cancel_booking", 0.3), ("greet", 0.2), ("ask_hours", 0.1)]

    first = await run(db, "action_unclear", contact, "hm", ranking=ranking)
    second = await run(db, "action_unclear", contact, "hm", ranking=ranking, unclear=1)

    assert "unclear" == one(first, Unclear).kind
    assert ["Cancel my booking", "Opening hours", "Talk to a person"] == [
        option.label for option in one(first, Ask).options
    ]
    assert "unclear" == one(second, HandOver).reason


async def test_twice_out_of_scope_gets_a_person(db: Database) -> None:
    """What the shop does by text, then the hand-over."""
    contact = await somebody(db)

    first = await run(db, "action_out_of_scope", contact)
    second = await run(db, "action_out_of_scope", contact, out_of_scope=1)
    mixed = await run(db, "action_out_of_scope", contact, unclear=1)

    assert one(mixed, HandOver).reason == "out_of_scope"
    assert "out_of_scope" == one(first, Unclear).kind
    assert "out_of_scope" == one(second, HandOver).reason


@pytest.mark.parametrize("confidence, sure", [(0.95, True), (0.5, False)])
async def test_an_opt_out_in_free_words_says_how_sure_it_is(db: Database, confidence: float, sure: bool) -> None:
    """Unsure is an opt-out as well, told in other words."""
    values = await run(db, "action_opt_out", await somebody(db), intent="opt_out", confidence=confidence)

    assert [OptOut(sure=sure)] == list(values)


@pytest.mark.parametrize("action", [action.called for action in ACTIONS])
async def test_no_reply_costs_more_than_two_parts_or_asks_for_a_carrier_word(db: Database, action: str) -> None:
    """Plain GSM-7, two parts at most, and no YES, CANCEL, END or QUIT to reply with."""
    booking = await booked(db)
    async with db.begin() as session:
        ids = await bookings.resource_ids(session)
        several = await person(session)
        await bookings.book(session, several, "alteration", ids["theo"], FRIDAY_2PM, NOW)
        await bookings.book(session, several, "styling", ids["lena"], TUESDAY_3PM, NOW)
    day = (TUESDAY_3PM.replace(hour=0), TUESDAY_3PM.replace(hour=0) + timedelta(days=1), "day")

    for contact, opened, times, gone in itertools.product(
        (booking.contact_id, several, await somebody(db)),
        (None, offered(TUESDAY_3PM, TUESDAY_3PM + HOUR)),
        ((), (day,)),
        (False, True),
    ):
        values = await run(db, action, contact, "5", intent="give_time", open=opened, times=times, gone=gone)
        reply = words(values)

        assert measure(reply).encoding == "GSM-7"
        assert measure(reply).parts <= 2, reply
        asked = [word for word in ("YES", "CANCEL", "END", "QUIT", "STOP", "UNSUBSCRIBE") if word in reply.split()]
        assert [] == asked
