"""The private side: Rasa's actions, and what the command line and the simulator ask of a running engine.

Every route wants the internal token; nothing here is meant for a network.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from rasa_sdk.executor import ActionExecutor
from rasa_sdk.interfaces import ActionExecutionRejection, ActionNotFoundException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from twilio.request_validator import RequestValidator

from bot import clock, outbox
from bot.carriers.base import Media
from bot.carriers.simulator import phone_text
from bot.db import SENDS
from bot.errors import BotError
from bot.outreach import contests, preferences, surveys
from bot.shop import bookings, orders, shopfile, texts
from bot.tables import WAITING, Contact, Conversation, Effect, Message, Turn
from bot.values import ShopText
from bot.web import access
from bot.web.state import Parley, parley

router = APIRouter(prefix="/internal", dependencies=[Depends(access.internal)])

#: How often a waiting client looks again, in seconds.
LOOK = 0.02
ShopTextKind = Literal["booking_confirmation", "order_confirmation", "rating", "nps", "contest", "preference"]


# -- Rasa's actions ------------------------------------------------------------------------------------------------


@router.post("/actions/webhook")
async def actions(request: Request) -> JSONResponse:
    """Run one action for Rasa, in rasa-sdk's protocol: 400 rejection, 404 unknown, 500 failure."""
    executor: ActionExecutor = request.app.state.actions
    # endpoints.yml leaves the domain out of every call, for no action looks at it; the executor insists on one.
    call = {"domain": {}, **await request.json()}
    try:
        result = await executor.run(call)
    except ActionExecutionRejection as exc:
        return JSONResponse({"error": exc.message, "action_name": exc.action_name}, status_code=400)
    except ActionNotFoundException as exc:
        return JSONResponse({"error": exc.message, "action_name": exc.action_name}, status_code=404)
    return JSONResponse(result.model_dump() if result is not None else {"events": [], "responses": []})


# -- what became of a text -----------------------------------------------------------------------------------------


@router.get("/turns/{carrier_id}")
async def turn(request: Request, carrier_id: str, wait: Annotated[float, Query(ge=0, le=300)] = 15.0) -> dict[str, Any]:
    """The turn of an inbound text, once it is committed and its replies are with the carrier, or what is known then."""
    state = parley(request)
    until = time.monotonic() + wait
    while True:
        async with state.db.begin() as session:
            found, done = await _turn(session, carrier_id)
        if done or time.monotonic() >= until:
            return found if done else {**found, "decision": None}
        await asyncio.sleep(LOOK)


async def _turn(session: AsyncSession, carrier_id: str) -> tuple[dict[str, Any], bool]:
    message = await session.scalar(select(Message).where(Message.carrier_id == carrier_id))
    taken = await session.get(Turn, message.turn_id) if message is not None and message.turn_id is not None else None
    if message is None or taken is None:
        known: dict[str, Any] = {
            "message_id": str(message.id) if message is not None else None,
            "replies": [],
            "decision": None,
            "intent": None,
            "confidence": None,
            "entities": [],
            "effects": [],
            "ticket": None,
            "consent": "none",
            "ms": 0,
        }
        return known, False
    replies = list(
        await session.scalars(
            select(Message)
            .where(Message.turn_id == taken.id, Message.direction == "outbound")
            .order_by(Message.position)
        )
    )
    effects = await session.scalars(select(Effect).where(Effect.turn_id == taken.id).order_by(Effect.position))
    last = max([taken.ended_at, *(reply.handed_over_at for reply in replies if reply.handed_over_at is not None)])
    found = {
        "message_id": str(message.id),
        "replies": [reply.body for reply in replies if reply.carrier_id is not None],
        "decision": taken.decision,
        "intent": taken.intent,
        "confidence": taken.confidence,
        "entities": [{"entity": item["entity"], "value": item["value"]} for item in taken.entities],
        "effects": [
            {"kind": item.kind, "ref": item.ref, "before": item.before, "after": item.after} for item in effects
        ],
        "ticket": str(taken.ticket_id) if taken.ticket_id is not None else None,
        "consent": taken.consent,
        "ms": round((last - message.created_at).total_seconds() * 1000, 1),
    }
    return found, all(reply.status not in WAITING for reply in replies)


