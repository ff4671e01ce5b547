"""The port to whoever carries texts: send one, ask what became of one; it knows no vendor and no table."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class Media:
    """A picture or file that came with a text, still at the carrier."""

    url: str
    content_type: str


@dataclass(frozen=True)
class InboundText:
    """A text as the carrier delivered it; numbers in E.164, `opt_out_type` what the carrier already did with it.

    `received_at` is when the carrier had it, where that is not now: texts taken from its list afterwards.
    """

    carrier_id: str
    sender: str
    recipient: str
    body: str
    media: list[Media] = field(default_factory=list)
    opt_out_type: str | None = None
    received_at: datetime | None = None


@dataclass(frozen=True)
class ReceiptReport:
    """A delivery status in our words (see bot.tables.RANK); `message_id` is ours, from the callback address."""

    carrier_id: str
    status: str
    error_code: str | None
    message_id: UUID | None


@dataclass(frozen=True)
class Outgoing:
    """A text to hand over; `callback_url` carries our message id so that a receipt can settle an unknown outcome."""

    message_id: UUID
    sender: str
    recipient: str
    body: str
    callback_url: str
    valid_for_seconds: int


@dataclass(frozen=True)
class Accepted:
    """The carrier took the text under this id."""

    carrier_id: str


@dataclass(frozen=True)
class Lookup:
    """What the carrier's own log says of a text: its id, or proof that it never arrived, or neither."""

    carrier_id: str | None
    never_arrived: bool


class Carrier(Protocol):
    """What the sender needs of a carrier."""

    async def send(self, outgoing: Outgoing) -> Accepted:
        """Hand one text over. Raises the CarrierError that says whether to try again."""
        ...

    async def find(self, outgoing: Outgoing, asked_at: datetime, known: Collection[str] = ()) -> Lookup:
        """Look in the carrier's log for a text whose outcome is unknown; `asked_at` is when it was handed over.

        `known` are the carrier's ids of other texts, which this one must not be taken for. Raises CarrierError where
        the log cannot be read.
        """
        ...

    async def received_since(self, recipient: str, since: datetime) -> list[InboundText]:
        """Every text the carrier received for this number of ours since an instant, oldest first.

        Raises CarrierError where the list cannot be read to its end.
        """
        ...
