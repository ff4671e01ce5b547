"""What a turn comes to, as one value: made from what the rules found or Rasa's actions said; it writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

from bot import changes as changing
from bot.answers import Match, of_option
from bot.facts import Facts, ask_of
from bot.shop import bookings
from bot.shop.bookings import BookingView
from bot.values import (
    Answer,
    Ask,
    Cancel,
    Change,
    Dismiss,
    HandOver,
    Option,
    OptOut,
    Proposed,
    Reschedule,
    Say,
    Span,
    Unclear,
    Undo,
    Value,
)

Decision = Literal["keyword", "answer", "flow", "bot", "clarify", "ticket", "silent"]
#: How strong a decision is where one turn holds several requests: the first of these that occurs is the turn's.
_STRONGEST: tuple[Decision, ...] = ("ticket", "flow", "answer", "bot", "keyword", "clarify", "silent")


@dataclass(frozen=True)
class Reading:
    """What the text was read as; empty for texts that were not read."""

    intent: str | None = None
    confidence: float | None = None
    ranking: Sequence[dict[str, Any]] = ()
    entities: Sequence[dict[str, Any]] = ()

    @property
    def words(self) -> str:
        """For people who look at the turn."""
        return f"Read as {self.intent}, {100 * (self.confidence or 0):.0f} %"


@dataclass(frozen=True)
class Outcome:
    """What a turn decided, ready to be written.

    `answers` are the questions it answered, `releases` the booking whose held slots are free again, `undoes` the
    effects it takes back, `later` the requests that wait until `ask` is answered, `times` the times read in its text.
    """

    decision: Decision
    why: str
    reading: Reading = Reading()
    says: Sequence[str] = ()
    changes: Sequence[Change] = ()
    ask: Ask | None = None
    ask_text: str | None = None
    times: Sequence[dict[str, Any]] = ()
    answers: Sequence[UUID] = ()
    late: bool = False
    releases: UUID | None = None
    dismiss: bool = False
    hand_over: HandOver | None = None
    opt_out: OptOut | None = None
    undoes: Sequence[int] = ()
    later: Sequence[str] = ()
    dialogue: dict[str, Any] | None = None
    keeps_dialogue: bool = True
    unclear: Literal["unclear", "out_of_scope"] | None = None
    steps: dict[str, float] = field(default_factory=dict)


# -- from Rasa's actions -------------------------------------------------------------------------------------------


def from_values(
    facts: Facts, values: Sequence[Value], reading: Reading, decision: Decision, text: str, *, answering: bool = False
) -> Outcome:
    """One outcome out of everything Rasa's actions said and proposed about `text`.

    Whatever else was asked is asked again behind the answer, unless the text was `answering` that very question.
    """
    question = facts.dialogue_question
    answer = next((value for value in values if isinstance(value, Answer)), None)
    if answer is not None and question is not None:
        ask = ask_of(question)
        if 1 <= answer.option <= len(ask.options):
            match = of_option(question, ask, answer.option)
            return answered(match, reading, f"{reading.words}: the answer {match.label} to our question.")
    if any(isinstance(value, Undo) for value in values):
        return _undo(facts, reading, decision)
    says = [value.text for value in values if isinstance(value, Say)]
    ask_value = next((value for value in values if isinstance(value, Ask)), None)
    hand_over = next((value for value in values if isinstance(value, HandOver)), None)
    opt_out = next((value for value in values if isinstance(value, OptOut)), None)
    unclear = next((value for value in values if isinstance(value, Unclear)), None)
    dismiss = any(isinstance(value, Dismiss) for value in values)
    changes, answers, late = _to_open_questions(facts, [value for value in values if isinstance(value, Proposed)])
    settled = answering or ask_value or hand_over or opt_out or unclear or dismiss or changes
    digressed = question is not None and not settled
    if digressed and question is not None and says:
        reminder = ask_of(question).reminder
        says = [*says, reminder] if reminder not in says[-1] else says
    final: Decision = "answer" if answers and decision == "bot" else decision
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
        ask_text=text,
        answers=answers,
        late=late,
        dismiss=dismiss,
        hand_over=hand_over,
        opt_out=opt_out,
        unclear=unclear.kind if unclear is not None else None,
    )


#: What kind of the shop's questions a change answers.
_ASKED_AS = {"rating.recorded": "survey", "contest.entered": "contest", "preference.set": "preference"}


def _to_open_questions(facts: Facts, proposed: Sequence[Any]) -> tuple[list[Change], list[UUID], bool]:
    """The changes, each tied to what the shop had asked where it answers that; whether an answer came late."""
    changes: list[Change] = []
    answers: list[UUID] = []
    late = False
    for change in proposed:
        kind = _ASKED_AS.get(change.kind)
        question = facts.asked(kind) if kind is not None else None
        if question is not None and kind == "survey" and change.scale != question.payload.get("scale"):
            question = None
        if question is None:
            changes.append(change)
            continue
        overdue = question.expires_at is not None and question.expires_at < facts.now
        late |= overdue
        answers.append(question.id)
        changes.append(
            change.model_copy(update={"question_id": question.id, "late": overdue}) if kind == "survey" else change
        )
    return changes, answers, late


def _undo(facts: Facts, reading: Reading, decision: Decision) -> Outcome:
    """Take back what the contact's latest changing turn did."""
    found = [(effect, changing.inverse(effect)) for effect in facts.undoable]
    turn_id = next((effect.turn_id for effect, back in found if back is not None), None)
    taken = [(effect, back) for effect, back in found if back is not None and effect.turn_id == turn_id]
    if not taken:
        return Outcome(
            decision,
            f"{reading.words}; no change of the last ten minutes to take back.",
            reading,
            says=["There is nothing to undo. I can take a change back for ten minutes after it was made."],
        )
    effects = [effect for effect, _ in taken]
    return Outcome(
        decision,
        f"{reading.words}; took back {' and '.join(effect.kind for effect in effects)}.",
        reading,
        says=[changing.undone_words(effects, facts.shop.zone, facts.now)],
        changes=[back for _, back in taken],
        undoes=[effect.id for effect in effects],
    )


