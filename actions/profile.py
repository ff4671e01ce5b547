"""What contacts tell of themselves: name, email, postcode, address."""

import re
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.shop import details
from bot.values import Say, SetProfile, Value

_NAME = re.compile(
    r"\b(?:my name(?: is|'s)|name is|name:|call me|i am called|i'm called|name to|i go by)\s+"
    r"(?P<name>[^\W\d_][\w'.-]*(?:\s+[^\W\d_][\w'.-]*){0,3})",
    re.IGNORECASE,
)
#: A name ends where the sentence goes on.
_NOT_NAME = re.compile(
    r"\s+(?:and|but|not|please|pls|thanks|thank|now|my|instead|from|with|if|so|when)\b.*$", re.IGNORECASE
)
_ADDRESS = re.compile(
    r"\b(?:address(?: is|'s|:)?(?: now)?(?: to)?|live (?:at|in|on)|living at|moved to|moving to)\s+(?P<address>\S.*)$",
    re.IGNORECASE | re.DOTALL,
)
_EMAIL = re.compile(r"\S+@\S+")
#: "Call me back" tells no name.
_NO_NAMES = frozenset(["back", "at", "later", "when", "now", "please", "tomorrow", "on", "if", "a", "an", "the", "not"])
MAX_NAME = 60
NOTHING = 'What should I note? Text it in a sentence, such as "my email is ann@example.com".'


class Profile(ShopAction):
    """Keeps what the contact told of themselves."""

    called = "action_profile"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """One change for each fact told, and what was noted."""
        told = read(turn)
        if not told:
            return [Say(text=NOTHING)]
        noted = ", ".join(f"{change.field} {change.value}" for change in told)
        orders = " Orders under way still go where they were going." if any(c.field == "address" for c in told) else ""
        return [*told, Say(text=f"Thank you, noted: {noted}.{orders}")]


def read(turn: Turn) -> list[SetProfile]:
    """The facts in the text, each at most once; a postcode inside an address belongs to that."""
    text = turn.text.replace("\u2019", "'")
    email = details.email(text)
    rest = _EMAIL.sub(" ", text)
    found = {"name": _name(turn, rest), "email": email, "address": _address(turn, rest)}
    if found["address"] is None:
        found["postcode"] = details.postcode(rest)
    return [SetProfile.model_validate({"field": field, "value": value}) for field, value in found.items() if value]


def _name(turn: Turn, text: str) -> str | None:
    """A name as it may stand in a greeting: letters, at most four words."""
    said = _NAME.search(text)
    name = _NOT_NAME.sub("", said["name"]) if said else turn.entity("name")
    if name is None or not re.fullmatch(r"[^\W\d_][^\W\d_'. -]*(?:[\s'.-]+[^\W\d_]+)*[.]?", name):
        return None
    if name.split()[0].casefold() in _NO_NAMES:
        return None
    name = " ".join(name.split()).strip(" .-")[:MAX_NAME]
    return name.title() if name.islower() else name


def _address(turn: Turn, text: str) -> str | None:
    said = _ADDRESS.search(text)
    return details.address(said["address"] if said else turn.entity("address") or "")
