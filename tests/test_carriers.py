"""What every carrier promises, asked of each one alike: the simulator on its database, Twilio against its stand-in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

import httpx
import pytest
import uvicorn
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot import clock
from bot.carriers import twilio
from bot.carriers.base import Carrier, InboundText, Outgoing, ReceiptReport
from bot.carriers.simulator import FAILURES, Simulator
from bot.carriers.twilio import Twilio
from bot.db import Database
from bot.errors import OutcomeUnknown, Unsubscribed
from bot.supervisor import free_port
from bot.tables import SimulatorFault, SimulatorMessage
from tests.twilio_server import TwilioServer

NUMBER, OTHER = "+13125550142", "+13125550143"
CONTACT = "+12025550100"
PUBLIC = "https://shop.example"


class Door:
    """The engine's status webhook as a carrier sees it: receipts whose signature is right, in order."""

    def __init__(self) -> None:
        self.token = "token"
        self.receipts: list[ReceiptReport] = []
        self.forged = 0
        self.port = free_port()

    async def status(self, request: Request) -> Response:
        """Take one callback."""
        form = await request.form()
        url = f"{PUBLIC}{request.url.path}?{request.url.query}"
        if not twilio.verify(url, form, request.headers.get("X-Twilio-Signature", ""), [self.token]):
            self.forged += 1
            return Response(status_code=403)
        report = twilio.parse_receipt(form, request.query_params)
        if report is not None:
            self.receipts.append(report)
        return Response(status_code=204)


@dataclass
class Case:
    """One carrier, and what a test may see and do on its side."""

    carrier: Carrier
    door: Door
    #: The carrier's ids under which it shows a text, one a hand-over.
    shown: Callable[[Outgoing], "asyncio.Future[list[str]]"]
    #: Lose the answer to the next hand-over to CONTACT.
    lose_answer: Callable[[], Awaitable[None]]
    #: Put a text into the list of received ones; None where the carrier keeps no such list.
    miss: Callable[[str, str, datetime], str] | None


