"""The doctor finds each trouble, says what to do about it, and shows no secret."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from sqlalchemy import text, update

from bot import doctor
from bot.db import Database
from bot.doctor import Finding
from bot.settings import ROOT, Settings, load_secrets
from bot.supervisor import free_port
from bot.tables import SenderNumber
from tests.conftest import create_database, database_url, drop_database
from tests.engine import NUMBER, Engine

TWILIO = {
    "carrier": "twilio",
    "twilio_account_sid": "AC" + "0" * 32,
    "twilio_auth_token": "0123456789abcdef" * 2,
    # Nobody listens there: what a test wants answered it names.
    "twilio_api_url": "http://127.0.0.1:1",
    "sender_number": NUMBER,
    "public_url": "https://127.0.0.1:1",
}


def found(settings: Settings, name: str) -> list[Finding]:
    """What the doctor says of one thing."""
    return [finding for finding in doctor.examine(settings) if finding.name == name]


def only(settings: Settings, name: str) -> Finding:
    """The one thing the doctor says of it."""
    (finding,) = found(settings, name)
    return finding


@pytest.fixture
def empty(app_url: str) -> Iterator[str]:
    """A database nobody has migrated."""
    name = f"empty_{uuid4().hex[:12]}"
    create_database(name)
    yield database_url(app_url, name)
    drop_database(name)


@pytest.fixture
def settings(tmp_path: Path, db: Database, app_url: str, redis_url: str) -> Settings:
    """An engine that is well but for not running: a filled database and a Redis of its own."""
    return Settings(
        data_dir=tmp_path, port=free_port(), database_url=app_url, redis_url=redis_url, sender_number=NUMBER
    )


@pytest.mark.xdist_group("engine")
def test_a_running_engine_is_well(engine: Engine) -> None:
    """Every check is there and none fails; no secret is shown."""
    settings = engine.settings.model_copy(update={"rasa_url": [f"http://127.0.0.1:{engine.rasa_port}"]})
    findings = doctor.examine(settings)
    shown = json.dumps([finding.as_dict() for finding in findings])

    assert [
        *["host", "settings", "data folder", "shop file", "disk", "carrier", "webhook", "database", "consent ledger"],
        *["sender number", "keywords", "shop content", "redis", "rasa", "engine"],
    ] == [finding.name for finding in findings]
    assert [] == [finding for finding in findings if finding.level != "ok"]
    assert [] == [secret for secret in engine.secrets.model_dump().values() if secret in shown]


def test_an_engine_that_is_down_is_said_to_be_down(settings: Settings) -> None:
    """What can be looked at without it is, and only the engine itself fails."""
    findings = doctor.examine(settings)
    failures = [finding for finding in findings if finding.level == "failure"]

    assert ["engine"] == [finding.name for finding in failures]
    assert "belongs to no engine." in failures[0].says
    assert "Start one with ./parley up, or name its --data-dir." == failures[0].mend
    assert "ok" == only(settings, "database").level


def test_a_folder_whose_engine_was_stopped_is_told_apart(settings: Settings) -> None:
    """Secrets are there, so it was started once; nobody listens now."""
    load_secrets(settings)
    finding = only(settings, "engine")

    assert ("failure", f"no engine answers on port {settings.port}.") == (finding.level, finding.says)


# -- database, Redis, Rasa -----------------------------------------------------------------------------------------


def test_a_database_that_cannot_be_reached_fails(settings: Settings) -> None:
    """The setting is named, the password in it is not."""
    wrong = settings.model_copy(update={"database_url": "postgresql://parley:hunter2@127.0.0.1:1/parley"})
    finding = only(wrong, "database")

    assert ("failure", "Check PARLEY_DATABASE_URL.") == (finding.level, finding.mend)
    assert "hunter2" not in json.dumps([each.as_dict() for each in doctor.examine(wrong)])


def test_a_database_of_another_version_fails(settings: Settings, empty: str) -> None:
    """The start that migrates is named."""
    finding = only(settings.model_copy(update={"database_url": empty}), "database")

    assert ("failure", "Its tables are not of this version.") == (finding.level, finding.says)
    assert "PARLEY_DATABASE_OWNER_URL" in finding.mend


def test_a_role_that_could_rewrite_consent_fails(settings: Settings, owner_url: str) -> None:
    """An engine that logs in as the owner is told to have a role of its own."""
    finding = only(settings.model_copy(update={"database_url": owner_url}), "consent ledger")

    assert "failure" == finding.level
    assert "Give PARLEY_DATABASE_URL a role of its own" in finding.mend


def test_losing_redis_is_a_warning(settings: Settings) -> None:
    """It slows things and stops nothing."""
    finding = only(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"}), "redis")

    assert ("warning", "Check PARLEY_REDIS_URL.") == (finding.level, finding.mend)


def test_a_rasa_that_is_down_fails(settings: Settings) -> None:
    """Each address is asked by itself."""
    findings = found(settings.model_copy(update={"rasa_url": ["http://127.0.0.1:1", "http://127.0.0.1:2"]}), "rasa")

    assert ["failure", "failure"] == [finding.level for finding in findings]
    assert "127.0.0.1:2 does not answer; texts wait." == findings[1].says


# -- carrier, webhook, numbers, keywords ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, level, mend",
    [
        ("twilio_account_sid", "failure", "Set PARLEY_TWILIO_ACCOUNT_SID; Twilio's console shows it."),
        ("twilio_auth_token", "failure", "Set PARLEY_TWILIO_AUTH_TOKEN; Twilio's console shows it."),
    ],
)
def test_missing_credentials_fail(settings: Settings, name: str, level: str, mend: str) -> None:
    """A real carrier wants both."""
    findings = found(settings.model_copy(update={**TWILIO, name: ""}), "carrier")

    assert (level, mend) in [(finding.level, finding.mend) for finding in findings]


def test_credentials_of_another_shape_are_doubted_and_not_shown(settings: Settings) -> None:
    """A token cut while it was copied is noticed."""
    findings = doctor.examine(settings.model_copy(update={**TWILIO, "twilio_auth_token": "0123456789abcde"}))

    assert ["warning"] == [each.level for each in findings if "PARLEY_TWILIO_AUTH_TOKEN" in each.says]
    assert "0123456789abcde" not in json.dumps([each.as_dict() for each in findings])


@pytest.mark.parametrize("address", ["", "http://texts.shop.example", "https://", "https://shop.example/?a=b"])
def test_a_real_carrier_wants_a_public_https_address(settings: Settings, address: str) -> None:
    """Signatures are made over it, so nothing else will do."""
    finding = only(settings.model_copy(update={**TWILIO, "public_url": address}), "webhook")

    assert "failure" == finding.level
    assert "PARLEY_PUBLIC_URL is no https address" in finding.says


def test_the_webhook_to_enter_is_spelled_out(settings: Settings) -> None:
    """Path and retries included, ready to be copied."""
    finding = only(settings.model_copy(update=TWILIO), "webhook")

    assert "ok" == finding.level
    assert "POST https://127.0.0.1:1/webhooks/twilio/sms#rc=5&rp=all." in finding.mend


def test_a_number_the_engine_does_not_have_fails(settings: Settings) -> None:
    """A setting changed after the start is noticed."""
    finding = only(settings.model_copy(update={"sender_number": "+13125550199"}), "sender number")

    assert "failure" == finding.level
    assert f"PARLEY_SENDER_NUMBER is +13125550199; the engine's default number is {NUMBER}." == finding.says


def test_the_simulators_number_is_no_number_for_twilio(settings: Settings) -> None:
    """The default is nobody's."""
    finding = only(settings.model_copy(update=TWILIO), "sender number")

    assert ("failure", f"{NUMBER} is the simulator's.") == (finding.level, finding.says)


