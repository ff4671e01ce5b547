"""Actions about ratings, contests, taste, the contact's own details, discounts, the shop and people: values out."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from actions.shop import _fails
from actions.unclear import CHOICES
from bot.db import Database
from bot.outreach import codes, contests, preferences
from bot.settings import ROOT
from bot.shop import answers, shopfile
from bot.tables import Shop
from bot.text import measure
from bot.values import (
    Ask,
    EnterContest,
    HandOver,
    IssueCode,
    LeaveContest,
    RecordRating,
    Say,
    SetPreference,
    SetProfile,
    Undo,
    Value,
)
from tests.test_actions import one, run, somebody, words
from tests.test_bookings import NOW

CONTENT = shopfile.load(ROOT / "shop.yml").content
CODE = "JL25-4T7K"
INVITED = {"contest": {"contest": "WIN200"}}


def changes(values: Sequence[Value]) -> list[Value]:
    """What would be changed."""
    kinds = (EnterContest, LeaveContest, RecordRating, SetPreference, SetProfile, IssueCode)
    return [value for value in values if isinstance(value, kinds)]


# -- ratings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, score, scale, bad",
    [
        ("5 stars, love the heels", 5, 5, False),
        ("2", 2, 5, True),
        ("loved it, 5", 5, 5, False),
        ("9", 9, 10, False),
        ("10/10 would recommend", 10, 10, False),
        ("3/10", 3, 10, True),
        ("0", 0, 10, True),
    ],
)
async def test_a_rating_nobody_asked_for_takes_the_scale_it_fits(
    db: Database, text: str, score: int, scale: int, bad: bool
) -> None:
    """Up to five it is satisfaction, above or out of ten a recommendation; a bad one gets a person."""
    values = await run(db, "action_rating", await somebody(db), text, intent="give_rating")
    record = one(values, RecordRating)

    assert (score, scale, None) == (record.score, record.scale, record.question_id)
    assert bad == any(isinstance(value, HandOver) for value in values)


async def test_an_answer_in_free_words_belongs_to_the_survey_that_waits(db: Database) -> None:
    """On that survey's scale, with its id, and late where it is."""
    contact, question = await somebody(db), uuid4()
    waiting = {"survey": {"scale": 10, "question_id": str(question), "late": True}}

    record = one(
        await run(db, "action_rating", contact, "I would say so, 4", intent="give_rating", waiting=waiting),
        RecordRating,
    )
    stars = one(await run(db, "action_rating", contact, "5 stars", intent="give_rating", waiting=waiting), RecordRating)

    assert (4, 10, question, True) == (record.score, record.scale, record.question_id, record.late)
    assert (5, 5, None) == (stars.score, stars.scale, stars.question_id)


@pytest.mark.parametrize("scale, asks", [(None, "from 1 (bad) to 5"), (5, "from 1 (bad) to 5"), (10, "From 0 to 10")])
async def test_without_a_figure_it_is_asked_for(db: Database, scale: int | None, asks: str) -> None:
    """On the scale of the survey that waits."""
    waiting = {"survey": {"scale": scale}} if scale else {}

    values = await run(db, "action_rating", await somebody(db), "it was ok I guess", waiting=waiting)

    assert asks in words(values)
    assert [] == changes(values)


# -- contests ------------------------------------------------------------------------------------------------------


async def contest_ends(db: Database, *ends: date) -> None:
    """Have the shop run one contest for each of these last days: WIN200, WIN201 and so on."""
    (shipped,) = CONTENT.contests
    made = [
        shipped.model_copy(update={"keyword": f"WIN20{number}", "prize": f"prize {number}", "ends": day})
        for number, day in enumerate(ends)
    ]
    content = CONTENT.model_copy(update={"contests": made}).model_dump(mode="json")
    async with db.begin() as session:
        await session.execute(update(Shop).values(content=content))


async def enter(db: Database, contact: UUID, keyword: str = "WIN200") -> None:
    """Enter a contest."""
    async with db.begin() as session:
        await contests.apply(session, contact, EnterContest(contest=keyword), NOW)


@pytest.mark.parametrize(
    "text, waiting, enters",
    [
        ("I want to enter the contest", {}, True),
        ("yes count me in", INVITED, True),
        ("yes please", INVITED, True),
        ("yes please", {}, False),
        ("what can I win?", INVITED, False),
        ("can I join?", {}, False),
        ("tell me about the contest", {}, False),
    ],
)
async def test_a_wish_enters_and_a_question_is_answered(
    db: Database, text: str, waiting: dict[str, Any], enters: bool
) -> None:
    """The answer names prize, day, rules and the keyword."""
    values = await run(db, "action_join_contest", await somebody(db), text, intent="join_contest", waiting=waiting)

    assert ([EnterContest(contest="WIN200")] if enters else []) == changes(values)
    for part in ("$200 store credit", "Fri Dec 18", "juniperlane.example/win200", *([] if enters else ["text WIN200"])):
        assert part in words(values)


