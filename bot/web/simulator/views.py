"""What the simulator page shows, read in a fixed number of queries: the phone as its owner sees it, the engine's view.

It writes nothing and decides nothing; instants become words here, in the shop's zone.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import phonenumbers
from markupsafe import Markup, escape
from phonenumbers import NumberParseException, PhoneNumberFormat
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot.accounts import initials
from bot.errors import BotError
from bot.shop import bookings
from bot.tables import (
    WAITING,
    Contact,
    Conversation,
    Effect,
    Message,
    Resource,
    SenderNumber,
    SimulatorMessage,
    Ticket,
    Turn,
    User,
)
from bot.web.thread import STATUSES, shop_name

#: How far back the phone and the engine's list go.
TEXTS, ENTRIES = 80, 30
#: How many contacts the picker lists; any other is found by typing its number.
CONTACTS = 60
#: Outbound texts that reach the phone in a moment.
SOON = ("queued", "sending")
#: Readings worth a bar.
TOP = 4
#: Numbers kept for fiction in the United States (NANPA: 555-0100 to 555-0199); the demo's people have the first twenty.
FREE = [f"+1202555{line:04d}" for line in range(120, 200)]

_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)]")


# -- the phone -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Somebody to text as: E.164 number, name where there is one, and their next booking in words."""

    phone: str
    name: str | None
    note: str


@dataclass(frozen=True)
class Bubble:
    """One text on the phone, its time in the shop's zone; `mark` says in small who spoke for the shop."""

    key: str
    author: str
    mark: str
    body: Markup
    at: datetime


@dataclass(frozen=True)
class Phone:
    """The contact's phone. `reading`: a text of theirs has no turn yet; `sending`: an answer is on its way."""

    phone: str
    name: str | None
    number: str
    conversation_id: UUID | None
    bubbles: list[Bubble]
    reading: bool
    sending: bool


# -- what the engine saw -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guess:
    """A reading with its confidence in per cent."""

    intent: str
    percent: float


@dataclass(frozen=True)
class Step:
    """A stretch of the turn: its place and length on a bar 100 long, and its milliseconds; `tone` names its colour."""

    name: str
    tone: str
    ms: float
    start: float
    width: float


@dataclass(frozen=True)
class Change:
    """One effect in words: what happened, and each field that differs as (field, before, after)."""

    title: str
    fields: list[tuple[str, str | None, str | None]]


@dataclass(frozen=True)
class Sent:
    """One outbound text as the outbox has it; `status` in words, `rule` is the consent rule that let it go."""

    author: str
    body: Markup
    size: str
    status: str
    tone: str
    reason: str
    rule: str


@dataclass(frozen=True)
class Entry:
    """One thing that happened, newest first: a turn, a text the shop started, or a change made elsewhere."""

    key: str
    kind: str
    tag: str
    at: datetime
    heard: Markup | None
    sentence: str
    guesses: Sequence[Guess] = ()
    entities: Sequence[tuple[str, str]] = ()
    changes: Sequence[Change] = ()
    consent: str | None = None
    sent: Sequence[Sent] = ()
    steps: Sequence[Step] = ()
    decided_ms: int | None = None
    answered_ms: int | None = None
    ticket: Ticket | None = None


# -- numbers -------------------------------------------------------------------------------------------------------


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
            SELECT c.phone, c.name, b.service, b.starts_at
            FROM listed JOIN contacts c USING (id)
            LEFT JOIN LATERAL (
                SELECT s.name AS service, b.starts_at FROM bookings b JOIN services s ON s.id = b.service_id
                WHERE b.contact_id = c.id AND b.status <> 'cancelled' AND b.starts_at > :now
                ORDER BY b.starts_at LIMIT 1) b ON true
            LEFT JOIN LATERAL (
                SELECT max(v.last_message_at) AS last FROM conversations v WHERE v.contact_id = c.id) v ON true
            ORDER BY c.demo DESC, CASE WHEN c.demo THEN c.phone END, v.last DESC NULLS FIRST
            """
        ),
        {"now": now, "phone": phone, "most": CONTACTS},
    )
    return [
        Choice(
            row.phone,
            row.name,
            f"{row.service.capitalize()}, {bookings.when_words(row.starts_at, zone, now)}"
            if row.service
            else "Nothing booked",
        )
        for row in rows
    ]


async def number_for(session: AsyncSession, phone: str) -> str:
    """The shop's number this contact texts: that of their latest conversation, the default one before the first."""
    conversation = await _conversation(session, phone)
    wanted = SenderNumber.id == conversation.sender_number_id if conversation is not None else SenderNumber.is_default
    return (await session.scalars(select(SenderNumber.phone).where(wanted))).one()


