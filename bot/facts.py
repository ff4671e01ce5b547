"""Everything a turn's decision rests on, read in one short transaction; it decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent, inbox, tickets
from bot.shop import bookings, shopfile
from bot.shop.bookings import BookingView
from bot.shop.shopfile import ShopView
from bot.tables import Contact, Conversation, Effect, Message, OpenQuestion, SenderNumber, Ticket
from bot.values import Ask

#: A numbered choice of the dialogue stays answerable by a bare number this long.
CHOICE_WAITS = timedelta(hours=24)
#: A change can be taken back by text this long (SPEC E4).
UNDO_WITHIN = timedelta(minutes=10)
#: Texts that follow each other within this time may be one turn; what came hours apart was never one thought.
BURST = timedelta(seconds=60)
#: Kinds of open questions that the dialogue asks; the others are the shop's own texts.
DIALOGUE = ("booking_change", "booking_cancel", "booking_new", "order_change", "details", "identify", "clarify")
#: Whole texts that are commands; they are a turn of their own.
COMMANDS = frozenset({"cancel", "change", "undo"})


@dataclass(frozen=True)
class Thing:
    """Something of the shop that a text may name: `entity` is product, service, location or staff."""

    entity: str
    key: str
    names: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """What is known when a turn is read: `messages` are its texts in order, `things` what may be named in them.

    `body` is what is read, all texts as one or a piece of them; `dialogue` is Rasa's state before it.
    """

    conversation: Conversation
    contact: Contact
    number: SenderNumber
    messages: Sequence[Message]
    body: str
    dialogue: dict[str, Any] | None
    shop: ShopView
    things: Sequence[Thing]
    now: datetime
    ticket: Ticket | None
    questions: Sequence[OpenQuestion]
    bookings: Sequence[BookingView]
    asked_booking: BookingView | None
    standing: consent.State
    undoable: Sequence[Effect]

    @property
    def last(self) -> Message:
        """The newest text of the turn."""
        return self.messages[-1]

    @property
    def dialogue_question(self) -> OpenQuestion | None:
        """The newest question of the dialogue still open."""
        return next((q for q in self.questions if q.kind in DIALOGUE and q.asked_at > self.now - CHOICE_WAITS), None)

    def asked(self, kind: str) -> OpenQuestion | None:
        """The newest open question of a kind."""
        return next((question for question in self.questions if question.kind == kind), None)


def core_of(body: str) -> str:
    """The text without courtesies, case and punctuation; courtesies alone stay."""
    words = consent.normalise(body)
    return consent.strip_courtesy(words) or words


def ask_of(question: OpenQuestion) -> Ask:
    """The question as the dialogue asked it."""
    return Ask.model_validate({key: question.payload[key] for key in Ask.model_fields if key in question.payload})


def follows(earlier: Message, later: Message) -> bool:
    """Whether a text may belong to the same turn as the one before it: soon after, and neither is a command."""
    soon = later.created_at - earlier.created_at <= BURST
    return soon and not any(core_of(message.body) in COMMANDS or message.media for message in (earlier, later))


async def unread(session: AsyncSession, conversation: Conversation) -> list[Message]:
    """The texts nobody has read yet, in the order of their arrival; a look at the first few is enough for a turn."""
    rows = await session.scalars(
        select(Message)
        .where(Message.conversation_id == conversation.id, Message.direction == "inbound", Message.turn_id.is_(None))
        .order_by(Message.seq)
        .limit(10)
    )
    return list(rows)


async def load(session: AsyncSession, conversation: Conversation, folds: bool) -> Facts | None:
    """The facts of the conversation's next turn; None where nothing waits. `folds` False takes one text a turn."""
    waiting = await unread(session, conversation)
    if not waiting:
        return None
    messages = waiting[:1]
    for message in waiting[1:] if folds else []:
        if not follows(messages[-1], message):
            break
        messages.append(message)
    contact = await session.get_one(Contact, conversation.contact_id)
    now = clock.now()
    asked_id = await inbox.last_asked_booking(session, contact.id)
    questions = await session.scalars(
        select(OpenQuestion)
        .where(OpenQuestion.conversation_id == conversation.id, OpenQuestion.closed_at.is_(None))
        .order_by(OpenQuestion.asked_at.desc())
    )
    return Facts(
        conversation=conversation,
        contact=contact,
        number=await session.get_one(SenderNumber, conversation.sender_number_id),
        messages=messages,
        body="\n".join(message.body for message in messages),
        dialogue=conversation.dialogue,
        shop=await shopfile.read(session),
        things=await _things(session, contact.id),
        now=now,
        ticket=await tickets.open_for(session, conversation.id),
        questions=list(questions),
        bookings=await bookings.upcoming(session, contact.id, now),
        asked_booking=await bookings.get(session, asked_id) if asked_id else None,
        standing=await consent.state(session, contact.phone_hash),
        undoable=await _undoable(session, conversation, now),
    )


async def _things(session: AsyncSession, contact_id: UUID) -> list[Thing]:
    """What of the shop has a name, and the contact's orders; it changes daily, so the model never learns it."""
    rows = await session.execute(
        text(
            """
            SELECT 'product' AS entity, key, name, words FROM products WHERE listed
            UNION ALL SELECT 'service', key, name, ARRAY[key] FROM services
            UNION ALL SELECT 'location', key, name, ARRAY[key] FROM locations
            UNION ALL SELECT 'staff', key, name, ARRAY[key] FROM resources WHERE services <> '{}'
            UNION ALL SELECT 'order_number', number, number, '{}' FROM orders WHERE contact_id = :contact
            """
        ),
        {"contact": contact_id},
    )
    return [Thing(row.entity, row.key, (row.name, *row.words)) for row in rows]


async def _undoable(session: AsyncSession, conversation: Conversation, now: datetime) -> list[Effect]:
    """What the contact's latest changing turn did, newest first, where it may still be taken back."""
    rows = await session.scalars(
        select(Effect)
        .where(
            Effect.conversation_id == conversation.id,
            Effect.actor == "contact",
            Effect.created_at > now - UNDO_WITHIN,
            Effect.undone_at.is_(None),
            Effect.turn_id.is_not(None),
        )
        .order_by(Effect.id.desc())
        .limit(20)
    )
    return list(rows)
