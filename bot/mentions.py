"""What a text names of the shop's own, and what of it people are shown; what the model reads comes from Rasa."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bot.facts import Facts
from bot.outreach import preferences, surveys
from bot.shop import catalogue, details

#: Requests about things that have sizes: there a bare "9" is one.
_ABOUT_SIZES = ("exchange_item", "ask_product")


class _Named(NamedTuple):
    """A thing as its names are looked for: all kinds at once, so that the longest name wins over any other."""

    key: str
    names: Sequence[str]


def find(words: str, known: Facts) -> list[dict[str, Any]]:
    """What of the shop's own is named in the words, each by its key; that changes daily, models do not.

    `start` and `end` (characters, `end` exclusive) are where the words name it; a preference has no one place. A `kind`
    is what several products may be: "heels".
    """
    named = [_Named(f"{thing.entity}:{thing.key}", thing.names) for thing in known.things]
    named += [_Named(f"kind:{kind}", (kind,)) for kind in _kinds(known)]
    found = [(mention.key.split(":", 1), mention) for mention in catalogue.find_mentions(words, named)]
    liked = [preferences.read_liking(words, preference) for preference in known.shop.content.preferences]
    return [
        *({"entity": kind, "value": key, "start": each.start, "end": each.end} for (kind, key), each in found),
        *({"entity": "preference", "value": value} for value in liked if value is not None),
    ]


def _kinds(known: Facts) -> list[str]:
    """The last words of products' names of two words and more, where no product has that word for a name."""
    products = [thing for thing in known.things if thing.entity == "product"]
    names = {name.casefold() for thing in products for name in thing.names}
    kinds = {thing.names[0].split()[-1].casefold() for thing in products if " " in thing.names[0].strip()}
    return sorted(kinds - names)


def told(
    words: str, mentions: Sequence[dict[str, Any]], intent: str | None, entities: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """What is named in the words, for people to see: in the contact's own words where they stand, and once a place.

    `entities` are the model's. A taste and a score are only told where the text is about them: "nova heels" names a
    product, "2" may be a time.
    """
    about_taste = intent == "state_preference"
    own = [
        {**item, "entity": "product" if item["entity"] == "kind" else item["entity"]}
        for item in mentions
        if "start" in item and not (about_taste and item["entity"] == "kind")
    ]
    sizes = details.sizes(words) if intent in _ABOUT_SIZES else []
    own += [{"entity": "size", "start": start, "end": end} for start, end in sizes]
    found: list[dict[str, Any]] = list(entities)
    for item in own:
        if not any(_overlap(item, other) for other in found if other["entity"] == item["entity"]):
            found.append({**item, "value": words[item["start"] : item["end"]]})
    tastes = [item for item in mentions if item["entity"] == "preference" and about_taste]
    return [*found, *tastes, *(_rating(words) if intent == "give_rating" else [])]


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["start"] < other["end"] and other["start"] < one["end"])


def _rating(words: str) -> list[dict[str, Any]]:
    """The score named in the words, on either scale."""
    for scale in (surveys.CSAT, surveys.NPS):
        if (rating := surveys.spot_rating(words, scale)) is not None:
            return [{"entity": "rating", "value": rating.score}]
    return []
