"""The worker and sender processes: composition roots that claim work until they are told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import redis.asyncio as redis
from sqlalchemy.exc import DBAPIError

from bot import clock, conversation, logs, models
from bot.carriers.base import Carrier
from bot.carriers.simulator import Simulator
from bot.carriers.twilio import Twilio
from bot.catchup import CatchUp
from bot.conversation import Conversations, Lease
from bot.db import PAGES, SENDS, TURNS, Bell, Database, Waker
from bot.errors import LeaseLost, RasaUnavailable
from bot.rasa_client import RasaClient
from bot.sender import Pacer, Sender
from bot.settings import Secrets, Settings, load_secrets
from bot.shop import when

log = logging.getLogger(__name__)

#: Turns one worker reads at the same time; they wait for Rasa most of the while.
CONCURRENCY = 8
#: A Rasa that is down is asked again after this long.
RASA_RETRY_SECONDS = 1.0
#: An unexpected failure is tried again after this long, times the attempts so far.
FAILURE_RETRY_SECONDS = 1.0


def process_name(kind: str) -> str:
    """A name no other process has, for leases and logs."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"


class Worker:
    """Claims conversations with pending texts and takes their turns, several at a time."""

    def __init__(self, db: Database, turns: Conversations, name: str, lease_seconds: float) -> None:
        self._db = db
        self._turns = turns
        self._name = name
        self._lease_seconds = lease_seconds
        self._bell = Bell(db, TURNS)
        self._waker = Waker(db)

    async def run(self) -> None:
        """Take turns until cancelled; a turn under way is finished first."""
        listening = asyncio.create_task(self._bell.listen())
        busy: set[asyncio.Task[None]] = set()
        try:
            while True:
                if len(busy) >= CONCURRENCY:
                    await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
                    continue
                lease = await self._claim()
                if lease is None:
                    await self._bell.wait()
                    continue
                task = asyncio.create_task(self._take(lease))
                busy.add(task)
                task.add_done_callback(busy.discard)
        finally:
            listening.cancel()
            await asyncio.gather(*busy, return_exceptions=True)

    async def _claim(self) -> Lease | None:
        try:
            return await conversation.claim(self._db, self._name, self._lease_seconds)
        except DBAPIError:
            log.exception("conversations not readable")
            return None

    async def _take(self, lease: Lease) -> None:
        fields = {"conversation_id": str(lease.conversation_id)}
        try:
            await self._turns.take_turn(lease)
        except LeaseLost as exc:
            log.info("turn left to others: %s", exc, extra=fields)
        except RasaUnavailable as exc:
            log.warning("turn waits: %s", exc, extra=fields)
            await self._give_back(lease, RASA_RETRY_SECONDS, counts=False)
        except Exception:
            # Whatever it is, the text stays pending and is tried again; after some tries a person gets it.
            log.exception("turn failed", extra=fields)
            await self._give_back(lease, FAILURE_RETRY_SECONDS * lease.attempts, counts=True)
        else:
            log.info("turn taken", extra=fields)
            self._waker.wake(SENDS)
            self._waker.wake(PAGES)
        self._bell.ring()

    async def _give_back(self, lease: Lease, seconds: float, *, counts: bool) -> None:
        with contextlib.suppress(DBAPIError):  # the lease runs out by itself
            await conversation.give_back(self._db, lease, retry_in_seconds=seconds, counts=counts)


async def run(settings: Settings) -> None:
    """The worker process, until SIGTERM."""
    secrets = _prepare(settings, "worker")
    when.load()  # on the main thread, before the first text asks for it
    db = Database(settings.database_url, "parley-worker", pool_size=CONCURRENCY + 2)
    async with httpx.AsyncClient(trust_env=False) as http:
        rasa = RasaClient(settings.rasa_url, secrets.internal_token, settings.rasa_timeout_seconds, http)
        turns = Conversations(
            db,
            rasa,
            timedelta(seconds=settings.rasa_patience_seconds),
            settings.desk_minutes,
            timedelta(hours=settings.answer_within_hours),
            settings.fold_times,
        )
        worker = Worker(db, turns, process_name("worker"), settings.lease_seconds)
        follower = models.Follower(db, settings.rasa_site, rasa)
        await follower.look()  # the settings are of the process's start, and it may be started again after a swap
        following = asyncio.create_task(follower.run())
        await _until_stopped(worker.run)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    await db.close()


async def run_sender(settings: Settings) -> None:
    """The sender process, until SIGTERM."""
    secrets = _prepare(settings, "sender")
    db = Database(settings.database_url, "parley-sender")
    # 20 s to connect and answer: more than Twilio ever takes, less than the lease on the message.
    async with httpx.AsyncClient(trust_env=False, timeout=20.0) as http:
        cache = redis.Redis.from_url(settings.redis_url) if settings.redis_url else None
        carries = carrier(settings, secrets, db, http)
        sender = Sender(
            db,
            carries,
            Pacer(cache),
            name=process_name("sender"),
            base_url=settings.base_url,
            lease_seconds=settings.lease_seconds,
        )
        catchup = CatchUp(db, carries, secrets.consent_key, timedelta(seconds=settings.catchup_seconds))

        async def both() -> None:
            catching = asyncio.create_task(catchup.run())
            try:
                await sender.run()
            finally:
                catching.cancel()
                await asyncio.gather(catching, return_exceptions=True)

        await _until_stopped(both)
        if cache is not None:
            await cache.aclose()
    await db.close()


def carrier(settings: Settings, secrets: Secrets, db: Database, http: httpx.AsyncClient) -> Carrier:
    """The carrier the settings name."""
    if settings.carrier == "twilio":
        return Twilio(http, settings.twilio_api_url, settings.twilio_account_sid, settings.twilio_auth_token)
    return Simulator(db, http, secrets.twilio_auth_token, f"http://127.0.0.1:{settings.port}")


def _prepare(settings: Settings, kind: str) -> Secrets:
    logs.start(settings.log_level, kind)
    clock.start(settings.clock_offset_seconds, settings.clock_file)
    return load_secrets(settings)


async def _until_stopped(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run until SIGTERM or SIGINT, then cancel and wait for what is under way."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(run())
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
