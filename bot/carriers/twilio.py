"""Twilio's wire: signatures, webhook forms, the Messages API and its error codes; it stores nothing.

Sources: twilio.com/docs/messaging/guides/webhook-request, /docs/usage/security#validating-requests,
/docs/messaging/api/message-resource, /docs/api/errors.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import httpx
from starlette.datastructures import FormData
from twilio.request_validator import RequestValidator

from bot import clock
from bot.carriers.base import Accepted, InboundText, Lookup, Media, Outgoing, ReceiptReport
from bot.errors import CarrierDown, CarrierError, OutcomeUnknown, Rejected, Throttled, Unsubscribed

#: Twilio's words for a message's state, in ours; anything else moves nothing.
STATUSES = {
    "scheduled": "sending",
    "accepted": "sending",
    "queued": "sending",
    "sending": "sending",
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "cancelled",
}
ERROR_OPTED_OUT = "21610"
#: Refused now, welcome later: REST concurrency, sender queue full, service queue full, 10DLC rate, loop guard.
ERRORS_LATER = frozenset({"20429", "21611", "30001", "30022", "14107"})
#: After this long without a trace in Twilio's list, a request that got no answer was never taken: our own timeouts end
#: after 30 s and the list is read back over a window that starts before the request.
PROOF_AFTER = timedelta(minutes=5)


def verify(url: str, form: FormData, signature: str, tokens: list[str]) -> bool:
    """Whether one of the auth tokens signed this form for this public URL (with or without its port)."""
    params: Any = form
    return bool(signature) and any(
        RequestValidator(token).validate(url, params, signature) for token in tokens if token
    )


def parse_inbound(form: Mapping[str, Any]) -> InboundText:
    """An incoming-message webhook. Raises ValueError where a field Twilio always sends is missing."""
    missing = [name for name in ("MessageSid", "From", "To") if not form.get(name)]
    if missing:
        raise ValueError(f"not an incoming message: {', '.join(missing)} missing")
    count = str(form.get("NumMedia") or "0")
    media = [
        Media(str(form[f"MediaUrl{i}"]), str(form.get(f"MediaContentType{i}") or "application/octet-stream"))
        for i in range(min(int(count) if count.isdecimal() else 0, 10))
        if form.get(f"MediaUrl{i}")
    ]
    return InboundText(
        carrier_id=str(form["MessageSid"]),
        sender=str(form["From"]),
        recipient=str(form["To"]),
        body=str(form.get("Body") or ""),
        media=media,
        opt_out_type=str(form["OptOutType"]).upper() if form.get("OptOutType") else None,
    )


def parse_receipt(form: Mapping[str, Any], query: Mapping[str, str]) -> ReceiptReport | None:
    """A status callback; None for a state that says nothing new. Raises ValueError where the form is none."""
    carrier_id, state = form.get("MessageSid"), form.get("MessageStatus")
    if not carrier_id or not state:
        raise ValueError("not a status callback: MessageSid or MessageStatus missing")
    status = STATUSES.get(str(state))
    if status is None:
        return None
    return ReceiptReport(str(carrier_id), status, str(form.get("ErrorCode") or "") or None, _uuid(query.get("m")))


class Twilio:
    """Sends through the Messages API, one request a text."""

    def __init__(self, http: httpx.AsyncClient, api_url: str, account_sid: str, auth_token: str) -> None:
        self._http = http
        self._messages = f"{api_url.rstrip('/')}/2010-04-01/Accounts/{account_sid}/Messages.json"
        self._auth = httpx.BasicAuth(account_sid, auth_token)

    async def send(self, outgoing: Outgoing) -> Accepted:
        """Create one message. A connection that fails is CarrierDown; once the request left, no answer is unknown."""
        form = {
            "To": outgoing.recipient,
            "From": outgoing.sender,
            "Body": outgoing.body,
            "StatusCallback": outgoing.callback_url,
            "ValidityPeriod": str(max(6, min(outgoing.valid_for_seconds, 36_000))),
        }
        try:
            response = await self._http.post(self._messages, data=form, auth=self._auth)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            raise CarrierDown("Twilio cannot be reached") from exc
        except httpx.HTTPError as exc:
            raise OutcomeUnknown("Twilio took the request and gave no answer") from exc
        if response.status_code == httpx.codes.CREATED:
            sid = _json(response).get("sid")
            if not sid:
                raise OutcomeUnknown("Twilio answered without a message SID")
            return Accepted(str(sid))
        raise _error(response)

    async def find(self, outgoing: Outgoing, asked_at: datetime) -> Lookup:
        """Look through the messages to this contact since shortly before the request.

        Twilio's create call has no idempotency key, so a text is recognised by number, body and time.
        """
        since = asked_at - timedelta(minutes=1)
        params = {
            "To": outgoing.recipient,
            "From": outgoing.sender,
            "DateSent>": since.strftime("%Y-%m-%d"),
            "PageSize": "200",
        }
        try:
            response = await self._http.get(self._messages, params=params, auth=self._auth)
        except httpx.HTTPError as exc:
            raise CarrierDown("Twilio's message list cannot be read") from exc
        if response.status_code != httpx.codes.OK:
            raise _error(response)
        for row in _json(response).get("messages", []):
            if row.get("body") == outgoing.body and _created(row) >= since:
                return Lookup(str(row["sid"]), never_arrived=False)
        return Lookup(None, never_arrived=clock.now() - asked_at > PROOF_AFTER)


def _error(response: httpx.Response) -> CarrierError:
    """The exception a non-2xx answer stands for; unknown codes below 500 are final."""
    body = _json(response)
    code = str(body.get("code") or response.status_code)
    if code == ERROR_OPTED_OUT:
        return Unsubscribed("the contact has opted out with the carrier", code)
    if code in ERRORS_LATER or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled("Twilio asks to slow down", code)
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        # A 5xx may come after the message was taken.
        return OutcomeUnknown("Twilio failed while taking the message", code)
    return Rejected(f"Twilio refused the message (error {code})", code)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _created(row: Mapping[str, Any]) -> datetime:
    try:
        return parsedate_to_datetime(str(row.get("date_created")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _uuid(raw: str | None) -> UUID | None:
    try:
        return UUID(raw) if raw else None
    except ValueError:
        return None
