"""Every setting there is, in one typed table: environment `PARLEY_*` first, then `parley.toml`, then the default here.

Secrets have no default with a real carrier; with the simulator they are random and kept in the data folder.
"""

import json
import os
import re
import secrets as random
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bot.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What an operator may set. Field names are the environment names without `PARLEY_`, in lower case."""

    model_config = SettingsConfigDict(env_prefix="PARLEY_", toml_file="parley.toml", extra="ignore", frozen=True)

    port: int = Field(8080, ge=1, le=65535, description="Port of pages and webhooks.")
    host: str = Field("127.0.0.1", description="Address the web process listens on; 0.0.0.0 behind a proxy.")
    data_dir: Path = Field(Path(".parley"), description="Databases, media, logs and secrets of this engine.")
    public_url: str = Field("", description="The https address the carrier calls; signatures are checked against it.")

    database_url: str = Field("", description="PostgreSQL of your own, application role; empty runs the embedded one.")
    database_owner_url: str = Field("", description="The same database, the role that owns the tables and migrates.")
    redis_url: str = Field("", description="Redis or Valkey of your own; empty runs the embedded one.")
    rasa_url: Annotated[list[str], NoDecode] = Field(
        default_factory=list, description="Rasa addresses of your own, comma separated; empty runs one here."
    )
    rasa_site: str = Field("", description="Set by `up`: under which name its processes find its Rasas' addresses.")
    actions_url: str = Field("", description="Where Rasa finds the action route; empty is this engine's web process.")
    internal_token: str = Field("", description="Shared by engine and Rasa; made at first start when empty.")

    carrier: Literal["simulator", "twilio"] = Field("simulator", description="Who carries the texts.")
    twilio_account_sid: str = Field("", description="Twilio account SID (AC…).")
    twilio_auth_token: str = Field("", description="Twilio auth token; signs webhooks and authenticates sends.")
    twilio_auth_token_secondary: str = Field("", description="The second auth token while you rotate.")
    twilio_api_url: str = Field("https://api.twilio.com", description="Twilio's API; a stand-in in tests.")

    sender_number: str = Field("+13125550142", description="The shop's default sender number, E.164.")
    sender_kind: Literal["long_code", "toll_free", "short_code", "service"] | None = Field(
        None, description="What kind of number it is, where the number does not tell; decides who answers STOP."
    )
    carrier_words: Annotated[list[str] | None, NoDecode] = Field(
        None, description="Opt-out words the carrier itself acts on for this number, comma separated."
    )
    carrier_answers: bool | None = Field(None, description="Whether the carrier answers STOP, START and HELP itself.")
    parts_per_second: float | None = Field(None, gt=0, description="Pace of the number in parts per second.")

    part_cents: float = Field(
        0.83, ge=0, description="What your carrier bills for one part of a text, in US cents; pages tell costs by it."
    )

    shop_file: Path = Field(ROOT / "shop.yml", description="Brand, hours, locations, services and staff of the shop.")
    examples_dir: Path = Field(ROOT / "data", description="Folder of the training examples the review queue adds to.")
    models_dir: Path = Field(ROOT / "models", description="Folder of the trained models and their reports.")
    heldout_file: Path = Field(
        ROOT / "nlu" / "tests" / "heldout.yml",
        description="Texts by intent a new model is judged on, never trained on.",
    )
    conversations_dir: Path = Field(
        ROOT / "tests" / "conversations", description="Folder of the golden conversations a new model must not break."
    )
    desk_minutes: int = Field(15, ge=1, description="Minutes within which a person usually answers.")
    stop_line_on_every_text: bool = Field(False, description="Add the opt-out line to every text, replies included.")

    workers: int = Field(1, ge=1, le=32, description="Worker processes started by `up`.")
    rasa: int = Field(1, ge=1, le=16, description="Rasa processes started by `up`.")
    demo: bool = Field(True, description="Fill an empty database with the demo shop.")

    lease_seconds: float = Field(60.0, gt=0, description="How long a worker or sender may hold a turn or a send.")
    rasa_timeout_seconds: float = Field(20.0, gt=0, description="How long one reading may take.")
    catchup_seconds: float = Field(
        300.0, gt=0, description="How often the carrier's list is read for texts its webhook did not bring."
    )
    answer_within_hours: float = Field(
        24.0, gt=0, description="A text older than this when it is read goes to a person, who decides what it is worth."
    )
    rasa_patience_seconds: float = Field(
        90.0, ge=0, description="How long a text waits for a Rasa that is down before a person gets it."
    )
    fold_times: int = Field(
        2, ge=0, le=5, description="How often a turn is read again because a further text of the burst came; 0 never."
    )
    clock_offset_seconds: float = Field(
        0.0, description="Run the business clock ahead by this (tests, demonstrations)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level logged.")

    @field_validator("rasa_url", "carrier_words", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where values come from, first wins."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def base_url(self) -> str:
        """The public address without a trailing slash; loopback and port where none is set."""
        return (self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def logs(self) -> Path:
        """Folder of the children's logs."""
        return self.data_dir / "logs"

    @property
    def clock_file(self) -> Path | None:
        """Where the simulator keeps how far its page moved the clock; None with a real carrier, whose clock stands."""
        return self.data_dir / "clock" if self.carrier == "simulator" else None

    @property
    def number_kind(self) -> str:
        """What kind the default number is: as set, else as the number looks; the simulator's is a short code."""
        if self.sender_kind is not None:
            return self.sender_kind
        if self.carrier == "simulator" or not self.sender_number.startswith("+"):
            return "short_code"
        return "toll_free" if TOLL_FREE.match(self.sender_number) else "long_code"

    def carrier_keyword_policy(self) -> tuple[list[str], bool]:
        """The opt-out words the carrier acts on by itself for the default number, and whether it answers them.

        A Twilio long code or toll-free number blocks and answers the default words by itself; a short code outside any
        service does nothing (Twilio, "Advanced Opt-Out" and "Keyword handling for short codes").
        """
        quiet = self.carrier == "simulator" or self.number_kind == "short_code"
        words = self.carrier_words if self.carrier_words is not None else ([] if quiet else list(TWILIO_STOP_WORDS))
        answers = self.carrier_answers if self.carrier_answers is not None else not quiet
        return [word.upper() for word in words], answers


