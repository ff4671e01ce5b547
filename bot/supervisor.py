"""Starts the whole engine in order, keeps every part running, and stops all of it in reverse; it reads no text itself.

One `up` owns a data folder: the embedded services, Rasa, workers, sender and web are its children, each in a session of
its own so that Ctrl-C reaches `up` alone, each on a leash so that none outlives it.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import secrets as random
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx
from rich.console import Console
from rich.markup import escape
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from bot import accounts, client, demo, jobs, leash, models, numbers, services
from bot.children import Child
from bot.db import MODELS, PAGES, Database, Waker
from bot.errors import BotError, SettingsError
from bot.insight import evaluation, training
from bot.insight.training import Workshop
from bot.jobs import Jobs, Rasas
from bot.services import Leash, Program
from bot.settings import ROOT, Secrets, Settings, load_secrets, role_of
from bot.shop import shopfile
from bot.tables import Contact, ModelJob, User

log = logging.getLogger(__name__)

NLU_PYTHON = ROOT / "nlu" / ".venv" / "bin" / "python"
FIRST_LOGIN = "admin@parley.example"

#: How often `up` looks whether a text would be answered, and when it says what is still missing.
LOOK_SECONDS, SAY_SECONDS = 0.15, 30.0

T = TypeVar("T")


def free_port() -> int:
    """A TCP port of the loopback interface that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def rasa_command(
    model: Path, port: int, settings: Settings, secrets: Secrets, python: Path = NLU_PYTHON
) -> tuple[list[str], dict[str, str]]:
    """How one Rasa process is started from the checkout: its command, and what its environment needs beyond ours."""
    command = [str(python), "-m", "parley_nlu", "run", "--model", str(model)]
    command += ["--endpoints", "endpoints.yml", "--credentials", "credentials.yml"]
    command += ["--interface", "127.0.0.1", "--port", str(port)]
    environment = {
        "PYTHONPATH": str(ROOT / "nlu"),
        "PARLEY_ACTIONS_URL": settings.actions_url or f"{local_url(settings)}/internal/actions/webhook",
        "PARLEY_INTERNAL_TOKEN": secrets.internal_token,
        "RASA_TELEMETRY_ENABLED": "false",
        "LOG_LEVEL": "WARNING",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # One request at a time runs on one core; more arenas and threads only cost memory.
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
    }
    return command, environment


def local_url(settings: Settings) -> str:
    """Where this host reaches the web process."""
    anywhere = settings.host in ("0.0.0.0", "::", "localhost")  # noqa: S104  # compared with, not listened on
    return f"http://{'127.0.0.1' if anywhere else settings.host}:{settings.port}"


# -- steps on the terminal -----------------------------------------------------------------------------------------


class Step(Generic[T]):
    """A piece of work that runs from now on and is timed by itself, whenever somebody comes to wait for it."""

    def __init__(self, name: str, work: Coroutine[Any, Any, T]) -> None:
        self.name = name
        self.seconds = 0.0
        self.task = asyncio.create_task(self._timed(work))

    async def _timed(self, work: Coroutine[Any, Any, T]) -> T:
        began = time.perf_counter()
        try:
            return await work
        finally:
            self.seconds = time.perf_counter() - began


