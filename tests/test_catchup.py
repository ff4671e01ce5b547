"""Texts that came while nobody answered the webhook are taken in from the carrier's list: all, once, STOPs first."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from bot import clock, consent, inbox
from bot.carriers.base import InboundText
from bot.carriers.twilio import Twilio
from bot.catchup import LOCK, OVERLAP, YOUNG, CatchUp, in_order
from bot.db import PAGES, Database, Waker
from bot.tables import ConsentEvent, Contact, Conversation, Message, SenderNumber, Turn
from tests.twilio_server import TwilioServer

NUMBER = "+13125550142"
KEY = "key"
ANN, BEN, CLEO = "+12025550101", "+12025550102", "+12025550103"


def ago(minutes: float) -> datetime:
    """An instant so many minutes ago, in whole seconds as Twilio tells them."""
    return (clock.now() - timedelta(minutes=minutes)).replace(microsecond=0)


@pytest.fixture
def server() -> Iterator[TwilioServer]:
    """The carrier's side."""
    with TwilioServer([NUMBER]) as server:
        yield server


@pytest.fixture
async def catchup(db: Database, server: TwilioServer) -> AsyncIterator[CatchUp]:
    """One process's catch-up; the number's list was last read an hour and a half ago."""
    await last_read(db, ago(90))
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
        carrier = Twilio(http, server.url, server.account_sid, server.auth_token)
        yield CatchUp(db, carrier, KEY, timedelta(minutes=5))


async def last_read(db: Database, at: datetime | None) -> None:
    """Set when the number's list was last read."""
    async with db.begin() as session:
        await session.execute(update(SenderNumber).values(caught_up_to=at))


async def stored(db: Database) -> list[Message]:
    """The inbound texts, in the order they were taken in."""
    async with db.begin() as session:
        return list(await session.scalars(select(Message).where(Message.direction == "inbound").order_by(Message.seq)))


async def standing(db: Database, phone: str) -> str:
    """A contact's consent."""
    async with db.begin() as session:
        return await consent.state(session, consent.phone_hash(phone, KEY))


async def webhook(db: Database, sender: str, body: str, carrier_id: str | None = None) -> None:
    """The webhook brought a text."""
    await inbox.receive(db, InboundText(carrier_id or f"SM{uuid4().hex}", sender, NUMBER, body), KEY)


async def test_every_missed_text_is_taken_in_once_opt_outs_first(
    db: Database, server: TwilioServer, catchup: CatchUp
) -> None:
    """Then the rest as they came, each with the time the carrier had it."""
    times = [ago(minutes) for minutes in (60, 50, 40, 30)]
    server.missed(
        (ANN, "what are your hours", times[0]),
        (BEN, "Stop", times[1]),
        (ANN, "and where are you", times[2]),
        (CLEO, "please stop texting me", times[3]),
    )

    await catchup.catch_up()
    await catchup.catch_up()

    rows = await stored(db)
    assert ["Stop", "please stop texting me", "what are your hours", "and where are you"] == [row.body for row in rows]
    assert [times[1], times[3], times[0], times[2]] == [row.created_at for row in rows]
    assert ("none", "out", "out") == (await standing(db, ANN), await standing(db, BEN), await standing(db, CLEO))
    async with db.begin() as session:
        said = await session.scalar(
            select(ConsentEvent.recorded_at).where(ConsentEvent.phone_hash == consent.phone_hash(BEN, KEY)).limit(1)
        )
        pending = await session.scalar(
            select(Conversation.pending_since).where(Conversation.pending_since.is_not(None))
        )
    assert times[1] == said
    assert pending is not None
    assert pending > times[3]  # what was missed waits for a reader since it is here


async def test_what_the_webhook_brought_is_not_taken_in_again(
    db: Database, server: TwilioServer, catchup: CatchUp
) -> None:
    """Before or after: one text, one message."""
    first, second = server.missed((ANN, "hello", ago(20)), (ANN, "anyone there", ago(19)))
    await webhook(db, ANN, "hello", first)

    await catchup.catch_up()
    await webhook(db, ANN, "anyone there", second)

    assert ["hello", "anyone there"] == [row.body for row in await stored(db)]


