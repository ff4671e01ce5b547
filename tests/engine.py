"""A whole engine for tests: the same processes `./parley up` starts, each of which a test may kill and start again."""

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession
from twilio.request_validator import RequestValidator

from bot import accounts, clock, consent, numbers, supervisor
from bot.db import Database
from bot.insight import training
from bot.insight.training import Workshop
from bot.services import Leash
from bot.settings import ROOT, Secrets, Settings, load_secrets
from bot.shop import bookings, shopfile
from bot.tables import Contact

#: The engine's clock starts here in every run, so that conversations can name their dates: a Tuesday morning.
START = datetime(2026, 11, 24, 10, 0, tzinfo=ZoneInfo("America/New_York"))
NUMBER = "+13125550142"

T = TypeVar("T")
_phones = (f"+1646555{number:04d}" for number in itertools.count(1000))


def model_of_tests() -> Path:
    """The model that fits data/, or the one PARLEY_TEST_MODEL names, which is being evaluated."""
    named = os.environ.get("PARLEY_TEST_MODEL")
    model = Path(named) if named else training.newest_model(Workshop.at(ROOT))
    assert model is not None, "no model fits the data; run ./parley train"
    return model


class Engine:
    """Starts, stops and kills the engine's processes, and speaks to it as a carrier does."""

    def __init__(self, owner_url: str, app_url: str, redis_url: str, **chosen: str) -> None:
        """`chosen` are further settings, by their names in bot.settings."""
        self.folder = Path(tempfile.mkdtemp(prefix="parley-engine-"))
        self.port, self.rasa_port = supervisor.free_port(), supervisor.free_port()
        self.offset = (START - datetime.now(UTC)).total_seconds()
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")},
            "PARLEY_DATA_DIR": str(self.folder),
            "PARLEY_PORT": str(self.port),
            "PARLEY_DATABASE_URL": app_url,
            "PARLEY_DATABASE_OWNER_URL": owner_url,
            "PARLEY_REDIS_URL": redis_url,
            "PARLEY_RASA_URL": f"http://127.0.0.1:{self.rasa_port}",
            "PARLEY_CLOCK_OFFSET_SECONDS": str(self.offset),
            "PARLEY_SENDER_NUMBER": NUMBER,
            "PARLEY_LEASE_SECONDS": "3",
            "PARLEY_RASA_PATIENCE_SECONDS": "60",
            "PYTHONUNBUFFERED": "1",
            **{f"PARLEY_{name.upper()}": value for name, value in chosen.items()},
        }
        self.app_url = app_url
        self.settings = Settings(
            data_dir=self.folder,
            port=self.port,
            database_url=app_url,
            database_owner_url=owner_url,
            redis_url=redis_url,
            sender_number=NUMBER,
            **chosen,  # type: ignore[arg-type]  # pydantic reads each value from its words
        )
        clock.start(self.offset, self.settings.clock_file)
        self.secrets: Secrets = load_secrets(self.settings)
        self.login = ("agent@example.com", secrets.token_urlsafe(12))
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._held = Leash()  # whoever kills the tests ends the engine
        self._http = httpx.Client(trust_env=False, timeout=60.0)

    # -- processes -------------------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """Where pages and webhooks are."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Fill the database and start everything; returns when a text would be answered."""
        self.run(self._prepare)
        for name in ("rasa", "web", "worker", "sender"):
            self.start_child(name)
        self.wait_ready()

    async def _prepare(self, session: AsyncSession) -> None:
        await shopfile.sync(session, shopfile.load(ROOT / "shop.yml"))
        await numbers.sync(session, self.settings)
        await accounts.create(session, self.login[0], "Max Agent", "agent", self.login[1])

    def start_child(self, name: str, **extra: str) -> None:
        """Start web, worker, sender or rasa; `extra` adds to its environment."""
        environment = {**self.environment, **extra}
        if name == "rasa":
            model = model_of_tests()
            command, added = supervisor.rasa_command(model, self.rasa_port, self.settings, self.secrets)
            environment |= added
        else:
            command = [sys.executable, "-m", "bot.cli", "run", name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._children[name] = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._held.add(self._children[name].pid, signal.SIGTERM)

    def kill(self, name: str) -> None:
        """Kill -9, as a power cut would."""
        child = self._children[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(20)
        self._held.drop(child.pid)

    def child(self, name: str) -> int:
        """The process group of web, worker, sender or rasa."""
        return self._children[name].pid

    def restart(self, name: str, **extra: str) -> None:
        """Kill a process and start it anew."""
        self.kill(name)
        self.start_child(name, **extra)

    def wait_dead(self, name: str, seconds: float = 30) -> None:
        """Wait until a process that was told to crash has done so."""
        code = self._children[name].wait(seconds)
        assert code == -signal.SIGKILL, f"{name} ended with {code}: {self.log(name)}"

    def wait_ready(self, seconds: float = 90) -> None:
        """Wait until a text would be answered."""
        self.eventually(self._ready, seconds, "the engine is not ready")

    def _ready(self) -> bool:
        for name, child in self._children.items():
            assert child.poll() is None, f"{name} ended: {self.log(name)}"
        with contextlib.suppress(httpx.HTTPError):
            return self._http.get(f"{self.base_url}/readyz").status_code == 200
        return False

    def log(self, name: str) -> str:
        """The last lines of a process's log."""
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-30:])

    def stop(self) -> None:
        """Stop every process."""
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        for name in self._children:
            try:
                self._children[name].wait(5)
            except subprocess.TimeoutExpired:
                self.kill(name)
        self._held.close()
        self._http.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def move_clock(self, by: timedelta | None) -> None:
        """Move the clock of every process on, as the simulator's page does; None puts it back to where it was."""
        clock.start(self.offset, self.settings.clock_file)
        clock.move(clock.moved() + by if by is not None else timedelta(0))

    # -- the carrier's side ----------------------------------------------------------------------------------------

    def webhook(
        self,
        path: str,
        form: dict[str, str],
        *,
        signature: str | None = None,
        signed_form: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Post a form to a webhook, signed as Twilio signs unless a signature is given."""
        public = self.settings.base_url + path
        made = RequestValidator(self.secrets.twilio_auth_token).compute_signature(public, signed_form or form)
        given = made if signature is None else signature
        return self._http.post(self.base_url + path, data=form, headers={"X-Twilio-Signature": given} if given else {})

    def inbound(self, phone: str, body: str, **fields: str) -> dict[str, str]:
        """The form of an incoming text."""
        sid = f"SM{secrets.token_hex(16)}"
        return {
            "MessageSid": sid,
            "SmsSid": sid,
            "AccountSid": "AC" + "0" * 32,
            "From": phone,
            "To": NUMBER,
            "Body": body,
            "NumMedia": "0",
            **fields,
        }

    def send(self, phone: str, body: str, **fields: str) -> str:
        """A contact texts; the carrier's id of the text."""
        form = self.inbound(phone, body, **fields)
        response = self.webhook("/webhooks/twilio/sms", form)
        assert response.status_code == 200, response.text
        return form["MessageSid"]

    def text(self, phone: str, body: str, wait: float = 30, **fields: str) -> dict[str, Any]:
        """A contact texts and the turn is waited for; SPEC's JSON object."""
        return self.turn(self.send(phone, body, **fields), wait)

    def turn(self, carrier_id: str, wait: float = 30) -> dict[str, Any]:
        """The turn of a text."""
        found: dict[str, Any] = self._internal("GET", f"/internal/turns/{carrier_id}?wait={wait}").json()
        return found

    def shop_text(self, phone: str, kind: str) -> str:
        """The shop starts a text; its words as they reached the phone."""
        ordered = self._internal("POST", "/internal/shop-texts", json={"phone": phone, "kind": kind})
        message_id = ordered.json()["message_id"]

        def body() -> str | None:
            rows = self.rows("SELECT body FROM simulator_messages WHERE message_id = %s", message_id)
            return str(rows[0]["body"]) if rows else None

        return self.eventually(body, 20, "the shop's text did not reach the phone")

    def _internal(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.secrets.internal_token}"}
        response = self._http.request(method, self.base_url + path, headers=headers, **more)
        assert response.status_code == 200, response.text
        return response

    # -- the database ----------------------------------------------------------------------------------------------

    def run(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run a function of the engine in one transaction."""

        async def in_transaction() -> T:
            db = Database(self.app_url, "parley-test")
            try:
                async with db.begin() as session:
                    return await work(session)
            finally:
                await db.close()

        return asyncio.run(in_transaction())

    def rows(self, statement: LiteralString, *values: object) -> list[dict[str, Any]]:
        """Rows of a query, as dicts."""
        with psycopg.connect(self.app_url, row_factory=dict_row) as connection:
            return connection.execute(sql.SQL(statement), values or None).fetchall()

    def run_sql(self, statement: LiteralString, *values: object) -> None:
        """Change rows behind the engine's back, as time or another machine would."""
        with psycopg.connect(self.app_url) as connection:
            connection.execute(sql.SQL(statement), values)

    def clear_calendar(self) -> None:
        """Free every slot, so that what a test is offered does not hang on the tests before it."""
        with psycopg.connect(self.app_url) as connection:
            connection.execute("UPDATE bookings SET status = 'cancelled'")
            connection.execute("DELETE FROM holds")
            connection.execute("DELETE FROM occupancy")

    def new_contact(self, name: str | None = None, consents: bool = True) -> tuple[UUID, str]:
        """A contact nobody else has, who agreed to every kind of text; id and phone."""
        phone = next(_phones)

        async def write(session: AsyncSession) -> UUID:
            contact = Contact(
                id=uuid4(),
                phone=phone,
                phone_hash=consent.phone_hash(phone, self.secrets.consent_key),
                name=name,
                created_at=clock.now(),
            )
            session.add(contact)
            await session.flush()
            if consents:
                await consent.record_opt_in(
                    session,
                    contact,
                    ["marketing", "transactional", "conversational"],
                    how="point_of_sale",
                    wording="Text me about my bookings, my orders and offers.",
                    wording_version="1",
                    by_whom="till 1",
                    now=clock.now(),
                )
            return contact.id

        return self.run(write), phone

    def book(self, contact_id: UUID, service: str, staff: str, start: datetime) -> UUID:
        """A booking for a contact."""

        async def write(session: AsyncSession) -> UUID:
            resource = (await bookings.resource_ids(session))[staff]
            booked = await bookings.book(session, contact_id, service, resource, start, clock.now())
            return booked.id

        return self.run(write)

    @staticmethod
    def eventually(look: Callable[[], T | None], seconds: float, otherwise: str) -> T:
        """What `look` returns once it is true; fails after `seconds`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := look():
                return found
            time.sleep(0.05)
        raise AssertionError(otherwise)


@contextlib.contextmanager
def stopped(engine: Engine, *names: str) -> Iterator[None]:
    """Some processes are down for a while."""
    for name in names:
        engine.kill(name)
    try:
        yield
    finally:
        for name in names:
            engine.start_child(name)
        engine.wait_ready()
