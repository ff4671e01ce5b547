"""What the simulator's drawer shows and sets up of a contact: consent, bookings, orders, questions, who speaks.

It writes what a shop's own systems would have written; the consent ledger is only ever added to, so what somebody said
stays said, and "never said anything" is a number nobody has used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent, live, numbers, tickets
from bot.db import is_conflict
from bot.errors import BotError
from bot.outreach import preferences
from bot.shop import bookings
from bot.shop.hours import wall_time
from bot.tables import (
    PURPOSES,
    Booking,
    Contact,
    Conversation,
    OpenQuestion,
    Order,
    SimulatorFault,
    SimulatorMessage,
    Ticket,
    User,
)
from bot.text import clean
from bot.values import SetProfile
from bot.web.simulator.words import Wait, Words

#: What a contact said of texts: agreed to all, to service texts, nothing ever, no to all, and no to the carrier itself.
Agreed = Literal["offers", "service", "nothing", "out", "blocked"]
_PURPOSE_WORDS = {"transactional": "Service texts", "conversational": "Conversation", "marketing": "Offers"}
#: What somebody can have told the shop of themselves, as the profile keeps it.
PROFILE = get_args(SetProfile.model_fields["field"].annotation)
#: So long is a field of the profile at most.
LONGEST_FIELD = 200
#: An order's way; each status with the one after it.
_NEXT = {"placed": "packed", "packed": "shipped", "shipped": "delivered"}


@dataclass(frozen=True)
class Purpose:
    """Where the ledger stands for one purpose, in words; tone green, red, or none where nothing was ever said."""

    name: str
    words: str
    tone: str
    since: datetime | None
    how: str


@dataclass(frozen=True)
class Bought:
    """An order, and the status it can go to next; empty at the end of its way."""

    number: str
    what: str
    status: str
    next: str


@dataclass(frozen=True)
class Asked:
    """An open question of the shop's or of the dialogue; `late` where it expired and an answer would count as late."""

    wait: Wait
    asked_at: datetime
    expires_at: datetime | None
    late: bool


@dataclass(frozen=True)
class Standing:
    """A contact as the engine knows them; `known` False for a number nobody has used."""

    known: bool
    purposes: Sequence[Purpose]
    blocked: bool
    bookings: Sequence[tuple[int, str, str]]
    orders: Sequence[Bought]
    asked: Sequence[Asked]
    held: Sequence[tuple[str, datetime]]
    profile: Sequence[tuple[str, str]]
    ticket: Ticket | None
    agent: str | None
    services: Sequence[tuple[str, str]]


# -- reading -------------------------------------------------------------------------------------------------------


async def standing(session: AsyncSession, phone: str, words: Words) -> Standing:
    """Everything set of this contact, and the services somebody could be booked with."""
    now = words.now
    staff = await bookings.staff(session)
    names = {row.key: row.name for row in await bookings.services(session)}
    services = [
        (f"{key}|{person.key}", f"{names[key].capitalize()} with {person.name}, {person.location}")
        for person in staff
        for key in person.services
        if key in names
    ]
    contact = await session.scalar(select(Contact).where(Contact.phone == phone))
    if contact is None:
        none = [Purpose(_PURPOSE_WORDS[purpose], "never said anything", "", None, "") for purpose in _PURPOSE_WORDS]
        return Standing(False, none, False, [], [], [], [], [], None, None, services)
    conversation = await numbers.conversation_of(session, contact.id)
    lines = await consent.latest(session, contact.phone_hash)
    ticket = await tickets.open_for(session, conversation.id) if conversation is not None else None
    agent = (
        await session.scalar(select(User.name).where(User.id == ticket.agent_id))
        if ticket is not None and ticket.agent_id is not None
        else None
    )
    coming = await bookings.upcoming(session, contact.id, now)
    return Standing(
        known=True,
        purposes=[_purpose(purpose, lines.get(purpose)) for purpose in _PURPOSE_WORDS],
        blocked=conversation is not None and conversation.carrier_blocked,
        bookings=[
            (
                row.number,
                f"{row.service.capitalize()} with {row.staff}, {words.of(row.starts_at.isoformat())}",
                row.status,
            )
            for row in coming
        ],
        orders=await _orders(session, contact.id),
        asked=await _asked(session, conversation, words) if conversation is not None else [],
        held=await _held_times(session, contact.id, words),
        profile=[(name.replace("_", " "), words.of(value)) for name, value in sorted(contact.profile.items())],
        ticket=ticket,
        agent=agent,
        services=services,
    )


