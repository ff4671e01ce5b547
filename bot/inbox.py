"""An inbound text becomes one stored message; keywords take effect in the same transaction; it waits for nobody.

A reaction that a phone put into words is settled here too, in silence. Everything else is left for a worker, marked as
pending on its conversation.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent, effects, live, outbox
from bot.carriers.base import InboundText
from bot.consent import Keyword
from bot.db import Database
from bot.outreach import tapbacks
from bot.settings import TWILIO_STOP_WORDS
from bot.tables import (
    Booking,
    Contact,
    Conversation,
    Message,
    SenderNumber,
    Shop,
    Turn,
)
from bot.text import MAX_CHARACTERS, clean
from bot.values import Changed

#: E.164, or a short code of five or six digits.
_PHONE = re.compile(r"^\+[1-9]\d{6,14}$|^\d{3,8}$")


@dataclass(frozen=True)
class Received:
    """What became of an inbound text: `new` False for a redelivery, `pending` True where a worker must read it."""

    message_id: UUID | None
    new: bool
    pending: bool


async def receive(db: Database, inbound: InboundText, consent_key: str) -> Received:
    """Store a text once, in one transaction with the consent it changes.

    A text the carrier had earlier keeps the time it came, in the thread and in the ledger.
    Raises ValueError where sender or recipient is no phone number (the webhook was signed, so somebody configured it).
    """
    for phone in (inbound.sender, inbound.recipient):
        if not _PHONE.match(phone):
            raise ValueError("sender and recipient must be phone numbers in E.164 form or short codes")
    now = clock.now()
    came_at = min(inbound.received_at or now, now)
    async with db.begin() as session:
        number = await _number(session, inbound.recipient)
        contact = await _contact(session, inbound.sender, consent_key, now)
        conversation = await _conversation(session, contact, number)
        message_id = await session.scalar(
            insert(Message)
            .values(
                conversation_id=conversation.id,
                direction="inbound",
                author="contact",
                body=clean(inbound.body)[:MAX_CHARACTERS],
                media=[{"url": item.url, "type": item.content_type} for item in inbound.media],
                status="received",
                carrier_id=inbound.carrier_id,
                asks=[],
                created_at=came_at,
            )
            .on_conflict_do_nothing(index_elements=["carrier_id"])
            .returning(Message.id)
        )
        if message_id is None:
            return Received(None, new=False, pending=False)
        conversation.last_message_at = now
        live.publish(session, "message", conversation.id)
        # What it quotes was never the contact's to say; what the carrier itself took for a keyword stays one.
        if not inbound.media and inbound.opt_out_type is None and tapbacks.is_tapback(inbound.body):
            await _settle(session, contact, conversation, message_id, "A reaction to a text; nothing to answer.", now)
            return Received(message_id, new=True, pending=False)
        keyword = consent.read_keyword(
            clean(inbound.body),
            booking_asked_cancel=await _cancel_means_booking(session, contact.id, now),
            carrier_words=number.carrier_words,
            carrier_answers=number.carrier_answers,
            opt_out_type=inbound.opt_out_type,
        )
        if keyword is None or keyword.action == "cancel_booking":
            conversation.pending_since = conversation.pending_since or now
            return Received(message_id, new=True, pending=True)
        await _apply(session, contact, conversation, message_id, keyword, now, came_at)
        return Received(message_id, new=True, pending=False)


async def last_asked_booking(session: AsyncSession, contact_id: UUID) -> UUID | None:
    """The booking of the last text the business started to this contact, if that text asked for CANCEL."""
    last = (
        await session.execute(
            select(Message.asks, Message.booking_id)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(
                Conversation.contact_id == contact_id,
                Message.author == "shop",
                Message.status.in_(("sending", "sent", "delivered", "unknown")),
            )
            .order_by(Message.seq.desc())
            .limit(1)
        )
    ).first()
    return last.booking_id if last is not None and "CANCEL" in last.asks else None


async def _cancel_means_booking(session: AsyncSession, contact_id: UUID, now: datetime) -> bool:
    """Whether CANCEL now means a booking: it was asked for, and the booking is still to come."""
    booking_id = await last_asked_booking(session, contact_id)
    if booking_id is None:
        return False
    booking = await session.get_one(Booking, booking_id)
    return booking.status != "cancelled" and booking.starts_at > now


async def _apply(
    session: AsyncSession,
    contact: Contact,
    conversation: Conversation,
    message_id: UUID,
    keyword: Keyword,
    now: datetime,
    came_at: datetime,
) -> None:
    """Carry out STOP, START or HELP: ledger, effects, at most one reply, and the turn that says so."""
    shop = await session.get_one(Shop, 1)
    changes: list[Changed] = []
    reply: str | None = None
    # A keyword taken in late does not undo what the contact said after it.
    late = came_at < now and await consent.spoke_since(session, contact.phone_hash, keyword.action, came_at)
    if late:
        pass
    elif keyword.action == "opt_out":
        already = await consent.state(session, contact.phone_hash) == "out"
        changes += await consent.opt_out(session, contact, keyword.word, "keyword", message_id, came_at)
        if keyword.by_carrier:
            conversation.carrier_blocked = True
        if not already:
            reply = consent.CONFIRMATION.format(brand=shop.brand)
    elif keyword.action == "opt_in":
        reply = consent.WELCOME_BACK.format(brand=shop.brand)
        changes.append(await consent.opt_in_again(session, contact, keyword.word, message_id, reply, came_at))
    else:
        reply = help_text(shop)
    words = {
        "opt_out": f"Read {keyword.word} as an opt-out before anything else",
        "opt_in": f"Read {keyword.word} as the end of the opt-out",
        "help": f"Answered {keyword.word} by rule",
    }[keyword.action]
    why = f"{words}; the carrier answered it." if keyword.answered else f"{words}; Rasa was not asked."
    if late:
        why = f"{words}; it was taken in late, and what the contact said after it stands."
    await _settle(session, contact, conversation, message_id, why, now, keyword)
    await effects.record(
        session, changes, conversation_id=conversation.id, actor="contact", now=now, turn_id=message_id
    )
    if reply is not None and not keyword.answered:
        await outbox.queue(
            session,
            conversation,
            reply,
            author="bot",
            now=now,
            purpose="keyword",
            turn_id=message_id,
            position=0,
            stop_line=False,
        )


async def _settle(
    session: AsyncSession,
    contact: Contact,
    conversation: Conversation,
    message_id: UUID,
    why: str,
    now: datetime,
    keyword: Keyword | None = None,
) -> None:
    """End a text's turn while it is stored; without a keyword nothing is read in it, and nothing is answered."""
    session.add(
        Turn(
            id=message_id,
            conversation_id=conversation.id,
            decision="keyword" if keyword is not None else "silent",
            why=why,
            intent=keyword.intent if keyword is not None else None,
            confidence=1.0 if keyword is not None and keyword.intent else None,
            consent=await consent.state(session, contact.phone_hash),
            ended_at=now,
        )
    )
    await session.flush()
    (await session.get_one(Message, message_id)).turn_id = message_id
    live.publish(session, "turn", conversation.id)