async def test_a_carrier_word_that_our_texts_ask_for_is_a_warning(settings: Settings, db: Database) -> None:
    """CANCEL in a booking text on a number whose carrier acts on CANCEL: what happens, and what to do."""
    await carrier_words(db, ["STOP", "CANCEL"])
    finding = await in_thread(settings, "keywords")

    assert "warning" == finding.level
    assert f"Booking texts ask for CANCEL, and the carrier of {NUMBER} takes CANCEL as an opt-out" in finding.says
    assert "PARLEY_CARRIER_WORDS" in finding.mend


async def test_a_list_without_it_is_well(settings: Settings, db: Database) -> None:
    """The list is the number's own, not the carrier's default."""
    await carrier_words(db, ["STOP", "END"])
    finding = await in_thread(settings, "keywords")

    asked = "CHANGE, CANCEL, WIN200, SNEAKERS, HEELS"
    assert ("ok", f"The carrier acts on STOP, END; our texts ask for {asked}.") == (finding.level, finding.says)


async def test_a_contests_keyword_the_carrier_acts_on_is_a_warning(settings: Settings, db: Database) -> None:
    """Not only booking texts invite words."""
    await carrier_words(db, ["WIN200"])
    finding = await in_thread(settings, "keywords")

    assert "warning" == finding.level
    assert f"A contest asks for WIN200, and the carrier of {NUMBER} takes WIN200 as an opt-out" in finding.says


# -- what the carrier and the public address say -------------------------------------------------------------------


