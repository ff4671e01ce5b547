"""Asks Rasa for one turn, text and state in, replies and reading out; the only file that knows its URLs and JSON.

It never changes a text, keeps no conversation, and shows nobody above it an httpx exception.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.errors import RasaRefused, RasaUnavailable
from bot.values import Say, Value, parse_value

#: Asking whether Rasa is there must not take as long as a reading may.
READY_SECONDS = 2.0
#: A reading that stands in for another one must be more likely than not.
HALF = 0.5


class _Wire(BaseModel):
    # Errors of these models reach logs; what they were given is the contact's.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Guess(_Wire):
    """One intent a text may have, with the model's confidence from 0 to 1."""

    name: str
    confidence: float


class Entity(_Wire):
    """Something named in the text; `start` and `end` count characters of it."""

    entity: str
    value: Any
    start: int
    end: int


class Reading(_Wire):
    """How a text was read: always the best intent, also where `unclear` says that it is not good enough to act on.

    `intent` is None only for a text with nothing to read in it; `ranking` is best first.
    """

    intent: str | None
    confidence: float
    ranking: list[Guess]
    entities: list[Entity]
    unclear: bool

    def likely(self, intent: str) -> float:
        """How surely the text means `intent`, 0 to 1, whatever it means most likely."""
        return next((guess.confidence for guess in self.ranking if guess.name == intent), 0.0)

    def without(self, intent: str) -> Self:
        """The reading where `intent` is known not to be meant: the others share what it had."""
        left = 1.0 - self.likely(intent)
        others = [
            Guess(name=guess.name, confidence=guess.confidence / left if left > 0 else 0.0)
            for guess in self.ranking
            if guess.name != intent
        ]
        best = others[0] if others else Guess(name="out_of_scope", confidence=0.0)
        return self.model_copy(
            update={
                "intent": best.name,
                "confidence": best.confidence,
                "ranking": others,
                "unclear": best.confidence < HALF,
            }
        )


@dataclass(frozen=True)
class RasaTurn:
    """One turn as Rasa answered it; `state` is opaque and goes back with the next turn, `ms` says where time went."""

    replies: Sequence[Value]
    reading: Reading
    state: dict[str, Any]
    ms: dict[str, float]


class RasaClient:
    """Rasa behind one or more addresses, taken in turns; any of them answers any conversation."""

    def __init__(self, urls: Sequence[str], token: str, timeout_s: float, http: httpx.AsyncClient) -> None:
        """`urls` are base addresses, `timeout_s` is the limit of one asking, in seconds; `http` stays the caller's."""
        self._urls = [url.rstrip("/") for url in urls]
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._timeout_s = timeout_s
        self._http = http
        self._next = 0

    def use(self, urls: Sequence[str]) -> None:
        """Ask these addresses from the next question on; one that was asked already is answered where it went."""
        self._urls = [url.rstrip("/") for url in urls]

    async def turn(
        self,
        sender: UUID,
        text: str,
        state: Mapping[str, Any] | None,
        context: Mapping[str, Any],
        intent: str | None = None,
    ) -> RasaTurn:
        """One turn of conversation `sender`; pure, so it may be asked again.

        `state` is what the turn before gave, None for a fresh conversation; `context` is JSON for the actions;
        `intent` is taken as read instead of the text's own. Raises RasaUnavailable when no address gave an answer,
        RasaRefused when the request or the answer was not as agreed.
        """
        question = {"sender": str(sender), "text": text, "intent": intent, "context": context, "state": state}
        response, spent_ms = await self._post("turn", question)
        return _read(response, spent_ms)

    async def read(self, texts: Sequence[str]) -> list[Reading]:
        """How each text reads by itself, in their order; nothing is decided. Raises as `turn` does."""
        response, _ = await self._post("read", {"texts": list(texts)})
        try:
            return [Reading.model_validate(item) for item in response.json()["readings"]]
        except (ValueError, KeyError, TypeError) as error:
            raise RasaRefused(f"Rasa's answer is not as agreed: {type(error).__name__}") from None

    async def _post(self, route: str, question: Mapping[str, Any]) -> tuple[httpx.Response, float]:
        """The first usable answer of any address, and its milliseconds."""
        # Escaped to ASCII: half an emoji is legal in a text, and no UTF-8.
        body = json.dumps(question).encode("ascii")
        trouble = "no address is set"
        for url in self._in_turns():
            started = time.perf_counter()
            try:
                response = await self._http.post(
                    f"{url}/webhooks/parley/{route}", content=body, headers=self._headers, timeout=self._timeout_s
                )
            except httpx.RequestError as error:
                trouble = type(error).__name__
                continue
            if response.status_code >= 500:
                trouble = _reason(response)
                continue
            if response.status_code != 200:
                raise RasaRefused(f"Rasa refused the {route}: {response.status_code} {_reason(response)}")
            return response, (time.perf_counter() - started) * 1000
        raise RasaUnavailable(f"Rasa gave no answer: {trouble}")

    async def ready(self) -> bool:
        """True when at least one address would answer a turn now."""
        for url in self._in_turns():
            try:
                response = await self._http.get(f"{url}/webhooks/parley/health", timeout=READY_SECONDS)
            except httpx.RequestError:
                continue
            if response.status_code == 200:
                return True
        return False

    async def listening(self) -> bool:
        """True when at least one address answers at all, be it that it has no model to read with."""
        for url in self._in_turns():
            try:
                await self._http.get(f"{url}/webhooks/parley/health", timeout=READY_SECONDS)
            except httpx.RequestError:
                continue
            return True
        return False

    async def model(self) -> str | None:
        """The file name of the model the first address that answers reads with, None where none says."""
        for url in self._in_turns():
            try:
                response = await self._http.get(f"{url}/webhooks/parley/health", timeout=READY_SECONDS)
                named = response.json().get("model")
            except (httpx.RequestError, ValueError, AttributeError):
                continue
            if named:
                return str(named)
        return None

    def _in_turns(self) -> list[str]:
        first = self._next % max(len(self._urls), 1)
        self._next = first + 1
        return self._urls[first:] + self._urls[:first]


async def model_names(urls: Sequence[str]) -> set[str]:
    """The file names of the models these addresses read with; those that do not answer are left out."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return {name for url in urls if (name := await RasaClient([url], "", READY_SECONDS, http).model()) is not None}


def _read(response: httpx.Response, round_trip_ms: float) -> RasaTurn:
    try:
        answer = response.json()
        return RasaTurn(
            replies=[_value(item) for item in answer["replies"]],
            reading=Reading.model_validate(answer["reading"]),
            state=dict(answer["state"]),
            ms={**answer["ms"], "round_trip": round(round_trip_ms, 2)},
        )
    except ValidationError as error:
        raise RasaRefused(f"an action's value is not as agreed: {_places(error)}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RasaRefused(f"Rasa's answer is not as agreed: {type(error).__name__}") from None


def _value(item: dict[str, Any]) -> Value:
    return Say(text=item["text"]) if "text" in item else parse_value(item["custom"])


def _places(error: ValidationError) -> str:
    """Where a value is wrong, without what stood there."""
    return ", ".join(".".join(str(part) for part in each["loc"]) + " " + each["type"] for each in error.errors())


def _reason(response: httpx.Response) -> str:
    """Rasa's own word for a failure; its channel puts no customer text there."""
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return str(response.status_code)
