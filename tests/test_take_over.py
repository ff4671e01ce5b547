"""An agent takes a conversation from the bot in the middle of things: there is one voice, whatever was under way."""

import os
import signal
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, tickets
from bot.tables import Conversation, User
from tests.engine import Engine

pytestmark = pytest.mark.xdist_group("engine")


def take_over(engine: Engine, contact_id: UUID) -> UUID:
    """What the console's button does; the id of the ticket."""

    async def press(session: AsyncSession) -> UUID:
        conversation = await session.scalar(select(Conversation.id).where(Conversation.contact_id == contact_id))
        agent = await session.scalar(select(User.id).limit(1))
        assert conversation is not None
        assert agent is not None
        return (await tickets.take_over(session, conversation, agent, clock.now())).id

    return engine.run(press)


def close(engine: Engine, ticket_id: UUID) -> None:
    """What the console's other button does."""

    async def press(session: AsyncSession) -> None:
        await tickets.close(session, ticket_id, clock.now())

    engine.run(press)


def test_a_text_being_read_when_an_agent_takes_over_is_not_answered_by_the_bot(engine: Engine) -> None:
    """Rasa has the text while the button is pressed: the turn ends silent, on the agent's ticket."""
    contact_id, phone = engine.new_contact("Ann")
    engine.text(phone, "hello")
    rasa = engine.child("rasa")
    os.killpg(rasa, signal.SIGSTOP)
    try:
        carrier_id = engine.send(phone, "what are your hours")
        engine.eventually(
            lambda: engine.rows(
                "SELECT 1 FROM conversations WHERE contact_id = %s AND claimed_until > now()", contact_id
            ),
            10,
            "no worker took the text",
        )
        ticket_id = take_over(engine, contact_id)
    finally:
        os.killpg(rasa, signal.SIGCONT)
    turn = engine.turn(carrier_id)

    assert ("silent", [], str(ticket_id)) == (turn["decision"], turn["replies"], turn["ticket"])
    assert ["ticket.appended"] == [effect["kind"] for effect in turn["effects"]]


def test_the_bot_answers_again_once_the_ticket_is_closed(engine: Engine) -> None:
    """Silence while the agent has it, and a fresh start afterwards: an old choice of the bot's is not taken up."""
    engine.clear_calendar()
    contact_id, phone = engine.new_contact("Bob")
    start = clock.now().replace(hour=16, minute=0, second=0, microsecond=0)
    booking = engine.book(contact_id, "styling", "rosa", start.replace(month=12, day=4))
    engine.text(phone, "can i move my appointment")
    ticket_id = take_over(engine, contact_id)
    silent = engine.text(phone, "1")
    close(engine, ticket_id)
    after = engine.text(phone, "what are your hours")
    engine.text(phone, "1")

    assert ("silent", []) == (silent["decision"], silent["replies"])
    assert ("bot", 1) == (after["decision"], len(after["replies"]))
    assert [{"starts_at": start.replace(month=12, day=4)}] == engine.rows(
        "SELECT starts_at FROM bookings WHERE id = %s", booking
    )
    assert [] == engine.rows("SELECT 1 FROM holds WHERE contact_id = %s", contact_id)
