"""The demo shop's people with a month of what they texted, marked as such; it touches nothing that is not marked.

The month is made up from a fixed seed and the hour it is filled, written in bulk, and over: no text unread, none on its
way, no question open. Two tickets wait for an answer on purpose, so that the console has something to show.
"""

import random
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent, numbers
from bot.demo_month import DAYS, Choice, FreeCode, Goods, Month, Person, new_id
from bot.demo_scenes import EVERYDAY, SCENES, WAITING
from bot.shop import bookings, shopfile
from bot.tables import (
    Base,
    Booking,
    Code,
    ConsentEvent,
    ConsentEvidence,
    Contact,
    ContestEntry,
    Conversation,
    Effect,
    Message,
    OpenQuestion,
    Order,
    OrderRequest,
    Product,
    Rating,
    Receipt,
    Resource,
    Service,
    SimulatorMessage,
    Ticket,
    Turn,
    User,
    Variant,
)

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
AGENTS = (("Maya Lind", "maya@demo.example"), ("Tom Reyes", "tom@demo.example"))
#: No password has this hash, so nobody can log in as the demo's agents; it also marks them.
NO_PASSWORD = "demo"  # noqa: S105  # the absence of one
SEED = 20
STREETS = ("Bleecker St", "Orchard St", "Court St", "Bedford Ave", "Grove St", "Vernon Blvd", "Dean St", "Pell St")
POSTCODES = ("10012", "10002", "11201", "11211", "10014", "11101", "11217", "10013")
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

# -- filling and removing ------------------------------------------------------------------------------------------


async def fill(session: AsyncSession, consent_key: str) -> None:
    """Write twenty people, their month, twelve bookings to come and their orders. Needs the shop's rows; once only.

    What the shop of shop.yml does not have (a service, a contest, a preference, codes) is left out.
    """
    if await session.scalar(select(Contact.id).where(Contact.demo).limit(1)) is not None:
        return
    now = clock.now()
    shop = await shopfile.read(session)
    rng = random.Random(SEED)  # noqa: S311  # made-up people, no secret
    people = [_person(rng, position, name, consent_key, now) for position, name in enumerate(NAMES)]
    month = Month(
        rng=rng,
        now=now,
        shop=shop,
        people=people,
        number=await numbers.number_of(session, None),
        agents=_agents(rng, now),
        resources=await _resources(session),
        products=await _products(session),
        codes=await _codes(session),
    )
    month.live(SCENES, EVERYDAY, WAITING)
    await _write(session, month)
    await _book(session, people, shop.zone, now)


async def remove(session: AsyncSession) -> int:
    """Take the demo's people away with everything of theirs but the consent ledger; how many people there were.

    Their codes can be given away again. The ledger keeps its lines by design, and no longer says whose they are.
    """
    for statement in (
        "DELETE FROM receipts r USING messages m JOIN conversations c ON c.id = m.conversation_id JOIN contacts p"
        " ON p.id = c.contact_id WHERE p.demo AND (r.message_id = m.id OR r.carrier_id = m.carrier_id)",
        "DELETE FROM simulator_messages s USING contacts p WHERE p.demo AND s.recipient = p.phone",
        "DELETE FROM page_events e USING conversations c JOIN contacts p ON p.id = c.contact_id"
        " WHERE p.demo AND e.conversation_id = c.id",
        "DELETE FROM consent_evidence e USING contacts p WHERE p.demo AND e.phone = p.phone",
        "UPDATE codes k SET contact_id = NULL, issued_at = NULL FROM contacts p WHERE p.demo AND k.contact_id = p.id",
    ):
        await session.execute(text(statement))
    await session.execute(delete(Order).where(Order.demo))
    await session.execute(delete(Booking).where(Booking.demo))
    gone = await session.scalars(delete(Contact).where(Contact.demo).returning(Contact.id))
    counted = len(gone.all())
    await session.execute(delete(User).where(User.password_hash == NO_PASSWORD))
    return counted


async def _book(session: AsyncSession, people: Sequence["Person"], zone: ZoneInfo, now: datetime) -> None:
    """The bookings to come, through the one module that may take somebody's time."""
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


async def _resources(session: AsyncSession) -> list["Choice"]:
    services = {row.key: row for row in await session.scalars(select(Service))}
    rows = await session.scalars(select(Resource).order_by(Resource.id))
    return [Choice(row, services[key]) for row in rows for key in row.services if key in services]


