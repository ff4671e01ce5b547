"""Orders seen and changed only by whom they belong to, under real locks; nothing is promised twice."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update

from bot.db import Database
from bot.errors import Stale
from bot.shop import catalogue, orders
from bot.shop.orders import OrderChange, OrderView
from bot.tables import Order, Variant
from bot.text import measure
from bot.values import (
    CancelOrder,
    ChangeAddress,
    Changed,
    ProveOrder,
    RequestExchange,
    RequestReturn,
    RestoreOrder,
    WithdrawRequest,
)
from tests.test_bookings import NOW, ZONE, person

RUNNERS = {"name": "Trail Runner sneakers", "quantity": 1, "product": "trail-runner", "size": "8", "color": "black"}
HEELS = {"name": "Nova heels", "quantity": 1, "product": "nova-heels", "size": "8", "color": "red"}
SHIRT = {"name": "Linen shirt", "quantity": 1, "product": "linen-shirt", "size": "M", "color": "white"}
ADDRESS, POSTCODE, EMAIL = "14 Elm Street, New York NY 10013", "10013", "ann@mail.example"
ELSEWHERE = "12 Oak St, Brooklyn NY 11201"


async def somebody(db: Database) -> UUID:
    """A contact without orders."""
    async with db.begin() as session:
        return await person(session)


async def ordered(
    db: Database,
    contact: UUID | None = None,
    *,
    status: str = "placed",
    items: Sequence[dict[str, Any]] = (RUNNERS,),
    number: str | None = None,
    minutes_ago: int = 60,
) -> tuple[UUID, OrderView]:
    """An order of a contact, of somebody new where none is given; the contact and the order as they see it."""
    async with db.begin() as session:
        contact = contact or await person(session)
        order = Order(
            number=number or str(uuid4().int % 10**8),
            contact_id=contact,
            status=status,
            placed_at=NOW - timedelta(minutes=minutes_ago),
            items=list(items),
            address=ADDRESS,
            postcode=POSTCODE,
            email=EMAIL,
            tracking_company="UPS" if status in ("shipped", "delivered") else None,
        )
        session.add(order)
        await session.flush()
        (view,) = await orders.find(session, contact, order.number)
    return contact, view


async def do(db: Database, contact: UUID, change: OrderChange) -> Changed:
    """One change in a transaction of its own."""
    async with db.begin() as session:
        return await orders.apply(session, contact, change, NOW)


async def seen(db: Database, contact: UUID, order: OrderView) -> OrderView:
    """The order as it stands."""
    async with db.begin() as session:
        (view,) = await orders.find(session, contact, order.number)
    return view


async def set_status(db: Database, order: OrderView, status: str) -> None:
    """The store moves an order on."""
    async with db.begin() as session:
        await session.execute(update(Order).where(Order.id == order.id).values(status=status))


async def set_stock(db: Database, product: str, size: str, color: str, stock: int) -> None:
    """So many lie in the store."""
    async with db.begin() as session:
        await session.execute(
            text(
                "UPDATE variants SET stock = :stock FROM products WHERE products.id = product_id"
                " AND products.key = :product AND size = :size AND color = :color"
            ),
            {"stock": stock, "product": product, "size": size, "color": color},
        )


async def free(db: Database, product: str, size: str, color: str) -> int:
    """What the catalogue says can still be promised."""
    async with db.begin() as session:
        (found,) = [item for item in await catalogue.read(session) if item.key == product]
    return next(item.free for item in found.variants if (item.size, item.color) == (size, color))


def address_change(order: OrderView, address: str = ELSEWHERE, expected: str = ADDRESS) -> ChangeAddress:
    """Send the order elsewhere."""
    return ChangeAddress(order_id=order.id, expected=expected, address=address)


def exchange(order: OrderView, size: str | None = "9", color: str | None = "black", item: int = 0) -> RequestExchange:
    """Swap an item for another size."""
    return RequestExchange(order_id=order.id, item=item, size=size, color=color)


def every_change(order: OrderView) -> list[OrderChange]:
    """One of each that a contact can ask for."""
    return [
        address_change(order),
        CancelOrder(order_id=order.id),
        RestoreOrder(order_id=order.id, status="placed"),
        exchange(order),
        RequestReturn(order_id=order.id, item=0),
    ]


# -- whose ---------------------------------------------------------------------------------------------------------


async def test_an_order_is_seen_by_its_contact_newest_first_and_by_nobody_else(db: Database) -> None:
    """With a number only that one, "#" or not."""
    ann, first = await ordered(db, minutes_ago=90)
    _, second = await ordered(db, ann, minutes_ago=10)
    bob = await somebody(db)

    async with db.begin() as session:
        assert [second, first] == await orders.find(session, ann, None)
        assert [first] == await orders.find(session, ann, f" #{first.number} ")
        assert [] == await orders.find(session, bob, None)
        assert [] == await orders.find(session, bob, first.number)


async def test_nothing_of_somebody_elses_order_can_be_changed(db: Database) -> None:
    """Not before it was proven, whatever the change."""
    ann, order = await ordered(db, status="placed")
    bob = await somebody(db)
    asked = await do(db, ann, exchange(order))
    assert asked.after is not None

    for change in [*every_change(order), WithdrawRequest(request_id=UUID(asked.after["request_id"]))]:
        with pytest.raises(Stale):
            await do(db, bob, change)

    stands = await seen(db, ann, order)
    assert ("placed", ADDRESS, 1) == (stands.status, stands.address, len(stands.requests))


@pytest.mark.parametrize(
    "proof, by",
    [
        (POSTCODE, "postcode"),
        ("10013-1234", "postcode"),
        (EMAIL, "email"),
        ("Ann@Mail.Example", "email"),
        ("10014", None),
        ("bob@mail.example", None),
        ("nn@mail.example", None),
        ("", None),
    ],
)
async def test_only_the_orders_postcode_or_email_proves_it(db: Database, proof: str, by: str | None) -> None:
    """Case does not matter; a part of it is nothing."""
    _, order = await ordered(db)

    async with db.begin() as session:
        found = await orders.check_proof(session, order.number, proof)

    assert by == (found[1] if found is not None else None)


async def test_an_order_without_postcode_and_email_is_proven_by_nothing(db: Database) -> None:
    """An empty column matches no answer."""
    _, order = await ordered(db)
    async with db.begin() as session:
        await session.execute(update(Order).values(postcode=None, email=None, address=None))
        for proof in ("", "None", POSTCODE, EMAIL):
            assert await orders.check_proof(session, order.number, proof) is None


async def test_the_postcode_of_a_changed_address_proves_it_as_well(db: Database) -> None:
    """People tell the postcode the parcel goes to."""
    ann, order = await ordered(db)
    await do(db, ann, address_change(order))

    async with db.begin() as session:
        assert await orders.check_proof(session, order.number, "11201") is not None
        assert await orders.check_proof(session, order.number, POSTCODE) is not None


async def test_a_proven_order_is_seen_and_changed_like_ones_own(db: Database) -> None:
    """Proving it twice is no error."""
    ann, order = await ordered(db)
    bob = await somebody(db)

    for _ in range(2):
        proven = await do(db, bob, ProveOrder(order_id=order.id, by="postcode"))
    await do(db, bob, address_change(order))

    assert ("order.proven", order.number) == (proven.kind, proven.ref)
    assert ELSEWHERE == (await seen(db, bob, order)).address == (await seen(db, ann, order)).address
    carla = await somebody(db)
    with pytest.raises(Stale):
        await do(db, carla, CancelOrder(order_id=order.id))


# -- address and cancelling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["placed", "packed"])
async def test_an_unshipped_order_goes_elsewhere_and_back(db: Database, status: str) -> None:
    """The effect carries what undoes it."""
    ann, order = await ordered(db, status=status)

    changed = await do(db, ann, address_change(order))

    assert ("order.address_changed", order.number) == (changed.kind, changed.ref)
    assert {"order_id": str(order.id), "address": ADDRESS} == changed.before
    assert {"order_id": str(order.id), "address": ELSEWHERE} == changed.after
    await do(db, ann, address_change(order, address=ADDRESS, expected=ELSEWHERE))
    assert order == await seen(db, ann, order)


@pytest.mark.parametrize("status", ["shipped", "delivered", "cancelled"])
async def test_what_has_shipped_is_neither_sent_elsewhere_nor_cancelled(db: Database, status: str) -> None:
    """Also where it shipped between question and answer."""
    ann, order = await ordered(db, status="packed")
    await set_status(db, order, status)

    for change in (address_change(order), CancelOrder(order_id=order.id)):
        with pytest.raises(Stale):
            await do(db, ann, change)

    stands = await seen(db, ann, order)
    assert (status, ADDRESS) == (stands.status, stands.address)


async def test_an_address_changed_meanwhile_is_not_overwritten(db: Database) -> None:
    """The change names what it saw."""
    ann, order = await ordered(db)
    await do(db, ann, address_change(order))

    with pytest.raises(Stale):
        await do(db, ann, address_change(order, address="1 Park Ave"))

    assert ELSEWHERE == (await seen(db, ann, order)).address


async def test_the_store_ships_while_the_contact_cancels_and_one_of_them_wins(db: Database) -> None:
    """The order's row is locked: the cancellation waits for the store's change and sees it."""
    ann, order = await ordered(db, status="packed")
    async with db.begin() as store:
        await store.execute(update(Order).where(Order.id == order.id).values(status="shipped"))
        cancelling = asyncio.create_task(do(db, ann, CancelOrder(order_id=order.id)))
        await asyncio.sleep(0.2)
        assert not cancelling.done()
    with pytest.raises(Stale):
        await cancelling

    assert "shipped" == (await seen(db, ann, order)).status


async def test_a_cancellation_is_taken_back_to_the_state_before(db: Database) -> None:
    """Once; an order that stands cannot be restored."""
    ann, order = await ordered(db, status="packed")

    cancelled = await do(db, ann, CancelOrder(order_id=order.id))
    assert ("order.cancelled", "packed") == (cancelled.kind, (cancelled.before or {})["status"])
    with pytest.raises(Stale):
        await do(db, ann, CancelOrder(order_id=order.id))
    restored = await do(db, ann, RestoreOrder(order_id=order.id, status="packed"))

    assert "order.restored" == restored.kind
    assert order == await seen(db, ann, order)
    with pytest.raises(Stale):
        await do(db, ann, RestoreOrder(order_id=order.id, status="packed"))


# -- exchange and return -------------------------------------------------------------------------------------------


async def test_an_exchange_keeps_a_pair_and_gives_it_back_when_withdrawn(db: Database) -> None:
    """The stock as counted goes down by one and up again; the request is seen with the order."""
    ann, order = await ordered(db, status="delivered")
    before = await free(db, "trail-runner", "9", "black")

    asked = await do(db, ann, exchange(order))
    assert asked.after is not None
    request_id = UUID(asked.after["request_id"])

    assert ("order.exchange_requested", order.number) == (asked.kind, asked.ref)
    assert {"order_id": str(order.id), "item": 0, "size": "8", "color": "black"} == asked.before
    assert ("9", "black") == (asked.after["size"], asked.after["color"])
    assert before - 1 == await free(db, "trail-runner", "9", "black")
    (request,) = (await seen(db, ann, order)).requests
    assert (request_id, "exchange", 0, "9", "black") == (
        request.id,
        request.kind,
        request.item,
        request.size,
        request.color,
    )
    withdrawn = await do(db, ann, WithdrawRequest(request_id=request_id))
    assert ("order.request_withdrawn", "exchange", "9") == (
        withdrawn.kind,
        (withdrawn.before or {})["request"],
        (withdrawn.before or {})["size"],
    )
    assert before == await free(db, "trail-runner", "9", "black")
    assert order == await seen(db, ann, order)
    with pytest.raises(Stale):
        await do(db, ann, WithdrawRequest(request_id=request_id))


@pytest.mark.parametrize(
    "change, why",
    [
        ({"size": "10"}, "none lies there"),
        ({"size": "15"}, "it is not made"),
        ({"color": "pink"}, "nor in this colour"),
        ({"item": 1}, "the order has one item"),
        ({"item": -1}, "the order has one item"),
    ],
)
async def test_an_exchange_for_what_is_not_there_is_refused(db: Database, change: dict[str, Any], why: str) -> None:
    """Nothing is kept and nothing noted."""
    ann, order = await ordered(db, status="delivered")

    with pytest.raises(Stale):
        await do(db, ann, exchange(order).model_copy(update=change))

    assert order == await seen(db, ann, order), why


async def test_an_item_without_a_key_is_found_by_its_name(db: Database) -> None:
    """Orders from before the catalogue name products in words; the colour kept is the item's own."""
    ann, order = await ordered(
        db, status="shipped", items=[{"name": "linen SHIRT", "quantity": 1, "size": "m", "color": "White"}]
    )

    asked = await do(db, ann, exchange(order, size="l", color=None))

    assert ("L", "white") == ((asked.after or {})["size"], (asked.after or {})["color"])
    assert 1 == await free(db, "linen-shirt", "L", "white")


