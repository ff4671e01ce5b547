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


class Hold(Frozen):
    """Keep these spans for the contact while they choose; replaces what they held for this booking before."""

    type: Literal["change"] = "change"
    kind: Literal["booking.held"] = "booking.held"
    booking_id: UUID
    spans: list[Span]
    until: AwareDatetime


class Reschedule(Frozen):
    """Move a booking; refused as stale unless it still starts at `expected_start` and the new span is free.

    `restores` takes back a cancellation: the booking must be cancelled, and is booked again at `to`.
    """

    type: Literal["change"] = "change"
    kind: Literal["booking.rescheduled"] = "booking.rescheduled"
    booking_id: UUID
    expected_start: AwareDatetime
    to: Span
    restores: bool = False


class Cancel(Frozen):
    """Cancel a booking; refused as stale unless it still starts at `expected_start`."""

    type: Literal["change"] = "change"
    kind: Literal["booking.cancelled"] = "booking.cancelled"
    booking_id: UUID
    expected_start: AwareDatetime


class Confirm(Frozen):
    """Mark a booking as confirmed by the contact."""

    type: Literal["change"] = "change"
    kind: Literal["booking.confirmed"] = "booking.confirmed"
    booking_id: UUID
    expected_start: AwareDatetime


class RecordRating(Frozen):
    """Keep a rating; `question_id` is the survey it answers, None where nobody asked."""

    type: Literal["change"] = "change"
    kind: Literal["rating.recorded"] = "rating.recorded"
    score: int
    scale: int
    comment: str | None = None
    question_id: UUID | None = None
    late: bool = False


Change = Annotated[Hold | Reschedule | Cancel | Confirm | RecordRating, Field(discriminator="kind")]


# -- everything else a turn can come to ----------------------------------------------------------------------------


class Say(Frozen):
    """Text to the contact, at most 1,600 characters."""

    type: Literal["say"] = "say"
    text: str


class Option(Frozen):
    """One numbered choice of a question: what choosing it changes and says, or which reading it settles."""

    label: str
    words: list[str] = []
    changes: list[Change] = []
    say: str | None = None
    intent: str | None = None


class Ask(Frozen):
    """A numbered question that stays open until answered, replaced or dismissed.

    `reminder` is the short line that brings the contact back to it after a question in between.
    """

    type: Literal["ask"] = "ask"
    kind: Literal["booking_change", "booking_cancel", "clarify"]
    options: list[Option]
    reminder: str
    booking_id: UUID | None = None


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


class OptOut(Frozen):
    """The text asks, in free words, for no more texts; `sure` False where the words could mean something else."""

    type: Literal["opt_out"] = "opt_out"
    sure: bool = True


Value = Say | Ask | Answer | Dismiss | HandOver | Unclear | OptOut | Hold | Reschedule | Cancel | Confirm | RecordRating


def _kind(raw: Any) -> str:
    name = raw.get("kind") if isinstance(raw, dict) and raw.get("type") == "change" else None
    return str(name or (raw.get("type") if isinstance(raw, dict) else None))


_BY_NAME: dict[str, TypeAdapter[Any]] = {
    "say": TypeAdapter(Say),
    "ask": TypeAdapter(Ask),
    "answer": TypeAdapter(Answer),
    "dismiss": TypeAdapter(Dismiss),
    "hand_over": TypeAdapter(HandOver),
    "unclear": TypeAdapter(Unclear),
    "opt_out": TypeAdapter(OptOut),
    "booking.held": TypeAdapter(Hold),
    "booking.rescheduled": TypeAdapter(Reschedule),
    "booking.cancelled": TypeAdapter(Cancel),
    "booking.confirmed": TypeAdapter(Confirm),
    "rating.recorded": TypeAdapter(RecordRating),
}


def parse_value(payload: dict[str, Any]) -> Value:
    """The value inside a custom payload made by `payload()`. Raises ValueError where it is none of ours."""
    raw = payload.get("parley")
    adapter = _BY_NAME.get(_kind(raw))
    if adapter is None:
        raise ValueError("a custom payload of an action is not one of bot.values")
    value: Value = adapter.validate_python(raw)
    return value


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
    question_kind: Literal["survey", "booking"] | None = None
    question: dict[str, Any] = {}


def at(moment: datetime) -> str:
    """An instant as ISO 8601 in UTC, for effects and logs."""
    return moment.astimezone(UTC).isoformat()
