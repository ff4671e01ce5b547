"""A session of the simulator as a conversation test, in the form tests/test_conversations.py plays; it changes no row.

What a contact had when the session began is found by taking back, one by one, what happened since. What a test cannot
begin with, or cannot do, is told in notes at its top rather than left out in silence.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot import numbers
from bot.errors import BotError
from bot.outbox import STOP_LINE
from bot.settings import ROOT
from bot.shop import bookings
from bot.tables import (
    Booking,
    Contact,
    Effect,
    Message,
    OpenQuestion,
    Order,
    Rating,
    Resource,
    Service,
    Ticket,
    Turn,
)

FOLDER = ROOT / "tests" / "conversations"
#: The minute every test's engine begins in, on the wall of the shop.
TEST_CLOCK = datetime(2026, 11, 24, 10, 0)  # noqa: DTZ001  # a wall clock
#: More texts than anybody reads in a test.
MOST = 200
LONGEST_NAME = 50
#: Stands for anything in a reply.
ANYTHING = "\u2026"

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_HOURS = r"\d{1,2}(?::\d{2})? ?[AP]M"
#: Days and times as the shop's texts write them.
_TIMES = re.compile(
    r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct"
    rf"|Nov|Dec)[a-z]* \d{{1,2}}(?:,? \d{{4}})?(?: at {_HOURS})?|{_HOURS}(?:-{_HOURS})?"
)
_LINKS = re.compile(r"https?://\S*/b/[^\s.,]+")


@dataclass(frozen=True)
class Saved:
    """A session as YAML, with what was noted about it, how many texts it has, and a name for it."""

    yaml: str
    notes: Sequence[str]
    texts: int
    suggested: str


@dataclass
class _Draft:
    """The test as it is put together."""

    exact: bool
    shift: timedelta
    zone: ZoneInfo
    notes: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    booked: set[str] = field(default_factory=set)
    greets: UUID | None = None

    def note(self, words: str) -> None:
        """Tell something once."""
        if words not in self.notes:
            self.notes.append(words)

    def local(self, moment: datetime) -> datetime:
        """An instant on the test's wall clock."""
        return moment.astimezone(self.zone).replace(tzinfo=None) + self.shift

    def said(self, message: Message) -> str:
        """A text of ours with what differs from one run to the next left open.

        The test's contact has never heard of the shop, so the first reply to them tells how to opt out.
        """
        body = message.body
        if message.id == self.greets and message.purpose != "keyword" and "STOP" not in body:
            body = f"{body}\n{STOP_LINE}" if "\n" in body else f"{body} {STOP_LINE}"
        body = _LINKS.sub(ANYTHING, body)
        for word in self.hidden:
            body = body.replace(word, ANYTHING)
        return body if self.exact else _TIMES.sub(ANYTHING, body)


# -- files ---------------------------------------------------------------------------------------------------------


def file_name(name: str) -> str:
    """The file a test of this name is kept in. Raises BotError, in words for people, where it is no name."""
    wanted = name.strip().lower()
    if not _NAME.fullmatch(wanted) or len(wanted) > LONGEST_NAME:
        raise BotError(
            f"A test is named in letters, digits and dashes, such as moves-to-next-week, {LONGEST_NAME} at most."
        )
    return f"saved-{wanted}.yml"


