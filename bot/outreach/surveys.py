"""Surveys: the question, how a rating is read out of a text, and what a rating leads to; it texts nobody itself."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import Stale
from bot.tables import Contact, Conversation, OpenQuestion, Rating
from bot.values import Changed, HandOver, RecordRating, Say, ShopText, Value, WithdrawRating

#: The highest score of each survey: customer satisfaction goes from 1 to 5, net promoter score from 0 to 10.
CSAT, NPS = 5, 10
#: Up to here a score is bad, and from here on it is good, by scale. NPS calls these detractors and promoters.
BAD = {CSAT: 2, NPS: 6}
GOOD = {CSAT: 4, NPS: 9}
#: Longer comments are kept whole in the thread; the rating keeps this much.
MAX_COMMENT = 500
#: A text has at most 1,600 characters; nothing behind them is read.
MAX_READ = 1600

_WORDS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_WORDS["ten"] = 10
_NUMBER = rf"(?P<number>\d{{1,2}}|{'|'.join(_WORDS)})"
_OF = r"(?:\s*(?:/|out of|of)\s*(?P<scale>\d{1,2}|five|ten)\b)?"
_STARS = r"(?P<stars>\s*-?\s*(?:stars?\b|\*|[\u2605\u2b50\U0001f31f]\ufe0f?))?"
_LEADS = (
    r"i(?:'d| would)?|i'll|we(?:'d)?|my rating is|rating|definitely|probably|maybe|prob|def|a|an|solid|strong"
    r"|about|its|it's|it is|that's|thats|give|gave|say|rate|you|u|it|them|get|easy|hmm|um|ok|okay|hi|hey"
)
#: Lead-ins that say too little by themselves, but enough in a text that is known to hold a rating.
_MORE_LEADS = r"i'm|im|my|score|going|with|gotta|be|is|was|would|absolutely|easily|surely|totally|just|guess|so"
#: A number with one of these behind it counts something else: "4 days late", "2 more", "5th", "one of my shoes".
_NOT_OF = (
    r"(?![\d.:]*\d|\s*(?:am|pm|days?|weeks?|hours?|hrs?|minutes?|mins?|months?|years?|times|people|persons?|orders?|"
    r"items?|pairs?|box|boxes|bucks|dollars?|o'?clock|th|st|nd|rd|more|questions?|things?|sizes?|shoes?|thumbs?)\b|\s*%|"
    r"\s+of\s+(?!\d|five\b|ten\b)|(?:\s+\w+){1,2}\s+(?:street|st|avenue|ave|rd|blvd)\b)"
)
#: "4 or 5" is two numbers and no rating; "one very nice lady" is no number at all.
_NOT_TWO = rf"(?!\s*(?:or|and|to|-|/)\s*(?:a\s+)?(?:\d|(?:{'|'.join(_WORDS)})\b))"
_NOT_ARTICLE = r"(?:(?<!\bone)|(?=\s*(?:$|[^\w\s]|stars?\b|out of|of)))"


def _first_of(leads: str) -> re.Pattern[str]:
    """The score stands first, perhaps behind "I'd give it a"; what follows it is a comment."""
    return re.compile(
        rf"^\W*(?:(?:{leads})[\s,:]+)*+{_NUMBER}{_NOT_ARTICLE}{_NOT_OF}{_OF}{_STARS}{_NOT_TWO}(?!\w)(?P<rest>.*)$",
        re.IGNORECASE | re.DOTALL,
    )


_RATING = _first_of(_LEADS)
_LOOSE = _first_of(f"{_LEADS}|{_MORE_LEADS}")
#: The score stands last, behind a comment: "loved it, 5", "not great. 2 of 5"; looked for in so many characters.
_LAST = re.compile(rf"(?<![\w.:/#-]){_NUMBER}{_OF}{_STARS}\W*$", re.IGNORECASE)
_TAIL = 40
_LEAD_AT_END = re.compile(rf"(?:^|(?<=[\s,.;:!-]))(?:{_LEADS}|{_MORE_LEADS})[\s,:]*$", re.IGNORECASE)
#: Behind these a number is no score: "3 or 4", "see you at 5", "size 9".
_NO_SCORE = re.compile(r"\b(?:or|and|to|at|by|until|size|order|in|on)\W*$", re.IGNORECASE)
#: Behind these a number is a score wherever it stands: "giving you a 4 because", "it was a 2 tbh".
_GIVES = r"giv(?:e|ing)|gave|rat(?:e|ed|ing)|scor(?:e|ed|ing)|say|call it|deserves?|earned|gets?|go(?:ing)? with"
_IS = r"(?<!would )be|was|were|is|it's|its|that's|at"
_WHOM = r"(?:you|u|it|this|that|them|him|her|guys|all|us|y'all|as|(?:the|my) (?:service|visit))\s+"
_SOME = r"(?:an?|about|like|only|maybe|around|solid|strong|full|big|hard|low|high)\s+"
_WITHIN = re.compile(
    rf"\b(?:{_GIVES}|{_IS})\s+(?:{_WHOM}){{0,2}}(?:{_SOME}){{1,3}}"
    rf"{_NUMBER}{_NOT_ARTICLE}{_NOT_OF}{_OF}{_STARS}{_NOT_TWO}(?!\w)(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_ONLY_STARS = re.compile(r"^\s*((?:[\u2605\u2b50\U0001f31f*]\ufe0f?\s*){1,10})(.*)$", re.DOTALL)
_STAR = re.compile(r"[\u2605\u2b50\U0001f31f*]")


# -- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RatingReading:
    """A score, what was said beside it, and the scale it is on (its highest score)."""

    score: int
    comment: str | None
    scale: int = CSAT


def read_rating(text: str, scale: int) -> RatingReading | None:
    """The rating in a text: digits, number words, "4/5" or stars, first in the text, a comment after it.

    `scale` is the highest score; None where there is no rating or it lies outside 1 to `scale` (0 to 10 for ten).
    Stars count up to five: "3 stars" is no score from 0 to 10.
    """
    plain = _plain(text)[:MAX_READ]
    if stars := _ONLY_STARS.match(plain):
        return _reading(len(_STAR.findall(stars[1])), scale, stars[2], stars=True)
    return _found(_RATING.match(plain), scale)


def spot_rating(text: str, scale: int) -> RatingReading | None:
    """The rating in a text that is known to hold one: as read_rating, or within it or last, the comment before."""
    plain = _plain(text)[:MAX_READ]
    return (
        read_rating(text, scale)
        or _found(_LOOSE.match(plain), scale)
        or _last(plain, scale)
        or _found(_WITHIN.search(plain), scale)
    )


def _last(plain: str, scale: int) -> RatingReading | None:
    found = _LAST.search(plain, max(0, len(plain) - _TAIL))
    if found is None or (found["scale"] is not None and _value(found["scale"]) != scale):
        return None
    said = whole = plain[: found.start()]
    while lead := _LEAD_AT_END.search(said, max(0, len(said) - _TAIL)):
        said = said[: lead.start()]
    stars = found["stars"] is not None
    if _NO_SCORE.search(said[-_TAIL:]):
        return None
    if found["number"].lower() == "one" and not stars and not re.search(r"(?:^|[,.;:!-])\s*$", whole):
        return None  # "I like this one"
    # A clause before the score is a comment as it stands; otherwise the words that lead to the score are taken off.
    clause = re.match(r"(.*)[,.;:!-]", whole, re.DOTALL)
    comment = clause[1] if clause else said
    return _reading(_value(found["number"]), scale, comment, stars=stars and found["scale"] is None)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\u2019", "'").strip()


def _found(found: re.Match[str] | None, scale: int) -> RatingReading | None:
    if found is None or (found["scale"] is not None and _value(found["scale"]) != scale):
        return None
    stars = found["stars"] is not None and found["scale"] is None
    return _reading(_value(found["number"]), scale, found["rest"], stars=stars)


def _value(word: str) -> int:
    return int(word) if word.isdecimal() else _WORDS[word.lower()]


def _reading(score: int, scale: int, rest: str, *, stars: bool) -> RatingReading | None:
    if stars and scale == NPS and score <= CSAT:
        return None
    if stars and scale == CSAT and score == 0:
        score = 1  # "zero stars" means the worst there is
    lowest = 0 if scale == NPS else 1
    if not lowest <= score <= scale:
        return None
    comment = rest.strip(" \t\n,.;:!-").strip()
    return RatingReading(score, comment[:MAX_COMMENT] if re.search(r"\w", comment) else None, scale)


# -- what it comes to ----------------------------------------------------------------------------------------------


def answer_rating(reading: RatingReading, question_id: UUID | None, late: bool) -> Sequence[Value]:
    """What a rating comes to: it is recorded; a bad one goes to a person, any other is thanked for."""
    record = RecordRating(
        score=reading.score, scale=reading.scale, comment=reading.comment, question_id=question_id, late=late
    )
    if reading.score <= BAD[reading.scale]:
        return [
            record,
            Say(text="Thank you for telling us, and sorry that it was not right."),
            HandOver(reason="bad_rating", note=f"Rated {reading.score} of {reading.scale}."),
        ]
    kept = " We have noted what you wrote." if reading.comment else ""
    glad = "Thank you" if reading.score < GOOD[reading.scale] else "Thank you, glad to hear it"
    return [record, Say(text=f"{glad}. Your rating: {reading.score} of {reading.scale}.{kept}")]


# -- asking --------------------------------------------------------------------------------------------------------


def rating_request(name: str | None, product: str) -> ShopText:
    """The question after a purchase, in the article's words; waits for a rating from 1 to 5."""
    return ShopText(
        name="rating",
        text=(
            f"Hi{_first(name)}, how would you rate your recent {product} purchase? "
            "Reply on a scale of 1-5. Text STOP to opt-out."
        ),
        question_kind="survey",
        question={"scale": CSAT, "product": product},
    )


