"""What agents see: who waits and how long, the thread in its order, consent in words; a fixed number of queries."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot import accounts, consent, effects, outbox, tickets
from bot.db import Database
from bot.errors import BotError
from bot.shop import bookings
from bot.tables import Contact, Conversation, Message, OpenQuestion, SenderNumber, Ticket, Turn, User
from bot.values import Cancel, Changed, Reschedule, Span
from bot.web.console import views
from bot.web.thread import Day, Event, Item, Text, thread

ZONE = ZoneInfo("America/New_York")
#: Half an hour before midnight in New York, already tomorrow in UTC.
NOW = datetime(2026, 11, 24, 23, 30, tzinfo=ZONE)


def ago(**span: float) -> datetime:
    """An instant before NOW."""
    return NOW - timedelta(**span)


@dataclass
class Desk:
    """A shop with an agent, whose contacts' conversations a test writes down."""

    session: AsyncSession
    agent: User
    _count: int = 0

    async def contact(self, name: str | None = None) -> Conversation:
        """A conversation with a new contact."""
        self._count += 1
        phone = f"+1202555{self._count:04d}"
        contact = Contact(phone=phone, phone_hash=f"hash {self._count}", name=name, created_at=ago(days=9))
        self.session.add(contact)
        await self.session.flush()
        number = await self.session.scalar(select(SenderNumber.id))
        conversation = Conversation(contact_id=contact.id, sender_number_id=number)
        self.session.add(conversation)
        await self.session.flush()
        return conversation

    async def hears(
        self,
        conversation: Conversation,
        body: str,
        at: datetime,
        *,
        intent: str | None = None,
        changed: Sequence[Changed] = (),
    ) -> Message:
        """A text of the contact with its turn and what it changed."""
        message = Message(
            conversation_id=conversation.id,
            direction="inbound",
            author="contact",
            body=body,
            status="received",
            created_at=at,
        )
        self.session.add(message)
        await self.session.flush()
        turn = Turn(
            id=message.id,
            conversation_id=conversation.id,
            decision="bot",
            why="Read as it was.",
            intent=intent,
            confidence=0.943 if intent else None,
            consent="in",
            ended_at=at,
        )
        self.session.add(turn)
        await self.session.flush()
        await effects.record(
            self.session, changed, conversation_id=conversation.id, turn_id=turn.id, actor="contact", now=at
        )
        return message

    async def says(self, conversation: Conversation, body: str, at: datetime, author: str = "bot") -> Message:
        """A text of ours."""
        sent_by = self.agent.id if author == "agent" else None
        return await outbox.queue(
            self.session, conversation, body, author=author, now=at, sent_by=sent_by, stop_line=False
        )

    async def opens(self, conversation: Conversation, at: datetime, reason: str = "unclear") -> Ticket:
        """A ticket for the conversation."""
        ticket, _ = await tickets.open(self.session, conversation, reason, "", {}, at)
        return ticket

    async def inbox(self, chosen: views.Filter = "open", query: str = "") -> views.Inbox:
        """The list as the agent sees it."""
        return await views.inbox(self.session, self.agent.id, chosen, query, NOW)

    async def thread(self, conversation: Conversation, limit: int = 200) -> list[Item]:
        """The thread as the agent sees it."""
        return await thread(self.session, conversation.id, ZONE, limit)


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    """An empty desk in one transaction."""
    async with db.begin() as session:
        yield Desk(session, await accounts.create(session, "max@example.com", "Max Agent", "agent", "long enough"))


# -- the list ------------------------------------------------------------------------------------------------------


async def test_who_waits_longest_is_first_and_turns_amber(desk: Desk) -> None:
    """Waiting counts from the hand-over, or from the first text after the agent's last; answered tickets come last."""
    new, old, answered, again = [await desk.contact(name) for name in ("New", "Old", "Answered", "Again")]
    await desk.opens(new, ago(minutes=9))
    await desk.opens(old, ago(minutes=11))
    await desk.opens(answered, ago(hours=2))
    await desk.hears(answered, "hello?", ago(hours=1, minutes=30))
    await desk.says(answered, "Here I am.", ago(hours=1), "agent")
    await desk.opens(again, ago(hours=3))
    await desk.says(again, "Yes?", ago(hours=1), "agent")
    await desk.hears(again, "this one", ago(minutes=30))
    await desk.hears(again, "or this", ago(minutes=2))

    rows = (await desk.inbox()).rows

    assert ["Again", "Old", "New", "Answered"] == [row.name for row in rows]
    assert [ago(minutes=30), ago(minutes=11), ago(minutes=9), None] == [row.waiting_since for row in rows]
    assert [True, True, False, False] == [row.late for row in rows]


