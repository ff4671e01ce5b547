"""Orders of the built-in store as the contact who placed them may see them; it changes none."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.tables import Order


@dataclass(frozen=True)
class OrderView:
    """An order with its tracking, if any; `number` without "#"; instants aware, UTC."""

    number: str
    status: str
    products: tuple[str, ...]
    placed_at: datetime
    tracking_company: str | None
    tracking_number: str | None
    tracking_url: str | None
    expected_on: datetime | None

    @property
    def first_product(self) -> str:
        """The product the order is remembered by."""
        return self.products[0]


async def find(session: AsyncSession, contact_id: UUID, number: str | None) -> list[OrderView]:
    """The contact's orders, newest first; with `number` only that one, and only if it is theirs."""
    query = select(Order).where(Order.contact_id == contact_id)
    if number is not None:
        query = query.where(Order.number == number.strip().lstrip("#"))
    rows = await session.scalars(query.order_by(Order.placed_at.desc()).limit(10))
    return [
        OrderView(
            number=row.number,
            status=row.status,
            products=tuple(str(item["name"]) for item in row.items) or ("your order",),
            placed_at=row.placed_at,
            tracking_company=row.tracking_company,
            tracking_number=row.tracking_number,
            tracking_url=row.tracking_url,
            expected_on=row.expected_on,
        )
        for row in rows
    ]


def status_words(order: OrderView, zone: ZoneInfo) -> str:
    """Where an order is, in one text: its state, who carries it, its tracking, and the day it is expected."""
    name = f"Order {order.number} ({order.first_product})"
    day = order.expected_on.astimezone(zone) if order.expected_on else None
    expected = f" Expected {day:%a %b} {day.day}." if day else ""
    tracking = f", tracking {order.tracking_number}" if order.tracking_number else ""
    link = f" {order.tracking_url}" if order.tracking_url else ""
    carrier = f" with {order.tracking_company}" if order.tracking_company else ""
    if order.status == "shipped":
        return f"{name} is on its way{carrier}{tracking}.{expected}{link}"
    if order.status == "delivered":
        return f"{name} was delivered{carrier}{tracking}.{link}"
    if order.status == "cancelled":
        return f"{name} was cancelled."
    state = "is packed and leaves us soon" if order.status == "packed" else "is placed and not yet shipped"
    return f"{name} {state}.{expected}"