def nps_request(name: str | None, brand: str) -> ShopText:
    """The net promoter question; waits for a rating from 0 to 10."""
    return ShopText(
        name="nps",
        text=(
            f"Hi{_first(name)}, how likely are you to recommend {brand} to a friend? "
            "Reply 0 to 10. Text STOP to opt-out."
        ),
        question_kind="survey",
        question={"scale": NPS},
    )


def _first(name: str | None) -> str:
    """The first name as a greeting has it, with the space before it."""
    words = (name or "").split()
    return f" {words[0]}" if words else ""


# -- changing ------------------------------------------------------------------------------------------------------


async def apply(
    session: AsyncSession, contact_id: UUID, change: RecordRating | WithdrawRating, now: datetime
) -> Changed:
    """Keep a rating, or take one back, in the caller's transaction.

    Raises Stale where the survey is not this contact's or answered already, or the rating is not there any more.
    """
    await session.execute(select(Contact.id).where(Contact.id == contact_id).with_for_update())
    if isinstance(change, WithdrawRating):
        return await _withdraw(session, contact_id, change)
    if change.question_id is not None:
        await _answerable(session, contact_id, change.question_id)
    rating = Rating(
        id=uuid4(),
        contact_id=contact_id,
        question_id=change.question_id,
        score=change.score,
        scale=change.scale,
        comment=change.comment,
        late=change.late,
        created_at=now,
    )
    session.add(rating)
    await session.flush()
    return Changed(kind=change.kind, ref=_ref(rating), after=_facts(rating))


