"""Who speaks next, and what one text comes to: keyword, open question, bot, agent or nobody.

A turn is decided without any transaction open, then everything it decided is written in one: effects, replies, dialogue
state, the turn itself. If the facts moved in between, nothing was written and the turn is read again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock, consent, crash, effects, inbox, live, outbox, tickets
from bot.db import Database, is_conflict
from bot.errors import LeaseLost, RasaError, RasaUnavailable, Stale
from bot.outreach import surveys
from bot.rasa_client import RasaClient
from bot.shop import bookings, shopfile, when
from bot.shop.bookings import BookingView
from bot.shop.shopfile import ShopView
from bot.tables import Contact, Conversation, Message, OpenQuestion, SenderNumber, Ticket, Turn
from bot.values import (
    Answer,
    Ask,
    Cancel,
    Change,
    Changed,
    Confirm,
    Dismiss,
    HandOver,
    Hold,
    Option,
    OptOut,
    RecordRating,
    Reschedule,
    Say,
    Span,
    Unclear,
    Value,
)

#: A numbered choice of the dialogue stays answerable by a bare number this long.
CHOICE_WAITS = timedelta(hours=24)
#: A turn whose facts keep moving is read this often before a person gets it.
READINGS = 4
#: A turn that keeps failing on an unexpected error is tried this often before a person gets it.
ATTEMPTS = 5

_DIALOGUE = ("booking_change", "booking_cancel", "clarify")
_NUMBER = re.compile(r"^(?:option |number |no |nr |choice )?(\d{1,2})(?:st|nd|rd|th)?(?: one| option| please)?$")
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_ORDINAL = re.compile(r"^(?:the )?(first|second|third|fourth)(?: one| option)?$")
_YES = frozenset(
    [
        "yes",
        "y",
        "yep",
        "yeah",
        "yup",
        "ok",
        "okay",
        "k",
        "sure",
        "confirm",
        "confirmed",
        "c",
        "i confirm",
        "yes confirm",
    ]
)

_TOLD = {
    "asked_for_person": "OK, a person takes over here.",
    "unclear": "I am still not sure what you mean, so a person takes over here.",
    "out_of_scope": "I can't settle that by text, so a person takes over here.",
    "bad_rating": "A person from our team would like to put that right.",
    "failed_action": "I could not get that done, so a person takes over here.",
    "engine_down": "Something on our side is not working right now, so a person takes over here.",
}


@dataclass(frozen=True)
class Lease:
    """The right to end the next turn of a conversation until `fence` grows past it."""

    conversation_id: UUID
    fence: int
    worker: str
    attempts: int


@dataclass(frozen=True)
class Facts:
    """Everything a decision rests on, read in one short transaction."""

    conversation: Conversation
    contact: Contact
    number: SenderNumber
    message: Message
    shop: ShopView
    now: datetime
    ticket: Ticket | None
    questions: list[OpenQuestion]
    bookings: list[BookingView]
    asked_booking: BookingView | None
    standing: consent.State

    @property
    def dialogue_question(self) -> OpenQuestion | None:
        """The newest numbered choice still open."""
        return next((q for q in self.questions if q.kind in _DIALOGUE and q.asked_at > self.now - CHOICE_WAITS), None)


@dataclass(frozen=True)
class Reading:
    """What the text was read as; empty for texts that were not read."""

    intent: str | None = None
    confidence: float | None = None
    ranking: Sequence[dict[str, Any]] = ()
    entities: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Outcome:
    """What a turn decided, ready to be written."""

    decision: Literal["keyword", "answer", "flow", "bot", "clarify", "ticket", "silent"]
    why: str
    reading: Reading = Reading()
    says: Sequence[str] = ()
    changes: Sequence[Change] = ()
    ask: Ask | None = None
    ask_text: str | None = None
    answers: UUID | None = None
    releases: UUID | None = None
    dismiss: bool = False
    hand_over: HandOver | None = None
    opt_out: OptOut | None = None
    dialogue: dict[str, Any] | None = None
    keeps_dialogue: bool = True
    unclear: Literal["unclear", "out_of_scope"] | None = None
    steps: dict[str, float] = field(default_factory=dict)


# -- leases --------------------------------------------------------------------------------------------------------


async def claim(db: Database, worker: str, lease_seconds: float) -> Lease | None:
    """Take the conversation that has waited longest and nobody holds; None where nothing waits."""
    crash.point("worker.before_lease")
    async with db.begin() as session:
        row = (
            await session.execute(
                text(
                    """
                    UPDATE conversations SET
                        claimed_by = :worker, claimed_until = now() + make_interval(secs => :seconds),
                        fence = fence + 1, attempts = attempts + 1
                    WHERE id = (
                        SELECT id FROM conversations
                        WHERE pending_since IS NOT NULL
                          AND (claimed_until IS NULL OR claimed_until < now())
                          AND (retry_at IS NULL OR retry_at <= now())
                        ORDER BY pending_since LIMIT 1 FOR UPDATE SKIP LOCKED)
                    RETURNING id, fence, attempts
                    """
                ),
                {"worker": worker, "seconds": lease_seconds},
            )
        ).first()
    return Lease(row.id, row.fence, worker, row.attempts) if row is not None else None


async def give_back(db: Database, lease: Lease, *, retry_in_seconds: float, counts: bool) -> None:
    """Let go of a turn that could not be ended, to be tried again; `counts` False where it was nobody's fault here."""
    async with db.begin() as session:
        await session.execute(
            text(
                "UPDATE conversations SET claimed_by = NULL, claimed_until = NULL,"
                " retry_at = now() + make_interval(secs => :seconds), attempts = attempts - :back"
                " WHERE id = :id AND fence = :fence"
            ),
            {
                "seconds": retry_in_seconds,
                "back": 0 if counts else 1,
                "id": lease.conversation_id,
                "fence": lease.fence,
            },
        )