class Terminal:
    """Shows the start step by step."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._status = console.status("")
        self._shown = False

    async def show(self, step: Step[T], note: Callable[[T], str] = lambda _: "") -> T:
        """Wait for a step, with its name turning, and leave a line with its time."""
        self.status(step.name)
        value = await step.task
        self.line("✓", step.name, step.seconds, note(value))
        return value

    def status(self, words: str) -> None:
        """What is going on, on a terminal only."""
        if self.console.is_terminal:
            self._status.update(f"{escape(words)} …")
            if not self._shown:
                self._status.start()
                self._shown = True

    def line(self, mark: str, name: str, seconds: float, note: str) -> None:
        """A finished step."""
        dim = f"  [dim]{escape(note)}[/]" if note else ""
        self.console.print(f"[green]{mark}[/] {name:<22}{seconds:>7.1f} s{dim}", soft_wrap=True, highlight=False)

    def say(self, sentence: str) -> None:
        """Something the operator should know."""
        self.console.print(f"[yellow]![/] {escape(sentence)}", soft_wrap=True, highlight=False)

    def finished(self) -> None:
        """Nothing turns any more."""
        self._status.stop()


# -- the whole -----------------------------------------------------------------------------------------------------


async def up(settings: Settings, console: Console) -> None:
    """Start everything, keep it running until Ctrl-C or SIGTERM, stop it. Raises BotError where it cannot start."""
    settings = settings.model_copy(update={"data_dir": settings.data_dir.resolve()})
    services.make_folder(settings.data_dir)
    with _only_one(settings.data_dir):
        engine = Up(settings, Terminal(console))
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(engine.run())
        signs = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to outlive the terminal
            signs.append(signal.SIGHUP)
        for sign in signs:
            loop.add_signal_handler(sign, engine.on_signal, running)
        with contextlib.suppress(asyncio.CancelledError):
            await running


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    with (data_dir / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise BotError(
                f"an engine is running on {data_dir} already; stop it, or choose another --data-dir and --port"
            ) from exc
        yield


class Up:
    """One start of the engine: its children in the order they were started."""

    def __init__(self, settings: Settings, terminal: Terminal) -> None:
        self._settings = settings
        self._terminal = terminal
        self._held = Leash()
        self._children: list[Child] = []
        self._steps: list[Step[Any]] = []
        self._training: asyncio.subprocess.Process | None = None
        self._own_rasa = not settings.rasa_url
        self._stopping = False
        self._shop = Workshop.of(settings)
        self._site = f"{socket.gethostname()}:{settings.data_dir}" if self._own_rasa else ""
        self._rasas = Rasas(self._child, self._retire, self._rasa_program)
        self._migrated = asyncio.Event()
        self._database: Database | None = None
        self._jobs: asyncio.Task[None] | None = None
        self._draining: set[asyncio.Task[None]] = set()
        self._secrets: Secrets | None = None

    def on_signal(self, running: asyncio.Task[None]) -> None:
        """Ctrl-C: stop; again: stop at once."""
        if not self._stopping:
            self._stopping = True
            running.cancel()
            return
        self._end_training()
        for child in self._children:
            child.kill()

    async def run(self) -> None:
        """Start, wait until stopped, stop."""
        try:
            await self._start()
            await asyncio.Event().wait()
        finally:
            self._stopping = True
            self._terminal.finished()
            await self._stop()

    # -- starting --------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        began = time.perf_counter()
        show = self._terminal.show
        secrets = self._secrets = await show(self._step("settings and secrets", self._prepare()))
        self._resolve_rasa()
        # All that needs nothing of each other starts together; Rasa takes the longest. Which model is live is a row.
        postgres, valkey = self._step("PostgreSQL", self._postgres()), self._step("Valkey", self._valkey())
        model = self._step("language model", self._model())
        rasa = self._step("Rasa", self._rasa(model))
        await show(postgres, str)
        await show(valkey, str)
        await show(self._step("migrations", self._migrate()))
        login = await self._fill(secrets)
        await show(self._step("worker, sender, web", self._engine()))
        await show(model, lambda found: found.name.partition(".")[0] if found is not None else "yours")
        await rasa.task  # started a moment ago; how long it loads shows in the next line
        await show(self._step("ready for texts", self._ready()))
        self._take_jobs()
        self._terminal.finished()
        self._welcome(time.perf_counter() - began, login)

    def _step(self, name: str, work: Coroutine[Any, Any, T]) -> Step[T]:
        step = Step(name, work)
        self._steps.append(step)
        return step

    async def _prepare(self) -> Secrets:
        secrets = load_secrets(self._settings)
        services.make_folder(self._settings.logs)
        await _wait_for_port(self._settings)
        self._publish()
        return secrets

    def _publish(self) -> None:
        children = {child.program.name: child.pid for child in self._children if child.program is not None}
        client.publish(self._settings, children)

    def _resolve_rasa(self) -> None:
        if self._own_rasa:
            found = {"rasa_url": self._free_urls(), "rasa_site": self._site}
            self._settings = self._settings.model_copy(update=found)

    def _free_urls(self) -> list[str]:
        return [f"http://127.0.0.1:{free_port()}" for _ in range(self._settings.rasa)]

    async def _postgres(self) -> str:
        if self._settings.database_url:
            return "yours"
        data_dir = self._settings.data_dir
        child = self._child(lambda: services.postgres(data_dir))
        program = await child.start()
        await asyncio.to_thread(services.wait_for_postgres, data_dir, lambda: child.pid is not None)
        self._settings = self._settings.model_copy(
            update={"database_url": services.app_url(data_dir), "database_owner_url": services.owner_url(data_dir)}
        )
        return program.note

    async def _valkey(self) -> str:
        if self._settings.redis_url:
            return "yours"
        data_dir = self._settings.data_dir
        child = self._child(lambda: services.valkey(data_dir))
        await child.start()
        await asyncio.to_thread(services.wait_for_valkey, data_dir, lambda: child.pid is not None)
        self._settings = self._settings.model_copy(update={"redis_url": services.redis_url(data_dir)})
        return ""

    async def _migrate(self) -> None:
        owner = self._settings.database_owner_url or self._settings.database_url
        await asyncio.to_thread(services.migrate, owner, role_of(self._settings.database_url))
        self._database = Database(self._settings.database_url, "parley-up", pool_size=3)
        if self._own_rasa:
            async with self._database.begin() as session:
                await models.move(session, self._site, self._settings.rasa_url)
        self._migrated.set()

    async def _fill(self, secrets: Secrets) -> dict[str, str] | None:
        async with self._db.begin() as session:
            await self._terminal.show(self._step("shop", _sync_shop(session, self._settings)))
            if self._settings.demo and not await session.scalar(select(Contact.id).limit(1)):
                await self._terminal.show(self._step("demo shop", demo.fill(session, secrets.consent_key)))
            return await _first_login(session, self._settings.data_dir)

    @property
    def _db(self) -> Database:
        assert self._database is not None  # from the migrations on
        return self._database

    async def _model(self) -> Path | None:
        if not self._own_rasa:
            return None
        await self._migrated.wait()
        await asyncio.to_thread(training.sweep, self._shop.models)
        choice = await self._choose()
        if choice.words:
            self._terminal.say(choice.words)
        model = self._shop.model(choice.model) if choice.model is not None else None
        if model is None:
            await self._train()
            model = await asyncio.to_thread(training.newest_model, self._shop)
        if model is None:
            raise BotError("the training data changed while the model was trained; start again")
        async with self._db.begin() as session:
            await models.publish(session, _name(model), None)
        return model

    async def _choose(self) -> models.Choice:
        async with self._db.begin() as session:
            live = await models.live(session)
        if live is not None and not self._shop.model(live.model).exists():
            live = None
        return models.choose(await asyncio.to_thread(_fitting, self._shop), live)

    async def _train(self) -> None:
        # A process of its own, and in a group of its own, so that Ctrl-C ends Rasa's training too.
        self._training = await asyncio.create_subprocess_exec(
            *_command("train"),
            env=_environment(self._settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._held.add(self._training.pid, signal.SIGTERM)
        assert self._training.stdout is not None
        last: list[str] = []
        async for raw in self._training.stdout:
            last = [*last[-14:], raw.decode(errors="replace").rstrip()]
            self._terminal.status(f"language model: {last[-1][:80]}")
        code = await self._training.wait()
        self._held.drop(self._training.pid)
        if code != 0:
            raise BotError("the language model could not be trained:\n" + "\n".join(last))

    async def _rasa(self, model: Step[Path | None]) -> None:
        found = await asyncio.shield(model.task)
        if found is None:
            return
        if not NLU_PYTHON.exists():
            raise BotError("Rasa's environment nlu/.venv is missing; ./parley builds it")
        await self._rasas.start(found, self._settings.rasa_url)

    def _rasa_program(self, number: int, url: str, model: Path) -> Program:
        assert self._secrets is not None  # nothing is started before they are there
        command, added = rasa_command(model, int(url.rpartition(":")[2]), self._settings, self._secrets)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
        log_file = self._settings.logs / f"rasa-{number}.log"
        return Program(f"rasa-{number}", command, log_file, environment={**environment, **added}, folder=ROOT)

    async def _engine(self) -> None:
        names = [f"worker-{number}" for number in range(1, self._settings.workers + 1)] + ["sender", "web"]
        for name in names:
            await self._child(_Once(name, self._settings)).start()

    async def _ready(self) -> None:
        said = time.monotonic()
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
            while True:
                missing = await _missing(http, local_url(self._settings))
                if not missing:
                    return
                if time.monotonic() - said > SAY_SECONDS:
                    said = time.monotonic()
                    self._terminal.say(f"still waiting for {', '.join(missing)}; logs are in {self._settings.logs}")
                await asyncio.sleep(LOOK_SECONDS)

    # -- jobs of the console ---------------------------------------------------------------------------------------

    def _take_jobs(self) -> None:
        if self._own_rasa:
            working = Jobs(self._db, self._held, self._trainer, self._swap)
            self._jobs = asyncio.create_task(working.run())

    def _trainer(self) -> Program:
        log_file = self._settings.logs / "trainer.log"
        return Program("trainer", _command("run", "trainer"), log_file, environment=_environment(self._settings))

    async def _swap(self, name: str, steps: models.Steps, job_id: int) -> None:
        """Make the model of a name live. Raises BotError where that cannot be; the one before is live then."""
        assert self._secrets is not None  # nothing is asked for before they are there
        model = self._shop.model(name)
        if not model.exists():
            raise BotError(f"The file of model {name} is no longer there; choose another.")
        urls = self._free_urls()
        new = await self._rasas.try_out(model, urls, self._secrets.internal_token, steps)
        steps.begin("Switching")
        try:
            async with self._db.begin() as session:
                job = await session.get_one(ModelJob, job_id)
                await models.publish(session, name, job.user_id)
                await models.move(session, self._site, urls)
                await models.end(session, job_id, "published")
        except BaseException as exc:
            # A connection that is lost at the commit leaves open whether it was one.
            if not isinstance(exc, DBAPIError) or not await self._moved_to(urls):
                await self._retire(new)
                raise
        old = self._rasas.take_over(new)
        for channel in (MODELS, PAGES):
            Waker(self._db).wake(channel)
        self._settings = self._settings.model_copy(update={"rasa_url": urls})
        self._publish()
        # Whoever wants to roll back need not wait for it.
        draining = asyncio.create_task(self._drain(old))
        self._draining.add(draining)
        draining.add_done_callback(self._draining.discard)

    async def _drain(self, old: Sequence[Child]) -> None:
        await asyncio.sleep(jobs.DRAIN_SECONDS)
        await self._retire(old)

    async def _moved_to(self, urls: list[str]) -> bool:
        """Whether the database says that Rasa is at these addresses, as soon as it can be asked."""
        while True:
            try:
                async with self._db.begin() as session:
                    return await models.addresses(session, self._site) == urls
            except DBAPIError:
                await asyncio.sleep(LOOK_SECONDS)

    # -- children --------------------------------------------------------------------------------------------------

    async def _retire(self, children: Sequence[Child]) -> None:
        """End some children for good."""
        for child in children:
            child.ask_to_stop()
        for child in children:
            await child.stopped()
        self._children = [child for child in self._children if child not in children]
        self._changed(None)

    def _child(self, make: Callable[[], Program]) -> Child:
        child = Child(make, self._held, self._changed)
        self._children.append(child)
        return child

    def _changed(self, sentence: str | None) -> None:
        if self._stopping:
            return
        self._publish()
        if sentence is not None:
            self._terminal.say(sentence)

    def _welcome(self, seconds: float, login: dict[str, str] | None) -> None:
        settings = self._settings
        lines = ["", f"[bold]Parley is ready[/] after {seconds:.1f} s.", f"  Console    {settings.base_url}/console/"]
        if settings.carrier == "simulator":
            lines.append(f"  Simulator  {settings.base_url}/simulator/")
        if login is not None:
            lines.append(f"  Login      {escape(login['email'])}  {escape(login['password'])}")
        lines += [f"  Logs       {escape(str(settings.logs))}", "  Ctrl-C stops it."]
        self._terminal.console.print("\n".join(lines), soft_wrap=True, highlight=False)

    # -- stopping --------------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        for step in self._steps:
            step.task.cancel()
        await asyncio.gather(*(step.task for step in self._steps), return_exceptions=True)
        self._end_training()
        working = [*self._draining, *([self._jobs] if self._jobs is not None else [])]
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        if self._database is not None:
            await self._database.close()
        # Web first, so that nothing new comes in; PostgreSQL last, when nobody writes any more. Whoever uses the
        # services is asked together and waited for in turn: their work is in rows, none needs another to end well.
        users = [child for child in self._children if not _is_service(child)]
        for child in reversed(users):
            child.ask_to_stop()
        for child in reversed(users):
            await child.stopped()
        for child in reversed([child for child in self._children if _is_service(child)]):
            child.ask_to_stop()
            await child.stopped()
        self._held.close()
        client.withdraw(self._settings)

    def _end_training(self) -> None:
        if self._training is not None and self._training.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._training.pid, signal.SIGKILL)


def _name(model: Path) -> str:
    return model.name.removesuffix(".tar.gz")


def _fitting(shop: Workshop) -> models.Fitting | None:
    model = training.newest_model(shop)
    if model is None:
        return None
    report = evaluation.report_of(model)
    made_at = datetime.fromtimestamp(model.stat().st_mtime, UTC)
    return models.Fitting(_name(model), made_at, refused=report is not None and not report.accepted)


def _is_service(child: Child) -> bool:
    return child.program is not None and child.program.name in ("postgres", "valkey")


class _Once:
    """Makes the program of an engine process; a crash point the environment asks for strikes its first start only."""

    def __init__(self, name: str, settings: Settings) -> None:
        command = _command("run", name.partition("-")[0])
        self._program = Program(name, command, settings.logs / f"{name}.log", environment=_environment(settings))
        self._started = False

    def __call__(self) -> Program:
        program = self._program
        if self._started:
            calm = {key: value for key, value in program.environment.items() if key != "PARLEY_CRASH_AT"}
            program = replace(program, environment=calm)
        self._started = True
        return program


def _command(*words: str) -> list[str]:
    """This program again; -P keeps a folder named bot, wherever it is started, from taking its place."""
    return [sys.executable, "-P", "-m", "bot.cli", *words]


def _environment(settings: Settings) -> dict[str, str]:
    """Our environment with every address found; the owner's is kept back, nobody but migrations needs it."""
    found = {
        "PARLEY_DATA_DIR": str(settings.data_dir),
        "PARLEY_PORT": str(settings.port),
        "PARLEY_DATABASE_URL": settings.database_url,
        "PARLEY_DATABASE_OWNER_URL": "",
        "PARLEY_REDIS_URL": settings.redis_url,
        "PARLEY_RASA_URL": ",".join(settings.rasa_url),
        "PARLEY_RASA_SITE": settings.rasa_site,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **found}