async def _conversation(session: AsyncSession, phone: str) -> Conversation | None:
    found: Conversation | None = await session.scalar(
        select(Conversation)
        .join(Contact, Contact.id == Conversation.contact_id)
        .where(Contact.phone == phone)
        .order_by(Conversation.last_message_at.desc().nulls_last())
        .limit(1)
    )
    return found


async def phone_of(session: AsyncSession, phone: str, zone: ZoneInfo) -> Phone:
    """The phone of this number, of a contact or not: what it texted and what the carrier brought to it."""
    name = await session.scalar(select(Contact.name).where(Contact.phone == phone))
    number = await number_for(session, phone)
    conversation = await _conversation(session, phone)
    if conversation is None:
        return Phone(phone, name, number, None, [], reading=False, sending=False)
    texted = (
        await session.execute(
            select(Message.id, Message.body, Message.created_at, Message.turn_id)
            .where(Message.conversation_id == conversation.id, Message.direction == "inbound")
            .order_by(Message.seq.desc())
            .limit(TEXTS)
        )
    ).all()
    came = await session.execute(
        select(
            SimulatorMessage.carrier_id, SimulatorMessage.body, SimulatorMessage.accepted_at, Message.author, User.name
        )
        .outerjoin(Message, Message.id == SimulatorMessage.message_id)
        .outerjoin(User, User.id == Message.sent_by)
        .where(SimulatorMessage.recipient == phone, SimulatorMessage.sender == number)
        .order_by(SimulatorMessage.accepted_at.desc())
        .limit(TEXTS)
    )
    waiting = await session.scalar(
        select(Message.id)
        .where(Message.conversation_id == conversation.id, Message.direction == "outbound", Message.status.in_(SOON))
        .limit(1)
    )
    bubbles = [Bubble(str(row.id), "contact", "", _linked(row.body), row.created_at.astimezone(zone)) for row in texted]
    bubbles += [
        Bubble(
            row.carrier_id,
            row.author or "shop",
            _mark(row.author, row.name),
            _linked(row.body),
            row.accepted_at.astimezone(zone),
        )
        for row in came
    ]
    return Phone(
        phone,
        name,
        number,
        conversation.id,
        sorted(bubbles, key=lambda bubble: bubble.at)[-TEXTS:],
        reading=any(row.turn_id is None for row in texted),
        sending=waiting is not None,
    )


async def entries(session: AsyncSession, conversation_id: UUID, zone: ZoneInfo, now: datetime) -> list[Entry]:
    """What the engine saw and did in this conversation, newest first."""
    turns = (
        await session.execute(
            select(Turn, Message, Ticket)
            .join(Message, Message.id == Turn.id)
            .outerjoin(Ticket, Ticket.id == Turn.ticket_id)
            .where(Turn.conversation_id == conversation_id)
            .order_by(Message.seq.desc())
            .limit(ENTRIES)
        )
    ).all()
    texts = (
        await session.scalars(
            select(Message)
            .where(Message.conversation_id == conversation_id, Message.direction == "outbound")
            .order_by(Message.seq.desc())
            .limit(2 * ENTRIES)
        )
    ).all()
    effects = (
        await session.scalars(
            select(Effect)
            .where(Effect.conversation_id == conversation_id)
            .order_by(Effect.created_at.desc(), Effect.position)
            .limit(4 * ENTRIES)
        )
    ).all()
    staff = dict((await session.execute(select(Resource.id, Resource.name))).tuples().all())
    words = Words(zone, now, staff)
    answers: dict[UUID | None, list[Message]] = defaultdict(list)
    for message in reversed(texts):
        answers[message.turn_id].append(message)
    changes: dict[UUID | None, list[Effect]] = defaultdict(list)
    for effect in effects:
        changes[effect.turn_id].append(effect)
    found = [_turn(turn, message, ticket, answers[turn.id], changes[turn.id], words) for turn, message, ticket in turns]
    found += [_started(message) for message in answers[None]]
    found += [_elsewhere(effect, words) for effect in changes[None]]
    return sorted(found, key=lambda entry: entry.at, reverse=True)[:ENTRIES]