async def test_who_wants_no_part_is_not_entered(db: Database) -> None:
    """And hears how to, should they change their mind."""
    values = await run(db, "action_join_contest", await somebody(db), "I don't want to join", waiting=INVITED)

    assert [] == changes(values)
    assert "text WIN200" in words(values)


async def test_who_is_in_hears_so(db: Database) -> None:
    """When they enter again, and when they ask."""
    contact = await somebody(db)
    await enter(db, contact)

    again = await run(db, "action_join_contest", contact, "enter me in the contest")
    asked = await run(db, "action_join_contest", contact, "when does the contest end?")

    assert "one entry per person" in words(again)
    assert words(asked).startswith("You are in")
    assert [] == changes([*again, *asked])


async def test_of_several_contests_the_one_meant_is_asked(db: Database) -> None:
    """By number or keyword; the wish is kept, and one named or the only one still running is not asked for."""
    contact = await somebody(db)
    day = NOW.date()
    await contest_ends(db, day, day + timedelta(days=1))

    asked = one(await run(db, "action_join_contest", contact, "enter me please", intent="join_contest"), Ask)
    chosen = {**asked.slots, **asked.options[1].slots}
    went_on = await run(db, "action_join_contest", contact, "2", intent="join_contest", filled=chosen)
    named = await run(
        db, "action_join_contest", contact, "enter me", entities=[{"entity": "contest", "value": "WIN200"}]
    )
    await contest_ends(db, day - timedelta(days=1), day)
    only = await run(db, "action_join_contest", contact, "enter me")

    assert ("join_contest", "contest", ["WIN200"]) == (asked.intent, asked.wants, asked.options[0].words)
    assert [EnterContest(contest="WIN201")] == changes(went_on)
    assert [EnterContest(contest="WIN200")] == changes(named)
    assert [EnterContest(contest="WIN201")] == changes(only)


async def test_a_contest_that_is_over_or_none_at_all_is_said_to_be(db: Database) -> None:
    """Nobody is entered after the last day."""
    contact = await somebody(db)
    await contest_ends(db, NOW.date() - timedelta(days=1))
    over = await run(db, "action_join_contest", contact, "enter me")
    await contest_ends(db)
    none = await run(db, "action_join_contest", contact, "enter me")

    assert "ended on Mon Nov 23" in words(over)
    assert "There is no contest at the moment." == words(none)
    assert [] == changes([*over, *none])


async def test_leaving_takes_the_contact_out_of_the_contest_they_are_in(db: Database) -> None:
    """None, one, or the one chosen of several."""
    contact, day = await somebody(db), NOW.date()
    await contest_ends(db, day, day)
    none = await run(db, "action_leave_contest", contact, intent="leave_contest")
    await enter(db, contact, "WIN201")
    single = await run(db, "action_leave_contest", contact, intent="leave_contest")
    await enter(db, contact, "WIN200")
    several = one(await run(db, "action_leave_contest", contact, intent="leave_contest"), Ask)
    chosen = await run(db, "action_leave_contest", contact, "1", filled=several.options[0].slots)

    assert "You are in no contest, so there is nothing to leave." == words(none)
    assert [LeaveContest(contest="WIN201")] == changes(single)
    assert ["prize 0", "prize 1"] == [option.label for option in several.options]
    assert [LeaveContest(contest="WIN200")] == changes(chosen)


# -- preferences ---------------------------------------------------------------------------------------------------


async def test_taste_in_a_sentence_is_kept_with_its_code(db: Database) -> None:
    """The preference, a free code, and both in the reply."""
    values = await run(db, "action_preference", await somebody(db), "def more of a sneaker person than heels tbh")

    assert SetPreference(key="style", value="sneakers") == one(values, SetPreference)
    assert one(values, IssueCode).code in words(values)


@pytest.mark.parametrize("text", ["I hate heels", "hmm sneakers or heels", "do you have sneakers?"])
async def test_taste_that_is_not_clear_is_asked_again(db: Database, text: str) -> None:
    """Nothing is kept on a guess, also where the engine saw a choice named."""
    named = [{"entity": "preference", "value": "heels"}]

    values = await run(db, "action_preference", await somebody(db), text, entities=named)

    assert "Are you more into sneakers or heels? Reply SNEAKERS or HEELS." == words(values)
    assert [] == changes(values)