async def _answerable(session: AsyncSession, contact_id: UUID, question_id: UUID) -> None:
    """Raises Stale unless this survey was asked of this contact and has no answer."""
    asked = await session.scalar(
        select(OpenQuestion.id)
        .join(Conversation, Conversation.id == OpenQuestion.conversation_id)
        .where(OpenQuestion.id == question_id, OpenQuestion.kind == "survey", Conversation.contact_id == contact_id)
    )
    answered = await session.scalar(select(Rating.id).where(Rating.question_id == question_id))
    if asked is None or answered is not None:
        raise Stale("the survey is gone or answered already")


async def _withdraw(session: AsyncSession, contact_id: UUID, change: WithdrawRating) -> Changed:
    rating = await session.scalar(
        select(Rating).where(Rating.id == change.rating_id, Rating.contact_id == contact_id).with_for_update()
    )
    if rating is None:
        raise Stale("the rating is gone")
    await session.delete(rating)
    await session.flush()
    return Changed(kind=change.kind, ref=_ref(rating), before=_facts(rating))


def _ref(rating: Rating) -> str:
    return "survey" if rating.question_id else "unasked"


def _facts(rating: Rating) -> dict[str, object]:
    return {
        "rating_id": str(rating.id),
        "score": rating.score,
        "scale": rating.scale,
        "comment": rating.comment,
        "late": rating.late,
    }
