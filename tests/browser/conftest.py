"""A real Chromium for the pages, and what every page is held to: no script error, axe without violations, no clipping.

Playwright keeps an event loop running in the thread that started it, so a browser lives no longer than its module, and
what runs a loop of its own (everything that goes through Engine.run) is called with `aside`.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.engine import Engine

P = ParamSpec("P")
T = TypeVar("T")

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
#: Nothing is fetched but the pages; no sandbox as root, as Chromium demands.
QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
#: The longest anything may take to appear, in milliseconds.
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser found on the PATH."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path is not None, "No chromium and no google-chrome on the PATH; install one to test the pages."
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, *root])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, engine: Engine) -> Iterator[BrowserContext]:
    """A browser nobody has used, at the engine's address; a script error or refused file in any page fails the test."""
    context = chromium.new_context(base_url=engine.base_url, viewport=WIDE)  # type: ignore[arg-type]  # a ViewportSize
    context.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: _note(message, wrong))

    context.on("page", watch)
    yield context
    context.close()
    assert [] == wrong


def _note(message: ConsoleMessage, wrong: list[str]) -> None:
    # What the network does (a 401, a server that is down) is what some tests are about.
    if message.type == "error" and "Failed to load resource" not in message.text:
        wrong.append(message.text)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A page with nobody logged in."""
    return context.new_page()


def log_in(page: Page, engine: Engine, path: str = "/console/") -> None:
    """Log in as the engine's agent and arrive at `path`."""
    email, password = engine.login
    page.goto(f"/login?next={path}")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{path}")


def live(page: Page) -> None:
    """Return when the page's script has taken over its forms; what is pressed before loads the page anew."""
    expect(page.locator("html[data-script=ready]")).to_be_attached()


def aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something that runs an event loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *args, **kwargs).result()


def assert_accessible(page: Page) -> None:
    """Axe finds nothing at all, in the light theme and in the dark one."""
    for scheme in ("light", "dark"):
        # Without motion, so that no colour is caught halfway between the two.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found: list[dict[str, Any]] = Axe().run(page).response["violations"]
        told = [f"{item['id']} at {[node['target'] for node in item['nodes'][:3]]}" for item in found]

        assert (scheme, []) == (scheme, told)
    page.emulate_media(color_scheme=None, reduced_motion=None)


def assert_fits(page: Page) -> None:
    """Nothing scrolls sideways, nothing that can be pressed lies outside the window."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    outside = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), textarea, select")]
            .filter((item) => item.checkVisibility({visibilityProperty: true}) && !item.matches(".skip"))
            .map((item) => [item.getBoundingClientRect(), item.outerHTML.slice(0, 80)])
            .filter(([box]) => box.width && (box.left < 0 || box.right > innerWidth + 0.5))
            .map(([box, html]) => html)"""
    )

    assert (0, []) == (wide, outside)