# -- profile -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, told",
    [
        ("my email is Ann@Example.com", {"email": "ann@example.com"}),
        ("my email address is ann99@example.com", {"email": "ann99@example.com"}),
        ("call me Ann please", {"name": "Ann"}),
        ("my name is ann becker and my zip is 10001", {"name": "Ann Becker", "postcode": "10001"}),
        ("my name's O'Neill, not Neil", {"name": "O'Neill"}),
        ("my new address is 12 Pine St, New York 10001", {"address": "12 Pine St, New York 10001"}),
        ("i moved to 5 Elm Ave Brooklyn", {"address": "5 Elm Ave Brooklyn"}),
        ("call me back", {}),
        ("my name is {{7*7}}", {}),
        ("update my details", {}),
    ],
)
async def test_what_contacts_tell_of_themselves_is_kept(db: Database, text: str, told: dict[str, str]) -> None:
    """Each fact once, repeated in the reply; without a fact it is asked for."""
    values = await run(db, "action_profile", await somebody(db), text, intent="set_profile")

    assert told == {value.field: value.value for value in values if isinstance(value, SetProfile)}
    assert all(value in words(values) for value in told.values())
    assert ("What should I note?" in words(values)) == (not told)


async def test_a_name_rasa_found_is_taken_too(db: Database) -> None:
    """Where no lead-in tells it."""
    named = [{"entity": "name", "value": "Ann"}]

    values = await run(db, "action_profile", await somebody(db), "it's Ann by the way", entities=named)

    assert SetProfile(field="name", value="Ann") == one(values, SetProfile)


# -- discounts -----------------------------------------------------------------------------------------------------


async def with_code(db: Database) -> UUID:
    """A contact who was given a code."""
    contact = await somebody(db)
    async with db.begin() as session:
        await codes.apply(session, contact, IssueCode(pool="taste", code=CODE), NOW)
    return contact


async def test_a_discount_question_gets_the_shops_words_and_the_contacts_own_code(db: Database) -> None:
    """Nobody hears of another's code."""
    owner, stranger = await with_code(db), await somebody(db)

    told = await run(db, "action_discount", owner, "any discounts right now?")
    other = await run(db, "action_discount", stranger, "any discounts right now?")

    assert CONTENT.answers.discounts == words(other)
    assert words(told).startswith(CONTENT.answers.discounts)
    assert CODE in words(told)
    assert measure(words(told)).parts <= 2


@pytest.mark.parametrize(
    "text, says",
    [
        (f"{CODE} doesn't work", f"Your code for 25 % off your next order: {CODE}."),
        ("the code you sent isn't valid", f"Your code for 25 % off your next order: {CODE}."),
        ("my code got rejected", f"Your code for 25 % off your next order: {CODE}."),
        ("JL25-ZZZZ won't work", "JL25-ZZZZ is not a code that was given to this number."),
    ],
)
async def test_a_code_that_fails_gets_the_contacts_own_with_its_rules(db: Database, text: str, says: str) -> None:
    """And that a person can look; without a code of one's own nothing of anybody's is told."""
    told = words(await run(db, "action_discount", await with_code(db), text))
    other = words(await run(db, "action_discount", await somebody(db), text))

    assert told.startswith(says)
    assert CONTENT.code_pools[0].rules in told
    assert 'text "person"' in told
    assert measure(told).parts <= 2
    assert 'I find no code that was given to this number. Text "person" and someone looks at it.' == other


@pytest.mark.parametrize(
    "text",
    ["do you have a discount code", "I don't have a code, any discounts?", "student discount?", "is there a sale"],
)
def test_a_discount_question_is_no_failing_code(text: str) -> None:
    """Having none is not one that fails."""
    assert not _fails(text)


# -- the shop ------------------------------------------------------------------------------------------------------


async def test_places_are_told_all_or_the_one_named(db: Database) -> None:
    """Addresses; with today's hours for one."""
    contact = await somebody(db)

    both = await run(db, "action_location", contact, "where are you")
    harbor = await run(
        db, "action_location", contact, "where is harbor point", entities=[{"entity": "location", "value": "harbor"}]
    )

    assert "Elm Street: 14 Elm Street, New York.\nHarbor Point: 3 Pier Walk, New York." == words(both)
    assert "Harbor Point: 3 Pier Walk, New York. Today: 11:00 AM-7:00 PM." == words(harbor)


@pytest.mark.parametrize("subject", ["shipping", "returns", "payment", "privacy"])
async def test_what_everybody_asks_is_answered_as_the_shop_says(db: Database, subject: str) -> None:
    """Word for word."""
    values = await run(db, "action_shop_answer", await somebody(db), "do you", intent=f"ask_{subject}")

    assert getattr(CONTENT.answers, subject) == words(values)


