"""A stand-in for Twilio on loopback: the Messages API with its checks and error bodies, its list, its callbacks.

It runs in a thread of its own and is spoken to over HTTP; a test reads and steers it by its methods, from any thread.
What it checks and answers follows Twilio's public description (twilio.com/docs/messaging/api/message-resource,
/docs/messaging/guides/outbound-message-status-in-status-callbacks, /docs/api/errors): parameters it does not know are
ignored, and remembered in `ignored`. Where the description leaves room it takes the less convenient reading: a message
still queued has no DateSent and is in no list filtered by it.
"""

import asyncio
import base64
import contextlib
import itertools
import re
import secrets
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web
from twilio.request_validator import RequestValidator

from bot import clock
from bot.text import measure

T = TypeVar("T")

#: The create parameters of the 2010 API.
FIELDS = frozenset(
    [
        *("To", "From", "MessagingServiceSid", "Body", "MediaUrl", "ContentSid", "ContentVariables", "StatusCallback"),
        *("ApplicationSid", "MaxPrice", "ProvideFeedback", "Attempt", "ValidityPeriod", "ForceDelivery"),
        *("ContentRetention", "AddressRetention", "SmartEncoded", "PersistentAction", "TrafficType", "ShortenUrls"),
        *("ScheduleType", "SendAt", "SendAsMms", "RiskCheck", "FallbackFrom"),
    ]
)
MESSAGES = {
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    21211: "The 'To' number is not a valid phone number.",
    21212: "The 'From' number is not a valid phone number, shortcode, or alphanumeric sender ID.",
    21266: "'To' and 'From' number cannot be the same",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The 'From' phone number provided is not a valid, message-capable Twilio phone number.",
    21609: "The 'StatusCallback' URL is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21619: "A text message body or media urls must be specified.",
    21624: "Invalid validity period value",
}
STATUS = {20003: 401, 20404: 404, 20429: 429, 20500: 500}
STOP_WORDS = frozenset(["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])
START_WORDS = frozenset(["START", "UNSTOP", "YES"])

_E164 = re.compile(r"^\+[1-9]\d{6,14}$")
_SENDER = re.compile(r"^\+[1-9]\d{6,14}$|^\d{5,6}$")

#: What goes wrong with a create call. slow: answered after `seconds`. lost_after: taken, the connection cut.
#: lost_before: cut before it was taken. fails_after: taken, answered 500. refused: not taken, answered with `code`.
Kind = Literal["slow", "lost_after", "lost_before", "fails_after", "refused"]
#: How status callbacks come. early: all of them before the create call is answered.
Callbacks = Literal["normal", "duplicated", "reversed", "early", "never"]


@dataclass
class Text:
    """A message resource; instants are UTC, `sent` is None until it left (inbound: when the webhook was called)."""

    sid: str
    sender: str
    recipient: str
    body: str
    direction: Literal["inbound", "outbound-api"]
    status: str
    created: datetime
    sent: datetime | None = None
    media: list[tuple[str, str]] = field(default_factory=list)
    error_code: str | None = None
    callback: str | None = None
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """Something that goes wrong with the next `times` create calls (None: with all) to `to` (None: to anybody)."""

    kind: Kind
    times: int | None
    to: str | None
    seconds: float
    code: int


class Refused(Exception):
    """A request Twilio answers with an error body."""

    def __init__(self, code: int) -> None:
        super().__init__(MESSAGES.get(code, str(code)))
        self.code = code


class TwilioServer:
    """One account of Twilio's on a loopback port of its own."""

    def __init__(
        self,
        numbers: Iterable[str],
        *,
        webhook: str = "",
        reach: dict[str, str] | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        """`webhook` is the public address inbound texts go to; `reach` maps public addresses to where they are here."""
        self.account_sid = f"AC{secrets.token_hex(16)}"
        self.auth_token = secrets.token_hex(16)
        self.numbers = set(numbers)
        self.webhook = webhook
        self.reach = reach or {}
        self.texts: list[Text] = []
        #: Every create form that arrived, in order, also those refused or lost.
        self.forms: list[dict[str, str]] = []
        #: Parameters of create calls that Twilio does not know.
        self.ignored: set[str] = set()
        #: Queries of list calls, in order.
        self.lists: list[dict[str, str]] = []
        #: Pairs of our number and a contact who may not be texted (21610), and numbers that take no texts (21614).
        self.blocked: set[tuple[str, str]] = set()
        self.landlines: set[str] = set()
        self.callbacks: Callbacks = "normal"
        #: How a text to a contact ends, where not delivered: a status and its error code.
        self.ends: dict[str, tuple[str, str]] = {}
        self._faults: list[Fault] = []
        self._now = now
        self._lock = threading.RLock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="twilio")
        self._posting: set[asyncio.Task[None]] = set()
        self._transports: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        self._validator = RequestValidator(self.auth_token)
        self._port = 0

    # -- running ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> "TwilioServer":
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """The API's address, for PARLEY_TWILIO_API_URL."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def path(self) -> str:
        """The account's path."""
        return f"/2010-04-01/Accounts/{self.account_sid}"

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Connections are refused for a while."""
        self._run(self._close())
        try:
            yield
        finally:
            self._run(self._listen())

    async def _start(self) -> None:
        app = web.Application(middlewares=[self._answer])
        app.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", self._create)
        app.router.add_get("/2010-04-01/Accounts/{account}/Messages.json", self._list)
        app.router.add_get("/2010-04-01/Accounts/{account}/Messages/{sid}/Media.json", self._media)
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await self._listen()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        if self._port == 0:
            self._port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        await self._site.stop()
        for transport in list(self._transports):
            transport.abort()  # type: ignore[attr-defined]  # a TCP transport has it

    async def _stop(self) -> None:
        for task in self._posting:
            task.cancel()
        await asyncio.gather(*self._posting, return_exceptions=True)
        await self._runner.cleanup()
        await self._http.close()
        await asyncio.sleep(0.05)  # aiohttp leaves its sockets to the loop to close

    def _run(self, work: Coroutine[Any, Any, T], seconds: float = 30) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    # -- a test's side ---------------------------------------------------------------------------------------------

    def fault(
        self, kind: Kind, *, times: int | None = 1, to: str | None = None, seconds: float = 0.0, code: int = 20429
    ) -> None:
        """Have the next create calls fail; see Kind."""
        with self._lock:
            self._faults.append(Fault(kind, times, to, seconds, code))

    def heal(self) -> None:
        """No faults from here on."""
        with self._lock:
            self._faults.clear()

    def sent(self, to: str | None = None) -> list[Text]:
        """The texts taken from us, to everybody or one contact, in order."""
        with self._lock:
            return [t for t in self.texts if t.direction == "outbound-api" and to in (None, t.recipient)]

    def bodies(self, to: str) -> list[str]:
        """The words a contact received from us, in order."""
        return [text.body for text in self.sent(to)]

    def missed(self, *texts: tuple[str, str, datetime], to: str | None = None) -> list[str]:
        """Texts that came while nobody answered the webhook: sender, words, instant; all in the list at once."""
        with self._lock:
            return [self._receive(sender, body, to, at, []).sid for sender, body, at in texts]

    def text(
        self,
        sender: str,
        body: str,
        *,
        to: str | None = None,
        at: datetime | None = None,
        media: Iterable[tuple[str, str]] = (),
        **fields: str,
    ) -> str:
        """A contact texts: it is in the list, and the webhook is called; its SID."""
        with self._lock:
            received = self._receive(sender, body, to, at or self._now(), list(media))
            received.fields |= fields
        status = self.deliver(received.sid)
        assert status == 200, f"the webhook answered {status}"
        return received.sid

    def deliver(self, sid: str) -> int:
        """Call the webhook for a received text, once more if it was called before; the status it answered."""
        with self._lock:
            (received,) = [text for text in self.texts if text.sid == sid]
            form = self._inbound_form(received)
        return self._run(self._post(self.webhook, form))

    def settled(self) -> bool:
        """Whether every callback was made."""
        return not self._posting

    def _receive(self, sender: str, body: str, to: str | None, at: datetime, media: list[tuple[str, str]]) -> Text:
        number = to or min(self.numbers)
        word = body.strip().upper()
        if word in STOP_WORDS:
            self.blocked.add((number, sender))
        elif word in START_WORDS:
            self.blocked.discard((number, sender))
        prefix = "MM" if media else "SM"
        received = Text(f"{prefix}{secrets.token_hex(16)}", sender, number, body, "inbound", "received", at, at, media)
        self.texts.append(received)
        return received

    # -- webhooks --------------------------------------------------------------------------------------------------

    def _inbound_form(self, text: Text) -> dict[str, str]:
        form = {
            "ToCountry": "US",
            "MessageSid": text.sid,
            "SmsMessageSid": text.sid,
            "SmsSid": text.sid,
            "SmsStatus": "received",
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "From": text.sender,
            "To": text.recipient,
            "Body": text.body,
            "NumMedia": str(len(text.media)),
            "NumSegments": str(measure(text.body).parts),
            "FromCity": "",
        }
        for number, (name, kind) in enumerate(text.media):
            form[f"MediaUrl{number}"] = f"{self.url}{self.path}/Messages/{text.sid}/Media/{name}"
            form[f"MediaContentType{number}"] = kind
        return form | text.fields

    def _status_form(self, text: Text, status: str, error_code: str | None) -> dict[str, str]:
        form = {
            "SmsSid": text.sid,
            "SmsStatus": status,
            "MessageStatus": status,
            "To": text.recipient,
            "From": text.sender,
            "MessageSid": text.sid,
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
        }
        if error_code is not None:
            form["ErrorCode"] = error_code
        return form

    async def _post(self, url: str, form: dict[str, str]) -> int:
        """Post a signed form to a public address; the status, 0 where nobody is there."""
        headers = {"X-Twilio-Signature": self._validator.compute_signature(url, form)}
        headers["I-Twilio-Idempotency-Token"] = secrets.token_hex(16)
        here = next(
            (local + url.removeprefix(public) for public, local in self.reach.items() if url.startswith(public)), url
        )
        try:
            async with self._http.post(here, data=form, headers=headers) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def _report_all(self, text: Text, callbacks: Callbacks) -> None:
        final, error_code = self.ends.get(text.recipient, ("delivered", None))
        steps: list[tuple[str, str | None]] = [("sent", None), (final, error_code)]
        if final == "failed":  # never left
            steps = [(final, error_code)]
        if callbacks == "reversed":
            steps.reverse()
        if callbacks == "duplicated":
            steps = [step for step in steps for _ in range(2)]
        for status, code in steps:
            with self._lock:
                text.status, text.error_code = status, code
                text.sent = text.sent or self._now()
            if text.callback and callbacks != "never":
                await self._post(text.callback, self._status_form(text, status, code))
        with self._lock:
            text.status, text.error_code = final, error_code

    # -- the API ---------------------------------------------------------------------------------------------------

    @web.middleware
    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Authentication, and errors as Twilio words them."""
        if request.transport is not None:
            self._transports.add(request.transport)
        try:
            credentials = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
            account = request.match_info.get("account")
            if request.headers.get("Authorization") != f"Basic {credentials}" or account not in (
                None,
                self.account_sid,
            ):
                raise Refused(20003)
            return await handler(request)
        except web.HTTPNotFound:
            return _error(20404)
        except Refused as exc:
            return _error(exc.code)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        posted = await request.post()
        form = {name: str(value) for name, value in posted.items()}
        with self._lock:
            self.forms.append(form)
            self.ignored |= form.keys() - FIELDS
            fault = self._next_fault(form.get("To", ""))
        if fault is not None and fault.kind == "refused":
            raise Refused(fault.code)
        if fault is not None and fault.kind == "lost_before":
            return _cut(request)
        with self._lock:
            self._check(form)
            text = Text(
                sid=f"SM{secrets.token_hex(16)}",
                sender=form.get("From") or min(self.numbers),
                recipient=form["To"],
                body=form.get("Body", ""),
                direction="outbound-api",
                status="queued" if "From" in form else "accepted",
                created=self._now(),
                callback=form.get("StatusCallback"),
            )
            self.texts.append(text)
            answer = self._resource(text)
            callbacks = self.callbacks
        reports = self._report_all(text, callbacks)
        if callbacks == "early":
            await reports
        else:
            task = asyncio.get_running_loop().create_task(reports)
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind == "lost_after":
            return _cut(request)
        if fault is not None and fault.kind == "fails_after":
            raise Refused(20500)
        return web.json_response(answer, status=201)

    def _next_fault(self, to: str) -> Fault | None:
        for fault in self._faults:
            if fault.to in (None, to):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                return fault
        return None

    def _check(self, form: dict[str, str]) -> None:
        """Refuse what Twilio refuses, in its order."""
        to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
        validity = form.get("ValidityPeriod", "36000")
        callback = urlsplit(form.get("StatusCallback", "https://none.example"))
        wrong = [
            (21604, not to),
            (21603, not sender and not form.get("MessagingServiceSid")),
            (21619, not body.strip() and not form.get("MediaUrl") and not form.get("ContentSid")),
            (21617, len(body) > 1600),
            (21211, not _E164.match(to)),
            (21212, bool(sender) and not _SENDER.match(sender)),
            (21266, to == sender),
            (21606, bool(sender) and sender not in self.numbers),
            (21609, callback.scheme not in ("http", "https") or not callback.hostname or "_" in callback.hostname),
            (21624, not validity.isdecimal() or not 1 <= int(validity) <= 36_000),
            (21614, to in self.landlines),
            (21610, (sender, to) in self.blocked),
        ]
        for code, broken in wrong:
            if broken:
                raise Refused(code)

    async def _list(self, request: web.Request) -> web.Response:
        query = {name: str(value) for name, value in request.query.items()}
        with self._lock:
            self.lists.append(query)
            rows = [text for text in reversed(self.texts) if _fits(text, query)]
            rows.sort(key=lambda text: text.sent or text.created, reverse=True)
            token = query.get("PageToken", "").removeprefix("PA")
            if token:  # the page after this message, whatever has come since
                rows = list(itertools.dropwhile(lambda text: text.sid != token, rows))[1:]
            size = min(max(int(query.get("PageSize", "50")), 1), 1000)
            page, more = rows[:size], len(rows) > size
            number = int(query.get("Page", "0"))
            following = {**query, "Page": str(number + 1), "PageToken": f"PA{page[-1].sid}"} if more else None
            answer = {
                "messages": [self._resource(text) for text in page],
                "uri": f"{self.path}/Messages.json?{urlencode(query)}",
                "first_page_uri": f"{self.path}/Messages.json?{urlencode({**query, 'Page': '0'})}",
                "next_page_uri": f"{self.path}/Messages.json?{urlencode(following)}" if following else None,
                "previous_page_uri": None,
                "page": number,
                "page_size": size,
                "start": number * size,
                "end": number * size + max(len(page) - 1, 0),
            }
        return web.json_response(answer)

    async def _media(self, request: web.Request) -> web.Response:
        text = self._named(request)
        base = f"{self.path}/Messages/{text.sid}/Media"
        rows = [
            {
                "sid": name,
                "account_sid": self.account_sid,
                "parent_sid": text.sid,
                "content_type": kind,
                "date_created": format_datetime(text.created.astimezone(UTC)),
                "uri": f"{base}/{name}.json",
            }
            for name, kind in text.media
        ]
        return web.json_response({"media_list": rows, "uri": f"{base}.json", "next_page_uri": None})

    def _named(self, request: web.Request) -> Text:
        with self._lock:
            found = [text for text in self.texts if text.sid == request.match_info["sid"]]
        if not found:
            raise Refused(20404)
        return found[0]

    def _resource(self, text: Text) -> dict[str, Any]:
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": text.body,
            "date_created": format_datetime(text.created.astimezone(UTC)),
            "date_sent": format_datetime(text.sent.astimezone(UTC)) if text.sent is not None else None,
            "date_updated": format_datetime((text.sent or text.created).astimezone(UTC)),
            "direction": text.direction,
            "error_code": int(text.error_code) if text.error_code is not None else None,
            "error_message": None,
            "from": text.sender,
            "messaging_service_sid": None,
            "num_media": str(len(text.media)),
            "num_segments": str(measure(text.body).parts),
            "price": None,
            "price_unit": "USD",
            "sid": text.sid,
            "status": text.status,
            "subresource_uris": {"media": f"{self.path}/Messages/{text.sid}/Media.json"},
            "to": text.recipient,
            "uri": f"{self.path}/Messages/{text.sid}.json",
        }


def _fits(text: Text, query: dict[str, str]) -> bool:
    """Whether a message is in a list with these filters; days are GMT, both inequalities include their day."""
    if query.get("To", text.recipient) != text.recipient or query.get("From", text.sender) != text.sender:
        return False
    days = {name: query[name] for name in ("DateSent", "DateSent<", "DateSent>") if name in query}
    if not days:
        return True
    if text.sent is None:
        return False
    at = text.sent.astimezone(UTC)
    midnight = {
        name: datetime.combine(date.fromisoformat(day[:10]), datetime.min.time(), UTC) for name, day in days.items()
    }
    return (
        ("DateSent" not in days or midnight["DateSent"] <= at < midnight["DateSent"] + timedelta(days=1))
        and ("DateSent>" not in days or at >= midnight["DateSent>"])
        and ("DateSent<" not in days or at <= midnight["DateSent<"])
    )


def _error(code: int) -> web.Response:
    status = STATUS.get(code, 400)
    body = {
        "code": code,
        "message": MESSAGES.get(code, "…"),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return web.json_response(body, status=status)


def _cut(request: web.Request) -> web.StreamResponse:
    """Cut the connection without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # reaches nobody