@router.get("/messages")
async def messages(request: Request, phone: str, after: int = 0) -> dict[str, Any]:
    """What was texted to and by a contact after the message numbered `after`, oldest first, at most 100."""
    state = parley(request)
    async with state.db.begin() as session:
        rows = await session.scalars(
            select(Message)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .join(Contact, Contact.id == Conversation.contact_id)
            .where(Contact.phone == phone, Message.seq > after)
            .order_by(Message.seq)
            .limit(100)
        )
        return {"messages": [{"seq": row.seq, "author": row.author, "body": row.body} for row in rows]}


# -- texts the shop starts -----------------------------------------------------------------------------------------


class ShopTextOrder(BaseModel):
    """Which text to start, and to whom (E.164)."""

    phone: str
    kind: ShopTextKind


@router.post("/shop-texts")
async def shop_text(request: Request, order: ShopTextOrder) -> dict[str, str]:
    """Have the shop start a text."""
    try:
        message_id = await start_shop_text(parley(request), order.phone, order.kind)
    except BotError as exc:
        raise HTTPException(422, str(exc)) from exc
    return {"message_id": str(message_id)}


async def start_shop_text(state: Parley, phone: str, kind: ShopTextKind) -> UUID:
    """Queue a text the business starts. Raises BotError, in words for people, where there is nothing to text about."""
    now = clock.now()
    async with state.db.begin() as session:
        contact = await session.scalar(select(Contact).where(Contact.phone == phone))
        if contact is None:
            raise BotError("Nobody with this number is known; text from it once, or pick a contact.")
        words = await _words(session, state, contact, kind)
        message = await outbox.start(session, contact, words, now)
    state.waker.wake(SENDS)
    return message.id


async def _words(session: AsyncSession, state: Parley, contact: Contact, kind: ShopTextKind) -> ShopText:
    shop = await shopfile.read(session)
    now = clock.now()
    if kind == "booking_confirmation":
        coming = await bookings.upcoming(session, contact.id, now)
        if not coming:
            raise BotError("This contact has no booking to come, so there is nothing to confirm.")
        return texts.booking_confirmation(coming[0], shop.zone, state.settings.base_url, state.secrets.link_key, now)
    if kind == "contest":
        if not shop.content.contests:
            raise BotError("shop.yml names no contest; add one under content.contests.")
        return contests.invitation(shop.content.contests[0])
    if kind == "preference":
        if not shop.content.preferences:
            raise BotError("shop.yml asks for no preference; add one under content.preferences.")
        asked = shop.content.preferences[0]
        return preferences.question(asked, shop.brand, shop.content.code_pool(asked.code))
    if kind == "nps":
        return surveys.nps_request(contact.name, shop.brand)
    bought = await orders.find(session, contact.id, None)
    if kind == "rating":
        return surveys.rating_request(contact.name, bought[0].first_product if bought else shop.brand)
    if not bought:
        raise BotError("This contact has no order, so there is nothing to confirm.")
    return orders.order_confirmation(bought[0], shop.brand)


# -- the simulator's phone -----------------------------------------------------------------------------------------


async def deliver(
    state: Parley,
    sender: str,
    recipient: str,
    body: str,
    carrier_id: str | None = None,
    media: Sequence[Media] = (),
) -> str:
    """Text the engine as the carrier would, through its own signed webhook; the carrier's id of the text.

    The same `carrier_id` again is a redelivery. Raises BotError where the webhook refuses it.
    """
    form = phone_text(sender, recipient, body, state.settings.twilio_account_sid, carrier_id, media)
    path = "/webhooks/twilio/sms"
    validator = RequestValidator(state.secrets.twilio_auth_token)
    signature = validator.compute_signature(state.settings.base_url + path, form)
    response = await state.http.post(
        f"http://127.0.0.1:{state.settings.port}{path}", data=form, headers={"X-Twilio-Signature": signature}
    )
    if response.status_code != 200:
        raise BotError(f"The webhook refused the text (HTTP {response.status_code}); check the number it comes from.")
    return form["MessageSid"]