@pytest.mark.parametrize(
    "text, starts",
    [
        ("is there parking near elm street?", "Elm Street has no parking"),
        ("can I bring my DOG", "Dogs on a leash"),
        ("do you sell gift-cards", "Gift cards from"),
        ("are you hiring?", "Open jobs"),
        ("can i get it gift wrapped?", "We wrap gifts"),
        ("do you sell dogma books", "I have no answer to that here. Call (202) 555-0199"),
        ("what is your wifi password", "I have no answer to that here. Call (202) 555-0199"),
    ],
)
async def test_other_questions_find_their_topic_by_whole_words(db: Database, text: str, starts: str) -> None:
    """Where none fits, the contact hears how to ask, and nothing is made up."""
    assert words(await run(db, "action_shop_answer", await somebody(db), text, intent="ask_shop")).startswith(starts)


@given(st.text(max_size=200))
def test_any_text_may_ask(text: str) -> None:
    """No text breaks the search for a topic."""
    told = answers.topic(text, CONTENT.answers)

    assert told is None or told in [item.answer for item in CONTENT.answers.topics]


def test_the_longest_phrase_decides() -> None:
    """Two topics may share a word."""
    topics = [
        shopfile.Topic(about=["gift"], answer="short"),
        shopfile.Topic(about=["gift card"], answer="long"),
    ]
    told = CONTENT.answers.model_copy(update={"topics": topics})

    assert ("long", "short") == (answers.topic("a gift card?", told), answers.topic("a gift?", told))


# -- people --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action, text, reason, says",
    [
        ("action_ask_human", "a person please", "asked_for_person", ""),
        ("action_ask_human", "cancel my order", "asked_for_person", ""),
        ("action_complain", "worst service ever", "complaint", "I am sorry about that, and thank you for telling us."),
        (
            "action_serious",
            "you will hear from my lawyer",
            "serious_matter",
            "Thank you for telling us; this goes to a person right away.",
        ),
        (
            "action_serious",
            "the heel broke and I'm bleeding",
            "serious_matter",
            "If anyone is hurt or in danger, call 911 first.",
        ),
    ],
)
async def test_what_a_person_must_hear_goes_to_one(
    db: Database, action: str, text: str, reason: str, says: str
) -> None:
    """One fitting sentence and the hand-over; 911 only where somebody may be in danger."""
    values = await run(db, action, await somebody(db), text, intent="ask_human")

    assert reason == one(values, HandOver).reason
    assert says == words(values)


@pytest.mark.parametrize(
    "text, note",
    [
        ("I'm disputing this with my bank", "A payment dispute."),
        ("my attorney will call", "A legal or otherwise serious matter."),
        ("there was smoke coming out of it", "Somebody may be hurt or in danger."),
    ],
)
async def test_a_serious_matter_is_named_for_who_takes_it(db: Database, text: str, note: str) -> None:
    """The ticket says what it may be about."""
    assert note == one(await run(db, "action_serious", await somebody(db), text), HandOver).note


async def test_praise_is_thanked_for_and_undo_is_passed_on(db: Database) -> None:
    """Neither changes anything by itself."""
    contact = await somebody(db)

    assert [Say(text="Thank you, that is lovely to hear.")] == list(await run(db, "action_praise", contact, "love you"))
    assert [Undo()] == list(await run(db, "action_undo", contact, "undo that"))


async def test_every_reading_worth_offering_has_a_label_that_fits(db: Database) -> None:
    """A choice of any two of them stays within two parts."""
    contact = await somebody(db)
    for name in CHOICES:
        asked = await run(db, "action_unclear", contact, "hm", ranking=[(name, 0.4), ("order_status", 0.2)])

        assert CHOICES[name] == one(asked, Ask).options[0].label
        assert measure(words(asked)).parts <= 2


async def test_no_reply_of_these_costs_more_than_two_parts(db: Database) -> None:
    """In plain GSM-7, whatever the contact has."""
    contact = await with_code(db)
    await enter(db, contact)
    said = [
        words(await run(db, action, contact, text, intent=intent, waiting=INVITED))
        for action, intent in (
            ("action_join_contest", "join_contest"),
            ("action_leave_contest", "leave_contest"),
            ("action_discount", "ask_discount"),
            ("action_location", "ask_location"),
            ("action_preference", "state_preference"),
            ("action_shop_answer", "ask_returns"),
            ("action_profile", "set_profile"),
            ("action_rating", "give_rating"),
        )
        for text in ("heels", "both", "why?", "enter me", "4", f"{CODE} fails")
    ]
    said += [topic.answer for topic in CONTENT.answers.topics]
    said += [preferences.question(CONTENT.preferences[0], "Juniper Lane", CONTENT.code_pools[0]).text]

    assert [] == [text for text in said if measure(text).parts > 2 or measure(text).encoding != "GSM-7"]