async def test_the_last_words_are_those_of_people(desk: Desk) -> None:
    """What the contact said says more than the bot's hand-over line after it."""
    conversation = await desk.contact()
    await desk.hears(conversation, "my zipper broke", ago(minutes=2))
    await desk.opens(conversation, ago(minutes=1))
    await desk.says(conversation, "A person takes over here.", ago(minutes=1))

    (row,) = (await desk.inbox()).rows

    assert ("contact", "my zipper broke") == (row.last_author, row.last_words)


async def test_filters_count_what_they_show(desk: Desk) -> None:
    """Mine, unassigned, open and closed are counted at once, and a search counts within itself."""
    mine, free, done = [await desk.contact(name) for name in ("Mine", "Free", "Done")]
    await tickets.claim(desk.session, (await desk.opens(mine, ago(hours=1))).id, desk.agent.id)
    await desk.opens(free, ago(hours=1))
    await tickets.close(desk.session, (await desk.opens(done, ago(hours=2))).id, ago(hours=1))
    shown = {name: [row.name for row in (await desk.inbox(name)).rows] for name in views.FILTERS if name != "bot"}

    assert {"mine": 1, "unassigned": 1, "open": 2, "closed": 1, "bot": 0} == (await desk.inbox()).counts
    assert {"mine": ["Mine"], "unassigned": ["Free"], "open": ["Mine", "Free"], "closed": ["Done"]} == shown
    assert {"mine": 0, "unassigned": 0, "open": 0, "closed": 1, "bot": 0} == (await desk.inbox(query="dONe")).counts


async def test_urgent_tickets_are_first_however_short_they_wait(desk: Desk) -> None:
    """A serious matter of a minute ago stands above a question of an hour ago."""
    old, urgent = await desk.contact("Old"), await desk.contact("Urgent")
    await desk.opens(old, ago(hours=1))
    (await desk.opens(urgent, ago(minutes=1), "serious_matter")).priority = "high"
    await desk.session.flush()

    assert [("Urgent", True), ("Old", False)] == [(row.name, row.urgent) for row in (await desk.inbox()).rows]


# -- talking to the bot --------------------------------------------------------------------------------------------


async def test_conversations_of_the_bot_are_listed_latest_first(desk: Desk) -> None:
    """All without an open ticket, those of closed tickets too, with what the latest text was read as."""
    early, late, waiting, closed, silent = [
        await desk.contact(name) for name in ("Early", "Late", "Waiting", "Closed", "Silent")
    ]
    await desk.hears(early, "when do you open", ago(minutes=50), intent="ask_hours")
    await desk.says(early, "At ten.", ago(minutes=50))
    await desk.hears(waiting, "help", ago(minutes=5))
    await desk.says(waiting, "A person takes over.", ago(minutes=5))
    await desk.opens(waiting, ago(minutes=5))
    await desk.says(closed, "Bye.", ago(minutes=30), "agent")
    await tickets.close(desk.session, (await desk.opens(closed, ago(minutes=40))).id, ago(minutes=20))
    await desk.says(late, "Please rate us.", ago(minutes=1), "shop")

    found = await desk.inbox("bot")
    read = [(talk.name, talk.last_author, talk.last_words, talk.reading) for talk in found.talks]

    assert [
        ("Late", "shop", "Please rate us.", ""),
        ("Closed", "agent", "Bye.", ""),
        ("Early", "bot", "At ten.", "ask hours"),
    ] == read
    assert (3, 0, []) == (found.counts["bot"], found.more, list(found.rows))
    assert ["Early"] == [talk.name for talk in (await desk.inbox("bot", "at TEN")).talks]
    assert silent.last_message_at is None


