"""Who speaks next, and what one turn comes to: keyword, open question, bot, agent or nobody.

A turn is decided without any transaction open, then everything it decided is written in one: effects, replies, dialogue
state, the turn itself. If the facts moved in between, or a further text came, nothing was written and it is read again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot import (
    answers,
    changes,
    clock,
    consent,
    crash,
    effects,
    facts,
    live,
    mentions,
    outbox,
    outcomes,
    requests,
    tickets,
)
from bot.answers import Match
from bot.db import Database, is_conflict
from bot.errors import LeaseLost, RasaError, RasaUnavailable, Stale
from bot.facts import DIALOGUE, Facts, ask_of, core_of
from bot.outcomes import Decision, Outcome, Reading
from bot.outreach import contests, opt_outs
from bot.rasa_client import RasaClient
from bot.shop import bookings, when
from bot.tables import Contact, Conversation, Effect, Message, OpenQuestion, Turn
from bot.values import Book, Reschedule

#: A turn whose facts keep moving is read this often before a person gets it.
READINGS = 4
#: A turn that keeps failing on an unexpected error is tried this often before a person gets it.
ATTEMPTS = 5

#: Open questions of the dialogue that arrange a time, a place and a person.
ARRANGING = ("booking_new", "booking_change")
#: Words that only carry the name of a place or a person: "no, rather with Rosa please".
_FILLING = re.compile(
    r"(?:\s*\b(?:no|not|yes|ok|hi|sorry|actually|please|pls|thanks|at|in|with|by|the|one|shop|store|place|location|branch"
    r"|instead|rather|better|but|then|and|or|can|could|it|be|make|that|this|i|id|we|want|would|like|prefer|meant?)\b)*\s*"
)

_TOLD = {
    "asked_for_person": "OK, a person takes over here.",
    "unclear": "I am still not sure what you mean, so a person takes over here.",
    "out_of_scope": "I can't settle that by text, so a person takes over here.",
    "complaint": "A person from our team takes over here.",
    "serious_matter": "A person from our team takes over here.",
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
class Asking:
    """One reading to ask Rasa for: the words, and what is known of them besides.

    `intent` is taken as read; `settled` are details told before or just answered; `times` stand in where the words
    name none; `wanted` are times known without reading any; `answering` where the words settle the open question.
    """

    words: str
    decision: Decision = "bot"
    intent: str | None = None
    chosen: str | None = None
    settled: Mapping[str, Any] | None = None
    times: Sequence[dict[str, Any]] = ()
    wanted: Sequence[datetime] = ()
    gone: bool = False
    answering: bool = False


class _Grown(Exception):
    """A further text of the same burst came before the turn ended; nothing was written."""


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
    """Takes turns: reads pending texts, decides, and writes what was decided."""

    def __init__(
        self,
        db: Database,
        rasa: RasaClient,
        patience: timedelta,
        desk_minutes: int,
        answer_within: timedelta,
        fold_times: int,
    ) -> None:
        self._db = db
        self._rasa = rasa
        self._patience = patience
        self._desk_minutes = desk_minutes
        self._answer_within = answer_within
        self._fold_times = fold_times

    async def take_turn(self, lease: Lease) -> None:
        """Read and end the oldest pending turn of the leased conversation.

        Raises RasaUnavailable while Rasa is down and the text can still wait, LeaseLost where somebody else has it.
        """
        watch = clock.Stopwatch()
        readings = folded = 0
        while True:
            readings += 1
            async with self._db.begin() as session:
                known = await self._load(session, lease)
            if known is None:
                return
            watch.lap("load")
            if lease.attempts > ATTEMPTS:
                outcome = outcomes.give_up(
                    "failed_action", "Reading this text failed again and again; a person has it."
                )
            elif readings == READINGS:
                outcome = outcomes.give_up(
                    "failed_action", "The facts kept changing while this was read; a person has it."
                )
            else:
                outcome = await self._decide(known, watch, gone=readings > 1)
            crash.point("worker.after_rasa")
            try:
                async with self._db.begin() as session:
                    outcome = replace(outcome, steps=watch.steps)
                    await self._finish(session, lease, known, outcome, watch, grows=folded < self._fold_times)
                crash.point("worker.after_commit")
                return
            except _Grown:
                folded += 1
                readings -= 1
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
        known = await facts.load(session, conversation, folds=self._fold_times > 0)
        if known is None:
            conversation.pending_since = None
            conversation.claimed_until = None
        return known

    # -- deciding --------------------------------------------------------------------------------------------------

    async def _decide(self, known: Facts, watch: clock.Stopwatch, *, gone: bool) -> Outcome:
        if known.ticket is not None:
            return await self._opts_out(known) or outcomes.silent(known)
        if known.now - known.last.created_at > self._answer_within:
            return outcomes.give_up("engine_down", "This text came long before it could be read; a person has it.")
        core = core_of(known.body)
        if core == "cancel" and known.asked_booking is not None:
            return outcomes.cancel_by_word(known, known.asked_booking)
        if not known.body.strip():
            return outcomes.blank(known)
        outcome = await self._decide_words(known, core, watch, gone)
        return await self._go_on(known, outcome, watch)

    async def _opts_out(self, known: Facts) -> Outcome | None:
        """The opt-out a text is while a person answers, where that is sure; the rest the person reads."""
        if not known.body.strip():
            return None
        try:
            (read,) = await self._rasa.read([known.body])
        except RasaError:
            return None
        out = opt_outs.decide(known.body, read.likely("opt_out"))
        return outcomes.opts_out(out, read.likely("opt_out")) if out is not None and out.sure else None

    async def _decide_words(self, known: Facts, core: str, watch: clock.Stopwatch, gone: bool) -> Outcome:
        if core in ("change", "undo"):
            intent = "reschedule_booking" if core == "change" else "undo"
            return await self._ask_rasa(known, watch, Asking(known.body, "keyword", intent, gone=gone))
        contest = contests.read_keyword(known.body, known.shop.content.contests)
        if contest is not None:
            asking = Asking(known.body, "flow", "join_contest", settled={"contest": contest.keyword, "wish": "enter"})
            return await self._ask_rasa(known, watch, asking)
        matches = answers.find(known.body, known)
        if len(matches) > 1:
            return replace(outcomes.which_question(matches, Reading(matches[0].reads, 1.0)), ask_text=known.body)
        if matches:
            return await self._answer(known, matches[0], watch, gone)
        texts = await self._requests(known)
        watch.lap("split")
        if not texts:
            question = known.dialogue_question
            # "no, at Harbor Point": only a name, so it is a wish about what is being arranged, and no question.
            corrects = question is not None and question.kind in ARRANGING and _names_alone(known.body, known)
            asking = Asking(known.body, intent="give_time" if corrects else None, gone=gone)
            outcome = await self._ask_rasa(known, watch, asking)
            if gone and outcome.changes and question is not None and question.id in outcome.answers:
                return await self._afresh(known, question, watch) or outcome
            return outcome
        found: list[Outcome] = []
        for each in texts:
            found.append(await self._one_of_several(known, each, watch, found, gone))
        return outcomes.merge(found, texts)

    async def _requests(self, known: Facts) -> list[str]:
        """The requests in the turn's texts where there are several, else none."""
        pieces = requests.cut([message.body for message in known.messages])
        if len(pieces) < 2:
            return []
        if any(match.known for piece in pieces for match in answers.find(piece, known)):
            return pieces[: requests.MOST]
        try:
            return requests.several(pieces, await self._rasa.read(pieces))
        except RasaError:
            return []  # the text as a whole is asked next, and waits for Rasa as any text does

    async def _one_of_several(
        self, known: Facts, words: str, watch: clock.Stopwatch, before: Sequence[Outcome], gone: bool
    ) -> Outcome:
        """One request of a turn that holds more, read in the dialogue the ones before it left."""
        known = replace(known, body=words)
        if before and not before[-1].keeps_dialogue:
            known = replace(known, dialogue=before[-1].dialogue)
        matches = answers.find(words, known)
        if len(matches) == 1:
            return await self._answer(known, matches[0], watch, gone)
        return await self._ask_rasa(known, watch, Asking(words, gone=gone))

    async def _answer(self, known: Facts, match: Match, watch: clock.Stopwatch, gone: bool) -> Outcome:
        """The text answers an open question."""
        if gone and match.changes:
            wanted = [change.to.start for change in match.changes if isinstance(change, Reschedule | Book)]
            if wanted:
                intent = match.reads if match.reads != "affirm" else _moving(match.question)
                asking = Asking(known.body, "answer", intent, settled=match.slots, wanted=wanted, gone=True)
                return replace(await self._ask_rasa(known, watch, asking), answers=[match.question.id])
            if (afresh := await self._afresh(known, match.question, watch)) is not None:
                return afresh
        if match.slots is not None and "question" in match.slots:
            return await self._settle(known, match, watch, gone)
        if match.intent is None:
            why = f"Read as the answer {match.label} to our question."
            entities = mentions.told(known.body, mentions.find(known.body, known), match.reads)
            return outcomes.answered(match, Reading(match.reads, 1.0, entities=entities), why)
        asked_text = str(match.question.payload.get("text") or known.body)
        asking = Asking(
            asked_text if match.question.kind == "clarify" else known.body,
            "flow" if match.question.kind == "preference" else "answer",
            match.intent,
            match.option,
            match.slots,
            match.question.payload.get("times") or (),
            gone=gone,
            answering=match.question is known.dialogue_question,
        )
        outcome = await self._ask_rasa(known, watch, asking)
        return replace(outcome, answers=[*outcome.answers, match.question.id], late=match.late)

    async def _afresh(self, known: Facts, question: OpenQuestion, watch: clock.Stopwatch) -> Outcome | None:
        """What was proposed for an order cannot be done any more: its request is decided again on the fresh facts."""
        ask = ask_of(question)
        if ask.kind != "order_change" or ask.intent is None:
            return None
        asking = Asking(known.body, "answer", ask.intent, settled=ask.slots, gone=True, answering=True)
        return replace(await self._ask_rasa(known, watch, asking), answers=[question.id])

    async def _settle(self, known: Facts, match: Match, watch: clock.Stopwatch, gone: bool) -> Outcome:
        """The contact chose which of two open questions their earlier text was meant for."""
        assert match.slots is not None  # callers look first
        earlier = str(match.question.payload.get("text") or "")
        meant = answers.settle(earlier, known, str(match.slots["question"]))
        if meant is None:
            return outcomes.answered(match, Reading(match.reads, 1.0), "The question chosen is no longer open.")
        outcome = await self._answer(replace(known, body=earlier), meant, watch, gone)
        return replace(outcome, answers=[*outcome.answers, match.question.id])

    async def _go_on(self, known: Facts, outcome: Outcome, watch: clock.Stopwatch) -> Outcome:
        """Come back to requests that waited for the question this turn settles."""
        question = known.dialogue_question
        waiting = [str(words) for words in question.payload.get("later", [])] if question is not None else []
        settles = question is not None and (question.id in outcome.answers or outcome.dismiss)
        if not waiting or outcome.hand_over is not None or outcome.opt_out is not None:
            return outcome
        if outcome.ask is not None:
            return replace(outcome, later=[*outcome.later, *waiting])
        if not settles:
            return outcome
        known = replace(known, questions=[item for item in known.questions if item is not question])
        found = [outcome]
        for each in waiting:
            found.append(await self._one_of_several(known, each, watch, found, gone=False))
        return replace(outcomes.merge(found, [known.body, *waiting]), reading=outcome.reading)

    async def _ask_rasa(self, known: Facts, watch: clock.Stopwatch, asking: Asking) -> Outcome:
        """What Rasa makes of the words."""
        booking = known.bookings[0] if known.bookings else None
        hours = known.shop.hours_at(booking.location_id if booking else None)
        question = known.dialogue_question
        # "4pm", "an hour later" and "no, thursday" mean what was offered last, else the booking.
        offered = next((start for start in _offered(question) if start is not None), None)
        anchor = offered or (booking.starts_at if booking else None)
        read = when.read(asking.words, known.now, known.shop.zone, hours, anchor, offered)
        told_times = [reading.as_entity() for reading in read]
        wished = [{**each, "doubt": reading.doubt} for each, reading in zip(told_times, read, strict=True)]
        times = [*(wished or asking.times), *map(_minute, asking.wanted)]
        named = mentions.find(asking.words, known)
        watch.lap("time")
        context = {
            "now": known.now.isoformat(),
            "zone": known.shop.zone.key,
            "contact_id": str(known.contact.id),
            "turn_id": str(known.messages[0].id),
            "times": times,
            "unclear": known.conversation.unclear,
            "out_of_scope": known.conversation.out_of_scope,
            "open": _open_context(question),
            "gone": asking.gone,
            "chosen": asking.chosen,
            "mentions": named,
            "filled": dict(asking.settled or {}),
            "waiting": {item.kind: item.payload for item in reversed(known.questions) if item.kind not in DIALOGUE},
        }
        put = partial(self._rasa.turn, known.conversation.id, asking.words, known.dialogue, context)
        try:
            turn = await put(asking.intent)
            understood = turn.reading
            likely = understood.likely("opt_out")
            if asking.intent is None:
                out = opt_outs.decide(asking.words, likely)
                if out is not None:
                    return outcomes.opts_out(out, likely)
                if understood.intent == "opt_out":
                    understood = understood.without("opt_out")
                    turn = await put(understood.intent if not understood.unclear else "out_of_scope")
        except RasaUnavailable:
            # Since it was here, that is, and not since the carrier had it.
            if clock.now() - (known.conversation.pending_since or known.now) < self._patience:
                raise
            return outcomes.give_up("engine_down", "Rasa could not be reached for too long; a person has it.")
        except RasaError:
            return outcomes.give_up("failed_action", "Rasa refused this text; a person has it.")
        watch.lap("rasa")
        read_by_model = [entity.model_dump() for entity in understood.entities]
        entities = mentions.told(asking.words, named, understood.intent, read_by_model)
        entities += [{"entity": "time", "value": value} for value in told_times]
        reading = Reading(
            understood.intent,
            understood.confidence,
            [{"name": item.name, "confidence": item.confidence} for item in understood.ranking],
            entities,
        )
        outcome = outcomes.from_values(
            known, turn.replies, reading, asking.decision, asking.words, answering=asking.answering
        )
        return replace(outcome, dialogue=turn.state, keeps_dialogue=False, times=times)

    # -- writing it ------------------------------------------------------------------------------------------------

    async def _finish(
        self,
        session: AsyncSession,
        lease: Lease,
        known: Facts,
        outcome: Outcome,
        watch: clock.Stopwatch,
        *,
        grows: bool,
    ) -> None:
        """Write one turn. Raises LeaseLost, Stale, or the database's own conflict; then nothing is written.

        `grows` True raises _Grown where a text of the same burst came meanwhile.
        """
        contact = (await session.scalars(select(Contact).where(Contact.id == known.contact.id).with_for_update())).one()
        conversation = await session.scalar(
            select(Conversation)
            .where(Conversation.id == lease.conversation_id, Conversation.fence == lease.fence)
            .with_for_update()
        )
        if conversation is None:
            raise LeaseLost("the lease ran out before the turn ended")
        if grows and await self._has_grown(session, known):
            raise _Grown
        ticket = await tickets.open_for(session, conversation.id)
        if (ticket is None) != (known.ticket is None):
            raise Stale("a ticket was opened or closed while the text was read")
        now = clock.now()
        turn_id = known.messages[0].id
        done = [await changes.apply(session, contact.id, change, now) for change in outcome.changes]
        await _mark_undone(session, outcome.undoes, now)
        says = list(outcome.says)
        purpose = "conversational"
        if ticket is not None:
            done.append(tickets.append(session, ticket))
        if outcome.hand_over is not None:
            ticket, opened = await tickets.open(
                session, conversation, outcome.hand_over.reason, outcome.hand_over.note, _understood(outcome), now
            )
            done.append(opened)
            says.append(self._told(outcome.hand_over.reason))
        if outcome.opt_out is not None:
            already = known.standing == "out"
            done += await consent.opt_out(session, contact, "FREE WORDS", "reply", turn_id, now)
            form = consent.CONFIRMATION if outcome.opt_out.sure else consent.CONFIRMATION_UNSURE
            says = [] if already else [form.format(brand=known.shop.brand)]
            purpose = "keyword"
        await self._settle_questions(session, known, outcome, now)
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
        await effects.record(session, done, conversation_id=conversation.id, actor="contact", now=now, turn_id=turn_id)
        texts = [message.id for message in known.messages]
        await session.execute(update(Message).where(Message.id.in_(texts)).values(turn_id=turn_id))
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

    async def _settle_questions(self, session: AsyncSession, known: Facts, outcome: Outcome, now: datetime) -> None:
        """Close what was answered, replaced or dismissed; open what is asked."""
        closing = dict.fromkeys(outcome.answers, "late answer" if outcome.late else "answer")
        dialogue = [question for question in known.questions if question.kind in DIALOGUE]
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
            await bookings.release(session, known.contact.id, outcome.releases, now)
        if outcome.ask is not None:
            session.add(
                OpenQuestion(
                    conversation_id=known.conversation.id,
                    kind=outcome.ask.kind,
                    payload={
                        **outcome.ask.model_dump(mode="json"),
                        "text": outcome.ask_text,
                        "times": list(outcome.times),
                        "later": list(outcome.later),
                    },
                    booking_id=outcome.ask.booking_id,
                    asked_at=now,
                    expires_at=now + facts.CHOICE_WAITS,
                )
            )

    async def _has_grown(self, session: AsyncSession, known: Facts) -> bool:
        """Whether a text that belongs to this turn came while it was read; the caller holds the conversation's row."""
        newer = [item for item in await facts.unread(session, known.conversation) if item.seq > known.last.seq]
        return bool(newer) and facts.follows(known.last, newer[0])


