"""The shop's sender numbers as rows, and which of them a contact hears from; it sends nothing."""

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import BotError
from bot.settings import Settings
from bot.tables import Conversation, SenderNumber


async def sync(session: AsyncSession, settings: Settings) -> None:
    """Write the default sender number with its kind, carrier words and pace, as the settings say."""
    words, answers = settings.carrier_keyword_policy()
    values = {
        "kind": settings.number_kind,
        "carrier_words": words,
        "carrier_answers": answers,
        "parts_per_second": settings.parts_per_second,
        "is_default": True,
    }
    await session.execute(
        update(SenderNumber).where(SenderNumber.phone != settings.sender_number).values(is_default=False)
    )
    await session.execute(
        insert(SenderNumber)
        .values(phone=settings.sender_number, **values)
        .on_conflict_do_update(index_elements=["phone"], set_=values)
    )


async def conversation_of(session: AsyncSession, contact_id: UUID) -> Conversation | None:
    """The contact's latest conversation, whose number they keep hearing from; None before the first text."""
    found: Conversation | None = await session.scalar(
        select(Conversation)
        .where(Conversation.contact_id == contact_id)
        .order_by(Conversation.last_message_at.desc().nulls_last())
        .limit(1)
    )
    return found


async def number_of(session: AsyncSession, conversation: Conversation | None) -> SenderNumber:
    """The number of a conversation, the shop's default one where there is none yet. Raises BotError without either."""
    wanted = SenderNumber.id == conversation.sender_number_id if conversation is not None else SenderNumber.is_default
    number = await session.scalar(select(SenderNumber).where(wanted).limit(1))
    if number is None:
        raise BotError("The shop has no default sender number; set PARLEY_SENDER_NUMBER and restart.")
    return number
