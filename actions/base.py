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
    """The numbered choice we wait for, if any: `offered` starts per option, `affirmative` options change something."""

    kind: str
    booking_id: UUID | None
    offered: Sequence[datetime | None]
    affirmative: Sequence[int]
    reminder: str


@dataclass(frozen=True)
class Turn:
    """What an action knows: the text and its reading, and the context the engine sent along (see bot.conversation)."""

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
        entities=message.get("entities", []),
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
    )


def _open(asked: dict[str, Any]) -> Open:
    return Open(
        kind=asked["kind"],
        booking_id=UUID(asked["booking_id"]) if asked["booking_id"] else None,
        offered=[datetime.fromisoformat(start) if start else None for start in asked["offered"]],
        affirmative=asked["affirmative"],
        reminder=asked["reminder"],
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
