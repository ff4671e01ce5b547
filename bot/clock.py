"""The one business clock: what "now" means to bookings, texts and pages; leases use the database's own clock instead.

It never reads a setting by itself; the composition roots start it with `start`.
"""

import time
from datetime import UTC, datetime, timedelta

_offset = timedelta(0)


def start(offset_seconds: float) -> None:
    """Run the clock this many seconds ahead of real time; the same in every process of an engine."""
    global _offset
    _offset = timedelta(seconds=offset_seconds)


def now() -> datetime:
    """The current instant, aware, UTC."""
    return datetime.now(UTC) + _offset


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
