"""Values survive the way through Rasa's custom payloads."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from bot.values import (
    Answer,
    Ask,
    Cancel,
    Confirm,
    Dismiss,
    HandOver,
    Hold,
    Option,
    OptOut,
    RecordRating,
    Reschedule,
    Span,
    Unclear,
    Value,
    parse_value,
)

ID = UUID(int=7)
START = datetime(2026, 12, 1, 20, 0, tzinfo=UTC)
SPAN = Span(resource_id=1, start=START, end=START.replace(hour=21))
MOVE = Reschedule(booking_id=ID, expected_start=START, to=SPAN)


@pytest.mark.parametrize(
    "value",
    [
        Answer(option=2),
        Ask(kind="booking_change", options=[Option(label="1", changes=[MOVE])], reminder="Reply 1.", booking_id=ID),
        Cancel(booking_id=ID, expected_start=START),
        Confirm(booking_id=ID, expected_start=START),
        Dismiss(),
        HandOver(reason="unclear"),
        Hold(booking_id=ID, spans=[SPAN], until=START),
        OptOut(sure=False),
        RecordRating(score=4, scale=5, comment="slow"),
        MOVE,
        Unclear(kind="out_of_scope"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back_as_it_was_sent(value: Value) -> None:
    """Through JSON and back, equal."""
    assert value == parse_value(value.payload())


@pytest.mark.parametrize(
    "payload", [{}, {"parley": None}, {"parley": {"type": "change", "kind": "shop.closed"}}, {"x": 1}]
)
def test_a_payload_that_is_none_of_ours_is_refused(payload: dict[str, object]) -> None:
    """A designer's own custom payload is an error, never a change."""
    with pytest.raises(ValueError):
        parse_value(payload)
