"""Tells whether one text holds two requests ("where is my order? and move my booking to friday"); it reads no model.

A text is cut where people cut (sentence ends, "also", "and can you"), and the cut stands only where the model is sure
that the pieces are different things: a cut too many costs one reading, a cut taken wrongly would cost an answer.
"""

import re
from collections.abc import Sequence

from bot.rasa_client import Reading

#: A piece must be read this surely to count as a request of its own.
SURE = 0.75
#: More than this in one text and a person is needed anyway.
MOST = 3
_CUT = re.compile(
    r"(?<=[.?!;])\s+|\n+|,?\s+(?:and\s+also|also|plus|btw|by the way|oh and|and\s+(?=(?:can|could|what|where|when|how|"
    r"is|do|does|please|pls|i\s+(?:need|want|would|also)|id like|i'd like|change|cancel|move|ship|send)\b))\s*,?",
    re.IGNORECASE,
)
#: Readings that ask for something; the others colour a request or answer one.
_FAMILY = {
    **dict.fromkeys(["reschedule_booking", "cancel_booking", "book_appointment", "confirm_booking"], "booking"),
    **dict.fromkeys(["change_address", "cancel_order", "exchange_item", "return_item"], "order"),
    **{
        name: name
        for name in (
            *("order_status", "ask_product", "ask_hours", "ask_location", "ask_shipping", "ask_returns"),
            *("ask_payment", "ask_privacy", "ask_shop", "ask_discount", "join_contest", "leave_contest"),
            *("state_preference", "serious_matter", "opt_out"),
        )
    },
}


def cut(texts: Sequence[str]) -> list[str]:
    """The pieces of a turn's texts, in order; one piece where nothing can be cut."""
    pieces = [piece.strip(" ,;") for text in texts for piece in _CUT.split(text)]
    return [piece for piece in pieces if re.search(r"\w", piece)]


def several(pieces: Sequence[str], readings: Sequence[Reading]) -> list[str]:
    """The requests among the pieces, each with what belongs to it; empty where they are one request after all."""
    requests: list[str] = []
    families: list[str] = []
    lead: list[str] = []
    for piece, reading in zip(pieces, readings, strict=True):
        family = _FAMILY.get(reading.intent or "") if reading.confidence >= SURE else None
        if family is None or (families and family == families[-1]):
            if requests:
                requests[-1] = f"{requests[-1]} {piece}"
            else:
                lead.append(piece)
        elif family in families:
            return []  # back and forth between the same two things is one thought
        else:
            requests.append(" ".join([*lead, piece]))
            families.append(family)
            lead = []
    return requests if 2 <= len(requests) <= MOST else []
