"""The console at /console/: who waits, whom the bot answers, one thread, and the answer; rules are in bot.tickets."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from bot import clock, consent, tickets
from bot.accounts import Visitor
from bot.db import PAGES, SENDS
from bot.errors import BotError
from bot.outbox import STOP_LINE
from bot.shop import shopfile
from bot.tables import Contact, Conversation, Ticket
from bot.text import MAX_CHARACTERS, plain
from bot.web import access, pages, thread
from bot.web.console import views
from bot.web.console.views import Filter
from bot.web.state import parley

router = APIRouter(prefix="/console")

Agent = Annotated[Visitor, Depends(access.agent)]

#: The most texts of one thread a page shows.
MOST_TEXTS: Final = 2000


@dataclass(frozen=True)
class Place:
    """Where in the console somebody is: what every address and form of it carries along."""

    chosen: Filter
    query: str
    ticket_id: UUID | None = None
    conversation_id: UUID | None = None
    texts: int = thread.TEXTS

    def href(self, **changes: object) -> str:
        """The address of this place, with what `changes` says different; None takes something out."""
        fields: dict[str, object] = {
            "filter": self.chosen if self.chosen != "open" else None,
            "q": self.query or None,
            "ticket": self.ticket_id,
            "conversation": self.conversation_id,
            **changes,
        }
        told = {name: str(value) for name, value in fields.items() if value is not None}
        return f"/console/?{urlencode(told)}" if told else "/console/"


@dataclass(frozen=True)
class Draft:
    """What stands in the composer: the text, the key that sends it once, and why it was not sent."""

    body: str = ""
    key: UUID | None = None
    problem: str = ""


# -- looking -------------------------------------------------------------------------------------------------------


@router.get("/")
async def show(
    request: Request,
    visitor: Agent,
    filter: str = "open",
    q: Annotated[str, Query(max_length=200)] = "",
    ticket: UUID | None = None,
    conversation: UUID | None = None,
    texts: Annotated[int, Query(ge=1, le=MOST_TEXTS)] = thread.TEXTS,
) -> Response:
    """The inbox, and one ticket or conversation where the address names one."""
    place = Place(views.filter_of(filter), q.strip(), ticket, conversation if ticket is None else None, texts)
    return await _page(request, visitor, place)


async def _page(
    request: Request, visitor: Visitor, place: Place, draft: Draft | None = None, status: int = 200
) -> Response:
    now = clock.now()
    async with parley(request).db.begin() as session:
        shop = await shopfile.read(session)
        inbox = await views.inbox(session, visitor.user_id, place.chosen, place.query, now)
        opened = None
        if place.ticket_id is not None:
            opened = await views.open_ticket(session, place.ticket_id, shop.zone, now, place.texts)
            if opened is None:
                raise HTTPException(404, "There is no such ticket; it may have been removed.")
        elif place.conversation_id is not None:
            opened = await views.open_conversation(session, place.conversation_id, shop.zone, now, place.texts)
            if opened is None:
                raise HTTPException(404, "There is no such conversation; it may have been removed.")
    draft = draft or Draft()
    return pages.render(
        request,
        "console/_panes.html" if pages.is_fragment(request) else "console.html",
        visitor,
        status,
        place=place,
        inbox=inbox,
        open=opened,
        brand=shop.brand,
        zone=shop.zone,
        draft=draft,
        key=draft.key or uuid4(),
        longest=MAX_CHARACTERS,
        reasons=thread.REASONS,
        items=opened.items if opened is not None else [],
        teach="/console/teach/",
        taught=opened.taught if opened is not None else {},
        earlier_url=place.href(texts=MOST_TEXTS) if place.texts < MOST_TEXTS else None,
    )


# -- acting --------------------------------------------------------------------------------------------------------


@router.post("/tickets/{ticket_id}/reply")
async def reply(request: Request, visitor: Agent, ticket_id: UUID) -> Response:
    """Queue a reply once per key; where that cannot be, the page again with what was typed and why."""
    fields = await access.form(request)
    place, body = _place(fields, ticket_id), fields.get("body", "")
    state = parley(request)
    try:
        key = UUID(fields.get("key", ""))
    except ValueError:
        key = uuid4()
    try:
        async with state.db.begin() as session:
            await _refuse_where_out(session, ticket_id)
            message = await tickets.reply(session, ticket_id, visitor.user_id, body, clock.now(), key)
            words = plain(body).strip()
            if message.body not in (words, f"{words} {STOP_LINE}", f"{words}\n{STOP_LINE}"):
                key = uuid4()
                raise BotError("An earlier version of this text was sent already; see above. Send this one as well?")
    except BotError as exc:
        return await _page(request, visitor, place, Draft(body, key, str(exc)), 422)
    state.waker.wake(SENDS)
    state.waker.wake(PAGES)
    return await _done(request, visitor, place)


@router.post("/conversations/{conversation_id}/take-over")
async def take_over(request: Request, visitor: Agent, conversation_id: UUID) -> Response:
    """Give a conversation of the bot's to whoever asks, and show its ticket among theirs."""
    state = parley(request)
    try:
        async with state.db.begin() as session:
            ticket = await tickets.take_over(session, conversation_id, visitor.user_id, clock.now())
    except BotError as exc:
        raise HTTPException(404, str(exc)) from exc
    state.waker.wake(PAGES)
    place = Place("mine" if ticket.agent_id == visitor.user_id else "open", "", ticket.id)
    return await _done(request, visitor, place)


@router.post("/tickets/{ticket_id}/claim")
async def claim(request: Request, visitor: Agent, ticket_id: UUID) -> Response:
    """Give the ticket to whoever asks."""
    return await _act(request, visitor, ticket_id, lambda session: tickets.claim(session, ticket_id, visitor.user_id))


@router.post("/tickets/{ticket_id}/close")
async def close(request: Request, visitor: Agent, ticket_id: UUID) -> Response:
    """Close the ticket; the bot answers the next text."""
    return await _act(request, visitor, ticket_id, lambda session: tickets.close(session, ticket_id, clock.now()))


async def _act(
    request: Request, visitor: Visitor, ticket_id: UUID, act: Callable[[AsyncSession], Awaitable[object]]
) -> Response:
    """Do something to a ticket in one transaction; where that cannot be, the page with what was typed and why."""
    fields = await access.form(request)
    place, state = _place(fields, ticket_id), parley(request)
    try:
        async with state.db.begin() as session:
            await act(session)
    except BotError as exc:
        return await _page(request, visitor, place, Draft(fields.get("body", ""), problem=str(exc)), 422)
    state.waker.wake(PAGES)
    return await _done(request, visitor, place)


async def _done(request: Request, visitor: Visitor, place: Place) -> Response:
    """The page as it is now: in place for a script, by a redirect for a form, so that a reload sends nothing again."""
    if pages.is_fragment(request):
        return await _page(request, visitor, place)
    return RedirectResponse(place.href() + "#reply", 303)


def _place(fields: dict[str, str], ticket_id: UUID) -> Place:
    return Place(views.filter_of(fields.get("filter", "")), fields.get("q", "").strip()[:200], ticket_id)


async def _refuse_where_out(session: AsyncSession, ticket_id: UUID) -> None:
    """Say at once what the sender would say later. Raises BotError; an unknown ticket is left to bot.tickets."""
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None:
        return
    conversation = await session.get_one(Conversation, ticket.conversation_id)
    contact = await session.get_one(Contact, conversation.contact_id)
    reason = views.refusal(ticket, conversation, await consent.latest(session, contact.phone_hash))
    if reason is not None:
        raise BotError(reason)
