"""The demo shop: a month that is over, marked, believable, and gone by one command."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent, demo, numbers
from bot.db import Database
from bot.shop import bookings, orders, shopfile
from bot.tables import (
    DECISIONS,
    Base,
    Booking,
    Code,
    ConsentEvent,
    Contact,
    Conversation,
    Effect,
    Message,
    OpenQuestion,
    Order,
    Product,
    Rating,
    SenderNumber,
    Shop,
    Ticket,
    Turn,
    Variant,
)
from bot.values import TicketReason
from tests.test_bookings import ZONE, booked

FIRST_SIX = [f"+1202555{number:04d}" for number in range(100, 106)]


@pytest.fixture
async def filled(db: Database) -> AsyncIterator[AsyncSession]:
    """A transaction that sees the demo shop."""
    async with db.begin() as session:
        await demo.fill(session, "key")
    async with db.begin() as session:
        yield session


async def counted(session: AsyncSession) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table.name: (await session.execute(select(func.count()).select_from(table))).scalar_one()
        for table in Base.metadata.sorted_tables
    }


async def test_the_demo_has_people_bookings_orders_and_consent(filled: AsyncSession) -> None:
    """Numbers kept for fiction, a booking on the coming Friday at two, orders 1042 and 1043 with all that is asked."""
    phones = list(await filled.scalars(select(Contact.phone).order_by(Contact.phone)))
    ann = (await filled.scalars(select(Contact).where(Contact.phone == "+12025550100"))).one()
    (booking,) = await bookings.upcoming(filled, ann.id, clock.now())
    (order,) = await orders.find(filled, ann.id, "#1042")
    placed = (await filled.scalars(select(Order).where(Order.number == "1043"))).one()
    unmarked = await filled.scalar(select(func.count()).select_from(Contact).where(Contact.demo.is_(False)))

    assert [f"+1202555{number:04d}" for number in range(100, 120)] == phones
    assert ("shipped", "placed", 0) == (order.status, placed.status, unmarked)
    assert {"name", "quantity", "product", "size", "color"} == set(placed.items[0])
    assert placed.address
    assert placed.postcode
    assert placed.email
    assert timedelta(0) < booking.starts_at - clock.now() <= timedelta(days=8)


async def test_every_item_ordered_is_on_sale(filled: AsyncSession) -> None:
    """Exchanges and stock can be tried with them."""
    rows = await filled.execute(
        select(Product.key, Variant.size, Variant.color).join(Variant, Variant.product_id == Product.id)
    )
    on_sale = {tuple(row) for row in rows}
    bought = {
        (item["product"], item["size"], item["color"])
        for items in await filled.scalars(select(Order.items))
        for item in items
    }

    assert set() == bought - on_sale


async def test_a_month_has_something_of_everything(filled: AsyncSession) -> None:
    """As many texts as plots need, every decision, every reason, both kinds of rating, all over the month."""
    turns = list(await filled.scalars(select(Turn)))
    reasons = Counter(await filled.scalars(select(Ticket.reason)))
    ratings = Counter(await filled.scalars(select(Rating.scale)))
    kinds = set(await filled.scalars(select(Effect.kind)))
    days = {(clock.now() - turn.ended_at).days for turn in turns}
    clear = {turn.intent for turn in turns if turn.intent}

    assert 150 <= len(turns) <= 250
    assert set(DECISIONS) == {turn.decision for turn in turns}
    assert set(get_args(TicketReason)) == set(reasons)
    assert ratings[5] >= 20
    assert ratings[10] >= 12
    assert len(days) >= 28
    assert len(clear) >= 15
    assert all(turn.confidence is not None for turn in turns if turn.intent)
    assert {
        *("booking.held", "booking.rescheduled", "booking.cancelled", "booking.confirmed", "rating.recorded"),
        *("contest.entered", "preference.set", "code.issued", "consent.opted_out", "consent.opted_in"),
        *("ticket.opened", "ticket.appended", "order.exchange_requested", "order.return_requested"),
    } <= kinds


async def test_nothing_of_the_month_is_pending(filled: AsyncSession) -> None:
    """No text unread or on its way, no question open, no lease, nothing after now; two tickets wait on purpose."""
    now = clock.now()
    texts = list(await filled.scalars(select(Message).order_by(Message.seq)))
    waits = await filled.execute(
        select(Ticket.reason, Contact.name)
        .join(Conversation, Conversation.id == Ticket.conversation_id)
        .join(Contact, Contact.id == Conversation.contact_id)
        .where(Ticket.status == "open")
    )
    talking = list(await filled.scalars(select(Conversation)))

    assert {"received", "delivered", "undelivered"} == {text.status for text in texts}
    assert [] == [text for text in texts if text.direction == "inbound" and text.turn_id != text.id]
    assert [] == [text for text in texts if text.created_at > now]
    assert texts == sorted(texts, key=lambda text: text.created_at)
    assert {("complaint", "Sam Underwood"), ("asked_for_person", "Tess Vargas")} == {(r, n) for r, n in waits}
    assert 0 == await filled.scalar(
        select(func.count()).select_from(OpenQuestion).where(OpenQuestion.closed_at.is_(None))
    )
    assert [] == [one for one in talking if one.pending_since or one.claimed_by or one.dialogue]
    assert {"bot": 18, "queue": 2} == Counter(one.owner for one in talking)


async def test_the_first_people_can_be_texted_and_tried_with(filled: AsyncSession) -> None:
    """Opted in, nobody waiting, no contest entered, no code had, no order but the one everybody knows."""
    rows = list(await filled.scalars(select(Contact).where(Contact.phone.in_(FIRST_SIX)).order_by(Contact.phone)))
    states = [await consent.state(filled, row.phone_hash) for row in rows]
    allowed = [set(await consent.latest(filled, row.phone_hash)) for row in rows]
    theirs = [row.id for row in rows]
    codes = await filled.scalar(select(func.count()).select_from(Code).where(Code.contact_id.in_(theirs)))
    bought = Counter(await filled.scalars(select(Order.contact_id).where(Order.contact_id.in_(theirs))))
    coming = [len(await bookings.upcoming(filled, row.id, clock.now())) for row in rows]
    opened = await filled.scalar(
        select(func.count())
        .select_from(Ticket)
        .join(Conversation, Conversation.id == Ticket.conversation_id)
        .where(Conversation.contact_id.in_(theirs))
    )

    assert (["in"] * 6, [1] * 6) == (states, coming)
    assert [{"marketing", "transactional", "conversational"}] * 6 == allowed
    assert (0, 0, [1, 1, 1, 1]) == (codes, opened, list(bought.values()))
    assert [{}] * 6 == [row.profile for row in rows]


async def test_who_opted_out_is_out_and_who_came_back_is_in(filled: AsyncSession) -> None:
    """Two for good, one for two days; nobody is texted after their STOP."""
    states = {row.name: await consent.state(filled, row.phone_hash) for row in await filled.scalars(select(Contact))}
    late = await filled.scalar(
        text(
            "SELECT count(*) FROM messages m JOIN conversations c ON c.id = m.conversation_id JOIN contacts p ON"
            " p.id = c.contact_id WHERE p.name IN ('Quinn Sato', 'Rita Tran') AND m.author IN ('shop', 'bot') AND"
            " m.purpose <> 'keyword' AND m.created_at > (SELECT min(e.recorded_at) FROM consent_events e"
            " WHERE e.phone_hash = p.phone_hash AND e.action = 'opted_out')"
        )
    )

    assert {"Quinn Sato", "Rita Tran"} == {name for name, state in states.items() if state == "out"}
    assert ("in", 0) == (states["Jamal King"], late)


async def test_nobody_is_booked_twice_and_every_answer_is_once(filled: AsyncSession) -> None:
    """Times of one person of staff never overlap; whatever was asked of somebody was answered at most once."""
    rows = list(await filled.scalars(select(Booking).where(Booking.status != "cancelled")))
    overlapping = [
        (one.number, other.number)
        for one in rows
        for other in rows
        if one.number < other.number
        and one.resource_id == other.resource_id
        and one.starts_at < other.ends_at
        and other.starts_at < one.ends_at
    ]

    assert [] == overlapping
    assert len(rows) > 25


async def test_it_is_written_in_few_statements_and_in_a_moment(db: Database) -> None:
    """The month's size does not show in the number of statements."""
    counted_statements = [0]

    def count(*_: object) -> None:
        counted_statements[0] += 1

    began = time.perf_counter()
    async with db.begin() as session:
        event.listen(db.engine.sync_engine, "after_cursor_execute", count)
        await demo.fill(session, "key")

    # A dozen bookings to come are booked one by one, as everybody's are.
    assert counted_statements[0] < 180
    assert time.perf_counter() - began < 5


