"""Twilio's wire: what we send it, what its answers mean, and whose webhooks we believe."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from bot import clock
from bot.carriers import twilio
from bot.carriers.base import Outgoing, ReceiptReport
from bot.carriers.twilio import Twilio
from bot.errors import CarrierDown, CarrierError, OutcomeUnknown, Rejected, Throttled, Unsubscribed
from bot.supervisor import free_port
from tests.twilio_server import TwilioServer

SID, TOKEN = "AC" + "1" * 32, "token"
MESSAGE_ID = UUID(int=7)
OUTGOING = Outgoing(
    message_id=MESSAGE_ID,
    sender="+13125550142",
    recipient="+12025550100",
    body="Your order is ready. Reply STOP to opt out.",
    callback_url=f"https://shop.example/webhooks/twilio/status?m={MESSAGE_ID}",
    valid_for_seconds=14_400,
)
PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"

Answer = Callable[[Request], Response]


@asynccontextmanager
async def messages_api(answer: Answer) -> AsyncIterator[tuple[Twilio, list[tuple[Request, bytes]]]]:
    """A stand-in for the Messages API on loopback, and the carrier that talks to it; what it was asked is kept."""
    asked: list[tuple[Request, bytes]] = []

    async def endpoint(request: Request) -> Response:
        asked.append((request, await request.body()))
        return answer(request)

    port = free_port()
    app = Starlette(routes=[Route(PATH, endpoint, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=0.5) as http:
            yield Twilio(http, f"http://127.0.0.1:{port}", SID, TOKEN), asked
    finally:
        server.should_exit = True
        await task


def refusal(status: int, code: int | None) -> Answer:
    """An error as Twilio answers it."""
    body = {"code": code, "message": "…", "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    return lambda _: JSONResponse(body if code else {}, status_code=status)


async def test_a_text_is_one_form_with_our_id_in_its_callback() -> None:
    """The documented fields, basic authentication, and the SID that comes back."""
    async with messages_api(lambda _: JSONResponse({"sid": "SM" + "a" * 32, "status": "queued"}, 201)) as (
        carrier,
        asked,
    ):
        accepted = await carrier.send(OUTGOING)

    ((request, body),) = asked
    assert "SM" + "a" * 32 == accepted.carrier_id
    assert {
        "To": ["+12025550100"],
        "From": ["+13125550142"],
        "Body": [OUTGOING.body],
        "StatusCallback": [OUTGOING.callback_url],
        "ValidityPeriod": ["14400"],
    } == parse_qs(body.decode())
    assert f"Basic {base64.b64encode(f'{SID}:{TOKEN}'.encode()).decode()}" == request.headers["authorization"]


@pytest.mark.parametrize(
    "status, code, kind",
    [
        (400, 21610, Unsubscribed),
        (400, 21211, Rejected),
        (401, 20003, Rejected),
        (404, 20404, Rejected),
        (429, 20429, Throttled),
        (400, 21611, Throttled),
        (429, None, Throttled),
        (500, 20500, OutcomeUnknown),
        (503, None, OutcomeUnknown),
    ],
)
async def test_every_refusal_says_whether_to_try_again(status: int, code: int | None, kind: type[CarrierError]) -> None:
    """Codes become errors with a policy; a 5xx may come after the text was taken."""
    async with messages_api(refusal(status, code)) as (carrier, _):
        with pytest.raises(CarrierError) as refused:
            await carrier.send(OUTGOING)

    assert kind is type(refused.value)
    assert str(code or status) == refused.value.code


async def test_nobody_there_is_down_and_no_answer_is_unknown() -> None:
    """Only a connection that was never made proves that nothing was taken."""
    async with httpx.AsyncClient(trust_env=False, timeout=0.5) as http:
        with pytest.raises(CarrierDown):
            await Twilio(http, f"http://127.0.0.1:{free_port()}", SID, TOKEN).send(OUTGOING)

    hanging = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hanging.wait()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(trust_env=False, timeout=0.3) as http:
        with pytest.raises(OutcomeUnknown):
            await Twilio(http, f"http://127.0.0.1:{port}", SID, TOKEN).send(OUTGOING)
    hanging.set()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("answer", [PlainTextResponse("ok", 201), JSONResponse({}, 201), JSONResponse([], 201)])
async def test_an_answer_without_a_sid_is_unknown(answer: Response) -> None:
    """Created, but what: the log has to say."""
    async with messages_api(lambda _: answer) as (carrier, _):
        with pytest.raises(OutcomeUnknown):
            await carrier.send(OUTGOING)


def listed(body: str, ago: timedelta) -> Answer:
    """A message list with one message in it."""
    row = {"sid": "SM1", "body": body, "date_created": format_datetime(clock.now() - ago)}
    return lambda _: JSONResponse({"messages": [row], "next_page_uri": None})


@pytest.mark.parametrize(
    "body, ago, asked_ago, found",
    [
        (OUTGOING.body, timedelta(seconds=30), timedelta(seconds=31), ("SM1", False)),
        ("Another text.", timedelta(seconds=30), timedelta(seconds=31), (None, False)),
        ("Another text.", timedelta(seconds=30), timedelta(minutes=6), (None, True)),
        (OUTGOING.body, timedelta(hours=3), timedelta(minutes=6), (None, True)),
    ],
    ids=["there", "not yet there", "never came", "an older one with the same words"],
)
async def test_the_log_tells_what_became_of_a_text(
    body: str, ago: timedelta, asked_ago: timedelta, found: tuple[str | None, bool]
) -> None:
    """Found by number, words and time; five minutes without a trace prove that it was never taken."""
    async with messages_api(listed(body, ago)) as (carrier, asked):
        lookup = await carrier.find(OUTGOING, clock.now() - asked_ago)

    assert found == (lookup.carrier_id, lookup.never_arrived)
    assert ("+12025550100", "+13125550142") == (
        asked[0][0].query_params["To"],
        asked[0][0].query_params["From"],
    )


async def test_a_log_that_cannot_be_read_proves_nothing() -> None:
    """An outage of the list is an error, never "it did not arrive"."""
    async with messages_api(refusal(500, None)) as (carrier, _):
        with pytest.raises(CarrierError):
            await carrier.find(OUTGOING, clock.now() - timedelta(hours=1))


@pytest.fixture
def server() -> Iterator[TwilioServer]:
    """The whole stand-in, for what one canned answer cannot show."""
    with TwilioServer([OUTGOING.sender]) as server:
        yield server


@asynccontextmanager
async def carrier_of(server: TwilioServer) -> AsyncIterator[Twilio]:
    """Our carrier, talking to the stand-in."""
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
        yield Twilio(http, server.url, server.account_sid, server.auth_token)


@pytest.mark.parametrize(
    "wrong, code",
    [
        ({"recipient": ""}, "21604"),
        ({"recipient": "12025550100"}, "21211"),
        ({"recipient": "+13125550142"}, "21266"),
        ({"sender": "+13125550199"}, "21606"),
        ({"sender": "our shop"}, "21212"),
        ({"sender": ""}, "21603"),
        ({"body": " "}, "21619"),
        ({"body": "x" * 1601}, "21617"),
        ({"callback_url": "shop.example/status"}, "21609"),
        ({"callback_url": "https://the_shop.example/status"}, "21609"),
    ],
)
async def test_what_twilio_would_refuse_is_refused_by_its_code(
    server: TwilioServer, wrong: dict[str, str], code: str
) -> None:
    """A mistake of ours is final and named."""
    async with carrier_of(server) as carrier:
        with pytest.raises(Rejected) as refused:
            await carrier.send(replace(OUTGOING, **wrong))  # type: ignore[arg-type]  # text fields only

    assert code == refused.value.code
    assert [] == server.sent()


@pytest.mark.parametrize("seconds", [0, 1, 5, 14_400, 1_000_000])
async def test_any_deadline_becomes_a_validity_twilio_takes(server: TwilioServer, seconds: int) -> None:
    """From six seconds to ten hours."""
    async with carrier_of(server) as carrier:
        await carrier.send(replace(OUTGOING, valid_for_seconds=seconds))

    assert 6 <= int(server.forms[0]["ValidityPeriod"]) <= 36_000


async def test_wrong_credentials_are_a_refusal(server: TwilioServer) -> None:
    """Nobody's texts are taken, and nobody's list is shown."""
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
        carrier = Twilio(http, server.url, server.account_sid, "wrong")
        with pytest.raises(Rejected, match="20003"):
            await carrier.send(OUTGOING)
        with pytest.raises(Rejected, match="20003"):
            await carrier.received_since(OUTGOING.sender, clock.now())


async def test_a_long_list_is_read_to_its_end(server: TwilioServer) -> None:
    """Thousands of texts are pages; the one that is looked for may be on the last."""
    now = clock.now().replace(microsecond=0)
    async with carrier_of(server) as carrier:
        await carrier.send(OUTGOING)
        server.texts[0].created = server.texts[0].sent = now - timedelta(minutes=1)
        server.texts += [
            replace(server.texts[0], sid=f"SM{number:032x}", body=f"Text {number}.", created=now, sent=now)
            for number in range(2500)
        ]
        sids = server.missed(*(("+12025550100", f"Text {number}", now) for number in range(2500)))

        found = await carrier.find(OUTGOING, now)
        reads = len(server.lists)
        listed = await carrier.received_since(OUTGOING.sender, now - timedelta(minutes=1))

    assert server.texts[0].sid == found.carrier_id
    assert sids == [item.carrier_id for item in listed]
    assert (3, 3) == (reads, len(server.lists) - reads)


async def test_a_text_still_queued_at_twilio_is_found(server: TwilioServer) -> None:
    """It has no DateSent yet, so no list filtered by it would name it."""
    async with carrier_of(server) as carrier:
        await carrier.send(OUTGOING)
        server.texts[0].sent = None
        server.texts[0].status = "queued"

        found = await carrier.find(OUTGOING, clock.now() - timedelta(minutes=6))

    assert server.texts[0].sid == found.carrier_id


async def test_texts_of_one_day_are_told_apart_by_their_instants(server: TwilioServer) -> None:
    """Twilio's filter knows days of GMT; across midnight as well."""
    midnight = clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    instants = [midnight + timedelta(minutes=minutes) for minutes in (-90, -30, 0, 30)]
    sids = server.missed(*(("+12025550100", f"at {at:%H:%M}", at) for at in instants))

    async with carrier_of(server) as carrier:
        listed = await carrier.received_since(OUTGOING.sender, midnight - timedelta(hours=1))

    assert sids[1:] == [item.carrier_id for item in listed]
    assert instants[1:] == [item.received_at for item in listed]