async def test_a_young_text_is_left_to_its_webhook(db: Database, server: TwilioServer, catchup: CatchUp) -> None:
    """It is taken in by a later reading, which is asked for soon."""
    at = clock.now() - YOUNG / 2
    server.missed((ANN, "hello", at))

    waits = await catchup.catch_up()

    assert waits
    assert [] == await stored(db)
    server.texts[0].created = server.texts[0].sent = at - YOUNG
    assert not await catchup.catch_up()
    assert ["hello"] == [row.body for row in await stored(db)]


async def test_a_picture_comes_with_its_address(db: Database, server: TwilioServer, catchup: CatchUp) -> None:
    """The list names no media, so they are asked for; the address is the one the webhook would have given."""
    (sid,) = server.missed((ANN, "", ago(20)))
    server.texts[0].media = [("ME1", "image/png"), ("ME2", "image/gif")]

    await catchup.catch_up()

    (row,) = await stored(db)
    base = f"{server.url}{server.path}/Messages/{sid}/Media"
    assert [{"url": f"{base}/ME1", "type": "image/png"}, {"url": f"{base}/ME2", "type": "image/gif"}] == row.media


async def test_a_number_seen_first_starts_from_now(db: Database, server: TwilioServer, catchup: CatchUp) -> None:
    """What came to a number before Parley had it is nobody's to answer."""
    await last_read(db, None)
    server.missed((ANN, "long ago", ago(60)), (BEN, "just now", ago(5)))

    await catchup.catch_up()

    assert ["just now"] == [row.body for row in await stored(db)]


async def test_a_list_that_cannot_be_read_moves_nothing(db: Database, server: TwilioServer, catchup: CatchUp) -> None:
    """The next reading goes back as far as this one would have."""
    server.missed((ANN, "hello", ago(85)))
    with server.down():
        await catchup.catch_up()
    async with db.begin() as session:
        kept = await session.scalar(select(SenderNumber.caught_up_to))

    assert kept is not None
    assert kept <= ago(89)
    await catchup.catch_up()
    assert ["hello"] == [row.body for row in await stored(db)]


async def test_a_sender_that_is_no_phone_does_not_hold_the_others(
    db: Database, server: TwilioServer, catchup: CatchUp
) -> None:
    """The webhook refuses such a text as well."""
    server.missed(("whatsapp:+12025550101", "hi", ago(50)), (ANN, "hello", ago(40)))

    await catchup.catch_up()

    assert ["hello"] == [row.body for row in await stored(db)]


async def test_one_process_at_a_time(db: Database, server: TwilioServer, catchup: CatchUp) -> None:
    """While another holds the lock nothing is read; two at once take in each text once."""
    server.missed((ANN, "hello", ago(20)), (BEN, "STOP", ago(10)))
    async with db.engine.connect() as other:
        await other.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
        await catchup.catch_up()

        assert [] == server.lists
    await asyncio.gather(*(catchup.catch_up() for _ in range(4)))

    assert 2 == len(await stored(db))


async def test_a_number_read_a_moment_ago_is_left_alone(db: Database, server: TwilioServer, catchup: CatchUp) -> None:
    """With several senders the list is read as often as with one."""
    await last_read(db, ago(1))
    await catchup.catch_up(timedelta(minutes=5))
    assert [] == server.lists

    await last_read(db, ago(6))
    await catchup.catch_up(timedelta(minutes=5))
    assert 1 == len(server.lists)


async def test_failures_never_end_the_loop(db: Database, server: TwilioServer, catchup: CatchUp) -> None:
    """Not even a list that makes no sense; the next reading is an ordinary one."""
    original = server.texts
    server.texts = [object()]  # type: ignore[list-item]  # the stand-in fails inside
    hurried = CatchUp(db, catchup._carrier, KEY, timedelta(seconds=0.1))
    task = asyncio.create_task(hurried.run())
    try:
        await asyncio.sleep(0.3)
        server.texts = original
        server.missed((ANN, "hello", ago(20)))
        async with asyncio.timeout(10):
            while not await stored(db):  # noqa: ASYNC110  # rows ring no bell here
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# -- keywords in the order they were said --------------------------------------------------------------------------


async def test_a_start_after_a_stop_holds_and_a_stop_after_a_start(
    db: Database, server: TwilioServer, catchup: CatchUp
) -> None:
    """Within one contact the order is kept, whatever else was missed."""
    server.missed(
        (ANN, "STOP", ago(60)),
        (BEN, "START", ago(55)),
        (ANN, "START", ago(50)),
        (BEN, "STOP", ago(45)),
    )

    await catchup.catch_up()

    assert ("in", "out") == (await standing(db, ANN), await standing(db, BEN))


