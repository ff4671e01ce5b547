"""The page behind the link in a booking text: shows one booking and lets its contact confirm or cancel it.

It asks for no login and shows no phone number of the contact and no other booking; a GET, which every link preview
makes, changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, effects, live, numbers
from bot.db import PAGES
from bot.errors import Stale
from bot.shop import bookings, links, shopfile
from bot.shop.bookings import BookingView
from bot.shop.shopfile import ShopView
from bot.tables import Contact
from bot.values import Cancel, Confirm
from bot.web import access
from bot.web.pages import render
from bot.web.state import Parley, parley

router = APIRouter(prefix="/b", dependencies=[Depends(access.signed)])

Act = Literal["confirm", "cancel"]

MOVED = "This booking was changed since you opened the page. Please look at the time below again."
CANCELLED = "This booking is cancelled already, so it could not be confirmed."
PAST = "This booking has begun or is over, so nothing was changed."


@dataclass(frozen=True)
class Shown:
    """One booking as the page shows it: times aware, in the shop's zone; `number` is the shop's, E.164."""

    booking: BookingView
    shop: ShopView
    address: str
    starts_at: datetime
    ends_at: datetime
    past: bool
    number: str

    @property
    def open(self) -> bool:
        """Whether there is anything left to do here."""
        return not self.past and self.booking.status != "cancelled"


@router.get("/{token}")
async def show(request: Request, token: str) -> Response:
    """The booking this link is about; 404 in words for any other link."""
    state = parley(request)
    booking_id = links.booking_of(token, state.secrets.link_key)
    if booking_id is None:
        return await _missing(request, state)
    async with state.db.begin() as session:
        shown = await _read(session, booking_id)
    return await _missing(request, state) if shown is None else _page(request, token, shown)


@router.post("/{token}/confirm")
async def confirm(request: Request, token: str) -> Response:
    """Confirm the booking at the time the visitor saw."""
    return await _change(request, token, "confirm")


@router.post("/{token}/cancel")
async def cancel(request: Request, token: str) -> Response:
    """Cancel the booking at the time the visitor saw."""
    return await _change(request, token, "cancel")


async def _change(request: Request, token: str, act: Act) -> Response:
    state = parley(request)
    booking_id = links.booking_of(token, state.secrets.link_key)
    if booking_id is None:
        return await _missing(request, state)
    seen = _instant((await access.form(request)).get("start", ""))
    try:
        async with state.db.begin() as session:
            trouble = await _apply(session, booking_id, act, seen)
    except Stale:
        trouble = MOVED
    if trouble is None:
        state.waker.wake(PAGES)
        return RedirectResponse(f"/b/{token}", status_code=303)
    async with state.db.begin() as session:
        shown = await _read(session, booking_id)
    return await _missing(request, state) if shown is None else _page(request, token, shown, trouble, status=409)


async def _apply(session: AsyncSession, booking_id: UUID, act: Act, seen: datetime | None) -> str | None:
    """Change the booking, its effect and its event in the caller's transaction; a sentence where nothing was changed.

    What was done already is done: confirming or cancelling again gives None and writes nothing. Raises Stale.
    """
    booking = await bookings.get(session, booking_id)
    if booking is None:
        return MOVED
    # The transaction that ends a turn locks the contact first as well, so texts and page wait for each other here.
    await session.execute(select(Contact.id).where(Contact.id == booking.contact_id).with_for_update())
    now = clock.now()
    booking = await bookings.get(session, booking_id)
    if booking is None or seen is None or booking.starts_at != seen:
        return MOVED
    if booking.status == {"confirm": "confirmed", "cancel": "cancelled"}[act]:
        return None
    if booking.starts_at <= now:
        return PAST
    if booking.status == "cancelled":
        return CANCELLED
    change = (Confirm if act == "confirm" else Cancel)(booking_id=booking.id, expected_start=seen)
    changed = await bookings.apply(session, booking.contact_id, change, now)
    conversation = await numbers.conversation_of(session, booking.contact_id)
    conversation_id = conversation.id if conversation is not None else None
    await effects.record(session, [changed], conversation_id=conversation_id, actor="page", now=now)
    live.publish(session, "booking", conversation_id)
    return None


# -- what is shown -------------------------------------------------------------------------------------------------


async def _read(session: AsyncSession, booking_id: UUID) -> Shown | None:
    booking = await bookings.get(session, booking_id)
    if booking is None:
        return None
    shop = await shopfile.read(session)
    conversation = await numbers.conversation_of(session, booking.contact_id)
    return Shown(
        booking=booking,
        shop=shop,
        address=shop.location(booking.location_id).address,
        starts_at=booking.starts_at.astimezone(shop.zone),
        ends_at=booking.ends_at.astimezone(shop.zone),
        past=booking.starts_at <= clock.now(),
        number=(await numbers.number_of(session, conversation)).phone,
    )


def _instant(words: str) -> datetime | None:
    """The start a form carries, None where it is no aware instant."""
    try:
        found = datetime.fromisoformat(words)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


# -- pages ---------------------------------------------------------------------------------------------------------


def _page(request: Request, token: str, shown: Shown, trouble: str | None = None, status: int = 200) -> Response:
    start = shown.starts_at
    year = f", {start.year}" if start.year != clock.now().astimezone(shown.shop.zone).year else ""
    page = render(
        request,
        "booking.html",
        status=status,
        token=token,
        shown=shown,
        booking=shown.booking,
        date_words=f"{start:%A}, {start:%B} {start.day}{year}",
        time_words=f"{bookings.clock_words(start)} to {bookings.clock_words(shown.ends_at)}",
        trouble=trouble,
    )
    return _private(page)


async def _missing(request: Request, state: Parley) -> Response:
    """404 in words; it tells nothing about whether the booking exists."""
    async with state.db.begin() as session:
        shop = await shopfile.read(session)
    return _private(render(request, "booking_missing.html", status=404, shop=shop))


def _private(response: Response) -> Response:
    """The address is the key to the booking: no search engine and no cache keeps what it opens."""
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Cache-Control"] = "no-store"
    return response
