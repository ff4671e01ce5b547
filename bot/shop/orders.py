"""Orders of the built-in store as those who may see them do, and what may be changed by text; it texts nobody.

An order is seen and changed by the contact who placed it and by whoever proved to know its postcode or email.
"""

import hmac
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ColumnElement

from bot.errors import Stale
from bot.shop import catalogue, details
from bot.tables import Conversation, OpenQuestion, Order, OrderProof, OrderRequest
from bot.values import (
    CancelOrder,
    ChangeAddress,
    Changed,
    ProveOrder,
    RequestExchange,
    RequestReturn,
    RestoreOrder,
    ShopText,
    WithdrawRequest,
    at,
)

OrderChange = (
    ChangeAddress | CancelOrder | RestoreOrder | RequestExchange | RequestReturn | WithdrawRequest | ProveOrder
)

#: The store can still change where an order goes, or stop it.
UNSHIPPED = ("placed", "packed")
#: Orders further back are not looked at, unless named.
LATEST = 10
#: Whoever cannot prove an order is asked this often in this long, over all orders; then a person looks.
PROOFS_ASKED, PROOFS_WITHIN = 6, timedelta(hours=24)


@dataclass(frozen=True)
class OrderItem:
    """One line of an order; product is its key in shop.yml, None (like size and colour) where the order has none."""

    name: str
    quantity: int
    product: str | None
    size: str | None
    color: str | None

    @property
    def words(self) -> str:
        """The item as a text names it: "Nova heels (size 7, black)"."""
        variant = catalogue.variant_words(self.size, self.color)
        count = f"{self.quantity} x " if self.quantity > 1 else ""
        return f"{count}{self.name} ({variant})" if variant else f"{count}{self.name}"


@dataclass(frozen=True)
class RequestView:
    """An exchange or return asked for and not withdrawn; `item` counts from 0, size and colour are the wish."""

    id: UUID
    kind: Literal["exchange", "return"]
    item: int
    size: str | None
    color: str | None

    @property
    def words(self) -> str:
        """What was asked for: "exchange for size 8, black", "return"."""
        wish = catalogue.variant_words(self.size, self.color)
        return f"exchange for {wish}" if self.kind == "exchange" and wish else self.kind


@dataclass(frozen=True)
class OrderView:
    """An order with its items, open requests and tracking, if any; `number` without "#"; instants aware, UTC."""

    id: UUID
    number: str
    status: str
    items: tuple[OrderItem, ...]
    requests: tuple[RequestView, ...]
    address: str | None
    postcode: str | None
    email: str | None
    placed_at: datetime
    tracking_company: str | None
    tracking_number: str | None
    tracking_url: str | None
    expected_on: datetime | None

    @property
    def products(self) -> tuple[str, ...]:
        """The names of what was ordered, never empty."""
        return tuple(item.name for item in self.items) or ("your order",)

    @property
    def first_product(self) -> str:
        """The product the order is remembered by."""
        return self.products[0]

    @property
    def words(self) -> str:
        """The order as a text names it: "order 1043 (Nova heels and 1 more)"."""
        more = f" and {len(self.items) - 1} more" if len(self.items) > 1 else ""
        return f"order {self.number} ({self.first_product}{more})"

    def request(self, item: int) -> RequestView | None:
        """What is open for an item."""
        return next((request for request in self.requests if request.item == item), None)


# -- reading -------------------------------------------------------------------------------------------------------


async def find(session: AsyncSession, contact_id: UUID, number: str | None) -> list[OrderView]:
    """The orders the contact placed or proved to know, newest first; with `number` only that one, if it is theirs."""
    query = select(Order).where(_may_see(contact_id))
    if number is not None:
        query = query.where(Order.number == _plain(number))
    rows = await session.scalars(query.order_by(Order.placed_at.desc(), Order.number.desc()).limit(LATEST))
    return await _views(session, rows.all())


async def check_proof(
    session: AsyncSession, number: str, proof: str
) -> tuple[OrderView, Literal["postcode", "email"]] | None:
    """The order of this number if `proof` is its email or postcode, and which; None for a wrong one and for no order.

    Takes no contact: whoever calls it must not tell the two apart.
    """
    row = await session.scalar(select(Order).where(Order.number == _plain(number)))
    if row is None:
        return None
    email, postcode = details.email(proof), details.postcode(proof)
    by: Literal["postcode", "email"]
    if email is not None and row.email and _same(email, row.email.strip().lower()):
        by = "email"
    elif postcode is not None and any(_same(postcode, known) for known in _postcodes(row)):
        by = "postcode"
    else:
        return None
    return (await _views(session, [row]))[0], by


async def proofs_asked(session: AsyncSession, contact_id: UUID, now: datetime) -> int:
    """How often this contact was asked for a proof lately, about whatever order; guessing stops there."""
    asked = await session.scalar(
        select(func.count())
        .select_from(OpenQuestion)
        .join(Conversation, Conversation.id == OpenQuestion.conversation_id)
        .where(
            Conversation.contact_id == contact_id,
            OpenQuestion.kind == "identify",
            OpenQuestion.asked_at > now - PROOFS_WITHIN,
        )
    )
    return asked or 0


