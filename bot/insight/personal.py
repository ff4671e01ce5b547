"""Finds what says who somebody is in a text, and puts another in its place, so that it can be training data.

Training data is kept, copied and shared; a contact's number, address or order has no business in it. What looks like
one is replaced whether it is one or not; a name is known only where the contact's profile has it.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from phonenumbers import Leniency, PhoneNumberMatcher

#: What stands in for each kind. None belongs to anybody: 555-01xx is kept free for fiction, example.com by RFC 2606.
PHONE: Final = "202-555-0142"
EMAIL: Final = "sam@example.com"
LINK: Final = "example.com/a"
ADDRESS: Final = "12 Oak Street"
NAME: Final = "Sam"
POSTCODE: Final = "M5V 2T6"
GROUPED: Final = "2847-5193-6062"
LETTERED: Final = "AB284751936"
#: A number keeps its length.
_DIGITS: Final = "284751936062"

_EMAIL = re.compile(r"[^\s@<>()\[\]]+@[^\s@<>()\[\]]+\.\w+", re.ASCII)
_LINK = re.compile(r"(?:https?://|www\.)\S+|\b(?:[a-z0-9-]+\.)+[a-z]{2,}/\S+", re.IGNORECASE)
#: Seven digits or more in groups, which phonenumbers does not take for a number: a card, an account, a number abroad.
_GROUPED = re.compile(r"(?<![\w$£€.])\+?\(?\d(?:[ ().-]{0,2}\d){6,}(?!\w)")
_STREETS = (
    "street|st|str|avenue|ave|av|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|place|pl|way|terrace|ter|circle|cir|"
    "parkway|pkwy|highway|hwy|square|sq|plaza|alley|broadway|trail|loop|row|turnpike|pike"
)
_ADDRESS = re.compile(
    r"(?<![\w$:/.#-])\d{1,6}[a-z]?(?:-\d{1,5})?\s+(?!(?:a|an|all|and|at|by|for|in|is|of|on|or|out|the|to)\b)"
    rf"(?:[^\W\d][\w.'-]{{0,20}}\s+){{1,4}}?(?:{_STREETS})\b\.?"
    r"(?:,?\s+(?:apt|apartment|unit|suite|ste|floor|fl|room|rm)\b\.?\s*#?\w{1,6})?",
    re.IGNORECASE,
)
#: Postcodes of Canada and the United Kingdom; those of the United States are digits.
_POSTCODE = re.compile(r"\b(?:[a-z]\d[a-z] ?\d[a-z]\d|[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2})\b", re.IGNORECASE)
#: Letters and digits in one, as carriers name parcels.
_LETTERED_ID = re.compile(r"\b(?=\w*[a-z])(?=(?:\w*\d){4})[a-z0-9]{8,}\b", re.IGNORECASE)
#: An order or any other number of four digits or more; a year, a price and a time (1030am) say nothing of anybody.
_NUMBER = re.compile(r"(?<![\d$£€.,:])(?!(?:19|20)\d\d(?!\d))\d{4,}(?!\d|[.,:]\d|\s?[ap]\.?m\b)", re.IGNORECASE)
#: What already stands in for something stays.
_OURS = re.compile(
    "|".join(
        rf"(?<!\w){re.escape(each)}(?!\w)" for each in (PHONE, EMAIL, LINK, ADDRESS, NAME, POSTCODE, GROUPED, LETTERED)
    )
)
_MARK = "\0"
_SHORTEST_PHONE = 7
#: A name shorter than this is a word too often.
_SHORTEST_NAME = 3


class Found(NamedTuple):
    """One thing that says who somebody is, what kind it is in words, and what may stand there instead."""

    kind: str
    words: str
    instead: str


def find(text: str, names: Sequence[str] = ()) -> list[Found]:
    """What a text says of somebody, by kind; `names` are those of its contact, as their profile has them."""
    return _replace(text, names)[1]


def without(text: str, names: Sequence[str] = ()) -> str:
    """The text with other numbers, addresses and names in the place of these; finding in it finds nothing."""
    return _replace(text, names)[0]


def _replace(text: str, names: Sequence[str]) -> tuple[str, list[Found]]:
    """What is settled is set aside behind a mark, so that no later pattern sees it, and put back in the end."""
    found: list[Found] = []
    aside: list[str] = []
    text = text.replace(_MARK, "")

    def put_aside(words: str) -> str:
        aside.append(words)
        return f"{_MARK}{len(aside) - 1}{_MARK}"

    def each(pattern: re.Pattern[str], kind: str, instead: str | None) -> None:
        """`instead` None keeps the length of a number."""
        nonlocal text

        def one(match: re.Match[str]) -> str:
            other = instead if instead is not None else (_DIGITS * len(match[0]))[: len(match[0])]
            if match[0] != other:
                found.append(Found(kind, match[0], other))
            return put_aside(other)

        text = pattern.sub(one, text)

    text = _OURS.sub(lambda match: put_aside(match[0]), text)
    each(_LINK, "a link", LINK)
    each(_EMAIL, "an email address", EMAIL)
    each(_LETTERED_ID, "a number", LETTERED)
    for raw in [match.raw_string for match in PhoneNumberMatcher(text, "US", leniency=Leniency.POSSIBLE)]:
        if sum(char.isdigit() for char in raw) >= _SHORTEST_PHONE:
            each(re.compile(re.escape(raw)), "a phone number", PHONE)
    each(_GROUPED, "a number", GROUPED)
    each(_ADDRESS, "an address", ADDRESS)
    each(_POSTCODE, "a postcode", POSTCODE)
    each(_NUMBER, "a number", None)
    parts = sorted({part for name in names for part in name.split() if len(part) >= _SHORTEST_NAME}, key=len)
    if parts:
        named = "|".join(re.escape(part) for part in reversed(parts))
        each(re.compile(rf"\b(?:{named})(?:\s+(?:{named}))*\b", re.IGNORECASE), "a name", NAME)
    return re.sub(f"{_MARK}(\\d+){_MARK}", lambda match: aside[int(match[1])], text), found
