"""Settings are one documented table, and a wrong one is named."""

import json
import re
import stat
from pathlib import Path

import pytest

from bot import settings
from bot.errors import SettingsError
from bot.settings import Secrets, Settings

SECRET_WORDS = ("token", "password", "secret", "key")


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_says_what_it_is(name: str) -> None:
    """One sentence each, ending in a full stop, so that a table of them reads well."""
    description = Settings.model_fields[name].description

    assert description, name
    assert description.endswith(".")
    assert description[0].isupper()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_secrets_have_no_default(name: str) -> None:
    """Nothing that must be secret is the same on two machines."""
    default = Settings.model_fields[name].get_default(call_default_factory=True)

    assert default == "" or not any(word in name for word in SECRET_WORDS)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """parley.toml is read; PARLEY_* goes before it, an option of the command line before both."""
    (tmp_path / "parley.toml").write_text('port = 9001\nworkers = 3\nsender_number = "+13125550143"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARLEY_WORKERS", "4")
    monkeypatch.setenv("PARLEY_SENDER_NUMBER", "+13125550144")
    found = settings.load(sender_number="+13125550145")

    assert (9001, 4, "+13125550145") == (found.port, found.workers, found.sender_number)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("PARLEY_PORT", "http", "PARLEY_PORT"),
        ("PARLEY_PORT", "70000", "PARLEY_PORT"),
        ("PARLEY_CARRIER", "pigeon", "'simulator' or 'twilio'"),
        ("PARLEY_LEASE_SECONDS", "0", "PARLEY_LEASE_SECONDS"),
        ("PARLEY_WORKERS", "none", "PARLEY_WORKERS"),
        ("PARLEY_DEMO", "perhaps", "PARLEY_DEMO"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence begins with the setting's name and says what is wanted."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        settings.load()

    assert str(caught.value).startswith(name)
    assert words in str(caught.value)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several Rasas, several words."""
    monkeypatch.setenv("PARLEY_RASA_URL", "http://a:5005, http://b:5005")
    monkeypatch.setenv("PARLEY_CARRIER_WORDS", "stop,end")
    found = settings.load()

    assert ["http://a:5005", "http://b:5005"] == found.rasa_url
    assert ["STOP", "END"] == found.carrier_keyword_policy()[0]


def test_a_plain_twilio_number_blocks_by_itself() -> None:
    """What the carrier does on its own follows from the number's kind; the simulator's does nothing."""
    twilio = Settings(carrier="twilio", sender_kind="long_code").carrier_keyword_policy()
    simulator = Settings().carrier_keyword_policy()

    assert (list(settings.TWILIO_STOP_WORDS), True) == twilio
    assert ([], False) == simulator


@pytest.mark.parametrize(
    "number, kind, words",
    [("+13125550142", "long_code", True), ("+18885550142", "toll_free", True), ("711711", "short_code", False)],
)
def test_a_twilio_number_is_what_it_looks_like(number: str, kind: str, words: bool) -> None:
    """Nobody has to know that Twilio answers STOP for a long code: unset, the kind follows from the number."""
    found = Settings(carrier="twilio", sender_number=number)

    assert (kind, words) == (found.number_kind, "CANCEL" in found.carrier_keyword_policy()[0])


def test_a_real_carrier_wants_its_credentials(tmp_path: Path) -> None:
    """Nothing is invented for Twilio."""
    with pytest.raises(SettingsError, match="PARLEY_TWILIO_ACCOUNT_SID and PARLEY_TWILIO_AUTH_TOKEN must be set"):
        settings.load_secrets(Settings(carrier="twilio", data_dir=tmp_path))

    assert [] == list(tmp_path.iterdir())


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    """Random, the same after a restart, another in another folder, readable by their owner only."""
    first = settings.load_secrets(Settings(data_dir=tmp_path / "a"))
    again = settings.load_secrets(Settings(data_dir=tmp_path / "a"))
    other = settings.load_secrets(Settings(data_dir=tmp_path / "b"))
    kept = tmp_path / "a" / "secrets.json"

    assert first == again
    assert set() == set(first.model_dump().values()) & set(other.model_dump().values())
    assert 0o600 == stat.S_IMODE(kept.stat().st_mode)
    assert all(len(value) >= 32 for value in json.loads(kept.read_text()).values())


def test_a_secret_from_a_setting_wins(tmp_path: Path) -> None:
    """Several machines share the token they are given; the rest stays as it was made."""
    made = settings.load_secrets(Settings(data_dir=tmp_path))
    given = settings.load_secrets(Settings(data_dir=tmp_path, internal_token="ours"))

    assert Secrets(**{**made.model_dump(), "internal_token": "ours"}) == given


def test_documents_name_only_settings_that_exist() -> None:
    """A setting that was renamed is renamed in what people read."""
    names = {f"PARLEY_{name.upper()}" for name in Settings.model_fields}
    inner = {"PARLEY_CRASH_AT", "PARLEY_TEST"}
    for path in [*settings.ROOT.glob("*.md"), *(settings.ROOT / "docs").rglob("*.md")]:
        said = set(re.findall(r"\bPARLEY_[A-Z_]+[A-Z]\b", path.read_text()))

        assert set() == said - names - inner, path
