"""What the console shows, read in a fixed number of queries whatever the inbox holds; it changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot import consent, outbox, tickets
from bot.insight import review
from bot.shop import bookings, orders
from bot.shop.bookings import BookingView
from bot.shop.orders import OrderView
from bot.tables import ConsentEvent, Contact, Conversation, SenderNumber, Ticket, User
from bot.web import thread
from bot.web.thread import REASONS, Earlier, Item, Text

#: The first four list tickets; bot lists the conversations nobody but the bot answers.
Filter = Literal["mine", "unassigned", "open", "closed", "bot"]
FILTERS: Final[tuple[Filter, ...]] = get_args(Filter)

#: So many tickets are listed; the counts say how many there are.
LISTED = 100
#: Somebody who waits longer is shown in amber.
PATIENCE = timedelta(minutes=10)

_TICKETS = {
    "mine": "t.status = 'open' AND t.agent_id = :me",
    "unassigned": "t.status = 'open' AND t.agent_id IS NULL",
    "open": "t.status = 'open'",
    "closed": "t.status = 'closed'",
}
#: strpos rather than LIKE, so that a percent sign someone looks for is only a percent sign.
_KNOWN_BY = """
    strpos(lower(coalesce(p.name, '')), :q) > 0 OR (:digits <> '' AND strpos(p.phone, :digits) > 0)
     OR EXISTS (SELECT 1 FROM messages s WHERE s.conversation_id = c.id AND strpos(lower(s.body), :q) > 0)
"""
_MATCHES = f"(:q = '' OR 't' || t.number = :q OR {_KNOWN_BY})"
_FROM = """
    FROM tickets t JOIN conversations c ON c.id = t.conversation_id JOIN contacts p ON p.id = c.contact_id
"""
_OPTED_OUT = """
    LEFT JOIN LATERAL (
        SELECT bool_and(action = 'opted_out') AS opted_out FROM (
            SELECT DISTINCT ON (e.purpose) e.action FROM consent_events e
            WHERE e.phone_hash = p.phone_hash ORDER BY e.purpose, e.id DESC) last_lines) l ON true
"""
#: Conversations without an open ticket in which anything was ever said.
_TALKS = f"""
    FROM conversations c JOIN contacts p ON p.id = c.contact_id
    WHERE c.last_message_at IS NOT NULL AND (:q = '' OR {_KNOWN_BY})
      AND NOT EXISTS (SELECT 1 FROM tickets t WHERE t.conversation_id = c.id AND t.status = 'open')
"""  # noqa: S608  # made of the constants above


@dataclass(frozen=True)
class Listed:
    """One ticket of the list; the last words are those of a person, the contact or an agent.

    `waiting_since` is None where the agent spoke last or the ticket is closed.
    """

    id: UUID
    number: int
    name: str | None
    phone: str
    reason: str
    urgent: bool
    agent: str | None
    agent_id: UUID | None
    opted_out: bool
    last_author: str
    last_words: str
    last_at: datetime
    waiting_since: datetime | None
    late: bool

    @property
    def waits(self) -> bool:
        """Whether the contact spoke last, as far as people are concerned."""
        return self.waiting_since is not None


@dataclass(frozen=True)
class Talk:
    """One conversation of the list of those the bot answers; `reading` is what its latest text was read as, in words.

    `unsure` marks a latest text the bot had to ask back about.
    """

    conversation_id: UUID
    name: str | None
    phone: str
    opted_out: bool
    last_author: str
    last_words: str
    last_at: datetime
    reading: str
    unsure: bool


@dataclass(frozen=True)
class Inbox:
    """The left pane: how many each filter has, and those of the chosen one, tickets or the bot's conversations."""

    counts: dict[str, int]
    chosen: Filter
    query: str
    rows: Sequence[Listed]
    talks: Sequence[Talk] = ()

    @property
    def more(self) -> int:
        """How many match and are not listed."""
        return self.counts[self.chosen] - len(self.rows) - len(self.talks)


def filter_of(wanted: str) -> Filter:
    """The filter an address names; everything open where it names none of ours."""
    return next((name for name in FILTERS if name == wanted), "open")


