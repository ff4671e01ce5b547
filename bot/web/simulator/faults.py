"""What the carrier does wrong where the page orders it: a fault for the next text from or to a phone, and its outcome.

A text from the phone still comes by the real signed webhook, only twice, late, in the wrong order or all at once; what
befalls a text of ours does so in the simulator carrier. A text held back is a row, so it arrives whoever restarts.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, live
from bot.carriers.base import Media
from bot.carriers.simulator import FAILURES, OUTBOUND_FAULTS, new_id
from bot.db import PAGES
from bot.errors import BotError
from bot.tables import Message, SimulatorFault, SimulatorMessage, Turn
from bot.text import MAX_CHARACTERS
from bot.web import internal
from bot.web.state import Parley

log = logging.getLogger(__name__)

#: The first of a swapped pair arrives by itself where no second comes for so long.
PAIR_WAITS = timedelta(minutes=5)
#: Texts whose delivery was cut off (the web process ended) are delivered again after this long; the second is ignored.
AGAIN_AFTER = timedelta(minutes=1)
#: How often texts held back are looked for, in seconds.
LOOK = 0.5
#: More texts than anybody sends in one breath.
LONGEST_BURST = 10
#: Faults the page tells of.
SHOWN = 8
#: The picture a text comes with, one of the engine's own files.
PICTURE = "/static/simulator-picture.png"

#: What can be ordered, as the page's lists say it; a fault's value is its kind, and its seconds or code after a colon.
FROM_PHONE: Final = {
    "duplicate": "comes twice",
    "reordered": "changes places with the one after it",
    "delayed:10": "comes 10 seconds late",
    "delayed:600": "comes 10 minutes late",
    "delayed:3600": "comes an hour late",
    "picture": "comes with a picture",
    "burst": "is a burst: each line a text, all at once",
}
TO_PHONE: Final = {
    "blocked": "is refused: 21610, opted out",
    **{f"failed:{code}": f"fails: {code}, {words}" for code, words in FAILURES.items()},
    "no_receipt": "gets no receipt",
    "lost_answer": "is taken, but the answer is lost",
}
#: Reactions as phones put them into words for phones that know none.
REACTIONS: Final = {
    "loved": "Loved “{}”",
    "liked": "Liked “{}”",
    "disliked": "Disliked “{}”",
    "laughed": "Laughed at “{}”",
    "emphasized": "Emphasized “{}”",
    "questioned": "Questioned “{}”",
    "android": "👍 to “{}”",
}


@dataclass(frozen=True)
class Told:
    """A fault in words: what was ordered, what came of it (empty while it waits for a text), and how that is to read.

    tone is "" while nothing is known, amber while it is not settled, green where the engine took no harm, red where a
    text did not arrive. `holds`: it keeps texts back that can be let go.
    """

    id: int
    title: str
    outcome: str
    tone: str
    waiting: bool
    words: Sequence[str] = ()
    holds: bool = False


@dataclass(frozen=True)
class Held:
    """A text that left the phone and has not arrived."""

    carrier_id: str
    body: str
    at: datetime


# -- ordering ------------------------------------------------------------------------------------------------------


async def order(session: AsyncSession, phone: str, wanted: str) -> None:
    """Order a fault for the next text from or to this phone. Raises BotError for one there is not."""
    if wanted not in FROM_PHONE and wanted not in TO_PHONE:
        raise BotError("There is no such fault. Choose one of the list.")
    kind, _, more = wanted.partition(":")
    session.add(
        SimulatorFault(
            phone=phone,
            kind=kind,
            code=more or None if kind == "failed" else None,
            seconds=int(more) if kind == "delayed" else None,
            ordered_at=clock.now(),
        )
    )
    await session.flush()


async def take_back(session: AsyncSession, phone: str, fault_id: int) -> None:
    """Take back a fault that waits for its text, or let a text go that it holds back."""
    mine = (SimulatorFault.id == fault_id, SimulatorFault.phone == phone)
    await session.execute(delete(SimulatorFault).where(*mine, SimulatorFault.used_at.is_(None)))
    await session.execute(update(SimulatorFault).where(*mine, _held()).values(due_at=clock.now()))


def _held() -> Any:
    return SimulatorFault.due_at.is_not(None) & SimulatorFault.ended_at.is_(None)


# -- on the way to the engine --------------------------------------------------------------------------------------


async def send(state: Parley, phone: str, number: str, body: str) -> None:
    """Text the shop from a phone, with the fault that waits for it.

    Raises BotError, in words for people, where the webhook refuses the text, or a burst is one text only.
    """
    async with state.db.begin() as session:
        taken = await _take(session, state, phone, number, body)
    if taken is None:
        await internal.deliver(state, phone, number, body)
    elif taken.kind == "delayed" or (taken.kind == "reordered" and len(taken.texts) == 1):
        state.waker.wake(PAGES)  # it arrives when it is due
    else:
        await _carry(state, taken.id)


async def react(state: Parley, phone: str, number: str, reaction: str) -> None:
    """React to the shop's last text, as phones tell phones that know no reactions. Raises BotError without one."""
    if reaction not in REACTIONS:
        raise BotError("There is no such reaction. Choose one of the list.")
    now = clock.now()
    async with state.db.begin() as session:
        last = await session.scalar(
            select(SimulatorMessage.body)
            .outerjoin(Message, Message.id == SimulatorMessage.message_id)
            .where(SimulatorMessage.recipient == phone, SimulatorMessage.sender == number)
            .order_by(Message.seq.desc().nulls_last(), SimulatorMessage.accepted_at.desc())
            .limit(1)
        )
        if last is None:
            raise BotError("The shop has sent this phone nothing to react to yet.")
        wording = REACTIONS[reaction]
        body = wording.format(last[: MAX_CHARACTERS - len(wording)])
        fault = SimulatorFault(phone=phone, kind="tapback", ordered_at=now)
        session.add(fault)
        _hold(fault, number, [body], [], now)
        await session.flush()
    await _carry(state, fault.id)


