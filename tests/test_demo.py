"""The demo shop: marked, believable, and gone by one command."""

from datetime import datetime, timedelta

from sqlalchemy import func, select

from bot import clock, demo
from bot.db import Database
from bot.shop import bookings, orders
from bot.tables import Booking, ConsentEvent, Contact, Order
from tests.test_bookings import ZONE, booked


async def test_the_demo_has_people_bookings_orders_and_consent(db: Database) -> None:
    """Numbers reserved for fiction, a booking on the coming Friday at two, orders 1042 and 1043, consent on record."""
    async with db.begin() as session:
        await demo.fill(session, "key")

    async with db.begin() as session:
        phones = list(await session.scalars(select(Contact.phone).order_by(Contact.phone)))
        ann = (await session.scalars(select(Contact).where(Contact.phone == "+12025550100"))).one()
        (booking,) = await bookings.upcoming(session, ann.id, clock.now())
        (order,) = await orders.find(session, ann.id, "#1042")
        placed = await session.scalar(select(Order.status).where(Order.number == "1043"))
        marked = await session.scalar(select(func.count()).select_from(Contact).where(Contact.demo.is_(False)))
        allowed = await session.scalar(select(func.count()).select_from(ConsentEvent))

    assert [f"+1202555{number:04d}" for number in range(100, 120)] == phones
    assert "shipped" == order.status
    assert "placed" == placed
    assert (0, 40) == (marked, allowed)
    assert timedelta(0) < booking.starts_at - clock.now() <= timedelta(days=8)


async def test_removing_the_demo_leaves_everything_else(db: Database) -> None:
    """Real contacts and their bookings stay; the ledger is never touched."""
    real = await booked(db, datetime(2027, 6, 1, 10, 0, tzinfo=ZONE))
    async with db.begin() as session:
        await demo.fill(session, "key")
    async with db.begin() as session:
        gone = await demo.remove(session)

    async with db.begin() as session:
        left = [row.id for row in await session.scalars(select(Booking))]
        people = await session.scalar(select(func.count()).select_from(Contact))
        lines = await session.scalar(select(func.count()).select_from(ConsentEvent))

    assert (20, 1, 40) == (gone, people, lines)
    assert [real.id] == left
