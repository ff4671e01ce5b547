"""The one business clock: what "now" means to bookings, texts and pages; leases use the database's own clock instead.

It never reads a setting by itself; the composition roots start it with `start`. With the simulator it can be moved: how
far ahead it runs stands in a small file that every process of the engine has mapped, so that a move holds everywhere in
the same instant and reading it costs nothing.
"""

import mmap
import os
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.errors import BotError

#: One whole number of microseconds: aligned and as long as a machine word, so that nobody reads half of it.
_AHEAD = struct.Struct("=q")

_offset = timedelta(0)
_moved: mmap.mmap | None = None


def start(offset_seconds: float, file: Path | None = None) -> None:
    """Run the clock this many seconds ahead of real time; the same in every process of an engine.

    `file` says how far the simulator's page moved it, and is made where it is missing. None, as with a real carrier:
    nobody can move the clock, whatever a file says.
    """
    global _offset, _moved
    _offset = timedelta(seconds=offset_seconds)
    _moved = _mapped(file) if file is not None else None


def _mapped(file: Path) -> mmap.mmap:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size != _AHEAD.size:
            os.ftruncate(descriptor, _AHEAD.size)
        return mmap.mmap(descriptor, _AHEAD.size)
    finally:
        os.close(descriptor)


def now() -> datetime:
    """The current instant, aware, UTC."""
    return datetime.now(UTC) + _offset + moved()


def moved() -> timedelta:
    """How far ahead of itself the clock was moved; zero where it never was, or cannot be."""
    return timedelta(microseconds=_AHEAD.unpack_from(_moved)[0]) if _moved is not None else timedelta(0)


def move(ahead: timedelta) -> None:
    """Run this far ahead of the clock as it was started, in every process at once; zero is back to it.

    Raises BotError where the clock was started without a file.
    """
    if _moved is None:
        raise BotError("The clock moves with the simulator only.")
    _AHEAD.pack_into(_moved, 0, ahead // timedelta(microseconds=1))


class Stopwatch:
    """Milliseconds spent per named step of one turn, in order."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.steps: dict[str, float] = {}

    def lap(self, step: str) -> None:
        """Close the step that began at the last lap (or at creation) under this name."""
        moment = time.perf_counter()
        self.steps[step] = round(self.steps.get(step, 0.0) + (moment - self._last) * 1000, 2)
        self._last = moment