async def _take(session: AsyncSession, state: Parley, phone: str, number: str, body: str) -> SimulatorFault | None:
    """The fault that takes hold of this text, with the text written into it; None where none waits."""
    now = clock.now()
    mine = select(SimulatorFault).where(SimulatorFault.phone == phone).order_by(SimulatorFault.id).limit(1)
    pair = await session.scalar(mine.where(SimulatorFault.kind == "reordered", _held()).with_for_update())
    if pair is not None and len(pair.texts) == 1:
        pair.texts = [*pair.texts, _text(number, body, [], now)]
        pair.due_at = now + AGAIN_AFTER
        return pair
    fault = await session.scalar(
        mine.where(SimulatorFault.used_at.is_(None), SimulatorFault.kind.not_in(OUTBOUND_FAULTS)).with_for_update()
    )
    if fault is None:
        return None
    bodies = [body]
    if fault.kind == "burst":
        bodies = [line.strip() for line in body.splitlines() if line.strip()]
        if not 1 < len(bodies) <= LONGEST_BURST:
            raise BotError(f"A burst is 2 to {LONGEST_BURST} texts, each on a line of its own (Shift and Enter).")
    media = [Media(f"{state.settings.base_url}{PICTURE}", "image/png")] if fault.kind == "picture" else []
    _hold(fault, number, bodies, media, now)
    return fault


def _hold(fault: SimulatorFault, number: str, bodies: Sequence[str], media: Sequence[Media], now: datetime) -> None:
    waits = {"delayed": timedelta(seconds=fault.seconds or 0), "reordered": PAIR_WAITS}
    fault.texts = [_text(number, body, media, now) for body in bodies]
    fault.used_at = now
    fault.due_at = now + waits.get(fault.kind, AGAIN_AFTER)


def _text(number: str, body: str, media: Sequence[Media], now: datetime) -> dict[str, Any]:
    return {
        "carrier_id": new_id(media),
        "number": number,
        "body": body,
        "media": [{"url": item.url, "type": item.content_type} for item in media],
        "sent_at": now.isoformat(),
    }


