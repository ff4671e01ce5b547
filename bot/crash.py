"""Named points at which a test may kill the process; a running engine passes them without a trace.

`PARLEY_CRASH_AT=worker.after_rasa` kills this process with SIGKILL when it first reaches that point: no handler runs,
nothing is flushed, which is what a power cut looks like to the database and to the carrier.
"""

import os
import signal

#: Every point there is, so that a test cannot name one that does not exist.
POINTS = (
    "worker.before_lease",
    "worker.after_rasa",
    "worker.after_commit",
    "sender.before_call",
    "sender.after_call",
)


def point(name: str) -> None:
    """Die here when the environment says so. Raises ValueError for a name missing from POINTS."""
    if name not in POINTS:
        raise ValueError(f"unknown crash point {name}")
    if os.environ.get("PARLEY_CRASH_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