def _why(
    reading: Reading,
    ask: Ask | None,
    hand_over: HandOver | None,
    opt_out: OptOut | None,
    unclear: Unclear | None,
    changes: Sequence[Change],
) -> str:
    """One sentence for the people who look at the turn."""
    parts = [reading.words]
    if opt_out is not None:
        parts.append("opted the contact out")
    elif hand_over is not None:
        parts.append(f"handed over ({hand_over.reason})")
    elif unclear is not None and unclear.kind == "unclear":
        parts.append("not sure enough, asked which was meant")
    elif unclear is not None:
        parts.append("nothing the shop does by text, said so once")
    elif ask is not None and ask.options:
        parts.append(f"asked to choose from {len(ask.options)}")
    elif ask is not None:
        parts.append(f"asked for the {(ask.wants or 'rest').replace('_', ' ')}")
    elif changes:
        parts.append(" and ".join(change.kind for change in changes))
    else:
        parts.append("answered")
    return "; ".join(parts) + "."


# -- from rules ----------------------------------------------------------------------------------------------------


def answered(match: Match, reading: Reading, why: str) -> Outcome:
    """The outcome of an answer found by rule, or named by an action."""
    if not match.known:
        return Outcome("clarify", "A number that is none of the choices; asked again.", reading, says=match.says)
    return Outcome(
        "ticket" if match.hand_over is not None else "answer",
        why,
        reading,
        says=match.says,
        changes=match.changes,
        answers=[match.question.id],
        late=match.late,
        releases=match.releases,
        dismiss=match.frees,
        hand_over=match.hand_over,
    )


def opts_out(out: OptOut, likely: float) -> Outcome:
    """The contact wants no more texts, in words of their own; an opt-out wins over every other reading."""
    reading = Reading("opt_out", 1.0 if out.sure else likely)
    how = reading.words if out.sure else f"{reading.words}, not sure, so opted out"
    return Outcome("keyword", f"{how}; opted the contact out.", reading, opt_out=out)


