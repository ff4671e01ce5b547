"""The simulator: a phone that texts the engine as a contact does, and what the engine made of it.

Texts go through the real signed webhook; this page sends nothing by itself and exists with the simulator carrier only.
"""

from typing import Annotated, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from bot import clock
from bot.accounts import Visitor
from bot.db import PAGES
from bot.errors import BotError
from bot.shop import bookings, shopfile
from bot.tables import Contact
from bot.text import MAX_CHARACTERS
from bot.web import access, internal
from bot.web.pages import is_fragment, render
from bot.web.simulator import views
from bot.web.state import Parley, parley

router = APIRouter(prefix="/simulator")

Who = Annotated[Visitor, Depends(access.anyone)]
SHOP_TEXTS = {"booking_confirmation": "Booking confirmation", "rating": "Ask for a rating"}


@router.get("/")
async def show(request: Request, visitor: Who, phone: str = "") -> Response:
    """The phone of a contact, the first one where none is named, and what the engine saw."""
    return await _page(request, visitor, phone)


@router.post("/texts")
async def send(request: Request, visitor: Who) -> Response:
    """Text the shop from a phone."""
    form = await access.form(request)
    phone, body = form.get("phone", ""), form.get("body", "")
    try:
        sender = views.read_number(phone)
        if not body.strip():
            raise BotError("There is nothing to send yet. Write something first.")
        if len(body) > MAX_CHARACTERS:
            raise BotError(f"A text takes at most {MAX_CHARACTERS:,} characters; this one has {len(body):,}.")
        state = parley(request)
        async with state.db.begin() as session:
            number = await views.number_for(session, sender)
        await internal.deliver(state, sender, number, body)
    except BotError as exc:
        return await _page(request, visitor, phone, str(exc), draft=body)
    return _back(sender)


@router.post("/shop-texts")
async def shop_text(request: Request, visitor: Who) -> Response:
    """Have the shop start a text to the contact."""
    form = await access.form(request)
    phone, kind = form.get("phone", ""), form.get("kind", "")
    try:
        contact = views.read_number(phone)
        if kind not in SHOP_TEXTS:
            raise BotError("The shop has no such text. Press one of the buttons.")
        await internal.start_shop_text(parley(request), contact, cast(internal.ShopTextKind, kind))
    except BotError as exc:
        return await _page(request, visitor, phone, str(exc))
    parley(request).waker.wake(PAGES)
    return _back(contact)


@router.post("/contacts")
async def add(request: Request, visitor: Who) -> Response:
    """Take a number's phone; a number nobody has becomes a contact who agreed to service texts."""
    form = await access.form(request)
    wanted = form.get("number", "").strip()
    try:
        number = await _take(parley(request), wanted)
    except BotError as exc:
        return await _page(request, visitor, form.get("phone", ""), str(exc), wanted=wanted)
    return _back(number)


async def _take(state: Parley, wanted: str) -> str:
    number = views.read_number(wanted) if wanted else ""
    try:
        async with state.db.begin() as session:
            number = number or await views.free_number(session)
            if await session.scalar(select(Contact.id).where(Contact.phone == number)) is None:
                await internal.new_contact(session, state, number, None)
    except IntegrityError:
        pass  # somebody else took the number in the same moment: it is there, which is what was asked
    return number


async def _page(
    request: Request, visitor: Visitor, phone: str, trouble: str | None = None, draft: str = "", wanted: str = ""
) -> Response:
    """The page, or its live parts alone where the page's own script asks; `trouble` says what went wrong, with 422."""
    state, now = parley(request), clock.now()
    async with state.db.begin() as session:
        shop = await shopfile.read(session)
        number = ""
        if phone:
            try:
                number = views.read_number(phone)
            except BotError as exc:
                trouble = trouble or str(exc)
        people = await views.choices(session, number, shop.zone, now)
        number = number or (people[0].phone if people else await views.free_number(session))
        shown = await views.phone_of(session, number, shop.zone)
        seen = await views.entries(session, shown.conversation_id, shop.zone, now) if shown.conversation_id else []
    local = now.astimezone(shop.zone)
    template = "simulator/live.html" if is_fragment(request) else "simulator.html"
    return render(
        request,
        template,
        visitor,
        422 if trouble else 200,
        phone=shown,
        entries=seen,
        people=people,
        shop_texts=SHOP_TEXTS,
        brand=shop.brand,
        zone=shop.zone,
        now=local,
        clock_words=bookings.clock_words(local),
        date_words=f"{local:%a %b} {local.day}",
        trouble=trouble,
        draft=draft,
        wanted=wanted,
        longest=MAX_CHARACTERS,
    )


def _back(phone: str) -> Response:
    return RedirectResponse(f"/simulator/?{urlencode({'phone': phone})}", status_code=303)
