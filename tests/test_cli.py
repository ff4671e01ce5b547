"""The commands as people and scripts use them: what they print, what they exit with, one sentence for each trouble."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from bot import accounts, cli
from bot.db import Database
from bot.settings import ROOT
from tests.engine import NUMBER, Engine, stopped

KEYS = ["message_id", "replies", "decision", "intent", "confidence", "entities", "effects", "ticket", "consent", "ms"]


def parley(*words: str, given: str = "", **environment: str) -> tuple[int, str, str]:
    """Run a command: exit code, standard output, standard error."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bot.cli", *words],
        check=False,
        capture_output=True,
        text=True,
        input=given,
        env={**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


# -- help and misuse -----------------------------------------------------------------------------------------------


def commands() -> list[str]:
    """Every command, those of a group behind its name."""
    group = get_command(cli.app)
    assert isinstance(group, TyperGroup)
    found = []
    for name, command in group.commands.items():
        inner = command.commands if isinstance(command, TyperGroup) else {}
        found += [f"{name} {each}" for each in inner] or [name]
    return sorted(found)


def test_the_commands_are_these() -> None:
    """What is promised is there, and what is there is promised."""
    assert [
        *["bench nlu", "bench turns", "chat", "demo", "doctor", "lint", "models", "run", "say", "test", "train", "up"],
        *["user add", "user list", "user passwd", "when"],
    ] == commands()


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_with_an_example(command: str) -> None:
    """`--help` says what it is for and shows it in use."""
    shown = CliRunner().invoke(cli.app, [*command.split(), "--help"], env={"COLUMNS": "200"})

    assert 0 == shown.exit_code
    assert f"Example: ./parley {command}" in shown.output


def test_no_command_shows_the_help() -> None:
    """Whoever types only the name sees what there is."""
    code, output, errors = parley()

    assert (0, "") == (code, errors)
    assert "./parley [OPTIONS] COMMAND" in output


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["bogus"], "parley: No such command 'bogus'."),
        (["say"], "parley: Missing argument 'TEXT'."),
        (["say", "hi"], "parley: Missing option '--from'."),
        (["up", "--port", "0"], "parley: Invalid value for '--port': Input should be greater than or equal to 1"),
        (["run", "everything"], "parley: Invalid value: a process is web, worker, sender or trainer"),
        (
            ["say", "hi", "--from", "Ann"],
            "parley: Invalid value: --from is a phone number with its country, such as +12025550100, not 'Ann'",
        ),
        (
            ["when", "at 3", "--now", "soon", "--zone", "UTC"],
            "parley: Invalid value: --now is a moment such as 2026-11-24T09:00, not 'soon'",
        ),
        (
            ["when", "at 3", "--now", "2026-11-24T09:00", "--zone", "Mars"],
            "parley: Invalid value: --zone is a time zone such as America/New_York, not 'Mars'",
        ),
    ],
)
def test_misuse_is_one_sentence_and_exits_2(words: list[str], sentence: str) -> None:
    """Nothing on standard output, no usage text around it."""
    code, output, errors = parley(*words)

    assert (2, "", sentence) == (code, output, errors.strip())


