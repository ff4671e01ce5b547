"""Consent: the word list and courtesy forms both ways, and the ledger's rules."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError

from bot import clock, consent
from bot.consent import read_keyword
from bot.db import Database
from bot.tables import ConsentEvent, Contact, ContestEntry

OPT_OUTS = [
    "STOP", "stop", "Stop.", " sToP!! ", "S T O P", "STOPALL", "stop all", "Unsubscribe", "REVOKE", "OPTOUT", "opt out",
    "Opt-Out", "ALTO", "alto!", "END", "quit", "CANCEL", "Stop. Thank you", "please stop", "STOP please",
    "please stop texting me", "stop texting me", "Stop sending me messages", "stop sending these texts",
    "stop messaging me please", "take me off your list", "Take me off this list!", "remove me",
    "remove me from your list",
    "wrong number", "Sorry, wrong number", "you have the wrong number", "unsubscribe me", "opt me out", "no más",
    "No mas",
    "¡ALTO!", "do not text me again", "Don't text me anymore", "don’t text me", "stopp", "unsuscribe", "no more texts",
    "stop contacting me", "STOP\n", "stop 🛑", "I want to unsubscribe", "hi please stop, thanks", "cancel please",
]  # fmt: skip
NOT_OPT_OUTS = [
    "We must STOP this", "stop by at 5?", "can I stop by at 5", "cancel my order", "unsubscribe me from nothing",
    "do you stop shipping at 5?", "when does it end", "quit raining yet?", "please cancel my booking", "don't stop",
    "I can't stop laughing", "stop the presses, it fits", "the end", "I will end up late", "is this the wrong size",
    "wrong size", "started", "", "🛑", "non stop", "stop at the store first?", "remove the blue one from my order",
]  # fmt: skip


@pytest.mark.parametrize("body", OPT_OUTS)
def test_an_opt_out_is_read_as_one(body: str) -> None:
    """Each listed word and courtesy form opts out, in any case and punctuation."""
    keyword = read_keyword(body)

    assert keyword is not None
    assert keyword.action == "opt_out"


@pytest.mark.parametrize("body", NOT_OPT_OUTS)
def test_a_sentence_with_the_word_in_it_is_no_opt_out(body: str) -> None:
    """A text that merely contains a word is left to be read."""
    assert read_keyword(body) is None


@given(st.sampled_from(sorted(consent.STOP_WORDS)), st.text(alphabet=" .!?,\n\t-*", max_size=6), st.booleans())
def test_case_and_punctuation_never_hide_a_stop(word: str, noise: str, upper: bool) -> None:
    """Any listed word survives any case and any punctuation around it."""
    keyword = read_keyword(f"{noise}{word.upper() if upper else word.title()}{noise}")

    assert keyword is not None
    assert keyword.action == "opt_out"


@given(st.text(max_size=1600))
def test_any_text_can_be_asked(body: str) -> None:
    """Reading keywords never fails, whatever is texted."""
    read_keyword(body, booking_asked_cancel=True, carrier_words=["STOP"])


def test_cancel_means_the_booking_only_while_a_booking_text_asked_for_it() -> None:
    """CANCEL cancels the booking after a booking text that asked for it; END and QUIT never do."""
    asked = read_keyword("Cancel", booking_asked_cancel=True)
    unasked = read_keyword("Cancel", booking_asked_cancel=False)
    end = read_keyword("END", booking_asked_cancel=True)

    assert ("cancel_booking", "opt_out", "opt_out") == tuple(k.action for k in (asked, unasked, end) if k is not None)


def test_what_the_carrier_acts_on_is_followed_whatever_we_meant() -> None:
    """On a number whose carrier acts on CANCEL, CANCEL is an opt-out the carrier has answered."""
    keyword = read_keyword("CANCEL", booking_asked_cancel=True, carrier_words=["CANCEL"], carrier_answers=True)

    assert keyword == consent.Keyword("opt_out", "CANCEL", by_carrier=True, answered=True)


def test_the_carriers_own_word_wins() -> None:
    """OptOutType says what the carrier did, in whatever words the shop set up there."""
    keyword = read_keyword("arret", opt_out_type="STOP")

    assert keyword is not None
    assert (keyword.action, keyword.answered) == ("opt_out", True)


@pytest.mark.parametrize(
    ("body", "action"), [("START", "opt_in"), ("unstop", "opt_in"), ("Help!", "help"), ("INFO", "help")]
)
def test_start_and_help_are_read(body: str, action: str) -> None:
    """START, UNSTOP, HELP and INFO are keywords."""
    keyword = read_keyword(body)

    assert keyword is not None
    assert keyword.action == action


@pytest.mark.parametrize("body", ["YES", "yes", "start over", "help me find my order", "can you help"])
def test_words_near_start_and_help_are_not(body: str) -> None:
    """YES is no opt-in by itself, and a sentence with help in it is read as a sentence."""
    assert read_keyword(body) is None


async def stored_contact(db: Database) -> Contact:
    """Ann, stored."""
    phone = f"+1646{uuid4().int % 10**7:07d}"
    ann = Contact(phone=phone, phone_hash=consent.phone_hash(phone, "key"), created_at=clock.now())
    async with db.begin() as session:
        session.add(ann)
    return ann


async def test_start_restores_marketing_only_where_it_stood(db: Database) -> None:
    """After STOP and START, transactional texts are allowed again and marketing only where it was before."""
    ann, bob = await stored_contact(db), await stored_contact(db)
    now = clock.now()
    async with db.begin() as session:
        await consent.record_opt_in(
            session, bob, ["marketing"], how="web_form", wording="w", wording_version="1", by_whom="bob", now=now
        )
        for contact in (ann, bob):
            await consent.opt_out(session, contact, "STOP", "keyword", uuid4(), now)
            assert await consent.state(session, contact.phone_hash) == "out"
            await consent.opt_in_again(session, contact, "START", uuid4(), "words", now)
        anns = await consent.latest(session, ann.phone_hash)
        bobs = await consent.latest(session, bob.phone_hash)

    assert {"marketing": "opted_out", "transactional": "opted_in", "conversational": "opted_in"} == {
        purpose: line.action for purpose, line in anns.items()
    }
    assert {"opted_in"} == {line.action for line in bobs.values()}


async def test_an_opt_out_leaves_every_contest(db: Database) -> None:
    """Who opts out is in no contest any more, in the same transaction, and each one left is told of once."""
    ann = await stored_contact(db)
    async with db.begin() as session:
        session.add(ContestEntry(id=uuid4(), contest="WIN200", contact_id=ann.id, entered_at=clock.now()))
    async with db.begin() as session:
        first = await consent.opt_out(session, ann, "STOP", "keyword", uuid4(), clock.now())
        second = await consent.opt_out(session, ann, "STOP", "keyword", uuid4(), clock.now())

    assert ["consent.opted_out", "contest.left"] == [changed.kind for changed in first]
    assert ["consent.opted_out"] == [changed.kind for changed in second]


async def test_a_ledger_line_names_nobody_by_itself(db: Database) -> None:
    """The ledger holds a keyed hash; the number stands in the side table that erasure empties."""
    ann = await stored_contact(db)
    async with db.begin() as session:
        await consent.opt_out(session, ann, "STOP", "keyword", uuid4(), clock.now())
        line = (await session.scalars(select(ConsentEvent).limit(1))).one()
        held = await session.scalar(
            text("SELECT count(*) FROM consent_events e WHERE e::text LIKE :p"), {"p": f"%{ann.phone}%"}
        )

    assert ann.phone_hash == line.phone_hash
    assert held == 0


@pytest.mark.parametrize("statement", ["UPDATE consent_events SET action = 'opted_in'", "DELETE FROM consent_events"])
async def test_the_engine_cannot_change_the_ledger(db: Database, statement: str) -> None:
    """The database refuses the engine's own role an update or delete of the ledger."""
    ann = await stored_contact(db)
    async with db.begin() as session:
        await consent.opt_out(session, ann, "STOP", "keyword", uuid4(), clock.now())

    with pytest.raises(ProgrammingError, match="permission denied"):
        async with db.begin() as session:
            await session.execute(text(statement))

    async with db.begin() as session:
        assert await session.scalar(select(func.count()).select_from(ConsentEvent)) == 3