@contextlib.contextmanager
def outside(answers: dict[str, tuple[int, Any]]) -> Iterator[str]:
    """Somebody else's server: what it answers to which path; its address. Any other path hangs until it is closed."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, body = answers.get(self.path.partition("?")[0], (0, None))
            if not status:
                over.wait(30)
                return
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815  # as http.server names them

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


ACCOUNT = f"/2010-04-01/Accounts/{TWILIO['twilio_account_sid']}"


def asked(settings: Settings, account: tuple[int, Any], number: Any = None) -> dict[str, Finding]:
    """What the doctor says of carrier account and number where Twilio answers like this."""
    numbers = [] if number is None else [number]
    paths = {
        f"{ACCOUNT}.json": account,
        f"{ACCOUNT}/IncomingPhoneNumbers.json": (200, {"incoming_phone_numbers": numbers}),
    }
    with outside(paths) as url:
        findings = doctor.examine(settings.model_copy(update={**TWILIO, "twilio_api_url": url}))
    return {finding.name: finding for finding in findings}


WELL = (200, {"status": "active", "type": "Full"})
CALLED = "https://127.0.0.1:1/webhooks/twilio/sms"


@pytest.mark.parametrize(
    "account, level, says",
    [
        (WELL, "ok", "the account is active"),
        ((401, {"code": 20003}), "failure", "does not take these credentials"),
        ((404, {"code": 20404}), "failure", "does not take these credentials"),
        ((503, "busy"), "failure", "answered HTTP 503"),
        ((200, {"status": "suspended"}), "failure", "the account is suspended"),
        ((200, {"status": "active", "type": "Trial"}), "warning", "trial account"),
        ((200, ["odd"]), "failure", "the account is unknown"),
    ],
)
def test_the_carrier_is_asked_who_we_are(settings: Settings, account: tuple[int, Any], level: str, says: str) -> None:
    """Each answer is told in words, with what to do where it is not well."""
    finding = asked(settings, account)["carrier account"]

    assert (level, level != "ok") == (finding.level, bool(finding.mend))
    assert says in finding.says


def test_a_carrier_that_cannot_be_reached_or_hangs_fails_in_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor never waits for long."""
    monkeypatch.setattr(doctor, "FAR_SECONDS", 0.3)
    gone = only(settings.model_copy(update=TWILIO), "carrier account")
    with outside({}) as url:
        hangs = only(settings.model_copy(update={**TWILIO, "twilio_api_url": url}), "carrier account")

    assert ("failure", "Twilio cannot be reached from here.") == (gone.level, gone.says)
    assert ("failure", "Twilio gave no answer within 0.3 seconds.") == (hangs.level, hangs.says)


@pytest.mark.parametrize(
    "number, level, says",
    [
        ({"sms_url": f"{CALLED}#rc=5&rp=all"}, "ok", "calls our webhook, with retries"),
        ({"sms_url": CALLED}, "warning", "tries the webhook only twice"),
        ({"sms_url": "https://demo.twilio.com/welcome"}, "warning", "go to another address"),
        ({"sms_url": ""}, "warning", "go nowhere"),
        ({"sms_url": CALLED, "capabilities": {"sms": False}}, "failure", "cannot text"),
        (None, "failure", "has no number"),
    ],
)
def test_the_carriers_own_entry_of_the_number_is_held_against_ours(
    settings: Settings, number: Any, level: str, says: str
) -> None:
    """Where its texts go, with the retries that bridge an outage."""
    finding = asked(settings, WELL, number)["carrier number"]

    assert level == finding.level
    assert says in finding.says
    assert level == "ok" or finding.mend


@pytest.mark.parametrize(
    "status, level, says",
    [
        (403, "ok", "refuses what is not signed"),
        (200, "failure", "takes what is not signed (HTTP 200)"),
        (404, "failure", "answers HTTP 404"),
        (502, "failure", "answers HTTP 502"),
        (308, "failure", "answers HTTP 308"),
    ],
)
def test_the_public_address_must_refuse_what_is_not_signed(status: int, level: str, says: str) -> None:
    """Anything but 403 is somebody else, or nobody."""
    with outside({"/webhooks/twilio/sms": (status, {})}) as url:
        finding = doctor.probe(url)

    assert level == finding.level
    assert says in finding.says


def test_a_public_address_nobody_reaches_fails(settings: Settings) -> None:
    """DNS, certificate and proxy are named."""
    finding = only(settings.model_copy(update=TWILIO), "webhook answer")

    assert ("failure", "127.0.0.1:1 cannot be reached from here.") == (finding.level, finding.says)
    assert "DNS" in finding.mend


# -- files ---------------------------------------------------------------------------------------------------------


