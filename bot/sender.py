"""Claims a queued message, paces it, hands it to the carrier, records the outcome and the receipts.

At most once, always: a message whose outcome is unknown is sent again only when the carrier's log proves it never
arrived. It reads no carrier's code; errors say themselves whether they may be tried again.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import redis.asyncio as redis
from redis.exceptions import RedisError
from sqlalchemy import case, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent, crash, effects, live
from bot.carriers.base import Accepted, Carrier, Outgoing, ReceiptReport
from bot.db import PAGES, SENDS, Bell, Database, Waker
from bot.errors import CarrierError, OutcomeUnknown, Unsubscribed
from bot.tables import RANK, Contact, Conversation, Message, Receipt, SenderNumber

log = logging.getLogger(__name__)

#: Texts handed over at the same time by one sender process.
CONCURRENCY = 8
#: A start that has to wait (an unread text of the contact) is asked again after this long.
WAIT = timedelta(seconds=2)
#: A text that met an unexpected failure on our side is tried again after this long.
FAILURE_WAIT = timedelta(seconds=10)
#: Tries of a text the carrier could not take, with 2, 4, 8 … seconds between, at most five minutes.
MAX_ATTEMPTS = 8
#: An unknown outcome is looked up again this often.
SETTLE_EVERY = timedelta(seconds=20)


@dataclass(frozen=True)
class Candidate:
    """A queued message that may go next."""

    id: UUID
    number: str
    parts: int
    pace: float | None


@dataclass(frozen=True)
class Claimed:
    """A message marked as sending under our lease."""

    outgoing: Outgoing
    fence: int


class Pacer:
    """A token bucket per sender number in Redis, in parts per second, shared by all senders.

    Without Redis each sender keeps a bucket of its own: slower is not wrong, and the carrier queues what is too fast.
    """

    _TAKE = """
        local now = redis.call('TIME')
        local t = now[1] + now[2] / 1e6
        local rate, parts = tonumber(ARGV[1]), tonumber(ARGV[2])
        local free_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), t)
        redis.call('SET', KEYS[1], tostring(free_at + parts / rate), 'EX', 3600)
        return tostring(free_at - t)
    """

    def __init__(self, client: "redis.Redis | None") -> None:
        self._client = client
        self._local: dict[str, float] = {}

    async def wait(self, number: str, parts: int, rate: float | None) -> None:
        """Return when the number may send this many parts."""
        if rate is None:
            return
        await asyncio.sleep(await self._delay(number, parts, rate))

    async def _delay(self, number: str, parts: int, rate: float) -> float:
        if self._client is not None:
            with contextlib.suppress(RedisError, OSError):
                return float(await self._client.eval(self._TAKE, 1, f"pace:{number}", str(rate), str(parts)))
        moment = time.monotonic()
        free_at = max(self._local.get(number, 0.0), moment)
        self._local[number] = free_at + parts / rate
        return free_at - moment


class Sender:
    """The loop of one sender process."""

    def __init__(
        self,
        db: Database,
        carrier: Carrier,
        pacer: Pacer,
        *,
        name: str,
        base_url: str,
        lease_seconds: float,
    ) -> None:
        self._db = db
        self._carrier = carrier
        self._pacer = pacer
        self._name = name
        self._base_url = base_url
        self._lease = lease_seconds
        self._bell = Bell(db, SENDS)
        self._waker = Waker(db)
        self._busy: dict[UUID, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Send until cancelled; what is being handed over is finished first."""
        listening = asyncio.create_task(self._bell.listen())
        settling = asyncio.create_task(self._settle_forever())
        try:
            while True:
                started = await self._start_some()
                if not started:
                    await self._bell.wait()
        finally:
            for task in (listening, settling):
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _start_some(self) -> bool:
        room = CONCURRENCY - len(self._busy)
        if room <= 0:
            await asyncio.wait(self._busy.values(), return_when=asyncio.FIRST_COMPLETED)
            return True
        try:
            candidates = await self._candidates(room)
        except DBAPIError:
            log.exception("outbox not readable")
            return False
        for candidate in candidates:
            task = asyncio.create_task(self._send(candidate))
            self._busy[candidate.id] = task
            task.add_done_callback(partial(self._done, candidate.id))
        return bool(candidates)

    def _done(self, key: UUID, _: asyncio.Task[None]) -> None:
        self._busy.pop(key, None)
        self._bell.ring()

    async def _candidates(self, room: int) -> list[Candidate]:
        """What may go next, most urgent first; a conversation's texts leave one after the other."""
        async with self._db.begin() as session:
            rows = await session.execute(
                text(
                    """
                    SELECT m.id, n.phone, m.parts, n.parts_per_second
                    FROM messages m
                    JOIN conversations c ON c.id = m.conversation_id
                    JOIN sender_numbers n ON n.id = c.sender_number_id
                    WHERE m.status = 'queued' AND m.send_after <= :now AND NOT m.id = ANY(:busy)
                      AND NOT EXISTS (
                        SELECT 1 FROM messages e
                        WHERE e.conversation_id = m.conversation_id AND e.seq < m.seq
                          AND (e.status = 'sending' OR (e.status = 'queued' AND e.send_after <= :now)))
                    ORDER BY m.urgency, m.seq LIMIT :room
                    """
                ),
                {"now": clock.now(), "busy": list(self._busy), "room": room},
            )
            return [Candidate(row.id, row.phone, row.parts, row.parts_per_second) for row in rows]

    async def _send(self, candidate: Candidate) -> None:
        try:
            await self._pacer.wait(candidate.number, candidate.parts, candidate.pace)
            claimed = await self._claim(candidate.id)
            if claimed is None:
                return
            crash.point("sender.before_call")
            try:
                accepted = await self._carrier.send(claimed.outgoing)
            except CarrierError as exc:
                await self._failed(claimed, exc)
                return
            crash.point("sender.after_call")
            await self._accepted(claimed, accepted)
        except Exception:
            # Whatever it is: a text marked as sending is settled by the carrier's log once its lease has run out, and
            # one still queued is tried again, but not at once.
            log.exception("send not recorded", extra={"message_id": str(candidate.id)})
            await self._postpone(candidate.id)

    async def _postpone(self, message_id: UUID) -> None:
        with contextlib.suppress(DBAPIError):  # then the database is what failed, and the poll comes round again
            async with self._db.begin() as session:
                await session.execute(
                    update(Message)
                    .where(Message.id == message_id, Message.status == "queued")
                    .values(send_after=clock.now() + FAILURE_WAIT)
                )

    async def _claim(self, message_id: UUID) -> Claimed | None:
        """Ask consent once more and mark the message as sending, in one transaction; None where it may not go now."""
        now = clock.now()
        async with self._db.begin() as session:
            message = await session.scalar(
                select(Message)
                .where(Message.id == message_id, Message.status == "queued")
                .with_for_update(skip_locked=True)
            )
            if message is None:
                return None
            conversation = await session.get_one(Conversation, message.conversation_id)
            # The share lock orders this claim against an opt-out: the webhook that stores a STOP locks the contact.
            contact = (
                await session.scalars(
                    select(Contact).where(Contact.id == conversation.contact_id).with_for_update(read=True)
                )
            ).one()
            if message.deadline_at is not None and message.deadline_at < now:
                message.status, message.reason = "failed", "its deadline passed before it could leave"
                live.publish(session, "message", conversation.id)
                return None
            verdict = await consent.may_send(session, message, conversation, contact)
            if verdict.wait:
                message.send_after = now + WAIT
                return None
            message.rule = verdict.rule
            if not verdict.allowed:
                message.status, message.reason = "refused", verdict.rule
                live.publish(session, "message", conversation.id)
                log.info("send refused: %s", verdict.rule, extra={"message_id": str(message.id)})
                return None
            number = await session.get_one(SenderNumber, conversation.sender_number_id)
            message.status = "sending"
            message.fence += 1
            message.attempts += 1
            message.claimed_by = self._name
            message.handed_over_at = now
            await session.flush()
            await session.execute(
                text("UPDATE messages SET claimed_until = now() + make_interval(secs => :s) WHERE id = :id"),
                {"s": self._lease, "id": message.id},
            )
            return Claimed(self._outgoing(message, number.phone, contact.phone), message.fence)

    def _outgoing(self, message: Message, sender: str, recipient: str) -> Outgoing:
        left = (message.deadline_at - clock.now()).total_seconds() if message.deadline_at is not None else 14_400.0
        return Outgoing(
            message_id=message.id,
            sender=sender,
            recipient=recipient,
            body=message.body,
            callback_url=f"{self._base_url}/webhooks/twilio/status?m={message.id}",
            valid_for_seconds=max(1, int(left)),
        )

    async def _accepted(self, claimed: Claimed, accepted: Accepted) -> None:
        """Record that the carrier has it; a receipt may have been here first, and receipts only move forward."""
        async with self._db.begin() as session:
            conversation_id = await session.scalar(
                update(Message)
                .where(Message.id == claimed.outgoing.message_id, Message.fence == claimed.fence)
                .values(
                    carrier_id=accepted.carrier_id,
                    status=case((Message.status.in_(("sending", "unknown")), "sent"), else_=Message.status),
                    claimed_until=None,
                    handed_over_at=clock.now(),
                )
                .returning(Message.conversation_id)
            )
            live.publish(session, "message", conversation_id)
        self._waker.wake(PAGES)
        log.info("message handed over", extra={"message_id": str(claimed.outgoing.message_id)})

    async def _failed(self, claimed: Claimed, exc: CarrierError) -> None:
        now = clock.now()
        async with self._db.begin() as session:
            message = await session.scalar(
                select(Message)
                .where(
                    Message.id == claimed.outgoing.message_id,
                    Message.fence == claimed.fence,
                    Message.status == "sending",
                )
                .with_for_update()
            )
            if message is None:
                return
            message.reason, message.error_code, message.claimed_until = exc.reason, exc.code, None
            if isinstance(exc, OutcomeUnknown):
                message.status = "unknown"
                message.send_after = now + SETTLE_EVERY
            elif exc.retryable and message.attempts < MAX_ATTEMPTS:
                message.status = "queued"
                # Jitter, so that texts refused together do not come back together.
                wait = min(2.0**message.attempts, 300.0) * random.uniform(0.8, 1.2)  # noqa: S311  # no secret
                message.send_after = now + timedelta(seconds=wait)
            else:
                message.status = "failed"
            if isinstance(exc, Unsubscribed):
                await self._follow_carrier(session, message)
            live.publish(session, "message", message.conversation_id)
        log.warning("send failed: %s", exc.reason, extra={"message_id": str(claimed.outgoing.message_id)})

    async def _follow_carrier(self, session: AsyncSession, message: Message) -> None:
        """The carrier blocks this contact: the ledger follows, whatever we believed."""
        conversation = await session.get_one(Conversation, message.conversation_id)
        contact = await session.get_one(Contact, conversation.contact_id)
        conversation.carrier_blocked = True
        now = clock.now()
        changed = await consent.opt_out(session, contact, "CARRIER BLOCK", "carrier", message.id, now)
        await effects.record(session, changed, conversation_id=conversation.id, actor="contact", now=now)

    # -- unknown outcomes ------------------------------------------------------------------------------------------

    async def _settle_forever(self) -> None:
        while True:
            try:
                await self.settle()
            except DBAPIError:
                log.exception("unknown outcomes not readable")
            await asyncio.sleep(min(self._lease, SETTLE_EVERY.total_seconds()) / 2)

    async def settle(self) -> None:
        """Ask the carrier's log about every message whose outcome is unknown: sent, never arrived, or still unknown."""
        async with self._db.begin() as session:
            await session.execute(
                text(
                    "UPDATE messages SET status = 'unknown', reason = 'the sender ended while handing it over',"
                    " fence = fence + 1, send_after = :now WHERE status = 'sending' AND claimed_until < now()"
                ),
                {"now": clock.now()},
            )
            rows = (
                await session.execute(
                    select(Message, SenderNumber.phone, Contact.phone)
                    .join(Conversation, Conversation.id == Message.conversation_id)
                    .join(SenderNumber, SenderNumber.id == Conversation.sender_number_id)
                    .join(Contact, Contact.id == Conversation.contact_id)
                    .where(Message.status == "unknown", Message.send_after <= clock.now())
                    .limit(100)
                )
            ).all()
            known = await self._known([message for message, _, _ in rows], session)
        for message, sender, recipient in rows:
            try:
                await self._settle_one(
                    message, self._outgoing(message, sender, recipient), known[message.conversation_id]
                )
            except Exception:
                # One text that cannot be settled must not keep the others from it.
                log.exception("outcome not settled", extra={"message_id": str(message.id)})

    @staticmethod
    async def _known(messages: Sequence[Message], session: AsyncSession) -> Mapping[UUID, Collection[str]]:
        """The carrier's ids of texts in the same words to the same contacts, by conversation."""
        rows = await session.execute(
            select(Message.conversation_id, Message.carrier_id).where(
                Message.conversation_id.in_({message.conversation_id for message in messages}),
                Message.body.in_({message.body for message in messages}),
                Message.direction == "outbound",
                Message.carrier_id.is_not(None),
            )
        )
        known: defaultdict[UUID, set[str]] = defaultdict(set)
        for conversation_id, carrier_id in rows:
            known[conversation_id].add(carrier_id or "")
        return known

    async def _settle_one(self, message: Message, outgoing: Outgoing, known: Collection[str]) -> None:
        asked_at = message.handed_over_at or message.created_at
        values: dict[str, object]
        try:
            found = await self._carrier.find(outgoing, asked_at, known)
        except CarrierError:
            values = {"send_after": clock.now() + SETTLE_EVERY}
        else:
            if found.carrier_id is not None:
                values = {"status": "sent", "carrier_id": found.carrier_id, "reason": None}
            elif found.never_arrived:
                values = {"status": "queued", "send_after": clock.now(), "reason": "proven never taken; sent again"}
            else:
                values = {"send_after": clock.now() + SETTLE_EVERY}
        async with self._db.begin() as session:
            await session.execute(
                update(Message)
                .where(Message.id == message.id, Message.status == "unknown", Message.fence == message.fence)
                .values(**values)
            )
            live.publish(session, "message", message.conversation_id)
        self._bell.ring()


