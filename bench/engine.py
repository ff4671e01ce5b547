"""The engine as `./parley up` runs it, on a data folder of its own, with the load generator for a carrier.

Its contacts have an appointment each; what their texts came to is read from its database afterwards.
"""

import asyncio
import contextlib
import json
import secrets
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bench import processes
from bench.load import Job, Outcome
from bench.texts import PEOPLE
from bot import clock, consent, services
from bot.client import WEBHOOK
from bot.db import Database
from bot.errors import BotError
from bot.insight import training
from bot.insight.training import Workshop
from bot.settings import ROOT
from bot.shop import bookings, shopfile
from bot.supervisor import NLU_PYTHON
from bot.tables import Contact, Resource, Service

NUMBER = "+13125550142"
ACCOUNT = "AC" + "0" * 32
#: 555-0100 to 555-0199 of an area are given to nobody.
PHONES = [f"+1646555{100 + number:04d}" for number in range(PEOPLE)]
#: Appointments and wishes lie this many days ahead; the shop offers times up to 60 days ahead.
FIRST_DAY, LAST_DAY = 3, 55


@dataclass(frozen=True)
class Came:
    """What the texts of one run came to: turns ended, replies to them, effects by kind, and ms per step of a turn."""

    turns: int
    replies: int
    effects: dict[str, int]
    steps: dict[str, list[float]]


class Engine:
    """A running engine; made by `start`."""

    name = "engine"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "up.log"
        self.port, self._sink_port = processes.free_port(), processes.free_port()
        self._url = f"http://127.0.0.1:{self.port}"
        self._token = secrets.token_urlsafe(24)
        self._data = folder / "data"
        self._database = services.app_url(self._data)
        self.days: list[date] = []

    @property
    def command(self) -> list[str]:
        """As `./parley up` runs it."""
        up = [sys.executable, "-P", "-m", "bot.cli", "up", "--no-demo", "--port", str(self.port)]
        return [*up, "--data-dir", str(self._data)]

    @property
    def environment(self) -> dict[str, str]:
        """The shipped settings, a carrier that listens here, and a pace that is asked for but never waited for."""
        return processes.environment(
            PARLEY_CARRIER="twilio",
            PARLEY_TWILIO_ACCOUNT_SID=ACCOUNT,
            PARLEY_TWILIO_AUTH_TOKEN=self._token,
            PARLEY_TWILIO_API_URL=f"http://127.0.0.1:{self._sink_port}",
            PARLEY_PUBLIC_URL=self._url,
            PARLEY_SENDER_NUMBER=NUMBER,
            PARLEY_PARTS_PER_SECOND="1000",
            PYTHONPATH=str(ROOT),
        )

    def fill(self) -> None:
        """Give the contacts their appointments. Raises BotError where the shop's calendar has not enough room."""
        self.days = asyncio.run(self._fill())

    async def _fill(self) -> list[date]:
        kept = json.loads((self._data / "secrets.json").read_text())
        db = Database(self._database, "parley-bench", pool_size=1)
        try:
            async with db.begin() as session:
                return await _appointments(session, kept["consent_key"])
        finally:
            await db.close()

    def pids(self) -> dict[str, int]:
        """Every process of the engine by its name, `up` itself included."""
        note = json.loads((self._data / "engine.json").read_text())
        return {"up": note["pid"], **{name: pid for name, pid in note["children"].items() if pid is not None}}

    def job(self, texts: list[str], first: int, connections: int) -> Job:
        """The load generator's task, in which it is the carrier too."""
        url = self._url + WEBHOOK
        return Job(url, PHONES, texts, first, connections, self._token, ACCOUNT, NUMBER, self._sink_port)

    def came(self, outcome: Outcome) -> Came:
        """Look up in the database what came of the texts."""
        sent = {carrier_id: (moment, arrived) for carrier_id, moment, arrived in outcome.texts}
        with psycopg.connect(self._database, row_factory=dict_row) as connection:
            rows = connection.execute(
                """
                SELECT i.carrier_id, t.steps_ms,
                       extract(epoch FROM i.created_at)::float8 AS stored,
                       extract(epoch FROM t.ended_at)::float8 AS ended,
                       (SELECT count(*) FROM messages o WHERE o.turn_id = t.id AND o.direction = 'outbound') AS replies,
                       ARRAY(SELECT e.kind FROM effects e WHERE e.turn_id = t.id) AS effects
                FROM messages i JOIN turns t ON t.id = i.turn_id
                WHERE i.carrier_id = ANY(%s)
                """,
                [list(sent)],
            ).fetchall()
        steps: dict[str, list[float]] = {}
        for row in rows:
            for step, ms in _steps(*sent[row["carrier_id"]], row["stored"], row["ended"], row["steps_ms"]).items():
                steps.setdefault(step, []).append(ms)
        effects = Counter(kind for row in rows for kind in row["effects"])
        return Came(len(rows), sum(row["replies"] for row in rows), dict(effects), steps)


