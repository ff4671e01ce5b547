"""kill -9 at every named point: no text lost, no booking moved twice, no reply twice."""

from datetime import datetime
from uuid import UUID

import pytest

from bot import crash
from tests.engine import Engine
from tests.test_conversations import ZONE

pytestmark = pytest.mark.xdist_group("engine")


class Scene:
    """Ann has a booking and an offer to move it; her next text moves it."""

    def __init__(self, engine: Engine, start: datetime) -> None:
        self._engine = engine
        engine.clear_calendar()
        self.contact, self.phone = engine.new_contact("Ann")
        self.booking: UUID = engine.book(self.contact, "styling", "rosa", start)
        offer = engine.text(self.phone, "can you move my appointment to thursday dec 10 at 2pm")
        assert ["booking.held"] == [effect["kind"] for effect in offer["effects"]], offer

    def moved_once_and_told_once(self, carrier_id: str) -> None:
        """The text was read, the booking moved one time, one reply reached the phone."""
        turn = self._engine.turn(carrier_id, wait=60)

        assert ["booking.rescheduled"] == [effect["kind"] for effect in turn["effects"]], turn
        moves = self._engine.rows(
            "SELECT e.id FROM effects e JOIN conversations c ON c.id = e.conversation_id"
            " WHERE c.contact_id = %s AND e.kind = 'booking.rescheduled'",
            self.contact,
        )
        told = self._engine.rows(
            "SELECT s.body FROM simulator_messages s JOIN messages m ON m.id = s.message_id WHERE m.turn_id = %s",
            turn["message_id"],
        )
        assert (1, 1) == (len(moves), len(told))
        (row,) = self._engine.rows("SELECT starts_at FROM bookings WHERE id = %s", self.booking)
        assert datetime(2026, 12, 10, 14, 0, tzinfo=ZONE) == row["starts_at"]


def test_every_crash_point_is_tried() -> None:
    """A point nobody kills at is a point nobody trusts."""
    assert set(crash.POINTS) == {*WORKER_POINTS, *SENDER_POINTS}


WORKER_POINTS = {
    "worker.before_lease": datetime(2026, 12, 2, 10, 0, tzinfo=ZONE),
    "worker.after_rasa": datetime(2026, 12, 2, 12, 0, tzinfo=ZONE),
    "worker.after_commit": datetime(2026, 12, 2, 14, 0, tzinfo=ZONE),
}
SENDER_POINTS = {
    "sender.before_call": datetime(2026, 12, 3, 10, 0, tzinfo=ZONE),
    "sender.after_call": datetime(2026, 12, 3, 12, 0, tzinfo=ZONE),
}


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_a_worker_killed_at_any_point_loses_and_doubles_nothing(engine: Engine, point: str) -> None:
    """The lease runs out, another worker reads the text again, the result is that of one reading."""
    scene = Scene(engine, WORKER_POINTS[point])
    engine.restart("worker", PARLEY_CRASH_AT=point)

    carrier_id = engine.send(scene.phone, "1")
    engine.wait_dead("worker")
    engine.start_child("worker")

    scene.moved_once_and_told_once(carrier_id)
    engine.text(scene.phone, "please move it to friday dec 18 at 4pm")  # frees the slot for the next
    assert engine.text(scene.phone, "1")["decision"] == "answer"


@pytest.mark.parametrize("point", SENDER_POINTS)
def test_a_sender_killed_at_any_point_sends_once(engine: Engine, point: str) -> None:
    """Whether the carrier has the text is asked of the carrier, not guessed."""
    scene = Scene(engine, SENDER_POINTS[point])
    engine.restart("sender", PARLEY_CRASH_AT=point)

    carrier_id = engine.send(scene.phone, "1")
    engine.wait_dead("sender")
    engine.start_child("sender")

    scene.moved_once_and_told_once(carrier_id)
    engine.text(scene.phone, "please move it to friday dec 18 at 4pm")
    assert engine.text(scene.phone, "1")["decision"] == "answer"


def test_a_text_waits_for_a_rasa_that_was_killed(engine: Engine) -> None:
    """While Rasa is down a text waits; once it is back the text is read, once."""
    contact, phone = engine.new_contact("Bob")
    engine.book(contact, "styling", "rosa", datetime(2026, 12, 4, 10, 0, tzinfo=ZONE))
    engine.kill("rasa")

    carrier_id = engine.send(phone, "what are your hours")
    early = engine.turn(carrier_id, wait=2)
    engine.start_child("rasa")
    turn = engine.turn(carrier_id, wait=60)

    assert early["decision"] is None
    assert ("bot", "ask_hours", 1) == (turn["decision"], turn["intent"], len(turn["replies"]))


def test_a_rasa_killed_while_it_reads_costs_nothing(engine: Engine) -> None:
    """Texts under way when Rasa dies are read again by the next one."""
    people = [engine.new_contact()[1] for _ in range(6)]
    sent = [engine.send(phone, "what are your hours") for phone in people]
    engine.restart("rasa")
    turns = [engine.turn(carrier_id, wait=60) for carrier_id in sent]

    assert [1] * 6 == [len(turn["replies"]) for turn in turns]
    assert [1] * 6 == [
        len(engine.rows("SELECT 1 FROM simulator_messages WHERE recipient = %s", phone)) for phone in people
    ]
