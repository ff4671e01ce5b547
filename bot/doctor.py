"""Looks at everything a text needs on its way and says what to do about each trouble; it mends and starts nothing.

Works while the engine is down, and then says so. It never shows a secret.
"""

import asyncio
import contextlib
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import redis
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from bot import client, services
from bot.errors import BotError, SettingsError
from bot.insight import training
from bot.rasa_client import RasaClient
from bot.settings import ROOT, Settings, async_url
from bot.shop import shopfile, texts
from bot.shop.bookings import BookingView

Level = Literal["ok", "warning", "failure"]

WEBHOOK = "/webhooks/twilio/sms"
#: Twilio tries a webhook once more by default; with these it tries five times more, whatever went wrong
#: (twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
RETRIES = "#rc=5&rp=all"
#: A service on the same network answers in milliseconds.
SECONDS = 5


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, how it is, and what to do where it is not well."""

    name: str
    level: Level
    says: str
    mend: str = ""

    def as_dict(self) -> dict[str, str]:
        """This finding as JSON."""
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """Every check, in the order of a text's way."""
    # The embedded services run with the engine; one's own may be looked at any time.
    running = client.was_running(settings)
    rasas = settings.rasa_url or client.rasa_urls(settings)
    findings = [*_host(), *_files(settings), *_carrier(settings), *_address(settings)]
    findings += _database(settings) if settings.database_url or running else []
    findings += _redis(settings) if settings.redis_url or running else []
    findings += [] if settings.rasa_url else _model()
    findings += _rasa(settings, rasas) if rasas or running else []
    return [*findings, *_web(settings)]


# -- what needs nothing running ------------------------------------------------------------------------------------


def _host() -> Iterator[Finding]:
    here = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    level: Level = "ok" if sys.version_info >= (3, 11) else "failure"
    yield Finding("host", level, f"{here}.", "" if level == "ok" else "Start Parley with ./parley.")


def _files(settings: Settings) -> Iterator[Finding]:
    yield Finding("settings", "ok", f"Read; carrier {settings.carrier}, port {settings.port}.")
    kept = settings.data_dir / "secrets.json"
    if not settings.data_dir.exists():
        says = f"{settings.data_dir.resolve()} is not there yet; the first start makes it."
        yield Finding("data folder", "ok", says)
    elif kept.exists() and kept.stat().st_mode & 0o077:
        yield Finding("data folder", "failure", f"{kept} can be read by others.", f"Run chmod 600 {kept}.")
    else:
        yield Finding("data folder", "ok", f"{settings.data_dir.resolve()}.")
    try:
        shop = shopfile.load(settings.shop_file)
        yield Finding("shop file", "ok", f"{shop.brand}, {len(shop.services)} services.")
    except SettingsError as exc:
        yield Finding("shop file", "failure", str(exc), f"Mend {settings.shop_file}.")


def _model() -> Iterator[Finding]:
    model = training.newest_model(ROOT)
    if model is None:
        mend = "The next ./parley up trains one; ./parley train does it now."
        yield Finding("language model", "warning", "No trained model fits data/ as it is now.", mend)
    else:
        yield Finding("language model", "ok", f"{model.name.partition('.')[0]} fits data/.")


def _carrier(settings: Settings) -> Iterator[Finding]:
    if settings.carrier == "simulator":
        yield Finding("carrier", "ok", "The simulator: no text leaves this machine.")
        return
    for name, value, shape in (
        ("PARLEY_TWILIO_ACCOUNT_SID", settings.twilio_account_sid, r"AC[0-9a-fA-F]{32}"),
        ("PARLEY_TWILIO_AUTH_TOKEN", settings.twilio_auth_token, r"[0-9a-fA-F]{32}"),
    ):
        if not value:
            mend = f"Set {name}; Twilio's console shows it."
            yield Finding("carrier", "failure", f"PARLEY_CARRIER is twilio and {name} is empty.", mend)
        elif not re.fullmatch(shape, value):
            mend = "Copy it again from Twilio's console."
            yield Finding("carrier", "warning", f"{name} does not look like what Twilio gives out.", mend)
        else:
            yield Finding("carrier", "ok", f"{name} is set.")


