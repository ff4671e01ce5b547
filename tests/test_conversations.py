"""Every exchange under tests/conversations/ goes through the whole engine, its effects read back from the database."""

import os
import re
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
import yaml
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, tickets
from bot.tables import Conversation, Order, Ticket, User
from bot.values import TicketReason
from tests.engine import Engine, stopped

pytestmark = pytest.mark.xdist_group("engine")

#: A model is evaluated on the shop's own, wherever they are.
FOLDER = Path(os.environ.get("PARLEY_TEST_CONVERSATIONS", Path(__file__).parent / "conversations"))
ZONE = ZoneInfo("America/New_York")

#: The names of SPEC's fixed interfaces.
_INTENTS = """
    confirm_booking reschedule_booking cancel_booking book_appointment order_status change_address cancel_order
    exchange_item return_item ask_product ask_hours ask_location ask_shipping ask_returns ask_payment ask_privacy
    ask_shop give_rating complain serious_matter praise ask_discount join_contest leave_contest state_preference
    ask_human greet thank bye affirm deny opt_out opt_in out_of_scope
"""
_EFFECTS = """
    booking.created booking.confirmed booking.rescheduled booking.cancelled booking.held order.address_changed
    order.cancelled order.exchange_requested order.return_requested rating.recorded contest.entered contest.left
    preference.set profile.set code.issued waitlist.joined consent.opted_in consent.opted_out ticket.opened
    ticket.appended
"""
INTENTS, EFFECTS = set(_INTENTS.split()), set(_EFFECTS.split())
REASONS = set(get_args(TicketReason))


def conversations() -> list[Any]:
    """Each conversation of each file, named for the report."""
    found = []
    for path in sorted(FOLDER.glob("*.yml")):
        for conversation in yaml.safe_load(path.read_text()):
            found.append(pytest.param(conversation, id=f"{path.stem}: {conversation['name']}"))
    return found


@pytest.mark.parametrize("conversation", conversations())
def test_a_conversation_goes_as_written(conversation: dict[str, Any], engine: Engine) -> None:
    """Texts, replies, decisions and effects are those the file names, and so is what the database holds afterwards."""
    Exchange(engine, conversation).run()


def test_every_intent_effect_and_ticket_reason_occurs() -> None:
    """Whatever the fixed interfaces name happens in at least one conversation, and is looked at there."""
    scripts = [param.values[0] for param in conversations()]
    steps = [step for script in scripts for step in script["steps"]]
    intents = {step.get("intent") for step in steps}
    kinds = {kind for step in steps for kind in step.get("effects", [])}
    reasons = {each.split()[0] for script in scripts for each in script.get("then", {}).get("tickets", [])}

    assert set() == INTENTS - intents
    assert set() == EFFECTS - kinds
    assert set() == REASONS - reasons
    assert len(scripts) >= 50