def keep(name: str, content: str, folder: Path = FOLDER) -> Path:
    """Write a test that is not there yet. Raises BotError, in words for people; blocks, so call it in a thread."""
    path = folder / file_name(name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        raise BotError(f"{path.name} is there already. Choose another name, or remove that file first.") from None
    except OSError as exc:
        raise BotError(f"{folder} cannot be written to ({exc.strerror}). Copy the text below instead.") from exc
    return path


# -- the session ---------------------------------------------------------------------------------------------------


async def session_of(session: AsyncSession, phone: str, since: int, zone: ZoneInfo, name: str = "") -> Saved:
    """What this phone texted and got after the message numbered `since`, as a test.

    Raises BotError, in words for people, where nothing was texted since.
    """
    contact = await session.scalar(select(Contact).where(Contact.phone == phone))
    conversation = await numbers.conversation_of(session, contact.id) if contact is not None else None
    texts: list[Message] = []
    if conversation is not None:
        newest = await session.scalars(
            select(Message)
            .where(Message.conversation_id == conversation.id, Message.seq > since)
            .order_by(Message.seq.desc())
            .limit(MOST)
        )
        texts = list(newest)[::-1]
    if contact is None or conversation is None or not any(row.author in ("contact", "shop") for row in texts):
        raise BotError("Nothing was texted in this session yet. Text the shop, or let the shop say something, first.")
    began = texts[0].created_at
    effects = list(
        await session.scalars(
            select(Effect)
            .where(Effect.conversation_id == conversation.id, Effect.created_at >= began)
            .order_by(Effect.created_at, Effect.position, Effect.id)
        )
    )
    draft = _Draft(*_clock(began.astimezone(zone).replace(tzinfo=None)), zone)
    draft.hidden = [str(row.after["code"]) for row in effects if row.kind == "code.issued" and row.after]
    given = await _given(session, contact, began, effects, draft)
    if not draft.exact:
        draft.note("Played on another day than it was saved on: days and times in replies are left open.")
    played = [text for text in texts if text.author != "bot"]
    if await _spoke_before(session, texts[0]):
        draft.greets = next((row.id for row in texts if row.direction == "outbound"), None)
    steps = await _steps(session, conversation.id, texts, effects, draft)
    then = await _then(session, contact, conversation.id, began, texts, draft)
    suggested = _suggest(texts)
    test = {"name": (name or suggested).replace("-", " "), "given": given, "steps": steps, "then": then}
    when = began.astimezone(zone)
    said = f"{when:%a %b} {when.day}, {when.year}, {bookings.clock_words(when)}"
    head = f"# Saved from the simulator. Its clock said {said}."
    lines = [head, *(f"# {note}" for note in draft.notes), "", _dumped([test])]
    return Saved("\n".join(lines), draft.notes, len(played), suggested)


def _clock(began: datetime) -> tuple[bool, timedelta]:
    """Whether a session at this wall clock can be played as it was, else by how many weeks its days have to move."""
    weeks = -((began.date() - TEST_CLOCK.date()).days // 7)
    shift = timedelta(weeks=weeks)
    return began.date() == TEST_CLOCK.date(), shift


async def _spoke_before(session: AsyncSession, first: Message) -> bool:
    """Whether the shop had said something in this conversation before: then no reply of it told how to opt out."""
    found = await session.scalar(
        select(Message.id)
        .where(
            Message.conversation_id == first.conversation_id, Message.direction == "outbound", Message.seq < first.seq
        )
        .limit(1)
    )
    return found is not None


# -- what the contact had ------------------------------------------------------------------------------------------


async def _given(
    session: AsyncSession, contact: Contact, began: datetime, effects: Sequence[Effect], draft: _Draft
) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if contact.name:
        given["name"] = contact.name
    state = await _consent_at(session, contact, began)
    if state == "none":
        given["consent"] = False
    elif state == "out":
        draft.note("The contact had opted out before; the test begins with somebody who may be texted.")
    if coming := await _bookings_at(session, contact.id, began, effects, draft):
        given["bookings"] = coming
    if bought := await _orders_at(session, contact.id, effects):
        given["orders"] = bought
    await _note_the_rest(session, contact, began, draft)
    return given


async def _consent_at(session: AsyncSession, contact: Contact, began: datetime) -> str:
    rows = await session.execute(
        text(
            "SELECT DISTINCT ON (purpose) action FROM consent_events WHERE phone_hash = :hash AND recorded_at < :began"
            " ORDER BY purpose, id DESC"
        ),
        {"hash": contact.phone_hash, "began": began},
    )
    actions = set(rows.scalars())
    return "in" if "opted_in" in actions else "out" if actions else "none"


async def _bookings_at(
    session: AsyncSession, contact_id: UUID, began: datetime, effects: Sequence[Effect], draft: _Draft
) -> list[dict[str, Any]]:
    """The bookings that were to come when the session began, on the test's wall clock."""
    rows = await session.execute(
        select(Booking.number, Booking.starts_at, Booking.status, Booking.resource_id, Service.key)
        .join(Service, Service.id == Booking.service_id)
        .where(Booking.contact_id == contact_id)
        .order_by(Booking.number)
    )
    found = {
        str(row.number): {"start": row.starts_at, "status": row.status, "resource": row.resource_id, "service": row.key}
        for row in rows
    }
    for effect in reversed(effects):
        if effect.kind == "booking.created":
            found.pop(effect.ref, None)
        elif effect.ref in found and effect.kind.startswith("booking.") and effect.before:
            before = dict(effect.before)
            if isinstance(before.get("start"), str):
                before["start"] = datetime.fromisoformat(before["start"])
            found[effect.ref] |= {name: before[name] for name in ("start", "status", "resource") if name in before}
    staff = {row.id: row.key for row in await session.execute(select(Resource.id, Resource.key))}
    coming = [row for row in found.values() if row["status"] != "cancelled" and row["start"] > began]
    draft.booked = {number for number, row in found.items() if row in coming}
    draft.booked |= {effect.ref for effect in effects if effect.kind == "booking.created"}
    if any(row["status"] == "confirmed" for row in coming):
        draft.note("A booking was confirmed already; the test begins with it unconfirmed.")
    # A session of Tuesday morning before ten would be played at ten: then a week later.
    if any(draft.local(row["start"]) <= TEST_CLOCK for row in coming):
        draft.shift, draft.exact = draft.shift + timedelta(weeks=1), False
    return [
        {
            "service": row["service"],
            "staff": staff[row["resource"]],
            "start": f"{draft.local(row['start']):%Y-%m-%dT%H:%M}",
        }
        for row in coming
    ]


async def _orders_at(session: AsyncSession, contact_id: UUID, effects: Sequence[Effect]) -> list[dict[str, Any]]:
    rows = await session.scalars(select(Order).where(Order.contact_id == contact_id).order_by(Order.placed_at))
    found = []
    for order in rows:
        item = order.items[0] if order.items else {}
        told = {
            "number": order.number,
            "status": order.status,
            "item": item.get("name", "Something"),
            "company": order.tracking_company,
            "tracking": order.tracking_number,
            **{name: item.get(name) for name in ("product", "size", "color")},
            **{name: getattr(order, name) for name in ("address", "postcode", "email")},
        }
        for effect in reversed(effects):
            if effect.kind.startswith("order.") and effect.ref == order.number and effect.before:
                told |= {name: effect.before[name] for name in ("status", "address") if name in effect.before}
        found.append({name: value for name, value in told.items() if value is not None})
    return found


async def _note_the_rest(session: AsyncSession, contact: Contact, began: datetime, draft: _Draft) -> None:
    """What a test cannot begin with."""
    conversation = await numbers.conversation_of(session, contact.id)
    assert conversation is not None  # something was texted in it
    asked = await session.scalar(
        select(OpenQuestion.kind)
        .where(
            OpenQuestion.conversation_id == conversation.id,
            OpenQuestion.asked_at < began,
            OpenQuestion.closed_at.is_(None) | (OpenQuestion.closed_at >= began),
        )
        .limit(1)
    )
    if asked is not None:
        draft.note(f"A question was open already ({asked.replace('_', ' ')}); the test begins without it.")
    ticket = await session.scalar(
        select(Ticket.id).where(
            Ticket.conversation_id == conversation.id,
            Ticket.opened_at < began,
            Ticket.closed_at.is_(None) | (Ticket.closed_at >= began),
        )
    )
    if ticket is not None:
        draft.note("A ticket was open already; the test begins without it, so the bot answers where it was silent.")
    if contact.profile:
        draft.note("The contact's profile holds something; the test begins with an empty one.")


# -- what was said -------------------------------------------------------------------------------------------------


async def _steps(
    session: AsyncSession,
    conversation_id: UUID,
    texts: Sequence[Message],
    effects: Sequence[Effect],
    draft: _Draft,
) -> list[dict[str, Any]]:
    turns = {
        turn.id: turn
        for turn in await session.scalars(select(Turn).where(Turn.id.in_([row.id for row in texts if row.turn_id])))
    }
    steps: list[tuple[datetime, dict[str, Any]]] = []
    for message in texts:
        if message.author == "shop":
            steps.append((message.created_at, {"shop": message.name, "says": draft.said(message)}))
        elif message.author == "agent":
            steps.append((message.created_at, {"agent": draft.said(message)}))
        elif message.author == "contact":
            step = _text(message, texts, turns.get(message.id), effects, draft)
            if step is not None:
                steps.append((message.created_at, step))
    tickets = await session.scalars(select(Ticket).where(Ticket.conversation_id == conversation_id))
    for ticket in tickets:
        if ticket.closed_at is not None and ticket.closed_at >= texts[0].created_at:
            steps.append((ticket.closed_at, {"close": True}))
        if ticket.reason == "agent_took_over" and ticket.opened_at >= texts[0].created_at:
            steps.append((ticket.opened_at, {"take_over": True}))
    if any(effect.actor == "page" for effect in effects):
        draft.note("Something was changed on the page of the booking link; the test has no step for that.")
    return [step for _, step in sorted(steps, key=lambda item: item[0])]


def _text(
    message: Message, texts: Sequence[Message], turn: Turn | None, effects: Sequence[Effect], draft: _Draft
) -> dict[str, Any] | None:
    if turn is None:
        if message.turn_id is None:
            draft.note("The last text has no answer yet; it is left out.")
        return None  # one of several that were read together, told with the first
    together = [row.body for row in texts if row.turn_id == turn.id and row.direction == "inbound"]
    if len(together) > 1:
        draft.note("Texts that were read together are sent as one.")
    step: dict[str, Any] = {"text": "\n".join(together or [message.body])}
    if message.media:
        step["picture"] = message.media[0].get("url", "")
    step |= {"decision": turn.decision, "intent": turn.intent}
    kinds = [row.kind for row in effects if row.turn_id == turn.id]
    if any(kind.startswith("consent.") for kind in kinds):
        step["consent"] = turn.consent
    says = [draft.said(row) for row in texts if row.turn_id == turn.id and row.carrier_id and row.author == "bot"]
    if says:
        step["says"] = says[0] if len(says) == 1 else says
    if kinds:
        step["effects"] = kinds
    return step


async def _then(
    session: AsyncSession,
    contact: Contact,
    conversation_id: UUID,
    began: datetime,
    texts: Sequence[Message],
    draft: _Draft,
) -> dict[str, Any]:
    then: dict[str, Any] = {}
    if draft.exact:
        rows = await session.execute(
            select(Booking.starts_at, Booking.status, Booking.number)
            .where(Booking.contact_id == contact.id)
            .order_by(Booking.number)
        )
        ours = [row for row in rows if str(row.number) in draft.booked]
        if booked := [f"{draft.local(row.starts_at):%Y-%m-%d %H:%M} {row.status}" for row in ours]:
            then["bookings"] = booked
    ratings = await session.scalars(
        select(Rating).where(Rating.contact_id == contact.id, Rating.created_at >= began).order_by(Rating.created_at)
    )
    if rated := [{"score": row.score, "comment": row.comment, "asked": row.question_id is not None} for row in ratings]:
        then["ratings"] = rated
    tickets = await session.scalars(
        select(Ticket)
        .where(Ticket.conversation_id == conversation_id, Ticket.opened_at >= began)
        .order_by(Ticket.number)
    )
    if opened := [f"{row.reason} {row.status}" for row in tickets]:
        then["tickets"] = opened
    then["texts_out"] = sum(row.direction == "outbound" and row.carrier_id is not None for row in texts)
    return then


def _suggest(texts: Sequence[Message]) -> str:
    """A name out of the first words texted."""
    words = next((row.body for row in texts if row.author == "contact" and row.body.strip()), "the shop says something")
    parts = re.findall(r"[a-z0-9]+", words.lower())
    name = ""
    for part in parts:
        if len(name) + len(part) + 1 > LONGEST_NAME:
            break
        name = f"{name}-{part}" if name else part
    return name or "a-text"


# -- YAML ----------------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Written as the tests beside it are: lists indented, texts of several lines as blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists under their name."""
        return super().increase_indent(flow, False)


def _string(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    lines = "\n" in value and not re.search(r"[ \t]\n|[^\S\n]$", value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if lines else None)


_Dumper.add_representer(str, _string)


def _dumped(tests: list[dict[str, Any]]) -> str:
    return yaml.dump(tests, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
