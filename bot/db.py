"""Connections and transactions; one commit, at the edge of a request or a turn, and no SQL of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import psycopg.sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from bot.settings import async_url


class Database:
    """One pool of connections to the engine's PostgreSQL."""

    def __init__(self, url: str, name: str = "parley", pool_size: int = 10) -> None:
        """`name` is how PostgreSQL lists these connections, and how /readyz sees that a worker lives."""
        self.url = url
        self._name = name
        self.engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=10,
            pool_pre_ping=True,
            connect_args={"application_name": name},
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._background: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        async with self._sessions() as session, session.begin():
            yield session

    async def listen(self, channel: str) -> psycopg.AsyncConnection:
        """A connection of its own that receives NOTIFY on `channel` (a fixed name); close it when done."""
        plain = async_url(self.url).replace("postgresql+psycopg://", "postgresql://", 1)
        connection = await psycopg.AsyncConnection.connect(plain, autocommit=True, application_name=self._name)
        try:
            await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
        except BaseException:  # cancelled half way, nobody else would close it
            await connection.close()
            raise
        return connection

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start work that nobody waits for but `close`."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def close(self) -> None:
        """Let background work end, which may hold a connection, then give every connection back."""
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.engine.dispose()


def constraint_of(exc: DBAPIError) -> str | None:
    """The name of the constraint a statement broke, None where it broke none."""
    diag = getattr(exc.orig, "diag", None)
    return diag.constraint_name if diag is not None else None


def is_conflict(exc: DBAPIError) -> bool:
    """Whether another transaction got in the way: exclusion, serialisation, deadlock. The work may be done again."""
    return isinstance(
        exc.orig,
        psycopg.errors.ExclusionViolation | psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected,
    )


class Waker:
    """Tells workers and senders that something waits, at most one NOTIFY per channel and few milliseconds.

    It is sent outside the transaction that stored the work, because NOTIFY serialises commits; whoever waits polls as
    well, so a lost wake-up costs a moment and nothing else.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._due: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def wake(self, channel: str) -> None:
        """Ask for a wake-up of everybody listening on `channel`; returns at once."""
        self._due.add(channel)
        if self._task is None or self._task.done():
            self._task = self._db.background(self._send())

    async def _send(self) -> None:
        while self._due:
            due, self._due = self._due, set()
            try:
                async with self._db.begin() as session:
                    for channel in sorted(due):
                        await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": channel})
            except DBAPIError:
                return  # the poll finds the work


class Bell:
    """Waits for a wake-up on one channel, or for the poll interval, whichever comes first."""

    def __init__(self, db: Database, channel: str, poll_seconds: float = 1.0) -> None:
        self._db = db
        self._channel = channel
        self._poll = poll_seconds
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter of this process."""
        self._rung.set()

    async def wait(self) -> None:
        """Return when rung or when it is time to look anyway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._poll):
                await self._rung.wait()
        self._rung.clear()

    async def listen(self) -> None:
        """Ring at every NOTIFY until cancelled; a lost connection is made anew, the poll bridges the gap."""
        while True:
            try:
                async with await self._db.listen(self._channel) as connection:
                    async for _ in connection.notifies():
                        self.ring()
            except psycopg.Error:
                await asyncio.sleep(self._poll)


TURNS = "parley_turns"
SENDS = "parley_sends"
PAGES = "parley_pages"
MODELS = "parley_models"