class Exchange:
    """One conversation, played step by step."""

    def __init__(self, engine: Engine, script: dict[str, Any]) -> None:
        self._engine = engine
        self._script = script
        engine.clear_calendar()
        engine.run_sql("DELETE FROM order_requests")  # what the ones before were promised
        given = script.get("given", {})
        self._contact, self._phone = engine.new_contact(given.get("name"), given.get("consent", True))
        self._bookings: list[UUID] = []
        self._rasa_is_down = False
        for booking in given.get("bookings", []):
            start = datetime.fromisoformat(booking["start"]).replace(tzinfo=ZONE)
            self._bookings.append(engine.book(self._contact, booking["service"], booking["staff"], start))
        for order in given.get("orders", []):
            engine.run(partial(self._order, order))

    async def _order(self, order: dict[str, Any], session: AsyncSession) -> None:
        # A number is in use once; the conversation played last has it.
        await session.execute(delete(Order).where(Order.number == str(order["number"])))
        session.add(
            Order(
                number=str(order["number"]),
                contact_id=self._contact,
                status=order["status"],
                placed_at=clock.now(),
                items=[{"name": order["item"], "quantity": 1}],
                tracking_company=order.get("company"),
                tracking_number=order.get("tracking"),
            )
        )

    def run(self) -> None:
        """Play every step, then look at the database."""
        for number, step in enumerate(self._script["steps"], start=1):
            self._step(f"step {number} ({next(iter(step.items()))})", step)
        self._then(self._script.get("then", {}))

    def _step(self, where: str, step: dict[str, Any]) -> None:
        if "shop" in step:
            said = self._engine.shop_text(self._phone, step["shop"])
            assert_like(step.get("says", "…"), said, where)
        elif "agent" in step:
            self._agent(step["agent"], where)
        elif step.get("close"):
            self._engine.run(self._close)
        elif step.get("take_over"):
            self._engine.run(self._take_over)
        elif "rasa" in step:
            self._rasa(step["rasa"])
        else:
            self._text(where, step)

    def _text(self, where: str, step: dict[str, Any]) -> None:
        fields = (
            {"NumMedia": "1", "MediaUrl0": step["picture"], "MediaContentType0": "image/jpeg"}
            if "picture" in step
            else {}
        )
        if isinstance(step["text"], list):
            turn = self._burst(step["text"])
        else:
            sent = self._engine.send(self._phone, str(step["text"]), **fields)
            if self._rasa_is_down:
                # Longer ago than a text waits for Rasa.
                self._engine.run_sql(
                    "UPDATE conversations SET pending_since = pending_since - interval '1 hour' WHERE id ="
                    " (SELECT conversation_id FROM messages WHERE carrier_id = %s)",
                    sent,
                )
            turn = self._engine.turn(sent)
        for key in ("decision", "intent", "consent"):
            if key in step:
                assert (key, step[key]) == (key, turn[key]), f"{where}: {turn}"
        says = step.get("says")
        expected = [] if says is None else says if isinstance(says, list) else [says]
        assert len(expected) == len(turn["replies"]), f"{where}: {turn}"
        for want, got in zip(expected, turn["replies"], strict=True):
            assert_like(want, got, where)
        effects = [effect["kind"] for effect in turn["effects"]]
        assert step.get("effects", []) == effects, f"{where}: {turn}"
        if "entities" in step:
            assert step["entities"] == [[item["entity"], item["value"]] for item in turn["entities"]], where

    def _burst(self, texts: list[str]) -> dict[str, Any]:
        """Several texts before anybody reads the first."""
        with stopped(self._engine, "worker"):
            sent = [self._engine.send(self._phone, text) for text in texts]
        return self._engine.turn(sent[-1])

    def _rasa(self, state: str) -> None:
        """Take Rasa down, or bring it back."""
        self._rasa_is_down = state == "down"
        if self._rasa_is_down:
            self._engine.kill("rasa")
        else:
            self._engine.start_child("rasa")
            self._engine.wait_ready()

    async def _take_over(self, session: AsyncSession) -> None:
        conversation = await session.scalar(select(Conversation).where(Conversation.contact_id == self._contact))
        agent = await session.scalar(select(User.id).limit(1))
        assert conversation is not None
        assert agent is not None
        await tickets.take_over(session, conversation.id, agent, clock.now())

    def _agent(self, words: str, where: str) -> None:
        key = uuid4()

        async def reply(session: AsyncSession) -> None:
            ticket = await self._open_ticket(session)
            agent = await session.scalar(select(User.id).limit(1))
            assert agent is not None
            await tickets.reply(session, ticket.id, agent, words, clock.now(), key)

        self._engine.run(reply)
        self._engine.eventually(
            lambda: [r for r in self._received() if r == words], 20, f"{where}: the reply did not reach the phone"
        )

    async def _close(self, session: AsyncSession) -> None:
        await tickets.close(session, (await self._open_ticket(session)).id, clock.now())

    async def _open_ticket(self, session: AsyncSession) -> Ticket:
        rows = self._engine.rows(
            "SELECT t.id FROM tickets t JOIN conversations c ON c.id = t.conversation_id"
            " WHERE c.contact_id = %s AND t.status = 'open'",
            self._contact,
        )
        assert len(rows) == 1, f"open tickets: {rows}"
        return await session.get_one(Ticket, rows[0]["id"])

    def _received(self) -> list[str]:
        rows = self._engine.rows(
            "SELECT body FROM simulator_messages WHERE recipient = %s ORDER BY accepted_at", self._phone
        )
        return [row["body"] for row in rows]

    def _then(self, then: dict[str, Any]) -> None:
        if "bookings" in then:
            rows = self._engine.rows(
                "SELECT b.starts_at, b.status FROM bookings b WHERE contact_id = %s ORDER BY number", self._contact
            )
            found = [f"{row['starts_at'].astimezone(ZONE):%Y-%m-%d %H:%M} {row['status']}" for row in rows]
            assert then["bookings"] == found
        if "ratings" in then:
            rows = self._engine.rows(
                "SELECT score, comment, question_id IS NOT NULL AS asked FROM ratings WHERE contact_id = %s"
                " ORDER BY created_at",
                self._contact,
            )
            assert then["ratings"] == rows
        if "tickets" in then:
            rows = self._engine.rows(
                "SELECT t.reason, t.status FROM tickets t JOIN conversations c ON c.id = t.conversation_id"
                " WHERE c.contact_id = %s ORDER BY t.number",
                self._contact,
            )
            assert then["tickets"] == [f"{row['reason']} {row['status']}" for row in rows]
        if "texts_out" in then:
            assert then["texts_out"] == len(self._received())


def assert_like(wanted: str, got: str, where: str) -> None:
    """The same text, where … stands for anything."""
    pattern = ".*".join(re.escape(part) for part in wanted.strip().split("…"))
    assert re.fullmatch(pattern, got, re.DOTALL), f"{where}\nwanted: {wanted}\n   got: {got}"
