"""The whole round of a designer on a real engine: label, train, be refused, mend, publish, hear it, roll back.

The shop's data are twelve examples of every meaning, so that a training takes seconds; nothing else is made small.
"""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from bot import client
from bot.settings import ROOT, Settings
from tests.browser.conftest import PHONE, WIDE, assert_accessible, assert_fits
from tests.up import Up, until

pytestmark = pytest.mark.xdist_group("round")

#: Examples kept of each block of them.
EACH = 12
#: No held-out text, and no example; what the shop's customers say for "are you open".
WORDS = "is the roller shutter up yet"
PATIENCE_MS = 120_000
TRUE = """\
- name: asks for a person
  given: {}
  steps:
    - text: let me talk to a person
      decision: ticket
      intent: ask_human
      effects: [ticket.opened]
      says: …
"""
UNTRUE = """\
- name: is not true of this shop, with any model
  given: {}
  steps:
    - text: let me talk to a person
      decision: silent
"""


class Round(Up):
    """An `up` on a small shop's data, held-out texts and conversations."""

    def __init__(self, home: Path) -> None:
        self.data, self.conversations = home / "data", home / "conversations"
        small(ROOT / "data", self.data)
        self.conversations.mkdir()
        texts = yaml.safe_load((ROOT / "nlu" / "tests" / "heldout.yml").read_text())
        (home / "heldout.yml").write_text(yaml.safe_dump({intent: some[::3] for intent, some in texts.items()}))
        super().__init__(
            PARLEY_MODELS_DIR=str(home / "models"),
            PARLEY_EXAMPLES_DIR=str(self.data),
            PARLEY_CONVERSATIONS_DIR=str(self.conversations),
            PARLEY_HELDOUT_FILE=str(home / "heldout.yml"),
            PARLEY_DEMO="false",
        )
        self.number = 0

    def says(self, words: str) -> dict[str, Any]:
        """Somebody new texts these words; what came of it."""
        engine = client.connect(Settings(data_dir=self.folder, port=self.port), self.port)
        self.number += 1
        turn = engine.turn(engine.text(words, f"+1212555{self.number:04}", engine.sender_number), 30)
        engine.close()
        return turn


def small(data: Path, folder: Path) -> None:
    """The first examples of each block, and everything else, rules and patterns, as it is."""
    folder.mkdir()
    for path in data.glob("*.yml"):
        kept, count = [], 0
        for line in path.read_text().splitlines(keepends=True):
            count = 0 if line.startswith("  - intent:") else count
            example = line.startswith("      - ") and "intent:" not in line and "action:" not in line
            count += example
            if not example or count <= EACH:
                kept.append(line)
        (folder / path.name).write_text("".join(kept))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Round]:
    """An engine that has trained its first model and answers."""
    started = Round(tmp_path_factory.mktemp("round"))
    try:
        until(lambda: "Ctrl-C stops it." in started.output() and started.ready(), 150)
        yield started
    finally:
        started.end()


@pytest.fixture
def page(chromium: Browser, shop: Round) -> Iterator[Page]:
    """A page with the first login, on the models."""
    login = re.search(r"Login +(\S+) +(\S+)", shop.output())
    assert login is not None
    context = chromium.new_context(base_url=f"http://127.0.0.1:{shop.port}", viewport=WIDE)  # type: ignore[arg-type]  # a ViewportSize
    wrong: list[str] = []
    context.on("page", lambda opened: opened.on("pageerror", lambda error: wrong.append(str(error))))
    page = context.new_page()
    page.goto("/login?next=/console/review")
    page.get_by_label("Email").fill(login[1])
    page.get_by_label("Password").fill(login[2])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/console/review")
    yield page
    context.close()
    assert [] == wrong


def spoil(data: Path) -> None:
    """Every hello an example of goodbye and the other way round; done twice, as it was."""
    path = data / "smalltalk.yml"
    content = path.read_text()
    for old, new in (("greet", "half way"), ("bye", "greet"), ("half way", "bye")):
        content = content.replace(f"  - intent: {old}\n", f"  - intent: {new}\n", 1)
    path.write_text(content)


def assert_looks_right(page: Page) -> None:
    """Axe finds nothing and nothing is cut off, on a desk and on a phone."""
    for viewport in (WIDE, PHONE):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]  # a ViewportSize
        assert_accessible(page)
        assert_fits(page)
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]  # a ViewportSize


def test_a_label_changes_the_answer_after_training_and_a_roll_back_takes_it_back(page: Page, shop: Round) -> None:
    """Review, label, train, refused, mended, accepted, published: the live answer changes, and one click undoes it."""
    before = shop.says(WORDS)
    assert "ask_hours" != before["intent"]
    hello = shop.says("good morning")["replies"]

    # One label by the queue, and a mistake of somebody who edits files.
    page.goto(f"/console/review?text={before['message_id']}")
    page.locator("#other").select_option("ask_hours")
    page.locator("#other-add").click()
    expect(page.locator("#told")).to_contain_text("Added to ask hours")
    spoil(shop.data)
    page.goto("/console/models")
    desk = page.locator("#desk")
    expect(desk).to_contain_text(re.compile(r"Since the live model: 1 example added, \d+ examples moved"))
    page.get_by_text("Show them").click()
    expect(desk.locator(".diff .added")).to_contain_text(WORDS)
    assert_looks_right(page)

    # Refused, though the page's own process is killed meanwhile.
    page.get_by_role("button", name="Train and evaluate").click()
    expect(desk.locator(".steps [aria-current]")).to_contain_text("Training", timeout=PATIENCE_MS)
    assert_looks_right(page)
    web = shop.pids()["web"]
    os.kill(web, signal.SIGKILL)
    until(lambda: shop.pids().get("web", web) != web and shop.ready(), 30)
    expect(desk.locator(".steps")).to_contain_text("Held-out texts", timeout=PATIENCE_MS)
    expect(desk.locator(".verdict.red")).to_contain_text("Refused", timeout=PATIENCE_MS)
    expect(desk.locator(".reasons")).to_contain_text("greet is read right")
    expect(page.get_by_role("button", name="Publish")).to_have_count(0)
    refused = page.locator("tr", has=page.get_by_text("Refused", exact=True)).get_by_role("link").inner_text()
    token = page.locator('meta[name="csrf-token"]').get_attribute("content")
    answer = page.request.post(f"/console/models/{refused}/publish", form={"csrf": str(token)})
    assert httpx.codes.CONFLICT == answer.status
    assert hello == shop.says("good morning")["replies"]
    assert_looks_right(page)

    # Mended, accepted; a conversation that comes out otherwise with the live model as well counts for nothing.
    spoil(shop.data)
    for name, content in (("true", TRUE), ("untrue", UNTRUE)):
        (shop.conversations / f"{name}.yml").write_text(content)
    page.reload()
    page.get_by_role("button", name="Train and evaluate").click()
    expect(desk.locator(".steps")).to_contain_text("Golden conversations", timeout=PATIENCE_MS)
    page.get_by_role("button", name=re.compile("Publish [0-9a-f]{16}")).click(timeout=PATIENCE_MS)
    expect(desk).to_contain_text("Admin published it", timeout=PATIENCE_MS)
    after = shop.says(WORDS)
    assert ("ask_hours", "bot") == (after["intent"], after["decision"])
    assert_looks_right(page)

    # And back.
    page.get_by_role("button", name=re.compile("Roll back to [0-9a-f]{16}")).click()
    expect(desk).to_contain_text("Admin went back to it", timeout=PATIENCE_MS)
    again = shop.says(WORDS)
    assert (before["intent"], before["decision"]) == (again["intent"], again["decision"])
