"""Ratings as people text them, and what they lead to."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.db import Database
from bot.errors import Stale
from bot.outreach import surveys
from bot.tables import Conversation, OpenQuestion, Rating, SenderNumber
from bot.values import Changed, HandOver, RecordRating, Say, WithdrawRating
from tests.test_bookings import NOW, person


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
        ("5-love it", 5, "love it"),
        ("one", 1, None),
        ("one, very bad", 1, "very bad"),
        ("one star for the wait", 1, "for the wait"),
        ("zero stars", 1, None),
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
        "4 or 5",
        "3 to 4",
        "2 more please",
        "1 question: when do you open",
        "one of my shoes broke",
        "one very nice lady helped me",
        "2 of them are broken",
        "5 Main St is my new address",
        "tenant",
        "fourteen",
    ],
)
def test_other_numbers_are_no_rating(text: str) -> None:
    """A time, an amount, another scale or no figure at all is left to be read."""
    assert surveys.read_rating(text, 5) is None


@pytest.mark.parametrize(
    "text, score, comment",
    [
        ("0", 0, None),
        ("10", 10, None),
        ("10/10", 10, None),
        ("10 out of 10", 10, None),
        ("ten", 10, None),
        ("7", 7, None),
        ("a 9, love the shop", 9, "love the shop"),
        ("zero, never again", 0, "never again"),
    ],
)
def test_net_promoter_scores_go_from_zero_to_ten(text: str, score: int, comment: str | None) -> None:
    """The other scale has a zero."""
    assert surveys.RatingReading(score, comment, 10) == surveys.read_rating(text, 10)


@pytest.mark.parametrize("text", ["⭐⭐⭐⭐⭐", "5 stars", "4/5", "11", "100", "10 minutes late", "10:30"])
def test_stars_and_other_scales_are_no_net_promoter_score(text: str) -> None:
    """Five stars are the best there is, not five of ten."""
    assert surveys.read_rating(text, 10) is None


@pytest.mark.parametrize(
    "text, score, comment",
    [
        ("loved it, 5", 5, "loved it"),
        ("not great. 2 of 5", 2, "not great"),
        ("I'm going with a 3", 3, None),
        ("great staff! 5 stars", 5, "great staff"),
        ("between a 3 and a 4, say 4", 4, "between a 3 and a 4"),
        ("my rating: 4", 4, None),
        ("awful, one", 1, "awful"),
    ],
)
def test_a_text_known_to_be_a_rating_may_end_in_it(text: str, score: int, comment: str | None) -> None:
    """What stands before the score is the comment."""
    assert surveys.read_rating(text, 5) is None
    assert surveys.RatingReading(score, comment) == surveys.spot_rating(text, 5)


@pytest.mark.parametrize(
    "text", ["3 or 4", "I like this one", "loved it, size 5", "see you at 5", "like a 3.5", "great"]
)
def test_even_then_other_numbers_are_none(text: str) -> None:
    """A size, a time, a choice of two or no figure."""
    assert surveys.spot_rating(text, 5) is None


@given(st.text(max_size=200), st.sampled_from([5, 10]))
def test_any_text_is_read_or_left(text: str, scale: int) -> None:
    """No text breaks the reading, and what is read lies on the scale."""
    for reading in (surveys.read_rating(text, scale), surveys.spot_rating(text, scale)):
        assert reading is None or (0 if scale == 10 else 1) <= reading.score <= scale


@given(st.integers(0, 99), st.sampled_from([5, 10]), st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=2))
def test_a_number_inside_a_word_is_no_rating(number: int, scale: int, letters: str) -> None:
    """Stars count; 5xl, a5 and win5 do not."""
    if not letters.startswith("star"):
        assert surveys.read_rating(f"{number}{letters}", scale) is None
    assert surveys.read_rating(f"{letters}{number}", scale) is None


@pytest.mark.parametrize("piece", ["i would ", "it is ", "4 ", "! ", "my rating is ", "a, ", "one "])
def test_no_text_keeps_the_reading_busy(piece: str) -> None:
    """The longest text a carrier takes is read in a moment, whatever it repeats."""
    text = piece * (1600 // len(piece))

    surveys.spot_rating(text, 5)
    surveys.spot_rating(f"x {text}", 10)


# -- what it comes to ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scale, score", [*((5, score) for score in range(1, 6)), *((10, score) for score in range(11))]
)
def test_a_bad_rating_goes_to_a_person_and_others_do_not(scale: int, score: int) -> None:
    """1 and 2 of 5, and 6 or less of 10, open a ticket; every rating is recorded with its scale and answered."""
    values = surveys.answer_rating(surveys.RatingReading(score, None, scale), None, late=False)

    kept = [(value.score, value.scale) for value in values if isinstance(value, RecordRating)]
    assert [(score, scale)] == kept
    assert 1 == len([value for value in values if isinstance(value, Say)])
    assert (score <= (2 if scale == 5 else 6)) == any(isinstance(value, HandOver) for value in values)


@pytest.mark.parametrize("score, glad", [(7, False), (8, False), (9, True), (10, True)])
def test_only_promoters_are_met_with_joy(score: int, glad: bool) -> None:
    """7 and 8 of 10 are neither good nor bad."""
    values = surveys.answer_rating(surveys.RatingReading(score, None, 10), None, late=False)

    assert glad == any("glad" in value.text for value in values if isinstance(value, Say))


# -- asking --------------------------------------------------------------------------------------------------------


def test_the_question_is_the_articles() -> None:
    """Name, product, scale and how to opt out."""
    asked = surveys.rating_request("Ann Becker", "Trail Runner sneakers")

    assert (
        "Hi Ann, how would you rate your recent Trail Runner sneakers purchase? Reply on a scale of 1-5. "
        "Text STOP to opt-out."
    ) == asked.text


def test_the_net_promoter_question_names_the_brand() -> None:
    """Scale, brand and how to opt out; it waits for a number up to ten."""
    asked = surveys.nps_request("Ann Becker", "Juniper Lane")
    nameless = surveys.nps_request(None, "Juniper Lane")

    assert (
        "Hi Ann, how likely are you to recommend Juniper Lane to a friend? Reply 0 to 10. Text STOP to opt-out."
    ) == asked.text
    assert nameless.text.startswith("Hi, how likely")
    assert ("survey", 10) == (asked.question_kind, asked.question["scale"])


# -- changing ------------------------------------------------------------------------------------------------------


async def surveyed(session: AsyncSession) -> tuple[UUID, UUID]:
    """A contact with an open survey; both ids."""
    contact = await person(session)
    number = await session.scalar(select(SenderNumber.id).limit(1))
    assert number is not None
    conversation = Conversation(id=uuid4(), contact_id=contact, sender_number_id=number)
    session.add(conversation)
    await session.flush()
    asked = OpenQuestion(id=uuid4(), conversation_id=conversation.id, kind="survey", payload={"scale": 5}, asked_at=NOW)
    session.add(asked)
    await session.flush()
    return contact, asked.id


async def record(db: Database, contact: UUID, question: UUID | None, score: int = 4) -> Changed:
    """Keep a rating."""
    async with db.begin() as session:
        change = RecordRating(score=score, scale=5, comment="nice", question_id=question, late=question is not None)
        return await surveys.apply(session, contact, change, NOW)


async def kept(db: Database, contact: UUID) -> list[tuple[int, str | None, bool, bool]]:
    """Score, comment, whether asked and whether late, of what is kept."""
    async with db.begin() as session:
        rows = await session.scalars(select(Rating).where(Rating.contact_id == contact))
        return [(row.score, row.comment, row.question_id is not None, row.late) for row in rows]


async def test_an_answer_is_kept_with_its_survey_and_a_rating_nobody_asked_for_without(db: Database) -> None:
    """Both carry what is needed to take them back."""
    async with db.begin() as session:
        contact, question = await surveyed(session)

    asked, unasked = await record(db, contact, question), await record(db, contact, None, 5)

    assert ("survey", "unasked") == (asked.ref, unasked.ref)
    assert [(4, "nice", True, True), (5, "nice", False, False)] == sorted(await kept(db, contact))
    assert {"rating_id", "score", "scale", "comment", "late"} == set(asked.after or {})


async def test_a_survey_is_answered_once_and_by_whom_it_asked(db: Database) -> None:
    """A second answer, or somebody else's, is refused as stale and changes nothing."""
    async with db.begin() as session:
        contact, question = await surveyed(session)
        stranger = await person(session)
    await record(db, contact, question)

    with pytest.raises(Stale):
        await record(db, contact, question)
    with pytest.raises(Stale):
        await record(db, stranger, question)
    assert 1 == len(await kept(db, contact))


async def test_a_rating_is_taken_back_by_whoever_gave_it(db: Database) -> None:
    """What the log needs stands in before; a second time, or by another, it is refused."""
    async with db.begin() as session:
        contact, stranger = await person(session), await person(session)
    given_rating = await record(db, contact, None)
    withdraw = WithdrawRating(rating_id=UUID((given_rating.after or {})["rating_id"]))

    async with db.begin() as session:
        with pytest.raises(Stale):
            await surveys.apply(session, stranger, withdraw, NOW)
    async with db.begin() as session:
        undone = await surveys.apply(session, contact, withdraw, NOW)

    assert given_rating.after == undone.before
    assert [] == await kept(db, contact)
    with pytest.raises(Stale):
        async with db.begin() as session:
            await surveys.apply(session, contact, withdraw, NOW)
