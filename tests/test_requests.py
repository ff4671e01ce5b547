"""One text with two requests is told from one request in two sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import requests
from bot.rasa_client import Reading


def reading(intent: str, confidence: float = 0.95) -> Reading:
    """A reading as Rasa gives it, with nothing else in it."""
    return Reading(intent=intent, confidence=confidence, ranking=[], entities=[], unclear=False)


@pytest.mark.parametrize(
    "text, pieces",
    [
        ("where is my order? and move my booking to friday", ["where is my order?", "and move my booking to friday"]),
        ("cancel my booking and also whats your return policy", ["cancel my booking", "whats your return policy"]),
        ("what time do you close and where are you", ["what time do you close", "where are you"]),
        ("rock and roll", ["rock and roll"]),
        ("I want to come at 3 and leave at 4", ["I want to come at 3 and leave at 4"]),
        ("hi\nwhere's 1042", ["hi", "where's 1042"]),
        ("...", []),
    ],
)
def test_a_text_is_cut_where_people_cut(text: str, pieces: list[str]) -> None:
    """Sentence ends, lines, "also" and "and can you"."""
    assert pieces == requests.cut([text])


def test_two_things_are_two_requests_each_with_what_belongs_to_it() -> None:
    """A greeting goes with what follows it, a time with what came before it."""
    pieces = ["hi there", "where is my order?", "move my booking", "friday at 3 is good"]
    readings = [reading("greet"), reading("order_status"), reading("reschedule_booking"), reading("give_time")]

    assert ["hi there where is my order?", "move my booking friday at 3 is good"] == requests.several(pieces, readings)


@pytest.mark.parametrize(
    "intents",
    [
        [("cancel_booking", 0.99), ("reschedule_booking", 0.99)],  # "I can't make it. Can I come thursday?"
        [("order_status", 0.99), ("complain", 0.99)],
        [("order_status", 0.99), ("ask_hours", 0.5)],
        [("order_status", 0.99), ("ask_hours", 0.99), ("order_status", 0.99)],
        [("greet", 0.99), ("thank", 0.99)],
    ],
)
def test_one_thing_said_in_two_sentences_is_one_request(intents: list[tuple[str, float]]) -> None:
    """The same matter, a mood, an unsure piece, back and forth: the text is read as a whole."""
    readings = [reading(*each) for each in intents]

    assert [] == requests.several([f"piece {n}" for n in range(len(readings))], readings)


@given(st.lists(st.text(max_size=80), max_size=4))
def test_cutting_loses_no_word(texts: list[str]) -> None:
    """Whatever is texted, every piece is part of a text and has something in it."""
    for piece in requests.cut(texts):
        assert any(piece in text for text in texts)
        assert piece.strip()