async def inbox(session: AsyncSession, me: UUID, chosen: Filter, query: str, now: datetime) -> Inbox:
    """The list of one filter: tickets, urgent ones and then those who wait longest first, or the bot's conversations.

    `query` is a name, a number, words of a text, or a ticket such as T101.
    """
    words = " ".join(query.split()).lower()
    digits = "".join(char for char in words if char.isdigit())
    # Only what can be part of a number is looked for among numbers: "order 1042" and "100%" are words.
    plain = len(digits) >= 3 and not words.strip("+()-./ 0123456789")
    values = {"me": me, "q": words, "digits": digits if plain else "", "limit": LISTED}
    counts = (
        await session.execute(
            text(
                "SELECT "
                + ", ".join(f"count(*) FILTER (WHERE {condition}) AS {name}" for name, condition in _TICKETS.items())
                + f", (SELECT count(*) {_TALKS}) AS bot {_FROM} WHERE {_MATCHES}"
            ),
            values,
        )
    ).one()
    if chosen == "bot":
        return Inbox(dict(counts._mapping), chosen, query, [], await _talks(session, values))
    order = (
        "t.closed_at DESC" if chosen == "closed" else "t.priority = 'high' DESC, waiting_since NULLS LAST, last_at DESC"
    )
    rows = await session.execute(
        text(
            f"""
            SELECT t.id, t.number, t.reason, t.priority, t.opened_at, t.agent_id, p.name, p.phone, u.name AS agent,
                   coalesce(l.opted_out, false) AS opted_out,
                   m.author AS last_author, m.body AS last_words, coalesce(m.created_at, t.opened_at) AS last_at,
                   CASE WHEN t.status = 'closed' THEN NULL WHEN a.seq IS NULL THEN t.opened_at ELSE n.created_at END
                     AS waiting_since
            {_FROM}
            LEFT JOIN users u ON u.id = t.agent_id
            LEFT JOIN LATERAL (
                SELECT s.author, s.body, s.created_at FROM messages s
                WHERE s.conversation_id = c.id AND s.author IN ('contact', 'agent')
                  AND (t.closed_at IS NULL OR s.created_at <= t.closed_at)
                ORDER BY s.seq DESC LIMIT 1) m ON true
            LEFT JOIN LATERAL (
                SELECT s.seq FROM messages s
                WHERE s.conversation_id = c.id AND s.author = 'agent' AND s.created_at >= t.opened_at
                ORDER BY s.seq DESC LIMIT 1) a ON true
            LEFT JOIN LATERAL (
                SELECT s.created_at FROM messages s
                WHERE s.conversation_id = c.id AND s.direction = 'inbound' AND s.seq > a.seq
                ORDER BY s.seq LIMIT 1) n ON true
            {_OPTED_OUT}
            WHERE {_TICKETS[chosen]} AND {_MATCHES}
            ORDER BY {order}, t.number LIMIT :limit
            """  # noqa: S608  # made of the constants above
        ),
        values,
    )
    return Inbox(dict(counts._mapping), chosen, query, [_listed(row, now) for row in rows])


async def _talks(session: AsyncSession, values: dict[str, Any]) -> list[Talk]:
    """The conversations the bot answers, whoever spoke last first."""
    rows = await session.execute(
        text(
            f"""
            SELECT c.id, c.last_message_at, p.name, p.phone, coalesce(l.opted_out, false) AS opted_out,
                   m.author, m.body, u.decision, u.intent
            FROM (SELECT c.* {_TALKS} ORDER BY c.last_message_at DESC, c.id LIMIT :limit) c
            JOIN contacts p ON p.id = c.contact_id
            LEFT JOIN LATERAL (
                SELECT s.author, s.body FROM messages s WHERE s.conversation_id = c.id
                ORDER BY s.seq DESC LIMIT 1) m ON true
            LEFT JOIN LATERAL (
                SELECT r.decision, r.intent FROM turns r WHERE r.conversation_id = c.id
                ORDER BY r.ended_at DESC LIMIT 1) u ON true
            {_OPTED_OUT}
            ORDER BY c.last_message_at DESC, c.id
            """  # noqa: S608  # made of the constants above
        ),
        values,
    )
    return [
        Talk(
            conversation_id=row.id,
            name=row.name,
            phone=row.phone,
            opted_out=row.opted_out,
            last_author=row.author or "shop",
            last_words=row.body or "",
            last_at=row.last_message_at,
            reading=(row.intent or "").replace("_", " "),
            unsure=row.decision == "clarify",
        )
        for row in rows
    ]


def _listed(row: Row[Any], now: datetime) -> Listed:
    return Listed(
        id=row.id,
        number=row.number,
        name=row.name,
        phone=row.phone,
        reason=row.reason,
        urgent=row.priority == "high",
        agent=row.agent,
        agent_id=row.agent_id,
        opted_out=row.opted_out,
        last_author=row.last_author or "contact",
        last_words=row.last_words or "",
        last_at=row.last_at,
        waiting_since=row.waiting_since,
        late=row.waiting_since is not None and now - row.waiting_since >= PATIENCE,
    )


# -- one conversation ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """What the ledger says of a contact, in words; `tone` is green, red or empty."""

    tone: str
    words: str
    since: datetime | None


