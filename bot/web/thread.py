"""The texts of one conversation and what happened between them, in order, ready to be shown; it changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.accounts import initials
from bot.outreach import tapbacks
from bot.shop import bookings
from bot.tables import Effect, Message, Ticket, Turn, User

#: So many texts are shown at first; a page may ask for more.
TEXTS = 200

#: Why a person was needed, in words.
REASONS = {
    "asked_for_person": "Asked for a person",
    "unclear": "Not understood",
    "out_of_scope": "Nothing we do by text",
    "complaint": "Complaint",
    "serious_matter": "Serious matter",
    "bad_rating": "Bad rating",
    "failed_action": "Something failed",
    "engine_down": "Engine was down",
    "agent_took_over": "Taken over from the bot",
}

#: What became of an outbound text, in words; a contact's own text has none.
STATUSES = {
    "queued": "Queued",
    "sending": "Sending",
    "sent": "Sent",
    "delivered": "Delivered",
    "undelivered": "Not delivered",
    "failed": "Failed",
    "refused": "Not sent",
    "cancelled": "Taken back",
    "unknown": "Not known yet",
}
_TROUBLE = ("undelivered", "failed", "refused", "cancelled")
_PENDING = ("queued", "sending", "unknown")
#: Effects an agent needs no line for: the texts themselves say as much.
_QUIET = ("booking.held", "ticket.appended")


@dataclass(frozen=True)
class Day:
    """A divider: what follows happened on this day of the shop."""

    kind: ClassVar[str] = "day"
    key: str
    at: datetime


@dataclass(frozen=True)
class Earlier:
    """Stands for texts before the ones shown."""

    kind: ClassVar[str] = "earlier"
    key: str
    words: str


@dataclass(frozen=True)
class Event:
    """Something that happened, in one line; `href` leads to what changed, `tone` is red, green or empty."""

    kind: ClassVar[str] = "event"
    key: str
    at: datetime
    words: str
    icon: str = "dot"
    tone: str = ""
    href: str | None = None


@dataclass(frozen=True)
class Text:
    """One text. `author` is contact, bot, agent or shop; `tail` marks the last of several in one breath.

    `speaker` names the author for people; `mark` is what stands in small beside the time. `turn_id` is there where the
    text has a turn of its own, whose reading can be corrected. `reaction`: a phone wrote it, so there is
    nothing to read.
    """

    kind: ClassVar[str] = "text"
    key: str
    at: datetime
    seq: int
    author: str
    speaker: str
    mark: str
    body: str
    status: str
    reason: str
    parts: int | None
    encoding: str | None
    reading: str
    why: str
    pictures: tuple[str, ...]
    trouble: bool
    pending: bool
    tail: bool
    turn_id: UUID | None
    reaction: bool

    @property
    def tone(self) -> str:
        """Red where the text did not arrive."""
        return "red" if self.trouble else ""

    @property
    def status_title(self) -> str:
        """The status with everything known of it, for hovering."""
        size = f"{self.parts} {'part' if self.parts == 1 else 'parts'}, {self.encoding}" if self.parts else ""
        return "; ".join(part for part in (self.status, self.reason, size) if part)


Item = Day | Earlier | Event | Text


async def thread(session: AsyncSession, conversation_id: UUID, zone: ZoneInfo, limit: int = TEXTS) -> list[Item]:
    """The last `limit` texts of a conversation with effects, tickets and days between them, times in `zone`.

    Three queries, however long the conversation is.
    """
    rows: list[Row[Any]] = [
        *await session.execute(
            select(Message, Turn, User.name.label("agent"), func.count().over().label("total"))
            .outerjoin(Turn, Turn.id == Message.id)
            .outerjoin(User, User.id == Message.sent_by)
            .where(Message.conversation_id == conversation_id)
            .order_by(Message.seq.desc())
            .limit(limit)
        )
    ][::-1]
    hidden = rows[0].total - len(rows) if rows else 0
    since = rows[0].Message.created_at if hidden else None
    effects = select(Effect).where(Effect.conversation_id == conversation_id, Effect.kind.not_in(_QUIET))
    if since is not None:
        effects = effects.where(Effect.created_at >= since)
    happened = list(await session.scalars(effects.order_by(Effect.id)))
    tickets = list(await session.scalars(select(Ticket).where(Ticket.conversation_id == conversation_id)))
    items = _with_days(_merge(rows, happened, tickets, since, zone))
    if hidden:
        items.insert(0, Earlier("earlier", f"Show {hidden:,} earlier {'text' if hidden == 1 else 'texts'}"))
    return items


def _merge(
    rows: Sequence[Row[Any]],
    effects: Sequence[Effect],
    tickets: Sequence[Ticket],
    since: datetime | None,
    zone: ZoneInfo,
) -> list[Item]:
    """Texts by seq; a turn's effects after the text that caused them, everything else by its time."""
    of_turn: dict[UUID, list[Event]] = {}
    alone: list[Event] = []
    shown = {row.Message.id for row in rows}
    by_ref = {f"T{ticket.number}": ticket for ticket in tickets}
    for effect in effects:
        event = _event(effect, by_ref, zone)
        if effect.turn_id in shown and effect.turn_id is not None:
            of_turn.setdefault(effect.turn_id, []).append(event)
        else:
            alone.append(event)
    for ticket in tickets:
        if ticket.closed_at is not None and (since is None or ticket.closed_at >= since):
            closed = f"Ticket T{ticket.number} closed; the bot answers again"
            alone.append(Event(f"closed-{ticket.number}", ticket.closed_at.astimezone(zone), closed, "check"))
    alone.sort(key=lambda event: event.at)
    items: list[Item] = []
    for position, row in enumerate(rows):
        message: Message = row.Message
        while alone and alone[0].at <= message.created_at:
            items.append(alone.pop(0))
        following = rows[position + 1] if position + 1 < len(rows) else None
        caused = of_turn.get(message.id, [])
        items.append(_text(row, not caused and _same_breath(row, following), zone))
        items += caused
    return [*items, *alone]