async def _carry(state: Parley, fault_id: int) -> None:
    """Deliver a fault's texts as it says, and note that they arrived."""
    async with state.db.begin() as session:
        fault = await session.get_one(SimulatorFault, fault_id)
    texts = list(reversed(fault.texts)) if fault.kind == "reordered" else list(fault.texts)
    if fault.kind == "duplicate":
        texts *= 2
    if fault.kind == "burst":
        await asyncio.gather(*(_deliver(state, fault.phone, item) for item in texts))
    else:
        for item in texts:
            await _deliver(state, fault.phone, item)
    async with state.db.begin() as session:
        await session.execute(
            update(SimulatorFault)
            .where(SimulatorFault.id == fault_id, SimulatorFault.ended_at.is_(None))
            .values(ended_at=clock.now())
        )
        live.publish(session, "simulator")
    state.waker.wake(PAGES)


async def _deliver(state: Parley, phone: str, item: Mapping[str, Any]) -> None:
    media = [Media(each["url"], each["type"]) for each in item["media"]]
    await internal.deliver(state, phone, item["number"], item["body"], item["carrier_id"], media)


async def run(state: Parley) -> None:
    """Deliver texts held back once they are due by the engine's clock, until cancelled."""
    while True:
        await asyncio.sleep(LOOK)
        try:
            for fault_id in await _due(state):
                await _carry(state, fault_id)
        except (BotError, DBAPIError, httpx.HTTPError):
            log.warning("texts held back were not delivered", exc_info=True)


