"""Questions about the shop, answered from its data."""

import re
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.outreach import codes
from bot.outreach.codes import HeldCode
from bot.shop import answers, shopfile
from bot.shop.answers import Subject
from bot.values import Say, Value

_SUBJECTS: dict[str, Subject] = {
    "ask_shipping": "shipping",
    "ask_returns": "returns",
    "ask_payment": "payment",
    "ask_privacy": "privacy",
}
_LOOKS = 'If it still fails, text "person" and someone looks at it.'
_FAILS = re.compile(
    r"\b(?:doesn'?t|does not|didn'?t|did not|isn'?t|is not|won'?t|will not|wouldn'?t|not|can'?t|cannot|couldn'?t|never)"
    r"\s+(?:\w+\s+){0,2}?(?:work|valid|accept|appl|go through|use|redeem|tak|recogni|add|enter)"
    r"|\b(?:invalid|expired|fail|error|reject|declin|refus|already used|no longer)",
    re.IGNORECASE,
)
#: A code as shops write them: capitals and digits, in two parts or more.
_CODE = re.compile(r"\b(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9]{2,12}(?:-[A-Z0-9]{2,12})+\b")


class Hours(ShopAction):
    """Tells when the shop is open: on the day named, else today and in a usual week."""

    called = "action_hours"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """Opening hours of every place."""
        shop = await shopfile.read(session)
        today = turn.now.astimezone(shop.zone).date()
        wish = turn.wishes[0] if turn.wishes else None
        if wish is not None and wish.end - wish.start <= timedelta(days=1):
            day = wish.start.astimezone(shop.zone).date()
            return [Say(text=f"{day:%A}, {day:%b} {day.day}: {shop.open_words(day)}.")]
        week = "\n".join(f"{place.name}: {place.hours.week_words()}" for place in shop.locations)
        return [Say(text=f"{week}\nToday: {shop.open_words(today)}.")]


class Location(ShopAction):
    """Tells where the shop is: the place named, else every place."""

    called = "action_location"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """Addresses, with today's hours where one place is meant."""
        shop = await shopfile.read(session)
        place = await answers.place(session, shop, turn.detail("location"))
        if place is None and len(shop.locations) == 1:
            place = shop.locations[0]
        if place is None:
            return [Say(text="\n".join(f"{item.name}: {item.address}." for item in shop.locations))]
        today = place.hours.words_on(turn.now.astimezone(shop.zone).date())
        return [Say(text=f"{place.name}: {place.address}. Today: {today}.")]


class ShopAnswer(ShopAction):
    """Answers what people ask of any shop: shipping, returns, payment, privacy, or one of the shop's own topics."""

    called = "action_shop_answer"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The shop's own words; where it has none, how to ask it."""
        told = (await shopfile.read(session)).content.answers
        if (subject := _SUBJECTS.get(turn.intent)) is not None:
            return [Say(text=answers.of(subject, told))]
        answer = answers.topic(turn.text, told)
        return [Say(text=answer or f"I have no answer to that here. {told.contact}")]


class Discount(ShopAction):
    """Tells of discounts, and of the contact's own code where they have one; makes none up."""

    called = "action_discount"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """What discounts there are, or, where a code fails, which one is theirs and who can look at it."""
        content = (await shopfile.read(session)).content
        mine = await codes.held(session, turn.contact_id, content)
        if _fails(turn.text):
            return [Say(text=_check(turn.text, mine))]
        return [Say(text=" ".join([content.answers.discounts, *(code.words for code in mine[-1:])]))]


def _fails(text: str) -> bool:
    """Whether a text says that a code does not work."""
    plain = text.replace("\u2019", "'")
    return _FAILS.search(plain) is not None and (
        _CODE.search(plain) is not None
        or re.search(r"\b(?:codes?|coupons?|vouchers?|promos?|it)\b", plain, re.I) is not None
    )


def _check(text: str, mine: Sequence[HeldCode]) -> str:
    """What is known of a code that fails: the contact's own ones alone, nobody else's."""
    if not mine:
        return 'I find no code that was given to this number. Text "person" and someone looks at it.'
    own = next((code for code in mine if code.code.upper() in text.upper()), None)
    named = _CODE.search(text)
    if own is None and named is not None:
        return f"{named[0]} is not a code that was given to this number. {mine[-1].words} {_LOOKS}"
    return f"{(own or mine[-1]).words} {_LOOKS}"
