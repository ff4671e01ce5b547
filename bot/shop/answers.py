"""Answers to questions about the shop, out of shop.yml; it makes none up."""

import re
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.shop.shopfile import Answers, LocationView, ShopView
from bot.tables import Location

Subject = Literal["shipping", "returns", "payment", "privacy"]


def of(subject: Subject, answers: Answers) -> str:
    """The shop's own words on one of the subjects everybody asks about."""
    told: dict[Subject, str] = {
        "shipping": answers.shipping,
        "returns": answers.returns,
        "payment": answers.payment,
        "privacy": answers.privacy,
    }
    return told[subject]


def topic(text: str, answers: Answers) -> str | None:
    """The answer of the topic a text is about: whole words, the longest phrase first; None where none fits."""
    said = text.casefold().replace("\u2019", "'")
    phrases = [(phrase, item.answer) for item in answers.topics for phrase in item.about]
    for phrase, answer in sorted(phrases, key=lambda item: -len(item[0])):
        words = r"[\s-]+".join(map(re.escape, phrase.casefold().split()))
        if words and re.search(rf"(?<!\w){words}(?!\w)", said):
            return answer
    return None


async def place(session: AsyncSession, shop: ShopView, key: str | None) -> LocationView | None:
    """The place with this key of shop.yml; None where none is named or it is unknown."""
    found = await session.scalar(select(Location.id).where(Location.key == key)) if key is not None else None
    return next((item for item in shop.locations if item.id == found), None)