# -- one turn ------------------------------------------------------------------------------------------------------


class Conversations:
    """Takes turns: reads a pending text, decides, and writes what was decided."""

    def __init__(self, db: Database, rasa: RasaClient, patience: timedelta, desk_minutes: int) -> None:
        self._db = db
        self._rasa = rasa
        self._patience = patience
        self._desk_minutes = desk_minutes

    async def take_turn(self, lease: Lease) -> None:
        """Read and end the oldest pending text of the leased conversation.

        Raises RasaUnavailable while Rasa is down and the text can still wait, LeaseLost where somebody else has it.
        """
        watch = clock.Stopwatch()
        for reading in range(1, READINGS + 1):
            async with self._db.begin() as session:
                facts = await self._load(session, lease)
            if facts is None:
                return
            watch.lap("load")
            if lease.attempts > ATTEMPTS:
                outcome = _give_up(facts, "failed_action", "Reading this text failed again and again; a person has it.")
            elif reading == READINGS:
                outcome = _give_up(
                    facts, "failed_action", "The facts kept changing while this was read; a person has it."
                )
            else:
                outcome = await self._decide(facts, watch, gone=reading > 1)
            crash.point("worker.after_rasa")
            try:
                async with self._db.begin() as session:
                    await self._finish(session, lease, facts, replace(outcome, steps=watch.steps), watch)
                crash.point("worker.after_commit")
                return
            except Stale:
                continue
            except IntegrityError as exc:
                if not is_conflict(exc):
                    raise LeaseLost("this turn was ended by somebody else") from exc
            except DBAPIError as exc:
                if not is_conflict(exc):
                    raise

    async def _load(self, session: AsyncSession, lease: Lease) -> Facts | None:
        conversation = await session.scalar(
            select(Conversation).where(Conversation.id == lease.conversation_id, Conversation.fence == lease.fence)
        )
        if conversation is None:
            raise LeaseLost("the lease ran out before the turn was read")
        message = await session.scalar(
            select(Message)
            .where(
                Message.conversation_id == conversation.id, Message.direction == "inbound", Message.turn_id.is_(None)
            )
            .order_by(Message.seq)
            .limit(1)
        )
        if message is None:
            conversation.pending_since = None
            conversation.claimed_until = None
            return None
        contact = await session.get_one(Contact, conversation.contact_id)
        now = clock.now()
        asked_id = await inbox.last_asked_booking(session, contact.id)
        return Facts(
            conversation=conversation,
            contact=contact,
            number=await session.get_one(SenderNumber, conversation.sender_number_id),
            message=message,
            shop=await shopfile.read(session),
            now=now,
            ticket=await tickets.open_for(session, conversation.id),
            questions=list(
                await session.scalars(
                    select(OpenQuestion)
                    .where(OpenQuestion.conversation_id == conversation.id, OpenQuestion.closed_at.is_(None))
                    .order_by(OpenQuestion.asked_at.desc())
                )
            ),
            bookings=await bookings.upcoming(session, contact.id, now),
            asked_booking=await bookings.get(session, asked_id) if asked_id else None,
            standing=await consent.state(session, contact.phone_hash),
        )

    async def _decide(self, facts: Facts, watch: clock.Stopwatch, *, gone: bool) -> Outcome:
        body = facts.message.body
        if facts.ticket is not None:
            return Outcome("silent", f"Added to ticket T{facts.ticket.number}; a person answers.")
        core = consent.strip_courtesy(consent.normalise(body))
        if core == "cancel" and facts.asked_booking is not None:
            return _cancel_by_word(facts, facts.asked_booking)
        if not body.strip():
            return _blank(facts)
        if core == "change":
            return await self._ask_rasa(facts, watch, gone, intent="reschedule_booking", decision="keyword")
        match = match_answer(body, facts)
        if match is None:
            return await self._ask_rasa(facts, watch, gone)
        if gone and match.changes:
            wanted = [change.to.start for change in match.changes if isinstance(change, Reschedule)]
            again = await self._ask_rasa(
                facts, watch, gone, intent="reschedule_booking", decision="answer", wanted=wanted
            )
            return replace(again, answers=match.question.id)
        if match.intent is not None:
            asked_text = str(match.question.payload.get("text") or body)
            again = await self._ask_rasa(
                facts, watch, gone, intent=match.intent, decision="answer", words=asked_text, chosen=match.option
            )
            return replace(again, answers=match.question.id)
        return _answered(match, Reading(match.reads, 1.0), f"Read as the answer {match.label} to our question.")

    async def _ask_rasa(
        self,
        facts: Facts,
        watch: clock.Stopwatch,
        gone: bool,
        *,
        intent: str | None = None,
        decision: Literal["bot", "keyword", "answer"] = "bot",
        words: str | None = None,
        chosen: str | None = None,
        wanted: Sequence[datetime] = (),
    ) -> Outcome:
        """What Rasa makes of the text, or of `words` in its place; `wanted` are times known without reading it."""
        body = words if words is not None else facts.message.body
        booking = facts.bookings[0] if facts.bookings else None
        hours = facts.shop.hours_at(booking.location_id if booking else None)
        question = facts.dialogue_question
        # "4pm", "an hour later" and "no, thursday" mean what was offered last, else the booking.
        offered = next((start for start in _offered(question) if start is not None), None)
        anchor = offered or (booking.starts_at if booking else None)
        read = when.read(body, facts.now, facts.shop.zone, hours, anchor, offered)
        times = [reading.as_entity() for reading in read]
        watch.lap("time")
        context = {
            "now": facts.now.isoformat(),
            "zone": facts.shop.zone.key,
            "contact_id": str(facts.contact.id),
            "turn_id": str(facts.message.id),
            "times": [*times, *map(_minute, wanted)],
            "unclear": facts.conversation.unclear,
            "out_of_scope": facts.conversation.out_of_scope,
            "open": _open_context(question),
            "gone": gone,
            "chosen": chosen,
        }
        try:
            turn = await self._rasa.turn(facts.conversation.id, body, facts.conversation.dialogue, context, intent)
        except RasaUnavailable:
            if clock.now() - facts.message.created_at < self._patience:
                raise
            return _give_up(facts, "engine_down", "Rasa could not be reached for too long; a person has it.")
        except RasaError:
            return _give_up(facts, "failed_action", "Rasa refused this text; a person has it.")
        watch.lap("rasa")
        entities = [entity.model_dump() for entity in turn.reading.entities]
        entities += [{"entity": "time", "value": value} for value in times]
        reading = Reading(
            turn.reading.intent,
            turn.reading.confidence,
            [{"name": item.name, "confidence": item.confidence} for item in turn.reading.ranking],
            entities,
        )
        outcome = _from_values(facts, turn.replies, reading, decision)
        return replace(outcome, dialogue=turn.state, keeps_dialogue=False)

    # -- writing it ------------------------------------------------------------------------------------------------

    async def _finish(
        self, session: AsyncSession, lease: Lease, facts: Facts, outcome: Outcome, watch: clock.Stopwatch
    ) -> None:
        """Write one turn. Raises LeaseLost, Stale, or the database's own conflict; then nothing is written."""
        contact = (await session.scalars(select(Contact).where(Contact.id == facts.contact.id).with_for_update())).one()
        conversation = await session.scalar(
            select(Conversation)
            .where(Conversation.id == lease.conversation_id, Conversation.fence == lease.fence)
            .with_for_update()
        )
        if conversation is None:
            raise LeaseLost("the lease ran out before the turn ended")
        ticket = await tickets.open_for(session, conversation.id)
        if (ticket is None) != (facts.ticket is None):
            raise Stale("a ticket was opened or closed while the text was read")
        now = clock.now()
        turn_id = facts.message.id
        changes = [await _apply(session, contact.id, change, now) for change in outcome.changes]
        says = list(outcome.says)
        purpose = "conversational"
        if ticket is not None:
            changes.append(tickets.append(session, ticket))
        if outcome.hand_over is not None:
            ticket, opened = await tickets.open(
                session, conversation, outcome.hand_over.reason, outcome.hand_over.note, _understood(outcome), now
            )
            changes.append(opened)
            says.append(self._told(outcome.hand_over.reason))
        if outcome.opt_out is not None:
            already = facts.standing == "out"
            changes.append(await consent.opt_out(session, contact, "FREE WORDS", "reply", turn_id, now))
            form = consent.CONFIRMATION if outcome.opt_out.sure else consent.CONFIRMATION_UNSURE
            says = [] if already else [form.format(brand=facts.shop.brand)]
            purpose = "keyword"
        await self._settle_questions(session, facts, outcome, now)
        if says:
            await outbox.queue(
                session,
                conversation,
                "\n".join(says),
                author="bot",
                now=now,
                purpose=purpose,
                turn_id=turn_id,
                position=0,
                stop_line=False if purpose == "keyword" else None,
            )
        watch.lap("write")
        session.add(
            Turn(
                id=turn_id,
                conversation_id=conversation.id,
                decision=outcome.decision,
                why=outcome.why,
                intent=outcome.reading.intent,
                confidence=outcome.reading.confidence,
                ranking=list(outcome.reading.ranking),
                entities=list(outcome.reading.entities),
                consent=await consent.state(session, contact.phone_hash),
                ticket_id=ticket.id if ticket is not None else None,
                steps_ms=outcome.steps,
                ended_at=now,
            )
        )
        await session.flush()
        await effects.record(
            session, changes, conversation_id=conversation.id, actor="contact", now=now, turn_id=turn_id
        )
        await session.execute(update(Message).where(Message.id == turn_id).values(turn_id=turn_id))
        if not outcome.keeps_dialogue:
            conversation.dialogue = outcome.dialogue
        if outcome.decision != "silent":
            conversation.unclear = conversation.unclear + 1 if outcome.unclear == "unclear" else 0
            conversation.out_of_scope = conversation.out_of_scope + 1 if outcome.unclear == "out_of_scope" else 0
        conversation.pending_since = await session.scalar(
            select(Message.created_at)
            .where(
                Message.conversation_id == conversation.id, Message.direction == "inbound", Message.turn_id.is_(None)
            )
            .order_by(Message.seq)
            .limit(1)
        )
        conversation.claimed_by = None
        conversation.claimed_until = None
        conversation.retry_at = None
        conversation.attempts = 0
        live.publish(session, "turn", conversation.id, ticket.id if ticket is not None else None)

    def _told(self, reason: str) -> str:
        """What the contact is told at a hand-over: that a person answers, and when."""
        return f"{_TOLD[reason]} You get an answer in this chat, usually within {self._desk_minutes} minutes."

    async def _settle_questions(self, session: AsyncSession, facts: Facts, outcome: Outcome, now: datetime) -> None:
        """Close what was answered, replaced or dismissed; open what is asked."""
        closing: dict[UUID, str] = {}
        if outcome.answers is not None:
            closing[outcome.answers] = "answer"
        dialogue = [question for question in facts.questions if question.kind in _DIALOGUE]
        if outcome.dismiss or outcome.hand_over is not None:
            closing.update({question.id: "dismissed" for question in dialogue})
        if outcome.ask is not None:
            replaced = [q for q in dialogue if outcome.ask.kind != "clarify" or q.kind == "clarify"]
            closing.update({question.id: "replaced" for question in replaced if question.id not in closing})
        for question_id, by in closing.items():
            await session.execute(
                update(OpenQuestion)
                .where(OpenQuestion.id == question_id, OpenQuestion.closed_at.is_(None))
                .values(closed_at=now, closed_by=by)
            )
        if outcome.dismiss or outcome.hand_over is not None or outcome.releases is not None:
            await bookings.release(session, facts.contact.id, outcome.releases, now)
        if outcome.ask is not None:
            session.add(
                OpenQuestion(
                    conversation_id=facts.conversation.id,
                    kind=outcome.ask.kind,
                    payload={**outcome.ask.model_dump(mode="json"), "text": outcome.ask_text},
                    booking_id=outcome.ask.booking_id,
                    asked_at=now,
                    expires_at=now + CHOICE_WAITS,
                )
            )