async def test_two_pieces_need_two_pieces(db: Database) -> None:
    """An item of two is swapped as a whole, or not at all."""
    ann, order = await ordered(db, status="delivered", items=[{**SHIRT, "quantity": 2}])
    await set_stock(db, "linen-shirt", "L", "white", 1)
    wish = exchange(order, size="L", color="white")

    with pytest.raises(Stale):
        await do(db, ann, wish)
    await set_stock(db, "linen-shirt", "L", "white", 2)
    await do(db, ann, wish)

    assert 0 == await free(db, "linen-shirt", "L", "white")


async def test_an_item_has_one_request_at_a_time(db: Database) -> None:
    """Another item of the order has its own; a withdrawn one makes room in the same transaction."""
    ann, order = await ordered(db, status="delivered", items=[RUNNERS, SHIRT])
    asked = await do(db, ann, exchange(order))

    for change in (exchange(order, color="green"), RequestReturn(order_id=order.id, item=0)):
        with pytest.raises(Stale):
            await do(db, ann, change)
    await do(db, ann, RequestReturn(order_id=order.id, item=1, reason="too thin"))
    async with db.begin() as session:
        old = UUID((asked.after or {})["request_id"])
        await orders.apply(session, ann, WithdrawRequest(request_id=old), NOW)
        await orders.apply(session, ann, exchange(order, color="green"), NOW)

    stands = await seen(db, ann, order)
    assert {(0, "exchange", "green"), (1, "return", None)} == {
        (request.item, request.kind, request.color) for request in stands.requests
    }


