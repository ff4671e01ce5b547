"""Which open question a text plainly answers, by rule; a text in other words is left for Rasa."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bot import consent
from bot.facts import Facts, ask_of, core_of
from bot.outreach import preferences, surveys
from bot.shop import bookings, details
from bot.tables import OpenQuestion
from bot.values import (
    Ask,
    Change,
    Confirm,
    HandOver,
    Option,
    RecordRating,
    Say,
)

_NUMBER = re.compile(r"^(?:option |number |no |nr |choice )?(\d{1,2})(?:st|nd|rd|th)?(?: one| option| please)?$")
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_ORDINAL = re.compile(r"^(?:the )?(first|second|third|fourth)(?: one| option)?$")
YES = frozenset(
    [
        *("yes", "y", "yep", "yeah", "yup", "ya", "ok", "okay", "k", "sure", "confirm", "confirmed", "c"),
        *("i confirm", "yes confirm", "yes i do", "yes i am"),
    ]
)


@dataclass(frozen=True)
class Match:
    """An answer found by rule: which question, what it changes and says, and how it counts as a reading.

    `intent` goes on with the request the question belongs to, knowing `slots`; `forced` reads the text as that intent
    with the shop's question in mind. `known` False is a number that is none of the choices.
    """

    question: OpenQuestion
    label: str
    reads: str
    about: str = ""
    changes: Sequence[Change] = ()
    says: Sequence[str] = ()
    intent: str | None = None
    slots: dict[str, Any] | None = None
    option: str | None = None
    hand_over: HandOver | None = None
    releases: UUID | None = None
    frees: bool = False
    late: bool = False
    known: bool = True


def find(body: str, facts: Facts) -> list[Match]:
    """The open questions this text plainly answers; several where it could be meant for more than one.

    The dialogue's own question comes first where it is the last thing asked: it stands right above the answer.
    """
    core = core_of(body)
    question = facts.dialogue_question
    own = of_dialogue(question, core, body) if question is not None else None
    asked = list(_of_shop(core, body, facts, question))
    if own is not None and not any(match.question.asked_at > own.question.asked_at for match in asked):
        return [own]
    fresh = [match for match in asked if not match.late]
    found = [*([own] if own is not None else []), *(fresh or asked)]
    if not found and question is not None and ask_of(question).options and _NUMBER.match(core):
        return [Match(question, "not on the list", "out_of_scope", says=[ask_of(question).reminder], known=False)]
    return found


def settle(body: str, facts: Facts, question_id: str) -> Match | None:
    """The answer this text is to one question, chosen by the contact among several."""
    question = next((item for item in facts.questions if str(item.id) == question_id), None)
    if question is None:
        return None
    return next((match for match in _of_shop(core_of(body), body, facts, None) if match.question is question), None)


# -- the dialogue's question ---------------------------------------------------------------------------------------


def of_dialogue(question: OpenQuestion, core: str, body: str) -> Match | None:
    """A number, an option's own words, or the detail that was asked for."""
    ask = ask_of(question)
    chosen = _chosen(core, ask)
    if chosen is not None and 1 <= chosen <= len(ask.options):
        return of_option(question, ask, chosen)
    if ask.wants is not None and ask.intent is not None:
        told = details.read(ask.wants, body)
        if told is not None:
            return Match(question, ask.wants, ask.intent, intent=ask.intent, slots={**ask.slots, ask.wants: told})
    return None


def _chosen(core: str, ask: Ask) -> int | None:
    if number := _NUMBER.match(core):
        return int(number[1])
    if ordinal := _ORDINAL.match(core):
        return _ORDINALS[ordinal[1]]
    for position, option in enumerate(ask.options, start=1):
        if core in {consent.normalise(word) for word in [option.label, *option.words]}:
            return position
    return None


def of_option(question: OpenQuestion, ask: Ask, position: int) -> Match:
    """The option at this place, counted from 1."""
    option = ask.options[position - 1]
    plain = not option.changes and option.intent is None
    return Match(
        question,
        str(position),
        _reads(ask, option, position),
        about=option.label,
        changes=option.changes,
        says=[option.say] if option.say else [],
        intent=option.intent,
        slots={**ask.slots, **option.slots},
        option=option.label,
        releases=ask.booking_id if plain else None,
        frees=plain and ask.kind == "booking_new",
    )


def _reads(ask: Ask, option: Option, position: int) -> str:
    """The intent a chosen option amounts to, for the record."""
    if option.intent is not None:
        return option.intent
    if not option.changes:
        return "deny"
    if sum(bool(other.changes) for other in ask.options) == 1:
        return "affirm"
    named = {
        "booking_change": "reschedule_booking",
        "booking_cancel": "cancel_booking",
        "booking_new": "book_appointment",
    }
    return named.get(ask.kind) or ask.intent or "affirm"


# -- what the shop asked -------------------------------------------------------------------------------------------


def _of_shop(core: str, body: str, facts: Facts, open_choice: OpenQuestion | None) -> Iterator[Match]:
    """Surveys by their rating, booking texts and contests by a yes, preferences by one of their words."""
    # While a choice is open, a yes is meant for that; Rasa's reading of it says which.
    yes = core in YES and (open_choice is None or open_choice.kind == "clarify")
    for question in facts.questions:
        late = question.expires_at is not None and question.expires_at < facts.now
        match question.kind:
            case "survey":
                found = _of_survey(question, body, late)
            case "booking":
                found = _of_booking(question, facts, late) if yes else None
            case "contest":
                found = _of_contest(question, late) if yes else None
            case "preference":
                found = _of_preference(question, body, facts, late)
            case _:
                found = None
        if found is not None:
            yield found


def _of_survey(question: OpenQuestion, body: str, late: bool) -> Match | None:
    scale = int(question.payload.get("scale", surveys.CSAT))
    rating = surveys.read_rating(body, scale)
    if rating is None:
        return None
    values = surveys.answer_rating(rating, question.id, late)
    return Match(
        question,
        str(rating.score),
        "give_rating",
        about=str(question.payload.get("product") or "Recommending us to others"),
        changes=[value for value in values if isinstance(value, RecordRating)],
        says=[value.text for value in values if isinstance(value, Say)],
        hand_over=next((value for value in values if isinstance(value, HandOver)), None),
        late=late,
    )


def _of_booking(question: OpenQuestion, facts: Facts, late: bool) -> Match | None:
    booking = next((item for item in facts.bookings if item.id == question.booking_id), None)
    if booking is None:
        return None
    words = f"{booking.service} on {bookings.when_words(booking.starts_at, facts.shop.zone, facts.now)}"
    return Match(
        question,
        "yes",
        "confirm_booking",
        about=f"Your {words}",
        changes=[Confirm(booking_id=booking.id, expected_start=booking.starts_at)],
        says=[f"Thank you, your {words} is confirmed."],
        late=late,
    )


def _of_contest(question: OpenQuestion, late: bool) -> Match:
    keyword = str(question.payload["contest"])
    return Match(
        question, "yes", "join_contest", about=f"The contest {keyword}", intent="join_contest", slots={}, late=late
    )


def _of_preference(question: OpenQuestion, body: str, facts: Facts, late: bool) -> Match | None:
    preference = facts.shop.content.preference(str(question.payload["preference"]))
    choice = preferences.read_choice(body, preference) if preference is not None else None
    if preference is None or choice is None:
        return None
    return Match(
        question,
        choice,
        "state_preference",
        about=preference.question,
        intent="state_preference",
        slots={},
        late=late,
    )