async def _apply(session: AsyncSession, contact_id: UUID, change: Change, now: datetime) -> Changed:
    if isinstance(change, RecordRating):
        return await surveys.apply(session, contact_id, change, now)
    return await bookings.apply(session, contact_id, change, now)


# -- answers to open questions -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """An answer found by rule: which question, what it changes and says, and how it counts as a reading."""

    question: OpenQuestion
    label: str
    reads: str
    changes: Sequence[Change] = ()
    says: Sequence[str] = ()
    intent: str | None = None
    option: str | None = None
    hand_over: HandOver | None = None
    releases: UUID | None = None
    known: bool = True


def match_answer(body: str, facts: Facts) -> Match | None:
    """The open question this text plainly answers: the newest choice of the dialogue, then what the shop asked."""
    core = consent.strip_courtesy(consent.normalise(body)) or consent.normalise(body)
    question = facts.dialogue_question
    if question is not None:
        ask = _ask_of(question)
        chosen = _chosen(core, ask)
        if chosen is not None and 1 <= chosen <= len(ask.options):
            return _match_option(question, ask, chosen)
    for asked in facts.questions:
        if asked.kind == "survey":
            rating = surveys.read_rating(body, int(asked.payload.get("scale", 5)))
            if rating is not None:
                late = asked.expires_at is not None and asked.expires_at < facts.now
                return _match_rating(asked, surveys.answer_rating(rating, asked.id, late), rating.score)
        # While a choice about a booking is open, a yes is meant for that; Rasa's reading of it says which.
        if asked.kind == "booking" and core in _YES and (question is None or question.kind == "clarify"):
            booking = next((item for item in facts.bookings if item.id == asked.booking_id), None)
            if booking is not None:
                return _match_booking(asked, booking, facts)
    if question is not None and _NUMBER.match(core):
        return Match(
            question, "that is not on the list", "out_of_scope", says=[_ask_of(question).reminder], known=False
        )
    return None