async def test_taking_over_gives_the_conversation_to_the_agent(desk: Desk) -> None:
    """A ticket of theirs with what the bot last read; the bot's question is dropped, the shop's survey stays."""
    conversation = await desk.contact("Ann")
    await desk.hears(conversation, "hello", ago(minutes=2), intent="greet")
    for kind in ("booking_change", "survey"):
        desk.session.add(OpenQuestion(conversation_id=conversation.id, kind=kind, payload={}, asked_at=ago(minutes=2)))

    ticket = await tickets.take_over(desk.session, conversation.id, desk.agent.id, NOW)
    waiting = await desk.session.scalars(select(OpenQuestion.kind).where(OpenQuestion.closed_at.is_(None)))
    opened = await views.open_conversation(desk.session, conversation.id, ZONE, NOW)

    assert ("agent_took_over", desk.agent.id, "open") == (ticket.reason, ticket.agent_id, ticket.status)
    assert ("agent", "greet", ["survey"]) == (conversation.owner, ticket.understood["intent"], list(waiting))
    assert opened is not None
    assert (ticket, True, False, None) == (opened.ticket, opened.live, opened.takeable, opened.refusal)
    assert f"* Taken over from the bot: ticket T{ticket.number}" in told(list(opened.items))


async def test_taking_over_twice_opens_one_ticket_and_takes_it_from_nobody(desk: Desk) -> None:
    """A second press finds the ticket; a colleague's stays theirs; nobody's becomes mine."""
    other = await accounts.create(desk.session, "eva@example.com", "Eva Agent", "agent", "long enough")
    mine, theirs, free = [await desk.contact() for _ in range(3)]
    first = await tickets.take_over(desk.session, mine.id, desk.agent.id, NOW)
    await tickets.take_over(desk.session, theirs.id, other.id, NOW)
    await desk.opens(free, ago(minutes=1))
    agents = [
        (await tickets.take_over(desk.session, each.id, desk.agent.id, NOW)).agent_id for each in (mine, theirs, free)
    ]

    assert [desk.agent.id, other.id, desk.agent.id] == agents
    assert 3 == await desk.session.scalar(select(func.count()).select_from(Ticket))
    assert first.status == "open"
    with pytest.raises(BotError, match="no such conversation"):
        await tickets.take_over(desk.session, UUID(int=0), desk.agent.id, NOW)


async def test_a_closed_ticket_offers_to_take_over_again(desk: Desk) -> None:
    """Where the bot answers again, and leads to the open ticket where a person does."""
    conversation = await desk.contact()
    ticket = await desk.opens(conversation, ago(hours=1))
    await tickets.close(desk.session, ticket.id, ago(minutes=30))
    closed = await views.open_ticket(desk.session, ticket.id, ZONE, NOW)
    again = await tickets.take_over(desk.session, conversation.id, desk.agent.id, NOW)
    beside = await views.open_ticket(desk.session, ticket.id, ZONE, NOW)

    assert closed is not None
    assert beside is not None
    assert (True, None) == (closed.takeable, closed.elsewhere)
    assert (False, again) == (beside.takeable, beside.elsewhere)


@pytest.mark.parametrize(
    "query, found",
    [
        ("ann", ["Ann"]),
        ("(202) 555-0002", ["Bob"]),
        ("+1 202.555.0002", ["Bob"]),
        ("0002", ["Bob"]),
        ("BLUE umbrella", ["Ann"]),
        ("100%", ["Bob"]),
        ("  ", ["Ann", "Bob"]),
        ("_nn", []),
        ("'; --", []),
    ],
)
async def test_search_reads_what_was_typed_as_people_mean_it(desk: Desk, query: str, found: list[str]) -> None:
    """Names and words in any case, numbers in any form, and no character with a meaning of its own."""
    ann, bob = await desk.contact("Ann"), await desk.contact("Bob")
    await desk.hears(ann, "the blue umbrella, please", ago(hours=1))
    await desk.hears(bob, "I am 100% sure", ago(hours=1))
    await desk.opens(ann, ago(minutes=50))
    await desk.opens(bob, ago(minutes=40))

    assert found == [row.name for row in (await desk.inbox(query=query)).rows]


async def test_the_list_is_limited_and_says_how_many_more(desk: Desk) -> None:
    """A hundred tickets are listed; the rest is counted."""
    for _ in range(views.LISTED + 3):
        await desk.opens(await desk.contact(), ago(minutes=5))

    found = await desk.inbox()

    assert (100, 3, 103) == (len(found.rows), found.more, found.counts["open"])


