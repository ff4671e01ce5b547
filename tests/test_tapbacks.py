"""A reaction that a phone put into words is told from a text somebody wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.outreach import tapbacks
from bot.text import clean

SAID = "Confirmed: Your booking at Elm Street on Fri Nov 27 at 2:00 PM. Reply STOP to opt-out."

TAPBACKS = [
    # iPhones, with curly quotes and as carriers flatten them
    *(f"{deed} “{SAID}”" for deed in ("Loved", "Liked", "Disliked", "Laughed at", "Emphasized", "Questioned")),
    f'Loved "{SAID}"',
    f'Liked "{SAID}" ',
    "Emphasised “See you then”",
    "Removed a heart from “See you then”",
    "Removed a like from “See you then”",
    "Removed an exclamation from “See you then”",
    "Removed a question mark from “See you then”",
    "Loved an image",
    "Laughed at a movie",
    "Questioned an attachment",
    # any emoji, from iOS 18 on
    "Reacted 😂 to “See you then”",
    'Reacted ❤️ to "See you then"',
    "Reacted 👨‍👩‍👧 to “See you then”",
    "Reacted 👍🏽 to an image",
    "Removed 😂 from “See you then”",
    # Google Messages, whose pieces are parted by marks without width
    '👍 to "See you then"',
    "👍 to “See you then”",
    "\u200b❤️\u200b to “\u200aSee you then\u200a”",
    "‼️ to “See you then”",
    # Spanish
    "Le encantó “Nos vemos”",
    "Le gustó “Nos vemos”",
    "Le dio risa “Nos vemos”",
    "Exclamó por “Nos vemos”",
    "Dudó sobre «Nos vemos»",
    "Reaccionó con 😂 a “Nos vemos”",
    "Le encantó una imagen",
    # what is quoted is cut, of several lines, or quotes something itself
    "Loved “Confirmed: Your booking at Elm Street…”",
    "Loved “Confirmed: Your booking at Elm Street…",
    'Liked "Confirmed: Your booking at Elm...',
    "Liked “1 Tue Dec 1 3:00 PM\n2 Tue Dec 1 3:45 PM\nReply 1 or 2.”",
    "Liked “Reply “YES” to confirm”",
    'Liked "Reply "YES" to confirm"',
    "Liked “Reply “YES…”",
    # keywords inside are the shop's
    "Loved “STOP”",
    "Disliked “Reply STOP to opt out.”",
    "👍 to “HELP”",
]
WRITTEN = [
    "Loved it",
    "Loved the dress",
    "Liked “See you then” but can we make it 4?",
    "Loved “the red dress” and “the blue one”",
    'Loved "the red dress" and "the blue one"',
    'Loved "the red dress". STOP',
    "Loved “the red dress”\nalso please cancel my booking",
    "“See you then”",
    "👍",
    "👍 to that",
    "👍 to Friday at 3",
    "thanks! Loved “See you then”",
    "Reacted badly to “the cream”",
    "Removed the label from “the box”",
    "Liked an image of yours, is it in stock",
    "Loved an imagery",
    "Questioned “",
    "Loved “the red dress",
    "liked",
    "Le encantó el vestido",
    "Le encantó “el vestido” pero es grande",
    "I loved “the red dress”",
    "2 to “See you then”",
    "STOP",
    "",
]


@pytest.mark.parametrize("body", TAPBACKS)
def test_a_reaction_in_words_is_a_tapback(body: str) -> None:
    """In every form phones send, whole or cut, in English and in Spanish."""
    assert tapbacks.is_tapback(body)
    assert tapbacks.is_tapback(clean(body))


@pytest.mark.parametrize("body", WRITTEN)
def test_a_text_with_words_of_its_own_is_none(body: str) -> None:
    """What somebody wrote is read, however it begins."""
    assert not tapbacks.is_tapback(body)


@given(st.text(max_size=60))
def test_words_after_the_quoted_ones_make_it_a_text(words: str) -> None:
    """Whatever was quoted, a letter or a number after the closing mark is the writer's own."""
    assert not tapbacks.is_tapback(f"Loved “{words.replace('“', '').replace('”', '')}” x")


@given(st.text(max_size=400))
def test_no_text_is_too_strange_to_be_looked_at(body: str) -> None:
    """Any text gets an answer, and white space around it changes nothing."""
    assert tapbacks.is_tapback(body) == tapbacks.is_tapback(f"  {body} ")