def _same_breath(row: Row[Any], following: Row[Any] | None) -> bool:
    """Whether the next text is by the same author within the same minute."""
    if following is None:
        return False
    mine, next_ = row.Message, following.Message
    same = (mine.author, mine.sent_by, mine.name) == (next_.author, next_.sent_by, next_.name)
    return same and (next_.created_at - mine.created_at).total_seconds() < 60


def _with_days(items: list[Item]) -> list[Item]:
    found: list[Item] = []
    day = None
    for item in items:
        assert not isinstance(item, Earlier)
        if item.at.date() != day:
            day = item.at.date()
            found.append(Day(f"day-{day.isoformat()}", item.at))
        found.append(item)
    return found


def _text(row: Row[Any], same_breath: bool, zone: ZoneInfo) -> Text:
    message: Message = row.Message
    turn: Turn | None = row.Turn
    speaker, mark = {
        "contact": ("Contact", ""),
        "bot": ("Bot", "bot"),
        "agent": (row.agent or "Agent", initials(row.agent) if row.agent else "agent"),
        "shop": (shop_name(message.name), shop_name(message.name)),
    }[message.author]
    return Text(
        key=f"text-{message.seq}",
        at=message.created_at.astimezone(zone),
        seq=message.seq,
        author=message.author,
        speaker=speaker,
        mark=mark,
        body=message.body,
        status=STATUSES.get(message.status, ""),
        reason=message.reason or "",
        parts=message.parts,
        encoding=message.encoding,
        reading=read_as(turn.intent, turn.confidence) if turn is not None and turn.intent else "",
        why=turn.why if turn is not None else "",
        pictures=tuple("Picture" if "image" in item.get("type", "") else "Attachment" for item in message.media),
        trouble=message.status in _TROUBLE,
        pending=message.status in _PENDING,
        tail=not same_breath,
        turn_id=turn.id if turn is not None else None,
        reaction=message.author == "contact" and not message.media and tapbacks.is_tapback(message.body),
    )


def shop_name(name: str | None) -> str:
    """The name of a text the business started, for people."""
    return "NPS" if name == "nps" else (name or "shop").replace("_", " ").capitalize()


def read_as(intent: str, confidence: float | None) -> str:
    """What a text was read as, for people: "Read as reschedule booking, 94 %"."""
    sure = "" if confidence is None else f", {100 * confidence:.0f}\u00a0%"
    return f"Read as {intent.replace('_', ' ')}{sure}"


