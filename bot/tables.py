"""Every table of the engine and the words their columns may hold; no query and no rule lives here.

Times are timestamptz in UTC. Statuses are words, with the groups callers need beside them.
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, INT4RANGE, JSONB, TSTZMULTIRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# -- words ---------------------------------------------------------------------------------------------------------

#: Outbound messages still on their way to the carrier.
WAITING = ("queued", "sending", "unknown")
#: Outbound messages in a state no receipt can change.
FINAL = ("delivered", "undelivered", "failed", "refused", "cancelled")
#: Order of outbound statuses; a receipt only moves a message to a higher rank.
RANK = {"queued": 0, "unknown": 1, "sending": 1, "sent": 2, **dict.fromkeys(FINAL, 3)}
#: Lower goes out first.
URGENCY = {"conversation": 0, "transactional": 1, "campaign": 2}
PURPOSES = ("marketing", "transactional", "conversational")
DECISIONS = ("keyword", "answer", "flow", "bot", "clarify", "ticket", "silent")


class Base(DeclarativeBase):
    """All tables; UUID keys are made here so that rows can be named before they are written."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[str]: ARRAY(Text),
        str: Text,
        int: Integer,
        float: Double,
        bytes: LargeBinary,
    }


# -- the shop ------------------------------------------------------------------------------------------------------


