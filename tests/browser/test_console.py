"""The agent's console in a real browser: live, sent once, nothing typed is lost, by keyboard, without script."""

import itertools
import re
from uuid import UUID

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from bot import text
from tests.browser.conftest import PHONE, WIDE, aside, assert_accessible, assert_fits, live, log_in
from tests.engine import Engine, stopped

pytestmark = pytest.mark.xdist_group("engine")

_names = (f"Contact {number}" for number in itertools.count(1))


class Person:
    """Somebody with a phone, waiting for a person of the shop."""

    def __init__(self, engine: Engine, name: str | None = None) -> None:
        self._engine = engine
        self.name = name or next(_names)
        self.id: UUID
        self.id, self.phone = aside(engine.new_contact, self.name)

    def ask(self, words: str = "i want to talk to a person") -> "Person":
        """Text the shop until a ticket is open."""
        turn = self._engine.text(self.phone, words)
        assert turn["decision"] == "ticket", turn
        return self

    def received(self) -> list[str]:
        """What arrived on the phone, in order."""
        rows = self._engine.rows(
            "SELECT body FROM simulator_messages WHERE recipient = %s ORDER BY accepted_at", self.phone
        )
        return [row["body"] for row in rows]

    def receives(self, words: str) -> None:
        """Wait until the phone shows this text."""
        self._engine.eventually(lambda: words in self.received(), 20, f"{words!r} did not reach the phone")


def row(page: Page, person: Person) -> Locator:
    """The person's line in the list."""
    return page.locator(".ticket").filter(has=page.get_by_text(person.name, exact=True))


def open_ticket(page: Page, person: Person, *, scripted: bool = True) -> None:
    """Press the person's line."""
    row(page, person).click()
    expect(page.get_by_role("heading", name=person.name)).to_be_visible()
    if scripted:
        live(page)


def reply_box(page: Page) -> Locator:
    """Where an answer is typed."""
    return page.get_by_label("Reply to")


def agent_texts(page: Page) -> Locator:
    """The agent's bubbles."""
    return page.locator('.text[data-author="agent"]')


# -- live ----------------------------------------------------------------------------------------------------------


def test_a_contact_who_asks_for_a_person_appears_without_a_reload(page: Page, engine: Engine) -> None:
    """An open console shows the new ticket by itself, and says so to who cannot see it."""
    person = Person(engine)
    log_in(page, engine)
    page.evaluate("window.sameDocument = true")

    person.ask()

    expect(row(page, person)).to_contain_text("Asked for a person")
    expect(page.locator("#announcer")).to_contain_text("waiting for an answer")
    assert page.evaluate("window.sameDocument")


def test_a_reply_reaches_the_phone_and_its_way_is_shown(page: Page, engine: Engine) -> None:
    """Send queues it, the phone gets it, the thread says delivered, the composer is empty again."""
    person = Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)

    reply_box(page).fill("Hello, how can I help?")
    page.get_by_role("button", name="Send").click()

    expect(agent_texts(page)).to_contain_text("Hello, how can I help?")
    expect(agent_texts(page)).to_contain_text("MA")
    expect(agent_texts(page)).to_contain_text("Delivered")
    expect(reply_box(page)).to_have_value("")
    expect(page.locator(".thread-head")).to_contain_text("yours")
    person.receives("Hello, how can I help?")


def test_an_answer_of_the_contact_appears_and_is_announced(page: Page, engine: Engine) -> None:
    """The thread grows by itself; the new text is read out."""
    person = Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)

    engine.send(person.phone, "my order never came")

    expect(page.locator('.text[data-author="contact"]').last).to_contain_text("my order never came")
    expect(page.locator("#announcer")).to_have_text("New text: my order never came")


def test_what_is_typed_survives_whatever_happens_around_it(page: Page, engine: Engine) -> None:
    """New texts, a reload and a visit to another ticket leave words, caret and focus alone."""
    person, other = Person(engine).ask(), Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)
    reply_box(page).press_sequentially("I am looking into")
    reply_box(page).press("ArrowLeft")

    engine.send(person.phone, "are you there?")

    expect(page.locator('.text[data-author="contact"]').last).to_contain_text("are you there?")
    expect(reply_box(page)).to_be_focused()
    assert page.evaluate("document.activeElement.selectionStart") == len("I am looking int")
    page.keyboard.type("-")
    expect(reply_box(page)).to_have_value("I am looking int-o")
    open_ticket(page, other)
    expect(reply_box(page)).to_have_value("")
    open_ticket(page, person)
    expect(reply_box(page)).to_have_value("I am looking int-o")
    page.reload()
    expect(reply_box(page)).to_have_value("I am looking int-o")


