"""Contests: keywords, wishes and questions, and entries against the real tables."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from bot.db import Database
from bot.errors import Stale
from bot.outreach import contests
from bot.shop.shopfile import Contest
from bot.tables import ContestEntry
from bot.text import measure
from bot.values import Changed, EnterContest, LeaveContest, Say
from tests.test_bookings import NOW, ZONE, person

WIN200 = Contest(
    keyword="WIN200", prize="$200 store credit", winners=3, ends=date(2026, 12, 18), rules="juniperlane.example/win200"
)
SPRING = Contest(keyword="SPRING", prize="a raincoat", winners=1, ends=date(2027, 3, 1), rules="x.example")
AFTER = datetime(2026, 12, 19, 0, 0, tzinfo=ZONE)


@pytest.mark.parametrize(
    "text", ["WIN200", "win200", " Win200! ", "'WIN200'", "win 200", "WIN-200", "please WIN200 thanks", "hi win200 pls"]
)
def test_a_keyword_is_read_in_any_dress(text: str) -> None:
    """Case, spacing, punctuation and courtesies do not matter."""
    assert WIN200 == contests.read_keyword(text, [SPRING, WIN200])


@pytest.mark.parametrize(
    "text",
    ["", "please", "win", "200", "win2000", "xwin200", "I want WIN200", "win200 or spring", "when is win200 over"],
)
def test_a_text_with_more_to_it_is_no_keyword(text: str) -> None:
    """Only the whole text counts."""
    assert contests.read_keyword(text, [SPRING, WIN200]) is None


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at(text: str) -> None:
    """No text breaks the reading."""
    assert contests.read_keyword(text, [SPRING]) in (None, SPRING)
    assert contests.read_wish(text, invited=True) in ("enter", "ask", "decline")


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=10), st.booleans())
def test_a_keyword_inside_another_word_does_not_count(more: str, before: bool) -> None:
    """WIN200 is not in WIN2001."""
    assert contests.read_keyword(more + "WIN200" if before else "WIN200" + more, [WIN200]) is None


@pytest.mark.parametrize(
    "text, invited, wants",
    [
        ("I want to enter the contest", False, "enter"),
        ("sign me up for the giveaway", False, "enter"),
        ("can you sign me up for the contest", False, "enter"),
        ("why not, count me in", False, "enter"),
        ("yes please", True, "enter"),
        ("ok sure", True, "enter"),
        ("yes please", False, "ask"),
        ("ok but when does it end", True, "ask"),
        ("can I enter?", True, "ask"),
        ("what can I win", False, "ask"),
        ("tell me about the contest", False, "ask"),
        ("contest", False, "ask"),
        ("how do I join", False, "ask"),
        ("I don't want to enter", True, "decline"),
        ("no thanks, not joining", True, "decline"),
    ],
)
def test_a_wish_is_told_from_a_question(text: str, invited: bool, wants: str) -> None:
    """Only a clear wish enters; a yes alone needs an invitation."""
    assert wants == contests.read_wish(text, invited=invited)


def test_the_invitation_is_the_articles() -> None:
    """Prize, keyword, winners, day and how to opt out; it is marketing and waits for an answer."""
    text = contests.invitation(WIN200)

    assert (
        "Want a chance to win $200 store credit? Text WIN200 to enter our competition! "
        "3 winners announced on Fri Dec 18. Reply STOP to opt-out."
    ) == text.text
    assert ("marketing", "contest", {"contest": "WIN200"}) == (text.purpose, text.question_kind, text.question)
    assert 1 == measure(text.text).parts


@pytest.mark.parametrize(
    "is_in, today, says",
    [
        (False, date(2026, 12, 18), "text WIN200"),
        (True, date(2026, 12, 1), "You are in"),
        (False, AFTER.date(), "ended"),
    ],
)
def test_what_there_is_to_know_fits_the_contact_and_the_day(is_in: bool, today: date, says: str) -> None:
    """How to enter for whoever can; two parts at most."""
    told = contests.about(WIN200, entered=is_in, today=today)

    assert says in told.text
    assert measure(told.text).parts <= 2


# -- entries -------------------------------------------------------------------------------------------------------


async def somebody(db: Database) -> UUID:
    """A contact in no contest."""
    async with db.begin() as session:
        return await person(session)


async def apply(db: Database, contact: UUID, change: EnterContest | LeaveContest, now: datetime = NOW) -> Changed:
    """One change in a transaction of its own."""
    async with db.begin() as session:
        return await contests.apply(session, contact, change, now)


async def is_in(db: Database, contact: UUID) -> set[str]:
    """The contests a contact is in."""
    async with db.begin() as session:
        return await contests.entered(session, contact)


ENTER, LEAVE = EnterContest(contest="WIN200"), LeaveContest(contest="WIN200")


async def test_entering_is_proposed_once(db: Database) -> None:
    """The second time the contact hears that they are in, and nothing is proposed."""
    contact = await somebody(db)

    async with db.begin() as session:
        first = await contests.enter(session, contact, WIN200, NOW, ZONE)
    changed = await apply(db, contact, ENTER)
    async with db.begin() as session:
        second = await contests.enter(session, contact, WIN200, NOW, ZONE)

    assert ENTER == first[0]
    assert ("contest.entered", "WIN200", False, True) == (
        changed.kind,
        changed.ref,
        (changed.before or {})["entered"],
        (changed.after or {})["entered"],
    )
    assert [Say] == [type(value) for value in second]
    assert {"WIN200"} == await is_in(db, contact)


async def test_the_last_day_ends_at_midnight_in_the_shops_zone(db: Database) -> None:
    """Friday 23:59 in New York enters, although it is Saturday in UTC; a minute later it is over."""
    contact = await somebody(db)
    last = AFTER - timedelta(minutes=1)
    assert 19 == last.astimezone(UTC).day

    async with db.begin() as session:
        in_time = await contests.enter(session, contact, WIN200, last, ZONE)
        late = await contests.enter(session, contact, WIN200, AFTER, ZONE)

    assert ENTER == in_time[0]
    assert [Say(text="The contest for $200 store credit ended on Fri Dec 18; it takes no more entries.")] == list(late)


@pytest.mark.parametrize("why", ["over", "unknown", "in already", "not in"])
async def test_a_change_on_old_facts_is_refused_and_changes_nothing(db: Database, why: str) -> None:
    """Over or gone meanwhile, entered twice, or left without an entry."""
    contact = await somebody(db)
    if why == "in already":
        await apply(db, contact, ENTER)
    before = await is_in(db, contact)
    change: EnterContest | LeaveContest = LEAVE if why == "not in" else ENTER
    change = EnterContest(contest="SPRING") if why == "unknown" else change

    with pytest.raises(Stale):
        await apply(db, contact, change, AFTER if why == "over" else NOW)
    assert before == await is_in(db, contact)


async def test_leaving_and_coming_back_keeps_one_entry(db: Database) -> None:
    """Each of the two takes the other back."""
    contact = await somebody(db)
    await apply(db, contact, ENTER)

    left = await apply(db, contact, LEAVE)
    out = await is_in(db, contact)
    await apply(db, contact, ENTER)

    assert ("contest.left", set()) == (left.kind, out)
    assert {"WIN200"} == await is_in(db, contact)
    async with db.begin() as session:
        entries = await session.scalar(
            select(func.count()).select_from(ContestEntry).where(ContestEntry.contact_id == contact)
        )
    assert 1 == entries


async def test_two_texts_at_once_leave_one_entry(db: Database) -> None:
    """One enters, the other is read again."""
    contact = await somebody(db)

    results = await asyncio.gather(*(apply(db, contact, ENTER) for _ in range(4)), return_exceptions=True)

    assert 1 == len([result for result in results if isinstance(result, Changed)])
    assert 3 == len([result for result in results if isinstance(result, Stale)])


async def test_an_opt_out_can_leave_every_contest(db: Database) -> None:
    """Each is logged; who is in none has nothing to log."""
    contact, other = await somebody(db), await somebody(db)
    await apply(db, contact, ENTER)
    await apply(db, other, ENTER)

    async with db.begin() as session:
        left = await contests.leave_all(session, contact, NOW)
        again = await contests.leave_all(session, contact, NOW)

    assert (["contest.left"], []) == ([changed.kind for changed in left], again)
    assert (set(), {"WIN200"}) == (await is_in(db, contact), await is_in(db, other))