class Shop(Base):
    """The one shop of this engine, as shop.yml says; row 1."""

    __tablename__ = "shop"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    brand: Mapped[str]
    zone: Mapped[str]
    facts: Mapped[dict[str, Any]]
    content: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Product(Base):
    """Something the built-in store sells; `words` are other names people use, `price_cents` in the shop's currency."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    words: Mapped[list[str]]
    price_cents: Mapped[int]
    about: Mapped[str]
    listed: Mapped[bool] = mapped_column(Boolean, default=True)


class Variant(Base):
    """A product in one size and colour, and how many lie in the store; open exchanges are not taken off."""

    __tablename__ = "variants"
    __table_args__ = (
        UniqueConstraint("product_id", "size", "color", postgresql_nulls_not_distinct=True),
        CheckConstraint("stock >= 0", name="stock"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id", ondelete="CASCADE"))
    size: Mapped[str | None]
    color: Mapped[str | None]
    stock: Mapped[int]


class Location(Base):
    """A place of the shop with its opening hours (see bot.shop.hours)."""

    __tablename__ = "locations"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    address: Mapped[str]
    hours: Mapped[dict[str, Any]]


class Service(Base):
    """Something that can be booked, with its length in minutes."""

    __tablename__ = "services"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    minutes: Mapped[int]


class Resource(Base):
    """A member of staff (or a room) whose time is booked, at one location; `services` are keys of services."""

    __tablename__ = "resources"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    services: Mapped[list[str]]


class Booking(Base):
    """A contact's appointment; `ref` is what people are told, status booked | confirmed | cancelled."""

    __tablename__ = "bookings"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="starts_before_end"),
        CheckConstraint("status IN ('booked', 'confirmed', 'cancelled')", name="status"),
        Index("ix_bookings_contact_id_starts_at", "contact_id", "starts_at"),
        Index("ix_bookings_resource_id_starts_at", "resource_id", "starts_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    number: Mapped[int] = mapped_column(Identity(start=2001), unique=True)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    resource_id: Mapped[int] = mapped_column(ForeignKey("resources.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(default="booked")
    demo: Mapped[bool] = mapped_column(Boolean, default=False)


class Hold(Base):
    """A span kept for a contact while they choose; worthless after `expires_at`. A new booking's has no booking yet."""

    __tablename__ = "holds"
    __table_args__ = (Index("ix_holds_resource_id_expires_at", "resource_id", "expires_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), index=True)
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"), index=True)
    resource_id: Mapped[int] = mapped_column(ForeignKey("resources.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Occupancy(Base):
    """Which time of a resource one contact takes, bookings and holds together.

    The exclusion constraint is what makes double booking impossible: contacts exclude each other but not themselves.
    Kept equal to bookings and holds by bot.shop.bookings; one row per contact and resource.
    """

    __tablename__ = "occupancy"
    __table_args__ = (
        ExcludeConstraint(("resource_range", "&&"), ("spans", "&&"), using="gist", name="no_double_booking"),
    )

    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    resource_id: Mapped[int] = mapped_column(ForeignKey("resources.id"), primary_key=True)
    resource_range: Mapped[Range[int]] = mapped_column(INT4RANGE)
    spans: Mapped[Any] = mapped_column(TSTZMULTIRANGE)


class Waiting(Base):
    """A contact who waits for a time to come free: for a service, perhaps at one place, within a stretch of time."""

    __tablename__ = "waitlist"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), index=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    wanted_from: Mapped[datetime]
    wanted_to: Mapped[datetime]
    created_at: Mapped[datetime]
    left_at: Mapped[datetime | None]


class Order(Base):
    """An order of the built-in store; status placed | packed | shipped | delivered | cancelled.

    `items` are objects of name, quantity, and where known product (key), size and color.
    """

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("status IN ('placed', 'packed', 'shipped', 'delivered', 'cancelled')", name="status"),
        Index("ix_orders_contact_id_placed_at", "contact_id", "placed_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    number: Mapped[str] = mapped_column(unique=True)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    status: Mapped[str]
    placed_at: Mapped[datetime]
    items: Mapped[list[Any]]
    address: Mapped[str | None]
    postcode: Mapped[str | None]
    email: Mapped[str | None]
    tracking_company: Mapped[str | None]
    tracking_number: Mapped[str | None]
    tracking_url: Mapped[str | None]
    expected_on: Mapped[datetime | None]
    demo: Mapped[bool] = mapped_column(Boolean, default=False)


class OrderRequest(Base):
    """An exchange or a return the contact asked for: `item` is its position in the order, size and colour the wish."""

    __tablename__ = "order_requests"
    __table_args__ = (CheckConstraint("kind IN ('exchange', 'return')", name="kind"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    kind: Mapped[str]
    item: Mapped[int]
    product: Mapped[str | None]
    size: Mapped[str | None]
    color: Mapped[str | None]
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class OrderProof(Base):
    """A contact who is not the order's own but named its postcode or email, and may see and change it since."""

    __tablename__ = "order_proofs"

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    by: Mapped[str]
    proven_at: Mapped[datetime]


class ContestEntry(Base):
    """One contact's entry to a contest (its keyword); one per person, `left_at` where they left."""

    __tablename__ = "contest_entries"
    __table_args__ = (UniqueConstraint("contest", "contact_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    contest: Mapped[str]
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    entered_at: Mapped[datetime]
    left_at: Mapped[datetime | None]


class Code(Base):
    """A single-use code of a list in shop.yml; at most one per list and contact."""

    __tablename__ = "codes"
    __table_args__ = (UniqueConstraint("pool", "contact_id"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    pool: Mapped[str]
    code: Mapped[str] = mapped_column(unique=True)
    contact_id: Mapped[UUID | None] = mapped_column(ForeignKey("contacts.id", ondelete="SET NULL"))
    issued_at: Mapped[datetime | None]


class Rating(Base):
    """A score a contact gave; `question_id` is the survey that asked, null where nobody did."""

    __tablename__ = "ratings"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), index=True)
    question_id: Mapped[UUID | None] = mapped_column(ForeignKey("open_questions.id"), unique=True)
    score: Mapped[int]
    scale: Mapped[int]
    comment: Mapped[str | None]
    late: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]


# -- contacts and consent ------------------------------------------------------------------------------------------


class Contact(Base):
    """A person by phone number (E.164); `profile` holds email, postcode, address and preferences as they told them."""

    __tablename__ = "contacts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    phone: Mapped[str] = mapped_column(unique=True)
    phone_hash: Mapped[str] = mapped_column(index=True)
    name: Mapped[str | None]
    profile: Mapped[dict[str, Any]] = mapped_column(default=dict)
    demo: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]


class ConsentEvent(Base):
    """One line of the append-only ledger, per contact and purpose; names the contact by keyed hash only."""

    __tablename__ = "consent_events"
    __table_args__ = (
        Index("ix_consent_events_phone_hash_purpose_id", "phone_hash", "purpose", "id"),
        CheckConstraint("action IN ('opted_in', 'opted_out')", name="action"),
        CheckConstraint("purpose IN ('marketing', 'transactional', 'conversational')", name="purpose"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    phone_hash: Mapped[str]
    purpose: Mapped[str]
    action: Mapped[str]
    how: Mapped[str]
    wording: Mapped[str]
    wording_version: Mapped[str]
    page_url: Mapped[str | None]
    message_id: Mapped[UUID | None]
    by_whom: Mapped[str]
    recorded_at: Mapped[datetime]


class ConsentEvidence(Base):
    """What identifies the person behind a ledger line; erasure empties it and leaves the line."""

    __tablename__ = "consent_evidence"

    event_id: Mapped[int] = mapped_column(ForeignKey("consent_events.id"), primary_key=True, autoincrement=False)
    phone: Mapped[str]
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]


# -- messages ------------------------------------------------------------------------------------------------------


class SenderNumber(Base):
    """A number the shop texts from: its kind, the words its carrier acts on by itself, its pace.

    `caught_up_to` is until when the carrier's own list of inbound texts has been taken in.
    """

    __tablename__ = "sender_numbers"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    phone: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    carrier_words: Mapped[list[str]]
    carrier_answers: Mapped[bool]
    parts_per_second: Mapped[float | None]
    is_default: Mapped[bool]
    caught_up_to: Mapped[datetime | None]


class Conversation(Base):
    """A contact and one of our numbers: who speaks, the dialogue state, and the lease of the worker on it.

    `owner` is bot | queue | agent | nobody. `fence` grows with each lease; the transaction that ends a turn checks it.
    `pending_since` is the arrival of the oldest text nobody has read yet.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("contact_id", "sender_number_id"),
        CheckConstraint("owner IN ('bot', 'queue', 'agent', 'nobody')", name="owner"),
        Index("ix_conversations_pending", "pending_since", postgresql_where=text("pending_since IS NOT NULL")),
        Index("ix_conversations_last_message_at", "last_message_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    sender_number_id: Mapped[int] = mapped_column(ForeignKey("sender_numbers.id"))
    owner: Mapped[str] = mapped_column(default="bot")
    dialogue: Mapped[dict[str, Any] | None]
    unclear: Mapped[int] = mapped_column(default=0)
    out_of_scope: Mapped[int] = mapped_column(default=0)
    carrier_blocked: Mapped[bool] = mapped_column(Boolean, default=False)
    pending_since: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    last_message_at: Mapped[datetime | None]


class Message(Base):
    """One text, inbound or outbound, in the order of `seq`.

    Inbound: status received; `turn_id` is null until the turn that read it is committed.
    Outbound: this row is the outbox; `turn_id` and `position` say which turn it answers. `author` is contact, bot,
    agent or shop (a text the business started). `sent_by` is the agent's user id.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("turn_id", "position"),
        CheckConstraint("direction IN ('inbound', 'outbound')", name="direction"),
        CheckConstraint(
            "status IN ('received', 'queued', 'sending', 'sent', 'delivered', 'undelivered', 'failed', 'refused', "
            "'cancelled', 'unknown')",
            name="status",
        ),
        CheckConstraint("author IN ('contact', 'bot', 'agent', 'shop')", name="author"),
        Index("ix_messages_conversation_id_seq", "conversation_id", "seq"),
        Index(
            "ix_messages_unread",
            "conversation_id",
            "seq",
            postgresql_where=text("direction = 'inbound' AND turn_id IS NULL"),
        ),
        Index(
            "ix_messages_outbox",
            "urgency",
            "seq",
            postgresql_where=text("status IN ('queued', 'sending', 'unknown')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    direction: Mapped[str]
    author: Mapped[str]
    body: Mapped[str]
    media: Mapped[list[Any]] = mapped_column(default=list)
    status: Mapped[str]
    reason: Mapped[str | None]
    carrier_id: Mapped[str | None] = mapped_column(unique=True)
    turn_id: Mapped[UUID | None] = mapped_column(index=True)
    position: Mapped[int | None]
    sent_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    purpose: Mapped[str | None]
    urgency: Mapped[int | None]
    rule: Mapped[str | None]
    name: Mapped[str | None]
    asks: Mapped[list[str]] = mapped_column(default=list)
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("bookings.id", ondelete="SET NULL"))
    encoding: Mapped[str | None]
    parts: Mapped[int | None]
    send_after: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    error_code: Mapped[str | None]
    created_at: Mapped[datetime]
    handed_over_at: Mapped[datetime | None]


class Receipt(Base):
    """A delivery status as the carrier reported it, once each; the message row keeps the furthest."""

    __tablename__ = "receipts"
    __table_args__ = (UniqueConstraint("carrier_id", "status", "error_code", postgresql_nulls_not_distinct=True),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    carrier_id: Mapped[str]
    message_id: Mapped[UUID | None]
    status: Mapped[str]
    error_code: Mapped[str | None]
    received_at: Mapped[datetime]


class SimulatorMessage(Base):
    """What the simulator carrier accepted, one row a call: the stand-in's own log, never read by the engine's steps.

    `message_id` is deliberately not unique: a text sent twice must show twice.
    """

    __tablename__ = "simulator_messages"

    carrier_id: Mapped[str] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(index=True)
    sender: Mapped[str]
    recipient: Mapped[str] = mapped_column(index=True)
    body: Mapped[str]
    accepted_at: Mapped[datetime]


class SimulatorFault(Base):
    """A fault ordered on the simulator's page for the next text from or to a phone, and what became of it.

    `texts` are the contact's texts it took hold of, as objects of carrier_id, body, media and arrived_at (ISO 8601,
    null before); of a text of ours `message_id` says which. Kinds up to `tapback` are on the way in, the others out.
    """

    __tablename__ = "simulator_faults"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('duplicate', 'reordered', 'delayed', 'picture', 'burst', 'tapback', "
            "'blocked', 'failed', 'no_receipt', 'lost_answer')",
            name="kind",
        ),
        Index("ix_simulator_faults_phone_id", "phone", "id"),
        Index(
            "ix_simulator_faults_due_at",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL AND ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    phone: Mapped[str]
    kind: Mapped[str]
    code: Mapped[str | None]
    seconds: Mapped[int | None]
    ordered_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    texts: Mapped[list[Any]] = mapped_column(default=list)
    message_id: Mapped[UUID | None] = mapped_column(index=True)


class ClockMove(Base):
    """The clock moved on the simulator's page, from one instant of its own to another; a session's test repeats it.

    `after_seq` is the number of the last message before it: a clock that is put back leaves times in no order.
    """

    __tablename__ = "clock_moves"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    after_seq: Mapped[int] = mapped_column(BigInteger, index=True)
    moved_from: Mapped[datetime]
    moved_to: Mapped[datetime]


# -- turns ---------------------------------------------------------------------------------------------------------


class Turn(Base):
    """What one inbound message, or a burst, caused; its id is the first one's, so that reading it twice is one turn."""

    __tablename__ = "turns"
    __table_args__ = (
        CheckConstraint(
            "decision IN ('keyword', 'answer', 'flow', 'bot', 'clarify', 'ticket', 'silent')", name="decision"
        ),
        Index("ix_turns_conversation_id_ended_at", "conversation_id", "ended_at"),
        Index("ix_turns_ended_at", "ended_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    decision: Mapped[str]
    why: Mapped[str]
    intent: Mapped[str | None]
    confidence: Mapped[float | None]
    ranking: Mapped[list[Any]] = mapped_column(default=list)
    entities: Mapped[list[Any]] = mapped_column(default=list)
    consent: Mapped[str]
    ticket_id: Mapped[UUID | None] = mapped_column(ForeignKey("tickets.id", ondelete="SET NULL"))
    steps_ms: Mapped[dict[str, Any]] = mapped_column(default=dict)
    ended_at: Mapped[datetime]


class Effect(Base):
    """One change a turn (or a page, or an agent) made, with before and after; `undone_at` where it was taken back."""

    __tablename__ = "effects"
    __table_args__ = (UniqueConstraint("turn_id", "position"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    turn_id: Mapped[UUID | None] = mapped_column(ForeignKey("turns.id", ondelete="CASCADE"))
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(index=True)
    ref: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    actor: Mapped[str]
    created_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]


class OpenQuestion(Base):
    """Something we asked and wait for: what the shop asked, or a choice or a missing detail of the dialogue.

    `payload` is the Ask value for the dialogue's kinds, and for the shop's the survey's scale, the booking, the
    contest's keyword or the preference's key.
    """

    __tablename__ = "open_questions"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('survey', 'booking', 'contest', 'preference', 'booking_change', 'booking_cancel', 'booking_new', "
            "'order_change', 'details', 'identify', 'clarify')",
            name="kind",
        ),
        Index("ix_open_questions_open", "conversation_id", "asked_at", postgresql_where=text("closed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None]


# -- people answering ----------------------------------------------------------------------------------------------


class Ticket(Base):
    """A conversation a person must answer; at most one open per conversation. `understood` is what the bot believed."""

    __tablename__ = "tickets"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'closed')", name="status"),
        CheckConstraint("priority IN ('normal', 'high')", name="priority"),
        Index("uq_tickets_open", "conversation_id", unique=True, postgresql_where=text("status = 'open'")),
        Index("ix_tickets_status_opened_at", "status", "opened_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    number: Mapped[int] = mapped_column(Identity(start=101), unique=True)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    reason: Mapped[str]
    tags: Mapped[list[str]]
    note: Mapped[str]
    understood: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(default="open")
    priority: Mapped[str] = mapped_column(default="normal")
    agent_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class User(Base):
    """Somebody who logs in; role is agent | designer | marketer | admin."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role IN ('agent', 'designer', 'marketer', 'admin')", name="role"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[datetime]


class LoginSession(Base):
    """A browser that is logged in; the cookie's token is stored hashed, `csrf` is the form token bound to it."""

    __tablename__ = "login_sessions"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    csrf: Mapped[str]
    expires_at: Mapped[datetime]


class LoginAttempt(Base):
    """A failed login, kept to slow guessing; `subject` is a keyed hash of email or address."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("ix_login_attempts_subject_tried_at", "subject", "tried_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subject: Mapped[str]
    tried_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ReviewEvent(Base):
    """What somebody said of a text's meaning, append-only: action proposed | labelled | skipped | reopened.

    `key` stands for all texts that differ only in case, blanks and closing punctuation; its latest line is its state.
    `message_id` is a text it was said of. `text`, `file` and `diff` are what a label put into the training data;
    `moved` is the example as it stood under the intent `moved_from`; `written` is false where no file was changed.
    """

    __tablename__ = "review_events"
    __table_args__ = (
        CheckConstraint("action IN ('proposed', 'labelled', 'skipped', 'reopened')", name="action"),
        Index("ix_review_events_key_id", "key", "id"),
        Index("ix_review_events_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str]
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id", ondelete="SET NULL"), index=True)
    action: Mapped[str]
    intent: Mapped[str | None]
    text: Mapped[str | None]
    moved_from: Mapped[str | None]
    moved: Mapped[str | None]
    file: Mapped[str | None]
    diff: Mapped[str | None]
    written: Mapped[bool] = mapped_column(Boolean, default=False)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]


class Publication(Base):
    """The models texts were read with, append-only; the latest line is the live one.

    `kind` is started (an engine began with it), published or rolled_back (`user_id` chose it); `replaced` is the one
    live before.
    """

    __tablename__ = "publications"
    __table_args__ = (CheckConstraint("kind IN ('started', 'published', 'rolled_back')", name="kind"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    model: Mapped[str]
    replaced: Mapped[str | None]
    kind: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    published_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ModelJob(Base):
    """What somebody asked of the engine that runs Rasa: to train, or to publish `model`; one of each kind at a time.

    `steps` tell how far it is, each {"name", "note", "began", "seconds"}, seconds null while it goes on. `outcome` is
    accepted | refused (of a training), published, failed or stopped; `words` say why.
    """

    __tablename__ = "model_jobs"
    __table_args__ = (
        CheckConstraint("kind IN ('train', 'publish')", name="kind"),
        CheckConstraint("outcome IN ('accepted', 'refused', 'published', 'failed', 'stopped')", name="outcome"),
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),
        Index("uq_model_jobs_open", "kind", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str]
    model: Mapped[str | None]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    outcome: Mapped[str | None]
    words: Mapped[str | None]
    ordered_at: Mapped[datetime] = mapped_column(server_default=func.now())
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class RasaSite(Base):
    """Where the Rasas are that one `up` runs; its workers and pages follow, so that models swap without a restart."""

    __tablename__ = "rasa_sites"

    name: Mapped[str] = mapped_column(primary_key=True)
    urls: Mapped[list[str]] = mapped_column(ARRAY(Text))
    moved_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PageEvent(Base):
    """Something live pages should hear of; pages resume from the last one seen.

    `xid` orders events by transaction, so that a reader never passes over one that commits late.
    """

    __tablename__ = "page_events"
    __table_args__ = (Index("ix_page_events_xid_id", "xid", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    xid: Mapped[int] = mapped_column(
        BigInteger, server_default=text("(pg_current_xact_id()::text)::bigint"), nullable=False
    )
    topic: Mapped[str]
    conversation_id: Mapped[UUID | None]
    ticket_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