async def test_media_that_was_deleted_at_twilio_does_not_hide_its_text() -> None:
    """The text is listed without it."""

    def answer(request: Request) -> Response:
        row = {
            "sid": "MM1",
            "from": "+12025550100",
            "to": "+13125550142",
            "body": "STOP",
            "direction": "inbound",
            "num_media": "1",
            "date_created": format_datetime(clock.now()),
            "subresource_uris": {"media": "/2010-04-01/gone.json"},
        }
        return JSONResponse({"messages": [row], "next_page_uri": None})

    async with messages_api(answer) as (carrier, _):
        (listed,) = await carrier.received_since("+13125550142", clock.now() - timedelta(minutes=1))

    assert ("STOP", []) == (listed.body, listed.media)


@pytest.mark.parametrize("following", ["https://elsewhere.example/next", "@elsewhere.example/next", PATH])
async def test_a_list_that_leads_astray_or_has_no_end_is_not_followed(
    following: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our credentials go to Twilio's own address, and not for ever."""
    monkeypatch.setattr(twilio, "MAX_PAGES", 5)
    async with messages_api(lambda _: JSONResponse({"messages": [], "next_page_uri": following})) as (carrier, asked):
        with pytest.raises(CarrierDown):
            await carrier.received_since("+13125550142", clock.now())

    assert len(asked) == (5 if following == PATH else 1)


@pytest.mark.parametrize("answer", [PlainTextResponse("<html>"), JSONResponse([]), JSONResponse({"rows": []})])
async def test_an_answer_that_is_no_list_proves_nothing(answer: Response) -> None:
    """A proxy's page is not an empty log: nothing is sent again because of it."""
    async with messages_api(lambda _: answer) as (carrier, _):
        with pytest.raises(CarrierDown):
            await carrier.find(OUTGOING, clock.now() - timedelta(hours=1))


def test_the_stand_in_answers_twilios_own_library(server: TwilioServer) -> None:
    """Sending, errors, paging and filters as the official client reads them."""
    client = Client(server.account_sid, server.auth_token, http_client=_Rerouted(server.url))
    now = clock.now().replace(microsecond=0)
    server.missed(*(("+12025550100", f"Text {number}", now) for number in range(5)))

    created = client.messages.create(to=OUTGOING.recipient, from_=OUTGOING.sender, body="Hi.")
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to="+1", from_=OUTGOING.sender, body="Hi.")
    listed = client.messages.list(to=OUTGOING.sender, date_sent_after=now - timedelta(days=1), page_size=2)

    assert ("outbound-api", "queued", "1") == (created.direction, created.status, created.num_segments)
    assert abs(created.date_created - now) < timedelta(minutes=1)
    assert (400, 21211) == (refused.value.status, refused.value.code)
    assert [f"Text {number}" for number in (4, 3, 2, 1, 0)] == [row.body for row in listed]
    assert [] == client.messages.list(to=OUTGOING.sender, date_sent_after=now + timedelta(days=1))


