"""How commands find the running engine and speak to it, as a carrier does; nothing here touches its database.

`up` leaves a note in the data folder: where it listens, and which processes are its. It holds no secret but is private
all the same, and it is gone after a clean stop.
"""

import json
import os
from pathlib import Path
from typing import Any

import httpx
from twilio.request_validator import RequestValidator

from bot.carriers.simulator import phone_text
from bot.errors import BotError
from bot.settings import Secrets, Settings, load_secrets

WEBHOOK = "/webhooks/twilio/sms"


# -- the note ------------------------------------------------------------------------------------------------------


def publish(settings: Settings, children: dict[str, int | None]) -> None:
    """Say where this engine listens and which processes it runs, by name."""
    write_private(
        _note(settings),
        {
            "pid": os.getpid(),
            "port": settings.port,
            "base_url": settings.base_url,
            "sender_number": settings.sender_number,
            "account_sid": settings.twilio_account_sid,
            "rasa_urls": settings.rasa_url,
            "children": children,
        },
    )


def withdraw(settings: Settings) -> None:
    """This engine has stopped."""
    _note(settings).unlink(missing_ok=True)


def was_running(settings: Settings) -> bool:
    """Whether an engine of this data folder runs, or was killed before it could say that it stopped."""
    return _note(settings).exists()


def rasa_urls(settings: Settings) -> list[str]:
    """Where the Rasas are that `up` started for this data folder; none where no engine runs."""
    found: list[str] = _read_note(settings).get("rasa_urls", [])
    return found


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file in one step, readable by its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=1)
    draft.replace(path)


def _note(settings: Settings) -> Path:
    return settings.data_dir / "engine.json"


def _read_note(settings: Settings) -> dict[str, Any]:
    note = _note(settings)
    found: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {}
    return found


# -- the engine ----------------------------------------------------------------------------------------------------


class Client:
    """Texts the engine through its signed webhook and asks what became of it."""

    def __init__(self, settings: Settings, secrets: Secrets, note: dict[str, Any]) -> None:
        self._port = int(note.get("port", settings.port))
        self._base_url = str(note.get("base_url", settings.base_url))
        self._account_sid = str(note.get("account_sid") or settings.twilio_account_sid)
        self._validator = RequestValidator(secrets.twilio_auth_token)
        self.sender_number = str(note.get("sender_number", settings.sender_number))
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}",
            headers={"Authorization": f"Bearer {secrets.internal_token}"},
            timeout=httpx.Timeout(30.0),
            trust_env=False,  # a proxy has no business between two processes of one machine
        )

    def text(self, body: str, sender: str, recipient: str) -> str:
        """One inbound text; the carrier's id of it. Raises BotError where it is refused or nobody listens."""
        form = phone_text(sender, recipient, body, self._account_sid)
        signature = self._validator.compute_signature(self._base_url + WEBHOOK, form)
        response = self._ask("POST", WEBHOOK, data=form, headers={"X-Twilio-Signature": signature})
        if response.status_code == httpx.codes.FORBIDDEN:
            raise BotError(
                "the engine refused the signature: --data-dir and PARLEY_PUBLIC_URL must be those it was started with"
            )
        if response.status_code != httpx.codes.OK:
            raise BotError(f"the engine refused the text (HTTP {response.status_code})")
        return form["MessageSid"]

    def turn(self, carrier_id: str, wait_seconds: float) -> dict[str, Any]:
        """What became of a text, as soon as it is settled or the time is over (then its decision is None)."""
        # The engine waits; the margin is for its answer to come back.
        response = self._ask(
            "GET", f"/internal/turns/{carrier_id}", params={"wait": wait_seconds}, timeout=wait_seconds + 10
        )
        found: dict[str, Any] = _json(response)
        return found

    def messages(self, phone: str, after: int) -> list[dict[str, Any]]:
        """A contact's messages after the one numbered `after`, oldest first: seq, author, body."""
        response = self._ask("GET", "/internal/messages", params={"phone": phone, "after": after})
        found: list[dict[str, Any]] = _json(response)["messages"]
        return found

    def missing(self) -> list[str]:
        """What keeps a text from being answered. Raises BotError where nobody listens."""
        response = self._ask("GET", "/readyz")
        return [] if response.status_code == httpx.codes.OK else list(response.json()["missing"])

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **more)
        except httpx.TimeoutException as exc:
            raise BotError(f"the engine on port {self._port} does not answer; its log web.log may say why") from exc
        except httpx.HTTPError as exc:
            raise BotError(
                f"no engine answers on port {self._port}; start one with ./parley up, or name its --port"
            ) from exc


def connect(settings: Settings, port: int | None) -> Client:
    """The engine of this data folder; `port` where the command line or the environment names one.

    Raises BotError where the folder belongs to no engine.
    """
    if not (settings.data_dir / "secrets.json").exists() and not settings.internal_token:
        raise BotError(f"{settings.data_dir} belongs to no engine; start one with ./parley up, or name its --data-dir")
    note = _read_note(settings)
    if port is not None and note.get("port") != port:
        note = {}  # another engine's, or one that was killed and started elsewhere
    return Client(settings, load_secrets(settings), note)


def _json(response: httpx.Response) -> Any:
    if response.status_code == httpx.codes.FORBIDDEN:
        raise BotError("the engine refused the internal token: --data-dir must be the one it was started with")
    if response.status_code != httpx.codes.OK:
        raise BotError(f"the engine could not say (HTTP {response.status_code}); its log web.log may say why")
    return response.json()
