"""Ratings that answer no survey by rule: unasked ones, and answers in free words."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.outreach import surveys
from bot.values import Say, Value


class Rating(ShopAction):
    """Records a rating, or asks for the figure where the text has none."""

    called = "action_rating"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The rating on the open survey's scale, else on the one it fits; unasked where no survey waits for it."""
        survey = turn.waiting.get("survey")
        scale = int(survey.get("scale", surveys.CSAT)) if survey is not None else surveys.CSAT
        reading = surveys.spot_rating(turn.text, scale)
        if survey is not None and reading is not None and survey.get("question_id") is not None:
            return surveys.answer_rating(reading, UUID(survey["question_id"]), late=bool(survey.get("late")))
        for other in (surveys.CSAT, surveys.NPS):
            reading = reading or surveys.spot_rating(turn.text, other)
        if reading is not None:
            return surveys.answer_rating(reading, None, late=False)
        if scale == surveys.NPS:
            return [Say(text="Thank you. From 0 to 10, how likely are you to recommend us? Reply with the number.")]
        return [Say(text="Thank you. How would you rate us from 1 (bad) to 5 (great)? Reply with the number.")]
