"""What a decision is made of: plain values that one step carries out; nothing here touches a database or a network.

Actions and the functions of bot/shop and bot/outreach return these. The engine says, asks, changes and hands over in
the one transaction that ends the turn. An action sends a value through Rasa as `{"parley": {...}}` in a custom payload.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

TicketReason = Literal[
    "asked_for_person",
    "unclear",
    "out_of_scope",
    "complaint",
    "serious_matter",
    "bad_rating",
    "failed_action",
    "engine_down",
    "agent_took_over",
]


class Frozen(BaseModel):
    """A value: compared by content, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def payload(self) -> dict[str, Any]:
        """This value as the JSON an action puts in a custom payload."""
        return {"parley": self.model_dump(mode="json")}


class Span(Frozen):
    """A stretch of one resource's time, `start` inclusive, `end` exclusive, aware."""

    resource_id: int
    start: AwareDatetime
    end: AwareDatetime


# -- changes: what a turn does to the shop's rows ------------------------------------------------------------------


class Proposed(Frozen):
    """One change a turn proposes; the transaction that ends the turn re-checks it and carries it out."""

    type: Literal["change"] = "change"


# bookings


class Hold(Proposed):
    """Keep these spans for the contact while they choose; replaces what they held for this booking before.

    `booking_id` is None while a new booking is being chosen.
    """

    kind: Literal["booking.held"] = "booking.held"
    booking_id: UUID | None
    spans: list[Span]
    until: AwareDatetime


class Book(Proposed):
    """Book a service (key of shop.yml) at this span; refused where somebody else has the time."""

    kind: Literal["booking.created"] = "booking.created"
    service: str
    to: Span


class Reschedule(Proposed):
    """Move a booking; refused as stale unless it still starts at `expected_start` and the new span is free.

    `restores` takes back a cancellation: the booking must be cancelled, and is booked again at `to`.
    """

    kind: Literal["booking.rescheduled"] = "booking.rescheduled"
    booking_id: UUID
    expected_start: AwareDatetime
    to: Span
    restores: bool = False


class Cancel(Proposed):
    """Cancel a booking; refused as stale unless it still starts at `expected_start`."""

    kind: Literal["booking.cancelled"] = "booking.cancelled"
    booking_id: UUID
    expected_start: AwareDatetime


class Confirm(Proposed):
    """Mark a booking as confirmed by the contact."""

    kind: Literal["booking.confirmed"] = "booking.confirmed"
    booking_id: UUID
    expected_start: AwareDatetime


class Unconfirm(Proposed):
    """Take a confirmation back."""

    kind: Literal["booking.unconfirmed"] = "booking.unconfirmed"
    booking_id: UUID
    expected_start: AwareDatetime


class JoinWaitlist(Proposed):
    """Put the contact on the list for a service (key) within a stretch of time; `booking_id` is what would move."""

    kind: Literal["waitlist.joined"] = "waitlist.joined"
    service: str
    location_id: int | None = None
    booking_id: UUID | None = None
    wanted_from: AwareDatetime
    wanted_to: AwareDatetime


class LeaveWaitlist(Proposed):
    """Take the contact off the list again."""

    kind: Literal["waitlist.left"] = "waitlist.left"
    waitlist_id: UUID


# orders


class ChangeAddress(Proposed):
    """Send an order elsewhere; refused as stale once it is shipped or its address is not `expected` any more."""

    kind: Literal["order.address_changed"] = "order.address_changed"
    order_id: UUID
    expected: str | None
    address: str


class CancelOrder(Proposed):
    """Cancel an order; refused as stale once it is shipped."""

    kind: Literal["order.cancelled"] = "order.cancelled"
    order_id: UUID


class RestoreOrder(Proposed):
    """Take back the cancellation of an order, to the state it had."""

    kind: Literal["order.restored"] = "order.restored"
    order_id: UUID
    status: Literal["placed", "packed"]


class RequestExchange(Proposed):
    """Ask to swap an item (its position in the order, from 0) for another size or colour that is in stock."""

    kind: Literal["order.exchange_requested"] = "order.exchange_requested"
    order_id: UUID
    item: int
    size: str | None = None
    color: str | None = None


class RequestReturn(Proposed):
    """Ask to send an item (its position in the order, from 0) back."""

    kind: Literal["order.return_requested"] = "order.return_requested"
    order_id: UUID
    item: int
    reason: str | None = None


class WithdrawRequest(Proposed):
    """Take an exchange or return back before anybody acted on it."""

    kind: Literal["order.request_withdrawn"] = "order.request_withdrawn"
    request_id: UUID


class ProveOrder(Proposed):
    """The contact named the order's postcode or email, so it may be shown to this number from now on."""

    kind: Literal["order.proven"] = "order.proven"
    order_id: UUID
    by: Literal["postcode", "email"]


# ratings, contests, profile


class RecordRating(Proposed):
    """Keep a rating; `question_id` is the survey it answers, None where nobody asked."""

    kind: Literal["rating.recorded"] = "rating.recorded"
    score: int
    scale: int
    comment: str | None = None
    question_id: UUID | None = None
    late: bool = False


class WithdrawRating(Proposed):
    """Take a rating back."""

    kind: Literal["rating.withdrawn"] = "rating.withdrawn"
    rating_id: UUID


