"""The review queue in a real browser: by click, by keyboard, without script, on a phone, and taught from the thread."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bot import accounts
from bot.insight import examples
from bot.settings import ROOT
from tests.browser.conftest import PHONE, aside, assert_accessible, assert_fits, live, log_in
from tests.engine import Engine

pytestmark = pytest.mark.xdist_group("engine")

PASSWORD = "a long enough password"
QUEUE = "/console/review"


@pytest.fixture(scope="module")
def data(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A scratch copy of data/, which the engine's pages add to, and Dee who designs."""
    folder = Path(shutil.copytree(ROOT / "data", tmp_path_factory.mktemp("scratch") / "data"))
    aside(engine.run, lambda session: accounts.create(session, "dee@example.com", "Dee Signer", "designer", PASSWORD))
    engine.restart("web", PARLEY_EXAMPLES_DIR=str(folder))
    engine.wait_ready()
    yield folder
    engine.restart("web")
    engine.wait_ready()


@pytest.fixture
def designer(page: Page, data: Path) -> Page:
    """A page with Dee logged in."""
    page.goto(f"/login?next={QUEUE}")
    page.get_by_label("Email").fill("dee@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{QUEUE}")
    return page


def text(engine: Engine, words: str) -> str:
    """A contact texts what the engine does not understand; the message's id."""
    turn = engine.text(aside(engine.new_contact)[1], words)
    return str(turn["message_id"])


def taught(folder: Path, words: str) -> list[str]:
    """The intents that have this example."""
    return [example.intent for example in examples.read(folder).find(words)]


def look_at(page: Page, message_id: str) -> None:
    """Open a text of the queue."""
    page.goto(f"{QUEUE}?text={message_id}")
    live(page)


def test_a_text_is_labelled_by_one_click_and_taken_back(designer: Page, engine: Engine, data: Path) -> None:
    """The line in data/ is shown as a diff; undo takes it out again."""
    id_ = text(engine, "zorp my florble grumbit")
    look_at(designer, id_)
    designer.locator(".suggestion").first.click()

    expect(designer.locator("#told")).to_contain_text("Added to")
    expect(designer.locator("#told .diff .added")).to_contain_text("- zorp my florble grumbit")
    assert 1 == len(taught(data, "zorp my florble grumbit"))
    expect(designer.locator(f"#line-{id_}")).to_have_count(0)

    designer.locator("#undo").click()
    expect(designer.locator("#told")).to_contain_text("Taken back")
    expect(designer.locator(f"#line-{id_}")).to_have_attribute("aria-current", "true")
    assert [] == taught(data, "zorp my florble grumbit")


def test_the_whole_queue_is_worked_by_keyboard(designer: Page, engine: Engine, data: Path) -> None:
    """A number marks a label, Enter accepts it, s skips, u undoes, j and k move, ? tells the keys."""
    first, second = text(engine, "plib zank order wobbix"), text(engine, "quag nerfle money blorbix")
    text(engine, "drimble fosh parcel yunk")
    look_at(designer, first)
    second_label = designer.locator("#suggestion-2").get_attribute("value")
    designer.keyboard.press("2")
    expect(designer.locator("#suggestion-2")).to_be_focused()
    designer.keyboard.press("Enter")
    expect(designer.locator("#told")).to_contain_text("Added to")
    assert [second_label] == taught(data, "plib zank order wobbix")

    designer.keyboard.press("u")
    expect(designer.locator("#told")).to_contain_text("Taken back")
    designer.keyboard.press("s")
    expect(designer.locator("#told")).to_contain_text("Skipped")
    expect(designer.locator(f"#line-{first}")).to_have_count(0)

    look_at(designer, second)
    there = designer.locator(".line[aria-current]").get_attribute("id")
    designer.keyboard.press("k" if designer.locator("li:last-child > .line[aria-current]").count() else "j")
    expect(designer.locator(".line[aria-current]")).not_to_have_id(str(there))
    designer.keyboard.press("?")
    expect(designer.get_by_role("dialog", name="Keys")).to_be_visible()