async def test_queries_do_not_grow_with_the_inbox_or_the_thread(desk: Desk) -> None:
    """One ticket or twenty, one text or forty: the same number of statements."""
    counted = [0]

    def count(*_: object) -> None:
        counted[0] += 1

    async def statements() -> int:
        await desk.session.flush()
        desk.session.expunge_all()
        counted[0] = 0
        await desk.inbox()
        await desk.inbox("bot")
        await views.open_ticket(desk.session, ticket_id, ZONE, NOW)
        return counted[0]

    conversation = await desk.contact("Ann")
    ticket_id = (await desk.opens(conversation, ago(hours=1))).id
    await desk.hears(conversation, "hello", ago(hours=1))
    engine = (await desk.session.connection()).sync_connection
    assert engine is not None
    event.listen(engine, "after_cursor_execute", count)
    before = await statements()
    for number in range(20):
        await desk.opens(await desk.contact(), ago(minutes=5))
        await desk.hears(
            conversation, "text", ago(minutes=59 - number), changed=[Changed(kind="rating.recorded", ref="1")]
        )
        await desk.says(conversation, "reply", ago(minutes=59 - number), "agent")
    after = await statements()

    assert before == after
    assert 0 < after < 20


# -- the thread ----------------------------------------------------------------------------------------------------


def told(items: list[Item]) -> list[str]:
    """A thread in short: a line each."""
    return [line(item) for item in items]


def line(item: Item) -> str:
    """One item in short."""
    if isinstance(item, Day):
        return f"-- {item.at:%b %d}"
    if isinstance(item, Text):
        return f"{item.speaker}: {item.body}"
    return f"* {item.words}" if isinstance(item, Event) else item.words


async def test_a_thread_tells_texts_and_what_happened_in_order(desk: Desk) -> None:
    """Effects follow the text that caused them, the shop's days divide them, closing is told."""
    conversation = await desk.contact("Ann")
    rosa = (await bookings.resource_ids(desk.session))["rosa"]
    start = datetime(2026, 12, 4, 14, 0, tzinfo=ZONE)
    booking = await bookings.book(desk.session, conversation.contact_id, "styling", rosa, start, ago(days=2))
    later = start + timedelta(days=4, hours=1)
    to = Span(resource_id=rosa, start=later, end=later + timedelta(hours=1))
    move = Reschedule(booking_id=booking.id, expected_start=start, to=to)
    moved = await bookings.apply(desk.session, conversation.contact_id, move, NOW)
    await desk.hears(conversation, "3", ago(days=1), changed=[moved])
    await desk.says(conversation, "Done.", ago(days=1))
    gone = Cancel(booking_id=booking.id, expected_start=later)
    cancelled = await bookings.apply(desk.session, conversation.contact_id, gone, NOW)
    await effects.record(
        desk.session, [cancelled], conversation_id=conversation.id, actor="page", now=ago(hours=23, minutes=50)
    )
    ticket = await desk.opens(conversation, ago(hours=1))
    opened = Changed(kind="ticket.opened", ref=f"T{ticket.number}", after={"reason": "unclear"})
    await desk.hears(conversation, "a person", ago(hours=1), changed=[opened])
    await desk.says(conversation, "Hi, Max here.", ago(minutes=50), "agent")
    await tickets.close(desk.session, ticket.id, ago(minutes=40))
    out = Changed(kind="consent.opted_out", ref="all")
    await desk.hears(conversation, "STOP", ago(minutes=5), changed=[out])

    items = await desk.thread(conversation)

    assert [
        "-- Nov 23",
        "Contact: 3",
        f"* Booking {booking.number} moved: Fri Dec 4 2:00 PM → Tue Dec 8 3:00 PM",
        "Bot: Done.",
        f"* Booking {booking.number} cancelled: Tue Dec 8 3:00 PM on the booking page",
        "-- Nov 24",
        "Contact: a person",
        f"* Ticket T{ticket.number} opened: not understood",
        "Max Agent: Hi, Max here.",
        f"* Ticket T{ticket.number} closed; the bot answers again",
        "Contact: STOP",
        "* Opted out of all texts",
    ] == told(items)
    assert [f"/console/?ticket={ticket.id}"] == [item.href for item in items if isinstance(item, Event) and item.href]


