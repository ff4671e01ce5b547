"""The dialogue state travels with the turn: it comes in with the request and goes back with the answer.

Nothing is kept between turns, and nothing of what was texted goes into the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.constants import ACTION_LISTEN_NAME, DEFAULT_SLOT_NAMES, REQUESTED_SLOT
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, ActiveLoop, Event, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import RasaException

#: Raised when the shape below changes; a state of another shape is read for its slots alone.
VERSION = 1


class OutsideTurn(RasaException):
    """The store was asked for a conversation while no turn was under way; there is nowhere else to look."""


@dataclass
class Turn:
    """One turn under way: the state that came in, the tracker that came of it, and the actions that failed."""

    state: dict[str, Any] | None
    tracker: DialogueStateTracker | None = None
    failed: list[str] = field(default_factory=list)


#: The turn of the request being answered; every request has its own.
under_way: ContextVar[Turn] = ContextVar("parley_turn_under_way")


def this_turn() -> Turn:
    """The turn under way. Raises OutsideTurn where there is none."""
    turn = under_way.get(None)
    if turn is None:
        raise OutsideTurn("the dialogue state is only known during a turn asked for through the parley channel")
    return turn


class TurnStore(TrackerStore):
    """Reads the tracker from the request's state and leaves the new one with the turn."""

    async def retrieve(self, sender_id: str) -> DialogueStateTracker:
        """The conversation as the request told it. Raises OutsideTurn."""
        return restore(sender_id, this_turn().state or {}, self.domain)

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Leave the tracker with the turn. Raises OutsideTurn."""
        this_turn().tracker = tracker

    async def keys(self) -> Iterable[str]:
        """No conversation is kept here."""
        return []


# -- state in and out ----------------------------------------------------------------------------------------------


def trim(tracker: DialogueStateTracker) -> dict[str, Any]:
    """What the next turn needs of this one: filled slots, the active form, and the last turn's intent and actions.

    Rules look back over one turn at most. Texts, bot replies, metadata and times are left out: the engine has them,
    and without them the same turn gives the same state.
    """
    return {
        "version": VERSION,
        "slots": {
            name: slot.value
            for name, slot in tracker.slots.items()
            if slot.value != slot.initial_value and (name not in DEFAULT_SLOT_NAMES or name == REQUESTED_SLOT)
        },
        "form": tracker.active_loop.name if tracker.active_loop else None,
        "last": _last_turn(tracker),
    }


def _last_turn(tracker: DialogueStateTracker) -> dict[str, Any] | None:
    actions: list[str] = []
    for event in reversed(tracker.applied_events()):
        if isinstance(event, ActionExecuted) and event.action_name:
            actions.insert(0, event.action_name)
        if isinstance(event, UserUttered):
            entities = [{"entity": each["entity"], "value": each["value"]} for each in event.entities]
            return {"intent": event.intent_name, "entities": entities, "actions": actions}
    return None


def restore(sender_id: str, state: dict[str, Any], domain: Domain) -> DialogueStateTracker:
    """The tracker a state stands for; an empty state is a fresh conversation.

    A state may come from an older model or an older shape: slots this model has are kept, the rest is left behind.
    The tracker is never without a turn that ended in listening: Rasa would start a session of its own, which copies the
    turn's context into a slot, and would not take the text as the next thing to answer.
    """
    known = {slot.name for slot in domain.slots}
    of_this_shape = state.get("version") == VERSION
    last = _replay(_dict(state.get("last")), domain) if of_this_shape else []
    memory: list[Event] = last or [ActionExecuted(ACTION_LISTEN_NAME)]
    if of_this_shape and state.get("form") in domain.form_names:
        memory.append(ActiveLoop(state["form"]))
    memory += [SlotSet(name, value) for name, value in _dict(state.get("slots")).items() if name in known]
    return DialogueStateTracker.from_events(sender_id, memory, domain.slots, domain=domain)


def _replay(last: dict[str, Any], domain: Domain) -> list[Event]:
    """The last turn's events, or none at all when this model lacks one of its names: half a turn would mislead."""
    intent, actions, entities = last.get("intent"), last.get("actions"), last.get("entities")
    if intent not in domain.intents or not isinstance(actions, list) or not isinstance(entities, list):
        return []
    if actions[-1:] != [ACTION_LISTEN_NAME] or any(name not in domain.action_names_or_texts for name in actions):
        return []
    known = [each for each in map(_dict, entities) if each.get("entity") in domain.entities and "value" in each]
    return [
        ActionExecuted(ACTION_LISTEN_NAME),
        UserUttered(intent={"name": intent}, entities=known),
        *(ActionExecuted(name) for name in actions),
    ]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
