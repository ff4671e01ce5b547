"""Whom the simulator texts as: numbers as people type them, contacts to pick from, and new ones with what they need."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent
from bot.db import is_conflict
from bot.errors import BotError
from bot.shop import bookings, shopfile
from bot.tables import Contact, Order, Product, Resource, Service, Variant
from bot.web.simulator import contact as setup
from bot.web.state import Parley

#: How many contacts the picker lists; any other is found by typing its number.
CONTACTS = 60
#: Numbers kept for fiction in the United States (NANPA: 555-0100 to 555-0199); the demo's people have the first twenty.
FREE = [f"+1202555{line:04d}" for line in range(120, 200)]
LONGEST_NAME = 60
OrderWanted = Literal["none", "placed", "packed", "shipped", "delivered"]
#: Orders made here are numbered from this on, out of the way of a shop's own.
FIRST_ORDER = 5001
#: A new booking is looked for on so many days from tomorrow.
DAYS_AHEAD = 14


@dataclass(frozen=True)
class Choice:
    """Somebody to text as: E.164 number, name where there is one, and what they have in words."""

    phone: str
    name: str | None
    note: str


@dataclass(frozen=True)
class Wanted:
    """Who to text as: a number or none for the next free one, and what a contact made for it has."""

    number: str = ""
    name: str = ""
    booking: bool = False
    order: OrderWanted = "none"
    agreed: setup.Agreed = "offers"

    @classmethod
    def read(cls, form: dict[str, str]) -> "Wanted":
        """The form of a new contact."""
        order, agreed = form.get("order", "none"), form.get("agreed", "offers")
        return cls(
            number=form.get("number", "").strip(),
            name=" ".join(form.get("name", "").split())[:LONGEST_NAME],
            booking=form.get("booking") == "yes",
            order=cast(OrderWanted, order) if order in get_args(OrderWanted) else "none",
            agreed=cast(setup.Agreed, agreed) if agreed in get_args(setup.Agreed) else "offers",
        )


def read_number(words: str) -> str:
    """A phone number as people type it, in E.164; without a country it is read as North American.

    Raises BotError, in words for people, where it cannot be one.
    """
    try:
        number = phonenumbers.parse(words, "US")
    except NumberParseException:
        number = None
    if number is None or number.extension or not phonenumbers.is_possible_number(number):
        raise BotError(f"“{words.strip()[:30]}” is no phone number. Write one like +1 202 555 0123, or leave it blank.")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


async def free_number(session: AsyncSession) -> str:
    """The first number of fiction nobody has. Raises BotError where all are taken."""
    taken = set(await session.scalars(select(Contact.phone).where(Contact.phone.in_(FREE))))
    found = next((phone for phone in FREE if phone not in taken), None)
    if found is None:
        raise BotError("Every number from +1 202 555 0120 to 0199 is taken. Type a number of your own.")
    return found


# -- reading -------------------------------------------------------------------------------------------------------


async def choices(session: AsyncSession, phone: str, zone: ZoneInfo, now: datetime) -> list[Choice]:
    """Whom one can text as: the demo's people, then who texted last, and whoever has `phone`."""
    rows = await session.execute(
        text(
            """
            WITH listed AS (
                (SELECT id FROM contacts WHERE demo LIMIT :most)
                UNION (SELECT contact_id FROM conversations WHERE last_message_at IS NOT NULL
                       ORDER BY last_message_at DESC LIMIT :most)
                UNION (SELECT id FROM contacts WHERE phone = :phone))
            SELECT c.phone, c.name, b.service, b.starts_at, o.orders
            FROM listed JOIN contacts c USING (id)
            LEFT JOIN LATERAL (
                SELECT s.name AS service, b.starts_at FROM bookings b JOIN services s ON s.id = b.service_id
                WHERE b.contact_id = c.id AND b.status <> 'cancelled' AND b.starts_at > :now
                ORDER BY b.starts_at LIMIT 1) b ON true
            LEFT JOIN LATERAL (
                SELECT string_agg(l.number || ' ' || l.status, ', ' ORDER BY l.placed_at DESC) AS orders FROM (
                    SELECT number, status, placed_at FROM orders WHERE contact_id = c.id
                    ORDER BY placed_at DESC LIMIT 2) l) o ON true
            LEFT JOIN LATERAL (
                SELECT max(v.last_message_at) AS last FROM conversations v WHERE v.contact_id = c.id) v ON true
            ORDER BY c.demo DESC, CASE WHEN c.demo THEN c.phone END, v.last DESC NULLS FIRST
            """
        ),
        {"now": now, "phone": phone, "most": CONTACTS},
    )
    return [Choice(row.phone, row.name, _note(row.service, row.starts_at, row.orders, zone, now)) for row in rows]