async def test_texts_of_one_breath_share_their_time(desk: Desk) -> None:
    """Only the last of several texts by one author within a minute is a tail."""
    conversation = await desk.contact()
    await desk.hears(conversation, "one", ago(minutes=10))
    await desk.hears(conversation, "two", ago(minutes=9, seconds=30))
    await desk.says(conversation, "three", ago(minutes=9, seconds=20))
    await desk.hears(conversation, "four", ago(minutes=5))
    await desk.hears(conversation, "five", ago(minutes=2))

    assert [False, True, True, True, True] == [
        item.tail for item in await desk.thread(conversation) if isinstance(item, Text)
    ]


async def test_a_text_says_who_spoke_what_it_was_read_as_and_what_became_of_it(desk: Desk) -> None:
    """Reading and confidence under the contact's text; status, reason and size under ours."""
    conversation = await desk.contact()
    await desk.hears(conversation, "move it", ago(minutes=9), intent="reschedule_booking")
    failed = await desk.says(conversation, "Sorry.", ago(minutes=8), "agent")
    failed.status, failed.reason = "failed", "the carrier refused it"
    _, heard, said = await desk.thread(conversation)

    assert isinstance(heard, Text)
    assert isinstance(said, Text)
    assert ("Read as reschedule booking, 94\u00a0%", "Read as it was.") == (heard.reading, heard.why)
    assert ("MA", "Failed", True, "red") == (said.mark, said.status, said.trouble, said.tone)
    assert "Failed; the carrier refused it; 1 part, GSM-7" == said.status_title


async def test_a_long_thread_begins_with_how_much_is_left_out(desk: Desk) -> None:
    """The last texts are shown, and nothing that happened before them."""
    conversation = await desk.contact()
    for number in range(5):
        ended = Changed(kind="rating.recorded", ref="survey", after={"score": number, "scale": 5})
        await desk.hears(conversation, f"text {number}", ago(minutes=9 - number), changed=[ended])

    assert [
        "Show 3 earlier texts",
        "-- Nov 24",
        "Contact: text 3",
        "* Rated 3 of 5",
        "Contact: text 4",
        "* Rated 4 of 5",
    ] == told(await desk.thread(conversation, 2))


# -- the contact ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "purposes, blocked, tone, words",
    [
        ([], False, "", "Never said yes or no; their own texts may be answered"),
        (["transactional", "conversational"], False, "green", "Agreed to service texts; no offers"),
        (["transactional", "conversational", "marketing"], False, "green", "Agreed to service texts and offers"),
        (["transactional"], True, "red", "Blocked by the carrier"),
    ],
)
async def test_consent_is_told_in_words(desk: Desk, purposes: list[str], blocked: bool, tone: str, words: str) -> None:
    """Green for yes, red for no, grey where nothing was ever said."""
    conversation = await desk.contact()
    contact = await desk.session.get_one(Contact, conversation.contact_id)
    await consent.record_opt_in(
        desk.session, contact, purposes, how="import", wording="", wording_version="1", by_whom="test", now=ago(days=1)
    )
    standing = views.standing(await consent.latest(desk.session, contact.phone_hash), blocked)

    assert (tone, words) == (standing.tone, standing.words)


async def test_why_nobody_may_write_is_what_the_sender_would_say(desk: Desk) -> None:
    """The composer's reason and the sender's verdict agree: open, blocked, opted out, opted in again."""
    conversation = await desk.contact()
    contact = await desk.session.get_one(Contact, conversation.contact_id)
    ticket = await desk.opens(conversation, ago(hours=1))
    message = await desk.says(conversation, "Hello", ago(minutes=1), "agent")

    async def both() -> tuple[bool, bool]:
        lines = await consent.latest(desk.session, contact.phone_hash)
        verdict = await consent.may_send(desk.session, message, conversation, contact)
        return views.refusal(ticket, conversation, lines) is None, verdict.allowed

    seen = [await both()]
    conversation.carrier_blocked = True
    seen.append(await both())
    conversation.carrier_blocked = False
    await consent.opt_out(desk.session, contact, "STOP", "keyword", None, NOW)
    seen.append(await both())
    await consent.opt_in_again(desk.session, contact, "START", uuid4(), "Welcome back.", NOW)
    await desk.session.refresh(conversation)
    seen.append(await both())

    assert [(True, True), (False, False), (False, False), (True, True)] == seen


async def test_an_unknown_ticket_is_nothing(desk: Desk) -> None:
    """An address somebody made up shows no ticket."""
    assert await views.open_ticket(desk.session, UUID(int=0), ZONE, datetime.now(UTC)) is None
