"""Moving, cancelling and confirming a booking: what to offer and ask; nothing is changed before it is confirmed."""

import abc
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot import values
from bot.shop import bookings, shopfile, slots
from bot.shop.bookings import BookingView
from bot.shop.shopfile import ShopView
from bot.shop.slots import Offer, Slot
from bot.values import Answer, Ask, HandOver, Hold, Option, Say, Value

#: Offered times are kept this long for whoever was asked.
HELD_FOR = timedelta(minutes=10)
NONE_FOUND = (
    'I find no upcoming booking for this number. If you booked under another one, text "person" and someone helps.'
)


class BookingAction(ShopAction, abc.ABC):
    """An action about one of the contact's bookings to come; asks which where there are several."""

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """Find the booking meant, then decide about it."""
        shop = await shopfile.read(session)
        coming = await bookings.upcoming(session, turn.contact_id, turn.now)
        if not coming:
            return [Say(text=NONE_FOUND)]
        booking = pick(turn, coming, shop)
        if booking is None:
            return which(turn, coming, shop)
        return await self.about(turn, session, booking, shop)

    @abc.abstractmethod
    async def about(self, turn: Turn, session: AsyncSession, booking: BookingView, shop: ShopView) -> Sequence[Value]:
        """The values this turn comes to for this booking."""


def label(booking: BookingView, turn: Turn, shop: ShopView) -> str:
    """A booking as a choice names it."""
    return f"{booking.service}, {bookings.when_words(booking.starts_at, shop.zone, turn.now)}"


def pick(turn: Turn, coming: Sequence[BookingView], shop: ShopView) -> BookingView | None:
    """The booking meant: the one just chosen, the one being talked about, or the only one."""
    if len(coming) == 1:
        return coming[0]
    asked: UUID | None = turn.open.booking_id if turn.open is not None else None
    return next((item for item in coming if item.id == asked or label(item, turn, shop) == turn.chosen), None)


def which(turn: Turn, coming: Sequence[BookingView], shop: ShopView) -> Sequence[Value]:
    """Ask which booking is meant; the text is read again for the one chosen."""
    labels = [label(item, turn, shop) for item in coming[: slots.OFFERS]]
    lines = "\n".join(f"{number} {words}" for number, words in enumerate(labels, 1))
    return [
        Say(text=f"Which booking do you mean?\n{lines}\nReply with the number."),
        Ask(
            kind="clarify",
            options=[Option(label=words, intent=turn.intent) for words in labels],
            reminder="Which booking did you mean? Reply with its number.",
        ),
    ]


# -- moving --------------------------------------------------------------------------------------------------------


class Reschedule(BookingAction):
    """Offers free times near what was wished and holds them."""

    called = "action_reschedule"

    async def about(self, turn: Turn, session: AsyncSession, booking: BookingView, shop: ShopView) -> Sequence[Value]:
        """An answer where the text names an offered time, else a new offer."""
        if (answer := offered_time(turn)) is not None:
            return [answer]
        hours = shop.hours_at(booking.location_id)
        offer = await slots.find(session, booking, turn.wishes, hours, turn.now)
        if not offer.slots:
            note = f"No free time for booking {booking.number} within {slots.HORIZON.days} days."
            return [HandOver(reason="failed_action", note=note)]
        hold = Hold(booking_id=booking.id, spans=[slot.span for slot in offer.slots], until=turn.now + HELD_FOR)
        if len(offer.slots) == 1 and offer.granted:
            return [hold, *_propose(turn, booking, offer.slots[0], shop)]
        return [hold, *_offer(turn, booking, offer, shop)]


def offered_time(turn: Turn) -> Answer | None:
    """The option whose time the text names, where exactly one does and it is no question."""
    if turn.open is None or turn.open.kind != "booking_change" or not turn.wishes or "?" in turn.text or turn.gone:
        return None
    named = {
        number
        for number, start in enumerate(turn.open.offered, 1)
        for wish in turn.wishes
        if start is not None and (start == wish.start if wish.exact else wish.start <= start < wish.end)
    }
    return Answer(option=named.pop()) if len(named) == 1 else None


