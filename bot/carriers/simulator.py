"""The carrier that needs no account: texts arrive on the simulator's phone, receipts come by the signed webhook.

It promises no more than a real carrier does: handing the same text over twice shows it twice.
"""

import asyncio
import secrets
from collections.abc import Collection
from datetime import datetime
from urllib.parse import urlsplit

import httpx
from sqlalchemy import select
from twilio.request_validator import RequestValidator

from bot import clock
from bot.carriers.base import Accepted, InboundText, Lookup, Outgoing
from bot.db import Database
from bot.tables import SimulatorMessage


def phone_text(sender: str, recipient: str, body: str, account_sid: str | None) -> dict[str, str]:
    """The webhook form of a text from the simulator's phone, under a carrier id of its own; to be signed."""
    carrier_id = f"SM{secrets.token_hex(16)}"
    return {
        "MessageSid": carrier_id,
        "SmsSid": carrier_id,
        "SmsMessageSid": carrier_id,
        "AccountSid": account_sid or "AC" + "0" * 32,
        "From": sender,
        "To": recipient,
        "Body": body,
        "NumMedia": "0",
        "NumSegments": "1",
    }


class Simulator:
    """Accepts every text into simulator_messages and reports sent and delivered like Twilio does."""

    def __init__(self, db: Database, http: httpx.AsyncClient, token: str, web_url: str) -> None:
        self._db = db
        self._http = http
        self._validator = RequestValidator(token)
        self._web_url = web_url
        self._reports: set[asyncio.Task[None]] = set()

    async def send(self, outgoing: Outgoing) -> Accepted:
        """Accept one text."""
        carrier_id = f"SM{secrets.token_hex(16)}"
        async with self._db.begin() as session:
            session.add(
                SimulatorMessage(
                    carrier_id=carrier_id,
                    message_id=outgoing.message_id,
                    sender=outgoing.sender,
                    recipient=outgoing.recipient,
                    body=outgoing.body,
                    accepted_at=clock.now(),
                )
            )
        task = asyncio.create_task(self._report(carrier_id, outgoing))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)
        return Accepted(carrier_id)

    async def find(self, outgoing: Outgoing, asked_at: datetime, known: Collection[str] = ()) -> Lookup:
        """The simulator's log is exact: a text is in it or was never taken."""
        async with self._db.begin() as session:
            carrier_id = await session.scalar(
                select(SimulatorMessage.carrier_id)
                .where(
                    SimulatorMessage.message_id == outgoing.message_id, SimulatorMessage.carrier_id.not_in(list(known))
                )
                .order_by(SimulatorMessage.accepted_at)
                .limit(1)
            )
        return Lookup(carrier_id, never_arrived=carrier_id is None)

    async def received_since(self, recipient: str, since: datetime) -> list[InboundText]:
        """Nothing: a text the webhook did not take was refused to the face of whoever typed it; no list keeps it."""
        return []

    async def _report(self, carrier_id: str, outgoing: Outgoing) -> None:
        path = urlsplit(outgoing.callback_url)
        local = f"{self._web_url}{path.path}?{path.query}"
        for status in ("sent", "delivered"):
            form = {
                "MessageSid": carrier_id,
                "SmsSid": carrier_id,
                "MessageStatus": status,
                "SmsStatus": status,
                "From": outgoing.sender,
                "To": outgoing.recipient,
            }
            signature = self._validator.compute_signature(outgoing.callback_url, form)
            try:
                await self._http.post(local, data=form, headers={"X-Twilio-Signature": signature})
            except httpx.HTTPError:
                return  # a carrier's receipts get lost, too
