"""The simulator: a phone that texts the engine as a contact does, what the engine made of it, and a drawer of switches.

Texts go through the real signed webhook; this page sends nothing by itself and exists with the simulator carrier only.
A session begins where the page was opened (`since` is the number of the last message before it) and can be kept as a
conversation test.
"""

import asyncio
from typing import Annotated, Final, cast, get_args
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, live, tickets
from bot.accounts import Visitor
from bot.db import PAGES, SENDS, TURNS
from bot.errors import BotError
from bot.shop import bookings, shopfile
from bot.tables import Contact
from bot.text import MAX_CHARACTERS
from bot.web import access, internal
from bot.web.pages import is_fragment, render
from bot.web.simulator import contact as setup
from bot.web.simulator import faults, moves, people, saving, views
from bot.web.simulator.people import Wanted
from bot.web.simulator.words import words as words_of
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
#: What a new contact has said of texts.
_AGREEMENTS: Final = {
    "offers": "Yes to service texts and offers",
    "service": "Yes to service texts",
    "nothing": "Never said anything",
    "out": "Opted out",
    "blocked": "Blocked by the carrier",
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
        await faults.send(state, sender, number, body)
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


# -- the drawer: the clock, the contact, the carrier ---------------------------------------------------------------


@router.post("/clock")
async def clock_moved(request: Request, visitor: Who) -> Response:
    """Move the engine's clock: `by` a step, `to` a moment in the shop's zone, or `back`."""
    form, state = await access.form(request), parley(request)
    try:
        async with state.db.begin() as session:
            if "by" in form:
                await moves.on(session, form["by"])
            elif "back" in form:
                await moves.back(session)
            else:
                await moves.to(session, setup.wall_clock(form.get("to", ""), (await shopfile.read(session)).zone))
    except BotError as exc:
        return await _page(request, visitor, form.get("phone", ""), _since(form), str(exc), drawer=True)
    # What waited for its time may be due now.
    for channel in (TURNS, SENDS, PAGES):
        state.waker.wake(channel)
    return _back(form.get("phone", ""), _since(form), drawer=True)


@router.post("/faults")
async def fault(request: Request, visitor: Who) -> Response:
    """Order a fault for the next text from or to a phone, take one back, or react to the shop's last text."""
    form, state = await access.form(request), parley(request)
    try:
        phone = people.read_number(form.get("phone", ""))
        if "reaction" in form:
            async with state.db.begin() as session:
                number = await views.number_for(session, phone)
            await faults.react(state, phone, number, form["reaction"])
        else:
            async with state.db.begin() as session:
                if "fault" in form:
                    await faults.order(session, phone, form["fault"])
                else:
                    await faults.take_back(session, phone, _number(form, "without"))
    except BotError as exc:
        return await _page(request, visitor, form.get("phone", ""), _since(form), str(exc), drawer=True)
    return _back(phone, _since(form), drawer=True)


@router.post("/contact")
async def change(request: Request, visitor: Who) -> Response:
    """Set up the contact of a phone: what they said, have, wait for, and who speaks; or forget them."""
    form, state = await access.form(request), parley(request)
    since = _since(form)
    try:
        phone = people.read_number(form.get("phone", ""))
        async with state.db.begin() as session:
            if "forget" in form:
                await setup.forget(session, phone, again=form["forget"] == "history")
                since = None
            else:
                contact = await setup.known(session, phone, state.secrets.consent_key)
                await _set_up(session, contact, form, visitor)
                live.publish(session, "simulator")
    except BotError as exc:
        return await _page(request, visitor, form.get("phone", ""), since, str(exc), drawer=True)
    for channel in (SENDS, PAGES):
        state.waker.wake(channel)
    return _back(phone, since, drawer=True)


async def _set_up(session: AsyncSession, contact: Contact, form: dict[str, str], visitor: Visitor) -> None:
    now = clock.now()
    if "agreed" in form:
        await setup.agree(session, contact, setup.agreed(form["agreed"]), now)
    elif "unblock" in form:
        await setup.unblock(session, contact)
    elif "service" in form:
        start = setup.wall_clock(form.get("start", ""), (await shopfile.read(session)).zone)
        await setup.book(session, contact, form["service"], start, now)
    elif "order" in form:
        status = form["order"]
        if status not in get_args(people.OrderWanted) or status == "none":
            raise BotError("There is no such order. Choose one of the list.")
        await people.order(session, contact, cast(people.OrderWanted, status))
    elif "field" in form:
        await setup.tell(session, contact, form["field"], form.get("value", ""), now)
    elif "send_on" in form:
        await setup.send_on(session, contact, form["send_on"], now)
    elif "ticket" in form:
        await _ticket(session, contact, form, visitor)
    else:
        raise BotError("Nothing was chosen.")


async def _ticket(session: AsyncSession, contact: Contact, form: dict[str, str], visitor: Visitor) -> None:
    now, what = clock.now(), form["ticket"]
    if what == "open":
        await setup.open_ticket(session, contact, now)
    elif what == "take":
        await tickets.take_over(session, (await setup.conversation_of(session, contact)).id, visitor.user_id, now)
    elif what == "write":
        ticket = await setup.open_ticket_of(session, contact)
        await tickets.reply(session, ticket.id, visitor.user_id, form.get("body", ""), now, uuid4())
    else:
        await tickets.close(session, (await setup.open_ticket_of(session, contact)).id, now)


def _number(form: dict[str, str], name: str) -> int:
    told = form.get(name, "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else 0


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
    *,
    drawer: bool = False,
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
        words = await words_of(session, shop.zone, now)
        shown = await views.phone_of(session, number, shop.zone)
        cents = state.settings.part_cents
        seen = await views.entries(session, shown.conversation_id, words, cents) if shown.conversation_id else []
        standing = await setup.standing(session, number, words)
        told = await faults.told(session, number)
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
        profile_fields=setup.PROFILE,
        longest_field=setup.LONGEST_FIELD,
        longest=MAX_CHARACTERS,
        longest_name=people.LONGEST_NAME,
        drawer=drawer or bool(request.query_params.get("drawer")),
        standing=standing,
        faults=told,
        picture=faults.PICTURE,
        from_phone=faults.FROM_PHONE,
        to_phone=faults.TO_PHONE,
        reactions={key: wording.format("…") for key, wording in faults.REACTIONS.items()},
        steps={value: words for value, (words, _) in moves.STEPS.items()},
        real=(now - clock.moved()).astimezone(shop.zone),
        agreements=_AGREEMENTS,
    )


def _since(form: dict[str, str]) -> int | None:
    """Where the session of a form began, None where it does not say."""
    told = form.get("since", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else None


def _back(phone: str, since: int | None, *, drawer: bool = False) -> Response:
    query = (
        {"phone": phone} | ({"since": str(since)} if since is not None else {}) | ({"drawer": "1"} if drawer else {})
    )
    return RedirectResponse(f"/simulator/?{urlencode(query)}", status_code=303)
