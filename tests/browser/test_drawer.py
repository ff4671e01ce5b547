"""The simulator's drawer in a browser: the clock moves, a contact is set up, and the carrier does wrong on demand."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import yaml
from playwright.sync_api import Locator, Page, expect

from bot.web.simulator import saving
from tests.browser.conftest import PHONE, aside, assert_accessible, assert_fits
from tests.browser.test_simulator import ANSWER_MS, answer, opened, say
from tests.engine import START, Engine
from tests.test_conversations import Exchange

pytestmark = pytest.mark.xdist_group("engine")

QUESTION = "what are your hours"
ANSWERED = "Elm Street"
STYLING = "styling|rosa"


@pytest.fixture
def real_time(engine: Engine) -> Any:
    """Whatever a test does to the clock, the next one begins where the engine was started."""
    yield
    aside(engine.move_clock, None)


def drawn(page: Page, engine: Engine, name: str, consents: bool = True) -> str:
    """The simulator as a new contact with the drawer open; their number."""
    _, phone = aside(engine.new_contact, name, consents)
    opened(page, engine, phone)
    page.get_by_role("button", name="Clock, contact, carrier").click()
    expect(page.locator("#drawer")).to_be_visible()
    return phone


def booked(engine: Engine, phone: str, start: datetime) -> UUID:
    """A styling session for the contact of this number."""
    (row,) = engine.rows("SELECT id FROM contacts WHERE phone = %s", phone)
    engine.clear_calendar()
    return aside(engine.book, row["id"], "styling", "rosa", start)


def turns(engine: Engine, phone: str) -> list[dict[str, Any]]:
    """The contact's turns in the order of their texts: body, decision, intent."""
    return engine.rows(
        "SELECT m.body, t.decision, t.intent FROM turns t JOIN messages m ON m.id = t.id"
        " JOIN conversations c ON c.id = m.conversation_id JOIN contacts p ON p.id = c.contact_id"
        " WHERE p.phone = %s ORDER BY m.seq",
        phone,
    )


# -- the clock -----------------------------------------------------------------------------------------------------


def test_times_held_lapse_when_the_clock_moves_on(page: Page, engine: Engine, real_time: None) -> None:
    """Ten minutes later nothing is held; the page says that the clock was moved, and puts it back."""
    phone = drawn(page, engine, "Abe")
    booked(engine, phone, START + timedelta(days=3, hours=4))
    say(page, "can u move my appt to next tues after 3")
    answer(page, "1 Tue Dec 1")
    held = page.locator("#drawer-contact h3", has_text="Held times")
    expect(held).to_be_visible()

    page.get_by_role("button", name="+ 10 minutes").click()
    expect(page.locator("#moved")).to_contain_text("The clock is moved, 10 min ahead")
    expect(held).to_have_count(0)
    expect(page.locator("#engine .clock-move")).to_contain_text("Clock moved on to")
    page.get_by_role("button", name="Back to real time").click()

    expect(page.locator("#moved")).not_to_contain_text("moved")
    expect(page.locator("#drawer-clock")).to_contain_text("real time")


@pytest.mark.parametrize("waits, stands", [(False, "Fri Nov 27"), (True, "Tue Dec 1")])
def test_undo_ends_ten_minutes_after_the_change(
    page: Page, engine: Engine, real_time: None, waits: bool, stands: str
) -> None:
    """What was just moved is put back by "undo"; ten minutes later on the clock it is not."""
    phone = drawn(page, engine, "Bea")
    booked(engine, phone, START + timedelta(days=3, hours=4))
    say(page, "can u move my appt to next tues at 3pm")
    answer(page, "Tue Dec 1")
    say(page, "yes")
    answer(page, "Done")
    coming = page.locator("#drawer-contact ul", has_text="Styling")
    expect(coming).to_contain_text("Tue Dec 1")

    if waits:
        page.get_by_role("button", name="+ 10 minutes").click()
        expect(page.locator("#moved")).to_contain_text("10 min ahead")
    say(page, "undo")

    expect(page.locator("#engine .entry[open] .entry-heard")).to_have_text("undo", timeout=ANSWER_MS)
    expect(page.locator("#engine .entry[open] .changes del")).to_have_count(0 if waits else 1)
    expect(coming).to_contain_text(stands)