def _address(settings: Settings) -> Iterator[Finding]:
    """Where the carrier calls; signatures are made over exactly this address."""
    if settings.carrier == "simulator":
        yield Finding("webhook", "ok", f"{settings.base_url}{WEBHOOK}, called by the simulator.")
        return
    parts = urlsplit(settings.public_url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        says = "PARLEY_PUBLIC_URL is no https address, so the carrier cannot reach the webhook."
        yield Finding(
            "webhook", "failure", says, "Set it to the address of your proxy, such as https://texts.shop.example."
        )
        return
    mend = f'On the number, set "A message comes in" to POST {settings.base_url}{WEBHOOK}{RETRIES}.'
    yield Finding("webhook", "ok", f"{settings.base_url}{WEBHOOK}.", mend)


# -- what runs -----------------------------------------------------------------------------------------------------


def _database(settings: Settings) -> Iterator[Finding]:
    url = settings.database_url or services.app_url(settings.data_dir)
    try:
        engine = create_engine(async_url(url), poolclass=NullPool, connect_args={"connect_timeout": SECONDS})
        if not services.migrated(url):
            mend = "Start ./parley up once with PARLEY_DATABASE_OWNER_URL set."
            yield Finding("database", "failure", "Its tables are not of this version.", mend)
            return
        with engine.connect() as connection:
            version = connection.execute(text("SHOW server_version")).scalar_one()
            yield Finding("database", "ok", f"PostgreSQL {str(version).partition(' ')[0]}, tables of this version.")
            yield from _ledger(connection)
            yield from _numbers(connection, settings)
    except (SettingsError, ArgumentError, DBAPIError):
        mend = "Check PARLEY_DATABASE_URL." if settings.database_url else f"See {settings.logs / 'postgres.log'}."
        yield Finding("database", "failure", "It cannot be reached.", mend)


def _ledger(connection: Connection) -> Iterator[Finding]:
    rights = "SELECT has_table_privilege(:table, 'UPDATE') OR has_table_privilege(:table, 'DELETE')"
    if connection.execute(text(rights), {"table": services.LEDGER}).scalar_one():
        yield Finding(
            "consent ledger",
            "failure",
            "The engine's database role may change what people agreed to.",
            "Give PARLEY_DATABASE_URL a role of its own and PARLEY_DATABASE_OWNER_URL the owner's, then start again.",
        )
    else:
        yield Finding("consent ledger", "ok", "Can be added to and not changed.")


def _numbers(connection: Connection, settings: Settings) -> Iterator[Finding]:
    rows = connection.execute(
        text("SELECT phone, kind, carrier_words FROM sender_numbers WHERE is_default ORDER BY phone")
    ).all()
    if [settings.sender_number] != [row.phone for row in rows]:
        found = ", ".join(row.phone for row in rows) or "none"
        says = f"PARLEY_SENDER_NUMBER is {settings.sender_number}; the engine's default number is {found}."
        yield Finding("sender number", "failure", says, "Start the engine again with the setting as you want it.")
        return
    row = rows[0]
    if settings.carrier == "twilio" and settings.sender_number == Settings.model_fields["sender_number"].default:
        mend = "Set PARLEY_SENDER_NUMBER to a number of your Twilio account."
        yield Finding("sender number", "failure", f"{row.phone} is the simulator's.", mend)
    elif settings.carrier == "twilio" and row.kind == "short_code" and row.phone.startswith("+"):
        mend = "Set PARLEY_SENDER_KIND to long_code or toll_free, so that its carrier's opt-out words are known."
        yield Finding("sender number", "failure", f"{row.phone} is said to be a short code.", mend)
    else:
        yield Finding("sender number", "ok", f"{row.phone}, {row.kind.replace('_', ' ')}.")
    clash = [word for word in _asked() if word in row.carrier_words]
    for word in clash:
        yield Finding(
            "keywords",
            "warning",
            f"Booking texts ask for {word}, and the carrier of {row.phone} takes {word} as an opt-out: whoever replies "
            "with it gets no more texts.",
            f"Take {word} off the carrier's opt-out words for this number (Twilio: Messaging Service, Opt-Out "
            "Management) and set PARLEY_CARRIER_WORDS to the words that are left.",
        )
    if not clash:
        words = ", ".join(row.carrier_words) or "no word"
        yield Finding("keywords", "ok", f"The carrier acts on {words}; our texts ask for {', '.join(_asked())}.")


def _asked() -> list[str]:
    """The words that booking texts invite, read off an example."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    example = BookingView(
        id=UUID(int=0),
        number=1,
        contact_id=UUID(int=0),
        service="",
        service_key="",
        staff="",
        location="",
        location_id=1,
        resource_id=1,
        starts_at=start,
        ends_at=start + timedelta(hours=1),
        status="booked",
    )
    return texts.booking_confirmation(example, ZoneInfo("UTC"), "https://example.com", "key", start).asks


def _redis(settings: Settings) -> Iterator[Finding]:
    try:
        url = settings.redis_url or services.redis_url(settings.data_dir)
        with redis.Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS) as connection:
            connection.ping()
        yield Finding("redis", "ok", "Answers.")
    except (redis.RedisError, ValueError):
        mend = "Check PARLEY_REDIS_URL." if settings.redis_url else f"See {settings.logs / 'valkey.log'}."
        yield Finding("redis", "warning", "It cannot be reached; each sender paces itself meanwhile.", mend)


def _rasa(settings: Settings, urls: list[str]) -> Iterator[Finding]:
    mend = "Check PARLEY_RASA_URL." if settings.rasa_url else f"See {settings.logs / 'rasa-1.log'}."
    if not urls:
        yield Finding("rasa", "failure", "No Rasa runs.", mend)
    for url, answers in zip(urls, asyncio.run(_ready(urls)), strict=True):
        where = urlsplit(url).netloc.rpartition("@")[2]
        if answers:
            yield Finding("rasa", "ok", f"{where} reads texts.")
        else:
            yield Finding("rasa", "failure", f"{where} does not answer; texts wait.", mend)


async def _ready(urls: list[str]) -> list[bool]:
    async with httpx.AsyncClient(trust_env=False) as http:
        return [await RasaClient([url], "", SECONDS, http).ready() for url in urls]


def _web(settings: Settings) -> Iterator[Finding]:
    try:
        engine = client.connect(settings, settings.port if "port" in settings.model_fields_set else None)
        with contextlib.closing(engine):
            missing = engine.missing()
    except BotError as exc:
        says, _, mend = str(exc).partition("; ")
        yield Finding("engine", "failure", f"{says}.", f"{mend[:1].upper()}{mend[1:]}." if mend else "")
        return
    if missing:
        yield Finding("engine", "failure", f"It waits for {', '.join(missing)}.", f"See the logs in {settings.logs}.")
    else:
        yield Finding("engine", "ok", "Answers texts.")
