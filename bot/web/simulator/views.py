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
from bot.outreach import tapbacks
from bot.tables import (
    WAITING,
    ClockMove,
    Contact,
    Conversation,
    Effect,
    Message,
    OpenQuestion,
    SimulatorFault,
    SimulatorMessage,
    Ticket,
    Turn,
    User,
)
from bot.web.simulator import faults, moves
from bot.web.simulator.words import Change, Wait, Words, linked
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
    """One text on the phone, its time in the shop's zone; `mark` says in small who spoke for the shop.

    `held`: it left the phone and the carrier has not brought it to the engine. `reaction`: a phone put it into words.
    """

    key: str
    author: str
    mark: str
    body: Markup
    at: datetime
    pictures: Sequence[str] = ()
    held: bool = False
    reaction: bool = False


@dataclass(frozen=True)
class Phone:
    """The contact's phone. `reading`: a text of theirs has no turn yet; `sending`: an answer is on its way.

    `waiting` are the faults that wait for a text from or to it, in words.
    """

    phone: str
    name: str | None
    number: str
    conversation_id: UUID | None
    last_seq: int
    bubbles: list[Bubble]
    reading: bool
    sending: bool
    waiting: Sequence[str] = ()


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
    held = [
        Bubble(item.carrier_id, "contact", "", linked(item.body), item.at.astimezone(zone), held=True)
        for item in await faults.held(session, phone)
    ]
    waiting = await faults.waiting(session, phone)
    if conversation is None:
        return Phone(phone, name, number, None, 0, held, reading=False, sending=False, waiting=waiting)
    texted = (
        await session.execute(
            select(
                Message.id,
                Message.seq,
                Message.carrier_id,
                Message.body,
                Message.media,
                Message.created_at,
                Message.turn_id,
            )
            .where(Message.conversation_id == conversation.id, Message.direction == "inbound")
            .order_by(Message.seq.desc())
            .limit(TEXTS)
        )
    ).all()
    # A text whose receipt says that it failed was taken by the carrier, and never reached the phone.
    lost = select(SimulatorFault.message_id).where(SimulatorFault.phone == phone, SimulatorFault.kind == "failed")
    came = await session.execute(
        select(
            SimulatorMessage.carrier_id,
            SimulatorMessage.body,
            SimulatorMessage.accepted_at,
            Message.seq,
            Message.author,
            User.name,
        )
        .outerjoin(Message, Message.id == SimulatorMessage.message_id)
        .outerjoin(User, User.id == Message.sent_by)
        .where(
            SimulatorMessage.recipient == phone,
            SimulatorMessage.sender == number,
            SimulatorMessage.message_id.not_in(lost.where(SimulatorFault.message_id.is_not(None))),
        )
        .order_by(Message.seq.desc().nulls_last(), SimulatorMessage.accepted_at.desc())
        .limit(TEXTS)
    )
    last_seq = await session.scalar(select(func.max(Message.seq)).where(Message.conversation_id == conversation.id))
    on_its_way = await session.scalar(
        select(Message.id)
        .where(Message.conversation_id == conversation.id, Message.direction == "outbound", Message.status.in_(SOON))
        .limit(1)
    )
    places = _places({row.carrier_id: row.seq for row in texted}, await faults.swapped(session, phone))
    # In the order things happened, which is not that of their times once the clock was put back.
    bubbles = [
        (
            (places[row.carrier_id], 0.0),
            Bubble(
                str(row.id),
                "contact",
                "",
                linked(row.body),
                row.created_at.astimezone(zone),
                [str(item.get("url", "")) for item in row.media],
                reaction=not row.media and tapbacks.is_tapback(row.body),
            ),
        )
        for row in texted
    ]
    bubbles += [
        (
            (row.seq or 0, row.accepted_at.timestamp()),
            Bubble(
                row.carrier_id,
                row.author or "shop",
                _mark(row.author, row.name),
                linked(row.body),
                row.accepted_at.astimezone(zone),
            ),
        )
        for row in came
    ]
    in_order = [bubble for _, bubble in sorted(bubbles, key=lambda item: item[0])][-TEXTS:]
    stored = {row.carrier_id for row in texted}
    return Phone(
        phone,
        name,
        number,
        conversation.id,
        last_seq or 0,
        in_order + [item for item in held if item.key not in stored],
        reading=any(row.turn_id is None for row in texted),
        sending=on_its_way is not None,
        waiting=waiting,
    )


