"""Contests: the invitation, who means to enter, and the entries, one per person; it draws and texts nobody."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import Stale
from bot.outreach.words import YES, bare, without_courtesy
from bot.shop import shopfile
from bot.shop.shopfile import Contest
from bot.tables import Contact, ContestEntry
from bot.values import Changed, EnterContest, LeaveContest, Say, ShopText, Value

# -- reading -------------------------------------------------------------------------------------------------------

_ASKS = re.compile(
    r"^(?:(?:hi|hey|hello|so|and|ok|also|um|btw) )*(?:what|whats|when|whens|how|hows|who|whos|where|wheres|which|"
    r"why(?! not)|if|is|are|am|can|could|do|does|did|will|would|have|has|tell|any|info|details|rules|explain)\b"
)
#: Asked politely, these are wishes all the same: "can you sign me up".
_ORDERS = re.compile(
    r"^(?:(?:hi|hey|hello|so|and|ok|also|um|please) )*(?:can|could|would|will) (?:you|u) (?:please |pls )?"
    r"(?:sign me up|enter me|count me in|put me (?:in|down)|add me|register me|let me in)\b"
)
_WISHES = re.compile(
    r"\b(?:enter|entering|join|joining|participate|participating|take part|taking part|sign me up|sign up|count me in|"
    r"put me (?:in|down)|add me|let me in|im in|i am in|i want in|register|be part of|try my luck|win)\b"
)
_DECLINES = re.compile(
    r"^(?:no|nope|nah)\b(?! problem| doubt| worries)|\b(?:dont|do not|(?<!why )not|never|wont|rather not)\b"
)
#: A yes in more words than these is about something else.
AGREES_IN = 6


def read_keyword(text: str, contests: Sequence[Contest]) -> Contest | None:
    """The contest whose keyword is the whole text: any case, spacing and punctuation, courtesies aside."""
    words = bare(text)
    said = {"".join(words), "".join(without_courtesy(words))}
    return next((contest for contest in contests if contest.keyword.casefold() in said), None)


def read_wish(text: str, *, invited: bool) -> Literal["enter", "ask", "decline"]:
    """What a text about a contest wants: to enter, to know something, or not to enter.

    `invited` says that the invitation is unanswered, so that a plain yes means it. Without a clear wish it is a
    question: the answer to it says how to enter.
    """
    words = bare(text)
    said = " ".join(words)
    if _ORDERS.search(said):
        return "enter"
    if "?" in text or _ASKS.search(said):
        return "ask"
    if _DECLINES.search(said):
        return "decline"
    agreed = invited and 0 < len(words) <= AGREES_IN and words[0] in YES and "but" not in words
    return "enter" if agreed or _WISHES.search(said) else "ask"


# -- saying --------------------------------------------------------------------------------------------------------


def day_words(day: date) -> str:
    """A day as a text tells it: "Fri Dec 18"."""
    return f"{day:%a %b} {day.day}"


def invitation(contest: Contest) -> ShopText:
    """The invitation in the article's words; waits for the keyword or a yes."""
    return ShopText(
        name="contest",
        text=(
            f"Want a chance to win {contest.prize}? Text {contest.keyword} to enter our competition! "
            f"{_winners(contest)} announced on {day_words(contest.ends)}. Reply STOP to opt-out."
        ),
        purpose="marketing",
        asks=[contest.keyword],
        question_kind="contest",
        question={"contest": contest.keyword},
    )


def about(contest: Contest, *, entered: bool, today: date) -> Say:
    """What there is to know: prize, winners, last day, rules, and how to enter where that is still open."""
    if contest.ends < today:
        return _over(contest)
    day, rules = day_words(contest.ends), f"Rules: {contest.rules}"
    if entered:
        return Say(text=f"You are in to win {contest.prize}. {_winners(contest)} announced on {day}. {rules}")
    return Say(
        text=(
            f"You can win {contest.prize}; {_winners(contest)} announced on {day}. "
            f"To enter by then, text {contest.keyword}. One entry per person. {rules}"
        )
    )


def _over(contest: Contest) -> Say:
    return Say(text=f"The contest for {contest.prize} ended on {day_words(contest.ends)}; it takes no more entries.")


def _winners(contest: Contest) -> str:
    return f"{contest.winners} winner{'s' if contest.winners > 1 else ''}"


# -- deciding ------------------------------------------------------------------------------------------------------


async def entered(session: AsyncSession, contact_id: UUID) -> set[str]:
    """The keywords of the contests this contact is in."""
    rows = await session.scalars(
        select(ContestEntry.contest).where(ContestEntry.contact_id == contact_id, ContestEntry.left_at.is_(None))
    )
    return set(rows)


async def enter(
    session: AsyncSession, contact_id: UUID, contest: Contest, now: datetime, zone: ZoneInfo
) -> Sequence[Value]:
    """Enter, or say why not: one entry per person, and none after the last day in the shop's `zone`."""
    if contest.ends < now.astimezone(zone).date():
        return [_over(contest)]
    told = f"{_winners(contest)} announced on {day_words(contest.ends)}. Rules: {contest.rules}"
    if contest.keyword in await entered(session, contact_id):
        return [Say(text=f"You are in already to win {contest.prize}; it is one entry per person. {told}")]
    return [
        EnterContest(contest=contest.keyword),
        Say(text=f"You are in to win {contest.prize}. {told}"),
    ]


def leave(contest: Contest) -> Sequence[Value]:
    """Leave, and how to come back."""
    return [
        LeaveContest(contest=contest.keyword),
        Say(text=f"OK, you are out of the contest for {contest.prize}. To enter again, text {contest.keyword}."),
    ]


# -- changing ------------------------------------------------------------------------------------------------------


async def apply(session: AsyncSession, contact_id: UUID, change: EnterContest | LeaveContest, now: datetime) -> Changed:
    """Enter or leave in the caller's transaction.

    Raises Stale where the contact is in (or not in) already, and where the contest is over or gone.
    """
    await session.execute(select(Contact.id).where(Contact.id == contact_id).with_for_update())
    entry = await session.scalar(
        select(ContestEntry)
        .where(ContestEntry.contest == change.contest, ContestEntry.contact_id == contact_id)
        .with_for_update()
    )
    was_in = entry is not None and entry.left_at is None
    enters = isinstance(change, EnterContest)
    if was_in == enters:
        raise Stale("the contact is in the contest already" if enters else "the contact is not in the contest")
    if enters:
        await _still_open(session, change.contest, now)
    if entry is None:
        session.add(ContestEntry(id=uuid4(), contest=change.contest, contact_id=contact_id, entered_at=now))
    elif enters:
        entry.entered_at, entry.left_at = now, None
    else:
        entry.left_at = now
    await session.flush()
    return Changed(
        kind=change.kind,
        ref=change.contest,
        before=_facts(change, entered=was_in),
        after=_facts(change, entered=enters),
    )


async def _still_open(session: AsyncSession, keyword: str, now: datetime) -> None:
    shop = await shopfile.read(session)
    contest = shop.content.contest(keyword)
    if contest is None or contest.ends < now.astimezone(shop.zone).date():
        raise Stale("the contest is over")


def _facts(change: EnterContest | LeaveContest, *, entered: bool) -> dict[str, object]:
    return {"contest": change.contest, "entered": entered}


async def leave_all(session: AsyncSession, contact_id: UUID, now: datetime) -> list[Changed]:
    """Take the contact out of every contest, as an opt-out does, in the caller's transaction."""
    return [
        await apply(session, contact_id, LeaveContest(contest=keyword), now)
        for keyword in sorted(await entered(session, contact_id))
    ]