def test_secrets_that_others_can_read_fail(settings: Settings) -> None:
    """The command that mends it is given."""
    load_secrets(settings)
    kept = settings.data_dir / "secrets.json"
    kept.chmod(0o644)
    finding = only(settings, "data folder")

    assert ("failure", f"Run chmod 600 {kept}.") == (finding.level, finding.mend)


def test_a_shop_file_that_cannot_be_read_fails(settings: Settings, tmp_path: Path) -> None:
    """What is wrong in it is said."""
    broken = tmp_path / "shop.yml"
    broken.write_text("brand: [")
    finding = only(settings.model_copy(update={"shop_file": broken}), "shop file")

    assert ("failure", f"Mend {broken}.") == (finding.level, finding.mend)


def test_little_room_is_said_before_there_is_none(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """First a warning, then a failure."""
    well = only(settings, "disk")
    monkeypatch.setattr(doctor, "FEW_BYTES", 10**18)
    few = only(settings, "disk")
    monkeypatch.setattr(doctor, "NO_BYTES", 10**18)
    none = only(settings, "disk")

    assert ["ok", "warning", "failure"] == [finding.level for finding in (well, few, none)]
    assert "Make room" in none.mend


# -- what the shop gives away --------------------------------------------------------------------------------------


def content(settings: Settings, tmp_path: Path, **changes: object) -> list[Finding]:
    """What is said of a shop file with this content."""
    raw = yaml.safe_load(settings.shop_file.read_text())
    raw["content"] |= changes
    path = tmp_path / "changed.yml"
    path.write_text(yaml.safe_dump(raw))
    return found(settings.model_copy(update={"shop_file": path}), "shop content")


def test_a_contest_that_is_over_is_a_warning(settings: Settings, tmp_path: Path) -> None:
    """With its date, and what to do."""
    over = {"keyword": "WIN9", "prize": "$9", "winners": 1, "ends": "2024-02-29", "rules": "shop.example"}
    (finding,) = content(settings, tmp_path, contests=[over])

    assert ("warning", "Contest WIN9 ended on Feb 29, 2024.") == (finding.level, finding.says)


def test_a_contest_nobody_can_enter_fails(settings: Settings, tmp_path: Path) -> None:
    """Its keyword is read as something else before."""
    stop = {"keyword": "END", "prize": "$9", "winners": 1, "ends": "2099-02-28", "rules": "shop.example"}
    (finding,) = content(settings, tmp_path, contests=[stop])

    assert "failure" == finding.level
    assert "END is a word that opts people out or in" in finding.says


async def test_codes_that_run_out_are_told(settings: Settings, db: Database) -> None:
    """Nearly all given is a warning, all given a failure; a list in the database counts, not the file alone."""
    levels = []
    for left in (4, 2, 0):
        async with db.begin() as session:
            await session.execute(text("DELETE FROM codes WHERE id > :left"), {"left": left})
        levels.append((await in_thread(settings, "shop content")).level)
    finding = await in_thread(settings, "shop content")

    assert ["ok", "warning", "failure"] == levels
    assert "No code of taste is left." == finding.says


def test_a_preference_that_gives_nothing_is_told(settings: Settings, tmp_path: Path) -> None:
    """It may be meant so."""
    asks = {"key": "style", "question": "Which?", "choices": [{"word": "RED"}, {"word": "BLUE"}]}
    (finding,) = content(settings, tmp_path, preferences=[asks])

    assert ("warning", "Who answers preference style gets no code.") == (finding.level, finding.says)


def test_without_a_database_the_file_alone_is_looked_at(tmp_path: Path) -> None:
    """Before the first start."""
    finding = only(Settings(data_dir=tmp_path, port=free_port()), "shop content")

    over = "ended on" in finding.says  # the shop file's own contest, from its last day on
    assert ("warning" if over else "ok") == finding.level


# -- the command ---------------------------------------------------------------------------------------------------


def test_the_command_exits_1_on_a_failure_and_prints_one_object(tmp_path: Path) -> None:
    """Scripts read `ok` and the checks."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bot.cli", "doctor", "--json", "--data-dir", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    said = json.loads(done.stdout)

    assert (1, "") == (done.returncode, done.stderr)
    assert said["ok"] is False
    assert {"name", "level", "says", "mend"} == set(said["checks"][0])
    assert {"ok", "failure"} <= {check["level"] for check in said["checks"]} <= {"ok", "warning", "failure"}


async def carrier_words(db: Database, words: list[str]) -> None:
    """What the carrier of the default number acts on by itself."""
    async with db.begin() as session:
        await session.execute(update(SenderNumber).values(carrier_words=words))


async def in_thread(settings: Settings, name: str) -> Finding:
    """The doctor starts an event loop of its own."""
    return await asyncio.to_thread(only, settings, name)
