"""The dialogue state travels with the turn: a turn is a pure function of it, and nothing texted is in it."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rasa.shared.core.domain import Domain

from parley_nlu.store import OutsideTurn, TurnStore
from tests.running import ROOT, Actions, Rasa

TALK = ["hi", "where is order 1042", "when will it get here", "can I move my appointment", "thursday at 3", "thanks"]


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    """All of an answer that must repeat."""
    return {key: value for key, value in answer.items() if key != "ms"}


def slots_told(actions: Actions) -> dict[str, Any]:
    """The slots as the last action saw them."""
    found: dict[str, Any] = actions.calls[-1]["tracker"]["slots"]
    return found


def test_the_same_turn_gives_the_same_answer(rasa: Rasa, actions: Actions) -> None:
    """Any turn of a conversation may be read again from the state before it, with the same outcome."""
    state = None
    for text in TALK:
        once, again = rasa.turn(text, state), rasa.turn(text, state)

        assert without_times(once) == without_times(again)
        state = once["state"]


def test_a_slot_is_remembered_by_the_state_alone(rasa: Rasa, actions: Actions) -> None:
    """The order spoken of stays known with the state, and is forgotten without it."""
    state = rasa.turn("where is order 1042")["state"]
    rasa.turn("when will it get here", state)
    assert slots_told(actions)["order_number"] == "1042"
    rasa.turn("when will it get here")

    assert slots_told(actions)["order_number"] is None


def test_the_state_does_not_grow(rasa: Rasa, actions: Actions) -> None:
    """The hundredth turn costs what the second did."""
    state = rasa.turn("where is order 1042")["state"]
    first = len(json.dumps(state))
    for _ in range(10):
        for text in TALK:
            state = rasa.turn(text, state)["state"]

    assert len(json.dumps(state)) <= first + 40


def test_nothing_texted_is_in_the_state(rasa: Rasa, actions: Actions) -> None:
    """Only intents, entities' values, actions and slots travel; no words, no context, no reply."""
    actions.answer = lambda call: (200, {"events": [], "responses": [{"text": "replywordquux"}]})
    answer = rasa.turn("textwordquux where is order 1042", context={"now": "contextwordquux"})

    assert "quux" not in json.dumps(answer["state"])
    assert {"version", "slots", "form", "last"} == set(answer["state"])


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"version": 99, "slots": {"order_number": "1042", "gone": 1}},
        {"version": 1, "slots": [], "form": 3, "last": "x"},
        {"version": 1, "slots": {"order_number": "1042"}, "form": "gone_form", "last": {"intent": "gone"}},
        {"version": 1, "last": {"intent": "greet", "actions": ["action_gone"], "entities": []}},
        {
            "version": 1,
            "last": {"intent": "greet", "actions": ["action_greet"], "entities": [None, {"entity": "gone"}]},
        },
        {"anything": {"else": [1, 2, 3]}},
    ],
)
def test_a_state_of_another_shape_is_tolerated(rasa: Rasa, actions: Actions, state: dict[str, Any]) -> None:
    """A state of an older model or version loses what this model does not know, never the turn."""
    answer = rasa.turn("when will my order get here", state)

    assert answer["replies"] == [{"text": "action_order_status"}]
    kept = state.get("slots")
    assert (kept["order_number"] if isinstance(kept, dict) else None) == slots_told(actions)["order_number"]


def test_turns_at_the_same_time_do_not_mix(rasa: Rasa, actions: Actions) -> None:
    """Each of many turns under way at once keeps its own state."""
    numbers = [str(3000 + index) for index in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: rasa.turn(f"where is order {number}"), numbers))

    assert numbers == [answer["state"]["slots"]["order_number"] for answer in answers]


def test_there_is_nowhere_else_to_look() -> None:
    """Outside a turn the store knows no conversation and says so."""
    store = TurnStore(Domain.load(str(ROOT / "domain.yml")))
    with pytest.raises(OutsideTurn):
        asyncio.run(store.retrieve("someone"))

    assert list(asyncio.run(store.keys())) == []
