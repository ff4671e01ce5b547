"""What a person has to hear of, and what is said to that: a person asked for, complaints, serious matters, praise."""

import re
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.values import HandOver, Say, Value

_DANGER = re.compile(
    r"\b(?:hurt\w*|injur\w+|wound\w*|bleed\w*|blood|burn(?:s|t|ed|ing)?|fire|flames?|smok\w+|spark\w*|shock(?:ed|s)?|"
    r"explo\w+|hospital|ambulance|911|emergency|chok\w+|allergic|poison\w*|faint\w*|unconscious|danger\w*|unsafe|"
    r"gun|knife|weapon|threaten\w*|attack\w*|suicid\w+|die|dying|(?:can'?t|cannot|couldn'?t) breathe)\b",
    re.IGNORECASE,
)
_DISPUTE = re.compile(r"\b(?:charge ?back|dispute|my bank|my card company|paypal|fraud\w*|scam\w*)\b", re.IGNORECASE)


class AskHuman(ShopAction):
    """Hands over to the person asked for."""

    called = "action_ask_human"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The ticket; the engine says who answers when."""
        return [HandOver(reason="asked_for_person")]


class Complain(ShopAction):
    """Regrets, and hands over."""

    called = "action_complain"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """One sentence that blames nobody, and the ticket."""
        return [
            Say(text="I am sorry about that, and thank you for telling us."),
            HandOver(reason="complaint", note="A complaint."),
        ]


class Serious(ShopAction):
    """Hands over at once: legal threats, danger, payment disputes."""

    called = "action_serious"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The ticket with what it is about; where somebody may be in danger, first of all whom to call."""
        text = turn.text.replace("\u2019", "'")
        if _DANGER.search(text):
            return [
                Say(text="If anyone is hurt or in danger, call 911 first."),
                HandOver(reason="serious_matter", note="Somebody may be hurt or in danger."),
            ]
        about = "A payment dispute." if _DISPUTE.search(text) else "A legal or otherwise serious matter."
        return [
            Say(text="Thank you for telling us; this goes to a person right away."),
            HandOver(reason="serious_matter", note=about),
        ]


class Praise(ShopAction):
    """Answers praise."""

    called = "action_praise"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """A thank-you."""
        return [Say(text="Thank you, that is lovely to hear.")]
