"""Ends the children of a process that died without a word; it starts nothing and restarts nothing.

It reads a pipe whose other end only that process holds, so kill -9, a crash and the kernel's memory killer all look the
same: the pipe ends. That works on Linux and macOS alike, where PR_SET_PDEATHSIG is Linux only, follows the thread that
forked rather than the process, and is lost when a child changes its user, as PostgreSQL's does under root.
"""

import contextlib
import os
import signal
import sys
import time
from typing import TextIO

#: Workers finish their turn within 3 s and PostgreSQL writes its checkpoint; whoever takes longer is killed.
PATIENCE_SECONDS = 8.0


def hold(lines: TextIO) -> dict[int, int]:
    """Follow `+ group signal` and `- group` lines to the end of the pipe; the groups left, and what ends each."""
    held: dict[int, int] = {}
    for line in lines:
        word, *numbers = line.split()
        if word == "+":
            held[int(numbers[0])] = int(numbers[1])
        else:
            held.pop(int(numbers[0]), None)
    return held


def end(held: dict[int, int]) -> None:
    """Ask every process group to end, last started first; kill what is left after PATIENCE_SECONDS."""
    for group, sign in reversed(held.items()):
        _signal(group, sign)
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and any(_signal(group, 0) for group in held):
        time.sleep(0.1)
    for group in held:
        _signal(group, signal.SIGKILL)


def _signal(group: int, sign: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sign)
        return True
    return False


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # it must outlive whatever ends its parent
    end(hold(sys.stdin))