def test_the_clock_goes_to_a_chosen_moment(page: Page, engine: Engine, real_time: None) -> None:
    """A question of the shop has expired by then: the drawer says so, and the answer counts as late."""
    phone = drawn(page, engine, "Cal")
    page.get_by_role("button", name="Ask for a rating").click()
    waits = page.locator("#drawer-contact li", has_text="until")
    expect(waits).to_have_count(1, timeout=ANSWER_MS)

    page.get_by_label("To a moment").fill("2026-12-24T11:00")
    page.get_by_role("button", name="Move clock").click()
    expect(page.locator("#drawer-contact")).to_contain_text("expired: an answer is late")
    expect(page.locator("#clock")).to_contain_text("11:0")
    say(page, "5")
    answer(page, "")

    assert ["answer"] == [turn["decision"] for turn in turns(engine, phone)]


# -- the contact ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "press, words, tag",
    [
        ("Opt in to service texts", "opted in", "in"),
        ("Opt in to offers too", "opted in", "in"),
        ("Opt out of all", "opted out", "out"),
        ("Block at the carrier", "blocks this number", "out"),
    ],
)
def test_consent_is_set_from_nothing(page: Page, engine: Engine, press: str, words: str, tag: str) -> None:
    """Somebody who never said anything opts in or out, and the engine's next turn stands on that."""
    drawn(page, engine, "Dee", consents=False)
    ledger = page.locator("#drawer-contact .ledger").first
    expect(ledger).to_contain_text("never said anything")

    page.get_by_role("button", name=press).click()
    expect(ledger).to_contain_text(words)
    say(page, QUESTION)

    told = {"in": "In: the shop may text", "out": "Out: the shop starts nothing"}[tag]
    expect(page.locator("#engine .entry[open]")).to_contain_text(told, timeout=ANSWER_MS)


def test_a_booking_an_order_and_a_profile_field_are_set(page: Page, engine: Engine) -> None:
    """Each shows without a reload, a time that has passed is refused, and the shop texts about the booking."""
    drawn(page, engine, "Eva")
    engine.clear_calendar()
    told = page.locator("#drawer-contact")
    page.get_by_label("A booking", exact=True).select_option(STYLING)
    page.get_by_label("On", exact=True).fill("2026-12-03T14:00")
    page.get_by_role("button", name="Add booking").click()
    expect(told).to_contain_text("Thu Dec 3 at 2:00 PM")
    page.get_by_label("An order", exact=True).select_option("placed")
    page.get_by_role("button", name="Add order").click()
    page.get_by_role("button", name="Mark as packed").click()
    expect(page.get_by_role("button", name="Mark as shipped")).to_be_visible()
    page.get_by_label("A profile field").select_option("postcode")
    page.get_by_label("Says", exact=True).fill("10014")
    page.get_by_role("button", name="Set field").click()
    expect(told.locator("dl", has_text="postcode")).to_contain_text("10014")

    page.get_by_label("On", exact=True).fill("2020-01-01T14:00")
    page.get_by_role("button", name="Add booking").click()
    expect(page.get_by_role("alert")).to_contain_text("That time has passed")
    page.get_by_role("button", name="Booking confirmation").click()

    expect(page.locator("#texts .sms.shop")).to_contain_text("Thu", timeout=ANSWER_MS)


