"""Looks at everything a text needs on its way and says what to do about each trouble; it mends and starts nothing.

Works while the engine is down, and then says so. It never shows a secret.
"""

import asyncio
import contextlib
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
import redis
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from bot import client, clock, consent, services
from bot.errors import BotError, SettingsError
from bot.insight import training
from bot.insight.training import Workshop
from bot.rasa_client import RasaClient
from bot.settings import Settings, async_url
from bot.shop import shopfile, texts
from bot.shop.shopfile import Content, ShopFile

Level = Literal["ok", "warning", "failure"]

WEBHOOK = "/webhooks/twilio/sms"
#: Twilio tries a webhook once more by default; with these it tries five times more, whatever went wrong
#: (twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
RETRIES = "#rc=5&rp=all"
#: A service on the same network answers in milliseconds.
SECONDS = 5
#: The carrier's API and the way through one's own proxy take longer.
FAR_SECONDS = 10
#: Logs and databases of a shop grow by less in a month, or in a few days.
FEW_BYTES, NO_BYTES = 1_000_000_000, 200_000_000
#: A pool with fewer codes left than this, or this share, is nearly empty.
FEW_CODES, FEW_CODES_SHARE = 3, 0.1


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
    findings = [*_host(), *_files(settings), *_disk(settings), *_carrier(settings), *_address(settings)]
    shop = _shop(settings)
    if settings.database_url or running:
        findings += _database(settings, shop)
    elif shop is not None:
        findings += _content(shop, {})
    findings += _redis(settings) if settings.redis_url or running else []
    findings += [] if settings.rasa_url else _model(settings)
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


def _shop(settings: Settings) -> ShopFile | None:
    with contextlib.suppress(SettingsError):
        return shopfile.load(settings.shop_file)
    return None


def _disk(settings: Settings) -> Iterator[Finding]:
    """Room where the data folder is, or will be."""
    folder: Path = settings.data_dir.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    level: Level = "failure" if free < NO_BYTES else "warning" if free < FEW_BYTES else "ok"
    mend = "" if level == "ok" else f"Make room, or name another PARLEY_DATA_DIR; old logs lie in {settings.logs}."
    yield Finding("disk", level, f"{free / 1e9:,.1f} GB free at {folder}.", mend)


def _content(shop: ShopFile, left: Mapping[str, int]) -> Iterator[Finding]:
    """What shop.yml gives away: contests that are over, lists of codes that run out. `left` counts free codes."""
    today = clock.now().astimezone(ZoneInfo(shop.zone)).date()
    found = [*_contests(shop.content, today), *_codes(shop.content, left)]
    yield from found
    if not found:
        yield Finding("shop content", "ok", "No contest is over and no list of codes has run out.")


def _contests(content: Content, today: date) -> Iterator[Finding]:
    for contest in content.contests:
        if contest.ends < today:
            says = f"Contest {contest.keyword} ended on {contest.ends:%b} {contest.ends.day}, {contest.ends.year}."
            mend = "Draw its winners; then give it a later end in the shop file, or take it out."
            yield Finding("shop content", "warning", says, mend)
        if contest.keyword.lower() in _TAKEN:
            says = f"{contest.keyword} is a word that opts people out or in, so nobody can enter the contest by it."
            yield Finding("shop content", "failure", says, "Give the contest another keyword in the shop file.")


def _codes(content: Content, left: Mapping[str, int]) -> Iterator[Finding]:
    for pool in content.code_pools:
        free, whole = left.get(pool.key, len(pool.codes)), len(pool.codes)
        if free > max(FEW_CODES, FEW_CODES_SHARE * whole):
            continue
        level: Level = "warning" if free else "failure"
        says = f"{free} of {whole} codes of {pool.key} are left." if free else f"No code of {pool.key} is left."
        yield Finding("shop content", level, says, "Add codes to the list in the shop file and start the engine again.")
    for preference in content.preferences:
        if preference.code is None:
            says = f"Who answers preference {preference.key} gets no code."
            mend = "Name a list of codes there if they should."
            yield Finding("shop content", "warning", says, mend)


#: Words a text is read as before any contest or preference.
_TAKEN = consent.STOP_WORDS | consent.AMBIGUOUS_WORDS | consent.START_WORDS | consent.HELP_WORDS


def _model(settings: Settings) -> Iterator[Finding]:
    model = training.newest_model(Workshop.of(settings))
    if model is None:
        mend = "The next ./parley up trains one; ./parley train does it now."
        yield Finding("language model", "warning", "No trained model fits data/ as it is now.", mend)
    else:
        yield Finding("language model", "ok", f"{model.name.partition('.')[0]} fits data/.")


