"""The simulator in a browser: a text gets its answer without a reload, and the page shows how the engine came to it."""

import itertools
import os
import re
from datetime import datetime, timedelta
from typing import get_args
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from bot.web import internal
from bot.web.simulator import saving
from tests.browser.conftest import PHONE, aside, assert_accessible, assert_fits, live, log_in
from tests.engine import Engine

pytestmark = pytest.mark.xdist_group("engine")

#: Each test books an hour nobody else of this engine has: the same hour of one week after the other.
FAR = datetime(2027, 3, 2, 14, 0, tzinfo=ZoneInfo("America/New_York"))
weeks = itertools.count()

ANSWER_MS = 30_000


def opened(page: Page, engine: Engine, phone: str) -> None:
    """The simulator as this contact, marked so that a reload would show."""
    log_in(page, engine, "/simulator/")
    page.goto(f"/simulator/?phone={quote(phone)}")
    live(page)
    page.evaluate("window.neverReloaded = true")


def contact(engine: Engine, name: str) -> str:
    """A contact nobody else has; their number."""
    _, phone = aside(engine.new_contact, name)
    return phone


def say(page: Page, words: str) -> None:
    """Text the shop as a person does."""
    page.get_by_role("textbox", name="Text to Juniper Lane").fill(words)
    page.keyboard.press("Enter")


def answer(page: Page, words: str | re.Pattern[str]) -> None:
    """Wait for a text of the bot on the phone."""
    expect(page.locator("#texts .sms.bot", has_text=words).last).to_be_visible(timeout=ANSWER_MS)


def with_booking(engine: Engine, name: str) -> str:
    """A contact with a styling session to come; their number."""
    contact_id, phone = aside(engine.new_contact, name)
    engine.clear_calendar()
    aside(engine.book, contact_id, "styling", "lena", FAR + timedelta(weeks=next(weeks)))
    return phone


def test_a_text_is_answered_without_a_reload(page: Page, engine: Engine) -> None:
    """The reply comes by itself; the field is empty again, keeps the focus, and the newest text is in view."""
    phone = contact(engine, "Ann")
    opened(page, engine, phone)
    expect(page.get_by_text("No texts yet")).to_be_visible()

    say(page, "what are your hours")
    answer(page, "Elm Street")

    field = page.get_by_role("textbox", name="Text to Juniper Lane")
    expect(field).to_have_value("")
    expect(field).to_be_focused()
    expect(page.locator("#texts .sms").last).to_be_in_viewport()
    expect(page.locator("[data-key=waiting]")).to_have_count(0)
    assert page.evaluate("window.neverReloaded") is True


def test_the_engines_side_shows_reading_effects_consent_parts_and_times(page: Page, engine: Engine) -> None:
    """One text that moves a booking shows what it was read as, the times, what changed, and where the time went."""
    opened(page, engine, with_booking(engine, "Bob"))

    say(page, "can u move my appt to next tues after 3")
    answer(page, "1 Tue Dec 1")
    entry = page.locator("#engine .entry[open]")
    expect(entry.get_by_text("Delivered")).to_be_visible()

    expect(entry).to_have_count(1)
    assert "reschedule booking" == entry.locator(".guess-name").first.inner_text()
    assert 4 == entry.locator(".guesses svg.bar").count()
    assert float(entry.locator(".guesses rect.best").get_attribute("width") or 0) > 60
    expect(entry.locator(".pairs")).to_contain_text("Tue Dec 1, 3:00 PM")
    expect(entry.locator(".changes")).to_contain_text("Times held for booking")
    expect(entry).to_contain_text("In: the shop may text this contact.")
    expect(entry).to_contain_text("Allowed: answers the contact's own text")
    expect(entry.locator(".sent-meta")).to_contain_text(re.compile(r"\d parts?, GSM-7, \d+ characters"))
    expect(entry.locator(".steps")).to_contain_text(re.compile(r"Decided in \d+ ms, answered in \d+ ms"))
    widths = entry.locator(".steps svg.bar rect").evaluate_all(
        "all => all.map(one => Number(one.getAttribute('width')))"
    )
    assert abs(100 - sum(widths)) < 0.1


def test_choosing_a_time_shows_the_booking_before_and_after(page: Page, engine: Engine) -> None:
    """The move is told in words, from the old time to the new one; the entry before it closes by itself."""
    opened(page, engine, with_booking(engine, "Cleo"))
    say(page, "can u move my appt to next tues after 3")
    answer(page, "1 Tue Dec 1")

    say(page, "1")
    answer(page, "Done")

    change = page.locator("#engine .entry[open] .changes")
    expect(change).to_contain_text("moved")
    expect(change.locator("del").first).to_contain_text("2:00 PM")
    expect(change.locator("ins").first).to_contain_text("Tue Dec 1")
    expect(page.locator("#engine .entry[open]")).to_have_count(1)