def _may_see(contact_id: UUID) -> ColumnElement[bool]:
    proven = exists().where(OrderProof.order_id == Order.id, OrderProof.contact_id == contact_id)
    return or_(Order.contact_id == contact_id, proven)


def _plain(number: str) -> str:
    return number.strip().lstrip("#").strip()


def _postcodes(row: Order) -> list[str]:
    """The order's postcodes: the one it was placed with and the one it goes to now."""
    return [code for code in (details.postcode(row.postcode or ""), details.postcode_of(row.address or "")) if code]


def _same(told: str, known: str) -> bool:
    return hmac.compare_digest(told.encode(), known.encode())


async def _views(session: AsyncSession, rows: Sequence[Order]) -> list[OrderView]:
    requests: dict[UUID, list[RequestView]] = defaultdict(list)
    if rows:
        query = select(OrderRequest).where(
            OrderRequest.order_id.in_([row.id for row in rows]), OrderRequest.withdrawn_at.is_(None)
        )
        for request in await session.scalars(query.order_by(OrderRequest.created_at)):
            kind: Literal["exchange", "return"] = "exchange" if request.kind == "exchange" else "return"
            requests[request.order_id].append(RequestView(request.id, kind, request.item, request.size, request.color))
    return [
        OrderView(
            id=row.id,
            number=row.number,
            status=row.status,
            items=tuple(_item(item) for item in row.items),
            requests=tuple(requests[row.id]),
            address=row.address,
            postcode=row.postcode,
            email=row.email,
            placed_at=row.placed_at,
            tracking_company=row.tracking_company,
            tracking_number=row.tracking_number,
            tracking_url=row.tracking_url,
            expected_on=row.expected_on,
        )
        for row in rows
    ]


def _item(item: dict[str, Any]) -> OrderItem:
    return OrderItem(
        name=str(item["name"]),
        quantity=int(item.get("quantity") or 1),
        product=_text(item.get("product")),
        size=_text(item.get("size")),
        color=_text(item.get("color")),
    )


def _text(value: object) -> str | None:
    return str(value) if value is not None else None


# -- changing ------------------------------------------------------------------------------------------------------


async def apply(session: AsyncSession, contact_id: UUID, change: OrderChange, now: datetime) -> Changed:
    """Carry out one change of an order this contact may change, in the caller's transaction.

    Raises Stale where the order is not theirs to change or no longer as the change expects it, or where what an
    exchange wants was promised to somebody else; then nothing of the transaction stands.
    """
    if isinstance(change, ProveOrder):
        return await _prove(session, contact_id, change, now)
    if isinstance(change, WithdrawRequest):
        return await _withdraw(session, contact_id, change, now)
    order = await _lock(session, contact_id, change.order_id)
    if isinstance(change, ChangeAddress):
        return _change_address(order, change)
    if isinstance(change, CancelOrder):
        return _cancel(order, change)
    if isinstance(change, RestoreOrder):
        return await _restore(session, order, change)
    return await _request(session, contact_id, order, change, now)


async def _lock(session: AsyncSession, contact_id: UUID, order_id: UUID) -> Order:
    """The order, locked. The lock is taken first, so that what is read of the order then is what stands."""
    order = await session.scalar(
        select(Order)
        .where(Order.id == order_id, _may_see(contact_id))
        .with_for_update(of=Order)
        .execution_options(populate_existing=True)
    )
    if order is None:
        raise Stale("the order is not this contact's")
    return order


def _unshipped(order: Order) -> None:
    if order.status not in UNSHIPPED:
        raise Stale(f"the order is {order.status}")


def _change_address(order: Order, change: ChangeAddress) -> Changed:
    _unshipped(order)
    if order.address != change.expected:
        raise Stale("the order goes somewhere else meanwhile")
    order.address = change.address
    return Changed(
        kind=change.kind,
        ref=order.number,
        before={"order_id": str(order.id), "address": change.expected},
        after={"order_id": str(order.id), "address": change.address},
    )


def _cancel(order: Order, change: CancelOrder) -> Changed:
    """What was promised for its exchanges is free again from here on: promises of cancelled orders do not count."""
    _unshipped(order)
    before, order.status = order.status, "cancelled"
    return Changed(
        kind=change.kind,
        ref=order.number,
        before={"order_id": str(order.id), "status": before},
        after={"order_id": str(order.id), "status": order.status},
    )


async def _restore(session: AsyncSession, order: Order, change: RestoreOrder) -> Changed:
    """Its exchanges count again, so what they were promised must still be there."""
    if order.status != "cancelled":
        raise Stale(f"the order is {order.status}")
    (view,) = await _views(session, [order])
    order.status = change.status
    await session.flush()
    wishes = [request for request in view.requests if request.kind == "exchange"]
    for wish in sorted(wishes, key=lambda request: (request.size or "", request.color or "")):
        item = view.items[wish.item]
        variant = await catalogue.lock(session, item.product, item.name, wish.size, wish.color)
        if variant is None or variant.free < 0:
            raise Stale("what an exchange of the order was promised is gone")
    return Changed(
        kind=change.kind,
        ref=order.number,
        before={"order_id": str(order.id), "status": "cancelled"},
        after={"order_id": str(order.id), "status": order.status},
    )


