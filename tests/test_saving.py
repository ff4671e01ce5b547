"""A session of the simulator kept as a conversation test: its beginning, its steps, its notes, and that it plays."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot import accounts, clock, consent, effects, outbox, tickets
from bot.db import Database
from bot.errors import BotError
from bot.shop import bookings
from bot.tables import Contact, Conversation, Message, Order, SenderNumber, Turn, User
from bot.values import Changed, Reschedule, Span
from bot.web.simulator import saving
from tests import engine as engines
from tests.engine import Engine
from tests.test_conversations import ZONE, Exchange

PHONE = "+12025550123"
#: What tests/test_conversations.py reads of a conversation, a step and what is given.
TEST_KEYS = {"name", "given", "steps", "then"}
TEXT_KEYS = {"text", "picture", "decision", "intent", "consent", "says", "effects", "entities"}
STEP_KEYS = ({"shop", "says"}, {"agent"}, {"close"}, {"take_over"}, TEXT_KEYS)
GIVEN_KEYS = {"name", "consent", "bookings", "orders"}
THEN_KEYS = {"bookings", "ratings", "tickets", "texts_out"}


def checked(content: str) -> dict[str, Any]:
    """The one test in a file's text, held to the format."""
    (test,) = yaml.safe_load(content)
    assert {"name", "given", "steps"} <= set(test) <= TEST_KEYS
    assert set(test["given"]) <= GIVEN_KEYS
    assert set(test["then"]) <= THEN_KEYS
    for booking in test["given"].get("bookings", []):
        assert {"service", "staff", "start"} == set(booking)
        assert datetime.fromisoformat(booking["start"]).tzinfo is None
    for order in test["given"].get("orders", []):
        assert {"number", "status", "item"} <= set(order)
    for step in test["steps"]:
        assert any(set(step) <= keys for keys in STEP_KEYS), step
    return dict(test)


class Phone:
    """A contact with a styling session, whose session with the shop a test writes down."""

    def __init__(self, session: AsyncSession, began: datetime) -> None:
        self.session, self.now = session, began
        self.contact: Contact
        self.conversation: Conversation
        self.booking: bookings.BookingView

    async def begin(self, start: datetime) -> "Phone":
        """Somebody who may be texted and has a booking at `start`."""
        self.contact = Contact(phone=PHONE, phone_hash="hash", name="Ann", created_at=self.now - timedelta(days=2))
        self.session.add(self.contact)
        await self.session.flush()
        await consent.record_opt_in(
            self.session,
            self.contact,
            ["transactional"],
            how="import",
            wording="",
            wording_version="1",
            by_whom="test",
            now=self.now - timedelta(days=1),
        )
        number = await self.session.scalar(select(SenderNumber.id))
        self.conversation = Conversation(contact_id=self.contact.id, sender_number_id=number)
        self.session.add(self.conversation)
        await self.session.flush()
        rosa = (await bookings.resource_ids(self.session))["rosa"]
        self.booking = await bookings.book(self.session, self.contact.id, "styling", rosa, start, self.now)
        return self

    async def hears(
        self, body: str, says: str, *changed: Changed, decision: str = "bot", intent: str = "ask_hours"
    ) -> None:
        """A text with its turn, and the reply as the carrier took it."""
        self.now += timedelta(minutes=1)
        message = Message(
            conversation_id=self.conversation.id,
            direction="inbound",
            author="contact",
            body=body,
            status="received",
            created_at=self.now,
        )
        self.session.add(message)
        await self.session.flush()
        message.turn_id = message.id
        turn = Turn(
            id=message.id,
            conversation_id=self.conversation.id,
            decision=decision,
            why="",
            intent=intent,
            consent="in",
            ended_at=self.now,
        )
        self.session.add(turn)
        await self.session.flush()
        await effects.record(
            self.session, changed, conversation_id=self.conversation.id, turn_id=turn.id, actor="contact", now=self.now
        )
        if says:
            reply = await outbox.queue(
                self.session,
                self.conversation,
                says,
                author="bot",
                now=self.now,
                turn_id=turn.id,
                position=0,
                stop_line=False,
            )
            reply.carrier_id = f"SM{reply.id}"

    async def last_seq(self) -> int:
        """The number of the newest message."""
        found = await self.session.scalar(select(Message.seq).order_by(Message.seq.desc()).limit(1))
        return found or 0

    async def moved(self, start: datetime) -> Changed:
        """The booking is moved, and what that changed."""
        span = Span(resource_id=self.booking.resource_id, start=start, end=start + timedelta(hours=1))
        change = Reschedule(booking_id=self.booking.id, expected_start=self.booking.starts_at, to=span)
        return await bookings.apply(self.session, self.contact.id, change, self.now)

    async def saved(self, since: int = 0) -> saving.Saved:
        """The session as the page would keep it."""
        await self.session.flush()
        return await saving.session_of(self.session, PHONE, since, ZONE)