@pytest.mark.parametrize(
    "words, environment, sentence",
    [
        (["say", "hi", "--from", "+12025550100"], {}, "belongs to no engine; start one with ./parley up"),
        (["chat"], {}, "belongs to no engine; start one with ./parley up"),
        (["user", "list"], {}, "nor does its database; start it with ./parley up"),
        (["demo"], {}, "nor does its database; start it with ./parley up"),
        (
            ["when", "at 3", "--now", "2026-11-24T09:00", "--zone", "UTC", "--hours", "nowhere.yml"],
            {},
            "nowhere.yml cannot be read; --hours names shop.yml or a table of opening hours",
        ),
        (["doctor"], {"PARLEY_PORT": "http"}, "PARLEY_PORT: Input should be a valid integer"),
        (["user", "list"], {"PARLEY_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "the database cannot be reached"),
        (["user", "list"], {"PARLEY_DATABASE_URL": "mysql://x"}, "PARLEY_DATABASE_URL must start with postgresql://"),
        (["run", "web"], {"PARLEY_CARRIER": "twilio"}, "PARLEY_TWILIO_ACCOUNT_SID and PARLEY_TWILIO_AUTH_TOKEN"),
    ],
)
def test_trouble_is_one_sentence_and_exits_1(
    tmp_path: Path, words: list[str], environment: dict[str, str], sentence: str
) -> None:
    """It names the thing and the mend; never a traceback."""
    code, output, errors = parley(*words, PARLEY_DATA_DIR=str(tmp_path), **environment)

    assert (1, "") == (code, output)
    assert 1 == len(errors.strip().splitlines()), errors
    assert errors.startswith("parley: ")
    assert sentence in errors


def test_a_settings_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    """Where the mistake is, in words."""
    (tmp_path / "parley.toml").write_text("port = \n")
    script = f"import os; os.chdir({str(tmp_path)!r}); from bot.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "doctor"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert 1 == done.returncode
    assert "parley: parley.toml cannot be read: Invalid value (at line 1, column 8)" == done.stderr.strip()


# -- times ---------------------------------------------------------------------------------------------------------

NOON = ["--now", "2026-11-24T12:00:00-05:00", "--zone", "America/New_York", "--json"]


def test_when_prints_readings_as_spans_of_the_zone() -> None:
    """`from` inclusive, `to` exclusive, one grain long where a point is named."""
    code, output, errors = parley("when", "2moro at 3pm", *NOON)

    assert (0, "") == (code, errors)
    assert [{"from": "2026-11-25T15:00:00-05:00", "to": "2026-11-25T16:00:00-05:00", "grain": "hour"}] == json.loads(
        output
    )


def test_when_knows_hours_and_booking_where_they_are_given(tmp_path: Path) -> None:
    """The shop is open at three in the afternoon only, and an hour later is later than the booking."""
    hours = tmp_path / "hours.yml"
    hours.write_text("Wednesday: 10:00-18:00\nthu: ['9:00-12:00', '13:00-18:00']\nsunday: closed\n")
    _, at_three, _ = parley("when", "wed at 3", *NOON, "--hours", str(hours))
    _, later, _ = parley("when", "an hour later", *NOON, "--booking", "2026-11-26T10:00")

    assert "2026-11-25T15:00:00-05:00" == json.loads(at_three)[0]["from"]
    assert "2026-11-26T11:00:00-05:00" == json.loads(later)[0]["from"]


def test_when_takes_the_shops_own_file() -> None:
    """The first location's hours decide."""
    _, output, _ = parley("when", "thurs at 7", *NOON, "--hours", str(ROOT / "shop.yml"))

    assert "T19:00:00-05:00" in json.loads(output)[0]["from"]


def test_when_gives_both_readings_where_two_stand(tmp_path: Path) -> None:
    """Seven is morning or evening for a shop open from six to ten: the likelier first, and for people with an "or"."""
    hours = tmp_path / "hours.yml"
    hours.write_text("fri: ['6:00-22:00']\n")
    _, output, _ = parley("when", "friday at 7", *NOON, "--hours", str(hours))
    _, told, _ = parley("when", "friday at 7", *NOON[:-1], "--hours", str(hours))

    assert ["2026-11-27T19:00:00-05:00", "2026-11-27T07:00:00-05:00"] == [each["from"] for each in json.loads(output)]
    assert "or from 2026-11-27T07:00:00-05:00" in told


def test_when_says_so_where_no_time_is_named() -> None:
    """An empty list for programs, a sentence for people."""
    assert (0, "[]\n", "") == parley("when", "hello there", *NOON)
    assert (0, "No time is named.\n", "") == parley("when", "hello there", *NOON[:-1])


# -- texting a running engine --------------------------------------------------------------------------------------


@pytest.mark.xdist_group("engine")
class TestSay:
    """`say` finds the engine, texts it through its webhook and tells what came of it."""

    def say(self, engine: Engine, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit code and the one JSON object."""
        port, folder = str(engine.port), str(engine.folder)
        code, output, errors = parley("say", *words, "--json", "--port", port, "--data-dir", folder)
        assert "" == errors
        found: dict[str, Any] = json.loads(output)
        return code, found

    def test_prints_one_object_with_these_keys(self, engine: Engine) -> None:
        """Scripts may rely on every key, in this order."""
        _, phone = engine.new_contact()
        code, found = self.say(engine, "what are your hours", "--from", phone)

        assert 0 == code
        assert KEYS == list(found)
        assert "bot" == found["decision"]
        assert isinstance(found["replies"], list)
        assert found["replies"]

    def test_stop_says_what_changed(self, engine: Engine) -> None:
        """A keyword's turn carries its effect and the consent after it."""
        _, phone = engine.new_contact()
        _, found = self.say(engine, "STOP", "--from", phone, "--to", NUMBER)

        assert ("keyword", "opt_out", "out") == (found["decision"], found["intent"], found["consent"])
        assert [{"kind": "consent.opted_out", "ref": "all"}] == [
            {key: effect[key] for key in ("kind", "ref")} for effect in found["effects"]
        ]

    @pytest.mark.parametrize("text", ["", "-hello", "--json please", "🙂", "line\nbreak"])
    def test_takes_any_text(self, engine: Engine, text: str) -> None:
        """A text may be empty, begin with a dash, or be no words at all."""
        _, phone = engine.new_contact()
        code, found = self.say(engine, text, "--from", phone)
        (kept,) = engine.rows("SELECT body FROM messages WHERE id = %s", found["message_id"])

        assert 0 == code
        assert text == kept["body"]

    def test_a_number_may_be_written_as_people_write_it(self, engine: Engine) -> None:
        """Blanks, brackets and dashes are taken out."""
        _, phone = engine.new_contact()
        written = f"{phone[:2]} ({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
        _, found = self.say(engine, "hello", "--from", written)
        (kept,) = engine.rows(
            "SELECT c.phone FROM messages m JOIN conversations v ON v.id = m.conversation_id"
            " JOIN contacts c ON c.id = v.contact_id WHERE m.id = %s",
            found["message_id"],
        )

        assert phone == kept["phone"]

    def test_tells_what_is_known_when_the_time_is_over(self, engine: Engine) -> None:
        """Exit 1 and a decision of null; the text itself is stored."""
        _, phone = engine.new_contact()
        with stopped(engine, "worker"):
            code, found = self.say(engine, "hello", "--from", phone, "--wait", "0.3")

        assert 1 == code
        assert KEYS == list(found)
        assert (None, []) == (found["decision"], found["replies"])
        assert found["message_id"] is not None

    def test_shows_people_the_reply_first(self, engine: Engine) -> None:
        """Without --json: the reply, then the decision, then the effects."""
        _, phone = engine.new_contact()
        where = {"PARLEY_PORT": str(engine.port), "PARLEY_DATA_DIR": str(engine.folder)}
        code, output, _ = parley("say", "stop", "--from", phone, **where)
        lines = output.splitlines()

        assert 0 == code
        assert lines[0].startswith("You have successfully opted out")
        assert lines[1].startswith("decision keyword · read as opt_out")
        assert "  consent.opted_out all" == lines[2]

    def test_another_folder_is_refused_in_one_sentence(self, engine: Engine, tmp_path: Path) -> None:
        """The signature of a folder that belongs to another engine is worth nothing here."""
        (tmp_path / "secrets.json").write_text("{}")
        where = {"PARLEY_PORT": str(engine.port), "PARLEY_DATA_DIR": str(tmp_path)}
        code, output, errors = parley("say", "hi", "--from", "+12025550100", **where)

        assert (1, "") == (code, output)
        assert "parley: the engine refused the signature: --data-dir and PARLEY_PUBLIC_URL" in errors

    def test_chat_shows_each_reply(self, engine: Engine) -> None:
        """Lines in, replies out, until the input ends."""
        _, phone = engine.new_contact()
        where = {"PARLEY_PORT": str(engine.port), "PARLEY_DATA_DIR": str(engine.folder)}
        code, output, errors = parley("chat", "--from", phone, given="HELP\n\nSTOP\n", **where)

        assert (0, "") == (code, errors)
        first, helped, left = output.splitlines()
        assert f"{phone} texts {NUMBER}. Ctrl-D ends." == first
        assert helped.startswith("  bot › Juniper Lane")
        assert left.startswith("  bot › You have successfully opted out")


# -- who may log in, and the demo ----------------------------------------------------------------------------------


async def test_a_user_is_added_with_a_password_that_is_shown_once(app_url: str, db: Database) -> None:
    """The password printed is the one that logs in."""
    code, output, _ = parley("user", "add", "Max@Shop.example", "--name", "Max Lee", PARLEY_DATABASE_URL=app_url)
    password = output.splitlines()[1].removeprefix("Password, shown this once: ")
    async with db.begin() as session:
        user = await accounts.check(session, "max@shop.example", password)

    assert 0 == code
    assert user is not None
    assert ("Max Lee", "agent") == (user.name, user.role)


async def test_a_new_password_ends_every_session(app_url: str, db: Database) -> None:
    """The old password and every browser logged in with it are out."""
    async with db.begin() as session:
        made = await accounts.create(session, "max@shop.example", "Max Lee", "agent", "the old password")
        await session.flush()
        token = await accounts.open_session(session, made.id)
    words = ["user", "passwd", "max@shop.example", "--password-stdin"]
    code, output, _ = parley(*words, given="the new password\n", PARLEY_DATABASE_URL=app_url)
    async with db.begin() as session:
        old = await accounts.check(session, "max@shop.example", "the old password")
        new = await accounts.check(session, "max@shop.example", "the new password")
        visitor = await accounts.visitor(session, token)

    assert 0 == code
    assert "the new password" not in output
    assert (None, None) == (old, visitor)
    assert new is not None


async def test_users_are_listed_without_their_passwords(app_url: str, db: Database) -> None:
    """Email, name and role, as a table or as JSON."""
    async with db.begin() as session:
        await accounts.create(session, "max@shop.example", "Max Lee", "agent", "a long password")
    _, output, _ = parley("user", "list", "--json", PARLEY_DATABASE_URL=app_url)
    _, table, _ = parley("user", "list", PARLEY_DATABASE_URL=app_url)

    assert {"users": [{"email": "max@shop.example", "name": "Max Lee", "role": "agent"}]} == json.loads(output)
    assert "max@shop.example" in table
    assert "$argon2" not in table


@pytest.mark.parametrize(
    "words, given, sentence",
    [
        (["add", "max", "--name", "Max"], "a long password", "max is no email address"),
        (["add", "max@shop.example", "--name", "Max"], "short", "A password has 10 to 200 characters"),
        (["add", "max@shop.example", "--name", "Max", "--role", "king"], "a long password", "There is no role king"),
        (["passwd", "max@shop.example"], "a long password", "Nobody logs in as max@shop.example"),
        (["passwd", "max@shop.example"], "short", "A password has 10 to 200 characters"),
        (["passwd", "max@shop.example"], "", "standard input holds no password"),
    ],
)
def test_a_wrong_user_is_one_sentence(app_url: str, words: list[str], given: str, sentence: str) -> None:
    """Nothing is written."""
    code, _, errors = parley("user", *words, "--password-stdin", given=given, PARLEY_DATABASE_URL=app_url)

    assert 1 == code
    assert sentence in errors
    assert "Traceback" not in errors


def test_the_demo_is_filled_once_and_removed(app_url: str, db: Database, tmp_path: Path) -> None:
    """It never mixes with what is there, and goes as it came."""
    where = {"PARLEY_DATABASE_URL": app_url, "PARLEY_DATA_DIR": str(tmp_path)}
    filled = parley("demo", **where)
    again = parley("demo", **where)
    removed = parley("demo", "--remove", **where)

    assert (0, "The demo shop is in.") == (filled[0], filled[1].strip())
    assert (1, "parley: there are contacts already, so the demo shop was not added") == (again[0], again[2].strip())
    assert (0, "20 demo contacts and what was theirs are gone.") == (removed[0], removed[1].strip())
