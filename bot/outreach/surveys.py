"""Surveys: the question, how a rating is read out of a text, and what a rating leads to; it texts nobody itself."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from bot.tables import Rating
from bot.values import Changed, HandOver, RecordRating, Say, ShopText, Value

#: Customer satisfaction is asked from 1 to 5; 1 and 2 are bad, 4 and 5 are good.
CSAT, BAD, GOOD = 5, 2, 4
#: Longer comments are kept whole in the thread; the rating keeps this much.
MAX_COMMENT = 500

_WORDS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_WORDS["ten"] = 10
_NUMBER = rf"(?P<number>\d{{1,2}}|{'|'.join(_WORDS)})"
_OF = r"(?:\s*(?:/|out of|of)\s*(?P<scale>\d{1,2}|five|ten))?"
_STARS = r"(?:\s*[-]?\s*(?:stars?|\*|\u2605|\u2b50\ufe0f?))?"
_LEAD = (
    r"(?:(?:i(?:'d| would)?|i'll|we(?:'d)?|my rating is|rating|definitely|probably|maybe|prob|def|a|an|solid|strong"
    r"|about|its|it's|it is|that's|thats|give|gave|say|rate|you|u|it|them|get|easy|hmm|um|ok|okay|hi|hey)[\s,:]+)*"
)
#: The score stands first, perhaps behind "I'd give it a"; what follows it is a comment. "4 days late" is no rating.
_RATING = re.compile(
    rf"^\W*{_LEAD}{_NUMBER}(?![\d.:]*\d|\s*(?:am|pm|days?|weeks?|hours?|hrs?|minutes?|mins?|months?|years?|times|people|"
    rf"orders?|items?|pairs?|boxes|bucks|dollars?|o'?clock|%|%|th|st|nd|rd)\b){_OF}{_STARS}(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_ONLY_STARS = re.compile(r"^\s*((?:[\u2605\u2b50\U0001f31f*]\ufe0f?\s*){1,10})(.*)$", re.DOTALL)
_STAR = re.compile(r"[\u2605\u2b50\U0001f31f*]")


@dataclass(frozen=True)
class RatingReading:
    """A score on the survey's scale and what was said beside it."""

    score: int
    comment: str | None


def read_rating(text: str, scale: int) -> RatingReading | None:
    """The rating in a text: digits, number words, "4/5" or stars, first in the text, a comment after it.

    `scale` is the highest score; None where there is no rating or it lies outside 1 to `scale` (0 to 10 for ten).
    """
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").strip()
    if stars := _ONLY_STARS.match(plain):
        return _reading(len(_STAR.findall(stars[1])), scale, stars[2])
    found = _RATING.match(plain)
    if found is None:
        return None
    of = found["scale"]
    if of is not None and _value(of) != scale:
        return None
    return _reading(_value(found["number"]), scale, found["rest"])


def _value(word: str) -> int:
    return int(word) if word.isdecimal() else _WORDS[word.lower()]


def _reading(score: int, scale: int, rest: str) -> RatingReading | None:
    lowest = 0 if scale == 10 else 1
    if not lowest <= score <= scale:
        return None
    comment = rest.strip(" \t\n,.;:!-").strip()
    return RatingReading(score, comment[:MAX_COMMENT] if re.search(r"\w", comment) else None)


def answer_rating(reading: RatingReading, question_id: UUID | None, late: bool, scale: int = CSAT) -> Sequence[Value]:
    """What a rating comes to: it is recorded; a bad one goes to a person, any other is thanked for."""
    record = RecordRating(score=reading.score, scale=scale, comment=reading.comment, question_id=question_id, late=late)
    if reading.score <= BAD:
        return [
            record,
            Say(text="Thank you for telling us, and sorry that it was not right."),
            HandOver(reason="bad_rating", note=f"Rated {reading.score} of {scale}."),
        ]
    kept = " We have noted what you wrote." if reading.comment else ""
    glad = "Thank you" if reading.score < GOOD else "Thank you, glad to hear it"
    return [record, Say(text=f"{glad}. Your rating: {reading.score} of {scale}.{kept}")]


def rating_request(name: str | None, product: str) -> ShopText:
    """The question after a purchase, in the article's words; waits for a rating from 1 to 5."""
    first = (name or "").split(" ")[0]
    return ShopText(
        name="rating",
        text=(
            f"Hi{' ' + first if first else ''}, how would you rate your recent {product} purchase? "
            "Reply on a scale of 1-5. Text STOP to opt-out."
        ),
        question_kind="survey",
        question={"scale": CSAT, "product": product},
    )


async def apply(session: AsyncSession, contact_id: UUID, change: RecordRating, now: datetime) -> Changed:
    """Keep a rating in the caller's transaction; a second one for the same question breaks a unique constraint."""
    session.add(
        Rating(
            id=uuid4(),
            contact_id=contact_id,
            question_id=change.question_id,
            score=change.score,
            scale=change.scale,
            comment=change.comment,
            late=change.late,
            created_at=now,
        )
    )
    await session.flush()
    after = {"score": change.score, "scale": change.scale, "comment": change.comment, "late": change.late}
    return Changed(kind=change.kind, ref="survey" if change.question_id else "unasked", after=after)