async def _products(session: AsyncSession) -> dict[str, "Goods"]:
    rows = await session.execute(
        select(Product.key, Product.name, Variant.size, Variant.color)
        .outerjoin(Variant, Variant.product_id == Product.id)
        .where(Product.listed)
        .order_by(Product.id, Variant.id)
    )
    found: dict[str, Goods] = {}
    for row in rows:
        product = found.setdefault(row.key, Goods(row.key, row.name, []))
        if (row.size, row.color) != (None, None):
            product.variants.append((row.size, row.color))
    return found


async def _codes(session: AsyncSession) -> list[FreeCode]:
    """Codes nobody has, the last of each list first, so that whoever tries things out begins with the first."""
    rows = await session.execute(
        select(Code.id, Code.pool, Code.code).where(Code.contact_id.is_(None)).order_by(Code.id.desc())
    )
    return [FreeCode(row.id, row.pool, row.code) for row in rows]


async def _write(session: AsyncSession, month: "Month") -> None:
    """Everything of the month, a statement a table, in the order it happened."""
    await _insert(session, User, month.agents)
    await _insert(session, Contact, [person.row(month.profiles) for person in month.people])
    await _insert(session, Order, month.orders)
    await _insert(session, Conversation, month.conversations.values())
    refs: dict[UUID, str] = {}
    if month.bookings:
        booked = insert(Booking).values(sorted(month.bookings, key=lambda row: row["starts_at"]))
        refs |= {row.id: str(row.number) for row in await session.execute(booked.returning(Booking.id, Booking.number))}
    await _insert(session, OpenQuestion, month.questions)
    ticketed = insert(Ticket).values(sorted(month.tickets, key=lambda row: row["opened_at"]))
    rows = await session.execute(ticketed.returning(Ticket.id, Ticket.number))
    refs |= {row.id: f"T{row.number}" for row in rows}
    await _insert(session, Message, sorted(month.messages, key=lambda row: row["created_at"]))
    await _insert(session, Turn, month.turns)
    for effect in month.effects:
        effect["ref"] = refs.get(effect["ref"], effect["ref"])
    await _insert(session, Effect, sorted(month.effects, key=lambda row: row["created_at"]))
    await _insert(session, Rating, month.ratings)
    await _insert(session, OrderRequest, month.requests)
    await _insert(session, ContestEntry, month.entries)
    await _insert(session, Receipt, sorted(month.receipts, key=lambda row: row["received_at"]))
    await _insert(session, SimulatorMessage, month.carried)
    given = [row for row in month.codes if row.contact_id is not None]
    if given:
        await session.execute(
            text(
                "UPDATE codes k SET contact_id = g.contact_id, issued_at = g.issued_at FROM"
                " unnest(CAST(:ids AS int[]), CAST(:contacts AS uuid[]), CAST(:moments AS timestamptz[]))"
                " AS g (id, contact_id, issued_at) WHERE k.id = g.id"
            ),
            {
                "ids": [row.id for row in given],
                "contacts": [row.contact_id for row in given],
                "moments": [row.issued_at for row in given],
            },
        )
    lines = sorted(month.consents, key=lambda row: row["recorded_at"])
    phones = [row.pop("phone") for row in lines]
    written = await session.scalars(insert(ConsentEvent).values(lines).returning(ConsentEvent.id))
    # Rows of one VALUES list get their ids in its order.
    evidence = [{"event_id": number, "phone": phone} for number, phone in zip(sorted(written), phones, strict=True)]
    await _insert(session, ConsentEvidence, evidence)


async def _insert(session: AsyncSession, table: type[Base], rows: Iterable[dict[str, Any]]) -> None:
    """Rows in as few statements as the protocol's limit of 65,535 values allows."""
    waiting = list(rows)
    while waiting:
        size = max(1, 60_000 // len(waiting[0]))
        await session.execute(insert(table).values(waiting[:size]))
        waiting = waiting[size:]


# -- who they are --------------------------------------------------------------------------------------------------


def _person(rng: random.Random, position: int, name: str, consent_key: str, now: datetime) -> Person:
    phone = f"+1202555{100 + position:04d}"
    place = position % len(STREETS)
    return Person(
        position=position,
        id=new_id(rng),
        name=name,
        phone=phone,
        phone_hash=consent.phone_hash(phone, consent_key),
        email=f"{name.lower().replace(' ', '.')}@mail.example",
        address=f"{11 + 7 * position} {STREETS[place]}, New York",
        postcode=POSTCODES[place],
        since=now - timedelta(days=DAYS + 1, hours=position),
    )


def _agents(rng: random.Random, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(rng),
            "email": email,
            "name": name,
            "role": "agent",
            "password_hash": NO_PASSWORD,
            "created_at": now - timedelta(days=DAYS + 2),
        }
        for name, email in AGENTS
    ]
