"""Preferences and codes: what a text says somebody likes, and giving each code away once."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from bot.db import Database
from bot.errors import Stale
from bot.outreach import codes, preferences
from bot.settings import ROOT
from bot.shop import shopfile
from bot.tables import Code, Contact
from bot.text import measure
from bot.values import Changed, IssueCode, Say, SetPreference, SetProfile, Value
from tests.test_bookings import NOW, person

FILE = shopfile.load(ROOT / "shop.yml")
STYLE = FILE.content.preferences[0]
TASTE = FILE.content.code_pools[0]


@pytest.mark.parametrize(
    "text, chosen",
    [
        ("SNEAKERS", "sneakers"),
        ("heels!!", "heels"),
        ("Heels pls, ty", "heels"),
        ("heels?", "heels"),
        ("sneaker", None),
        ("I like heels", None),
        ("both", None),
        ("", None),
        ("please", None),
    ],
)
def test_a_keyword_is_the_word_of_a_choice_alone(text: str, chosen: str | None) -> None:
    """Without a question open, nothing but the word itself counts."""
    found = preferences.read_keyword(text, [STYLE])

    assert chosen == (found[1] if found is not None else None)


@pytest.mark.parametrize(
    "text, chosen",
    [
        ("heels!!", "heels"),
        ("sneaker", "sneakers"),
        ("team trainers", "sneakers"),
        ("running shoes", "sneakers"),
        ("definitely kicks", "sneakers"),
        ("high heels all the way", "heels"),
        ("I'm more of a heels girl", "heels"),
        ("I’m into sneakers", "sneakers"),
        ("both", "both"),
        ("both please", "both"),
        ("sneakers and heels", "both"),
        ("either", "both"),
        ("neither", "neither"),
        ("none of them", "neither"),
        ("no preference", "neither"),
        ("I hate heels", None),
        ("not heels", None),
        ("no sneakers", None),
        ("sneakers or heels", None),
        ("any heels?", None),
        ("do you have heels", None),
        ("I want to return my heels", None),
        ("highheelsclub", None),
        ("", None),
    ],
)
def test_a_short_answer_is_read_and_anything_else_left(text: str, chosen: str | None) -> None:
    """Words for a choice with nothing else said; negated, asked or inside other words they do not count."""
    assert chosen == preferences.read_choice(text, STYLE)


@pytest.mark.parametrize(
    "text, liked",
    [
        ("sneakers over heels", "sneakers"),
        ("more into heels than sneakers", "heels"),
        ("I prefer sneakers to heels", "sneakers"),
        ("not heels, sneakers", "sneakers"),
        ("sneakers, no heels", "sneakers"),
        ("no heels for me sneakers please", "sneakers"),
        ("I don't wear sneakers i prefer heels", "heels"),
        ("never heels always sneakers", "sneakers"),
        ("sneakers without a doubt", "sneakers"),
        ("kicks for work, heels for parties", "both"),
        ("can't choose, both", "both"),
        ("I like them equally", "both"),
        ("I don't like either", "neither"),
        ("I don't like heels or sneakers", "neither"),
        ("I hate heels", None),
        ("heels are not for me", None),
        ("hmm sneakers or heels", None),
        ("do you have sneakers?", None),
        ("surprise me", None),
    ],
)
def test_taste_told_in_a_sentence_is_weighed(text: str, liked: str | None) -> None:
    """Who rejects one choice has not named the other."""
    assert liked == preferences.read_liking(text, STYLE)


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at(text: str) -> None:
    """No text breaks the reading, and it finds nothing but an answer."""
    answers = {None, "sneakers", "heels", "both", "neither"}

    assert {preferences.read_choice(text, STYLE), preferences.read_liking(text, STYLE)} <= answers


@given(
    st.sampled_from(["SNEAKERS", "heels", "kicks", "both", "neither"]),
    st.text(alphabet="abcdefghijklmnopqrtuvwxyz", min_size=1, max_size=8),
    st.booleans(),
)
def test_a_choice_inside_another_word_does_not_count(word: str, more: str, before: bool) -> None:
    """Neither as its beginning nor as its end."""
    text = more + word if before else word + more

    assert preferences.read_choice(text, STYLE) is None
    assert preferences.read_keyword(text, [STYLE]) is None


def test_the_question_is_the_articles() -> None:
    """Brand, question, words, discount and how to opt out, in plain quotes; it is marketing."""
    text = preferences.question(STYLE, "Juniper Lane", TASTE)

    assert (
        "Welcome to Juniper Lane! To help us send you the best offers, tell us: Are you more into sneakers or heels? "
        "Reply 'SNEAKERS' or 'HEELS' for a special 25% discount! Text STOP to opt-out."
    ) == text.text
    assert ("marketing", "preference", {"preference": "style"}) == (text.purpose, text.question_kind, text.question)
    assert ("GSM-7", 2) == (measure(text.text).encoding, measure(text.text).parts)


def test_without_a_code_no_discount_is_promised() -> None:
    """And a code that is worth no percentage is named by its worth."""
    bare = preferences.question(STYLE, "Juniper Lane", None)
    other = preferences.question(STYLE, "Juniper Lane", TASTE.model_copy(update={"worth": "free shipping"}))

    assert "Reply 'SNEAKERS' or 'HEELS'. Text STOP" in bare.text
    assert "for a code: free shipping. Text STOP" in other.text


# -- answers -------------------------------------------------------------------------------------------------------


async def somebody(db: Database) -> UUID:
    """A contact who told nothing yet."""
    async with db.begin() as session:
        return await person(session)


async def leave_codes(db: Database, count: int) -> None:
    """Have so many codes be free."""
    async with db.begin() as session:
        kept = select(Code.id).order_by(Code.id).limit(count)
        await session.execute(delete(Code).where(Code.id.not_in(kept)))


async def answer(db: Database, contact: UUID, value: str) -> Sequence[Value]:
    """What an answer comes to."""
    async with db.begin() as session:
        return await preferences.answer(session, contact, STYLE, value, FILE.content)


async def carry_out(db: Database, contact: UUID, values: Sequence[Value]) -> list[Changed]:
    """Apply what was proposed in one transaction, as the end of a turn does."""
    done = []
    async with db.begin() as session:
        for value in values:
            if isinstance(value, SetPreference | SetProfile):
                done.append(await preferences.apply(session, contact, value, NOW))
            elif isinstance(value, IssueCode):
                done.append(await codes.apply(session, contact, value, NOW))
    return done


async def profile(db: Database, contact: UUID) -> tuple[str | None, dict[str, Any]]:
    """Name and profile as kept."""
    async with db.begin() as session:
        row = (await session.execute(select(Contact.name, Contact.profile).where(Contact.id == contact))).one()
        return row.name, row.profile


async def given_codes(db: Database, contact: UUID) -> list[str]:
    """The codes a contact has."""
    async with db.begin() as session:
        return [held.code for held in await codes.held(session, contact, FILE.content)]


async def test_an_answer_is_kept_and_gets_a_code(db: Database) -> None:
    """The preference, the code, and a text with both and the rules, in two parts at most."""
    contact = await somebody(db)

    values = await answer(db, contact, "sneakers")
    changes = await carry_out(db, contact, values)
    (code,) = await given_codes(db, contact)

    assert ["preference.set", "code.issued"] == [changed.kind for changed in changes]
    assert ({"key": "style", "value": None}, {"key": "style", "value": "sneakers"}) == (
        changes[0].before,
        changes[0].after,
    )
    assert ("taste", {"pool": "taste", "code": code}) == (changes[1].ref, changes[1].after)
    assert (
        f"Thank you, noted: sneakers. Your code for 25 % off your next order: {code}. "
        "Good for one order until December 31, not together with other codes."
    ) == next(value.text for value in values if isinstance(value, Say))
    assert (None, {"style": "sneakers"}) == await profile(db, contact)


async def test_a_changed_mind_keeps_the_one_code(db: Database) -> None:
    """The new preference is kept; saying the same again changes nothing."""
    contact = await somebody(db)
    await carry_out(db, contact, await answer(db, contact, "sneakers"))
    (code,) = await given_codes(db, contact)

    again = await answer(db, contact, "sneakers")
    other = await answer(db, contact, "heels")
    await carry_out(db, contact, other)

    assert [Say] == [type(value) for value in again]
    assert [SetPreference, Say] == [type(value) for value in other]
    assert code in next(value.text for value in other if isinstance(value, Say))
    assert [code] == await given_codes(db, contact)


@pytest.mark.parametrize("value, codes_given", [("both", 1), ("neither", 0)])
async def test_both_gets_a_code_and_neither_gets_none(db: Database, value: str, codes_given: int) -> None:
    """Both are answers worth keeping."""
    contact = await somebody(db)

    values = await answer(db, contact, value)
    await carry_out(db, contact, values)

    assert (codes_given, {"style": value}) == (len(await given_codes(db, contact)), (await profile(db, contact))[1])
    assert ("JL25" in str(values)) == bool(codes_given)


async def test_when_all_codes_are_given_away_none_is_named(db: Database) -> None:
    """The preference is kept and the contact told."""
    await leave_codes(db, 0)
    contact = await somebody(db)

    values = await answer(db, contact, "heels")

    assert [SetPreference, Say] == [type(value) for value in values]
    assert "Your code" not in str(values)
    assert "given away" in str(values)


async def test_of_two_who_race_for_the_last_code_one_gets_it(db: Database) -> None:
    """The other's turn is stale as a whole, and read again it finds no code."""
    await leave_codes(db, 1)
    both = [await somebody(db), await somebody(db)]
    proposed = [await answer(db, contact, "heels") for contact in both]

    results = await asyncio.gather(
        *(carry_out(db, contact, values) for contact, values in zip(both, proposed, strict=True)),
        return_exceptions=True,
    )
    (loser,) = [contact for contact, result in zip(both, results, strict=True) if isinstance(result, Stale)]
    (winner,) = [contact for contact in both if contact != loser]

    assert 1 == len(await given_codes(db, winner))
    assert ([], (None, {})) == (await given_codes(db, loser), await profile(db, loser))
    assert not any(isinstance(value, IssueCode) for value in await answer(db, loser, "heels"))


