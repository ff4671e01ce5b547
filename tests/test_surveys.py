"""Ratings as people text them, and what they lead to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.outreach import surveys
from bot.values import HandOver, RecordRating


@pytest.mark.parametrize(
    "text, score, comment",
    [
        ("5", 5, None),
        ("5!", 5, None),
        (" 4. ", 4, None),
        ("four", 4, None),
        ("Five stars", 5, None),
        ("5 stars!!", 5, None),
        ("4/5", 4, None),
        ("4 out of 5", 4, None),
        ("a 3", 3, None),
        ("I'd give it a 4", 4, None),
        ("I’d say 4", 4, None),
        ("definitely a 5", 5, None),
        ("⭐⭐⭐⭐", 4, None),
        ("★★★ was ok", 3, "was ok"),
        ("***", 3, None),
        ("4 but shipping was slow", 4, "but shipping was slow"),
        ("1, never again", 1, "never again"),
        ("2 - the box was open", 2, "the box was open"),
        ("5 love them", 5, "love them"),
        ("３", 3, None),
    ],
)
def test_a_rating_is_read_with_its_comment(text: str, score: int, comment: str | None) -> None:
    """Digits, words, fractions and stars, at the start of the text."""
    assert surveys.RatingReading(score, comment) == surveys.read_rating(text, 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "great",
        "0",
        "6",
        "7/10",
        "10/10",
        "4.5",
        "3pm",
        "4 days late",
        "2 weeks ago",
        "4:30",
        "4th of july",
        "where is my order 1042",
        "i ordered 2 of them",
        "2024",
        "can I come at 3",
        "100%",
        "5 pairs please",
        "👍",
    ],
)
def test_other_numbers_are_no_rating(text: str) -> None:
    """A time, an amount, another scale or no figure at all is left to be read."""
    assert surveys.read_rating(text, 5) is None


@pytest.mark.parametrize("text, score", [("0", 0), ("10", 10), ("10/10", 10), ("ten", 10), ("7", 7)])
def test_net_promoter_scores_go_from_zero_to_ten(text: str, score: int) -> None:
    """The other scale has a zero."""
    assert surveys.RatingReading(score, None) == surveys.read_rating(text, 10)


@given(st.text(max_size=200))
def test_any_text_is_read_or_left(text: str) -> None:
    """No text breaks the reading, and what is read lies on the scale."""
    reading = surveys.read_rating(text, 5)

    assert reading is None or 1 <= reading.score <= 5


@pytest.mark.parametrize("score", range(1, 6))
def test_a_bad_rating_goes_to_a_person_and_others_do_not(score: int) -> None:
    """1 and 2 open a ticket; every rating is recorded and answered."""
    values = surveys.answer_rating(surveys.RatingReading(score, None), None, late=False)

    assert [score] == [value.score for value in values if isinstance(value, RecordRating)]
    assert (score <= 2) == any(isinstance(value, HandOver) for value in values)


def test_the_question_is_the_articles() -> None:
    """Name, product, scale and how to opt out."""
    asked = surveys.rating_request("Ann Becker", "Trail Runner sneakers")

    assert (
        "Hi Ann, how would you rate your recent Trail Runner sneakers purchase? Reply on a scale of 1-5. "
        "Text STOP to opt-out."
    ) == asked.text