def _propose(turn: Turn, booking: BookingView, slot: Slot, shop: ShopView) -> Sequence[Value]:
    """One time, as wished: move it there?"""
    moved = _time(slot, booking, turn, shop)
    taken = "That time was just taken. " if turn.gone else ""
    words = f"I can move your {label(booking, turn, shop)}, to {moved}. Reply 1 to move it, 2 to keep it."
    options = [_move(booking, slot, turn, shop), _keep(booking, turn, shop)]
    reminder = f"To move your booking to {moved}, reply 1. To keep it, reply 2."
    return [
        Say(text=taken + words),
        Ask(kind="booking_change", options=options, reminder=reminder, booking_id=booking.id),
    ]


def _offer(turn: Turn, booking: BookingView, offer: Offer, shop: ShopView) -> Sequence[Value]:
    """Several times to choose from; choosing one moves the booking."""
    times = [_time(slot, booking, turn, shop) for slot in offer.slots]
    lines = "\n".join(f"{number} {words}" for number, words in enumerate(times, 1))
    if turn.gone:
        opening = "That time was just taken. Free now:"
    elif offer.closed:
        opening = "We are closed then. Near it:"
    elif not offer.granted:
        opening = "That time is taken. Near it:"
    else:
        opening = f"For your {label(booking, turn, shop)}, these times are free:"
    numbers = " or ".join(", ".join(str(number) for number in range(1, len(times) + 1)).rsplit(", ", 1))
    return [
        Say(text=f"{opening}\n{lines}\nReply {numbers} to move it, or text another day or time."),
        Ask(
            kind="booking_change",
            options=[_move(booking, slot, turn, shop) for slot in offer.slots],
            reminder=f"To move your booking, reply {numbers}, or text another day or time.",
            booking_id=booking.id,
        ),
    ]


def _time(slot: Slot, booking: BookingView, turn: Turn, shop: ShopView) -> str:
    """A slot in words, with who it is with where that changes."""
    colleague = f" with {slot.staff}" if slot.span.resource_id != booking.resource_id else ""
    return bookings.when_words(slot.start, shop.zone, turn.now) + colleague


def _move(booking: BookingView, slot: Slot, turn: Turn, shop: ShopView) -> Option:
    words = _time(slot, booking, turn, shop)
    return Option(
        label=words,
        changes=[values.Reschedule(booking_id=booking.id, expected_start=booking.starts_at, to=slot.span)],
        say=f"Done: your {booking.service} is now on {words} at {booking.location}.",
    )


def _keep(booking: BookingView, turn: Turn, shop: ShopView) -> Option:
    when = bookings.when_words(booking.starts_at, shop.zone, turn.now)
    return Option(label="Keep it", words=["keep"], say=f"OK, your {booking.service} stays on {when}.")


# -- cancelling and confirming -------------------------------------------------------------------------------------


class Cancel(BookingAction):
    """Asks before it cancels."""

    called = "action_cancel"

    async def about(self, turn: Turn, session: AsyncSession, booking: BookingView, shop: ShopView) -> Sequence[Value]:
        """A yes to our own question about cancelling cancels; anything else is asked first."""
        words = label(booking, turn, shop)
        cancel = Option(
            label="Cancel it",
            changes=[values.Cancel(booking_id=booking.id, expected_start=booking.starts_at)],
            say=f"Your {words}, is cancelled. Text us when you want a new time.",
        )
        return [
            Say(text=f"Shall I cancel your {words}? Reply 1 to cancel it, 2 to keep it."),
            Ask(
                kind="booking_cancel",
                options=[cancel, _keep(booking, turn, shop)],
                reminder="To cancel your booking, reply 1. To keep it, reply 2.",
                booking_id=booking.id,
            ),
        ]


class Confirm(BookingAction):
    """Marks a booking as confirmed; with a choice open, it says yes to that."""

    called = "action_confirm"

    async def about(self, turn: Turn, session: AsyncSession, booking: BookingView, shop: ShopView) -> Sequence[Value]:
        """The answer to an open yes-or-no question, else the confirmation."""
        if turn.open is not None and turn.open.kind != "clarify":
            return agree(turn)
        words = label(booking, turn, shop)
        if booking.status == "confirmed":
            return [Say(text=f"Your {words}, is confirmed already. See you then.")]
        return [
            values.Confirm(booking_id=booking.id, expected_start=booking.starts_at),
            Say(text=f"Thank you, your {words}, is confirmed."),
        ]


def agree(turn: Turn) -> Sequence[Value]:
    """Yes to the open choice: taken where one option alone changes something, else asked which."""
    assert turn.open is not None  # callers look first
    if len(turn.open.affirmative) == 1:
        return [Answer(option=turn.open.affirmative[0])]
    return [Say(text=turn.open.reminder)]