def help_text(shop: Shop) -> str:
    """The answer to HELP: brand, what it is, how to reach a person, frequency, rates, how to stop (CTIA handbook)."""
    facts = shop.facts
    return (
        f"{shop.brand}: {facts['about']} Help: {facts['phone']} or {facts['email']}. "
        f"{facts['frequency']} Msg & data rates may apply. Reply STOP to opt out."
    )


async def _number(session: AsyncSession, phone: str) -> SenderNumber:
    number = await session.scalar(select(SenderNumber).where(SenderNumber.phone == phone))
    if number is not None:
        return number
    # A number of the shop's account that nobody named in the settings: losing its texts would be worse than guessing
    # its kind, so the strictest guess stands, a carrier that acts on every default word.
    await session.execute(
        insert(SenderNumber)
        .values(
            phone=phone,
            kind="long_code",
            carrier_words=list(TWILIO_STOP_WORDS),
            carrier_answers=True,
            parts_per_second=1.0,
            is_default=False,
        )
        .on_conflict_do_nothing(index_elements=["phone"])
    )
    return await session.scalar(select(SenderNumber).where(SenderNumber.phone == phone))  # type: ignore[return-value]  # just written


async def _contact(session: AsyncSession, phone: str, key: str, now: datetime) -> Contact:
    """The contact, locked: what one person's texts change happens one after the other."""
    await session.execute(
        insert(Contact)
        .values(phone=phone, phone_hash=consent.phone_hash(phone, key), created_at=now)
        .on_conflict_do_nothing(index_elements=["phone"])
    )
    return (await session.scalars(select(Contact).where(Contact.phone == phone).with_for_update())).one()


async def _conversation(session: AsyncSession, contact: Contact, number: SenderNumber) -> Conversation:
    await session.execute(
        insert(Conversation)
        .values(contact_id=contact.id, sender_number_id=number.id, owner="bot")
        .on_conflict_do_nothing(index_elements=["contact_id", "sender_number_id"])
    )
    return (
        await session.scalars(
            select(Conversation)
            .where(Conversation.contact_id == contact.id, Conversation.sender_number_id == number.id)
            .with_for_update()
        )
    ).one()