def _chosen(core: str, ask: Ask) -> int | None:
    if number := _NUMBER.match(core):
        return int(number[1])
    if ordinal := _ORDINAL.match(core):
        return _ORDINALS[ordinal[1]]
    for position, option in enumerate(ask.options, start=1):
        if core in {consent.normalise(word) for word in [option.label, *option.words]}:
            return position
    return None


def _match_option(question: OpenQuestion, ask: Ask, position: int) -> Match:
    option = ask.options[position - 1]
    return Match(
        question,
        str(position),
        _reads(ask, option, position),
        changes=option.changes,
        says=[option.say] if option.say else [],
        intent=option.intent,
        option=option.label,
        releases=ask.booking_id if not option.changes and option.intent is None else None,
    )


def _reads(ask: Ask, option: Option, position: int) -> str:
    """The intent a chosen option amounts to, for the record."""
    if option.intent is not None:
        return option.intent
    if not option.changes:
        return "deny"
    if sum(bool(other.changes) for other in ask.options) == 1:
        return "affirm"
    return "reschedule_booking" if ask.kind == "booking_change" else "cancel_booking"


def _match_rating(question: OpenQuestion, values: Sequence[Value], score: int) -> Match:
    return Match(
        question,
        str(score),
        "give_rating",
        changes=[value for value in values if isinstance(value, RecordRating)],
        says=[value.text for value in values if isinstance(value, Say)],
        hand_over=next((value for value in values if isinstance(value, HandOver)), None),
    )