# -- effects in words ----------------------------------------------------------------------------------------------


def _event(effect: Effect, tickets: dict[str, Ticket], zone: ZoneInfo) -> Event:
    key, at = f"effect-{effect.id}", effect.created_at.astimezone(zone)
    before, after = effect.before or {}, effect.after or {}
    by = {"page": " on the booking page", "agent": " by an agent"}.get(effect.actor, "")
    if effect.kind.startswith("booking."):
        return Event(key, at, _booking_words(effect, before, after, zone) + by, "calendar")
    if effect.kind == "consent.opted_out":
        return Event(key, at, "Opted out of all texts", "ban", "red")
    if effect.kind == "consent.opted_in":
        return Event(key, at, "Opted in again", "check", "green")
    if effect.kind == "ticket.opened":
        ticket = tickets.get(effect.ref)
        href = f"/console/?ticket={ticket.id}" if ticket is not None else None
        if after.get("reason") == "agent_took_over":
            return Event(key, at, f"Taken over from the bot: ticket {effect.ref}", "ticket", "", href)
        reason = REASONS.get(str(after.get("reason")), "handed over")
        words = f"Ticket {effect.ref} opened: {reason[0].lower()}{reason[1:]}"
        return Event(key, at, words, "ticket", "", href)
    if effect.kind == "rating.recorded":
        return Event(key, at, f"Rated {after.get('score', effect.ref)} of {after.get('scale', 5)}", "star")
    icon, words = _words(effect, before, after)
    return Event(key, at, words + by, icon)


#: What an effect did, in one line: an icon, and words with its reference and its fields afterwards.
_LINES = {
    "order.address_changed": ("parcel", "Address of order {ref} changed"),
    "order.cancelled": ("parcel", "Order {ref} cancelled"),
    "order.restored": ("parcel", "Order {ref} stands again"),
    "order.exchange_requested": ("parcel", "Exchange asked for, order {ref}"),
    "order.return_requested": ("parcel", "Return asked for, order {ref}"),
    "order.request_withdrawn": ("parcel", "Request for order {ref} taken back"),
    "order.proven": ("parcel", "Proved that order {ref} is theirs"),
    "rating.withdrawn": ("star", "Rating taken back"),
    "contest.entered": ("star", "Entered contest {ref}"),
    "contest.left": ("star", "Left contest {ref}"),
    "preference.set": ("person", "Prefers {value}"),
    "profile.set": ("person", "Told us their {ref}"),
    "code.issued": ("check", "Got a code of {ref}"),
    "waitlist.joined": ("calendar", "Waits for a free time"),
    "waitlist.left": ("calendar", "No longer waits for a free time"),
}


def _words(effect: Effect, before: dict[str, Any], after: dict[str, Any]) -> tuple[str, str]:
    if effect.kind in ("preference.set", "profile.set") and after.get("value") is None and before.get("value"):
        return "person", f"Told us to forget {before['value']}"
    icon, words = _LINES.get(effect.kind, ("dot", ""))
    if not words:
        topic, _, what = effect.kind.partition(".")
        return icon, f"{topic.capitalize()} {effect.ref} {what.replace('_', ' ')}"
    return icon, words.format(ref=effect.ref, value=after.get("value") or effect.ref)


def _booking_words(effect: Effect, before: dict[str, Any], after: dict[str, Any], zone: ZoneInfo) -> str:
    was, will = _when(before, zone), _when(after, zone)
    name = f"Booking {effect.ref}"
    what = effect.kind.partition(".")[2]
    if before.get("status") == "cancelled":
        return f"{name} booked again: {will}"
    if what == "rescheduled":
        return f"{name} moved: {was} → {will}"
    done = {"created": "made", "confirmed": "confirmed", "cancelled": "cancelled"}
    return f"{name} {done.get(what, what)}: {will or was}"


def _when(fields: dict[str, Any], zone: ZoneInfo) -> str:
    """The start in an effect's fields, as "Fri Nov 27 2:00 PM"."""
    raw = fields.get("start")
    if not isinstance(raw, str):
        return ""
    start = datetime.fromisoformat(raw).astimezone(zone)
    return f"{start:%a %b} {start.day} {bookings.clock_words(start)}"
