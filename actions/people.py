"""What a person has to do."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.values import HandOver, Value


class AskHuman(ShopAction):
    """Hands over: a person was asked for, or something only a person does."""

    called = "action_ask_human"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The ticket's reason and a note for whoever takes it."""
        if turn.intent == "cancel_order":
            return [HandOver(reason="failed_action", note="Wants an order cancelled; the bot cannot do that.")]
        return [HandOver(reason="asked_for_person")]
