"""Ratings nobody asked for, or asked for longer ago than a survey waits."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.outreach import surveys
from bot.values import Say, Value


class Rating(ShopAction):
    """Records a rating, or asks for the figure where the text has none."""

    called = "action_rating"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The rating recorded as unasked; the survey's own answers never come here."""
        reading = surveys.read_rating(turn.text, surveys.CSAT)
        if reading is None:
            return [Say(text="Thank you. How would you rate us from 1 (bad) to 5 (great)? Reply with the number.")]
        return surveys.answer_rating(reading, None, late=False)
