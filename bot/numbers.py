"""The shop's sender numbers as rows; for now the one in the settings."""

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.settings import Settings
from bot.tables import SenderNumber


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