# -- entries -------------------------------------------------------------------------------------------------------


def _turn(
    turn: Turn, message: Message, ticket: Ticket | None, answers: list[Message], effects: list[Effect], words: "Words"
) -> Entry:
    handed = [answer.handed_over_at for answer in answers if answer.handed_over_at is not None]
    ended = max([turn.ended_at, *handed])
    steps = _steps(turn.steps_ms)
    return Entry(
        key=str(turn.id),
        kind="turn",
        tag=turn.decision,
        at=message.created_at,
        heard=_underlined(message.body, turn.entities),
        sentence=turn.why.replace("_", " "),
        guesses=[
            Guess(item["name"].replace("_", " "), round(100 * float(item["confidence"]), 1))
            for item in turn.ranking[:TOP]
        ],
        entities=[(str(item["entity"]).replace("_", " "), words.of(item["value"])) for item in turn.entities],
        changes=[words.change(effect) for effect in effects],
        consent=_CONSENT.get(turn.consent, turn.consent),
        sent=[_sent(answer) for answer in answers],
        steps=steps,
        decided_ms=round(sum(step.ms for step in steps)) if steps else None,
        answered_ms=round((ended - message.created_at).total_seconds() * 1000) if handed else None,
        ticket=ticket,
    )


def _started(message: Message) -> Entry:
    agent = message.author == "agent"
    return Entry(
        key=str(message.id),
        kind="agent" if agent else "shop",
        tag="agent" if agent else "shop",
        at=message.created_at,
        heard=None,
        sentence="An agent wrote." if agent else f"The shop started a text: {shop_name(message.name).lower()}.",
        sent=[_sent(message)],
    )


def _elsewhere(effect: Effect, words: "Words") -> Entry:
    who = {"page": "Changed on the page of the booking link.", "agent": "Changed by an agent in the console."}
    return Entry(
        key=f"effect-{effect.id}",
        kind="page" if effect.actor == "page" else "agent",
        tag=effect.actor,
        at=effect.created_at,
        heard=None,
        sentence=who.get(effect.actor, "Changed."),
        changes=[words.change(effect)],
    )


def _sent(message: Message) -> Sent:
    parts = f"{message.parts} part{'' if message.parts == 1 else 's'}" if message.parts else ""
    return Sent(
        author=message.author,
        body=_linked(message.body),
        size=", ".join(item for item in (parts, message.encoding, f"{len(message.body)} characters") if item),
        status=STATUSES.get(message.status, message.status),
        tone="green" if message.status == "delivered" else "" if message.status in (*WAITING, "sent") else "red",
        reason=message.reason or "",
        rule="" if message.status == "refused" else (message.rule or "").replace("_", " "),
    )


def _steps(spent: dict[str, Any]) -> list[Step]:
    total = sum(float(ms) for ms in spent.values())
    if total <= 0:
        return []
    found, start = [], 0.0
    # The column's JSON does not keep the order the steps were taken in.
    for name, ms in sorted(spent.items(), key=lambda step: _ORDER.get(step[0], len(_ORDER))):
        width = 100 * float(ms) / total
        tone = f"step-{name if name in _STEPS else 'other'}"
        found.append(Step(_STEPS.get(name, name), tone, round(float(ms), 1), round(start, 2), round(width, 2)))
        start += width
    return found


_STEPS = {"load": "read facts", "time": "time phrases", "rasa": "Rasa", "write": "write"}
_ORDER = {name: place for place, name in enumerate(_STEPS)}
_CONSENT = {
    "in": "In: the shop may text this contact.",
    "out": "Out: the shop starts nothing; only this person's own questions are answered.",
    "none": "None on record: only this person's own texts are answered.",
}


# -- words ---------------------------------------------------------------------------------------------------------