def test_the_shops_confirmation_can_be_answered_with_change(page: Page, engine: Engine) -> None:
    """The button has the shop start the booking text; CHANGE, as it says, offers other times."""
    opened(page, engine, with_booking(engine, "Dana"))

    page.get_by_role("button", name="Booking confirmation").click()
    expect(page.locator("#texts .sms.shop")).to_contain_text("Reply CHANGE to reschedule", timeout=ANSWER_MS)
    expect(page.locator("#engine")).to_contain_text("The shop started a text: booking confirmation.")
    say(page, "CHANGE")
    answer(page, "Reply 1")

    assert "keyword" == page.locator("#engine .entry[open] summary .tag").inner_text()
    assert page.evaluate("window.neverReloaded") is True


def test_what_the_shop_cannot_say_is_told_in_words(page: Page, engine: Engine) -> None:
    """Without a booking to come there is nothing to confirm; a rating can be asked all the same, and takes it away."""
    phone = contact(engine, "Emil")
    opened(page, engine, phone)

    page.get_by_role("button", name="Booking confirmation").click()
    expect(page.get_by_role("alert")).to_have_text(
        "This contact has no booking to come, so there is nothing to confirm."
    )
    page.get_by_role("button", name="Ask for a rating").click()

    expect(page.locator("#texts .sms.shop")).to_contain_text("Reply on a scale of 1-5", timeout=ANSWER_MS)
    expect(page.get_by_role("alert")).to_have_text("")


def test_a_refused_text_stays_off_the_phone_and_says_why(page: Page, engine: Engine) -> None:
    """After STOP the shop's text never reaches the phone; the engine's side names the refusal."""
    opened(page, engine, with_booking(engine, "Fay"))
    say(page, "STOP")
    answer(page, "You have successfully opted out")
    expect(page.locator("#engine .entry[open]")).to_contain_text("Out: the shop starts nothing")

    page.get_by_role("button", name="Booking confirmation").click()

    expect(page.locator("#engine .entry[open] .sent-meta")).to_contain_text(
        "Not sent: the contact has opted out", timeout=ANSWER_MS
    )
    expect(page.locator("#texts .sms.shop")).to_have_count(0)


def test_a_live_update_leaves_typing_focus_and_opened_entries_alone(page: Page, engine: Engine) -> None:
    """A text from elsewhere comes while somebody types: what they wrote, where they are and what they closed stays."""
    phone = contact(engine, "Gus")
    opened(page, engine, phone)
    say(page, "what are your hours")
    answer(page, "Elm Street")
    page.locator("#engine summary").first.click()
    expect(page.locator("#engine .entry[open]")).to_have_count(0)
    field = page.get_by_role("textbox", name="Text to Juniper Lane")
    field.fill("half a sen")

    engine.text(phone, "thanks a lot")
    expect(page.locator("#texts .sms.contact")).to_have_count(2, timeout=ANSWER_MS)
    expect(page.locator("#engine .entry")).to_have_count(2)

    expect(field).to_have_value("half a sen")
    expect(field).to_be_focused()
    expect(page.locator("#engine .entry").nth(1)).not_to_have_attribute("open", "")
    expect(page.locator("#engine .entry").nth(0)).to_have_attribute("open", "")


def test_a_new_number_is_the_next_free_one_and_survives_a_reload(page: Page, engine: Engine) -> None:
    """Blank makes a contact on a number of fiction who may be texted; the address keeps it."""
    log_in(page, engine, "/simulator/")

    page.locator("summary", has_text="Texting as").click()
    page.get_by_role("button", name="Use this number").click()
    page.wait_for_url(re.compile(r"phone=%2B120255501[2-9]\d"))
    page.reload()

    expect(page.locator("summary", has_text="Texting as")).to_contain_text("(202) 555-01")
    page.get_by_role("button", name="Ask for a rating").click()
    expect(page.locator("#texts .sms.shop")).to_have_count(1, timeout=ANSWER_MS)


def test_a_number_that_is_none_is_told_so_in_one_sentence(page: Page, engine: Engine) -> None:
    """What was typed is still there to be mended."""
    log_in(page, engine, "/simulator/")

    page.locator("summary", has_text="Texting as").click()
    page.get_by_label("Number", exact=True).fill("call me")
    page.get_by_role("button", name="Use this number").click()

    expect(page.get_by_role("alert").filter(has_text="no phone number")).to_have_text(
        "“call me” is no phone number. Write one like +1 202 555 0123, or leave it blank."
    )
    field = page.get_by_label("Number", exact=True)
    expect(field).to_have_value("call me")
    field.fill("+1 202 555 0188")
    field.press("Enter")
    page.wait_for_url("**/simulator/?phone=%2B12025550188**")