@pytest.mark.parametrize("status, refused", [("placed", True), ("packed", True), ("shipped", False)])
async def test_only_what_was_sent_can_be_sent_back(db: Database, status: str, refused: bool) -> None:
    """The undo of a return withdraws it."""
    ann, order = await ordered(db, status=status)
    change = RequestReturn(order_id=order.id, item=0, reason="it pinches")

    if refused:
        with pytest.raises(Stale):
            await do(db, ann, change)
        return
    asked = await do(db, ann, change)

    assert ("order.return_requested", "it pinches") == (asked.kind, (asked.after or {})["reason"])
    await do(db, ann, WithdrawRequest(request_id=UUID((asked.after or {})["request_id"])))
    assert order == await seen(db, ann, order)


async def test_nothing_is_swapped_or_sent_back_of_a_cancelled_order(db: Database) -> None:
    """There is nothing to send."""
    ann, order = await ordered(db, status="cancelled")

    for change in (exchange(order), RequestReturn(order_id=order.id, item=0)):
        with pytest.raises(Stale):
            await do(db, ann, change)


async def test_the_last_pair_is_promised_to_one_of_two(db: Database) -> None:
    """Both ask at the same moment, each in a transaction of their own; one gets it and one is told it went."""
    await set_stock(db, "trail-runner", "9", "black", 1)
    people = [await ordered(db, status="delivered") for _ in range(2)]
    both = asyncio.Barrier(2)

    async def ask(contact: UUID, order: OrderView) -> Changed:
        async with db.begin() as session:
            await session.execute(select(Variant.id).limit(1))  # a transaction is under way before the other's commit
            await both.wait()
            return await orders.apply(session, contact, exchange(order), NOW)

    results = await asyncio.gather(*(ask(*one) for one in people), return_exceptions=True)

    assert {Changed, Stale} == {type(result) for result in results}
    assert 0 == await free(db, "trail-runner", "9", "black")