def _places(stored: dict[str | None, int], pairs: Sequence[Sequence[str]]) -> dict[str | None, int]:
    """Where each stored text stands on the phone: as it was sent, though its pair arrived in the other order."""
    places = dict(stored)
    for pair in pairs:
        known = [carrier_id for carrier_id in pair if carrier_id in stored]
        places |= dict(zip(known, sorted(stored[carrier_id] for carrier_id in known), strict=True))
    return places


async def entries(session: AsyncSession, conversation_id: UUID, words: Words, part_cents: float) -> list[Entry]:
    """What the engine saw and did in this conversation, newest first; a part of a text costs `part_cents`."""
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
    answers: dict[UUID | None, list[Message]] = defaultdict(list)
    for message in reversed(texts):
        answers[message.turn_id].append(message)
    changes: dict[UUID | None, list[Effect]] = defaultdict(list)
    for effect in effects:
        changes[effect.turn_id].append(effect)
    found = [
        replace(
            _turn(turn, message, ticket, answers[turn.id], changes[turn.id], words, part_cents),
            waits=[words.wait(question) for question in questions if _open_after(question, turn.ended_at)],
            ladder=_ladder(conversation) if place == 0 else "",
        )
        for place, (turn, message, ticket) in enumerate(turns)
    ]
    found += [
        replace(
            _started(message, part_cents), waits=[words.wait(q) for q in questions if q.asked_at == message.created_at]
        )
        for message in answers[None]
    ]
    by_seq = {entry.seq: entry.at for entry in found}
    placed = [((entry.seq, 0, entry.at), entry) for entry in found]
    for effect in changes[None]:
        # Numbered by nothing: after the last text that was there.
        after = max((seq for seq, at in by_seq.items() if at <= effect.created_at), default=0)
        placed.append(((after, 1, effect.created_at), _elsewhere(effect, words)))
    if found:
        for move in await moves.since(session, min(by_seq), ENTRIES):
            placed.append(((move.after_seq, 2, move.moved_to), _moved(move)))
    # Newest first as messages are numbered: times are in no order once the clock was put back.
    return [entry for _, entry in sorted(placed, key=lambda item: item[0], reverse=True)][:ENTRIES]


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
    turn: Turn,
    message: Message,
    ticket: Ticket | None,
    answers: list[Message],
    effects: list[Effect],
    words: Words,
    part_cents: float,
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
        sent=[_sent(answer, part_cents) for answer in answers],
        steps=steps,
        decided_ms=round(sum(step.ms for step in steps)) if steps else None,
        answered_ms=round((ended - message.created_at).total_seconds() * 1000) if handed else None,
        ticket=ticket,
    )


def _started(message: Message, part_cents: float) -> Entry:
    agent = message.author == "agent"
    return Entry(
        key=str(message.id),
        kind="agent" if agent else "shop",
        tag="agent" if agent else "shop",
        at=message.created_at,
        seq=message.seq,
        heard=None,
        sentence="An agent wrote." if agent else f"The shop started a text: {_named(message.name)}.",
        sent=[_sent(message, part_cents)],
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


def _moved(move: ClockMove) -> Entry:
    words = "put back" if move.moved_to < move.moved_from else "moved on"
    return Entry(f"move-{move.id}", "clock", "clock", move.moved_to, 0, None, f"Clock {words} to")


def _sent(message: Message, part_cents: float) -> Sent:
    parts = f"{message.parts} part{'' if message.parts == 1 else 's'}" if message.parts else ""
    billed = message.parts and message.status not in _UNBILLED
    cost = f"{(message.parts or 0) * part_cents:.2f} ¢" if billed and part_cents else ""
    return Sent(
        author=message.author,
        body=linked(message.body),
        size=", ".join(item for item in (parts, message.encoding, f"{len(message.body)} characters", cost) if item),
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


#: Texts no carrier took, so none bills them.
_UNBILLED = ("refused", "cancelled", "failed")
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
