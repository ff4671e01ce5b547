"""The review queue at /console/review and correcting a reading from the thread; what a label does is in bot.insight.

Designers decide what the bot learns; agents propose it from the thread, and it waits for a designer here.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Final, cast, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import PlainTextResponse, RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from bot import clock, live
from bot.accounts import Visitor
from bot.db import PAGES
from bot.errors import BotError
from bot.insight import review
from bot.insight.review import Refused, Spoken, State, Wanted
from bot.shop import shopfile
from bot.web import access, pages
from bot.web.state import parley

router = APIRouter(prefix="/console")

Designer = Annotated[Visitor, Depends(access.designer)]
Agent = Annotated[Visitor, Depends(access.agent)]
Page = Annotated[int, Query(ge=1, le=10_000)]

#: How far back the queue can look, in days.
DAYS: Final = (7, 30, 90, 365)


@dataclass(frozen=True)
class Place:
    """Where in the queue somebody is: what every address and form of it carries along.

    `text` is the text looked at, `done` the one whose label is told of on top.
    """

    wanted: Wanted
    text: UUID | None = None
    done: UUID | None = None

    @property
    def fields(self) -> dict[str, str]:
        """This place as the fields of an address, without what goes without saying."""
        wanted, usual = self.wanted, Wanted()
        given = {
            "state": (wanted.state, usual.state),
            "why": (wanted.why, ""),
            "intent": (wanted.intent, ""),
            "q": (wanted.query, ""),
            "days": (wanted.days, usual.days),
            "page": (wanted.page, 1),
            "text": (self.text, None),
            "done": (self.done, None),
        }
        return {name: str(value) for name, (value, common) in given.items() if value != common}

    def href(self, **changes: object) -> str:
        """The address of this place, with what `changes` says different; None takes something out.

        Another list begins on its first page with no text chosen.
        """
        fields: dict[str, object] = dict(self.fields)
        if not changes.keys() <= {"text", "done"}:
            fields = {name: value for name, value in fields.items() if name not in ("page", "text", "done")}
        told = {name: str(value) for name, value in {**fields, **changes}.items() if value is not None}
        return f"/console/review?{urlencode(told)}" if told else "/console/review"


@dataclass(frozen=True)
class Draft:
    """What stands in the form after a label was refused: the words, the intent chosen, and why."""

    words: str | None = None
    intent: str = ""
    problem: str = ""
    conflict: str = ""


# -- looking -------------------------------------------------------------------------------------------------------


@router.get("/review")
async def show(
    request: Request,
    visitor: Designer,
    state: str = "open",
    why: str = "",
    intent: Annotated[str, Query(max_length=100)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
    days: int = 90,
    page: Page = 1,
    text: UUID | None = None,
    done: UUID | None = None,
) -> Response:
    """The queue, and the text the address names, or the first."""
    return await _page(request, visitor, Place(_wanted(state, why, intent, q, days, page), text, done))


def _wanted(state: str, why: str, intent: str, query: str, days: int, page: int) -> Wanted:
    """What an address or a form asks for; what nobody offers counts as not said."""
    return Wanted(
        cast(State, state) if state in get_args(State) else "open",
        why if why in review.WHYS else "",
        intent.strip(),
        query.strip()[:200],
        days if days in DAYS else 90,
        max(1, page),
    )


async def _page(
    request: Request, visitor: Visitor, place: Place, draft: Draft | None = None, status: int = 200
) -> Response:
    now, library = clock.now(), parley(request).library
    async with parley(request).db.begin() as session:
        shop = await shopfile.read(session)
        queue = await review.queue(session, place.wanted, now)
        looked_at = place.text or (queue.lines[0].id if queue.lines else None)
        spoken = await review.find(session, looked_at) if looked_at is not None else None
        if place.text is not None and spoken is None:
            raise HTTPException(404, "There is no such text; it may have been removed.")
        done = await review.find(session, place.done) if place.done is not None else None
        waiting = len(await review.unwritten(session))
    # Comparing with ten thousand examples takes a moment, which no transaction waits for.
    advice = await review.advise(spoken, library) if spoken is not None else None
    return pages.render(
        request,
        "console/_review.html" if pages.is_fragment(request) else "console/review.html",
        visitor,
        status,
        place=place,
        queue=queue,
        chosen=place.text is not None,
        spoken=spoken,
        line=next((line for line in queue.lines if spoken is not None and line.id == spoken.id), None),
        beside=_beside(queue, spoken),
        advice=advice,
        told=review.told(done, library.folder.name) if done is not None else None,
        done=done,
        draft=draft or Draft(),
        waiting=waiting,
        writable=await library.writable(),
        folder=library.folder.name,
        whys=review.WHYS,
        states={"open": "Open", "labelled": "Labelled", "skipped": "Skipped"},
        days=DAYS,
        pages=-(-queue.total // review.PAGE),
        zone=shop.zone,
    )


def _beside(queue: review.Queue, spoken: Spoken | None) -> UUID | None:
    """The line to go on with once this one is settled: the next, else the one before."""
    ids = [line.id for line in queue.lines]
    if spoken is None or spoken.id not in ids:
        return ids[0] if ids else None
    at = ids.index(spoken.id)
    others = ids[at + 1 :] + ids[:at][::-1]
    return others[0] if others else None


@router.get("/review/history")
async def history(request: Request, visitor: Designer, page: Page = 1) -> Response:
    """Who labelled what when."""
    async with parley(request).db.begin() as session:
        shop = await shopfile.read(session)
        entries, total = await review.history(session, page)
    return pages.render(
        request,
        "console/review_history.html",
        visitor,
        entries=entries,
        total=total,
        page=page,
        pages=-(-total // review.PAGE),
        zone=shop.zone,
    )


@router.get("/review/patch")
async def patch(request: Request, visitor: Designer) -> Response:
    """The labels that are in no file yet, to be applied where the training data is."""
    async with parley(request).db.begin() as session:
        name, content = await review.patch(session, parley(request).library)
    return PlainTextResponse(content, headers={"Content-Disposition": f'attachment; filename="{name}"'})


# -- deciding ------------------------------------------------------------------------------------------------------


@router.post("/review/{message_id}/label")
async def label(request: Request, visitor: Designer, message_id: UUID) -> Response:
    """Make the text an example; where that cannot be, the page again with the words as they could be and why."""
    fields = await access.form(request)
    place, state = _place(fields, message_id), parley(request)
    intent = fields.get("intent") or fields.get("other", "")
    words = fields.get("example", "")
    try:
        if not intent:
            raise Refused("Choose what the text means first.")
        async with state.db.begin() as session:
            spoken = await _find(session, message_id)
            await review.label(
                session,
                state.library,
                spoken,
                intent,
                words,
                visitor.user_id,
                clock.now(),
                move="move" in fields,
            )
    except Refused as exc:
        conflict = exc.conflict.intent if exc.conflict is not None else ""
        draft = Draft(exc.instead if exc.instead is not None else words, intent, str(exc), conflict)
        return await _page(request, visitor, place, draft, 422)
    return await _done(request, place, message_id, fields)


@router.post("/review/{message_id}/skip")
async def skip(request: Request, visitor: Designer, message_id: UUID) -> Response:
    """Take the text out of the queue without learning from it."""
    fields = await access.form(request)
    async with parley(request).db.begin() as session:
        await review.skip(session, await _find(session, message_id), visitor.user_id, clock.now())
    return await _done(request, _place(fields, message_id), message_id, fields)


@router.post("/review/{message_id}/undo")
async def undo(request: Request, visitor: Designer, message_id: UUID) -> Response:
    """Take a label or a skip back, and show the text again."""
    fields = await access.form(request)
    place, state = _place(fields, message_id), parley(request)
    try:
        async with state.db.begin() as session:
            spoken = await _find(session, message_id)
            await review.undo(session, state.library, spoken, visitor.user_id, clock.now())
    except Refused as exc:
        return await _page(request, visitor, place, Draft(problem=str(exc)), 422)
    return await _done(request, place, message_id, {})


async def _find(session: AsyncSession, message_id: UUID) -> Spoken:
    spoken = await review.find(session, message_id)
    if spoken is None:
        raise HTTPException(404, "There is no such text; it may have been removed.")
    return spoken


def _place(fields: dict[str, str], message_id: UUID) -> Place:
    def number(name: str, otherwise: int) -> int:
        given = fields.get(name, "")
        return int(given) if given.isdecimal() and len(given) < 6 else otherwise

    wanted = _wanted(
        fields.get("state", ""),
        fields.get("why", ""),
        fields.get("read_as", ""),
        fields.get("q", ""),
        number("days", 90),
        number("page", 1),
    )
    return Place(wanted, message_id)


async def _done(request: Request, place: Place, message_id: UUID, fields: dict[str, str]) -> Response:
    """On to the next line, with what was done told above it; a redirect, so that a reload does nothing again."""
    parley(request).waker.wake(PAGES)
    following: UUID | None = message_id
    if fields:
        try:
            following = UUID(fields.get("next", ""))
        except ValueError:
            following = None
    return RedirectResponse(replace(place, text=following, done=message_id).href(), 303)


# -- correcting from the thread ------------------------------------------------------------------------------------


@router.get("/teach/{message_id}")
async def choose(request: Request, visitor: Agent, message_id: UUID) -> Response:
    """The best readings of a text and every other, to choose what it means."""
    async with parley(request).db.begin() as session:
        spoken = await _find(session, message_id)
    advice = await review.advise(spoken, parley(request).library)
    return pages.render(
        request,
        "console/_teach.html" if pages.is_fragment(request) else "console/teach.html",
        visitor,
        spoken=spoken,
        best=advice.suggestions,
        intents=advice.intents,
    )


@router.post("/teach/{message_id}")
async def propose(request: Request, visitor: Agent, message_id: UUID) -> Response:
    """Keep what an agent says a text means until a designer looks at it."""
    fields, state = await access.form(request), parley(request)
    try:
        async with state.db.begin() as session:
            spoken = await _find(session, message_id)
            await review.propose(session, spoken, fields.get("intent", ""), visitor.user_id, clock.now())
            live.publish(session, "turn", spoken.conversation_id)
    except BotError as exc:
        raise HTTPException(422, str(exc)) from exc
    state.waker.wake(PAGES)
    if pages.is_fragment(request):
        return pages.render(request, "console/_taught.html", visitor)
    return RedirectResponse(f"/console/?conversation={spoken.conversation_id}", 303)
