"""Twilio's wire: signatures, webhook forms, the Messages API and its error codes; it stores nothing.

Sources: twilio.com/docs/messaging/guides/webhook-request, /docs/usage/security#validating-requests,
/docs/messaging/api/message-resource, /docs/api/errors.
"""

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
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
#: A text may be in the list from this long before we think we asked: clocks differ.
CLOCKS_DIFFER = timedelta(minutes=5)
#: Pictures a text may carry.
MAX_MEDIA = 10
#: Rows a page, the most Twilio gives, and pages after which a list is no list.
PAGE_SIZE = 1000
MAX_PAGES = 1000


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
        for i in range(min(int(count) if count.isdecimal() else 0, MAX_MEDIA))
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
    """Sends through the Messages API, one request a text, and reads its list."""

    def __init__(self, http: httpx.AsyncClient, api_url: str, account_sid: str, auth_token: str) -> None:
        self._http = http
        self._api = api_url.rstrip("/")
        self._messages = f"/2010-04-01/Accounts/{account_sid}/Messages.json"
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
            response = await self._http.post(self._api + self._messages, data=form, auth=self._auth)
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

    async def find(self, outgoing: Outgoing, asked_at: datetime, known: Collection[str] = ()) -> Lookup:
        """Look through every message from our number to this contact since shortly before the request.

        Twilio's create call has no idempotency key, so a text is recognised by numbers, words and time. The list is not
        filtered by DateSent: a text that is still queued has none.
        """
        since = asked_at - CLOCKS_DIFFER
        params = {"To": outgoing.recipient, "From": outgoing.sender}
        async for row in self._rows(self._messages, "messages", params):
            created = _instant(row)
            alike = str(row.get("body") or "").strip() == outgoing.body.strip() and row.get("sid") not in known
            if alike and (created is None or created >= since):
                return Lookup(str(row["sid"]), never_arrived=False)
        return Lookup(None, never_arrived=clock.now() - asked_at > PROOF_AFTER)

    async def received_since(self, recipient: str, since: datetime) -> list[InboundText]:
        """Read the list of a number to its end; its filter knows days only (of GMT), so instants are compared here."""
        day = since.astimezone(UTC).strftime("%Y-%m-%d")
        rows = [
            row
            async for row in self._rows(self._messages, "messages", {"To": recipient, "DateSent>": day})
            if row.get("direction") == "inbound"
        ]
        since = since.replace(microsecond=0)  # Twilio's instants are whole seconds
        wanted = [(at, row) for at, row in ((_instant(row), row) for row in rows) if at is None or at >= since]
        wanted.reverse()  # the newest come first; of texts of one second the later row is the older one
        wanted.sort(key=lambda pair: pair[0] or since)
        return [await self._inbound(row, at) for at, row in wanted]

    async def _inbound(self, row: Mapping[str, Any], received_at: datetime | None) -> InboundText:
        return InboundText(
            carrier_id=str(row["sid"]),
            sender=str(row["from"]),
            recipient=str(row["to"]),
            body=str(row.get("body") or ""),
            media=await self._media(row) if str(row.get("num_media") or "0") != "0" else [],
            received_at=received_at,
        )

    async def _media(self, row: Mapping[str, Any]) -> list[Media]:
        """What came with a listed text: addresses as the webhook would have given them; none where it was deleted."""
        found: list[Media] = []
        with contextlib.suppress(Rejected):
            async for item in self._rows(str(row.get("subresource_uris", {}).get("media")), "media_list", {}):
                url = self._api + str(item.get("uri", "")).removesuffix(".json")
                found.append(Media(url, str(item.get("content_type") or "application/octet-stream")))
        return found[:MAX_MEDIA]

    async def _rows(self, path: str, key: str, params: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Every row of a list, page by page. Raises CarrierError where a page cannot be read."""
        following: str | None = f"{path}?{httpx.QueryParams({**params, 'PageSize': str(PAGE_SIZE)})}"
        for _ in range(MAX_PAGES):
            if not following:
                return
            if not following.startswith("/"):  # our credentials go to Twilio's own address only
                raise CarrierDown("Twilio's list goes on at another address")
            try:
                response = await self._http.get(self._api + following, auth=self._auth)
            except httpx.HTTPError as exc:
                raise CarrierDown("Twilio's list cannot be read") from exc
            if response.status_code != httpx.codes.OK:
                raise _unreadable(response)
            page = _json(response)
            if key not in page:
                raise CarrierDown("Twilio's list cannot be understood")
            for row in page[key]:
                yield row
            following = page.get("next_page_uri")
        raise CarrierDown("Twilio's list has no end")


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


def _unreadable(response: httpx.Response) -> CarrierError:
    """The exception for a list that was not given: nothing was asked to be done, so nothing is unknown."""
    error = _error(response)
    return CarrierDown("Twilio's list cannot be read", error.code) if isinstance(error, OutcomeUnknown) else error


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _instant(row: Mapping[str, Any]) -> datetime | None:
    """When a message was made, None where Twilio does not say so in RFC 2822."""
    try:
        at = parsedate_to_datetime(str(row.get("date_created")))
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _uuid(raw: str | None) -> UUID | None:
    try:
        return UUID(raw) if raw else None
    except ValueError:
        return None
