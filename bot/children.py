"""Keeps one process running: starts it again whenever it dies, until it is stopped; it does not know what it runs."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

from bot.errors import BotError
from bot.services import Leash, Program

#: A child that dies is started again after this long, twice as long each time up to the second figure; one that had run
#: for the third is given a fresh start.
FIRST_PAUSE, LONGEST_PAUSE, STEADY_SECONDS = 0.5, 10.0, 30.0
#: From SIGTERM to SIGKILL: web cuts open event streams after 3 s and closes its pools; a turn under way has what is
#: left, and one that is cut short is taken again after its lease; PostgreSQL writes one checkpoint. Six seconds each,
#: though all but PostgreSQL and Valkey end together, keep Ctrl-C under twenty.
PATIENCE_SECONDS = 6.0


class Child:
    """One process that is started again whenever it dies, until it is stopped."""

    def __init__(self, make: Callable[[], Program], held: Leash, tell: Callable[[str | None], None]) -> None:
        """`make` prepares the program anew before each start; `tell` hears of every start, and why when it died."""
        self._make = make
        self._held = held
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.program: Program | None = None

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def start(self) -> Program:
        """Start it once and keep it running from then on. Raises BotError where it cannot be prepared."""
        program = await self.try_out()
        self.keep()
        return program

    def keep(self) -> None:
        """From now on start it again whenever it dies."""
        self._keeper = asyncio.create_task(self._keep())

    def ask_to_stop(self) -> None:
        """Let it end, and stay ended."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self.program is not None:
            self._signal(self.program.stop_signal)

    async def stopped(self) -> None:
        """Return when it has ended; it is killed after PATIENCE_SECONDS."""
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            self.kill()
            await self._process.wait()
        self._held.drop(self._process.pid)

    def kill(self) -> None:
        """End it now."""
        self._signal(signal.SIGKILL)

    def _signal(self, sign: signal.Signals) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, sign)

    async def try_out(self) -> Program:
        """Start it once; where it dies before `keep`, it stays dead. Raises BotError where it cannot be prepared."""
        program = await asyncio.to_thread(self._make)
        with program.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *program.command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, **program.options()
            )
        self._held.add(self._process.pid, program.stop_signal)
        self.program = program
        self._tell(None)
        return program

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            assert self._process is not None
            assert self.program is not None
            began = time.monotonic()
            code = await self._process.wait()
            self._held.drop(self._process.pid)
            pause = FIRST_PAUSE if time.monotonic() - began > STEADY_SECONDS else pause
            name, ended = self.program.name, f"signal {-code}" if code < 0 else f"code {code}"
            self._tell(f"{name} ended ({ended}) and is started again; its log is {self.program.log}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                await self.try_out()
            except (BotError, OSError) as exc:
                self._tell(f"{name} could not be started: {exc}")