def _match_booking(question: OpenQuestion, booking: BookingView, facts: Facts) -> Match:
    words = bookings.when_words(booking.starts_at, facts.shop.zone, facts.now)
    return Match(
        question,
        "yes",
        "confirm_booking",
        changes=[Confirm(booking_id=booking.id, expected_start=booking.starts_at)],
        says=[f"Thank you, your {booking.service} on {words} is confirmed."],
    )


def _answered(match: Match, reading: Reading, why: str) -> Outcome:
    if not match.known:
        return Outcome("clarify", "A number that is none of the choices; asked again.", reading, says=match.says)
    return Outcome(
        "ticket" if match.hand_over is not None else "answer",
        why,
        reading,
        says=match.says,
        changes=match.changes,
        answers=match.question.id,
        releases=match.releases,
        hand_over=match.hand_over,
    )


def _ask_of(question: OpenQuestion) -> Ask:
    return Ask.model_validate({key: value for key, value in question.payload.items() if key != "text"})


def _open_context(question: OpenQuestion | None) -> dict[str, Any] | None:
    if question is None:
        return None
    ask = _ask_of(question)
    return {
        "kind": question.kind,
        "booking_id": str(question.booking_id) if question.booking_id else None,
        "offered": [start.isoformat() if start else None for start in _offered(question)],
        "affirmative": [index for index, option in enumerate(ask.options, 1) if option.changes],
        "reminder": ask.reminder,
    }