def _purpose(purpose: str, line: Any) -> Purpose:
    name = _PURPOSE_WORDS[purpose]
    if line is None:
        return Purpose(name, "never said anything", "", None, "")
    how = line.how.replace("_", " ")
    if line.action == "opted_in":
        return Purpose(name, "opted in", "green", line.recorded_at, how)
    return Purpose(name, "opted out", "red", line.recorded_at, how)


async def _orders(session: AsyncSession, contact_id: UUID) -> list[Bought]:
    rows = await session.scalars(
        select(Order).where(Order.contact_id == contact_id).order_by(Order.placed_at.desc(), Order.number.desc())
    )
    return [
        Bought(
            row.number, str(row.items[0].get("name", "")) if row.items else "", row.status, _NEXT.get(row.status, "")
        )
        for row in rows
    ]


async def _asked(session: AsyncSession, conversation: Conversation, words: Words) -> list[Asked]:
    rows = await session.scalars(
        select(OpenQuestion)
        .where(OpenQuestion.conversation_id == conversation.id, OpenQuestion.closed_at.is_(None))
        .order_by(OpenQuestion.asked_at.desc())
    )
    return [
        Asked(words.wait(row), row.asked_at, row.expires_at, row.expires_at is not None and row.expires_at <= words.now)
        for row in rows
    ]


async def _held_times(session: AsyncSession, contact_id: UUID, words: Words) -> list[tuple[str, datetime]]:
    rows = await session.execute(
        text(
            "SELECT starts_at, expires_at FROM holds WHERE contact_id = :contact AND expires_at > :now"
            " ORDER BY starts_at"
        ),
        {"contact": contact_id, "now": words.now},
    )
    return [(words.of(row.starts_at.isoformat()), row.expires_at) for row in rows]


# -- consent -------------------------------------------------------------------------------------------------------


def agreed(raw: str) -> Agreed:
    """What a form says of consent. Raises BotError where it says nothing that can be."""
    if raw not in get_args(Agreed) or raw == "nothing":
        raise BotError("There is no such consent. Press one of the buttons.")
    return cast(Agreed, raw)


async def agree(session: AsyncSession, contact: Contact, what: Agreed, now: datetime) -> None:
    """Write into the ledger what the contact said; `nothing` writes nothing."""
    if what in ("offers", "service"):
        purposes = PURPOSES if what == "offers" else ("transactional", "conversational")
        await consent.record_opt_in(
            session,
            contact,
            purposes,
            how="agent",
            wording="Set up on the simulator page.",
            wording_version="1",
            by_whom="simulator",
            now=now,
        )
    elif what in ("out", "blocked"):
        how = "carrier" if what == "blocked" else "agent"
        await consent.opt_out(session, contact, "Set up on the simulator page.", how, None, now)
        if what == "blocked":
            conversation = await conversation_of(session, contact)
            conversation.carrier_blocked = True


async def unblock(session: AsyncSession, contact: Contact) -> None:
    """The carrier lets texts through again; what the contact said stays said."""
    await session.execute(
        update(Conversation).where(Conversation.contact_id == contact.id).values(carrier_blocked=False)
    )


async def conversation_of(session: AsyncSession, contact: Contact) -> Conversation:
    """The contact's latest conversation, begun on the shop's default number where there is none, locked."""
    conversation = await numbers.conversation_of(session, contact.id)
    if conversation is None:
        conversation = Conversation(contact_id=contact.id, sender_number_id=(await numbers.number_of(session, None)).id)
        session.add(conversation)
        await session.flush()
    await session.refresh(conversation, with_for_update=True)
    return conversation


# -- bookings and orders -------------------------------------------------------------------------------------------


def wall_clock(raw: str, zone: ZoneInfo) -> datetime:
    """A date and time as a browser's field gives it, in the shop's zone. Raises BotError where it is none."""
    try:
        return wall_time(datetime.fromisoformat(raw).replace(tzinfo=None), zone)
    except (ValueError, OverflowError):
        raise BotError("Choose a day and a time.") from None


async def book(session: AsyncSession, contact: Contact, service: str, start: datetime, now: datetime) -> None:
    """Book the contact at a chosen time; `service` is the keys of service and member of staff.

    Raises BotError, in words for people, where it has passed or is taken.
    """
    key, _, person = service.partition("|")
    found = next((row for row in await bookings.staff(session) if row.key == person and key in row.services), None)
    if found is None:
        raise BotError("Nobody does that here. Choose a service of the list.")
    if start <= now:
        raise BotError("That time has passed on the engine's clock. Choose a later one.")
    try:
        async with session.begin_nested():
            await bookings.book(session, contact.id, key, found.id, start, now)
    except IntegrityError as exc:
        if not is_conflict(exc):
            raise
        raise BotError(f"{found.name} is taken then. Choose another time.") from None