def test_a_lost_stream_says_so_and_catches_up(page: Page, engine: Engine) -> None:
    """While the web process is down a note says that the page may be old; then the page is right without a reload."""
    person = Person(engine)
    log_in(page, engine)
    expect(page.get_by_role("heading", name="Console")).to_be_attached()

    with stopped(engine, "web"):
        expect(page.get_by_text("Reconnecting.")).to_be_visible()
    person.ask()

    expect(row(page, person)).to_be_visible()
    expect(page.get_by_text("Reconnecting.")).to_be_hidden()


def test_two_pages_of_one_browser_share_a_stream(context: BrowserContext, engine: Engine) -> None:
    """Eight pages would hold more connections than a browser opens to one host, were there one stream each."""
    person = Person(engine)
    pages = [context.new_page() for _ in range(8)]
    log_in(pages[0], engine)
    for page in pages[1:]:
        page.goto("/console/")

    person.ask()

    for page in pages:
        expect(row(page, person)).to_be_visible()


# -- sending once --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_double_click_sends_once(chromium: Browser, engine: Engine, script: bool) -> None:
    """The form carries a key, so two posts of it are one text."""
    person = Person(engine).ask()
    context = chromium.new_context(base_url=engine.base_url, java_script_enabled=script)
    page = context.new_page()
    log_in(page, engine)
    open_ticket(page, person, scripted=script)

    reply_box(page).fill("Once is enough.")
    page.get_by_role("button", name="Send").dblclick()

    expect(agent_texts(page)).to_have_count(1)
    expect(reply_box(page)).to_have_value("")
    person.receives("Once is enough.")
    assert 1 == person.received().count("Once is enough.")
    context.close()


def test_the_same_key_with_other_words_is_not_swallowed(page: Page, engine: Engine) -> None:
    """Where an answer got lost and the text was changed, the agent is told instead of being believed sent."""
    person = Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)
    key = page.locator('input[name="key"]').get_attribute("value")
    reply_box(page).fill("First version.")
    page.get_by_role("button", name="Send").click()
    expect(agent_texts(page)).to_have_count(1)
    expect(page.locator('input[name="key"]')).not_to_have_value(str(key))

    page.locator('input[name="key"]').evaluate("(field, key) => { field.value = key; }", key)
    reply_box(page).fill("Second version.")
    page.get_by_role("button", name="Send").click()

    expect(page.locator(".composer .problem")).to_contain_text("An earlier version of this text was sent already")
    expect(reply_box(page)).to_have_value("Second version.")
    page.get_by_role("button", name="Send").click()
    person.receives("Second version.")
    expect(agent_texts(page)).to_have_count(2)


def test_nothing_is_lost_where_the_engine_cannot_be_reached(page: Page, engine: Engine) -> None:
    """A failed send keeps the words, says so, and works the second time, once."""
    person = Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)
    reply_box(page).fill("Are you still there?")
    expect(page.locator("[data-size]")).to_contain_text("1 part")  # the page's script is there

    with stopped(engine, "web"):
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_text("Parley could not be reached.")).to_be_visible()
        expect(reply_box(page)).to_have_value("Are you still there?")
    page.get_by_role("button", name="Send").click()

    person.receives("Are you still there?")
    assert 1 == person.received().count("Are you still there?")


# -- closing and being refused -------------------------------------------------------------------------------------


def test_after_closing_the_bot_answers_again(page: Page, engine: Engine) -> None:
    """Closing asks once; then the ticket leaves the list, the composer says why it is off, and the bot speaks."""
    person = Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)

    page.get_by_role("button", name="Close ticket").click()
    page.get_by_role("dialog").get_by_role("button", name="Close ticket").click()

    expect(page.locator(".refusal")).to_have_text(
        "This ticket is closed. The contact's next text is answered by the bot."
    )
    expect(reply_box(page)).to_be_disabled()
    expect(row(page, person)).to_have_count(0)
    turn = engine.text(person.phone, "what are your hours")
    assert ("bot", 1) == (turn["decision"], len(turn["replies"]))
    page.get_by_role("link", name=re.compile("Closed")).click()
    expect(row(page, person)).to_be_visible()


