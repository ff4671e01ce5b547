"""The ledger of consent, and the only answer to "may we text this contact, for this, now?"; it sends nothing.

The ledger (consent_events) is only ever added to; the database role of the engine cannot change or delete its lines.
Law: 47 CFR 64.1200(a)(10)-(12) on revocation by any reasonable means and the one confirmation text.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from bot.outreach import contests, opt_outs
from bot.tables import (
    PURPOSES,
    ConsentEvent,
    ConsentEvidence,
    Contact,
    Conversation,
    Message,
    OpenQuestion,
)
from bot.values import Changed

State = Literal["in", "out", "none"]

# -- words ---------------------------------------------------------------------------------------------------------

#: Opt out whenever they are the whole text (any case, spacing, punctuation): the words carriers and the rule name,
#: Spanish ALTO, and the misspellings that can mean nothing else.
STOP_WORDS = frozenset(
    [
        *("stop", "stopall", "unsubscribe", "revoke", "optout", "alto"),
        *(
            "stpo",
            "sotp",
            "stopp",
            "stp",
            "unsubcribe",
            "unsuscribe",
            "unsubscibe",
            "unsub",
            "optmeout",
            "unsubscribeme",
        ),
    ]
)
#: Opt out as well, except CANCEL while a booking text that asked for it is the last thing the business started.
AMBIGUOUS_WORDS = frozenset(["cancel", "end", "quit"])
START_WORDS = frozenset(["start", "unstop"])
HELP_WORDS = frozenset(["help", "info"])

#: Courtesies around an opt-out that change nothing about it.
_COURTESY = re.compile(
    r"^(?:(?:please|pls|plz|plese|kindly|hi|hello|hey|ok|okay|just|now|can you|could you|can u|would you|sir|maam|guys)"
    r"\s+)+|(?:\s+(?:please|pls|plz|thanks|thank you|thank u|thankyou|thx|ty|tks|now|right now|immediately|ok|okay|"
    r"already|asap|bye|sorry|sir|maam))+$"
)
CONFIRMATION = (
    "You have successfully opted out of future SMS messages from {brand}. To opt back in, text START. Thank you."
)
CONFIRMATION_UNSURE = (
    "You have opted out of future SMS messages from {brand}. To opt back in, text START. "
    "If you only meant your booking, reply with your question."
)
WELCOME_BACK = (
    "You will get texts from {brand} again. Msg frequency varies. Msg & data rates may apply. "
    "Reply HELP for help, STOP to opt out."
)


@dataclass(frozen=True)
class Keyword:
    """What a text means as a keyword, before anything else reads it.

    action: opt_out, opt_in, help, or cancel_booking (CANCEL answering a booking text). `word` is the canonical word
    for the ledger; `by_carrier` says that the carrier acted on it too, `answered` that it also replied.
    """

    action: Literal["opt_out", "opt_in", "help", "cancel_booking"]
    word: str
    by_carrier: bool = False
    answered: bool = False

    @property
    def intent(self) -> str | None:
        """The intent this keyword counts as."""
        named = {"opt_out": "opt_out", "opt_in": "opt_in", "cancel_booking": "cancel_booking"}
        return named.get(self.action)


def normalise(body: str) -> str:
    """Lower case words parted by single spaces, accents and punctuation gone: "¡No más!" is "no mas"."""
    bare = unicodedata.normalize("NFKD", body.replace("'", "").replace("’", "")).casefold()
    bare = "".join(char for char in bare if not unicodedata.combining(char))
    return " ".join(re.findall(r"[^\W_]+", bare))


def strip_courtesy(words: str) -> str:
    """Normalised words without greetings, pleases and thanks around them."""
    while (shorter := _COURTESY.sub("", words).strip()) != words:
        words = shorter
    return words


def read_keyword(
    body: str,
    *,
    booking_asked_cancel: bool = False,
    carrier_words: Iterable[str] = (),
    carrier_answers: bool = False,
    opt_out_type: str | None = None,
) -> Keyword | None:
    """The keyword a text is, or None where it must be read.

    `booking_asked_cancel`: the last business-started text was about a booking still to come and asked for CANCEL.
    `carrier_words`: whole-body words (upper case) the number's carrier acts on by itself; they win over what we meant.
    `opt_out_type`: the carrier's own word for what it did (Twilio's OptOutType).
    """
    if opt_out_type in ("STOP", "START", "HELP"):
        action: Literal["opt_out", "opt_in", "help"] = (
            "opt_out" if opt_out_type == "STOP" else "opt_in" if opt_out_type == "START" else "help"
        )
        return Keyword(action, opt_out_type, by_carrier=True, answered=True)
    words = normalise(body)
    compact = words.replace(" ", "")
    at_carrier = body.strip().upper() in set(carrier_words)
    if at_carrier:
        return Keyword("opt_out", body.strip().upper(), by_carrier=True, answered=carrier_answers)
    if compact in START_WORDS:
        return Keyword("opt_in", compact.upper(), by_carrier=carrier_answers, answered=carrier_answers)
    if compact in HELP_WORDS:
        return Keyword("help", compact.upper(), by_carrier=carrier_answers, answered=carrier_answers)
    core = strip_courtesy(words)
    if core == "cancel" and booking_asked_cancel:
        return Keyword("cancel_booking", "CANCEL")
    if compact in STOP_WORDS or core.replace(" ", "") in STOP_WORDS | AMBIGUOUS_WORDS:
        return Keyword("opt_out", core.replace(" ", "").upper())
    return Keyword("opt_out", "PLAIN WORDS") if opt_outs.asks(body) else None


# -- the ledger ----------------------------------------------------------------------------------------------------


def phone_hash(phone: str, key: str) -> str:
    """The keyed hash the ledger knows a number by: HMAC-SHA256 of the E.164 number, hex."""
    return hmac.new(key.encode(), phone.encode(), hashlib.sha256).hexdigest()


async def latest(session: AsyncSession, hashed: str) -> dict[str, ConsentEvent]:
    """The last ledger line per purpose."""
    rows = await session.scalars(
        select(ConsentEvent)
        .where(ConsentEvent.phone_hash == hashed)
        .ext(distinct_on(ConsentEvent.purpose))
        .order_by(ConsentEvent.purpose, ConsentEvent.id.desc())
    )
    return {row.purpose: row for row in rows}


def state_of(lines: dict[str, ConsentEvent]) -> State:
    """`in` where any purpose is allowed, `out` after an opt-out, `none` where nothing was ever said."""
    if any(line.action == "opted_in" for line in lines.values()):
        return "in"
    return "out" if lines else "none"


async def state(session: AsyncSession, hashed: str) -> State:
    """The contact's state by its keyed hash."""
    return state_of(await latest(session, hashed))