class _Rerouted(TwilioHttpClient):  # type: ignore[misc]  # twilio ships no types
    """The official client's transport, led to loopback."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        """One request."""
        return super().request(method, url.replace("https://api.twilio.com", self._url), *args, **more)


def form(**fields: str) -> FormData:
    """A webhook's form."""
    return FormData(list(fields.items()))


@pytest.mark.parametrize("url", ["https://shop.example/w", "https://shop.example:443/w", "https://shop.example/w?a=b"])
def test_a_signature_of_either_token_is_believed(url: str) -> None:
    """Both tokens count while they are rotated; with and without the port, as Twilio signs either."""
    fields = form(MessageSid="SM1", Body="Ünïcode & more", Empty="")
    for token in ("first", "second"):
        signature = RequestValidator(token).compute_signature(url.replace(":443", ""), fields)

        assert twilio.verify(url, fields, signature, ["first", "second"])
        assert not twilio.verify(url, fields, signature, ["third", ""])
        assert not twilio.verify(url, form(MessageSid="SM2"), signature, ["first", "second"])
    assert not twilio.verify(url, fields, "", ["first"])


def test_an_empty_token_signs_nothing() -> None:
    """A token that is not set must not be one that everybody knows."""
    fields = form(MessageSid="SM1")
    signature = RequestValidator("").compute_signature("https://shop.example/w", fields)

    assert not twilio.verify("https://shop.example/w", fields, signature, [""])


