"""What the simulator page shows, read in a fixed number of queries: the phone as its owner sees it, the engine's view.

It writes nothing and decides nothing; instants become words here, in the shop's zone.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot import numbers
from bot.accounts import initials
from bot.tables import (
    WAITING,
    Contact,
    Conversation,
    Effect,
    Message,
    OpenQuestion,
    SimulatorMessage,
    Ticket,
    Turn,
    User,
)
from bot.web.simulator.words import Change, Wait, Words, linked
from bot.web.simulator.words import words as words_of
from bot.web.thread import STATUSES, shop_name

#: How far back the phone and the engine's list go.
TEXTS, ENTRIES = 80, 30
#: Outbound texts that reach the phone in a moment.
SOON = ("queued", "sending")
#: Readings worth a bar.
TOP = 4


# -- the phone -----------------------------------------------------------------------------------------------------


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
    last_seq: int
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
    """One thing that happened, newest first: a turn, a text the shop started, or a change made elsewhere.

    `waits` is what was waited for afterwards, None where that is not told; `seq` is that of its text, 0 without one.
    """

    key: str
    kind: str
    tag: str
    at: datetime
    seq: int
    heard: Markup | None
    sentence: str
    guesses: Sequence[Guess] = ()
    entities: Sequence[tuple[str, str]] = ()
    changes: Sequence[Change] = ()
    waits: Sequence[Wait] | None = None
    ladder: str = ""
    consent: str | None = None
    sent: Sequence[Sent] = ()
    steps: Sequence[Step] = ()
    decided_ms: int | None = None
    answered_ms: int | None = None
    ticket: Ticket | None = None


# -- reading -------------------------------------------------------------------------------------------------------


async def number_for(session: AsyncSession, phone: str) -> str:
    """The shop's number this contact texts: that of their latest conversation, the default one before the first."""
    return (await numbers.number_of(session, await _conversation(session, phone))).phone


async def _conversation(session: AsyncSession, phone: str) -> Conversation | None:
    contact_id = await session.scalar(select(Contact.id).where(Contact.phone == phone))
    return await numbers.conversation_of(session, contact_id) if contact_id is not None else None


async def phone_of(session: AsyncSession, phone: str, zone: ZoneInfo) -> Phone:
    """The phone of this number, of a contact or not: what it texted and what the carrier brought to it."""
    name = await session.scalar(select(Contact.name).where(Contact.phone == phone))
    conversation = await _conversation(session, phone)
    number = (await numbers.number_of(session, conversation)).phone
    if conversation is None:
        return Phone(phone, name, number, None, 0, [], reading=False, sending=False)
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
    last_seq = await session.scalar(select(func.max(Message.seq)).where(Message.conversation_id == conversation.id))
    waiting = await session.scalar(
        select(Message.id)
        .where(Message.conversation_id == conversation.id, Message.direction == "outbound", Message.status.in_(SOON))
        .limit(1)
    )
    bubbles = [Bubble(str(row.id), "contact", "", linked(row.body), row.created_at.astimezone(zone)) for row in texted]
    bubbles += [
        Bubble(
            row.carrier_id,
            row.author or "shop",
            _mark(row.author, row.name),
            linked(row.body),
            row.accepted_at.astimezone(zone),
        )
        for row in came
    ]
    return Phone(
        phone,
        name,
        number,
        conversation.id,
        last_seq or 0,
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
    questions = (
        await session.scalars(
            select(OpenQuestion)
            .where(OpenQuestion.conversation_id == conversation_id)
            .order_by(OpenQuestion.asked_at.desc())
            .limit(4 * ENTRIES)
        )
    ).all()
    conversation = await session.get_one(Conversation, conversation_id)
    words = await words_of(session, zone, now)
    answers: dict[UUID | None, list[Message]] = defaultdict(list)
    for message in reversed(texts):
        answers[message.turn_id].append(message)
    changes: dict[UUID | None, list[Effect]] = defaultdict(list)
    for effect in effects:
        changes[effect.turn_id].append(effect)
    found = [
        replace(
            _turn(turn, message, ticket, answers[turn.id], changes[turn.id], words),
            waits=[words.wait(question) for question in questions if _open_after(question, turn.ended_at)],
            ladder=_ladder(conversation) if place == 0 else "",
        )
        for place, (turn, message, ticket) in enumerate(turns)
    ]
    found += [
        replace(_started(message), waits=[words.wait(q) for q in questions if q.asked_at == message.created_at])
        for message in answers[None]
    ]
    found += [_elsewhere(effect, words) for effect in changes[None]]
    return sorted(found, key=lambda entry: entry.at, reverse=True)[:ENTRIES]


def _open_after(question: OpenQuestion, moment: datetime) -> bool:
    """Whether a question was open once the turn that ended at this moment had written everything."""
    return question.asked_at <= moment and (question.closed_at is None or question.closed_at > moment)


def _ladder(conversation: Conversation) -> str:
    """How near the bot is to fetching a person because it does not understand."""
    if conversation.unclear:
        return f"{conversation.unclear} not understood in a row; one more and a person is asked."
    if conversation.out_of_scope:
        return f"{conversation.out_of_scope} outside what the shop does in a row; one more and a person is asked."
    return ""


# -- entries -------------------------------------------------------------------------------------------------------


def _turn(
    turn: Turn, message: Message, ticket: Ticket | None, answers: list[Message], effects: list[Effect], words: Words
) -> Entry:
    handed = [answer.handed_over_at for answer in answers if answer.handed_over_at is not None]
    ended = max([turn.ended_at, *handed])
    steps = _steps(turn.steps_ms)
    return Entry(
        key=str(turn.id),
        kind="turn",
        tag=turn.decision,
        at=message.created_at,
        seq=message.seq,
        heard=words.heard(message.body, turn.entities),
        sentence=turn.why.replace("_", " "),
        guesses=[
            Guess(item["name"].replace("_", " "), round(100 * float(item["confidence"]), 1))
            for item in turn.ranking[:TOP]
        ],
        entities=[
            (str(item["entity"]).replace("_", " "), words.field(str(item["entity"]), item["value"]))
            for item in turn.entities
        ],
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
        seq=message.seq,
        heard=None,
        sentence="An agent wrote." if agent else f"The shop started a text: {_named(message.name)}.",
        sent=[_sent(message)],
    )


def _named(name: str | None) -> str:
    """The name of a text of the shop's in the middle of a sentence."""
    words = shop_name(name)
    return words if words.isupper() else words.lower()


def _elsewhere(effect: Effect, words: Words) -> Entry:
    who = {"page": "Changed on the page of the booking link.", "agent": "Changed by an agent in the console."}
    return Entry(
        key=f"effect-{effect.id}",
        kind="page" if effect.actor == "page" else "agent",
        tag=effect.actor,
        at=effect.created_at,
        seq=0,
        heard=None,
        sentence=who.get(effect.actor, "Changed."),
        changes=[words.change(effect)],
    )


def _sent(message: Message) -> Sent:
    parts = f"{message.parts} part{'' if message.parts == 1 else 's'}" if message.parts else ""
    return Sent(
        author=message.author,
        body=linked(message.body),
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


def _mark(author: str | None, agent: str | None) -> str:
    """Who spoke for the shop: bot, shop, or an agent's initials."""
    if author == "agent" and agent:
        return initials(agent)
    return author or "shop"
