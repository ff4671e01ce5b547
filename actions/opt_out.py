"""Opting out in words no rule knows, and asking to be let in again; the ledger is the engine's."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot import values
from bot.outreach import opt_outs
from bot.values import Say, Value


class OptOut(ShopAction):
    """Reads a text as an opt-out; unsure is an opt-out too (bot.outreach.opt_outs decides first)."""

    called = "action_opt_out"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The opt-out and how sure it is."""
        return [values.OptOut(sure=turn.confidence >= opt_outs.SURE)]


class OptIn(ShopAction):
    """Says which word ends an opt-out; words of one's own do not (47 CFR 64.1200(a)(9) wants an express act)."""

    called = "action_opt_in"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The word to text."""
        return [Say(text="To get our texts, text START to this number.")]