TUESDAY = engines.START + timedelta(minutes=5)


async def test_it_begins_with_what_the_contact_had_then(db: Database) -> None:
    """The booking stands where it stood before it was moved, the order where it was to go before it was changed."""
    start = datetime(2026, 11, 27, 14, 0, tzinfo=ZONE)
    async with db.begin() as session:
        phone = await Phone(session, TUESDAY).begin(start)
        session.add(
            Order(
                number="1043",
                contact_id=phone.contact.id,
                status="cancelled",
                placed_at=TUESDAY,
                items=[{"name": "Nova heels", "quantity": 1, "product": "nova-heels", "size": "7", "color": "red"}],
                address="9 New St",
            )
        )
        await phone.hears("2", "Done: moved.", await phone.moved(start + timedelta(days=4)))
        await phone.hears(
            "new address",
            "Done.",
            Changed(
                kind="order.address_changed", ref="1043", before={"address": "5 Old St"}, after={"address": "9 New St"}
            ),
        )
        cancelled = Changed(
            kind="order.cancelled", ref="1043", before={"status": "placed"}, after={"status": "cancelled"}
        )
        await phone.hears("cancel it", "Cancelled.", cancelled)
        saved = await phone.saved()

    test = checked(saved.yaml)

    assert [{"service": "styling", "staff": "rosa", "start": "2026-11-27T14:00"}] == test["given"]["bookings"]
    (order,) = test["given"]["orders"]
    assert ("1043", "placed", "5 Old St", "Nova heels") == tuple(
        order[name] for name in ("number", "status", "address", "item")
    )
    assert ["2026-12-01 14:00 booked"] == test["then"]["bookings"]
    assert ([], 3, "2") == (list(saved.notes), saved.texts, saved.suggested)
    assert {
        "text": "2",
        "decision": "bot",
        "intent": "ask_hours",
        "says": "Done: moved.",
        "effects": ["booking.rescheduled"],
    } == test["steps"][0]


async def test_another_day_is_moved_by_weeks_and_leaves_times_open(db: Database) -> None:
    """The weekday and the hour stay, so that "my fri appt" still means it; what the replies said of time may differ."""
    thursday = datetime(2027, 4, 8, 16, 20, tzinfo=ZONE)
    async with db.begin() as session:
        phone = await Phone(session, thursday).begin(datetime(2027, 4, 9, 14, 0, tzinfo=ZONE))
        await phone.hears(
            "move my fri appt",
            "For your styling session, Fri Apr 9 at 2:00 PM, these times are free:\n1 Tue Apr 13 at 3:00 PM\nReply 1.",
        )
        await phone.hears("hours?", "Saturday, Apr 10: Elm Street 10:00 AM-4:00 PM, Harbor Point closed.")
        saved = await phone.saved()

    test = checked(saved.yaml)

    assert "2026-11-27T14:00" == test["given"]["bookings"][0]["start"]
    assert "For your styling session, …, these times are free:\n1 …\nReply 1." == test["steps"][0]["says"]
    assert "…: Elm Street …, Harbor Point closed." == test["steps"][1]["says"]
    assert "bookings" not in test["then"]
    assert ["Played on another day than it was saved on: days and times in replies are left open."] == list(saved.notes)
    assert "Its clock said Thu Apr 8, 2027, 4:21 PM." in saved.yaml


async def test_a_session_in_the_middle_of_a_conversation_stands_alone(db: Database) -> None:
    """What came before is left out, the first reply tells how to opt out as it will, and what is missing is noted."""
    async with db.begin() as session:
        agent = await accounts.create(session, "max@example.com", "Max Agent", "agent", "long enough")
        phone = await Phone(session, TUESDAY).begin(datetime(2026, 11, 27, 14, 0, tzinfo=ZONE))
        await phone.hears("hi", "Hello.", intent="greet")
        before = await phone.last_seq()
        phone.contact.profile = {"style": "HEELS"}
        await phone.hears("hours?", "Ten to six.")
        await phone.hears("thanks", "", decision="silent", intent="thank")
        phone.now += timedelta(minutes=1)
        ticket = await tickets.take_over(session, phone.conversation.id, agent.id, phone.now)
        phone.now += timedelta(minutes=1)
        await outbox.queue(
            session, phone.conversation, "Max here.", author="agent", now=phone.now, sent_by=agent.id, stop_line=False
        )
        await tickets.close(session, ticket.id, phone.now + timedelta(minutes=1))
        saved = await phone.saved(before)

    test = checked(saved.yaml)

    assert [
        {"text": "hours?", "decision": "bot", "intent": "ask_hours", "says": "Ten to six. Reply STOP to opt out."},
        {"text": "thanks", "decision": "silent", "intent": "thank"},
        {"take_over": True},
        {"agent": "Max here."},
        {"close": True},
    ] == test["steps"]
    assert ["agent_took_over closed"] == test["then"]["tickets"]
    assert ["The contact's profile holds something; the test begins with an empty one."] == list(saved.notes)