async def test_a_contact_never_gets_two_codes_of_a_list(db: Database) -> None:
    """Two turns at once, each with another code: one is refused."""
    contact = await somebody(db)

    results = await asyncio.gather(
        *(carry_out(db, contact, [IssueCode(pool="taste", code=code)]) for code in TASTE.codes[:3]),
        return_exceptions=True,
    )

    assert 2 == len([result for result in results if isinstance(result, Stale)])
    assert 1 == len(await given_codes(db, contact))


async def test_an_unknown_code_is_refused(db: Database) -> None:
    """Nothing is given that no list holds."""
    with pytest.raises(Stale):
        await carry_out(db, await somebody(db), [IssueCode(pool="taste", code="JL25-MINE")])


async def test_the_code_of_an_erased_contact_is_not_given_again(db: Database) -> None:
    """It may be used up."""
    await leave_codes(db, 1)
    gone, other = await somebody(db), await somebody(db)
    await carry_out(db, gone, await answer(db, gone, "heels"))
    async with db.begin() as session:
        await session.execute(update(Code).values(contact_id=None))

    assert not any(isinstance(value, IssueCode) for value in await answer(db, other, "heels"))


async def test_what_contacts_tell_of_themselves_is_kept_and_taken_back(db: Database) -> None:
    """Fields do not touch each other; None forgets one; before says what it was."""
    contact = await somebody(db)
    await carry_out(
        db,
        contact,
        [
            SetProfile(field="name", value="Ann Becker"),
            SetProfile(field="email", value="ann@example.com"),
            SetPreference(key="style", value="heels"),
        ],
    )
    (changed, forgotten) = await carry_out(
        db, contact, [SetProfile(field="name", value="Ann B"), SetProfile(field="email", value=None)]
    )

    assert ("Ann B", {"style": "heels"}) == await profile(db, contact)
    assert ("profile.set", "name", {"field": "name", "value": "Ann Becker"}) == (
        changed.kind,
        changed.ref,
        changed.before,
    )
    assert {"field": "email", "value": "ann@example.com"} == forgotten.before