async def _request(
    session: AsyncSession, contact_id: UUID, order: Order, change: RequestExchange | RequestReturn, now: datetime
) -> Changed:
    (view,) = await _views(session, [order])
    if order.status == "cancelled" or (isinstance(change, RequestReturn) and order.status in UNSHIPPED):
        raise Stale(f"the order is {order.status}")
    if not 0 <= change.item < len(view.items):
        raise Stale("the order has no such item")
    if view.request(change.item) is not None:
        raise Stale("something was asked for this item already")
    item = view.items[change.item]
    request = OrderRequest(
        id=uuid4(), order_id=order.id, contact_id=contact_id, item=change.item, product=item.product, created_at=now
    )
    if isinstance(change, RequestExchange):
        size, color = change.size or item.size, change.color or item.color
        variant = await catalogue.lock(session, item.product, item.name, size, color)
        if variant is None or variant.free < item.quantity:
            raise Stale("what the exchange wants is not in stock")
        request.kind, request.product = "exchange", variant.product
        request.size, request.color = variant.size, variant.color
    else:
        request.kind, request.reason = "return", change.reason
    session.add(request)
    await session.flush()
    wish = {"size": request.size, "color": request.color} if request.kind == "exchange" else {"reason": request.reason}
    return Changed(
        kind=change.kind,
        ref=order.number,
        before={"order_id": str(order.id), "item": change.item, "size": item.size, "color": item.color},
        after={"order_id": str(order.id), "request_id": str(request.id), "item": change.item, **wish},
    )


async def _withdraw(session: AsyncSession, contact_id: UUID, change: WithdrawRequest, now: datetime) -> Changed:
    order_id = await session.scalar(select(OrderRequest.order_id).where(OrderRequest.id == change.request_id))
    if order_id is None:
        raise Stale("there is no such request")
    order = await _lock(session, contact_id, order_id)
    request = await session.scalar(
        select(OrderRequest)
        .where(OrderRequest.id == change.request_id, OrderRequest.withdrawn_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if request is None:
        raise Stale("the request was withdrawn already")
    request.withdrawn_at = now
    await session.flush()
    return Changed(
        kind=change.kind,
        ref=order.number,
        before={
            "order_id": str(order.id),
            "request_id": str(request.id),
            "request": request.kind,
            "item": request.item,
            "size": request.size,
            "color": request.color,
            "reason": request.reason,
        },
        after={"order_id": str(order.id), "request_id": str(request.id), "withdrawn_at": at(now)},
    )


async def _prove(session: AsyncSession, contact_id: UUID, change: ProveOrder, now: datetime) -> Changed:
    number = await session.scalar(select(Order.number).where(Order.id == change.order_id).with_for_update())
    if number is None:
        raise Stale("the order is gone")
    proof = {"order_id": change.order_id, "contact_id": contact_id, "by": change.by, "proven_at": now}
    await session.execute(insert(OrderProof).values(proof).on_conflict_do_nothing())
    return Changed(kind=change.kind, ref=number, after={"order_id": str(change.order_id), "by": change.by})


# -- words ---------------------------------------------------------------------------------------------------------


def status_words(order: OrderView, zone: ZoneInfo) -> str:
    """Where an order is, in one text: state, who carries it, tracking, the day it is expected, what was asked for."""
    name = f"Order {order.number} ({order.first_product})"
    day = order.expected_on.astimezone(zone) if order.expected_on else None
    expected = f" Expected {day:%a %b} {day.day}." if day else ""
    tracking = f", tracking {order.tracking_number}" if order.tracking_number else ""
    link = f" {order.tracking_url}" if order.tracking_url else ""
    carrier = f" with {order.tracking_company}" if order.tracking_company else ""
    if order.status == "cancelled":
        return f"{name} was cancelled."
    asked = "".join(f" Noted: {request.words}." for request in order.requests)
    if order.status == "shipped":
        return f"{name} is on its way{carrier}{tracking}.{expected}{asked}{link}"
    if order.status == "delivered":
        return f"{name} was delivered{carrier}{tracking}.{asked}{link}"
    state = "is packed and leaves us soon" if order.status == "packed" else "is placed and not yet shipped"
    return f"{name} {state}.{expected}{asked}"


#: Items a confirmation names; the rest is counted.
_CONFIRMED = 2


def order_confirmation(order: OrderView, brand: str) -> ShopText:
    """The confirmation of an order; it invites questions and changes in the contact's own words."""
    told = [item.words for item in order.items[:_CONFIRMED]] or ["your items"]
    more = f" and {len(order.items) - _CONFIRMED} more" if len(order.items) > _CONFIRMED else ""
    return ShopText(
        name="order_confirmation",
        text=(
            f"{brand}: Thank you for order {order.number}, {', '.join(told)}{more}. "
            "To ask where it is or to change its address, size or anything else, just reply. Reply STOP to opt out."
        ),
    )