async def test_removing_the_demo_leaves_everything_else(db: Database) -> None:
    """Real contacts and their bookings stay, codes go back; of the demo only the ledger's lines are left."""
    real = await booked(db, datetime(2027, 6, 1, 10, 0, tzinfo=ZONE))
    async with db.begin() as session:
        before = await counted(session)
        await demo.fill(session, "key")
        lines = await session.scalar(select(func.count()).select_from(ConsentEvent))
    async with db.begin() as session:
        gone = await demo.remove(session)
    async with db.begin() as session:
        after = await counted(session)
        left = [row.id for row in await session.scalars(select(Booking))]
        given = await session.scalar(select(func.count()).select_from(Code).where(Code.issued_at.is_not(None)))

    assert (20, [real.id], 0) == (gone, left, given)
    assert before | {"consent_events": lines} == after


async def test_filling_twice_is_filling_once(db: Database) -> None:
    """A second time changes nothing; after a removal the same month is there again."""
    async with db.begin() as session:
        await demo.fill(session, "key")
        first = await said(session)
    async with db.begin() as session:
        await demo.fill(session, "key")
        second = await said(session)
        await demo.remove(session)
        await demo.fill(session, "key")
        third = await said(session)

    assert first == second == third
    assert len(first) > 400


async def said(session: AsyncSession) -> list[tuple[Any, ...]]:
    """Every text of the month, without when: the month ends whenever it is filled."""
    rows = await session.execute(select(Message.author, Message.name, Message.parts).order_by(Message.id))
    return [tuple(row) for row in rows]


async def test_a_shop_with_nothing_to_give_has_a_month_too(db: Database) -> None:
    """No contest, no preference, no code, no product, no staff: what is not there is left out."""
    file = shopfile.load(shopfile_of())
    content = file.content.model_copy(update={"contests": [], "preferences": [], "code_pools": []})
    async with db.begin() as session:
        (await session.get_one(Shop, 1)).content = content.model_dump(mode="json")
        await session.execute(text("UPDATE resources SET services = '{}'"))
        await session.execute(text("UPDATE products SET listed = false"))
        await session.execute(text("DELETE FROM codes"))
        await session.flush()
        await demo.fill(session, "key")
        kinds = set(await session.scalars(select(Effect.kind)))
        number = await session.scalar(select(SenderNumber.phone))

    assert number == (await only_number(db))
    assert set() == {"contest.entered", "preference.set", "code.issued", "booking.confirmed"} & kinds


def shopfile_of() -> Any:
    """The shop file of the checkout."""
    from bot.settings import ROOT

    return ROOT / "shop.yml"


async def only_number(db: Database) -> str:
    """The shop's default number."""
    async with db.begin() as session:
        return (await numbers.number_of(session, None)).phone
