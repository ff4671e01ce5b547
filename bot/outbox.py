"""The single door out: writes queued rows with their words, purpose and urgency; the sender does the rest."""

import re
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot import live, numbers
from bot.errors import BotError
from bot.tables import URGENCY, Contact, Conversation, Message, OpenQuestion
from bot.text import MAX_CHARACTERS, measure, plain
from bot.values import ShopText

STOP_LINE = "Reply STOP to opt out."
_SAYS_STOP = re.compile(r"\bSTOP\b", re.IGNORECASE)
#: An answer that could not leave for this long helps nobody any more.
REPLY_DEADLINE = timedelta(hours=4)
SHOP_DEADLINE = timedelta(hours=10)
#: A booking text or survey waits this long; a later answer still counts and is marked late.
QUESTION_WAITS = timedelta(days=7)


async def queue(
    session: AsyncSession,
    conversation: Conversation,
    body: str,
    *,
    author: str,
    now: datetime,
    purpose: str = "conversational",
    turn_id: UUID | None = None,
    position: int | None = None,
    sent_by: UUID | None = None,
    stop_line: bool | None = None,
    name: str | None = None,
    asks: list[str] | None = None,
    booking_id: UUID | None = None,
    message_id: UUID | None = None,
) -> Message:
    """Write one outbound message in the caller's transaction.

    The opt-out line is added where the text lacks it: to everything the business starts and to the first reply of a
    conversation; `stop_line` True adds it anyway, False never. Raises BotError for a body no carrier takes.
    """
    words = plain(body).strip()
    wanted = stop_line
    if wanted is None:
        wanted = author == "shop" or not await _has_spoken(session, conversation.id)
    if wanted and not _SAYS_STOP.search(words):
        words = f"{words}\n{STOP_LINE}" if "\n" in words else f"{words} {STOP_LINE}"
    if not words:
        raise BotError("The text is empty; write something to send.")
    if len(words) > MAX_CHARACTERS:
        raise BotError(f"The text has {len(words)} characters; a text takes at most {MAX_CHARACTERS}. Shorten it.")
    size = measure(words)
    started = author == "shop"
    message = Message(
        id=message_id or uuid4(),
        conversation_id=conversation.id,
        direction="outbound",
        author=author,
        body=words,
        status="queued",
        purpose=purpose,
        urgency=URGENCY["transactional" if started else "conversation"],
        turn_id=turn_id,
        position=position,
        sent_by=sent_by,
        name=name,
        asks=asks or [],
        booking_id=booking_id,
        encoding=size.encoding,
        parts=size.parts,
        send_after=now,
        deadline_at=now + (SHOP_DEADLINE if started else REPLY_DEADLINE),
        created_at=now,
    )
    session.add(message)
    conversation.last_message_at = now
    await session.flush()
    live.publish(session, "message", conversation.id)
    return message


async def start(session: AsyncSession, contact: Contact, shop_text: ShopText, now: datetime) -> Message:
    """Queue a text the business starts and open the question it asks; a contact keeps hearing from the same number."""
    conversation = await _sticky(session, contact)
    message = await queue(
        session,
        conversation,
        shop_text.text,
        author="shop",
        now=now,
        purpose=shop_text.purpose,
        name=shop_text.name,
        asks=shop_text.asks,
        booking_id=shop_text.booking_id,
    )
    if shop_text.question_kind is not None:
        session.add(
            OpenQuestion(
                conversation_id=conversation.id,
                kind=shop_text.question_kind,
                payload=shop_text.question,
                booking_id=shop_text.booking_id,
                asked_at=now,
                expires_at=now + QUESTION_WAITS,
            )
        )
    return message


async def _has_spoken(session: AsyncSession, conversation_id: UUID) -> bool:
    found = await session.scalar(
        select(Message.id).where(Message.conversation_id == conversation_id, Message.direction == "outbound").limit(1)
    )
    return found is not None


async def _sticky(session: AsyncSession, contact: Contact) -> Conversation:
    """The contact's latest conversation, or a new one on the default number."""
    conversation = await numbers.conversation_of(session, contact.id)
    if conversation is None:
        number = await numbers.number_of(session, None)
        conversation = Conversation(contact_id=contact.id, sender_number_id=number.id)
        session.add(conversation)
        await session.flush()
    return conversation
