"""Opens, feeds and closes a conversation that a person answers; while one is open the bot does not speak."""

from datetime import datetime
from typing import Any, get_args
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot import effects, live, outbox
from bot.errors import BotError
from bot.shop import bookings
from bot.tables import Contact, Conversation, Message, OpenQuestion, Shop, Ticket, Turn
from bot.values import AskKind, Changed

#: Reasons that go to the top of the inbox.
URGENT = frozenset({"serious_matter", "bad_rating"})


async def open_for(session: AsyncSession, conversation_id: UUID) -> Ticket | None:
    """The conversation's open ticket; there is at most one."""
    ticket: Ticket | None = await session.scalar(
        select(Ticket).where(Ticket.conversation_id == conversation_id, Ticket.status == "open")
    )
    return ticket


async def open(  # the word of the product; callers write tickets.open
    session: AsyncSession,
    conversation: Conversation,
    reason: str,
    note: str,
    understood: dict[str, Any],
    now: datetime,
) -> tuple[Ticket, Changed]:
    """Open a ticket and give the conversation to the queue. The caller holds the conversation's row."""
    brand = await session.scalar(select(Shop.brand))
    ticket = Ticket(
        conversation_id=conversation.id,
        reason=reason,
        priority="high" if reason in URGENT else "normal",
        tags=[f"SMS via {brand}", reason],
        note=note,
        understood=understood,
        opened_at=now,
    )
    session.add(ticket)
    await session.flush()
    conversation.owner = "queue"
    live.publish(session, "ticket", conversation.id, ticket.id)
    return ticket, Changed(kind="ticket.opened", ref=f"T{ticket.number}", after={"reason": reason})


def append(session: AsyncSession, ticket: Ticket) -> Changed:
    """Note that a further text belongs to the open ticket; the text itself stands in the thread."""
    live.publish(session, "ticket", ticket.conversation_id, ticket.id)
    return Changed(kind="ticket.appended", ref=f"T{ticket.number}")


async def take_over(session: AsyncSession, conversation_id: UUID, user_id: UUID, now: datetime) -> Ticket:
    """Give a conversation the bot answers to an agent: a ticket of theirs; the bot is silent from the commit on.

    A turn being read meanwhile finds the ticket when it ends, and says nothing. A ticket that is open already stays
    whose it is, or becomes this agent's where it is nobody's. Raises BotError where there is no such conversation.
    """
    contact_id = await session.scalar(select(Conversation.contact_id).where(Conversation.id == conversation_id))
    if contact_id is None:
        raise BotError("There is no such conversation; it may have been removed. Reload the inbox.")
    # The contact first, then the conversation, as the webhook and the transaction that ends a turn lock them.
    await session.execute(select(Contact.id).where(Contact.id == contact_id).with_for_update())
    conversation = (
        await session.scalars(
            select(Conversation)
            .where(Conversation.id == conversation_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()
    ticket = await open_for(session, conversation_id)
    if ticket is None:
        ticket, opened = await open(
            session, conversation, "agent_took_over", "", await _last_understood(session, conversation_id), now
        )
        await session.execute(
            update(OpenQuestion)
            .where(
                OpenQuestion.conversation_id == conversation_id,
                OpenQuestion.kind.in_(get_args(AskKind)),
                OpenQuestion.closed_at.is_(None),
            )
            .values(closed_at=now, closed_by="dismissed")
        )
        await bookings.release(session, contact_id, None, now)
        await effects.record(session, [opened], conversation_id=conversation_id, actor="agent", now=now)
    ticket.agent_id = ticket.agent_id or user_id
    conversation.owner = "agent"
    live.publish(session, "ticket", conversation_id, ticket.id)
    return ticket


async def _last_understood(session: AsyncSession, conversation_id: UUID) -> dict[str, Any]:
    """What the bot made of the latest text, for the agent who takes over; empty before the first."""
    turn = await session.scalar(
        select(Turn).where(Turn.conversation_id == conversation_id).order_by(Turn.ended_at.desc()).limit(1)
    )
    if turn is None or turn.intent is None:
        return {}
    return {"intent": turn.intent, "confidence": turn.confidence, "entities": turn.entities}


async def claim(session: AsyncSession, ticket_id: UUID, user_id: UUID) -> Ticket:
    """Give the ticket to an agent. Raises BotError where it is closed."""
    ticket, conversation = await _lock(session, ticket_id)
    ticket.agent_id = user_id
    conversation.owner = "agent"
    live.publish(session, "ticket", conversation.id, ticket.id)
    return ticket


async def reply(session: AsyncSession, ticket_id: UUID, user_id: UUID, body: str, now: datetime, key: UUID) -> Message:
    """Queue an agent's reply over the number that was texted; the same `key` twice queues it once.

    Raises BotError, in words for the agent, where the ticket is closed or the text cannot be sent.
    """
    ticket, conversation = await _lock(session, ticket_id)
    already: Message | None = await session.get(Message, key)
    if already is not None:
        return already
    ticket.agent_id = ticket.agent_id or user_id
    conversation.owner = "agent"
    message = await outbox.queue(session, conversation, body, author="agent", now=now, sent_by=user_id, message_id=key)
    live.publish(session, "ticket", conversation.id, ticket.id)
    return message


async def close(session: AsyncSession, ticket_id: UUID, now: datetime) -> Ticket:
    """Close the ticket; the bot speaks again, from a fresh dialogue. Closing twice raises BotError."""
    ticket, conversation = await _lock(session, ticket_id)
    ticket.status = "closed"
    ticket.closed_at = now
    conversation.owner = "bot"
    conversation.dialogue = None
    conversation.unclear = 0
    conversation.out_of_scope = 0
    live.publish(session, "ticket", conversation.id, ticket.id)
    return ticket


async def _lock(session: AsyncSession, ticket_id: UUID) -> tuple[Ticket, Conversation]:
    """The ticket and its conversation, locked conversation first, as the transaction that ends a turn does."""
    conversation = await session.scalar(
        select(Conversation)
        .join(Ticket, Ticket.conversation_id == Conversation.id)
        .where(Ticket.id == ticket_id)
        .with_for_update(of=Conversation)
    )
    if conversation is None:
        raise BotError("There is no such ticket; it may have been removed. Reload the inbox.")
    ticket = await session.get(Ticket, ticket_id, populate_existing=True)
    if ticket is None or ticket.status == "closed":
        raise BotError("This ticket is closed already. The contact's next text is answered by the bot.")
    return ticket, conversation