class EnterContest(Proposed):
    """Enter a contest (its keyword); entering twice leaves one entry."""

    kind: Literal["contest.entered"] = "contest.entered"
    contest: str


class LeaveContest(Proposed):
    """Leave a contest (its keyword)."""

    kind: Literal["contest.left"] = "contest.left"
    contest: str


class SetPreference(Proposed):
    """Keep what the contact prefers under a preference's key; None forgets it."""

    kind: Literal["preference.set"] = "preference.set"
    key: str
    value: str | None


class SetProfile(Proposed):
    """Keep a fact the contact told of themselves; None forgets it."""

    kind: Literal["profile.set"] = "profile.set"
    field: Literal["name", "email", "postcode", "address"]
    value: str | None


class IssueCode(Proposed):
    """Give the contact this single-use code of a list; refused as stale where somebody else got it first."""

    kind: Literal["code.issued"] = "code.issued"
    pool: str
    code: str


Change = Annotated[
    Hold
    | Book
    | Reschedule
    | Cancel
    | Confirm
    | Unconfirm
    | JoinWaitlist
    | LeaveWaitlist
    | ChangeAddress
    | CancelOrder
    | RestoreOrder
    | RequestExchange
    | RequestReturn
    | WithdrawRequest
    | ProveOrder
    | RecordRating
    | WithdrawRating
    | EnterContest
    | LeaveContest
    | SetPreference
    | SetProfile
    | IssueCode,
    Field(discriminator="kind"),
]


# -- everything else a turn can come to ----------------------------------------------------------------------------


class Say(Frozen):
    """Text to the contact, at most 1,600 characters."""

    type: Literal["say"] = "say"
    text: str


class Option(Frozen):
    """One numbered choice of a question: what choosing it changes and says, or which reading it settles.

    `slots` are details it settles, for the reading that goes on with them.
    """

    label: str
    words: list[str] = []
    changes: list[Change] = []
    say: str | None = None
    intent: str | None = None
    slots: dict[str, Any] = {}


AskKind = Literal["booking_change", "booking_cancel", "booking_new", "order_change", "details", "identify", "clarify"]


class Ask(Frozen):
    """A question that stays open until answered, replaced or dismissed: a numbered choice, a missing detail, or both.

    `reminder` is the short line that brings the contact back to it after a question in between. `intent` is the reading
    that goes on once the detail called `wants` (see bot.shop.details) is told, with `slots` as known so far.
    """

    type: Literal["ask"] = "ask"
    kind: AskKind
    options: list[Option] = []
    reminder: str
    booking_id: UUID | None = None
    intent: str | None = None
    slots: dict[str, Any] = {}
    wants: str | None = None


class Answer(Frozen):
    """The contact chose this option (counted from 1) of the open question, in words."""

    type: Literal["answer"] = "answer"
    option: int


class Dismiss(Frozen):
    """The open question of the dialogue is closed and what was held for it is free again."""

    type: Literal["dismiss"] = "dismiss"


class HandOver(Frozen):
    """A person is needed; the engine opens the ticket and tells the contact when somebody answers."""

    type: Literal["hand_over"] = "hand_over"
    reason: TicketReason
    note: str = ""


class Unclear(Frozen):
    """One rung of the ladder: the text was not understood, or was understood and is nothing the shop does by text."""

    type: Literal["unclear"] = "unclear"
    kind: Literal["unclear", "out_of_scope"] = "unclear"


class Undo(Frozen):
    """Take back what the last change did, where that was within ten minutes; the engine knows what it was."""

    type: Literal["undo"] = "undo"


class OptOut(Frozen):
    """The text asks, in free words, for no more texts; `sure` False where the words could mean something else."""

    type: Literal["opt_out"] = "opt_out"
    sure: bool = True


Value = Say | Ask | Answer | Dismiss | HandOver | Unclear | Undo | OptOut | Change

_SPOKEN: TypeAdapter[Value] = TypeAdapter(
    Annotated[Say | Ask | Answer | Dismiss | HandOver | Unclear | Undo | OptOut, Field(discriminator="type")]
)
_CHANGE: TypeAdapter[Value] = TypeAdapter(Change)


def parse_value(payload: dict[str, Any]) -> Value:
    """The value inside a custom payload made by `payload()`. Raises ValueError where it is none of ours."""
    raw = payload.get("parley")
    if not isinstance(raw, dict):
        raise ValueError("a custom payload of an action is not one of bot.values")
    return (_CHANGE if raw.get("type") == "change" else _SPOKEN).validate_python(raw)


# -- what became of it ---------------------------------------------------------------------------------------------


class Changed(Frozen):
    """One effect as logged: its kind, the thing's public reference, and the fields before and after (JSON)."""

    kind: str
    ref: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class ShopText(Frozen):
    """A text the business starts: its words, what it is for, and what it waits for.

    `asks` are the words it invites (upper case); `question` opens with it.
    """

    name: str
    text: str
    purpose: Literal["transactional", "marketing"] = "transactional"
    asks: list[str] = []
    booking_id: UUID | None = None
    question_kind: Literal["survey", "booking", "contest", "preference"] | None = None
    question: dict[str, Any] = {}


def at(moment: datetime) -> str:
    """An instant as ISO 8601 in UTC, for effects and logs."""
    return moment.astimezone(UTC).isoformat()