def _minute(start: datetime) -> dict[str, Any]:
    """A moment in the form of a `time` entity."""
    return {"from": start.isoformat(), "to": (start + timedelta(minutes=1)).isoformat(), "grain": "minute"}


def _offered(question: OpenQuestion | None) -> list[datetime | None]:
    """Where each option of the open question would move a booking to."""
    options = _ask_of(question).options if question is not None else []
    moves = [next((change for change in option.changes if isinstance(change, Reschedule)), None) for option in options]
    return [move.to.start if move is not None else None for move in moves]


# -- outcomes ------------------------------------------------------------------------------------------------------


def _from_values(
    facts: Facts, values: Sequence[Value], reading: Reading, decision: Literal["bot", "keyword", "answer"]
) -> Outcome:
    """One outcome out of everything Rasa's actions said and proposed."""
    question = facts.dialogue_question
    answer = next((value for value in values if isinstance(value, Answer)), None)
    if answer is not None and question is not None:
        ask = _ask_of(question)
        if 1 <= answer.option <= len(ask.options):
            match = _match_option(question, ask, answer.option)
            return _answered(match, reading, f"{_read_as(reading)}: the answer {match.label} to our question.")
    says = [value.text for value in values if isinstance(value, Say)]
    ask_value = next((value for value in values if isinstance(value, Ask)), None)
    hand_over = next((value for value in values if isinstance(value, HandOver)), None)
    opt_out = next((value for value in values if isinstance(value, OptOut)), None)
    unclear = next((value for value in values if isinstance(value, Unclear)), None)
    dismiss = any(isinstance(value, Dismiss) for value in values)
    changes = [value for value in values if isinstance(value, Hold | Reschedule | Cancel | Confirm | RecordRating)]
    digressed = question is not None and not (ask_value or hand_over or opt_out or unclear or dismiss or changes)
    if digressed and question is not None and says:
        reminder = _ask_of(question).reminder
        says = [*says, reminder] if reminder not in says[-1] else says
    final: Literal["keyword", "answer", "bot", "clarify", "ticket"] = decision
    if opt_out is not None:
        final = "keyword"
    elif hand_over is not None:
        final = "ticket"
    elif unclear is not None:
        final = "clarify"
    return Outcome(
        final,
        _why(reading, ask_value, hand_over, opt_out, unclear, changes),
        reading,
        says=says,
        changes=changes,
        ask=ask_value,
        ask_text=facts.message.body if ask_value is not None and ask_value.kind == "clarify" else None,
        dismiss=dismiss,
        hand_over=hand_over,
        opt_out=opt_out,
        unclear=unclear.kind if unclear is not None else None,
    )


