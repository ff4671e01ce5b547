"""Carries out what a turn proposes, and knows how to take it back; every rule is in bot/shop and bot/outreach."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from bot.outreach import codes, contests, preferences, surveys
from bot.shop import bookings, orders, waitlist
from bot.tables import Effect
from bot.values import (
    Book,
    Cancel,
    Change,
    ChangeAddress,
    Changed,
    Confirm,
    EnterContest,
    Hold,
    IssueCode,
    JoinWaitlist,
    LeaveContest,
    LeaveWaitlist,
    RecordRating,
    Reschedule,
    RestoreOrder,
    SetPreference,
    SetProfile,
    Span,
    Unconfirm,
    WithdrawRating,
    WithdrawRequest,
)


async def apply(session: AsyncSession, contact_id: UUID, change: Change, now: datetime) -> Changed:
    """Carry out one change in the caller's transaction. Raises Stale, or the database's own conflict."""
    match change:
        case JoinWaitlist() | LeaveWaitlist():
            return await waitlist.apply(session, contact_id, change, now)
        case RecordRating() | WithdrawRating():
            return await surveys.apply(session, contact_id, change, now)
        case EnterContest() | LeaveContest():
            return await contests.apply(session, contact_id, change, now)
        case SetPreference() | SetProfile():
            return await preferences.apply(session, contact_id, change, now)
        case IssueCode():
            return await codes.apply(session, contact_id, change, now)
        case Hold() | Book() | Reschedule() | Cancel() | Confirm() | Unconfirm():
            return await bookings.apply(session, contact_id, change, now)
        case _:
            return await orders.apply(session, contact_id, change, now)


# -- taking back ---------------------------------------------------------------------------------------------------


def inverse(effect: Effect) -> Change | None:
    """The change that takes this effect back; None for one that cannot be taken back, or is nothing by itself."""
    before, after = effect.before or {}, effect.after or {}
    match effect.kind:
        case "booking.rescheduled" | "booking.cancelled":
            return _booking_back(effect.kind, before, after)
        case "booking.created":
            return Cancel(booking_id=after["booking_id"], expected_start=after["start"])
        case "booking.confirmed" if before.get("status") == "booked":
            return Unconfirm(booking_id=after["booking_id"], expected_start=after["start"])
        case "waitlist.joined":
            return LeaveWaitlist(waitlist_id=after["waitlist_id"])
        case "order.address_changed":
            return ChangeAddress(order_id=after["order_id"], expected=after["address"], address=before["address"] or "")
        case "order.cancelled":
            return RestoreOrder(order_id=after["order_id"], status=before["status"])
        case "order.exchange_requested" | "order.return_requested":
            return WithdrawRequest(request_id=after["request_id"])
        case "rating.recorded":
            return WithdrawRating(rating_id=after["rating_id"])
        case "contest.entered":
            return LeaveContest(contest=effect.ref)
        case "contest.left":
            return EnterContest(contest=effect.ref)
        case "preference.set":
            return SetPreference(key=effect.ref, value=before.get("value"))
        case "profile.set":
            return SetProfile.model_validate({"field": effect.ref, "value": before.get("value")})
    return None


def _booking_back(kind: str, before: dict[str, Any], after: dict[str, Any]) -> Change:
    if after["status"] != "cancelled" and before["status"] == "cancelled":
        return Cancel(booking_id=after["booking_id"], expected_start=after["start"])
    return Reschedule(
        booking_id=after["booking_id"],
        expected_start=after["start"],
        to=Span(resource_id=before["resource"], start=before["start"], end=before["end"]),
        restores=kind == "booking.cancelled",
    )


def undone_words(effects: Sequence[Effect], zone: ZoneInfo, now: datetime) -> str:
    """What the contact is told once these are taken back."""
    said = [words for effect in effects if (words := _undone(effect, zone, now))]
    return " ".join(said) or "Done, that is taken back."


def _undone(effect: Effect, zone: ZoneInfo, now: datetime) -> str | None:
    before = effect.before or {}
    match effect.kind:
        case "booking.rescheduled" | "booking.cancelled" if before["status"] != "cancelled":
            when = bookings.when_words(datetime.fromisoformat(before["start"]), zone, now)
            return f"Done, your booking is back on {when}."
        case "booking.rescheduled":
            return "Done, your booking is cancelled again."
        case "booking.created":
            return "Done, that booking is cancelled again."
        case "booking.confirmed":
            return "OK, your booking is no longer marked as confirmed. It still stands."
        case "waitlist.joined":
            return "Done, you are off the waiting list."
        case "order.address_changed":
            return f"Done, order {effect.ref} goes to the address it had before."
        case "order.cancelled":
            return f"Done, order {effect.ref} is on again."
        case "order.exchange_requested":
            return f"Done, the exchange for order {effect.ref} is taken back."
        case "order.return_requested":
            return f"Done, the return for order {effect.ref} is taken back."
        case "rating.recorded":
            return "Done, your rating is taken back."
        case "contest.entered":
            return f"Done, you are out of {effect.ref} again."
        case "contest.left":
            return f"Done, you are in {effect.ref} again."
        case "preference.set" | "profile.set":
            return "Done, we have forgotten that."
    return None