def test_a_contact_who_opts_out_cannot_be_written_to(page: Page, engine: Engine) -> None:
    """STOP while an agent types: the composer goes off with the reason, what was typed stays to be read."""
    person = Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)
    reply_box(page).fill("We could offer you")

    engine.text(person.phone, "STOP")

    expect(page.locator(".refusal")).to_contain_text("The contact has opted out")
    expect(reply_box(page)).to_be_disabled()
    expect(reply_box(page)).to_have_value("We could offer you")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    expect(page.locator(".contact-pane")).to_contain_text("Opted out of all texts")
    expect(page.locator(".thread .event.red")).to_contain_text("Opted out of all texts")
    expect(row(page, person)).to_contain_text("Opted out")


def test_a_reply_posted_to_somebody_who_opted_out_is_refused(page: Page, engine: Engine) -> None:
    """The server asks the ledger, whatever the page believed; nothing is queued."""
    person = Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)
    page.route("**/console/?**", lambda route: route.abort())  # this page hears of nothing any more
    engine.text(person.phone, "STOP")

    reply_box(page).fill("One more thing")
    page.get_by_role("button", name="Send").click()

    expect(page.locator(".refusal")).to_contain_text("The contact has opted out")
    expect(reply_box(page)).to_have_value("One more thing")
    assert [] == engine.rows("SELECT 1 FROM messages WHERE body = 'One more thing'")


def test_a_login_that_ended_loses_no_words(page: Page, engine: Engine) -> None:
    """Logged out elsewhere, the page says so and keeps what was typed."""
    person = Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)
    reply_box(page).fill("Half a sentence")
    page.context.request.post(
        "/logout", form={"csrf": page.locator('meta[name="csrf-token"]').get_attribute("content") or ""}
    )

    page.get_by_role("button", name="Send").click()

    expect(page.get_by_text("You are logged out.")).to_be_visible()
    expect(reply_box(page)).to_have_value("Half a sentence")
    assert [] == engine.rows("SELECT 1 FROM messages WHERE body = 'Half a sentence'")


# -- taking over from the bot --------------------------------------------------------------------------------------


def test_a_conversation_of_the_bot_is_found_and_taken_over(page: Page, engine: Engine) -> None:
    """From the list of the bot's conversations to an answer of one's own; the bot is silent until the ticket closes."""
    person = Person(engine)
    engine.text(person.phone, "what are your hours")
    log_in(page, engine)
    page.get_by_role("link", name=re.compile("Talking to the bot")).click()
    open_ticket(page, person)
    expect(page.locator(".thread-head")).to_contain_text("Talking to the bot")
    expect(page.locator(".refusal")).to_contain_text("The bot answers here.")
    expect(reply_box(page)).to_be_disabled()

    page.keyboard.press("t")

    expect(page.locator(".thread-head")).to_contain_text("yours")
    expect(page.locator(".thread")).to_contain_text("Taken over from the bot: ticket T")
    expect(reply_box(page)).to_be_focused()
    reply_box(page).fill("Max here, I saw your question.")
    page.get_by_role("button", name="Send").click()
    person.receives("Max here, I saw your question.")
    asked = engine.text(person.phone, "what are your hours")
    assert ("silent", []) == (asked["decision"], asked["replies"])
    page.get_by_role("button", name="Close ticket").click()
    page.get_by_role("dialog").get_by_role("button", name="Close ticket").click()
    expect(page.get_by_role("button", name="Take over from the bot")).to_be_visible()
    assert "bot" == engine.text(person.phone, "what are your hours")["decision"]


def test_a_conversation_that_gets_a_ticket_while_it_is_looked_at_shows_it(page: Page, engine: Engine) -> None:
    """The bot hands over by itself: the open page turns into the ticket without a reload."""
    person = Person(engine)
    engine.text(person.phone, "what are your hours")
    log_in(page, engine)
    page.get_by_role("link", name=re.compile("Talking to the bot")).click()
    open_ticket(page, person)

    person.ask()

    expect(page.locator(".thread-head")).to_contain_text("Asked for a person")
    expect(reply_box(page)).to_be_enabled()
    expect(page.get_by_role("button", name="Assign to me")).to_be_visible()


# -- finding -------------------------------------------------------------------------------------------------------