@dataclass(frozen=True)
class Open:
    """The middle and right panes: a conversation, the ticket it is looked at for, and what is known of its contact.

    `taught` says what became of each corrected reading, by its turn.

    `ticket` is None while only the bot answers; `elsewhere` is another ticket of the conversation that is open.
    """

    conversation_id: UUID
    ticket: Ticket | None
    elsewhere: Ticket | None
    reason: str
    understood: str
    agent: str | None
    contact: Contact
    sender: str
    items: Sequence[Item]
    refusal: str | None
    added: str
    standing: Standing
    bookings: Sequence[BookingView]
    order: OrderView | None
    taught: Mapping[UUID, str]

    @property
    def live(self) -> bool:
        """Whether a person answers here, so that something can be written."""
        return self.ticket is not None and self.ticket.status == "open"

    @property
    def takeable(self) -> bool:
        """Whether the bot answers here, so that an agent may take over."""
        return not self.live and self.elsewhere is None

    @property
    def last_seq(self) -> int:
        """The seq of the newest text shown, 0 where there is none."""
        return max((item.seq for item in self.items if isinstance(item, Text)), default=0)


async def open_ticket(
    session: AsyncSession, ticket_id: UUID, zone: ZoneInfo, now: datetime, texts: int = thread.TEXTS
) -> Open | None:
    """A ticket with everything beside it; None where there is none of this id."""
    ticket = await session.get(Ticket, ticket_id)
    return await _open(session, ticket.conversation_id, ticket, zone, now, texts) if ticket is not None else None


async def open_conversation(
    session: AsyncSession, conversation_id: UUID, zone: ZoneInfo, now: datetime, texts: int = thread.TEXTS
) -> Open | None:
    """A conversation as it stands now, with its open ticket where it has one; None where there is none of this id."""
    if await session.get(Conversation, conversation_id) is None:
        return None
    return await _open(session, conversation_id, None, zone, now, texts)


async def _open(
    session: AsyncSession, conversation_id: UUID, ticket: Ticket | None, zone: ZoneInfo, now: datetime, texts: int
) -> Open:
    conversation = await session.get_one(Conversation, conversation_id)
    current = await tickets.open_for(session, conversation_id)
    ticket = ticket or current
    contact = await session.get_one(Contact, conversation.contact_id)
    sender = await session.get_one(SenderNumber, conversation.sender_number_id)
    agent_id = ticket.agent_id if ticket is not None else None
    agent = await session.get(User, agent_id) if agent_id is not None else None
    lines = await consent.latest(session, contact.phone_hash)
    items = await thread.thread(session, conversation.id, zone, texts)
    bought = await orders.find(session, contact.id, None)
    spoken = any(isinstance(item, Earlier) or (isinstance(item, Text) and item.author != "contact") for item in items)
    return Open(
        conversation_id=conversation.id,
        ticket=ticket,
        elsewhere=current if current is not None and current is not ticket else None,
        reason=REASONS.get(ticket.reason, ticket.reason) if ticket is not None else "",
        understood=_understood(ticket.understood) if ticket is not None else "",
        agent=agent.name if agent is not None else None,
        contact=contact,
        sender=sender.phone,
        items=items,
        refusal=refusal(ticket, conversation, lines),
        added="" if spoken else outbox.STOP_LINE,
        standing=standing(lines, conversation.carrier_blocked),
        bookings=await bookings.upcoming(session, contact.id, now),
        order=bought[0] if bought else None,
        taught=await review.taught(session, conversation.id),
    )


def refusal(ticket: Ticket | None, conversation: Conversation, lines: dict[str, ConsentEvent]) -> str | None:
    """Why an agent may not text this contact now, as consent.may_send will judge it; None where they may."""
    if ticket is None:
        return "The bot answers here. Take over, and it is silent until you close the ticket."
    if ticket.status == "closed":
        return "This ticket is closed. The contact's next text is answered by the bot."
    if consent.state_of(lines) == "out":
        return "The contact has opted out, so nobody may text them until they text START."
    if conversation.carrier_blocked:
        return "The carrier blocks texts to this contact until they text START to this number."
    return None


def standing(lines: dict[str, ConsentEvent], carrier_blocked: bool) -> Standing:
    """The consent line: green where the contact agreed, red where nobody may text them, grey otherwise."""
    since = max((line.recorded_at for line in lines.values()), default=None)
    if consent.state_of(lines) == "out":
        return Standing("red", "Opted out of all texts", since)
    if carrier_blocked:
        return Standing("red", "Blocked by the carrier", None)
    if not lines:
        return Standing("", "Never said yes or no; their own texts may be answered", None)
    agreed = {purpose for purpose, line in lines.items() if line.action == "opted_in"}
    what = [
        words for purpose, words in (("transactional", "service texts"), ("marketing", "offers")) if purpose in agreed
    ]
    named = " and ".join(what) or "answers"
    return Standing("green", f"Agreed to {named}{'' if 'marketing' in agreed else '; no offers'}", since)


def _understood(raw: dict[str, Any]) -> str:
    """What the bot believed when it handed over, in one line; empty where it read nothing."""
    intent = raw.get("intent")
    return thread.read_as(str(intent), raw.get("confidence")) if intent else ""
