"""Yes, no and courtesies; yes and no belong to the open choice where there is one."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.appointments import Reschedule, agree, offered_time
from actions.base import ShopAction, Turn
from bot import values
from bot.shop import shopfile
from bot.values import Dismiss, Say, Value

#: "I don't wish to get these" is read as a no, and at a quarter as an opt-out; of the held-out texts with this much or
#: more, none that answered nothing meant anything else.
MAYBE = 0.2
OFFER = "I can help with your booking, your order or our hours."


class Affirm(Reschedule):
    """Yes: to the open choice, or to a time named along with it ("yes, thursday works")."""

    called = "action_affirm"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The answer to the open choice, else a courtesy."""
        if turn.open is None:
            return [Say(text=f"OK. {OFFER}")]
        if (answer := offered_time(turn)) is not None:
            return [answer]
        if turn.wishes and turn.open.kind == "booking_change":
            return await super().decide(turn, session)
        return agree(turn)


class Deny(Reschedule):
    """No: nothing is changed, unless another time is named along with it ("no, thursday").

    A no that answers nothing and could be an opt-out is one, told as unsure.
    """

    called = "action_deny"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """Another offer, or the choice dismissed."""
        if turn.open is None and dict(turn.ranking).get("opt_out", 0.0) >= MAYBE:
            return [values.OptOut(sure=False)]
        if turn.open is None:
            return [Say(text="OK, nothing is changed.")]
        if turn.wishes and turn.open.kind == "booking_change":
            return await super().decide(turn, session)
        invite = " Text us another day or time if you like." if turn.open.kind == "booking_change" else ""
        return [Dismiss(), Say(text=f"OK, nothing is changed.{invite}")]


class Greet(ShopAction):
    """Says hello and what can be done by text."""

    called = "action_greet"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The brand, and three things to ask."""
        shop = await shopfile.read(session)
        return [Say(text=f'Hi, this is {shop.brand}. {OFFER} Text "person" to talk to someone.')]


class Thank(ShopAction):
    """Answers thanks."""

    called = "action_thank"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """A courtesy."""
        return [Say(text="You're welcome.")]


class Bye(ShopAction):
    """Answers a goodbye."""

    called = "action_bye"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """A courtesy."""
        return [Say(text="Bye, and thank you.")]
