"""The only door out: at most once, in order, and never to somebody who said no."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent, inbox, outbox
from bot.carriers.base import Accepted, InboundText, Lookup, Outgoing, ReceiptReport
from bot.db import Database
from bot.errors import CarrierDown, CarrierError, OutcomeUnknown, Rejected, Unsubscribed
from bot.sender import MAX_ATTEMPTS, Pacer, Sender, record_receipt
from bot.tables import Contact, Conversation, Message, SenderNumber
from bot.values import ShopText

NUMBER = "+13125550142"
KEY = "key"
T = TypeVar("T")
SHOP_TEXT = ShopText(name="news", text="Your order is ready.")


class Paper:
    """A carrier that writes down what it took; `errors` are raised first, one a call."""

    def __init__(self, *errors: CarrierError, found: Lookup | None = None) -> None:
        self.taken: list[Outgoing] = []
        self.errors = list(errors)
        self.asked: list[set[str]] = []
        self.found = found or Lookup(None, never_arrived=False)

    async def send(self, outgoing: Outgoing) -> Accepted:
        """Take a text, or fail as told."""
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(outgoing)
        return Accepted(f"SM{uuid4().hex}")

    async def find(self, outgoing: Outgoing, asked_at: datetime, known: Collection[str] = ()) -> Lookup:
        """What the log says; of several texts alike, those that are known are others'."""
        self.asked.append(set(known))
        return self.found

    async def received_since(self, recipient: str, since: datetime) -> list[InboundText]:
        """Nobody texts on paper."""
        return []

    @property
    def bodies(self) -> list[str]:
        """The words taken, in order."""
        return [outgoing.body for outgoing in self.taken]


def sender_of(db: Database, carrier: Paper) -> Sender:
    """A sender with no Redis and a short lease."""
    return Sender(db, carrier, Pacer(None), name="test", base_url="https://shop.example", lease_seconds=0.2)


@asynccontextmanager
async def sending(db: Database, carrier: Paper) -> AsyncIterator[Sender]:
    """A sender at work."""
    sender = sender_of(db, carrier)
    task = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ann(session: AsyncSession, *, agreed: bool = True) -> Contact:
    """A contact, by default with service consent."""
    phone = f"+1646{uuid4().int % 10**7:07d}"
    contact = Contact(id=uuid4(), phone=phone, phone_hash=consent.phone_hash(phone, KEY), created_at=clock.now())
    session.add(contact)
    await session.flush()
    if agreed:
        await consent.record_opt_in(
            session,
            contact,
            ["transactional", "conversational"],
            how="point_of_sale",
            wording="Text me.",
            wording_version="1",
            by_whom="till",
            now=clock.now(),
        )
    return contact


async def started(db: Database, *, agreed: bool = True, shop_text: ShopText = SHOP_TEXT) -> tuple[Contact, UUID]:
    """A contact the shop has queued a text to."""
    async with db.begin() as session:
        contact = await ann(session, agreed=agreed)
        message = await outbox.start(session, contact, shop_text, clock.now())
    return contact, message.id


async def text_in(db: Database, contact: Contact, body: str) -> None:
    """The contact texts the shop."""
    inbound = InboundText(carrier_id=f"SM{uuid4().hex}", sender=contact.phone, recipient=NUMBER, body=body)
    await inbox.receive(db, inbound, KEY)


async def row(db: Database, message_id: UUID) -> Message:
    """A message as it stands."""
    async with db.begin() as session:
        return await session.get_one(Message, message_id)


