"""The engine's clock as the page moves it: on by a step, to a chosen moment, back; every process follows at once."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, live
from bot.errors import BotError
from bot.tables import ClockMove, Message

#: How far one press moves the clock on, by the button's value. Ten minutes is what held times and "undo" last.
STEPS: Final = {
    "10m": ("10 minutes", timedelta(minutes=10)),
    "1h": ("1 hour", timedelta(hours=1)),
    "1d": ("1 day", timedelta(days=1)),
    "7d": ("1 week", timedelta(days=7)),
}
#: As far as it goes: beyond, no calendar of the shop says anything.
EARLIEST, LATEST = timedelta(days=-366), timedelta(days=3660)
#: The key of a PostgreSQL advisory lock, "clock" in ASCII.
_LOCK = 0x636C6F636B


async def on(session: AsyncSession, step: str) -> None:
    """Move the clock on by one of STEPS. Raises BotError for another."""
    if step not in STEPS:
        raise BotError("The clock has no such step. Press one of its buttons.")
    await _move(session, STEPS[step][1])


async def to(session: AsyncSession, moment: datetime) -> None:
    """Move the clock to an instant, in either direction."""
    await _move(session, moment - clock.now())


async def back(session: AsyncSession) -> None:
    """Back to the clock as the engine was started with it."""
    await _move(session, -clock.moved())


async def _move(session: AsyncSession, by: timedelta) -> None:
    # Two people who press at once are taken one after the other, or one press would be lost.
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    ahead = clock.moved() + by
    if not EARLIEST <= ahead <= LATEST:
        raise BotError("The clock goes a year back and ten years ahead, no further.")
    now = clock.now()
    last = await session.scalar(select(func.max(Message.seq)))
    session.add(ClockMove(after_seq=last or 0, moved_from=now, moved_to=now + by))
    live.publish(session, "simulator")
    await session.flush()
    clock.move(ahead)


async def since(session: AsyncSession, seq: int, most: int) -> list[ClockMove]:
    """The latest moves made after the message numbered `seq`, oldest first; those that put the clock back too."""
    rows = await session.scalars(
        select(ClockMove).where(ClockMove.after_seq >= seq).order_by(ClockMove.id.desc()).limit(most)
    )
    return list(rows)[::-1]