async def test_whoever_waits_for_the_last_pair_sees_the_promise_before(db: Database) -> None:
    """The count is taken after the lock, not before it."""
    await set_stock(db, "trail-runner", "9", "black", 1)
    (ann, hers), (bob, his) = await ordered(db, status="delivered"), await ordered(db, status="delivered")

    async with db.begin() as session:
        await orders.apply(session, ann, exchange(hers), NOW)
        waiting = asyncio.create_task(do(db, bob, exchange(his)))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    with pytest.raises(Stale):
        await waiting

    assert () == (await seen(db, bob, his)).requests


async def test_a_cancelled_order_promises_nothing_and_takes_back_only_what_is_left(db: Database) -> None:
    """Cancelling frees the pair; when somebody else got it, the order cannot be restored with its exchange."""
    await set_stock(db, "trail-runner", "9", "black", 1)
    ann, hers = await ordered(db, status="placed")
    bob, his = await ordered(db, status="delivered")
    await do(db, ann, exchange(hers))
    await do(db, ann, CancelOrder(order_id=hers.id))
    assert 1 == await free(db, "trail-runner", "9", "black")

    taken = await do(db, bob, exchange(his))
    with pytest.raises(Stale):
        await do(db, ann, RestoreOrder(order_id=hers.id, status="placed"))
    await do(db, bob, WithdrawRequest(request_id=UUID((taken.after or {})["request_id"])))
    await do(db, ann, RestoreOrder(order_id=hers.id, status="placed"))

    assert ("placed", 1) == ((await seen(db, ann, hers)).status, len((await seen(db, ann, hers)).requests))
    assert 0 == await free(db, "trail-runner", "9", "black")


# -- words ---------------------------------------------------------------------------------------------------------


async def test_the_status_tells_what_was_asked_for(db: Database) -> None:
    """An exchange noted is part of where the order stands."""
    ann, order = await ordered(db, status="delivered")
    await do(db, ann, exchange(order))

    words = orders.status_words(await seen(db, ann, order), ZONE)

    told = "(Trail Runner sneakers) was delivered with UPS. Noted: exchange for size 9, black."
    assert f"Order {order.number} {told}" == words


async def test_a_confirmation_names_shop_order_and_items_and_the_way_out(db: Database) -> None:
    """In two parts, with no word a carrier acts on but STOP."""
    _, order = await ordered(db, number="77881", items=[RUNNERS, {**SHIRT, "quantity": 2}, HEELS])

    started = orders.order_confirmation(order, "Juniper Lane")

    assert (
        "Juniper Lane: Thank you for order 77881, Trail Runner sneakers (size 8, black), 2 x Linen shirt"
        " (size M, white) and 1 more. To ask where it is or to change its address, size or anything else, just reply."
        " Reply STOP to opt out."
    ) == started.text
    assert ("order_confirmation", "transactional", []) == (started.name, started.purpose, started.asks)
    assert ("GSM-7", 2) == measure(started.text)[::2]