# -- receipts ------------------------------------------------------------------------------------------------------


async def record_receipt(db: Database, report: ReceiptReport) -> bool:
    """Keep a receipt once and move its message forward; True where the message moved.

    Receipts come twice, out of order, and before the create call returns; our own id in the callback address finds the
    message then.
    """
    async with db.begin() as session:
        new = await session.scalar(
            insert(Receipt)
            .values(
                carrier_id=report.carrier_id,
                message_id=report.message_id,
                status=report.status,
                error_code=report.error_code,
                received_at=clock.now(),
            )
            .on_conflict_do_nothing()
            .returning(Receipt.id)
        )
        if new is None:
            return False
        named = Message.carrier_id == report.carrier_id
        if report.message_id is not None:
            named = named | (Message.id == report.message_id)
        message = await session.scalar(
            select(Message).where(named, Message.direction == "outbound").with_for_update().limit(1)
        )
        # Whatever a receipt says, the carrier has the text; "queued at the carrier" is no step back for us.
        reached = "sent" if report.status == "sending" else report.status
        if message is None or RANK[reached] <= RANK[message.status]:
            return False
        if message.status == "queued" and not message.attempts:
            return False  # it was never handed over, so this receipt is not about it
        message.status = reached
        message.carrier_id = message.carrier_id or report.carrier_id
        message.error_code = report.error_code or message.error_code
        message.reason = f"error {report.error_code}" if report.error_code else None
        live.publish(session, "message", message.conversation_id)
        return True
