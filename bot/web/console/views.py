"""What the console shows, read in a fixed number of queries whatever the inbox holds; it changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot import consent, outbox
from bot.shop import bookings, orders
from bot.shop.bookings import BookingView
from bot.shop.orders import OrderView
from bot.tables import ConsentEvent, Contact, Conversation, SenderNumber, Ticket, User
from bot.web import thread
from bot.web.thread import REASONS, Earlier, Item, Text

Filter = Literal["mine", "unassigned", "open", "closed"]
FILTERS: Final[tuple[Filter, ...]] = get_args(Filter)

#: So many tickets are listed; the counts say how many there are.
LISTED = 100
#: Somebody who waits longer is shown in amber.
PATIENCE = timedelta(minutes=10)

_WHERE = {
    "mine": "t.status = 'open' AND t.agent_id = :me",
    "unassigned": "t.status = 'open' AND t.agent_id IS NULL",
    "open": "t.status = 'open'",
    "closed": "t.status = 'closed'",
}
#: strpos rather than LIKE, so that a percent sign someone looks for is only a percent sign.
_MATCHES = """
    (:q = '' OR strpos(lower(coalesce(p.name, '')), :q) > 0 OR 't' || t.number = :q
     OR (:digits <> '' AND strpos(p.phone, :digits) > 0)
     OR EXISTS (SELECT 1 FROM messages s WHERE s.conversation_id = t.conversation_id AND strpos(lower(s.body), :q) > 0))
"""
_FROM = """
    FROM tickets t JOIN conversations c ON c.id = t.conversation_id JOIN contacts p ON p.id = c.contact_id
"""


@dataclass(frozen=True)
class Listed:
    """One line of the list; the last words are those of a person, the contact or an agent.

    `waiting_since` is None where the agent spoke last or the ticket is closed.
    """

    id: UUID
    number: int
    name: str | None
    phone: str
    reason: str
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
class Inbox:
    """The left pane: how many tickets each filter has, and those of the chosen one."""

    counts: dict[str, int]
    chosen: Filter
    query: str
    rows: Sequence[Listed]

    @property
    def more(self) -> int:
        """How many match and are not listed."""
        return self.counts[self.chosen] - len(self.rows)


def filter_of(wanted: str) -> Filter:
    """The filter an address names; everything open where it names none of ours."""
    return next((name for name in FILTERS if name == wanted), "open")


async def inbox(session: AsyncSession, me: UUID, chosen: Filter, query: str, now: datetime) -> Inbox:
    """Tickets of one filter, those who wait longest first; `query` is a name, a number, words of a text, or T101."""
    words = " ".join(query.split()).lower()
    digits = "".join(char for char in words if char.isdigit())
    # Only what can be part of a number is looked for among numbers: "order 1042" and "100%" are words.
    plain = len(digits) >= 3 and not words.strip("+()-./ 0123456789")
    values = {"me": me, "q": words, "digits": digits if plain else "", "limit": LISTED}
    counts = (
        await session.execute(
            text(
                "SELECT "
                + ", ".join(f"count(*) FILTER (WHERE {condition}) AS {name}" for name, condition in _WHERE.items())
                + f" {_FROM} WHERE {_MATCHES}"
            ),
            values,
        )
    ).one()
    order = "t.closed_at DESC" if chosen == "closed" else "waiting_since NULLS LAST, last_at DESC"
    rows = await session.execute(
        text(
            f"""
            SELECT t.id, t.number, t.reason, t.opened_at, t.agent_id, p.name, p.phone, u.name AS agent,
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
            LEFT JOIN LATERAL (
                SELECT bool_and(action = 'opted_out') AS opted_out FROM (
                    SELECT DISTINCT ON (e.purpose) e.action FROM consent_events e
                    WHERE e.phone_hash = p.phone_hash ORDER BY e.purpose, e.id DESC) last_lines) l ON true
            WHERE {_WHERE[chosen]} AND {_MATCHES}
            ORDER BY {order}, t.number LIMIT :limit
            """  # noqa: S608  # made of the constants above
        ),
        values,
    )
    return Inbox(dict(counts._mapping), chosen, query, [_listed(row, now) for row in rows])


def _listed(row: Row[Any], now: datetime) -> Listed:
    return Listed(
        id=row.id,
        number=row.number,
        name=row.name,
        phone=row.phone,
        reason=row.reason,
        agent=row.agent,
        agent_id=row.agent_id,
        opted_out=row.opted_out,
        last_author=row.last_author or "contact",
        last_words=row.last_words or "",
        last_at=row.last_at,
        waiting_since=row.waiting_since,
        late=row.waiting_since is not None and now - row.waiting_since >= PATIENCE,
    )


# -- one ticket ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """What the ledger says of a contact, in words; `tone` is green, red or empty."""

    tone: str
    words: str
    since: datetime | None


@dataclass(frozen=True)
class Open:
    """The middle and right panes: a ticket with its thread, and what is known of its contact."""

    ticket: Ticket
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

    @property
    def closed(self) -> bool:
        """Whether nothing can be written here any more."""
        return self.ticket.status == "closed"

    @property
    def last_seq(self) -> int:
        """The seq of the newest text shown, 0 where there is none."""
        return max((item.seq for item in self.items if isinstance(item, Text)), default=0)


async def open_ticket(
    session: AsyncSession, ticket_id: UUID, zone: ZoneInfo, now: datetime, texts: int = thread.TEXTS
) -> Open | None:
    """A ticket with everything beside it; None where there is none of this id."""
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None:
        return None
    conversation = await session.get_one(Conversation, ticket.conversation_id)
    contact = await session.get_one(Contact, conversation.contact_id)
    sender = await session.get_one(SenderNumber, conversation.sender_number_id)
    agent = await session.get(User, ticket.agent_id) if ticket.agent_id is not None else None
    lines = await consent.latest(session, contact.phone_hash)
    items = await thread.thread(session, conversation.id, zone, texts)
    bought = await orders.find(session, contact.id, None)
    spoken = any(isinstance(item, Earlier) or (isinstance(item, Text) and item.author != "contact") for item in items)
    return Open(
        ticket=ticket,
        reason=REASONS.get(ticket.reason, ticket.reason),
        understood=_understood(ticket.understood),
        agent=agent.name if agent is not None else None,
        contact=contact,
        sender=sender.phone,
        items=items,
        refusal=refusal(ticket, conversation, lines),
        added="" if spoken else outbox.STOP_LINE,
        standing=standing(lines, conversation.carrier_blocked),
        bookings=await bookings.upcoming(session, contact.id, now),
        order=bought[0] if bought else None,
    )


def refusal(ticket: Ticket, conversation: Conversation, lines: dict[str, ConsentEvent]) -> str | None:
    """Why an agent may not text this contact now, as consent.may_send will judge it; None where they may."""
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
