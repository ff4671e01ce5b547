"""Yes, no and courtesies; yes and no belong to the open choice where there is one."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.appointments import (
    NOTHING_BOOKED,
    NOTHING_CHANGED,
    agree,
    booking_new,
    choose,
    names_choice,
    offered_time,
)
from actions.base import ShopAction, Turn
from bot.shop import shopfile
from bot.values import Dismiss, Say, Value

OFFER = "I can help with your booking, your order or our hours."
#: Questions that another day or time would answer.
TIMES = ("booking_change", "booking_new")


class Affirm(ShopAction):
    """Yes: to the open question, or to a time named along with it ("yes, thursday works")."""

    called = "action_affirm"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The answer to the open question, else a courtesy."""
        if turn.open is None:
            return [Say(text=f"OK. {OFFER}")]
        answer = offered_time(turn, "booking_change") or offered_time(turn, "booking_new")
        if answer is not None:
            return [answer]
        # "Yes, with Lena" to one time alone is a yes to that; to several it says which are meant.
        if names_choice(turn) and (turn.wishes or len(turn.open.affirmative) != 1):
            return await choose(turn, session)
        return agree(turn)


class Deny(ShopAction):
    """No: nothing is changed, unless another time, place or person is named along with it ("no, thursday")."""

    called = "action_deny"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """Another offer, or the question dismissed."""
        if turn.open is None:
            return [Say(text=NOTHING_CHANGED)]
        if names_choice(turn):
            return await choose(turn, session)
        if turn.open.kind == "clarify":
            return [Dismiss(), Say(text="OK. Tell me in other words what you need.")]
        said = NOTHING_BOOKED if booking_new(turn) else NOTHING_CHANGED
        invite = " Text us another day or time if you like." if turn.open.kind in TIMES else ""
        return [Dismiss(), Say(text=f"{said}{invite}")]


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
