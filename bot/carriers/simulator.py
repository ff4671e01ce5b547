"""The carrier that needs no account: texts arrive on the simulator's phone, receipts come by the signed webhook.

It promises no more than a real carrier does: handing the same text over twice shows it twice. What a carrier does wrong
can be ordered on the simulator's page, one fault for one text; a fault of a text of ours takes hold here.
"""

import asyncio
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from urllib.parse import urlsplit

import httpx
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from twilio.request_validator import RequestValidator

from bot import clock
from bot.carriers.base import Accepted, InboundText, Lookup, Media, Outgoing
from bot.db import Database
from bot.errors import OutcomeUnknown, Unsubscribed
from bot.tables import SimulatorMessage

#: Faults of a text of ours: refused with 21610; a failed receipt; no receipt; no answer to the hand-over nor a receipt.
OUTBOUND_FAULTS = ("blocked", "failed", "no_receipt", "lost_answer")
#: Twilio's error codes of texts that were taken and never arrived, in words (twilio.com/docs/api/errors).
FAILURES = {
    "30003": "the phone is off or out of reach",
    "30004": "the phone or its carrier blocks texts",
    "30005": "there is no such number",
    "30006": "the number is a landline, or its carrier cannot be reached",
    "30007": "the carrier took it for spam",
    "30008": "the carrier does not say why",
}


def new_id(media: Sequence[Media] = ()) -> str:
    """A carrier id nobody has, as Twilio makes them: MM for a text with pictures, SM for any other."""
    return f"{'MM' if media else 'SM'}{secrets.token_hex(16)}"


def phone_text(
    sender: str,
    recipient: str,
    body: str,
    account_sid: str | None,
    carrier_id: str | None = None,
    media: Sequence[Media] = (),
) -> dict[str, str]:
    """The webhook form of a text from the simulator's phone, to be signed; a new carrier id unless one is given."""
    carrier_id = carrier_id or new_id(media)
    pictures = {f"MediaUrl{place}": item.url for place, item in enumerate(media)}
    pictures |= {f"MediaContentType{place}": item.content_type for place, item in enumerate(media)}
    return {
        "MessageSid": carrier_id,
        "SmsSid": carrier_id,
        "SmsMessageSid": carrier_id,
        "AccountSid": account_sid or "AC" + "0" * 32,
        "From": sender,
        "To": recipient,
        "Body": body,
        "NumMedia": str(len(media)),
        "NumSegments": "1",
        **pictures,
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
        """Accept one text, unless a fault was ordered for the next one to this phone."""
        carrier_id = new_id()
        async with self._db.begin() as session:
            kind, code = await self._fault(session, outgoing)
            if kind != "blocked":
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
        if kind == "blocked":
            raise Unsubscribed("the carrier blocks this contact", "21610")
        if kind == "lost_answer":
            raise OutcomeUnknown("the simulator took the request and gave no answer")
        if kind != "no_receipt":
            task = asyncio.create_task(self._report(carrier_id, outgoing, code))
            self._reports.add(task)
            task.add_done_callback(self._reports.discard)
        return Accepted(carrier_id)

    @staticmethod
    async def _fault(session: AsyncSession, outgoing: Outgoing) -> tuple[str | None, str | None]:
        """Take the oldest fault that waits for a text to this phone: its kind and error code, or neither."""
        row = (
            await session.execute(
                text(
                    "UPDATE simulator_faults SET used_at = :now, ended_at = :now, message_id = :message WHERE id ="
                    " (SELECT id FROM simulator_faults WHERE phone = :phone AND used_at IS NULL AND kind = ANY(:kinds)"
                    " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING kind, code"
                ),
                {
                    "now": clock.now(),
                    "message": outgoing.message_id,
                    "phone": outgoing.recipient,
                    "kinds": list(OUTBOUND_FAULTS),
                },
            )
        ).first()
        return (row.kind, row.code) if row is not None else (None, None)

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

    async def _report(self, carrier_id: str, outgoing: Outgoing, error_code: str | None) -> None:
        path = urlsplit(outgoing.callback_url)
        local = f"{self._web_url}{path.path}?{path.query}"
        for status in ("sent", "undelivered" if error_code else "delivered"):
            form = {
                "MessageSid": carrier_id,
                "SmsSid": carrier_id,
                "MessageStatus": status,
                "SmsStatus": status,
                "From": outgoing.sender,
                "To": outgoing.recipient,
                **({"ErrorCode": error_code} if error_code and status == "undelivered" else {}),
            }
            signature = self._validator.compute_signature(outgoing.callback_url, form)
            try:
                await self._http.post(local, data=form, headers={"X-Twilio-Signature": signature})
            except httpx.HTTPError:
                return  # a carrier's receipts get lost, too