async def spoke_since(
    session: AsyncSession, hashed: str, action: Literal["opt_out", "opt_in", "help", "cancel_booking"], at: datetime
) -> bool:
    """Whether a keyword from `at` that is taken in only now comes too late: the contact said the opposite after it.

    A late START yields to any opt-out, a late STOP to nothing but the contact's own START.
    """
    opposite = {"opt_out": ("opted_in", "keyword"), "opt_in": ("opted_out", None)}.get(action)
    if opposite is None:
        return False
    said, how = opposite
    later = select(ConsentEvent.id).where(
        ConsentEvent.phone_hash == hashed, ConsentEvent.action == said, ConsentEvent.recorded_at > at
    )
    if how is not None:
        later = later.where(ConsentEvent.how == how)
    return await session.scalar(later.limit(1)) is not None


async def opt_out(
    session: AsyncSession, contact: Contact, word: str, how: str, message_id: UUID | None, now: datetime
) -> list[Changed]:
    """Opt the contact out of everything: take back what is queued, close what waits for an answer, leave contests.

    `how` is keyword, reply or carrier. A contact already out gets another line (the request is evidence), no less.
    """
    before = await state(session, contact.phone_hash)
    await _write(session, contact, PURPOSES, "opted_out", how, word, "", "contact", now, message_id=message_id)
    conversations = select(Conversation.id).where(Conversation.contact_id == contact.id)
    await session.execute(
        update(Message)
        # Not the one confirmation of an opt-out a moment ago: a second STOP must not swallow it.
        .where(Message.conversation_id.in_(conversations), Message.status == "queued", Message.purpose != "keyword")
        .values(status="cancelled", reason="the contact opted out")
    )
    await session.execute(
        update(OpenQuestion)
        .where(OpenQuestion.conversation_id.in_(conversations), OpenQuestion.closed_at.is_(None))
        .values(closed_at=now, closed_by="opt-out")
    )
    out = Changed(kind="consent.opted_out", ref="all", before={"consent": before}, after={"consent": "out"})
    return [out, *await contests.leave_all(session, contact.id, now)]