def test_an_inbound_form_is_parsed_with_its_media() -> None:
    """What Twilio says, as values; ten pictures at most, whatever the count claims."""
    fields = form(
        MessageSid="SM1",
        From="+12025550100",
        To="+13125550142",
        Body="look",
        NumMedia="99",
        MediaUrl0="https://api.twilio.com/m/0",
        MediaContentType0="image/png",
        OptOutType="stop",
    )

    inbound = twilio.parse_inbound(fields)

    assert ("SM1", "look", "STOP") == (inbound.carrier_id, inbound.body, inbound.opt_out_type)
    assert [("https://api.twilio.com/m/0", "image/png")] == [(item.url, item.content_type) for item in inbound.media]


@pytest.mark.parametrize("missing", ["MessageSid", "From", "To"])
def test_a_form_that_is_no_text_is_refused_by_name(missing: str) -> None:
    """The field that is missing is named."""
    fields = {"MessageSid": "SM1", "From": "+12025550100", "To": "+13125550142"}
    del fields[missing]

    with pytest.raises(ValueError, match=missing):
        twilio.parse_inbound(form(**fields))


@pytest.mark.parametrize(
    "state, status",
    [("queued", "sending"), ("sent", "sent"), ("delivered", "delivered"), ("read", "delivered"), ("failed", "failed")],
)
def test_a_status_becomes_one_of_ours_with_our_own_id(state: str, status: str) -> None:
    """The id in the callback address finds a message whose create call was never answered."""
    report = twilio.parse_receipt(form(MessageSid="SM1", MessageStatus=state), {"m": str(MESSAGE_ID)})

    assert ReceiptReport("SM1", status, None, MESSAGE_ID) == report


def test_a_state_nobody_knows_moves_nothing() -> None:
    """New words of Twilio's, and ids that are none, do no harm."""
    assert twilio.parse_receipt(form(MessageSid="SM1", MessageStatus="pondering"), {}) is None
    report = twilio.parse_receipt(form(MessageSid="SM1", MessageStatus="sent"), {"m": "'; DROP TABLE"})
    assert report is not None
    assert report.message_id is None