#: North American toll-free prefixes.
TOLL_FREE = re.compile(r"\+18(?:00|33|44|55|66|77|88)")
#: Whole-body opt-out words Twilio acts on by default (twilio.com, Advanced Opt-Out tutorial).
TWILIO_STOP_WORDS = ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")


class Secrets(BaseModel):
    """Random secrets of one engine, made at first start, kept readable by its owner only."""

    model_config = ConfigDict(frozen=True)

    twilio_auth_token: str
    internal_token: str
    session_key: str
    link_key: str
    consent_key: str


def load(**overrides: object) -> Settings:
    """The settings of this process. Raises SettingsError with one sentence per wrong setting."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks each value
    except ValidationError as exc:
        lines = [
            f"PARLEY_{'_'.join(str(part) for part in error['loc']).upper()}: {error['msg']}" for error in exc.errors()
        ]
        raise SettingsError("; ".join(lines)) from exc


def load_secrets(settings: Settings) -> Secrets:
    """The engine's secrets: settings win, then the data folder; missing ones are made and kept there.

    Raises SettingsError where a real carrier is chosen and its credentials are missing.
    """
    if settings.carrier == "twilio" and not (settings.twilio_account_sid and settings.twilio_auth_token):
        raise SettingsError(
            "PARLEY_CARRIER is twilio, so PARLEY_TWILIO_ACCOUNT_SID and PARLEY_TWILIO_AUTH_TOKEN must be set"
        )
    path = settings.data_dir / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    made = {name: kept.get(name) or random.token_urlsafe(32) for name in Secrets.model_fields}
    if made != kept:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(made, file)
        draft.replace(path)
    if settings.twilio_auth_token:
        made["twilio_auth_token"] = settings.twilio_auth_token
    if settings.internal_token:
        made["internal_token"] = settings.internal_token
    return Secrets(**made)


def role_of(database_url: str) -> str:
    """The role a PostgreSQL address logs in as, for grants."""
    from sqlalchemy.engine import make_url

    return make_url(database_url).username or ""


def async_url(database_url: str) -> str:
    """A PostgreSQL address in the form SQLAlchemy wants for psycopg 3."""
    for prefix in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if database_url.startswith(prefix):
            return "postgresql+psycopg://" + database_url.removeprefix(prefix)
    raise SettingsError(f"PARLEY_DATABASE_URL must start with postgresql://, not {quote(database_url.split(':')[0])}")