async def test_links_and_codes_are_left_open(db: Database) -> None:
    """They are others each time."""
    async with db.begin() as session:
        phone = await Phone(session, TUESDAY).begin(datetime(2026, 11, 27, 14, 0, tzinfo=ZONE))
        issued = Changed(kind="code.issued", ref="taste", after={"code": "JL25-4T7K"})
        await phone.hears("heels", "Your code: JL25-4T7K. Visit http://127.0.0.1:8080/b/abc-DEF_9 for more.", issued)
        test = checked((await phone.saved()).yaml)

    assert "Your code: …. Visit … for more." == test["steps"][0]["says"]


async def test_nothing_texted_is_nothing_to_save(db: Database) -> None:
    """Said in words, for a number nobody has as well."""
    async with db.begin() as session:
        with pytest.raises(BotError, match="Nothing was texted in this session yet"):
            await saving.session_of(session, PHONE, 0, ZONE)


# -- files ---------------------------------------------------------------------------------------------------------


def test_the_tests_clock_is_the_one_tests_run_by() -> None:
    """Sessions are moved to the day every test's engine begins on."""
    assert engines.START.replace(tzinfo=None) == saving.TEST_CLOCK


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    """The second one of a name is refused in words, and the first stays."""
    path = saving.keep("Moves-a-booking", "- first", tmp_path)

    with pytest.raises(BotError, match=r"is there already\. Choose another name"):
        saving.keep("moves-a-booking", "- second", tmp_path)
    assert ("saved-moves-a-booking.yml", "- first") == (path.name, path.read_text())


def test_a_folder_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    """An installation without tests has no such folder."""
    with pytest.raises(BotError, match="Copy the text below instead"):
        saving.keep("a", "- first", tmp_path / "missing")


@given(st.text(max_size=60))
def test_no_name_leaves_the_folder(name: str) -> None:
    """Whatever is typed is refused or a plain file name."""
    try:
        found = saving.file_name(name)
    except BotError:
        return
    assert found.startswith("saved-")
    assert found.endswith(".yml")
    assert set(found.removesuffix(".yml")) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "-a", "a-", "a--b", "é", "a" * 51])
def test_names_that_are_none_are_refused(name: str) -> None:
    """Letters, digits and single dashes between them."""
    with pytest.raises(BotError, match="letters, digits and dashes"):
        saving.file_name(name)


# -- it plays ------------------------------------------------------------------------------------------------------


@pytest.mark.xdist_group("engine")
def test_a_saved_session_plays_as_it_went(engine: Engine) -> None:
    """A booking text, CHANGE, a choice, an agent who takes over: saved, loaded and played against the same engine."""
    engine.clear_calendar()
    contact_id, phone = engine.new_contact("Ann Becker")
    engine.book(contact_id, "styling", "rosa", datetime(2026, 11, 27, 14, 0, tzinfo=ZONE))
    engine.shop_text(phone, "booking_confirmation")
    engine.text(phone, "CHANGE")
    engine.text(phone, "2")
    engine.run(partial(take_over, contact_id))
    engine.text(phone, "is anybody there?")

    saved = engine.run(lambda session: saving.session_of(session, phone, 0, ZONE))
    test = checked(saved.yaml)
    Exchange(engine, test).run()

    assert [next(iter(step)) for step in test["steps"]] == ["shop", "text", "text", "take_over", "text"]
    assert ([], "change") == (list(saved.notes), saved.suggested)
    assert test["then"]["tickets"] == ["agent_took_over open"]


async def take_over(contact_id: UUID, session: AsyncSession) -> None:
    """An agent presses the button."""
    agent = await session.scalar(select(User.id).limit(1))
    conversation = await session.scalar(select(Conversation.id).where(Conversation.contact_id == contact_id))
    assert agent is not None
    assert conversation is not None
    await tickets.take_over(session, conversation, agent, clock.now())
