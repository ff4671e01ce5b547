"""Texts for both sides, no two alike within one run: phrases put together by number, the same ones in every run."""

import math
import random
from collections.abc import Sequence
from datetime import date

from bot.errors import BotError

#: So many contacts text in turns; each has an appointment, so the shipped shop's calendar bounds it.
PEOPLE = 48
#: Any number: two runs are to ask the same.
SEED = 20261124

_OPENINGS = (
    "",
    "hi, ",
    "hello, ",
    "hey, ",
    "hi there, ",
    "good morning, ",
    "good evening, ",
    "hello again, ",
    "sorry, ",
)
_ASKS = (
    "can you move my appointment to",
    "can i move my appointment to",
    "could you move my appointment to",
    "could we move my appointment to",
    "can you reschedule my appointment to",
    "could i reschedule my appointment to",
    "can i change my appointment to",
    "could you change my appointment to",
    "can we push my appointment to",
    "could you push my appointment to",
    "can you move my booking to",
    "could you reschedule my booking to",
)
_DATES = ("{month} {day}", "{month} {day}{th}", "the {day}{th} of {month}", "{weekday} {month} {day}")
_TIMES = (
    "",
    " at 11",
    " at 1pm",
    " at 2pm",
    " at 2:30",
    " at 3pm",
    " in the afternoon",
    " in the morning",
    " after 1pm",
)
_TAILS = ("", " please", " instead", " instead please", ", would that work", ", is that ok", ", thanks")

_GREETINGS = ("hey", "hello", "hi", "hello there", "good morning", "good evening", "good afternoon", "hey there")
_FEELINGS = ("sad", "unhappy", "disappointed", "not good", "not very good", "great", "amazing", "wonderful", "perfect")
_ANSWERS = (
    "yes",
    "indeed",
    "of course",
    "that sounds good",
    "correct",
    "no",
    "never",
    "not really",
    "no way",
    "i don't think so",
)
_NAMES = (
    "",
    " ann",
    " bob",
    " carla",
    " deniz",
    " ella",
    " femi",
    " grace",
    " hugo",
    " ines",
    " jamal",
    " kaya",
    " leo",
    " mona",
    " noah",
)
_DEGREES = ("", "so ", "very ", "super ", "extremely ", "really ", "pretty ", "quite ", "just ")
_SUBJECTS = (
    "i am ",
    "i'm ",
    "i feel ",
    "today i am ",
    "today i feel ",
    "right now i am ",
    "honestly i am ",
    "well i am ",
)
_SINCE = ("", " today", " this morning", " this week", " right now", " again", " at work", " at home", " these days")
_ENDS = ("", "!", ".", " :)", "!!", " ...", " ok", " you know", " my friend", " dear bot")
#: The three turns of the stories `rasa init` writes: a greeting, how one feels, an answer to "Did that help you?".
_STORY = (
    (_GREETINGS, _NAMES, _ENDS, (", nice to see you", "", ", it is me", ", how are you", ", hope you are well")),
    (_SUBJECTS, _DEGREES, _FEELINGS, _SINCE),
    (_ANSWERS, _NAMES, _ENDS, ("", ", thanks", ", really", ", i mean it", ", believe me")),
)


def reschedules(count: int, days: Sequence[date]) -> list[str]:
    """Wishes to move one's only booking, each a question and each to another of these days than the text before.

    A question never picks one of the times offered before, so that every text makes the engine look for free times and
    hold them. Raises BotError where so many cannot be made.
    """
    parts = (_OPENINGS, _ASKS, _DATES, _TIMES, _TAILS)
    texts = []
    for number, (opening, ask, form, clock, tail) in enumerate(_distinct(parts, count)):
        texts.append(f"{opening}{ask} {_date(form, days[number % len(days)])}{clock}{tail}?")
    return texts


def smalltalk(count: int) -> list[str]:
    """What the bot of `rasa init` is made for; text n is for person n % PEOPLE, and each goes through its stories.

    Raises BotError where so many cannot be made.
    """
    rounds = math.ceil(count / PEOPLE / len(_STORY)) * PEOPLE
    turns = [["".join(parts) for parts in _distinct(kind, rounds)] for kind in _STORY]
    return [turns[number // PEOPLE % len(_STORY)].pop() for number in range(count)]


def _distinct(parts: Sequence[Sequence[str]], count: int) -> list[tuple[str, ...]]:
    """So many different choices of one phrase of each part."""
    total = math.prod(map(len, parts))
    if count > total:
        raise BotError(f"only {total} different texts can be made of these phrases, not {count}; ask for fewer --texts")
    chosen = []
    for number in random.Random(SEED).sample(range(total), count):  # noqa: S311  # no secret
        choice = []
        for phrases in parts:
            number, place = divmod(number, len(phrases))
            choice.append(phrases[place])
        chosen.append(tuple(choice))
    return chosen


def _date(form: str, day: date) -> str:
    th = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10 if day.day not in (11, 12, 13) else 0, "th")
    return form.format(month=f"{day:%B}", day=day.day, th=th, weekday=f"{day:%A}")