def _steps(sent: float, arrived: float, stored: float, ended: float, laps: dict[str, float]) -> dict[str, float]:
    """Milliseconds from the webhook's POST to the text at the carrier, step by step; they add up to all of it.

    A turn's end is noted once its transaction has its locks; the moment it waits for them counts as `claim`, though it
    is part of `write`, and is missing from `hand over`.
    """
    write = laps.get("write", 0.0)
    reading = {step: ms for step, ms in laps.items() if step != "write"}
    return {
        "webhook": (stored - sent) * 1000,
        "store, claim": (ended - stored) * 1000 - sum(reading.values()),
        **reading,
        "write": write,
        "commit, hand over": (arrived - ended) * 1000 - write,
    }


def medians(steps: dict[str, list[float]]) -> dict[str, float]:
    """The median of each step."""
    return {step: round(statistics.median(values), 2) for step, values in steps.items()}


@contextlib.contextmanager
def start() -> Iterator[Engine]:
    """A running engine whose contacts have their appointments. Raises BotError where it cannot run."""
    if not NLU_PYTHON.exists():
        raise BotError("Rasa's environment nlu/.venv is missing; ./parley train builds it")
    if training.newest_model(Workshop.at(ROOT)) is None:
        raise BotError("no trained model fits data/, domain.yml and config.yml; ./parley train makes one")
    folder = Path(tempfile.mkdtemp(prefix="parley-bench-"))
    try:
        folder.chmod(0o755)  # the embedded PostgreSQL runs as a user of its own when we are root
        engine = Engine(folder)
        # Not in the checkout, whose parley.toml is somebody's own.
        with processes.running(engine.command, folder, engine.environment, engine.log) as up:
            processes.wait_for(f"http://127.0.0.1:{engine.port}/readyz", up, "the engine", engine.log)
            engine.fill()
            yield engine
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- contacts and their appointments -------------------------------------------------------------------------------


async def _appointments(session: AsyncSession, consent_key: str) -> list[date]:
    """Write contacts who agreed to service texts, with one appointment each, spread over the days the shop is open.

    Returns those days.
    """
    now = clock.now()
    shop = await shopfile.read(session)
    staff = (await session.scalars(select(Resource).where(Resource.services != []).order_by(Resource.id))).all()
    staff = [person for person in staff if person.location_id == staff[0].location_id]
    lengths = {row.key: timedelta(minutes=row.minutes) for row in await session.scalars(select(Service))}
    hours = shop.hours_at(staff[0].location_id)
    today = now.astimezone(shop.zone).date()
    days = [day for ahead in range(FIRST_DAY, LAST_DAY) if hours.spans_on(day := today + timedelta(days=ahead))]
    free = _free(staff, lengths, {day: hours.spans_on(day)[0] for day in days})
    for phone in PHONES:
        contact = Contact(id=uuid4(), phone=phone, phone_hash=consent.phone_hash(phone, consent_key), created_at=now)
        session.add(contact)
        await session.flush()
        await consent.record_opt_in(
            session,
            contact,
            ["transactional", "conversational"],
            how="point_of_sale",
            wording="Text me about my bookings and orders.",
            wording_version="1",
            by_whom="bench",
            now=now,
        )
        person, service, begin = next(free, (None, None, None))
        if person is None or service is None or begin is None:
            raise BotError(f"the shop of shop.yml has no room for {PEOPLE} appointments")
        await bookings.book(session, contact.id, service, person.id, begin, now)
    return days


def _free(
    staff: list[Resource], lengths: dict[str, timedelta], days: dict[date, tuple[datetime, datetime]]
) -> Iterator[tuple[Resource, str, datetime]]:
    """Times for appointments, one a day and person first, then their next: who, what, when."""
    for turn in range(4):
        for person in staff:
            service = person.services[0]
            for opens, closes in days.values():
                begin = opens + turn * lengths[service]
                if begin + lengths[service] <= closes:
                    yield person, service, begin