_KINDS = {
    "booking.created": "Booking {ref} made",
    "booking.confirmed": "Booking {ref} confirmed",
    "booking.rescheduled": "Booking {ref} moved",
    "booking.cancelled": "Booking {ref} cancelled",
    "booking.held": "Times held for booking {ref}",
    "order.cancelled": "Order {ref} cancelled",
    "order.address_changed": "Address of order {ref} changed",
    "rating.recorded": "Rating recorded",
    "ticket.opened": "Ticket {ref} opened",
    "ticket.appended": "Added to ticket {ref}",
    "consent.opted_out": "Opted out of every text",
    "consent.opted_in": "Opted in again",
}
_FIELDS = {"start": "time", "starts_at": "time", "resource": "with", "resource_id": "with", "slots": "times"}
_INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d")


@dataclass(frozen=True)
class Words:
    """How values read to people: instants in the shop's zone, staff by name."""

    zone: ZoneInfo
    now: datetime
    staff: dict[int, str]

    def change(self, effect: Effect) -> Change:
        """An effect with the fields that differ."""
        title = _KINDS.get(effect.kind, f"{effect.kind.replace('.', ' ').replace('_', ' ')} {{ref}}")
        before, after = effect.before or {}, effect.after or {}
        fields = [
            (
                _FIELDS.get(name, name.replace("_", " ")),
                self._field(name, before[name]) if before.get(name) is not None else None,
                self._field(name, after[name]) if after.get(name) is not None else None,
            )
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
        ]
        return Change(title.format(ref=effect.ref), fields)

    def _field(self, name: str, value: Any) -> str:
        if name in ("resource", "resource_id") and isinstance(value, int):
            return self.staff.get(value, str(value))
        return self.of(value)

    def of(self, value: Any) -> str:
        """Any JSON value of a turn."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, dict) and {"from", "to"} <= value.keys():
            return self._span(value.get("from"), value.get("to"), str(value.get("grain") or ""))
        if isinstance(value, dict):
            return ", ".join(f"{name.replace('_', ' ')} {self.of(item)}" for name, item in value.items())
        if isinstance(value, list):
            return "; ".join(self.of(item) for item in value)
        if isinstance(value, str) and _INSTANT.match(value):
            return bookings.when_words(self._instant(value), self.zone, self.now)
        return str(value)

    def _instant(self, value: str) -> datetime:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).astimezone(self.zone)

    def _span(self, start: str | None, stop: str | None, grain: str) -> str:
        """A stretch of time: a day by its date, a minute by its time, else from and to; an open end says so."""
        first = self._instant(start) if start else None
        last = self._instant(stop) if stop else None
        if first is None:
            return f"before {self._moment(last)}" if last else "any time"
        if last is None:
            return f"{self._moment(first)} or later"
        seconds = (last - first).total_seconds()
        if grain == "day" and seconds <= 25 * 3600:
            return f"{first:%a %b} {first.day}"
        if grain in ("minute", "second") and seconds <= 60:
            return self._moment(first)
        if last.date() == first.date():
            end = bookings.clock_words(last)
        elif last == last.replace(hour=0, minute=0) and (last - timedelta(minutes=1)).date() == first.date():
            end = "midnight"
        else:
            end = self._moment(last)
        return f"{self._moment(first)} to {end}"

    def _moment(self, local: datetime) -> str:
        return f"{local:%a %b} {local.day}, {bookings.clock_words(local)}"


def _linked(body: str) -> Markup:
    """A text with its links made pressable."""
    found, end = Markup(""), 0
    for link in _LINK.finditer(body):
        found += escape(body[end : link.start()])
        found += Markup('<a href="{0}" target="_blank" rel="noopener">{0}</a>').format(link[0])
        end = link.end()
    return found + escape(body[end:])


def _underlined(body: str, entities: Iterable[dict[str, Any]]) -> Markup:
    """A text with the entities that say where they stand marked; overlapping ones once."""
    placed = sorted(
        (item["start"], item["end"], str(item["entity"]).replace("_", " "))
        for item in entities
        if isinstance(item.get("start"), int)
        and isinstance(item.get("end"), int)
        and 0 <= item["start"] < item["end"] <= len(body)
    )
    found, end = Markup(""), 0
    for start, stop, name in placed:
        if start < end:
            continue
        found += escape(body[end:start]) + Markup('<mark title="{}">{}</mark>').format(name, body[start:stop])
        end = stop
    return found + escape(body[end:])


def _mark(author: str | None, agent: str | None) -> str:
    """Who spoke for the shop: bot, shop, or an agent's initials."""
    if author == "agent" and agent:
        return initials(agent)
    return author or "shop"
