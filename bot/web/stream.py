"""The stream of what happens, as server-sent events carrying ids only; pages fetch the rest where they may see it."""

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import StreamingResponse

from bot.accounts import Visitor
from bot.live import LiveEvent
from bot.web import access
from bot.web.state import Parley, parley

router = APIRouter()

#: A quiet stream gives a sign of life this often, so that proxies keep it and a lost browser is noticed.
PING_SECONDS = 15.0
#: A stream ends after this long and the browser comes back with the last id: so an ended login stops hearing soon.
LONGEST_SECONDS = 300.0
RETRY_MS = 1000


@router.get("/events")
async def events(
    request: Request,
    visitor: Annotated[Visitor, Depends(access.anyone)],
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Everything that happens from the last id on, or from now on; it ends when the browser leaves."""
    return StreamingResponse(
        _lines(parley(request), last_event_id),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _lines(state: Parley, after: str | None) -> AsyncIterator[str]:
    # The first line is sent at once, because a browser calls a stream open when something of it has come.
    yield f"retry: {RETRY_MS}\n\n"
    began = spoke = time.monotonic()
    async for event in state.live.events(after):
        moment = time.monotonic()
        if event is not None:
            spoke = moment
            yield _frame(event)
        elif moment - spoke >= PING_SECONDS:
            spoke = moment
            yield ": ping\n\n"
        if moment - began >= LONGEST_SECONDS:
            return


def _frame(event: LiveEvent) -> str:
    ids = {
        "conversation_id": str(event.conversation_id) if event.conversation_id is not None else None,
        "ticket_id": str(event.ticket_id) if event.ticket_id is not None else None,
    }
    return f"id: {event.id}\nevent: {event.topic}\ndata: {json.dumps(ids)}\n\n"