def tracking(number: str, status: str, now: datetime) -> dict[str, Any]:
    """What an order that left the shop has besides its status."""
    return {
        "tracking_company": "UPS",
        "tracking_number": f"1Z999AA1{number}784",
        "expected_on": now + timedelta(days=2) if status == "shipped" else None,
    }


async def send_on(session: AsyncSession, contact: Contact, number: str, now: datetime) -> None:
    """An order one step on its way. Raises BotError where it is nobody's, or at the end of its way."""
    order = await session.scalar(
        select(Order).where(Order.number == number, Order.contact_id == contact.id).with_for_update()
    )
    if order is None or order.status not in _NEXT:
        raise BotError("That order goes nowhere from here. Make another one.")
    order.status = _NEXT[order.status]
    if order.status == "shipped":
        for name, value in tracking(number, order.status, now).items():
            setattr(order, name, getattr(order, name) or value)


# -- profile -------------------------------------------------------------------------------------------------------


async def tell(session: AsyncSession, contact: Contact, field: str, value: str, now: datetime) -> None:
    """What the contact told of themselves; an empty value forgets it. Raises BotError for a field there is not."""
    told = clean(value).strip()
    if field not in PROFILE:
        raise BotError("The profile has no such field. Choose one of the list.")
    if len(told) > LONGEST_FIELD:
        raise BotError(f"A field of the profile takes at most {LONGEST_FIELD} characters.")
    await preferences.apply(
        session, contact.id, SetProfile.model_validate({"field": field, "value": told or None}), now
    )


# -- who speaks ----------------------------------------------------------------------------------------------------


async def open_ticket(session: AsyncSession, contact: Contact, now: datetime) -> None:
    """The contact's conversation waits for a person. Raises BotError where a ticket is open already."""
    conversation = await conversation_of(session, contact)
    if await tickets.open_for(session, conversation.id) is not None:
        raise BotError("A ticket is open already.")
    await tickets.open(session, conversation, "asked_for_person", "Opened on the simulator page.", {}, now)


async def open_ticket_of(session: AsyncSession, contact: Contact) -> Ticket:
    """The contact's open ticket. Raises BotError without one."""
    conversation = await numbers.conversation_of(session, contact.id)
    ticket = await tickets.open_for(session, conversation.id) if conversation is not None else None
    if ticket is None:
        raise BotError("No ticket is open, so no agent can write. Open one first.")
    return ticket


# -- forgetting ----------------------------------------------------------------------------------------------------


async def forget(session: AsyncSession, phone: str, *, again: bool) -> None:
    """Take a contact away with all they had; `again` makes the same person anew, with number and name and no history.

    The consent ledger keeps its lines by design: whoever opted out is out still. Raises BotError for an unknown number.
    """
    contact = await session.scalar(select(Contact).where(Contact.phone == phone).with_for_update())
    if contact is None:
        raise BotError("Nobody with this number is known, so there is nothing to forget.")
    whose = {"contact": contact.id}
    for statement in (
        "DELETE FROM receipts r USING messages m JOIN conversations c ON c.id = m.conversation_id"
        " WHERE c.contact_id = :contact AND (r.message_id = m.id OR r.carrier_id = m.carrier_id)",
        "DELETE FROM page_events e USING conversations c WHERE c.contact_id = :contact AND e.conversation_id = c.id",
        "UPDATE codes SET contact_id = NULL, issued_at = NULL WHERE contact_id = :contact",
    ):
        await session.execute(text(statement), whose)
    if not again:
        await session.execute(text("DELETE FROM consent_evidence WHERE phone = :phone"), {"phone": phone})
    await session.execute(delete(SimulatorMessage).where(SimulatorMessage.recipient == phone))
    await session.execute(delete(SimulatorFault).where(SimulatorFault.phone == phone))
    kept = {"phone": phone, "phone_hash": contact.phone_hash, "name": contact.name, "demo": contact.demo}
    for table in (Order, Booking):
        await session.execute(delete(table).where(table.contact_id == contact.id))
    await session.execute(delete(Contact).where(Contact.id == contact.id))
    if again:
        session.expunge(contact)
        session.add(Contact(**kept, created_at=clock.now()))
        await session.flush()
    live.publish(session, "simulator")


async def known(session: AsyncSession, phone: str, consent_key: str) -> Contact:
    """The contact with this number, locked; made, with nothing said, where nobody has it."""
    contact = await session.scalar(select(Contact).where(Contact.phone == phone).with_for_update())
    if contact is None:
        contact = Contact(phone=phone, phone_hash=consent.phone_hash(phone, consent_key), created_at=clock.now())
        session.add(contact)
        await session.flush()
    return contact
