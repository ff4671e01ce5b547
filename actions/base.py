"""What every action is: facts of the turn in, values out; the engine carries them out when the turn is committed."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher
from sqlalchemy.ext.asyncio import AsyncSession

from bot.db import Database
from bot.shop.slots import Wish
from bot.values import Say, Value


@dataclass(frozen=True)
class Open:
    """The question of the dialogue we wait for: `offered` starts per option, `affirmative` options change something.

    `intent` and `slots` are the request it belongs to and what is known of that so far.
    """

    kind: str
    booking_id: UUID | None
    offered: Sequence[datetime | None]
    affirmative: Sequence[int]
    reminder: str
    intent: str | None
    slots: Mapping[str, Any]


@dataclass(frozen=True)
class Turn:
    """What an action knows: the text and its reading, and the context the engine sent along (see bot.conversation).

    `settled` is what was just answered or chosen and holds whatever the text says; `filled` adds what was told before.
    `entities` are Rasa's and what the engine found named in the text (product, service, location, staff, preference:
    each by its key). `waiting` is what the shop has asked: kind (survey, contest, preference, booking) to payload.
    """

    text: str
    intent: str
    confidence: float
    ranking: Sequence[tuple[str, float]]
    entities: Sequence[dict[str, Any]]
    slots: Mapping[str, Any]
    contact_id: UUID
    now: datetime
    zone: ZoneInfo
    wishes: Sequence[Wish]
    unclear: int
    out_of_scope: int
    open: Open | None
    gone: bool
    chosen: str | None
    settled: Mapping[str, Any]
    filled: Mapping[str, Any]
    waiting: Mapping[str, dict[str, Any]]

    def detail(self, name: str) -> str | None:
        """A detail of the request: just answered, else named in this text, else told before."""
        told = self.settled.get(name) or self.entity(name) or self.filled.get(name)
        return str(told) if told is not None else None

    def entity(self, name: str) -> str | None:
        """The first entity of this name in the text."""
        return next((str(item["value"]) for item in self.entities if item["entity"] == name), None)


def turn_of(tracker: Tracker) -> Turn:
    """The turn in Rasa's tracker. Raises KeyError where the engine's context is missing."""
    message = tracker.latest_message
    context = message["metadata"]
    now = datetime.fromisoformat(context["now"])
    asked = context["open"]
    return Turn(
        text=message.get("text") or "",
        intent=message["intent"]["name"],
        confidence=float(message["intent"]["confidence"]),
        ranking=[(item["name"], float(item["confidence"])) for item in message.get("intent_ranking", [])],
        entities=[*message.get("entities", []), *context["mentions"]],
        slots=tracker.slots,
        contact_id=UUID(context["contact_id"]),
        now=now,
        zone=ZoneInfo(context["zone"]),
        wishes=[Wish.of(item, now) for item in context["times"]],
        unclear=int(context["unclear"]),
        out_of_scope=int(context["out_of_scope"]),
        open=_open(asked) if asked is not None else None,
        gone=bool(context["gone"]),
        chosen=context["chosen"],
        settled=context["filled"],
        filled={**_known_before(asked, message["intent"]["name"]), **context["filled"]},
        waiting=context["waiting"],
    )


def _known_before(asked: dict[str, Any] | None, intent: str) -> dict[str, Any]:
    """What the open question's request knows, where this text is about the same request."""
    if asked is None or intent not in (asked["intent"], "give_time", "affirm", "deny"):
        return {}
    return dict(asked["slots"])


def _open(asked: dict[str, Any]) -> Open:
    return Open(
        kind=asked["kind"],
        booking_id=UUID(asked["booking_id"]) if asked["booking_id"] else None,
        offered=[datetime.fromisoformat(start) if start else None for start in asked["offered"]],
        affirmative=asked["affirmative"],
        reminder=asked["reminder"],
        intent=asked["intent"],
        slots=asked["slots"],
    )


class ShopAction(Action, abc.ABC):  # type: ignore[misc]  # rasa-sdk ships no types
    """An action of the shop; a subclass has a name and decides."""

    called: ClassVar[str]

    def __init__(self, db: Database) -> None:
        self._db = db

    def name(self) -> str:
        """As domain.yml knows it."""
        return self.called

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Any) -> list[dict[str, Any]]:
        """Decide in one read-only look at the shop, and utter what was decided."""
        turn = turn_of(tracker)
        async with self._db.begin() as session:
            values = await self.decide(turn, session)
        for value in values:
            if isinstance(value, Say):
                dispatcher.utter_message(text=value.text)
            else:
                dispatcher.utter_message(json_message=value.payload())
        return []

    @abc.abstractmethod
    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The values this turn comes to."""
