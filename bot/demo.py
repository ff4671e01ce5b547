"""The demo shop's people, bookings and orders, marked as such; it touches nothing that is not marked."""

from datetime import date, datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent
from bot.shop import bookings, shopfile
from bot.tables import Booking, Contact, Order, Resource, Service

#: +1 202 555 0100 to 0199 is reserved for fiction (North American Numbering Plan).
NAMES = (
    "Ann Becker",
    "Bob Castillo",
    "Carla Dunn",
    "Deniz Erkan",
    "Ella Fraser",
    "Femi Gbadamosi",
    "Grace Holm",
    "Hugo Ibarra",
    "Ines Jansen",
    "Jamal King",
    "Kaya Larsen",
    "Leo Moreau",
    "Mona Novak",
    "Noah Ortiz",
    "Olga Petrova",
    "Priya Rao",
    "Quinn Sato",
    "Rita Tran",
    "Sam Underwood",
    "Tess Vargas",
)
WORDING = (
    "I agree to get texts from Juniper Lane about my bookings and orders. Msg frequency varies. Msg & data rates may "
    "apply. Reply STOP to opt out, HELP for help."
)
#: Who comes when: days after the coming Friday, clock time, service, member of staff. One each for the first people.
BOOKINGS = (
    (0, time(14), "styling", "rosa"),
    (0, time(11), "styling", "lena"),
    (0, time(16), "fitting", "rosa"),
    (1, time(10), "styling", "rosa"),
    (1, time(12), "styling", "lena"),
    (4, time(13), "styling", "rosa"),
    (4, time(15), "styling", "rosa"),
    (4, time(13), "alteration", "theo"),
    (5, time(11), "styling", "lena"),
    (5, time(12), "alteration", "theo"),
    (6, time(17), "styling", "rosa"),
    (7, time(10), "styling", "rosa"),
)


async def fill(session: AsyncSession, consent_key: str) -> None:
    """Write twenty people who agreed to service texts, twelve bookings to come and four orders. Needs the shop's rows.

    A booking that the shop of shop.yml cannot take (another service, other staff) is left out.
    """
    now = clock.now()
    shop = await shopfile.read(session)
    people = [
        Contact(
            id=uuid4(),
            phone=(phone := f"+1202555{100 + number:04d}"),
            phone_hash=consent.phone_hash(phone, consent_key),
            name=name,
            demo=True,
            created_at=now,
        )
        for number, name in enumerate(NAMES)
    ]
    session.add_all(people)
    await session.flush()
    for person in people:
        await consent.record_opt_in(
            session,
            person,
            ["transactional", "conversational"],
            how="point_of_sale",
            wording=WORDING,
            wording_version="demo-1",
            by_whom="demo",
            now=now,
        )
    await _book(session, people, shop.zone, now)
    session.add_all(_orders(people, now))


async def _book(session: AsyncSession, people: list[Contact], zone: ZoneInfo, now: datetime) -> None:
    resources = await bookings.resource_ids(session)
    services = set(await session.scalars(select(Service.key)))
    does = {row.key: row.services for row in await session.scalars(select(Resource))}
    friday = _coming_friday(now.astimezone(zone).date())
    for person, (days, clock_time, service, staff) in zip(people, BOOKINGS, strict=False):
        if service in services and service in does.get(staff, []):
            start = datetime.combine(friday + timedelta(days=days), clock_time, zone)
            await bookings.book(session, person.id, service, resources[staff], start, now, demo=True)


def _coming_friday(today: date) -> date:
    """The next Friday that is not today."""
    return today + timedelta(days=(4 - today.weekday() - 1) % 7 + 1)


def _orders(people: list[Contact], now: datetime) -> list[Order]:
    """Four orders, one of each kind a shop asks about."""
    rows = (
        ("1042", people[0], "shipped", "Trail Runner sneakers", timedelta(days=3), timedelta(days=2)),
        ("1043", people[1], "placed", "Nova heels", timedelta(hours=5), None),
        ("1038", people[2], "delivered", "Harbor raincoat", timedelta(days=9), None),
        ("1041", people[3], "packed", "Linen shirt", timedelta(days=1), None),
    )
    return [
        Order(
            number=number,
            contact_id=person.id,
            status=status,
            placed_at=now - ago,
            items=[{"name": product, "quantity": 1}],
            tracking_company="UPS" if status in ("shipped", "delivered") else None,
            tracking_number=f"1Z999AA1{number}784" if status in ("shipped", "delivered") else None,
            expected_on=now + due if due is not None else None,
            demo=True,
        )
        for number, person, status, product, ago, due in rows
    ]


async def remove(session: AsyncSession) -> int:
    """Take the demo's people away with everything of theirs but the consent ledger; how many people there were."""
    await session.execute(delete(Order).where(Order.demo))
    await session.execute(delete(Booking).where(Booking.demo))
    gone = await session.scalars(delete(Contact).where(Contact.demo).returning(Contact.id))
    return len(gone.all())