def test_search_finds_names_numbers_and_words(page: Page, engine: Engine) -> None:
    """A name, digits of a number, a word of any text or the ticket's own number; the counts follow."""
    ann = Person(engine, "Ann Searchable").ask()
    bob = Person(engine, "Bob Hidden").ask()
    engine.send(ann.phone, "it is about the crimson umbrella, 100% sure")
    (ticket,) = engine.rows(
        "SELECT t.number FROM tickets t JOIN conversations c ON c.id = t.conversation_id WHERE c.contact_id = %s",
        ann.id,
    )
    log_in(page, engine)

    national = f"{ann.phone[2:5]}) {ann.phone[5:8]}-{ann.phone[8:]}"
    for words in ("searchable", "crimson UMBRELLA", "100%", national, ann.phone, f"T{ticket['number']}"):
        page.get_by_label("Search by name, number or words").fill(words)
        page.keyboard.press("Enter")
        page.wait_for_url("**q=**")
        expect(row(page, ann)).to_be_visible()
        expect(row(page, bob)).to_have_count(0)
        expect(page.locator("#filter-open .count")).to_have_text("1")
    page.get_by_label("Search by name, number or words").fill("nothing has these words")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(row(page, bob)).to_be_visible()


def test_assigning_moves_a_ticket_to_mine(page: Page, engine: Engine) -> None:
    """What nobody had is mine after one press, and in its filter."""
    person = Person(engine).ask()
    log_in(page, engine)
    page.get_by_role("link", name=re.compile("Unassigned")).click()
    open_ticket(page, person)

    page.get_by_role("button", name="Assign to me").click()

    expect(page.locator(".thread-head")).to_contain_text("yours")
    expect(row(page, person)).to_have_count(0)
    page.get_by_role("link", name=re.compile("Mine")).click()
    expect(row(page, person)).to_be_visible()


def test_back_forward_and_reload_show_what_the_address_says(page: Page, engine: Engine) -> None:
    """A filter and a ticket are part of the address."""
    person = Person(engine).ask()
    log_in(page, engine)
    page.get_by_role("link", name=re.compile("Unassigned")).click()
    open_ticket(page, person)
    page.go_back()
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    page.go_forward()
    page.reload()

    expect(page.get_by_role("heading", name=person.name)).to_be_visible()
    expect(page.locator("#filter-unassigned")).to_have_attribute("aria-current", "page")


def test_what_a_contact_writes_is_never_markup(page: Page, engine: Engine) -> None:
    """Names and texts are shown as they are; with the page's policy nothing of them runs."""
    nasty = '<img src=x onerror=alert(1)><b>bold</b> & "quoted"'
    person = Person(engine, f"Eve {nasty}")
    page.on("dialog", lambda dialog: pytest.fail("a script of a contact ran"))
    person.ask()
    engine.text(person.phone, nasty)
    log_in(page, engine)

    open_ticket(page, person)

    expect(page.locator('.text[data-author="contact"] .bubble').last).to_contain_text(nasty)
    expect(page.locator("h2").first).to_contain_text(nasty)
    assert 0 == page.locator(".thread-pane img, .list-pane b").count()


# -- the composer's counter ----------------------------------------------------------------------------------------


def test_the_counter_agrees_with_what_will_be_billed(page: Page, engine: Engine) -> None:
    """The browser's measure and the engine's give the same encoding, units and parts for every kind of text."""
    samples = ["", "a", "é€~", "a" * 160, "a" * 161, "a" * 159 + "€", "a" * 152 + "€" + "b" * 40, "ж" * 70, "ж" * 71]
    samples += [
        "👍" * 35,
        "👍" * 36,
        "a" * 66 + "👍" + "b" * 66,
        "line\nbreak",
        "“quoted” … – \u00a0",
        "\t",
        "ñ" * 400,
        "á",
    ]
    log_in(page, engine)

    found = page.evaluate(
        """async (samples) => {
            const { measure, plain } = await import("/static/measure.js");
            return samples.map((sample) => {
                const { encoding, units, parts } = measure(plain(sample));
                return [encoding, units, parts];
            });
        }""",
        samples,
    )

    assert [list(text.measure(text.plain(sample))) for sample in samples] == found


def test_the_counter_tells_parts_and_what_makes_them_dear(page: Page, engine: Engine) -> None:
    """Agents see parts while they type, and which character turns the text into UCS-2."""
    person = Person(engine).ask()
    log_in(page, engine)
    open_ticket(page, person)

    reply_box(page).fill("Hello")
    expect(page.locator("[data-size]")).to_have_text("1 part, 5 of 160, GSM-7")
    reply_box(page).fill("Hello “you”…")
    expect(page.locator("[data-size]")).to_have_text("1 part, 14 of 160, GSM-7")
    reply_box(page).fill("Olá, " + "a" * 70)
    expect(page.locator("[data-size]")).to_have_text("2 parts, 75 of 134, UCS-2 because of á")


# -- without a mouse, without script, for everybody ----------------------------------------------------------------