def test_a_new_contact_can_have_what_there_is_to_try(page: Page, engine: Engine) -> None:
    """A name, a booking and an order, at once: the shop may confirm the booking, and knows the order."""
    log_in(page, engine, "/simulator/")

    page.locator("summary", has_text="Texting as").click()
    page.get_by_label("Name").fill("Vera Stone")
    page.get_by_label("With an order").select_option("shipped")
    page.get_by_label("With a booking").check()
    page.get_by_role("button", name="Use this number").click()
    page.wait_for_url(re.compile(r"phone=%2B120255501[2-9]\d"))
    live(page)

    picker = page.locator("summary", has_text="Texting as")
    expect(picker).to_contain_text("Vera Stone")
    picker.click()
    note = page.locator(".people a[aria-current] .person-note").inner_text()
    number = re.search(r"Order (\d+) shipped", note)
    assert number is not None, note
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Booking confirmation").click()
    expect(page.locator("#texts .sms.shop")).to_contain_text("Reply CHANGE to reschedule", timeout=ANSWER_MS)
    say(page, f"where is {number[1]}")
    answer(page, "is on its way with UPS")
    expect(page.locator("#engine .entry[open] .heard mark")).to_have_text(number[1])


def test_every_text_the_shop_starts_has_its_button(page: Page, engine: Engine) -> None:
    """One a kind, however many there are; each says in words what became of it."""
    opened(page, engine, contact(engine, "Gil"))
    kinds = get_args(internal.ShopTextKind)
    buttons = page.locator("[data-shop-says] button")

    expect(buttons).to_have_count(len(kinds))
    assert list(kinds) == buttons.evaluate_all("all => all.map(one => one.value)")
    for kind in kinds:
        page.locator(f"[data-shop-says] button[value={kind}]").click()
        said = page.locator("#engine", has_text=f"The shop started a text: {kind.replace('_', ' ')}.")
        expect(said.or_(page.locator("#trouble .problem")).first).to_be_visible()


def test_the_state_after_each_turn_says_what_is_waited_for(page: Page, engine: Engine) -> None:
    """A choice of times while it is open, nothing once it is made; the shop's own question stays beside it."""
    opened(page, engine, with_booking(engine, "Nora"))
    page.get_by_role("button", name="Booking confirmation").click()
    expect(page.locator("#texts .sms.shop")).to_have_count(1, timeout=ANSWER_MS)
    say(page, "can u move my appt to next tues after 3")
    answer(page, "1 Tue Dec 1")

    state = page.locator("#engine .entry[open] .state")
    expect(state).to_contain_text("Waits for another time for a booking.")
    expect(state.locator(".wait-choices li")).to_have_count(3)
    expect(state).to_contain_text("Waits for an answer to the booking text: yes, CHANGE or CANCEL.")
    say(page, "1")
    answer(page, "Done")
    expect(state).not_to_contain_text("another time")


def test_a_session_is_kept_as_a_test(page: Page, engine: Engine) -> None:
    """From where the page was opened: shown as YAML, kept under its name once, refused the second time."""
    phone = contact(engine, "Omar")
    engine.text(phone, "thanks")
    opened(page, engine, phone)
    say(page, "what are your hours")
    answer(page, "Elm Street")
    name = f"browser-{os.getpid()}"
    kept = saving.FOLDER / saving.file_name(name)

    page.reload()
    page.get_by_role("link", name="Save as test").click()
    expect(page.locator("pre")).to_contain_text("text: what are your hours")
    expect(page.locator("pre")).not_to_contain_text("thanks")
    expect(page.get_by_label("Name")).to_have_value("what-are-your-hours")
    try:
        page.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Keep this test").click()
        expect(page.locator(".saved")).to_contain_text(f"tests/conversations/{kept.name}")
        (test,) = yaml.safe_load(kept.read_text())
        page.go_back()
        page.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Keep this test").click()
        expect(page.get_by_role("alert")).to_contain_text("is there already. Choose another name")
        expect(page.get_by_label("Name")).to_have_value(name)
    finally:
        kept.unlink(missing_ok=True)

    assert (name.replace("-", " "), {"name": "Omar"}) == (test["name"], test["given"])
    assert ["what are your hours"] == [step["text"] for step in test["steps"]]


