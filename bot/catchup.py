"""Takes in the texts that came while nobody answered the carrier's webhook, from the carrier's own list; STOPs first.

Twilio calls a webhook once or twice and then gives up, so what came during an outage is only in its list. Taking a text
in is bot.inbox.receive, which keeps each carrier id once: a webhook that does come, before or after, changes nothing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from bot import clock, consent, inbox
from bot.carriers.base import Carrier, InboundText
from bot.db import PAGES, SENDS, TURNS, Database, Waker
from bot.errors import CarrierError
from bot.tables import Message, SenderNumber

log = logging.getLogger(__name__)

#: The list is read again from this long before the last time: carriers list a text late, and clocks differ.
OVERLAP = timedelta(minutes=10)
#: A text this young is left to its webhook, which knows more of it (what the carrier did with a STOP); carriers give up
#: calling after some fifteen seconds.
YOUNG = timedelta(minutes=1)
#: One process at a time reads the list: the key of a PostgreSQL advisory lock, "catch" in ASCII.
LOCK = 0x6361746368


class CatchUp:
    """The loop beside a sender's; any number of processes may run it, one of them works at a time."""

    def __init__(self, db: Database, carrier: Carrier, consent_key: str, every: timedelta) -> None:
        self._db = db
        self._carrier = carrier
        self._consent_key = consent_key
        self._every = every
        self._waker = Waker(db)

    async def run(self) -> None:
        """Catch up at once and then every so often, until cancelled; whatever fails is logged and tried again."""
        since = timedelta(0)
        while True:
            young = False
            try:
                young = await self.catch_up(since)
            except Exception:
                # Sending must go on whatever is wrong with the list or the database.
                log.exception("inbound texts not caught up")
            since = self._every
            await asyncio.sleep(min(self._every, YOUNG if young else self._every).total_seconds())

    async def catch_up(self, every: timedelta = timedelta(0)) -> bool:
        """Take in what is missing, for every number not read for `every`; True where young texts were left to wait.

        A number whose list cannot be read keeps its place and is logged.
        """
        waits = False
        async with self._alone() as ours:
            if not ours:
                return False
            for number in await self._due(clock.now() - every * 0.9):
                try:
                    waits |= await self._read(number)
                except CarrierError as exc:
                    log.warning("inbound texts not caught up: %s", exc.reason, extra={"number_id": number.id})
        return waits

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[bool]:
        """Whether nobody else catches up; a lock of a connection, not of a transaction: HTTP happens under it."""
        async with self._db.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            ours = bool(await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}))
            try:
                yield ours
            finally:
                if ours:
                    await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})

    async def _due(self, before: datetime) -> Sequence[SenderNumber]:
        """Numbers last read before an instant; one seen for the first time starts there: what came before Parley had
        the number is nobody's to answer.
        """
        async with self._db.begin() as session:
            await session.execute(
                update(SenderNumber).where(SenderNumber.caught_up_to.is_(None)).values(caught_up_to=before)
            )
            read = SenderNumber.caught_up_to
            # A time to come was written by a clock that has been put back since.
            due = select(SenderNumber).where((read <= before) | (read > clock.now())).order_by(SenderNumber.id)
            return (await session.scalars(due)).all()

    async def _read(self, number: SenderNumber) -> bool:
        """Take in what one number missed; True where young texts were left. Raises CarrierError."""
        now = clock.now()
        listed = await self._carrier.received_since(number.phone, min(number.caught_up_to or now, now) - OVERLAP)
        missing = await self._missing(listed)
        ripe = [item for item in missing if item.received_at is None or item.received_at <= now - YOUNG]
        taken, complete = 0, True
        for item in in_order(ripe, number.carrier_words):
            try:
                received = await inbox.receive(self._db, item, self._consent_key)
            except ValueError as exc:
                log.warning("text not understood: %s", exc, extra={"carrier_id": item.carrier_id})
            except DBAPIError:
                log.exception("text not stored", extra={"carrier_id": item.carrier_id})
                complete = False
            else:
                taken += received.new
        if complete:
            async with self._db.begin() as session:
                await session.execute(update(SenderNumber).where(SenderNumber.id == number.id).values(caught_up_to=now))
        if taken:
            log.info("texts caught up: %d", taken, extra={"number_id": number.id})
            for channel in (TURNS, SENDS, PAGES):
                self._waker.wake(channel)
        return len(ripe) < len(missing)

    async def _missing(self, listed: Sequence[InboundText]) -> list[InboundText]:
        """Those that are not stored yet."""
        async with self._db.begin() as session:
            stored = set(
                await session.scalars(
                    select(Message.carrier_id).where(Message.carrier_id.in_([item.carrier_id for item in listed]))
                )
            )
        return [item for item in listed if item.carrier_id not in stored]


def in_order(texts: Sequence[InboundText], carrier_words: Sequence[str] = ()) -> list[InboundText]:
    """The order in which missed texts are taken in: opt-outs before everything else, then as they arrived.

    A START of somebody who also opted out stays in its place among that person's opt-outs, so that the later one holds.
    `texts` come oldest first; `carrier_words` are the words the carrier acts on by itself.
    """
    actions: dict[str, str] = {}
    for item in texts:
        if keyword := consent.read_keyword(item.body, carrier_words=carrier_words):
            actions[item.carrier_id] = keyword.action
    leaving = {item.sender for item in texts if actions.get(item.carrier_id) == "opt_out"}

    def waits(item: InboundText) -> bool:
        return item.sender not in leaving or actions.get(item.carrier_id) not in ("opt_out", "opt_in")

    return sorted(texts, key=waits)  # stable: each part stays as it arrived