@pytest.mark.parametrize("missed, since, state", [("START", "STOP", "out"), ("STOP", "START", "in")])
async def test_a_late_keyword_does_not_undo_what_was_said_after_it(
    db: Database, server: TwilioServer, catchup: CatchUp, missed: str, since: str, state: str
) -> None:
    """The webhook of the later one came through, that of the earlier one did not; the text is kept with its turn."""
    server.missed((ANN, missed, ago(20)))
    await webhook(db, ANN, since)

    await catchup.catch_up()

    assert state == await standing(db, ANN)
    async with db.begin() as session:
        why = await session.scalar(
            select(Turn.why).join(Message, Message.turn_id == Turn.id).where(Message.body == missed)
        )
    assert why is not None
    assert "what the contact said after it stands" in why


async def test_a_late_stop_yields_to_no_consent_but_the_contacts_own_start(
    db: Database, server: TwilioServer, catchup: CatchUp
) -> None:
    """Somebody at the till signed them up in the meantime; when unsure, out."""
    server.missed((ANN, "STOP", ago(20)))
    async with db.begin() as session:
        contact = Contact(id=uuid4(), phone=ANN, phone_hash=consent.phone_hash(ANN, KEY), created_at=clock.now())
        session.add(contact)
        await session.flush()
        await consent.record_opt_in(
            session,
            contact,
            ["transactional"],
            how="point_of_sale",
            wording="Text me.",
            wording_version="1",
            by_whom="till",
            now=clock.now(),
        )

    await catchup.catch_up()

    assert "out" == await standing(db, ANN)


async def test_a_question_from_before_an_opt_out_is_not_one_from_after_it(
    db: Database, server: TwilioServer, catchup: CatchUp
) -> None:
    """Taken in after the STOP, but asked before it: an answer is refused; one asked afterwards is allowed."""
    server.missed((ANN, "are you open", ago(60)), (ANN, "STOP", ago(50)), (ANN, "and where are you", ago(40)))

    await catchup.catch_up()

    verdicts = []
    for row in [row for row in await stored(db) if row.body != "STOP"]:
        async with db.begin() as session:
            conversation = await session.get_one(Conversation, row.conversation_id)
            contact = await session.get_one(Contact, conversation.contact_id)
            conversation.carrier_blocked = False
            reply = Message(author="bot", purpose="conversational", turn_id=row.id)
            verdicts.append((row.body, (await consent.may_send(session, reply, conversation, contact)).allowed))
    assert [("are you open", False), ("and where are you", True)] == verdicts


_texts = st.lists(st.tuples(st.sampled_from([ANN, BEN, CLEO]), st.sampled_from(["STOP", "START", "hi", "cancel"])))


@given(_texts)
def test_the_order_loses_nothing_and_keeps_each_contacts_keywords_in_order(said: list[tuple[str, str]]) -> None:
    """Opt-outs come before anything that is none, except the STARTs of the same people."""
    texts = [InboundText(f"SM{number}", who, NUMBER, body) for number, (who, body) in enumerate(said)]

    ordered = in_order(texts)

    assert sorted(item.carrier_id for item in texts) == sorted(item.carrier_id for item in ordered)
    for who in (ANN, BEN, CLEO):
        for words in (("STOP", "START", "cancel"), ("hi",)):
            assert [item for item in texts if item.sender == who and item.body in words] == [
                item for item in ordered if item.sender == who and item.body in words
            ]
    ranks = [0 if item.body in ("STOP", "cancel") else 1 for item in ordered]
    last = max((place for place, rank in enumerate(ranks) if rank == 0), default=0)
    leaving = {item.sender for item in texts if item.body in ("STOP", "cancel")}
    assert all(
        item.body == "START" and item.sender in leaving for item in ordered[:last] if item.body in ("START", "hi")
    )


def test_no_text_falls_between_two_readings() -> None:
    """One too young for this reading is still in the next one's span."""
    assert OVERLAP > 2 * YOUNG


async def test_closing_waits_for_a_wake_up_on_its_way(db: Database) -> None:
    """Its connection is given back, not dropped."""
    other = Database(db.url, "parley-test")
    Waker(other).wake(PAGES)
    await asyncio.sleep(0)  # it has begun

    await other.close()

    assert other.engine.pool.status().endswith("Current Checked out connections: 0")
