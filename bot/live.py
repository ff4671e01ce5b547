"""What open pages hear of, as rows they can resume from; it decides nothing and sends no text."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bot.db import PAGES, Bell, Database
from bot.tables import PageEvent

#: How many rows one look takes; a page that fell far behind catches up in several.
BATCH = 200


@dataclass(frozen=True)
class LiveEvent:
    """Something happened to a conversation or ticket; `id` is what a browser sends back as Last-Event-ID."""

    id: str
    topic: str
    conversation_id: UUID | None
    ticket_id: UUID | None


def publish(
    session: AsyncSession, topic: str, conversation_id: UUID | None = None, ticket_id: UUID | None = None
) -> None:
    """Write an event in the caller's transaction; topics are message, turn, ticket, booking, simulator, model."""
    session.add(PageEvent(topic=topic, conversation_id=conversation_id, ticket_id=ticket_id))


class Stream:
    """Reads page events for any number of open pages of one web process with one shared wake-up."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._bell = Bell(db, PAGES)
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    async def start(self) -> None:
        """Begin to listen; stop with `close`."""
        self._tasks = [asyncio.create_task(self._bell.listen()), asyncio.create_task(self._pulse())]

    async def close(self) -> None:
        """End every open stream."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        async with self._changed:
            self._changed.notify_all()

    async def _pulse(self) -> None:
        while True:
            await self._bell.wait()
            async with self._changed:
                self._changed.notify_all()

    async def latest(self) -> str:
        """The cursor of now: a page opened here hears of everything after it."""
        async with self._db.begin() as session:
            row = await session.execute(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))
            return f"{row.scalar_one()}.0"

    async def events(self, after: str | None) -> AsyncIterator[LiveEvent | None]:
        """Events after the cursor `after` (None: from now on), for as long as the caller listens.

        Yields None when a moment passed without any, so that the caller can send a sign of life. A cursor that cannot
        be read counts as None.
        """
        xid, number = _cursor(after) or _cursor(await self.latest()) or (0, 0)
        while not self._closed:
            # Only transactions older than every one still open: ids are given out before commits, so a higher id may
            # be visible before a lower one. (xid, id) below the oldest open transaction never changes any more.
            async with self._db.begin() as session:
                rows = (
                    await session.execute(
                        text(
                            "SELECT xid, id, topic, conversation_id, ticket_id FROM page_events"
                            " WHERE (xid, id) > (:xid, :id)"
                            " AND xid < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint"
                            " ORDER BY xid, id LIMIT :batch"
                        ),
                        {"xid": xid, "id": number, "batch": BATCH},
                    )
                ).all()
            for row in rows:
                xid, number = row.xid, row.id
                yield LiveEvent(f"{xid}.{number}", row.topic, row.conversation_id, row.ticket_id)
            if len(rows) == BATCH:
                continue
            async with self._changed:
                await self._changed.wait()
            if not rows:
                yield None


def _cursor(raw: str | None) -> tuple[int, int] | None:
    xid, _, number = (raw or "").partition(".")
    return (int(xid), int(number)) if xid.isdecimal() and number.isdecimal() and len(xid + number) < 30 else None
