"""What a contact says they like, in their own words; the bare word of a choice is read without Rasa."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.outreach import preferences
from bot.shop import shopfile
from bot.shop.shopfile import Preference as Question
from bot.values import Say, Value


class Preference(ShopAction):
    """Keeps what is preferred, or asks again where that is not clear."""

    called = "action_preference"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The preference kept and its code, or the question once more."""
        content = (await shopfile.read(session)).content
        question, value = _told(turn, content.preferences)
        if question is None:
            return [Say(text="Thank you for telling us.")]
        if value is None:
            return [preferences.ask_again(question)]
        return await preferences.answer(session, turn.contact_id, question, value, content)


def _told(turn: Turn, questions: Sequence[Question]) -> tuple[Question | None, str | None]:
    """Which preference the text is about, and what it says of it: the one asked comes first."""
    asked = turn.waiting.get("preference", {}).get("preference")
    ordered = sorted(questions, key=lambda question: question.key != asked)
    for question in ordered:
        if (value := preferences.read_liking(turn.text, question)) is not None:
            return question, value
    chosen = turn.filled.get("preference")
    for question in ordered:
        if chosen in {choice.word.lower() for choice in question.choices}:
            return question, str(chosen)
    return (ordered[0] if ordered else None), None
