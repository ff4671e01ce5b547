"""How well texts are read: a floor under the accuracy on held-out texts, and readings that must never be wrong."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.running import Actions, Rasa

#: About three points below what was measured when these were last changed: 92.4 % right, 3.7 % asked back,
#: 5.3 % acted on wrongly, of 751 texts.
RIGHT, ASKED_BACK, ACTED_WRONGLY = 0.895, 0.065, 0.08
#: No single intent may be left behind; the small ones have a dozen texts.
RIGHT_EACH = 0.55

HELD_OUT: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "heldout.yml").read_text())


def test_held_out_texts_are_read_well(rasa: Rasa, actions: Actions) -> None:
    """Most texts are read right, few are asked back, fewer are acted on wrongly, and no intent is left behind."""
    read = [(intent, text, rasa.turn(text)["reading"]) for intent, texts in HELD_OUT.items() for text in texts]
    wrong = [f"{intent} as {got['intent']}: {text}" for intent, text, got in read if got["intent"] != intent]
    each: dict[str, list[bool]] = defaultdict(list)
    for intent, _, got in read:
        each[intent].append(got["intent"] == intent)
    acted = sum(got["intent"] != intent and not got["unclear"] for intent, _, got in read)

    assert 1 - len(wrong) / len(read) >= RIGHT, "\n".join(wrong)
    assert sum(got["unclear"] for _, _, got in read) / len(read) <= ASKED_BACK
    assert acted / len(read) <= ACTED_WRONGLY, "\n".join(wrong)
    assert {name: hits for name, hits in each.items() if sum(hits) / len(hits) < RIGHT_EACH} == {}


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("We must STOP this", "out_of_scope"),
        ("stop by at 5?", "ask_hours"),
        ("please take me off your list, wrong person", "opt_out"),
        ("I do not want any more of these texts", "opt_out"),
        ("cancel my order", "cancel_order"),
        ("cancel my appointment", "cancel_booking"),
        ("I don't want to cancel", "deny"),
        ("don't cancel my appointment", "deny"),
        ("can u move my fri appt to next tues after 3", "reschedule_booking"),
        ("no, thursday", "give_time"),
        ("actually make it 4", "give_time"),
        ("the 2pm one", "give_time"),
        ("yes please", "affirm"),
        ("👍", "affirm"),
        ("where is my order", "order_status"),
        ("it says delivered but it's not here", "order_status"),
        ("let me talk to a person", "ask_human"),
        ("4", "give_rating"),
        ("5 stars, thank you", "give_rating"),
    ],
)
def test_these_are_never_misread(rasa: Rasa, actions: Actions, text: str, intent: str) -> None:
    """Borders between intents where a wrong reading costs a booking, an order or a consent."""
    reading = rasa.turn(text)["reading"]

    assert (intent, False) == (reading["intent"], reading["unclear"])


@pytest.mark.parametrize(
    "text", ["asdf qwer", "purple monkey dishwasher lamp", "hjkl fgh", "colorless ideas sleep", "???"]
)
def test_gibberish_is_not_acted_on(rasa: Rasa, actions: Actions, text: str) -> None:
    """What means nothing is asked back or said to be out of scope, never taken for a wish."""
    reading: dict[str, Any] = rasa.turn(text)["reading"]

    assert reading["unclear"] or reading["intent"] == "out_of_scope"