def _note(service: str | None, start: datetime | None, bought: str | None, zone: ZoneInfo, now: datetime) -> str:
    booked = f"{service.capitalize()}, {bookings.when_words(start, zone, now)}" if service and start else ""
    ordered = f"Order {bought}" if bought else ""
    return "; ".join(part for part in (booked, ordered) if part) or "Nothing booked or ordered"


# -- making --------------------------------------------------------------------------------------------------------


async def take(state: Parley, wanted: Wanted) -> str:
    """The number of whoever was wanted, made where nobody has it, with a booking and an order where asked for.

    Raises BotError, in words for people, where it is no number or there is nothing free.
    """
    number = read_number(wanted.number) if wanted.number else ""
    try:
        async with state.db.begin() as session:
            number = number or await free_number(session)
            contact = await session.scalar(select(Contact).where(Contact.phone == number))
            if contact is None:
                hashed = consent.phone_hash(number, state.secrets.consent_key)
                contact = Contact(phone=number, phone_hash=hashed, name=wanted.name or None, created_at=clock.now())
                session.add(contact)
                await session.flush()
                await setup.agree(session, contact, wanted.agreed, clock.now())
            if wanted.booking:
                await _book(session, contact)
            if wanted.order != "none":
                await order(session, contact, wanted.order)
    except IntegrityError:
        if wanted.booking or wanted.order != "none":
            raise BotError("Somebody took that in the same moment; try once more.") from None
        # The number: it is there now, which is what was asked.
    return number


async def _book(session: AsyncSession, contact: Contact) -> None:
    """The first free hour of anybody from tomorrow on."""
    now, shop = clock.now(), await shopfile.read(session)
    staff = list(await session.scalars(select(Resource).order_by(Resource.id)))
    minutes = {row.key: row.minutes for row in await session.scalars(select(Service))}
    today = now.astimezone(shop.zone).date()
    for days in range(1, DAYS_AHEAD + 1):
        for person in staff:
            service = next((key for key in person.services if key in minutes), None)
            if service is None:
                continue
            for opens, closes in shop.hours_at(person.location_id).spans_on(today + timedelta(days=days)):
                # In the middle of an opening there is room to move to either side.
                start = opens + timedelta(hours=int((closes - opens).total_seconds() / 7200))
                while start + timedelta(minutes=minutes[service]) <= closes:
                    if await _booked(session, contact, service, person.id, start, now):
                        return
                    start += timedelta(hours=1)
    raise BotError(f"Nobody is free in the next {DAYS_AHEAD} days, so no booking was made.")


async def _booked(
    session: AsyncSession, contact: Contact, service: str, resource_id: int, start: datetime, now: datetime
) -> bool:
    try:
        async with session.begin_nested():
            await bookings.book(session, contact.id, service, resource_id, start, now)
    except IntegrityError as exc:
        if not is_conflict(exc):
            raise
        return False
    return True


async def order(session: AsyncSession, contact: Contact, status: OrderWanted) -> None:
    """An order of something that is in stock in another size or colour too, so that it can be exchanged."""
    now = clock.now()
    made = await session.scalar(
        select(func.count()).select_from(Order).where(func.length(Order.number) == 4, Order.number >= str(FIRST_ORDER))
    )
    stocked = (
        await session.execute(
            select(Product.key, Product.name, Variant.size, Variant.color)
            .join(Variant, Variant.product_id == Product.id)
            .where(Product.listed, Variant.stock > 0)
            .order_by(Product.id, Variant.id)
        )
    ).all()
    bought = stocked[(made or 0) * 5 % len(stocked)] if stocked else None
    item = (
        {"name": bought.name, "quantity": 1, "product": bought.key, "size": bought.size, "color": bought.color}
        if bought is not None
        else {"name": "Something", "quantity": 1}
    )
    number = str(FIRST_ORDER + (made or 0))
    on_its_way = status in ("shipped", "delivered")
    age = {"placed": timedelta(hours=2), "packed": timedelta(days=1), "shipped": timedelta(days=3)}
    session.add(
        Order(
            number=number,
            contact_id=contact.id,
            status=status,
            placed_at=now - age.get(status, timedelta(days=8)),
            items=[item],
            address="5 Grand St, New York",
            postcode="10013",
            email=f"order{number}@mail.example",
            **(setup.tracking(number, status, now) if on_its_way else {}),
        )
    )
    await session.flush()