async def eventually(look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` gives once it gives something; fails after ten seconds."""
    async with asyncio.timeout(10):
        while (found := await look()) is None:  # noqa: ASYNC110  # rows ring no bell here
            await asyncio.sleep(0.02)
    return found


async def until(db: Database, message_id: UUID, *statuses: str) -> Message:
    """The message once it has one of these statuses."""

    async def settled() -> Message | None:
        found = await row(db, message_id)
        return found if found.status in statuses else None

    return await eventually(settled)


async def taken(carrier: Paper, count: int) -> None:
    """Return when the carrier has taken so many."""

    async def enough() -> bool | None:
        return len(carrier.taken) >= count or None

    await eventually(enough)


async def test_a_text_the_shop_starts_leaves_once_with_the_rule_that_allowed_it(db: Database) -> None:
    """It carries the opt-out line, our id in the callback address, and the ledger line that allows it."""
    _, message_id = await started(db)
    carrier = Paper()

    async with sending(db, carrier):
        sent = await until(db, message_id, "sent")

    assert ["Your order is ready. Reply STOP to opt out."] == carrier.bodies
    assert carrier.taken[0].callback_url.endswith(f"/webhooks/twilio/status?m={message_id}")
    assert sent.rule is not None
    assert sent.rule.startswith("transactional consent")


async def test_nobody_who_never_agreed_is_texted_first(db: Database) -> None:
    """No consent on record, no text, and the reason stays with the message."""
    _, message_id = await started(db, agreed=False)
    carrier = Paper()

    async with sending(db, carrier):
        refused = await until(db, message_id, "refused")

    assert [] == carrier.taken
    assert "no transactional consent on record" == refused.reason


async def test_service_consent_allows_no_marketing(db: Database) -> None:
    """Each purpose has its own consent."""
    _, message_id = await started(db, shop_text=ShopText(name="sale", text="Sale!", purpose="marketing"))
    carrier = Paper()

    async with sending(db, carrier):
        await until(db, message_id, "refused")

    assert [] == carrier.taken


async def test_stop_takes_back_what_is_queued_and_gets_one_confirmation(db: Database) -> None:
    """The queued text never leaves; the confirmation leaves once, also when STOP is texted again."""
    contact, message_id = await started(db)
    await text_in(db, contact, "STOP")
    await text_in(db, contact, "stop!!")
    carrier = Paper()

    async with sending(db, carrier):
        await asyncio.sleep(0.5)

    assert "cancelled" == (await row(db, message_id)).status
    assert [consent.CONFIRMATION.format(brand="Juniper Lane")] == carrier.bodies


async def test_what_is_queued_after_a_stop_is_refused_at_the_door(db: Database) -> None:
    """Even a row written behind the ledger's back does not leave: the sender asks again."""
    contact, first = await started(db)
    await text_in(db, contact, "STOP")
    async with db.begin() as session:
        late = await outbox.start(session, contact, SHOP_TEXT, clock.now())
        await session.execute(update(Message).where(Message.id == first).values(status="queued"))
    carrier = Paper()

    async with sending(db, carrier):
        statuses = [(await until(db, message_id, "refused")).status for message_id in (first, late.id)]

    assert ["refused", "refused"] == statuses
    assert [consent.CONFIRMATION.format(brand="Juniper Lane")] == carrier.bodies


async def test_many_stops_and_sends_at_once_never_cross(db: Database) -> None:
    """Whatever the order of commits, no text is claimed after its contact's opt-out was committed."""
    people = [await started(db) for _ in range(20)]
    carrier = Paper()

    async with sending(db, carrier):
        await asyncio.gather(*(text_in(db, contact, "STOP") for contact, _ in people))
        rows = [await until(db, message_id, "sent", "refused", "cancelled") for _, message_id in people]

    for message, (contact, _) in zip(rows, people, strict=True):
        async with db.begin() as session:
            lines = await consent.latest(session, contact.phone_hash)
        opted_out_at = max(line.recorded_at for line in lines.values())
        assert message.status != "sent" or (message.handed_over_at or opted_out_at) <= opted_out_at + timedelta(
            seconds=1
        )
    stopped = [outgoing for outgoing in carrier.taken if outgoing.body == SHOP_TEXT.text]
    assert len(stopped) <= sum(message.status == "sent" for message in rows)


async def test_nothing_is_started_while_a_text_of_the_contact_is_unread(db: Database) -> None:
    """What they wrote might be a no."""
    contact, message_id = await started(db)
    await text_in(db, contact, "i really don't want these any more")
    carrier = Paper()

    async with sending(db, carrier):
        await asyncio.sleep(0.4)

    assert [] == carrier.taken
    assert "queued" == (await row(db, message_id)).status


async def test_a_conversation_s_texts_leave_in_order(db: Database) -> None:
    """The second waits for the first, whatever happens to it."""
    async with db.begin() as session:
        contact = await ann(session)
        for number in range(6):
            await outbox.start(session, contact, ShopText(name="n", text=f"Text {number}. STOP ends."), clock.now())
    carrier = Paper()

    async with sending(db, carrier):
        await taken(carrier, 6)

    assert [f"Text {number}. STOP ends." for number in range(6)] == carrier.bodies


async def test_a_lost_answer_is_never_sent_again_by_itself(db: Database) -> None:
    """Unknown stays unknown while the carrier's log neither has the text nor proves it never came."""
    _, message_id = await started(db)
    carrier = Paper(OutcomeUnknown("no answer"))

    async with sending(db, carrier) as sender:
        await until(db, message_id, "unknown")
        await look_again(db, message_id)
        await sender.settle()

    assert "unknown" == (await row(db, message_id)).status
    assert [] == carrier.taken


@pytest.mark.parametrize("arrived", [True, False])
async def test_the_carriers_log_settles_a_lost_answer(db: Database, arrived: bool) -> None:
    """Found there: sent. Proven never taken: sent again, once."""
    _, message_id = await started(db)
    found = Lookup("SM1", never_arrived=False) if arrived else Lookup(None, never_arrived=True)
    carrier = Paper(OutcomeUnknown("no answer"), found=found)

    async with sending(db, carrier) as sender:
        await until(db, message_id, "unknown")
        await look_again(db, message_id)
        await sender.settle()
        await until(db, message_id, "sent")

    assert (0 if arrived else 1) == len(carrier.taken)


async def failed_once(db: Database, message_id: UUID) -> bool | None:
    """Whether the message came back to the queue from a try."""
    found = await row(db, message_id)
    return (found.attempts == 1 and found.status == "queued") or None


async def look_again(db: Database, message_id: UUID) -> None:
    """The time to look at the carrier's log has come."""
    async with db.begin() as session:
        await session.execute(update(Message).where(Message.id == message_id).values(send_after=clock.now()))


async def test_a_carrier_that_is_down_is_tried_again(db: Database) -> None:
    """Nothing was handed over, so the same text goes later."""
    _, message_id = await started(db)
    carrier = Paper(CarrierDown("unreachable"))

    async with sending(db, carrier):
        await eventually(lambda: failed_once(db, message_id))
        await look_again(db, message_id)
        await until(db, message_id, "sent")

    assert 1 == len(carrier.taken)


@pytest.mark.parametrize("error", [Rejected("no such number", "21211"), CarrierDown("down")])
async def test_every_failure_ends_in_a_named_status(db: Database, error: CarrierError) -> None:
    """A refusal at once, an outage after its tries."""
    _, message_id = await started(db)
    async with db.begin() as session:
        await session.execute(update(Message).where(Message.id == message_id).values(attempts=MAX_ATTEMPTS - 1))

    async with sending(db, Paper(error)):
        failed = await until(db, message_id, "failed")

    assert (error.reason, error.code) == (failed.reason, failed.error_code)


async def test_a_carriers_block_is_an_opt_out(db: Database) -> None:
    """Error 21610: the ledger follows the carrier."""
    contact, message_id = await started(db)

    async with sending(db, Paper(Unsubscribed("blocked", "21610"))):
        await until(db, message_id, "failed")

    async with db.begin() as session:
        blocked = await session.scalar(
            select(Conversation.carrier_blocked).where(Conversation.contact_id == contact.id)
        )
        assert "out" == await consent.state(session, contact.phone_hash)
    assert blocked is True


async def test_a_text_past_its_deadline_stays_here(db: Database) -> None:
    """An answer from yesterday helps nobody."""
    _, message_id = await started(db)
    async with db.begin() as session:
        past = clock.now() - timedelta(seconds=1)
        await session.execute(update(Message).where(Message.id == message_id).values(deadline_at=past))
    carrier = Paper()

    async with sending(db, carrier):
        await until(db, message_id, "failed")

    assert [] == carrier.taken


async def test_a_receipt_that_comes_before_the_answer_is_kept(db: Database) -> None:
    """Our id in the callback finds the message while its outcome is unknown, and settles it."""
    _, message_id = await started(db)
    async with sending(db, Paper(OutcomeUnknown("no answer"))):
        await until(db, message_id, "unknown")

    moved = await record_receipt(db, ReceiptReport("SM9", "delivered", None, message_id))
    again = await record_receipt(db, ReceiptReport("SM9", "delivered", None, message_id))
    older = await record_receipt(db, ReceiptReport("SM9", "sent", None, message_id))
    message = await row(db, message_id)

    assert (True, False, False) == (moved, again, older)
    assert ("delivered", "SM9") == (message.status, message.carrier_id)


@pytest.mark.parametrize("status", ["sending", "sent", "delivered", "undelivered", "failed"])
async def test_any_receipt_settles_an_unknown_outcome(db: Database, status: str) -> None:
    """Whatever it says, the carrier has the text: also "queued", which counts as handed over."""
    _, message_id = await started(db)
    async with sending(db, Paper(OutcomeUnknown("no answer"))):
        await until(db, message_id, "unknown")

    assert await record_receipt(db, ReceiptReport("SM9", status, None, message_id))
    message = await row(db, message_id)

    assert ("sent" if status == "sending" else status, "SM9") == (message.status, message.carrier_id)


async def test_a_late_receipt_stops_a_text_that_was_to_be_sent_again(db: Database) -> None:
    """The log proved nothing after all: what waits for a second hand-over does not leave."""
    _, message_id = await started(db)
    async with sending(db, Paper(CarrierDown("down"))):
        await eventually(lambda: failed_once(db, message_id))

    assert await record_receipt(db, ReceiptReport("SM9", "sent", None, message_id))
    await look_again(db, message_id)
    carrier = Paper()
    async with sending(db, carrier):
        await asyncio.sleep(0.3)

    assert [] == carrier.taken
    assert "sent" == (await row(db, message_id)).status


async def test_a_receipt_moves_no_text_that_was_never_handed_over(db: Database) -> None:
    """A queued text that was never tried is no carrier's."""
    _, message_id = await started(db)

    assert not await record_receipt(db, ReceiptReport("SM9", "delivered", None, message_id))
    assert "queued" == (await row(db, message_id)).status


async def test_a_text_is_not_taken_for_an_earlier_one_in_the_same_words(db: Database) -> None:
    """The log is asked for this text apart from those whose ids are known."""
    contact, first = await started(db)
    carrier = Paper()
    async with sending(db, carrier):
        earlier = await until(db, first, "sent")
    async with db.begin() as session:
        second = await outbox.start(session, contact, SHOP_TEXT, clock.now())
    carrier.errors = [OutcomeUnknown("no answer")]

    async with sending(db, carrier) as sender:
        await until(db, second.id, "unknown")
        await look_again(db, second.id)
        await sender.settle()

    assert {earlier.carrier_id} in carrier.asked


async def test_one_outcome_that_cannot_be_settled_keeps_no_other_from_it(db: Database) -> None:
    """The log names a text that is somebody else's: that one stays unknown, the next is settled."""
    _, taken_id = await started(db)
    async with sending(db, Paper()):
        other = await until(db, taken_id, "sent")
    people = [await started(db) for _ in range(2)]
    carrier = Paper(OutcomeUnknown("no answer"), OutcomeUnknown("no answer"))
    async with sending(db, carrier) as sender:
        for _, message_id in people:
            await until(db, message_id, "unknown")
        answers = [Lookup(other.carrier_id, never_arrived=False), Lookup("SM7", never_arrived=False)]

        async def find(outgoing: Outgoing, asked_at: datetime, known: Collection[str] = ()) -> Lookup:
            return answers.pop(0)

        carrier.find = find  # type: ignore[method-assign]  # the log answers one after the other
        for _, message_id in people:
            await look_again(db, message_id)
        await sender.settle()

    statuses = {(await row(db, message_id)).status for _, message_id in people}
    assert {"unknown", "sent"} == statuses


async def test_a_number_s_pace_is_kept(db: Database) -> None:
    """Ten parts at twenty a second take as long as they should, in order."""
    async with db.begin() as session:
        await session.execute(update(SenderNumber).values(parts_per_second=20.0))
        contacts = [await ann(session) for _ in range(10)]
        for contact in contacts:
            await outbox.start(session, contact, SHOP_TEXT, clock.now())
    carrier = Paper()
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with sending(db, carrier):
        await taken(carrier, 10)

    assert loop.time() - began >= 9 / 20