def test_enter_accepts_what_stands_in_the_example(designer: Page, engine: Engine, data: Path) -> None:
    """Another wording and a meaning of the whole list, without the mouse."""
    look_at(designer, text(engine, "snizzle wuppet 77123 krang"))
    expect(designer.get_by_label("Goes into the training data as")).to_have_value("snizzle wuppet 28475 krang")
    designer.keyboard.press("e")
    designer.get_by_label("Goes into the training data as").fill("snizzle wuppet for my birthday")
    designer.get_by_label("Another meaning").select_option("praise")
    designer.get_by_label("Another meaning").press("Enter")

    expect(designer.locator("#told")).to_contain_text("Added to praise in data/people.yml")
    assert ["praise"] == taught(data, "snizzle wuppet for my birthday")


def test_a_conflict_is_shown_before_and_moved_by_one_key(designer: Page, engine: Engine, data: Path) -> None:
    """The example of another intent is named with its place; nothing changes until it is moved."""
    look_at(designer, text(engine, "vrimp zoodle kwax"))
    example = designer.get_by_label("Goes into the training data as")
    example.fill("what are your hours")
    designer.get_by_label("Another meaning").select_option("ask_shop")
    designer.locator("#other-add").click()

    expect(designer.get_by_role("alert")).to_contain_text("is an example of ask hours already (shop.yml, line")
    expect(designer.locator("#move")).to_be_focused()
    assert ["ask_hours"] == taught(data, "what are your hours")
    designer.keyboard.press("Enter")
    expect(designer.locator("#told .diff .removed")).to_contain_text("- What are your hours")
    assert ["ask_shop"] == taught(data, "what are your hours")
    designer.keyboard.press("u")
    expect(designer.locator("#told")).to_contain_text("Taken back")
    assert ["ask_hours"] == taught(data, "what are your hours")


def test_an_agents_correction_appears_in_the_queue(
    chromium: Browser, page: Page, designer: Page, engine: Engine, data: Path
) -> None:
    """One click in the thread: marked there at once, first in the designer's queue, in no file yet."""
    phone = aside(engine.new_contact, "Tia Taught")[1]
    engine.text(phone, "thanks so much")
    context = chromium.new_context(base_url=engine.base_url)
    agent = context.new_page()
    log_in(agent, engine, "/console/?filter=bot")
    agent.get_by_role("link", name="Tia Taught").click()
    live(agent)
    agent.locator("a[data-teach]").click()
    expect(agent.get_by_role("dialog", name="What did they mean?")).to_be_visible()
    assert_accessible(agent)
    agent.get_by_role("button", name="praise").click()

    expect(agent.locator(".taught")).to_contain_text("Corrected to praise, waits for review")
    context.close()
    designer.goto(QUEUE)
    expect(designer.locator(".line").first).to_contain_text("Agent corrected")
    expect(designer.locator(".suggestion").first).to_contain_text("Max Agent says")
    expect(designer.locator(".heard")).to_have_text("thanks so much")


def test_without_script_everything_still_works(chromium: Browser, engine: Engine, data: Path) -> None:
    """Forms post and links lead."""
    id_ = text(engine, "brindle snock parzle")
    context = chromium.new_context(base_url=engine.base_url, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/login?next={QUEUE}")
    page.get_by_label("Email").fill("dee@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.goto(f"{QUEUE}?text={id_}")
    page.locator(".suggestion").first.click()
    expect(page.locator("#told")).to_contain_text("Added to")
    assert 1 == len(taught(data, "brindle snock parzle"))
    page.locator("#undo").click()
    expect(page.locator("#told")).to_contain_text("Taken back")
    context.close()


def test_pages_are_accessible_and_fit_a_phone(designer: Page, engine: Engine) -> None:
    """Queue, text, result, conflict and history: axe finds nothing, nothing is cut off at 360 pixels."""
    id_ = text(engine, "grolph 646-555-0199 tuffle")
    for path in (QUEUE, f"{QUEUE}?text={id_}", f"{QUEUE}?state=labelled", f"{QUEUE}?state=skipped", f"{QUEUE}/history"):
        designer.goto(path)
        assert_accessible(designer)
        designer.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a ViewportSize
        assert_fits(designer)
        assert_accessible(designer)
        designer.set_viewport_size({"width": 1280, "height": 800})
    look_at(designer, id_)
    designer.get_by_label("Goes into the training data as").fill("hello")
    designer.get_by_label("Another meaning").select_option("ask_shop")
    designer.locator("#other-add").click()
    expect(designer.locator("#move")).to_be_visible()
    assert_accessible(designer)
    designer.locator("#skip").click()
    expect(designer.locator("#told")).to_be_visible()
    assert_accessible(designer)
