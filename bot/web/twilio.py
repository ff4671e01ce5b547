"""Twilio's webhooks: verify, then parse, then store, then answer at once; nothing is waited for."""

import logging

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import FormData

from bot import inbox, sender
from bot.carriers import twilio
from bot.db import PAGES, SENDS, TURNS
from bot.web import access
from bot.web.state import Parley, parley

log = logging.getLogger(__name__)
router = APIRouter(prefix="/webhooks/twilio", dependencies=[Depends(access.signed)])

#: An answer that asks Twilio to say nothing; replies leave through the outbox.
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
#: Twilio's own limits are 1,600 characters and ten pictures; a form beyond these is nobody's text.
MAX_FIELDS = 200
MAX_FIELD_BYTES = 64 * 1024


@router.post("/sms")
async def sms(request: Request) -> Response:
    """An incoming text: stored once, keywords in effect before the answer leaves."""
    state = parley(request)
    form = await _verified(request, state)
    if form is None:
        return Response(status_code=403)
    try:
        received = await inbox.receive(state.db, twilio.parse_inbound(form), state.secrets.consent_key)
    except ValueError as exc:
        log.warning("webhook not understood: %s", exc)
        return Response(status_code=400)
    if received.new:
        state.waker.wake(TURNS if received.pending else SENDS)
        state.waker.wake(PAGES)
    return Response(EMPTY_TWIML, media_type="text/xml")


@router.post("/status")
async def status(request: Request) -> Response:
    """A delivery status: kept once, moves its message forward."""
    state = parley(request)
    form = await _verified(request, state)
    if form is None:
        return Response(status_code=403)
    try:
        report = twilio.parse_receipt(form, request.query_params)
    except ValueError as exc:
        log.warning("receipt not understood: %s", exc)
        return Response(status_code=400)
    if report is not None and await sender.record_receipt(state.db, report):
        state.waker.wake(PAGES)
    return Response(status_code=204)


async def _verified(request: Request, state: Parley) -> FormData | None:
    """The form, where one of the tokens signed it for the public address; None otherwise."""
    form = await request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{state.settings.base_url}{request.url.path}{query}"
    tokens = [state.secrets.twilio_auth_token, state.settings.twilio_auth_token_secondary]
    return form if twilio.verify(url, form, request.headers.get("X-Twilio-Signature", ""), tokens) else None