def silent(facts: Facts) -> Outcome:
    """While a ticket is open a person answers."""
    assert facts.ticket is not None  # callers look first
    return Outcome("silent", f"Added to ticket T{facts.ticket.number}; a person answers.")


def give_up(reason: Literal["failed_action", "engine_down"], why: str) -> Outcome:
    """A person gets what the engine could not settle."""
    return Outcome("ticket", why, hand_over=HandOver(reason=reason, note=why))


def cancel_by_word(facts: Facts, booking: BookingView) -> Outcome:
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
            options=[Option(label="Get it back", changes=[back], say=f"{words} stands again.")],
            reminder="To get your booking back, reply 1.",
            booking_id=booking.id,
        ),
    )


def blank(facts: Facts) -> Outcome:
    """A text without words: a picture gets an answer, nothing at all gets none."""
    if not facts.last.media:
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


def which_question(matches: Sequence[Match], reading: Reading) -> Outcome:
    """Two open questions fit the text: ask which was meant; the choice is matched to that one alone."""
    options = [Option(label=match.about, slots={"question": str(match.question.id)}) for match in matches]
    lines = "\n".join(f"{number} {option.label}" for number, option in enumerate(options, 1))
    return Outcome(
        "clarify",
        f"The text fits {len(matches)} open questions; asked which was meant.",
        reading,
        says=[f"Is that about:\n{lines}\nReply with the number."],
        ask=Ask(kind="clarify", options=options, reminder="Which did you mean? Reply with the number."),
    )


# -- several in one text -------------------------------------------------------------------------------------------


def merge(outcomes: Sequence[Outcome], texts: Sequence[str]) -> Outcome:
    """One outcome of several requests in one turn; `texts` are the requests.

    An opt-out stands alone. Only one question is asked at a time: a second request that needs one waits for the first.
    What two of them would do alike ("yes! enter me please") is done and said once.
    """
    out = next((outcome for outcome in outcomes if outcome.opt_out is not None), None)
    if out is not None:
        return replace(out, dialogue=outcomes[-1].dialogue, keeps_dialogue=outcomes[-1].keeps_dialogue)
    asking = next((outcome for outcome in outcomes if outcome.ask is not None), None)
    handed = next((outcome for outcome in outcomes if outcome.hand_over is not None), None)
    kept: list[Outcome] = []
    later: list[str] = []
    for outcome, text in zip(outcomes, texts, strict=True):
        if outcome.changes and any(outcome.changes == earlier.changes for earlier in kept):
            continue
        if outcome.ask is not None and outcome is not asking:
            later.append(text)
        else:
            kept.append(outcome)
    # What was asked comes last, so that the question is the last thing read.
    spoken = sorted(kept, key=lambda outcome: outcome is asking)
    says = [words for outcome in spoken for words in outcome.says]
    if later and handed is None:
        says.insert(0, "One thing after the other.")
    first = kept[0]
    return replace(
        handed or asking or first,
        decision=next(name for name in _STRONGEST if any(outcome.decision == name for outcome in kept)),
        why=" ".join(outcome.why for outcome in kept),
        reading=replace(first.reading, entities=[item for outcome in outcomes for item in outcome.reading.entities]),
        says=says,
        changes=[change for outcome in kept for change in outcome.changes],
        ask=asking.ask if asking is not None and handed is None else None,
        ask_text=asking.ask_text if asking is not None else None,
        times=asking.times if asking is not None else (),
        answers=[answer for outcome in kept for answer in outcome.answers],
        late=any(outcome.late for outcome in kept),
        undoes=[item for outcome in kept for item in outcome.undoes],
        dismiss=any(outcome.dismiss for outcome in kept),
        hand_over=handed.hand_over if handed is not None else None,
        later=later,
        dialogue=outcomes[-1].dialogue,
        keeps_dialogue=all(outcome.keeps_dialogue for outcome in outcomes),
        unclear=None if any(outcome.unclear is None for outcome in kept) else first.unclear,
    )