def test_a_ticket_is_opened_answered_and_closed(page: Page, engine: Engine) -> None:
    """While it is open the bot is silent and an agent's text reaches the phone; afterwards the bot answers."""
    phone = drawn(page, engine, "Fay")
    page.get_by_role("button", name="Open a ticket").click()
    expect(page.locator("#drawer-contact")).to_contain_text("nobody has taken it")
    say(page, QUESTION)
    expect(page.locator("#engine .entry[open]")).to_contain_text("a person answers", timeout=ANSWER_MS)

    page.get_by_label("An agent's text").fill("Hello, Max here")
    page.get_by_role("button", name="Send as agent").click()
    expect(page.locator("#texts .sms.agent")).to_contain_text("Hello, Max here", timeout=ANSWER_MS)
    page.get_by_role("button", name=re.compile("Close ticket")).click()
    expect(page.locator("#drawer-contact")).to_contain_text("The bot.")
    say(page, QUESTION)
    answer(page, ANSWERED)

    assert ["silent", "bot"] == [turn["decision"] for turn in turns(engine, phone)]


# -- the carrier ---------------------------------------------------------------------------------------------------


def fault(page: Page, which: str, value: str) -> Locator:
    """Order a fault for the next text; where the page tells of it."""
    field = page.get_by_label(which)
    field.select_option(value)
    field.locator("xpath=ancestor::form").get_by_role("button", name="Add fault").click()
    told = page.locator("#drawer-faults li").first
    expect(told).to_contain_text("waits for a text")
    return told


FROM, TO = "The next text from the phone", "The next text to the phone"


@pytest.mark.parametrize(
    "value, texts, outcome, decided",
    [
        ("duplicate", [QUESTION], "Delivered twice, stored once; the second was ignored. Decided once: bot", ["bot"]),
        ("reordered", [QUESTION, "HELP"], "The second arrived first; both stored", ["keyword", "bot"]),
        ("burst", [f"{QUESTION}\non sunday"], "2 texts at once, each stored once, read in", None),
        ("picture", [QUESTION], "Stored with 1 picture: bot", ["bot"]),
    ],
)
def test_what_the_carrier_does_to_a_text_does_no_harm(
    page: Page, engine: Engine, value: str, texts: list[str], outcome: str, decided: list[str] | None
) -> None:
    """Twice, in the wrong order, at once, with a picture: stored once, answered, and told so."""
    phone = drawn(page, engine, "Gus")
    told = fault(page, FROM, value)

    for place, words in enumerate(texts):
        say(page, words)
        if place < len(texts) - 1:
            expect(page.locator("#texts .sms.held")).to_have_count(1)
    expect(told).to_contain_text(outcome, timeout=ANSWER_MS)
    answer(page, ANSWERED)

    stored = engine.rows(
        "SELECT 1 FROM messages m JOIN conversations c ON c.id = m.conversation_id"
        " JOIN contacts p ON p.id = c.contact_id WHERE p.phone = %s AND m.direction = 'inbound'",
        phone,
    )
    assert sum(len(words.splitlines()) for words in texts) == len(stored)
    assert decided is None or decided == [turn["decision"] for turn in turns(engine, phone)]


def test_a_delayed_text_arrives_when_it_is_due(page: Page, engine: Engine, real_time: None) -> None:
    """It is on the phone, not in the engine, until the clock has moved on; then it is answered."""
    phone = drawn(page, engine, "Hal")
    told = fault(page, FROM, "delayed:600")
    say(page, QUESTION)
    expect(page.locator("#texts .sms.held")).to_contain_text("Not delivered yet")
    expect(told).to_contain_text("On its way")
    assert [] == turns(engine, phone)

    page.get_by_role("button", name="+ 10 minutes").click()

    expect(told).to_contain_text(re.compile(r"Arrived 10 min late, stored once: bot"), timeout=ANSWER_MS)
    answer(page, ANSWERED)