async def opt_in_again(
    session: AsyncSession, contact: Contact, word: str, message_id: UUID, wording: str, now: datetime
) -> Changed:
    """End the opt-out: transactional and conversational always, marketing only where it stood before."""
    lines = await latest(session, contact.phone_hash)
    before = state_of(lines)
    purposes = ["transactional", "conversational"]
    if await _marketing_stood(session, contact.phone_hash):
        purposes.append("marketing")
    await _write(
        session,
        contact,
        purposes,
        "opted_in",
        "keyword",
        f"{word}: {wording}",
        "1",
        "contact",
        now,
        message_id=message_id,
    )
    await session.execute(
        update(Conversation).where(Conversation.contact_id == contact.id).values(carrier_blocked=False)
    )
    return Changed(kind="consent.opted_in", ref=",".join(purposes), before={"consent": before}, after={"consent": "in"})


async def record_opt_in(
    session: AsyncSession,
    contact: Contact,
    purposes: Iterable[str],
    *,
    how: str,
    wording: str,
    wording_version: str,
    by_whom: str,
    now: datetime,
    page_url: str | None = None,
    ip: str | None = None,
    user_agent: str | None = None,
) -> None:
    """Write an opt-in with its evidence; the contact must be stored already."""
    await _write(
        session,
        contact,
        purposes,
        "opted_in",
        how,
        wording,
        wording_version,
        by_whom,
        now,
        page_url=page_url,
        ip=ip,
        user_agent=user_agent,
    )


async def _marketing_stood(session: AsyncSession, hashed: str) -> bool:
    """Whether marketing was allowed right before the opt-outs that now stand last."""
    row = await session.scalar(
        text(
            "SELECT action FROM consent_events WHERE phone_hash = :hash AND purpose = 'marketing'"
            " AND action = 'opted_in' ORDER BY id DESC LIMIT 1"
        ),
        {"hash": hashed},
    )
    return row is not None


async def _write(
    session: AsyncSession,
    contact: Contact,
    purposes: Iterable[str],
    action: str,
    how: str,
    wording: str,
    wording_version: str,
    by_whom: str,
    now: datetime,
    *,
    message_id: UUID | None = None,
    page_url: str | None = None,
    ip: str | None = None,
    user_agent: str | None = None,
) -> None:
    lines = [
        ConsentEvent(
            phone_hash=contact.phone_hash,
            purpose=purpose,
            action=action,
            how=how,
            wording=wording,
            wording_version=wording_version,
            page_url=page_url,
            message_id=message_id,
            by_whom=by_whom,
            recorded_at=now,
        )
        for purpose in purposes
    ]
    session.add_all(lines)
    await session.flush()
    session.add_all(
        ConsentEvidence(event_id=line.id, phone=contact.phone, ip=ip, user_agent=user_agent) for line in lines
    )
    await session.flush()


# -- may we? -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """Whether a message may go now, and the rule that says so; `wait` means ask again shortly."""

    allowed: bool
    rule: str
    wait: bool = False


async def may_send(session: AsyncSession, message: Message, conversation: Conversation, contact: Contact) -> Verdict:
    """The last question before the carrier is called, asked in the transaction that claims the message.

    The caller holds a share lock on the contact, so that an opt-out committed before the claim is always seen.
    """
    if message.purpose == "keyword":
        return Verdict(True, "answers a keyword")
    if conversation.carrier_blocked:
        return Verdict(False, "the carrier blocks this contact")
    lines = await latest(session, contact.phone_hash)
    standing = state_of(lines)
    if message.author == "shop":
        return await _may_start(session, message, contact, lines, standing)
    if standing != "out":
        return Verdict(True, "answers the contact's own text")
    if message.author == "bot" and await _asked_after_opt_out(session, message, lines):
        return Verdict(True, "answers a question asked after the opt-out")
    return Verdict(False, "the contact has opted out")


async def _may_start(
    session: AsyncSession, message: Message, contact: Contact, lines: dict[str, ConsentEvent], standing: State
) -> Verdict:
    if standing == "out":
        return Verdict(False, "the contact has opted out")
    purpose = message.purpose or "marketing"
    line = lines.get(purpose)
    if line is None or line.action != "opted_in":
        return Verdict(False, f"no {purpose} consent on record")
    unread = await session.scalar(
        select(Message.id)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Conversation.contact_id == contact.id, Message.direction == "inbound", Message.turn_id.is_(None))
        .limit(1)
    )
    if unread is not None:
        return Verdict(False, "a text of the contact is still unread", wait=True)
    return Verdict(True, f"{purpose} consent {line.id} ({line.how})")


async def _asked_after_opt_out(session: AsyncSession, message: Message, lines: dict[str, ConsentEvent]) -> bool:
    asked_at = await session.scalar(select(Message.created_at).where(Message.id == message.turn_id))
    out_since = max((line.recorded_at for line in lines.values() if line.action == "opted_out"), default=None)
    return asked_at is not None and out_since is not None and asked_at > out_since
