"""Two contacts, one slot: whoever comes first has it, the other is offered the next; through the whole engine."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.engine import Engine
from tests.test_conversations import ZONE

pytestmark = pytest.mark.xdist_group("engine")


def starts(engine: Engine, *contacts: object) -> list[datetime]:
    """Where these contacts' bookings stand."""
    rows = [engine.rows("SELECT starts_at FROM bookings WHERE contact_id = %s", contact) for contact in contacts]
    return [row["starts_at"].astimezone(ZONE) for (row,) in rows]


def held(turn: dict[str, Any]) -> list[str]:
    """The slots a turn holds for the contact."""
    return [slot for effect in turn["effects"] if effect["kind"] == "booking.held" for slot in effect["after"]["slots"]]


@pytest.mark.parametrize("hour", [12, 14, 16])
def test_of_two_who_ask_at_the_same_moment_one_gets_it_and_the_other_the_next(engine: Engine, hour: int) -> None:
    """One is asked to confirm the time, the other is offered other times; both end with a slot of their own."""
    engine.clear_calendar()
    people = [engine.new_contact(), engine.new_contact()]
    for number, (contact, _) in enumerate(people):
        engine.book(contact, "alteration", "theo", datetime(2026, 12, 15 + number, hour, 0, tzinfo=ZONE))
    wish = f"can you move my appointment to thursday dec 17 at {hour - 12 or 12}pm"

    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(lambda person: engine.send(person[1], wish), people))
    asked = [engine.turn(carrier_id) for carrier_id in sent]
    wanted = datetime(2026, 12, 17, hour, 0, tzinfo=ZONE)
    slots = [[datetime.fromisoformat(slot) for slot in held(turn)] for turn in asked]

    assert sum(wanted in offered for offered in slots) == 1, asked
    assert not set(slots[0]) & set(slots[1])
    for (_, phone), _ in zip(people, asked, strict=True):
        assert [effect["kind"] for effect in engine.text(phone, "1")["effects"]] == ["booking.rescheduled"]
    stand = starts(engine, *(contact for contact, _ in people))
    assert wanted in stand
    assert abs(stand[0] - stand[1]) >= timedelta(minutes=45)


def test_a_late_answer_to_an_offer_that_went_is_offered_the_next(engine: Engine) -> None:
    """Ten minutes are over, somebody else took the time: nothing is double booked and the contact hears why."""
    engine.clear_calendar()
    (ann, ann_phone), (bob, bob_phone) = engine.new_contact("Ann"), engine.new_contact("Bob")
    engine.book(ann, "alteration", "theo", datetime(2026, 12, 18, 12, 0, tzinfo=ZONE))
    engine.book(bob, "alteration", "theo", datetime(2026, 12, 18, 16, 0, tzinfo=ZONE))
    wish = "please move my appointment to saturday dec 19 at 11am"
    engine.text(ann_phone, wish)
    engine.run_sql("UPDATE holds SET expires_at = expires_at - interval '1 hour' WHERE contact_id = %s", ann)
    engine.text(bob_phone, wish)
    engine.text(bob_phone, "1")

    late = engine.text(ann_phone, "1")

    assert late["replies"][0].startswith("That time was just taken.")
    assert {datetime.fromisoformat(slot).astimezone(ZONE).date().day for slot in held(late)} == {19}
    assert starts(engine, ann, bob) == [
        datetime(2026, 12, 18, 12, 0, tzinfo=ZONE),
        datetime(2026, 12, 19, 11, 0, tzinfo=ZONE),
    ]