def test_everything_works_by_keyboard_alone(page: Page, engine: Engine) -> None:
    """From the search to the closed ticket without a mouse."""
    person = Person(engine, "Kay Board").ask()
    log_in(page, engine)
    keys = page.keyboard

    keys.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    keys.press("/")
    keys.type("kay board")
    keys.press("Enter")
    page.wait_for_url("**q=kay**", wait_until="load")
    keys.press("j")
    expect(page.get_by_role("heading", name=person.name)).to_be_visible()
    page.wait_for_load_state()
    keys.press("a")
    expect(page.locator(".thread-head")).to_contain_text("yours")
    keys.press("r")
    expect(reply_box(page)).to_be_focused()
    keys.type("Typed, not clicked: jk?/")
    keys.press("Control+Enter")
    expect(agent_texts(page)).to_contain_text("Typed, not clicked: jk?/")
    keys.press("Escape")
    keys.press("e")
    expect(page.get_by_role("dialog", name="Close this ticket?")).to_be_visible()
    keys.press("Tab")
    expect(page.locator("#close-now")).to_be_focused()
    keys.press("Enter")

    expect(page.locator(".refusal")).to_contain_text("This ticket is closed.")
    person.receives("Typed, not clicked: jk?/")


def test_everything_works_without_script(chromium: Browser, engine: Engine) -> None:
    """Links and forms alone: find, take, answer, close."""
    person = Person(engine).ask()
    context = chromium.new_context(base_url=engine.base_url, java_script_enabled=False)
    page = context.new_page()
    log_in(page, engine)
    open_ticket(page, person, scripted=False)

    page.get_by_role("button", name="Assign to me").click()
    expect(page.locator(".thread-head")).to_contain_text("yours")
    reply_box(page).fill("Plain forms do.")
    page.get_by_role("button", name="Send").click()
    expect(agent_texts(page)).to_contain_text("Plain forms do.")
    page.get_by_role("button", name="Close ticket").click()

    expect(page.locator(".refusal")).to_contain_text("This ticket is closed.")
    person.receives("Plain forms do.")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in to Parley")).to_be_visible()
    context.close()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_and_everything_fits(page: Page, engine: Engine, viewport: dict[str, int]) -> None:
    """Login, list, ticket, refused ticket, empty search, dialog and error, light and dark, on a desk and on a phone."""
    person, out = Person(engine).ask(), Person(engine).ask()
    engine.send(person.phone, "https://example.com/" + "a-very-long-address" * 12)
    engine.text(out.phone, "STOP")
    page.set_viewport_size(viewport)  # type: ignore[arg-type]  # a ViewportSize
    page.goto("/console/")
    checked(page)
    page.get_by_label("Email").fill("nobody@example.com")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    checked(page)
    log_in(page, engine)
    checked(page)
    page.keyboard.press("?")
    checked(page)
    page.keyboard.press("Escape")
    page.goto("/console/?q=nothing+has+these+words")
    checked(page)
    for who in (person, out):
        page.goto("/console/")
        open_ticket(page, who)
        checked(page)
    talking = Person(engine)
    engine.text(talking.phone, "what are your hours")
    page.goto("/console/?filter=bot")
    checked(page)
    open_ticket(page, talking)
    checked(page)
    page.goto("/nowhere")
    checked(page)


def checked(page: Page) -> None:
    """One page, held to both."""
    assert_fits(page)
    assert_accessible(page)


def test_on_a_phone_one_pane_is_shown_at_a_time(page: Page, engine: Engine) -> None:
    """List, then conversation, then contact, each with a way back."""
    person = Person(engine).ask()
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a ViewportSize
    log_in(page, engine)
    shown = page.locator(".pane:visible")
    expect(shown).to_have_count(1)
    open_ticket(page, person)
    expect(shown).to_have_count(1)
    expect(reply_box(page)).to_be_in_viewport()
    page.get_by_role("link", name="What is known of the contact").click()
    expect(page.get_by_text("Next booking")).to_be_visible()
    expect(shown).to_have_count(1)
    page.get_by_role("link", name="Back to the conversation").click()
    expect(reply_box(page)).to_be_visible()
    page.get_by_role("link", name="Back to the list").click()

    expect(row(page, person)).to_be_visible()
    expect(shown).to_have_count(1)


def test_the_chosen_theme_is_remembered(page: Page, engine: Engine) -> None:
    """One press changes it, a reload keeps it."""
    page.emulate_media(color_scheme="light")
    log_in(page, engine)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Use the dark theme").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()

    assert light != dark
    assert dark == page.evaluate("getComputedStyle(document.body).backgroundColor")
