"""Questions about the shop, answered from its data."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.shop import shopfile
from bot.values import Say, Value


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