def test_a_new_session_begins_with_the_next_text(page: Page, engine: Engine) -> None:
    """Nothing to save until then; the list shows where it began."""
    phone = contact(engine, "Pia")
    engine.text(phone, "thanks")
    opened(page, engine, phone)
    expect(page.locator(".session-start")).to_have_text("A new session begins here")
    page.get_by_role("link", name="Save as test").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was texted in this session yet.")

    page.get_by_role("link", name="Take the whole conversation").click()
    expect(page.locator("pre")).to_contain_text("text: thanks")
    page.get_by_role("link", name="Back to the phone").click()
    page.get_by_role("link", name="Begin a new session").click()

    expect(page.locator(".session-start")).to_have_text("A new session begins here")


def test_texts_are_shown_as_they_were_written(page: Page, engine: Engine) -> None:
    """Markup in a text is just text, on the phone and on the engine's side."""
    phone = contact(engine, "Hana")
    opened(page, engine, phone)

    say(page, "<img src=x onerror=alert(1)> <b>hi</b> {{ 7*7 }}")
    expect(page.locator("#engine .entry .heard")).to_have_text(
        "<img src=x onerror=alert(1)> <b>hi</b> {{ 7*7 }}", timeout=ANSWER_MS
    )

    assert 0 == page.locator("#texts img, #texts b, #engine img, #engine b").count()


def test_it_works_by_keyboard_alone(page: Page, engine: Engine) -> None:
    """Picker, list and text field are reached and used with Tab, Enter, Space and Escape."""
    phone = contact(engine, "Iris")
    opened(page, engine, phone)
    summary = page.locator("summary", has_text="Texting as")

    summary.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(".people a").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(summary).to_be_focused()
    page.get_by_role("textbox", name="Text to Juniper Lane").focus()
    page.keyboard.type("where is my order")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("please")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Send text")).to_be_focused()
    page.keyboard.press("Space")

    expect(page.locator("#texts .sms.contact .sms-body")).to_contain_text("where is my order\nplease")
    expect(page.locator("#texts .sms.bot")).to_have_count(1, timeout=ANSWER_MS)


def test_it_works_without_script(chromium: Browser, engine: Engine) -> None:
    """The same forms load the page anew: text, answer and the engine's account are there."""
    phone = contact(engine, "Jon")
    context = chromium.new_context(base_url=engine.base_url, java_script_enabled=False)
    page = context.new_page()
    log_in(page, engine, "/simulator/")

    page.goto(f"/simulator/?phone={quote(phone)}")
    page.get_by_role("textbox", name="Text to Juniper Lane").fill("what are your hours")
    with page.expect_navigation():
        page.get_by_role("button", name="Send text").click()
    engine.eventually(lambda: page.reload() and page.locator("#texts .sms.bot").count(), 30, "no answer was shown")

    expect(page.locator("#engine .entry[open]")).to_contain_text("ask hours")
    context.close()


def test_nobody_sees_it_without_logging_in(page: Page, engine: Engine) -> None:
    """Without a session the address leads to the login, and back afterwards."""
    response = page.request.get("/simulator/?phone=%2B12025550100", max_redirects=0)

    assert 303 == response.status
    assert response.headers["location"].startswith("/login?next=/simulator/")


def test_it_has_no_accessibility_violations(page: Page, engine: Engine) -> None:
    """Axe finds nothing, light and dark: empty, with an exchange, with the picker open and a sentence of trouble."""
    page.emulate_media(reduced_motion="reduce")  # colours halfway between two themes are nobody's
    opened(page, engine, contact(engine, "Kim"))
    assert_accessible(page)

    say(page, "where is order 1042")
    answer(page, "")
    page.get_by_role("button", name="Booking confirmation").click()
    expect(page.get_by_role("alert")).not_to_have_text("")
    page.locator("summary", has_text="Texting as").click()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Save as test").click()

    assert_accessible(page)


def test_everything_fits_a_phone(page: Page, engine: Engine) -> None:
    """At 360 pixels the phone comes first, the engine below, and nothing scrolls sideways."""
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a ViewportSize
    opened(page, engine, contact(engine, "Lu"))
    say(page, "what are your hours, https://example.com/" + "a" * 90)
    answer(page, "")

    assert_fits(page)
    above = page.locator(".phone").bounding_box()
    below = page.locator(".engine").bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] <= below["y"]
    page.locator("summary", has_text="Lu").click()
    assert_fits(page)
    page.locator("summary", has_text="Lu").click()
    page.get_by_role("link", name="Save as test").click()
    expect(page.locator("pre")).to_be_visible()
    assert_fits(page)