@pytest.mark.parametrize(
    "value, outcome, consent",
    [
        ("blocked", "Refused and not tried again. The ledger followed: opted out", "out"),
        ("failed:30003", "Taken, then undelivered: error 30003. It is not sent again.", "in"),
        ("no_receipt", "Sent; no receipt came", "in"),
    ],
)
def test_what_the_carrier_does_to_an_answer_is_taken_as_it_is(
    page: Page, engine: Engine, value: str, outcome: str, consent: str
) -> None:
    """Refused, failed or never heard of again: the text is not sent twice, and a refusal counts as an opt-out."""
    phone = drawn(page, engine, "Ida")
    told = fault(page, TO, value)

    say(page, QUESTION)
    expect(told).to_contain_text(outcome, timeout=ANSWER_MS)
    ledger = page.locator("#drawer-contact .ledger").first
    expect(ledger).to_contain_text("opted out" if consent == "out" else "opted in")

    assert 1 >= len(engine.rows("SELECT 1 FROM simulator_messages WHERE recipient = %s", phone))


@pytest.mark.parametrize("reaction", ["loved", "android", "laughed"])
def test_a_reaction_is_shown_and_never_answered(page: Page, engine: Engine, reaction: str) -> None:
    """It stands in the thread as a reaction; nothing was read in it, though it quotes words that say STOP."""
    phone = drawn(page, engine, "Jo")
    say(page, QUESTION)
    answer(page, ANSWERED)

    page.get_by_label("React to the shop's last text").select_option(reaction)
    page.get_by_role("button", name="Send reaction").click()
    expect(page.locator("#texts .sms.contact.reaction")).to_have_count(1, timeout=ANSWER_MS)
    expect(page.locator("#drawer-faults li").first).to_contain_text("Stored once: nothing was answered.")
    expect(page.locator("#engine .entry[open] summary")).to_contain_text("A reaction to a text; nothing to answer.")

    assert ("silent", None) == tuple(turns(engine, phone)[-1][key] for key in ("decision", "intent"))
    assert 1 == page.locator("#texts .sms.bot").count()


# -- a session as a test -------------------------------------------------------------------------------------------


def play(engine: Engine, script: dict[str, Any]) -> None:
    """Play a conversation as tests/test_conversations.py does."""
    Exchange(engine, script).run()


def test_a_saved_session_plays_and_an_altered_one_fails(page: Page, engine: Engine, real_time: None) -> None:
    """What was kept goes through the runner of tests/conversations; any other outcome than the kept one is noticed."""
    name = "drawer-session-kept-by-a-test"
    kept = saving.FOLDER / saving.file_name(name)
    phone = drawn(page, engine, "Kai")
    booked(engine, phone, START + timedelta(days=3, hours=4))
    say(page, "can u move my appt to next tues after 3")
    answer(page, "1 Tue Dec 1")
    say(page, "1")
    answer(page, "Done")
    page.get_by_label("React to the shop's last text").select_option("liked")
    page.get_by_role("button", name="Send reaction").click()
    expect(page.locator("#texts .sms.contact.reaction")).to_have_count(1, timeout=ANSWER_MS)
    try:
        page.get_by_role("link", name="Save as test").click()
        page.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Keep this test").click()
        expect(page.locator(".saved")).to_contain_text(kept.name)
        (script,) = yaml.safe_load(kept.read_text())
    finally:
        kept.unlink(missing_ok=True)

    assert ["bot", "answer", "silent"] == [step["decision"] for step in script["steps"]]
    aside(play, engine, script)
    for altered in (
        {**script, "steps": [{**script["steps"][0], "intent": "ask_hours"}, *script["steps"][1:]]},
        {**script, "steps": [{**script["steps"][0], "says": "Something else."}, *script["steps"][1:]]},
        {**script, "then": {**script["then"], "texts_out": 9}},
    ):
        with pytest.raises(AssertionError):
            aside(play, engine, altered)


# -- the looks -----------------------------------------------------------------------------------------------------


def test_the_drawer_is_accessible_and_fits_a_phone(page: Page, engine: Engine) -> None:
    """Axe finds nothing in it, light and dark, with a fault told of; nothing is cut off at 360 pixels."""
    drawn(page, engine, "Lou")
    fault(page, FROM, "duplicate")
    page.mouse.move(0, 0)
    assert_accessible(page)

    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a ViewportSize
    assert_fits(page)