async def _due(state: Parley) -> list[int]:
    """Faults whose texts are to arrive now; nobody else takes them for a minute."""
    now = clock.now()
    async with state.db.begin() as session:
        due = (
            select(SimulatorFault.id)
            .where(_held(), SimulatorFault.due_at <= now)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        found = await session.scalars(
            update(SimulatorFault)
            .where(SimulatorFault.id.in_(due))
            .values(due_at=now + AGAIN_AFTER)
            .returning(SimulatorFault.id)
        )
        return sorted(found)


# -- telling -------------------------------------------------------------------------------------------------------


async def told(session: AsyncSession, phone: str) -> list[Told]:
    """What was ordered for this phone, those that wait first, then the latest outcomes."""
    rows = list(
        await session.scalars(
            select(SimulatorFault)
            .where(SimulatorFault.phone == phone)
            .order_by(SimulatorFault.used_at.is_not(None), SimulatorFault.id.desc())
            .limit(SHOWN)
        )
    )
    ids = [item["carrier_id"] for row in rows for item in row.texts]
    stored = {
        row.carrier_id: row
        for row in await session.execute(
            select(Message.carrier_id, Message.seq, Message.turn_id, Message.media, Turn.decision)
            .outerjoin(Turn, Turn.id == Message.turn_id)
            .where(Message.carrier_id.in_(ids))
        )
    }
    sent = {
        row.id: row
        for row in await session.scalars(
            select(Message).where(Message.id.in_([row.message_id for row in rows if row.message_id is not None]))
        )
    }
    return [_told(row, stored, sent) for row in rows]


async def held(session: AsyncSession, phone: str) -> list[Held]:
    """What this phone sent and the engine has not got, in the order it was sent."""
    rows = await session.scalars(
        select(SimulatorFault).where(SimulatorFault.phone == phone, _held()).order_by(SimulatorFault.used_at)
    )
    return [
        Held(item["carrier_id"], item["body"], datetime.fromisoformat(item["sent_at"]))
        for row in rows
        for item in row.texts
    ]


async def waiting(session: AsyncSession, phone: str) -> list[str]:
    """What waits for a text from or to this phone, in words, the next one first."""
    rows = await session.scalars(
        select(SimulatorFault)
        .where(SimulatorFault.phone == phone, SimulatorFault.used_at.is_(None))
        .order_by(SimulatorFault.id)
    )
    return [_title(row, "The next text") for row in rows]


async def swapped(session: AsyncSession, phone: str) -> list[list[str]]:
    """Carrier ids of pairs that arrived in the other order, in the order they were sent."""
    rows = await session.scalars(
        select(SimulatorFault.texts).where(
            SimulatorFault.phone == phone, SimulatorFault.kind == "reordered", SimulatorFault.ended_at.is_not(None)
        )
    )
    return [[item["carrier_id"] for item in texts] for texts in rows]


def _title(fault: SimulatorFault, text: str) -> str:
    """The fault in a sentence without its end; `text` is what it calls the text."""
    more = f":{fault.code or fault.seconds}" if fault.code or fault.seconds else ""
    if fault.kind == "tapback":
        return "A reaction to the shop's last text"
    if fault.kind in OUTBOUND_FAULTS:
        return f"{text} to the phone {TO_PHONE.get(fault.kind + more, 'fails')}"
    return f"{text} from the phone {FROM_PHONE.get(fault.kind + more, 'comes late')}"


def _told(fault: SimulatorFault, stored: Mapping[str, Any], sent: Mapping[UUID, Message]) -> Told:
    title = _title(fault, "The next text" if fault.used_at is None else "A text")
    words = [item["body"] for item in fault.texts]
    if fault.used_at is None:
        return Told(fault.id, title, "", "", waiting=True)
    if fault.kind in OUTBOUND_FAULTS:
        message = sent.get(fault.message_id) if fault.message_id is not None else None
        outcome, tone = _sent(message)
        return Told(fault.id, title, outcome, tone, waiting=False, words=[message.body] if message is not None else [])
    if fault.ended_at is None:
        outcome = "Held back until the next text." if fault.kind == "reordered" else "On its way."
        return Told(fault.id, title, outcome, "amber", waiting=False, words=words, holds=True)
    outcome, tone = _arrived(fault, [stored.get(item["carrier_id"]) for item in fault.texts])
    return Told(fault.id, title, outcome, tone, waiting=False, words=words)


def _arrived(fault: SimulatorFault, rows: Sequence[Any]) -> tuple[str, str]:
    there = [row for row in rows if row is not None]
    if len(there) < len(rows):
        return "Not stored: the webhook took it, and it is nowhere.", "red"
    turns = Counter(row.turn_id for row in there)
    if None in turns:
        return "Stored once each; not read yet.", "amber"
    decided = ", ".join(dict.fromkeys(row.decision for row in there))
    turn_words = "one turn" if len(turns) == 1 else f"{len(turns)} turns, one after the other"
    if fault.kind == "duplicate":
        return f"Delivered twice, stored once; the second was ignored. Decided once: {decided}.", "green"
    if fault.kind == "burst":
        return f"{len(there)} texts at once, each stored once, read in {turn_words}: {decided}.", "green"
    if fault.kind == "reordered" and len(there) > 1:
        return f"The second arrived first; both stored, read in {turn_words}: {decided}.", "green"
    if fault.kind == "picture":
        return f"Stored with {len(there[0].media)} picture: {decided}.", "green"
    if fault.kind == "tapback":
        quiet = "nothing was answered" if decided == "silent" else decided
        return f"Stored once: {quiet}.", "green"
    if fault.kind == "delayed" and fault.used_at is not None and fault.ended_at is not None:
        return f"Arrived {_length(fault.ended_at - fault.used_at)} late, stored once: {decided}.", "green"
    return f"Stored once: {decided}.", "green"


def _length(passed: timedelta) -> str:
    seconds = round(passed.total_seconds())
    return f"{seconds} s" if seconds < 90 else f"{round(seconds / 60)} min"


def _sent(message: Message | None) -> tuple[str, str]:
    """What became of a text of ours."""
    if message is None:
        return "The text is gone.", ""
    if message.error_code == "21610":
        return "Refused and not tried again. The ledger followed: opted out, and the carrier blocks this number.", "red"
    if message.status == "undelivered":
        return f"Taken, then undelivered: error {message.error_code}. It is not sent again.", "red"
    if message.status == "unknown":
        return "Unknown: taken or not, only the carrier's log can tell. It is asked within half a minute.", "amber"
    if message.status == "sent":
        return "Sent; no receipt came, so nobody knows more. It is not sent again.", "green"
    if message.status == "delivered":
        return "Delivered.", "green"
    return f"{message.status.capitalize()}.", ""
