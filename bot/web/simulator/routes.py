"""The simulator: a phone that texts the engine as a contact does, and what the engine made of it.

Texts go through the real signed webhook; this page sends nothing by itself and exists with the simulator carrier only.
A session begins where the page was opened (`since` is the number of the last message before it) and can be kept as a
conversation test.
"""

import asyncio
from typing import Annotated, Final, cast, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from bot import clock
from bot.accounts import Visitor
from bot.db import PAGES
from bot.errors import BotError
from bot.shop import bookings, shopfile
from bot.text import MAX_CHARACTERS
from bot.web import access, internal
from bot.web.pages import is_fragment, render
from bot.web.simulator import people, saving, views
from bot.web.simulator.people import Wanted
from bot.web.state import parley

router = APIRouter(prefix="/simulator")

Who = Annotated[Visitor, Depends(access.anyone)]
Since = Annotated[int | None, Query(ge=0)]
_LABELS = {
    "booking_confirmation": "Booking confirmation",
    "order_confirmation": "Order confirmation",
    "rating": "Ask for a rating",
    "nps": "Would you recommend us?",
    "contest": "Invite to the contest",
    "preference": "Ask for a preference",
}
#: Every text the shop can start, by its kind, as the button says it.
SHOP_TEXTS: Final = {
    kind: _LABELS.get(kind, kind.replace("_", " ").capitalize()) for kind in get_args(internal.ShopTextKind)
}


@router.get("/")
async def show(request: Request, visitor: Who, phone: str = "", since: Since = None) -> Response:
    """The phone of a contact, the first one where none is named, and what the engine saw."""
    return await _page(request, visitor, phone, since)


@router.post("/texts")
async def send(request: Request, visitor: Who) -> Response:
    """Text the shop from a phone."""
    form = await access.form(request)
    phone, since, body = form.get("phone", ""), _since(form), form.get("body", "")
    try:
        sender = people.read_number(phone)
        if not body.strip():
            raise BotError("There is nothing to send yet. Write something first.")
        if len(body) > MAX_CHARACTERS:
            raise BotError(f"A text takes at most {MAX_CHARACTERS:,} characters; this one has {len(body):,}.")
        state = parley(request)
        async with state.db.begin() as session:
            number = await views.number_for(session, sender)
        await internal.deliver(state, sender, number, body)
    except BotError as exc:
        return await _page(request, visitor, phone, since, str(exc), draft=body)
    return _back(sender, since)


@router.post("/shop-texts")
async def shop_text(request: Request, visitor: Who) -> Response:
    """Have the shop start a text to the contact."""
    form = await access.form(request)
    phone, since, kind = form.get("phone", ""), _since(form), form.get("kind", "")
    try:
        contact = people.read_number(phone)
        if kind not in SHOP_TEXTS:
            raise BotError("The shop has no such text. Press one of the buttons.")
        await internal.start_shop_text(parley(request), contact, cast(internal.ShopTextKind, kind))
    except BotError as exc:
        return await _page(request, visitor, phone, since, str(exc))
    parley(request).waker.wake(PAGES)
    return _back(contact, since)


@router.post("/contacts")
async def add(request: Request, visitor: Who) -> Response:
    """Take a number's phone; a number nobody has becomes a contact, with a booking and an order where wanted."""
    form = await access.form(request)
    wanted = Wanted.read(form)
    try:
        number = await people.take(parley(request), wanted)
    except BotError as exc:
        return await _page(request, visitor, form.get("phone", ""), _since(form), str(exc), wanted=wanted)
    return _back(number, None)


# -- a session as a test -------------------------------------------------------------------------------------------


@router.get("/test")
async def session_test(
    request: Request, visitor: Who, phone: str = "", since: Since = None, kept: str = ""
) -> Response:
    """The session as a conversation test, to be kept or copied; `kept` is the file it was just kept in."""
    return await _test(request, visitor, phone, since or 0, kept=kept)


@router.post("/test")
async def keep_test(request: Request, visitor: Who) -> Response:
    """Keep the session under tests/conversations/."""
    form = await access.form(request)
    phone, since, name = form.get("phone", ""), _since(form) or 0, form.get("name", "")
    try:
        file_name = saving.file_name(name)
        async with parley(request).db.begin() as session:
            shop = await shopfile.read(session)
            made = await saving.session_of(session, people.read_number(phone), since, shop.zone, name.strip().lower())
        await asyncio.to_thread(saving.keep, name, made.yaml)
    except BotError as exc:
        return await _test(request, visitor, phone, since, str(exc), name)
    query = urlencode({"phone": phone, "since": since, "kept": file_name})
    return RedirectResponse(f"/simulator/test?{query}", status_code=303)


async def _test(
    request: Request,
    visitor: Visitor,
    phone: str,
    since: int,
    trouble: str | None = None,
    name: str = "",
    kept: str = "",
) -> Response:
    made = None
    async with parley(request).db.begin() as session:
        shop = await shopfile.read(session)
        try:
            made = await saving.session_of(session, people.read_number(phone), since, shop.zone, name.strip().lower())
        except BotError as exc:
            trouble = str(exc)
    return render(
        request,
        "simulator/test.html",
        visitor,
        422 if trouble else 200,
        phone=phone,
        since=since,
        made=made,
        name=name or (made.suggested if made is not None else ""),
        longest=saving.LONGEST_NAME,
        trouble=trouble,
        kept=kept if kept.startswith("saved-") else "",
    )


# -- the page ------------------------------------------------------------------------------------------------------


async def _page(
    request: Request,
    visitor: Visitor,
    phone: str,
    since: int | None,
    trouble: str | None = None,
    draft: str = "",
    wanted: Wanted | None = None,
) -> Response:
    """The page, or its live parts alone where the page's own script asks; `trouble` says what went wrong, with 422."""
    state, now = parley(request), clock.now()
    async with state.db.begin() as session:
        shop = await shopfile.read(session)
        number = ""
        if phone:
            try:
                number = people.read_number(phone)
            except BotError as exc:
                trouble = trouble or str(exc)
        choices = await people.choices(session, number, shop.zone, now)
        number = number or (choices[0].phone if choices else await people.free_number(session))
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
        since=shown.last_seq if since is None else since,
        entries=seen,
        people=choices,
        shop_texts=SHOP_TEXTS,
        brand=shop.brand,
        zone=shop.zone,
        now=local,
        clock_words=bookings.clock_words(local),
        date_words=f"{local:%a %b} {local.day}",
        trouble=trouble,
        draft=draft,
        wanted=wanted,
        orders=get_args(people.OrderWanted),
        longest=MAX_CHARACTERS,
        longest_name=people.LONGEST_NAME,
    )


def _since(form: dict[str, str]) -> int | None:
    """Where the session of a form began, None where it does not say."""
    told = form.get("since", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else None


def _back(phone: str, since: int | None) -> Response:
    query = {"phone": phone} | ({"since": str(since)} if since is not None else {})
    return RedirectResponse(f"/simulator/?{urlencode(query)}", status_code=303)