async def order(db: Database, kind: str, code: str | None = None) -> None:
    """Order a fault of the simulator for the next text to CONTACT."""
    async with db.begin() as session:
        session.add(SimulatorFault(phone=CONTACT, kind=kind, code=code, ordered_at=clock.now()))


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """The status webhook on loopback."""
    door = Door()
    app = Starlette(routes=[Route("/webhooks/twilio/status", door.status, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=door.port, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield door
    server.should_exit = True
    await task


@pytest.fixture(params=["simulator", "twilio"])
async def case(request: pytest.FixtureRequest, db: Database, door: Door) -> AsyncIterator[Case]:
    """Each carrier in turn."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=5.0))
        here = f"http://127.0.0.1:{door.port}"
        if request.param == "simulator":

            async def in_database(outgoing: Outgoing) -> list[str]:
                async with db.begin() as session:
                    rows = await session.scalars(
                        select(SimulatorMessage.carrier_id).where(SimulatorMessage.message_id == outgoing.message_id)
                    )
                    return list(rows)

            simulator = Simulator(db, http, door.token, here)

            async def lose_in_database() -> None:
                await order(db, "lost_answer")

            yield Case(simulator, door, lambda o: asyncio.ensure_future(in_database(o)), lose_in_database, None)
            await asyncio.gather(*simulator._reports)  # before the client they use is closed
        else:
            server = stack.enter_context(TwilioServer([NUMBER, OTHER], reach={PUBLIC: here}))
            door.token = server.auth_token

            async def in_list(outgoing: Outgoing) -> list[str]:
                return [text.sid for text in server.sent(outgoing.recipient) if text.body == outgoing.body]

            async def lose() -> None:
                server.fault("lost_after")

            yield Case(
                Twilio(http, server.url, server.account_sid, server.auth_token),
                door,
                lambda o: asyncio.ensure_future(in_list(o)),
                lose,
                lambda sender, body, at: server.missed((sender, body, at), to=NUMBER)[0],
            )


def outgoing(body: str = "Your order is ready. Reply STOP to opt out.", recipient: str = CONTACT) -> Outgoing:
    """A text to hand over."""
    message_id = uuid4()
    return Outgoing(
        message_id=message_id,
        sender=NUMBER,
        recipient=recipient,
        body=body,
        callback_url=f"{PUBLIC}/webhooks/twilio/status?m={message_id}",
        valid_for_seconds=3600,
    )


async def test_a_text_handed_over_is_taken_once_under_the_id_that_comes_back(case: Case) -> None:
    """One call, one text."""
    text = outgoing()

    accepted = await case.carrier.send(text)

    assert [accepted.carrier_id] == await case.shown(text)


async def test_a_text_handed_over_twice_shows_twice(case: Case) -> None:
    """No carrier hides our mistakes, and each hand-over has an id of its own in the log."""
    text = outgoing()

    first, second = await case.carrier.send(text), await case.carrier.send(text)
    found = await case.carrier.find(text, clock.now(), known=[first.carrier_id])

    assert {first.carrier_id, second.carrier_id} == set(await case.shown(text))
    assert first.carrier_id != second.carrier_id
    assert second.carrier_id == found.carrier_id


@pytest.mark.parametrize("body", ["On its way. Reply STOP to opt out.", "Größe 9½ – señor 👟\nzwei Zeilen {x} & <b>"])
async def test_what_was_taken_is_found_whatever_became_of_the_answer(case: Case, body: str) -> None:
    """The log settles an unknown outcome."""
    text = outgoing(body)
    asked_at = clock.now()
    await case.lose_answer()
    with pytest.raises(OutcomeUnknown):
        await case.carrier.send(text)

    found = await case.carrier.find(text, asked_at)

    assert await case.shown(text) == [found.carrier_id]
    assert not found.never_arrived


async def test_what_never_came_is_proven_so(case: Case) -> None:
    """Nor is it taken for the same words to somebody else, from another number, or for others to this contact."""
    text = outgoing()
    await case.carrier.send(outgoing(recipient="+12025550101"))
    await case.carrier.send(replace(outgoing(), sender=OTHER))
    await case.carrier.send(outgoing("Something else."))

    found = await case.carrier.find(text, clock.now() - timedelta(minutes=6))

    assert (None, True) == (found.carrier_id, found.never_arrived)


async def test_receipts_come_signed_with_our_own_id(case: Case) -> None:
    """Sent, then delivered, each naming our message and the carrier's."""
    text = outgoing()

    accepted = await case.carrier.send(text)
    async with asyncio.timeout(10):
        while len(case.door.receipts) < 2:  # noqa: ASYNC110  # the carrier rings no bell here
            await asyncio.sleep(0.02)

    assert [
        ReceiptReport(accepted.carrier_id, status, None, text.message_id) for status in ("sent", "delivered")
    ] == case.door.receipts
    assert 0 == case.door.forged


async def test_texts_received_since_an_instant_are_listed_oldest_first(case: Case) -> None:
    """What was received, to this number, since then; what we sent is in no such list."""
    now = clock.now().replace(microsecond=0)
    await case.carrier.send(outgoing())
    expected: list[InboundText] = []
    if case.miss is not None:
        case.miss(CONTACT, "too long ago", now - timedelta(hours=2))
        later = case.miss(CONTACT, "second", now - timedelta(minutes=1))
        sooner = case.miss(CONTACT, "first", now - timedelta(minutes=59))
        expected = [
            InboundText(sooner, CONTACT, NUMBER, "first", received_at=now - timedelta(minutes=59)),
            InboundText(later, CONTACT, NUMBER, "second", received_at=now - timedelta(minutes=1)),
        ]

    listed = await case.carrier.received_since(NUMBER, now - timedelta(hours=1))

    assert expected == listed
    assert [] == await case.carrier.received_since(OTHER, now - timedelta(hours=1))


# -- what the simulator does wrong where it is told to --------------------------------------------------------------


@pytest.mark.parametrize("case", ["simulator"], indirect=True)
async def test_a_fault_takes_hold_of_one_text_to_its_phone(case: Case, db: Database) -> None:
    """Another phone's passes; the next one to this phone is refused with 21610 and in no log; the one after goes."""
    await order(db, "blocked")
    first, second = outgoing(), outgoing()

    other = await case.carrier.send(outgoing(recipient="+12025550101"))
    with pytest.raises(Unsubscribed) as refused:
        await case.carrier.send(first)
    accepted = await case.carrier.send(second)

    assert ("21610", False) == (refused.value.code, refused.value.retryable)
    assert ([], [accepted.carrier_id]) == (await case.shown(first), await case.shown(second))
    assert other.carrier_id
    async with db.begin() as session:
        (fault,) = await session.scalars(select(SimulatorFault))
        assert first.message_id == fault.message_id
        assert fault.used_at is not None


@pytest.mark.parametrize("case", ["simulator"], indirect=True)
@pytest.mark.parametrize("code", FAILURES)
async def test_a_failed_receipt_says_so_with_its_code(case: Case, db: Database, code: str) -> None:
    """Taken and sent, then undelivered with the code that was ordered."""
    await order(db, "failed", code)
    text = outgoing()

    accepted = await case.carrier.send(text)
    async with asyncio.timeout(10):
        while len(case.door.receipts) < 2:  # noqa: ASYNC110  # the carrier rings no bell here
            await asyncio.sleep(0.02)

    assert [
        ReceiptReport(accepted.carrier_id, status, told, text.message_id)
        for status, told in (("sent", None), ("undelivered", code))
    ] == case.door.receipts


@pytest.mark.parametrize("case", ["simulator"], indirect=True)
async def test_a_lost_receipt_never_comes(case: Case, db: Database) -> None:
    """The text is taken; the receipts of the next one are the first there are."""
    await order(db, "no_receipt")
    silent, told = outgoing(), outgoing()

    assert [(await case.carrier.send(silent)).carrier_id] == await case.shown(silent)
    await case.carrier.send(told)
    async with asyncio.timeout(10):
        while len(case.door.receipts) < 2:  # noqa: ASYNC110  # the carrier rings no bell here
            await asyncio.sleep(0.02)

    assert {told.message_id} == {receipt.message_id for receipt in case.door.receipts}