def _carrier(settings: Settings) -> Iterator[Finding]:
    if settings.carrier == "simulator":
        yield Finding("carrier", "ok", "The simulator: no text leaves this machine.")
        return
    shaped = True
    for name, value, shape in (
        ("PARLEY_TWILIO_ACCOUNT_SID", settings.twilio_account_sid, r"AC[0-9a-fA-F]{32}"),
        ("PARLEY_TWILIO_AUTH_TOKEN", settings.twilio_auth_token, r"[0-9a-fA-F]{32}"),
    ):
        if not value:
            shaped = False
            mend = f"Set {name}; Twilio's console shows it."
            yield Finding("carrier", "failure", f"PARLEY_CARRIER is twilio and {name} is empty.", mend)
        elif not re.fullmatch(shape, value):
            mend = "Copy it again from Twilio's console."
            yield Finding("carrier", "warning", f"{name} does not look like what Twilio gives out.", mend)
        else:
            yield Finding("carrier", "ok", f"{name} is set.")
    if shaped:
        yield from _account(settings)


def _account(settings: Settings) -> Iterator[Finding]:
    """Ask the carrier who we are, and how the number is set up; two requests that cost nothing."""
    base = f"{settings.twilio_api_url.rstrip('/')}/2010-04-01/Accounts/{settings.twilio_account_sid}"
    auth = (settings.twilio_account_sid, settings.twilio_auth_token)
    try:
        with httpx.Client(auth=auth, timeout=FAR_SECONDS) as http:
            account = http.get(f"{base}.json")
            numbers = (
                http.get(f"{base}/IncomingPhoneNumbers.json", params={"PhoneNumber": settings.sender_number})
                if account.status_code == httpx.codes.OK
                else None
            )
    except httpx.TimeoutException:
        yield Finding("carrier account", "failure", f"Twilio gave no answer within {FAR_SECONDS} seconds.", _WAY_OUT)
        return
    except httpx.HTTPError:
        yield Finding("carrier account", "failure", "Twilio cannot be reached from here.", _WAY_OUT)
        return
    yield _standing(account)
    if numbers is not None and settings.sender_number.startswith("+"):
        yield from _number_there(settings, numbers)


_WAY_OUT = "Check this machine's way to the internet, and PARLEY_TWILIO_API_URL; texts wait until then."


def _standing(account: httpx.Response) -> Finding:
    told = _json(account)
    if account.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
        mend = "Copy PARLEY_TWILIO_ACCOUNT_SID and PARLEY_TWILIO_AUTH_TOKEN again; a rotated token is another one."
        return Finding("carrier account", "failure", "Twilio does not take these credentials.", mend)
    if account.status_code != httpx.codes.OK:
        says = f"Twilio answered HTTP {account.status_code}."
        return Finding("carrier account", "failure", says, "Try again in a minute; status.twilio.com tells of outages.")
    status = str(told.get("status") or "unknown")
    if status != "active":
        says = f"Twilio says that the account is {status}."
        return Finding("carrier account", "failure", says, "Twilio's console says what is missing.")
    if told.get("type") == "Trial":
        says = "It is a trial account: Twilio texts only numbers you have verified, and adds words of its own."
        return Finding("carrier account", "warning", says, "Upgrade it in Twilio's console before customers text it.")
    return Finding("carrier account", "ok", "Twilio takes the credentials; the account is active.")


def _number_there(settings: Settings, answer: httpx.Response) -> Iterator[Finding]:
    """The sender number in the carrier's own list: ours, able to text, calling our webhook with our retries."""
    listed = _json(answer).get("incoming_phone_numbers")
    if answer.status_code != httpx.codes.OK or not isinstance(listed, list):
        return
    wanted = f"{settings.base_url}{WEBHOOK}{RETRIES}"
    enter = f'On the number, set "A message comes in" to POST {wanted}.'
    if not listed:
        says = f"The Twilio account has no number {settings.sender_number}."
        yield Finding("carrier number", "failure", says, "Set PARLEY_SENDER_NUMBER to one of the account's numbers.")
        return
    number = listed[0]
    if not number.get("capabilities", {}).get("sms", True):
        says = f"{settings.sender_number} cannot text."
        yield Finding("carrier number", "failure", says, "Choose a number with SMS among its capabilities.")
        return
    called = str(number.get("sms_url") or "")
    if called.partition("#")[0] != f"{settings.base_url}{WEBHOOK}":
        says = "Its texts go to another address." if called else "Its texts go nowhere."
        mend = f"{enter} A Messaging Service has the address in its own settings."
        yield Finding("carrier number", "warning", says, mend)
    elif called != wanted:
        says = "Twilio tries the webhook only twice, so texts of a longer outage come late."
        yield Finding("carrier number", "warning", says, f"{enter} What stands after # makes it try five times more.")
    else:
        yield Finding("carrier number", "ok", f"{settings.sender_number} calls our webhook, with retries.")