def _read_as(reading: Reading) -> str:
    return f"Read as {reading.intent}, {100 * (reading.confidence or 0):.0f} %"


def _why(
    reading: Reading,
    ask: Ask | None,
    hand_over: HandOver | None,
    opt_out: OptOut | None,
    unclear: Unclear | None,
    changes: Sequence[Change],
) -> str:
    """One sentence for the people who look at the turn."""
    parts = [_read_as(reading)]
    if opt_out is not None:
        parts.append("opted the contact out")
    elif hand_over is not None:
        parts.append(f"handed over ({hand_over.reason})")
    elif unclear is not None and unclear.kind == "unclear":
        parts.append("not sure enough, asked which was meant")
    elif unclear is not None:
        parts.append("nothing the shop does by text, said so once")
    elif ask is not None:
        parts.append(f"asked to choose from {len(ask.options)}")
    elif changes:
        parts.append(" and ".join(change.kind for change in changes))
    else:
        parts.append("answered")
    return "; ".join(parts) + "."


def _understood(outcome: Outcome) -> dict[str, Any]:
    return {
        "intent": outcome.reading.intent,
        "confidence": outcome.reading.confidence,
        "entities": list(outcome.reading.entities),
    }


def _give_up(facts: Facts, reason: Literal["failed_action", "engine_down"], why: str) -> Outcome:
    return Outcome("ticket", why, hand_over=HandOver(reason=reason, note=why))


def _cancel_by_word(facts: Facts, booking: BookingView) -> Outcome:
    """CANCEL, texted in answer to a booking text: done at once, with the way back and how to stop all texts."""
    words = f"Your {booking.service} on {bookings.when_words(booking.starts_at, facts.shop.zone, facts.now)}"
    reading = Reading("cancel_booking", 1.0)
    if booking.status == "cancelled":
        return Outcome(
            "keyword",
            "Read CANCEL by rule; the booking was cancelled already.",
            reading,
            says=[f"{words} is cancelled already. Reply STOP to stop all texts."],
        )
    back = Reschedule(
        booking_id=booking.id,
        expected_start=booking.starts_at,
        to=Span(resource_id=booking.resource_id, start=booking.starts_at, end=booking.ends_at),
        restores=True,
    )
    return Outcome(
        "keyword",
        "Read CANCEL by rule as the answer to the booking text; cancelled at once.",
        reading,
        says=[f"{words} is cancelled. To get it back, reply 1. To stop all texts, reply STOP."],
        changes=[Cancel(booking_id=booking.id, expected_start=booking.starts_at)],
        ask=Ask(
            kind="booking_cancel",
            options=[Option(label="Get it back", words=["undo"], changes=[back], say=f"{words} stands again.")],
            reminder="To get your booking back, reply 1.",
            booking_id=booking.id,
        ),
    )


def _blank(facts: Facts) -> Outcome:
    """A text without words: a picture gets an answer, nothing at all gets none."""
    if not facts.message.media:
        return Outcome("silent", "An empty text; nothing to answer.")
    if facts.conversation.unclear > 0:
        return Outcome(
            "ticket",
            "A picture without words, after an unclear text; a person looks at it.",
            hand_over=HandOver(reason="unclear", note="The contact sent a picture without words."),
        )
    return Outcome(
        "clarify",
        "A picture without words; asked what it is about.",
        says=["Thank you for the picture. Tell me in a few words what it is about, and a person can look at it too."],
        unclear="unclear",
    )
