"""Does what the console asks of the engine that runs Rasa: trainings, and swaps of the live model without a gap.

One `up` of a database does it, one training and one swap at a time. It judges no model and decides on none.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot import models
from bot.children import Child
from bot.db import MODELS, PAGES, Bell, Database, Waker
from bot.errors import BotError, RasaError
from bot.rasa_client import RasaClient
from bot.services import Leash, Program
from bot.tables import ModelJob

log = logging.getLogger(__name__)

#: Any number nobody else locks: one engine of a database takes jobs.
LOCK = 7_275_392
#: A new Rasa loads its model in ten seconds on a quiet machine.
START_SECONDS = 120.0
#: The old Rasas answer for this long after a switch: every process has heard of it after one second, and a turn under
#: way takes less than one. Whatever is cut off all the same is asked again at the new ones.
DRAIN_SECONDS = 10.0
LOOK_SECONDS = 0.2
#: What a new Rasa must read, whatever it makes of it.
PROBE = "hello"


class SwapFailed(BotError):
    """The new Rasas did not come to answer; the old ones never stopped."""


class Rasas:
    """The Rasa processes of one `up`: all on one model, or for a moment some on the next."""

    def __init__(
        self,
        child: Callable[[Callable[[], Program]], Child],
        retire: Callable[[Sequence[Child]], Awaitable[None]],
        program: Callable[[int, str, Path], Program],
    ) -> None:
        """`child` makes one and has it end with the engine, `retire` ends some before that.

        `program` is the command for a number, an address and a model.
        """
        self._child = child
        self._retire = retire
        self._program = program
        self._running: list[Child] = []

    async def start(self, model: Path, urls: Sequence[str]) -> None:
        """Start them on a model and keep them running."""
        self._running = self._made(model, urls)
        for child in self._running:
            await child.start()

    async def try_out(self, model: Path, urls: Sequence[str], token: str, steps: models.Steps) -> list[Child]:
        """Start as many beside them on another model, and see each read a text with it. Raises SwapFailed."""
        new = self._made(model, urls)
        try:
            steps.begin("Starting Rasa on the model")
            for child in new:
                await child.try_out()
            async with httpx.AsyncClient(trust_env=False) as http:
                for child, url in zip(new, urls, strict=True):
                    await _answers(child, RasaClient([url], token, START_SECONDS, http), model, steps)
        except BaseException as exc:
            await self._retire(new)
            if isinstance(exc, OSError):
                raise SwapFailed(f"Rasa could not be started: {exc.strerror}.") from exc
            raise
        return new

    def _made(self, model: Path, urls: Sequence[str]) -> list[Child]:
        def maker(number: int, url: str) -> Callable[[], Program]:
            return lambda: self._program(number, url, model)

        return [self._child(maker(number, url)) for number, url in enumerate(urls, 1)]

    def take_over(self, new: list[Child]) -> list[Child]:
        """These run from now on; the ones that ran before, still running."""
        old, self._running = self._running, new
        for child in new:
            child.keep()
        return old


async def _answers(child: Child, rasa: RasaClient, model: Path, steps: models.Steps) -> None:
    """Return when this Rasa has read a text with this model. Raises SwapFailed."""
    until = time.monotonic() + START_SECONDS
    while True:
        # It listens once it has tried to load its model, so asked in this order none is no model for good.
        listening, found = await rasa.listening(), await rasa.model()
        if found is not None:
            break
        if listening or child.pid is None:
            how = "could not load the model" if listening else "ended while it loaded the model"
            raise SwapFailed(f"The new Rasa {how}; its log, rasa-1.log, may say why.")
        if time.monotonic() > until:
            raise SwapFailed(f"The new Rasa did not answer within {START_SECONDS:.0f} seconds.")
        await asyncio.sleep(LOOK_SECONDS)
    if Path(found).name != model.name:
        raise SwapFailed(f"The new Rasa loaded {found} instead of {model.name}.")
    steps.begin("Reading a text with it")
    try:
        await rasa.read([PROBE])
    except RasaError as exc:
        raise SwapFailed(f"The new Rasa reads no text: {exc}") from exc


class Jobs:
    """Takes jobs up as they come and carries them out, until cancelled."""

    def __init__(
        self,
        db: Database,
        held: Leash,
        trainer: Callable[[], Program],
        swap: Callable[[str, models.Steps, int], Awaitable[None]],
    ) -> None:
        """`trainer` is a training as a command; `swap` makes the model of a name live. Both tell of it in the order."""
        self._db = db
        self._held = held
        self._trainer = trainer
        self._swap = swap
        self._bell = Bell(db, MODELS)
        self._doing: dict[str, asyncio.Task[None]] = {}
        self._begun = False

    async def run(self) -> None:
        """Until cancelled; what is under way then is ended and has failed."""
        listening = asyncio.create_task(self._bell.listen())
        try:
            while True:
                with contextlib.suppress(DBAPIError):  # a database that was restarted: the lock is free again
                    async with self._alone():
                        await self._take_jobs()
                await self._bell.wait()
        finally:
            tasks = [listening, *self._doing.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the lock of this database's jobs; other engines of it wait here."""
        async with self._db.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            locked = text(f"SELECT pg_try_advisory_lock({LOCK})")
            while not (await connection.execute(locked)).scalar_one():
                await self._bell.wait()
            try:
                if not self._begun:
                    async with self._db.begin() as session:
                        await models.end_left_over(session)
                self._begun = True
                yield
            finally:
                # The connection goes back to a pool, and the lock would stay with it.
                await connection.invalidate()

    async def _take_jobs(self) -> None:
        while True:
            async with self._db.begin() as session:
                job = await models.claim(session)
            if job is None:
                await self._bell.wait()
                continue
            self._tell_pages()
            if (before := self._doing.get(job.kind)) is not None:
                await asyncio.gather(before, return_exceptions=True)
            work = self._train(job) if job.kind == "train" else self._publish(job)
            self._doing[job.kind] = asyncio.create_task(self._carried_out(job, work))

    async def _carried_out(self, job: ModelJob, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BotError as exc:
            await self._end(job, "failed", str(exc))
        except Exception:
            log.exception("job failed")
            await self._end(job, "failed", "Something failed on our side; the log of ./parley up says what.")

    # -- a training ------------------------------------------------------------------------------------------------

    async def _train(self, job: ModelJob) -> None:
        """Run the training in a process of its own, in a group of its own, and leave nothing of it running."""
        program = self._trainer()
        with program.log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *program.command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, **program.options()
            )
        self._held.add(process.pid, program.stop_signal)
        try:
            ending = asyncio.create_task(process.wait())
            while not ending.done() and await self._goes_on(job):
                await asyncio.wait([ending], timeout=1.0)
        finally:
            # Also where it ended by itself: what it started may have been left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            self._held.drop(process.pid)
        await self._end(job, "failed", f"The training was ended from outside; {program.log} may say more.")

    async def _goes_on(self, job: ModelJob) -> bool:
        try:
            async with self._db.begin() as session:
                return await models.under_way(session, job.id)
        except DBAPIError:
            return True

    # -- a swap ----------------------------------------------------------------------------------------------------

    async def _publish(self, job: ModelJob) -> None:
        assert job.model is not None  # the console names one
        steps = models.Steps()
        telling = asyncio.create_task(self._telling(job, steps))
        try:
            await self._swap(job.model, steps, job.id)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _telling(self, job: ModelJob, steps: models.Steps) -> None:
        told = 0
        while True:
            if len(steps.all) > told:
                told = len(steps.all)
                async with self._db.begin() as session:
                    await models.tell(session, job.id, steps.all)
                self._tell_pages()
            await asyncio.sleep(LOOK_SECONDS)

    async def _end(self, job: ModelJob, outcome: models.Outcome, words: str) -> None:
        async with self._db.begin() as session:
            await models.end(session, job.id, outcome, words)
        self._tell_pages()

    def _tell_pages(self) -> None:
        Waker(self._db).wake(PAGES)