def _json(response: httpx.Response) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        body = response.json()
        if isinstance(body, dict):
            return body
    return {}


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
    yield probe(settings.base_url)


def probe(base_url: str) -> Finding:
    """Post to the webhook without a signature, as a stranger would: it must be there, and refuse."""
    where = urlsplit(base_url).netloc.rpartition("@")[2]
    try:
        with httpx.Client(timeout=FAR_SECONDS, follow_redirects=False) as http:
            status = http.post(f"{base_url}{WEBHOOK}", data={}).status_code
    except httpx.TimeoutException:
        mend = "Check the proxy in front of the engine; Twilio waits fifteen seconds at most."
        return Finding("webhook answer", "failure", f"{where} gave no answer within {FAR_SECONDS} seconds.", mend)
    except httpx.HTTPError:
        mend = "Check its DNS entry, its certificate and the proxy; then ask again."
        return Finding("webhook answer", "failure", f"{where} cannot be reached from here.", mend)
    if status == httpx.codes.FORBIDDEN:
        return Finding("webhook answer", "ok", f"{where} answers, and refuses what is not signed.")
    if status < httpx.codes.BAD_REQUEST and status not in range(300, 400):
        mend = "Something else answers at PARLEY_PUBLIC_URL; lead its proxy to this engine."
        return Finding("webhook answer", "failure", f"{where} takes what is not signed (HTTP {status}).", mend)
    mend = f"Have the proxy pass POST {WEBHOOK} on unchanged, and the engine run."
    return Finding("webhook answer", "failure", f"{where} answers HTTP {status} instead of refusing.", mend)


# -- what runs -----------------------------------------------------------------------------------------------------


def _database(settings: Settings, shop: ShopFile | None) -> Iterator[Finding]:
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
            yield from _numbers(connection, settings, shop)
            if shop is not None:
                free = {str(pool): int(count) for pool, count in connection.execute(text(_FREE_CODES))}
                yield from _content(shop, {pool.key: free.get(pool.key, 0) for pool in shop.content.code_pools})
    except (SettingsError, ArgumentError, DBAPIError):
        mend = "Check PARLEY_DATABASE_URL." if settings.database_url else f"See {settings.logs / 'postgres.log'}."
        yield Finding("database", "failure", "It cannot be reached.", mend)


_FREE_CODES = "SELECT pool, count(*) FROM codes WHERE contact_id IS NULL GROUP BY pool"


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


def _numbers(connection: Connection, settings: Settings, shop: ShopFile | None) -> Iterator[Finding]:
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
    asked = dict(_asked(shop))
    clash = [word for word in asked if word in row.carrier_words]
    for word in clash:
        yield Finding(
            "keywords",
            "warning",
            f"{asked[word]} for {word}, and the carrier of {row.phone} takes {word} as an opt-out: whoever replies "
            "with it gets no more texts.",
            f"Take {word} off the carrier's opt-out words for this number (Twilio: Messaging Service, Opt-Out "
            "Management) and set PARLEY_CARRIER_WORDS to the words that are left.",
        )
    if not clash:
        words = ", ".join(row.carrier_words) or "no word"
        yield Finding("keywords", "ok", f"The carrier acts on {words}; our texts ask for {', '.join(asked)}.")


def _asked(shop: ShopFile | None) -> Iterable[tuple[str, str]]:
    """Every word our texts invite, upper case, with who asks for it."""
    yield from ((word, "Booking texts ask") for word in texts.BOOKING_ASKS)
    if shop is not None:
        yield from ((contest.keyword, "A contest asks") for contest in shop.content.contests)
        for preference in shop.content.preferences:
            yield from ((choice.word, f"Preference {preference.key} asks") for choice in preference.choices)


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
    wanted = training.fingerprint(Workshop.of(settings))
    for url, (answers, model) in zip(urls, asyncio.run(_ready(urls)), strict=True):
        where = urlsplit(url).netloc.rpartition("@")[2]
        if not answers:
            yield Finding("rasa", "failure", f"{where} does not answer; texts wait.", mend)
        elif model is not None and not model.startswith(wanted):
            says = f"{where} reads texts with a model that is not of today's data/."
            here = "Train and publish on the console's Models page; after a roll back this is as it should be."
            there = "Train with ./parley train and start it on the new model."
            yield Finding("rasa", "warning", says, there if settings.rasa_url else here)
        else:
            yield Finding("rasa", "ok", f"{where} reads texts.")


async def _ready(urls: list[str]) -> list[tuple[bool, str | None]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        clients = [RasaClient([url], "", SECONDS, http) for url in urls]
        return [(await each.ready(), await each.model()) for each in clients]


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