# -- what a start prepares -----------------------------------------------------------------------------------------


async def _wait_for_port(settings: Settings) -> None:
    """Raises SettingsError where somebody else has the port; children of a killed `up` are given time to leave."""
    until = time.monotonic() + (leash.PATIENCE_SECONDS + 2 if client.was_running(settings) else 0)
    while True:
        with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, settings.port))
                return
            except OSError as exc:
                if time.monotonic() > until:
                    taken = f"port {settings.port} of {settings.host} cannot be used ({exc.strerror})"
                    raise SettingsError(f"{taken}; choose another --port") from exc
        await asyncio.sleep(0.1)


async def _sync_shop(session: AsyncSession, settings: Settings) -> None:
    await shopfile.sync(session, shopfile.load(settings.shop_file))
    await numbers.sync(session, settings)


async def _first_login(session: AsyncSession, data_dir: Path) -> dict[str, str] | None:
    """The login made for whoever starts an engine nobody can log in to; None once its password was changed."""
    path = data_dir / "first-login.json"
    if await session.scalar(select(User.id).where(User.role == "admin").limit(1)) is None:
        login = {"email": FIRST_LOGIN, "password": random.token_urlsafe(12)}
        await accounts.create(session, login["email"], "Admin", "admin", login["password"])
        client.write_private(path, login)
        return login
    if not path.exists():
        return None
    kept: dict[str, str] = json.loads(path.read_text())
    if await accounts.check(session, kept["email"], kept["password"]) is not None:
        return kept
    path.unlink()
    return None


async def _missing(http: httpx.AsyncClient, url: str) -> list[str]:
    """What /readyz says is missing; the web process itself while it does not answer."""
    try:
        response = await http.get(f"{url}/readyz")
        return [] if response.status_code == 200 else list(response.json()["missing"])
    except (httpx.HTTPError, ValueError, KeyError):
        return ["web"]
