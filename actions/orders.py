"""Where an order is; shown only to the number it belongs to."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.shop import orders
from bot.values import Say, Value

#: So many orders are told of in one text; it stays within two parts.
TOLD = 2


class OrderStatus(ShopAction):
    """Tells where the order named is, or the latest ones."""

    called = "action_order_status"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """State, carrier, tracking and expected day."""
        number = turn.entity("order_number")
        found = await orders.find(session, turn.contact_id, number)
        if not found and number is not None:
            return [
                Say(text=f'I find no order {number} for this number. Check it, or text "person" and someone looks.')
            ]
        if not found:
            return [Say(text='I find no order for this number. If you ordered with another one, text "person".')]
        moving = [order for order in found if order.status not in ("delivered", "cancelled")] or found[:1]
        # "and when will it come?" means the order spoken of last.
        moving.sort(key=lambda order: order.number != turn.slots.get("order_number"))
        return [Say(text="\n".join(orders.status_words(order, turn.zone) for order in moving[:TOLD]))]