async def _mark_undone(session: AsyncSession, effect_ids: Sequence[int], now: datetime) -> None:
    """An effect is taken back once. Raises Stale where somebody was faster."""
    if not effect_ids:
        return
    marked = await session.scalars(
        update(Effect)
        .where(Effect.id.in_(effect_ids), Effect.undone_at.is_(None))
        .values(undone_at=now)
        .returning(Effect.id)
    )
    if len(marked.all()) != len(effect_ids):
        raise Stale("it was taken back already")


# -- what Rasa's actions are told ----------------------------------------------------------------------------------


def _names_alone(words: str, known: Facts) -> bool:
    """Whether the words name a place or a person of the shop and say nothing else."""
    named = [thing for thing in known.things if thing.entity in ("location", "staff")]
    spoken = f" {consent.normalise(words)} "
    rest = spoken
    for name in sorted((consent.normalise(name) for thing in named for name in thing.names), key=len, reverse=True):
        rest = rest.replace(f" {name} ", " ")
    return rest != spoken and _FILLING.fullmatch(rest) is not None


def _open_context(question: OpenQuestion | None) -> dict[str, Any] | None:
    if question is None:
        return None
    ask = ask_of(question)
    return {
        "kind": question.kind,
        "booking_id": str(question.booking_id) if question.booking_id else None,
        "offered": [start.isoformat() if start else None for start in _offered(question)],
        "affirmative": [index for index, option in enumerate(ask.options, 1) if option.changes],
        "reminder": ask.reminder,
        "intent": ask.intent,
        "slots": ask.slots,
    }


def _minute(start: datetime) -> dict[str, Any]:
    """A moment in the form of a `time` entity."""
    return {"from": start.isoformat(), "to": (start + timedelta(minutes=1)).isoformat(), "grain": "minute"}


def _offered(question: OpenQuestion | None) -> list[datetime | None]:
    """When each option of the open question would have the booking begin."""
    options = ask_of(question).options if question is not None else []
    moves = [next((c for c in option.changes if isinstance(c, Reschedule | Book)), None) for option in options]
    return [move.to.start if move is not None else None for move in moves]


def _moving(question: OpenQuestion) -> str:
    """The request a yes to this question belongs to."""
    return "book_appointment" if question.kind == "booking_new" else "reschedule_booking"


def _understood(outcome: Outcome) -> dict[str, Any]:
    return {
        "intent": outcome.reading.intent,
        "confidence": outcome.reading.confidence,
        "entities": list(outcome.reading.entities),
    }
