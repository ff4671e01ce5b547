"""Texts about bookings that the shop starts, in the article's words; it sends none."""

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.shop.bookings import BookingView, clock_words
from bot.shop.links import booking_link
from bot.values import ShopText

#: The words a booking text invites; doctor holds them against those the number's carrier acts on.
BOOKING_ASKS = ("CHANGE", "CANCEL")


def booking_confirmation(booking: BookingView, zone: ZoneInfo, base_url: str, link_key: str, now: datetime) -> ShopText:
    """The confirmation of a booking; invites CHANGE and CANCEL, and waits for the contact to confirm."""
    local = booking.starts_at.astimezone(zone)
    year = f" {local.year}" if local.year != now.astimezone(zone).year else ""
    day = f"{local:%a %b} {local.day}{year}"
    return ShopText(
        name="booking_confirmation",
        text=(
            f"Confirmed: Your booking at {booking.location} on {day} at {clock_words(local)}. "
            "Reply CHANGE to reschedule or CANCEL to cancel. "
            f"Visit {booking_link(booking.id, base_url, link_key)} for more options. Reply STOP to opt-out."
        ),
        asks=list(BOOKING_ASKS),
        booking_id=booking.id,
        question_kind="booking",
        question={"booking_id": str(booking.id)},
    )
