"""Takes the screenshots under docs/ from a running demo engine, after a short exchange that it types like a person.

    python scripts/screenshots.py --data-dir .parley
    python scripts/screenshots.py --url http://127.0.0.1:8080 --email you@example.com --password …

It adds two contacts and what an exchange changes (a booking is offered other times, a ticket is opened), and wants an
engine with the demo's people.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Error, Page, Playwright, TimeoutError, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
WIDE, NARROW = (1280, 800), (360, 740)
#: Who is made for the pictures: one whose ticket waits, one who moves a booking.
WAITING, BOOKED = "Nora Lund", "Vera Stone"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: A reading takes well under a second; the first one after a start may take longer.
ANSWER_MS = 30_000
QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",
)


class Trouble(Exception):
    """Why there are no screenshots, in words for the person who wanted them."""


def main() -> None:
    """Take all of them; ends with a sentence where that fails."""
    options = parse()
    try:
        email, password = login_of(options)
        options.out.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = launch(playwright)
            try:
                shoot(browser, options.url.rstrip("/"), email, password, options.out)
            finally:
                browser.close()
    except (Trouble, TimeoutError, Error) as exc:
        sys.exit(f"screenshots: {str(exc).splitlines()[0]}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Screenshots for docs/ from a running demo engine.")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="where the engine's pages are")
    parser.add_argument("--email", help="a login that answers tickets")
    parser.add_argument("--password", help="its password")
    parser.add_argument(
        "--data-dir", type=Path, default=Path(".parley"), help="where first-login.json is, without --email"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots", help="folder of the pictures")
    return parser.parse_args()


def login_of(options: argparse.Namespace) -> tuple[str, str]:
    """Email and password, from the command line or the engine's first login."""
    if options.email and options.password:
        return options.email, options.password
    path = options.data_dir / "first-login.json"
    try:
        kept = json.loads(path.read_text())
    except OSError as exc:
        raise Trouble(f"{path} cannot be read ({exc.strerror}); give --data-dir, or --email and --password") from exc
    return kept["email"], kept["password"]


def launch(playwright: Playwright) -> Browser:
    """Playwright's own Chromium, else the one on the PATH."""
    arguments = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    own = Path(playwright.chromium.executable_path)
    found = str(own) if own.exists() else next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        raise Trouble("there is no Chromium; run `playwright install chromium` or install your system's")
    return playwright.chromium.launch(executable_path=found, args=arguments)


# -- the exchange --------------------------------------------------------------------------------------------------


def shoot(browser: Browser, url: str, email: str, password: str, out: Path) -> None:
    """Play the exchange and take every picture on the way."""
    with opened(browser, f"{url}/login") as page:
        both(page, out, "login")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(lambda found: "/login" not in found)

        ticket = hand_over(page, url)
        link = reschedule(page, url)
        both(page, out, "simulator")
        picture(page, out / "simulator-phone.png", NARROW)
        page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
        page.locator("summary", has_text="Texting as").click()
        both(page, out, "simulator-people")
        page.goto(page.get_by_role("link", name="Save as test").evaluate("link => link.href"))
        both(page, out, "simulator-test")

        page.goto(f"{url}/console/?filter=bot")
        page.get_by_role("link", name=BOOKED).first.click()
        page.locator("[data-thread] .text").first.wait_for()
        both(page, out, "console-bot")
        page.goto(ticket)
        page.locator("[data-thread] .text").first.wait_for()
        both(page, out, "console")
        picture(page, out / "console-phone.png", NARROW)
        design(page, url, out)
    # A customer's browser: nobody is logged in.
    with opened(browser, link) as page:
        both(page, out, "booking")


def design(page: Page, url: str, out: Path) -> None:
    """What designers see: texts to label, the models there are, and the report of the latest that has one."""
    for name in ("review", "models"):
        page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
        page.goto(f"{url}/console/{name}")
        both(page, out, name)
        picture(page, out / f"{name}-phone.png", NARROW)
    report = page.locator("a[href^='/console/models/']").first
    if report.count():
        page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
        report.click()
        page.wait_for_url("**/console/models/*")
        both(page, out, "report")


def hand_over(page: Page, url: str) -> str:
    """Somebody asks for a person; the address of their ticket in the console."""
    become(page, url, WAITING)
    say(page, "what time do u open sat")
    say(page, "can I talk to a real person please, it's about an allergy")
    ticket = page.locator("#engine a[href*='ticket=']").first.get_attribute("href")
    if ticket is None:
        raise Trouble("asking for a person opened no ticket")
    return f"{url}{ticket}"


def reschedule(page: Page, url: str) -> str:
    """The shop confirms a booking and its contact moves it; the link of that booking."""
    become(page, url, BOOKED)
    before = answers(page)
    page.get_by_role("button", name="Booking confirmation").click()
    answered(page, before)
    say(page, "can u move my appt to next tues after 3")
    link = page.locator("#texts a[href*='/b/']").first.get_attribute("href")
    if link is None:
        raise Trouble("the booking confirmation carries no link")
    return link


def become(page: Page, url: str, name: str) -> None:
    """Text as a new contact of this name, with a booking and an order on its way."""
    page.goto(f"{url}/simulator/")
    page.locator("summary", has_text="Texting as").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("With an order").select_option("shipped")
    page.get_by_label("With a booking").check()
    page.get_by_role("button", name="Use this number").click()
    page.locator("summary", has_text=name).wait_for()
    page.locator("html[data-script=ready]").wait_for()


def say(page: Page, words: str) -> None:
    """Text the shop and wait for its answer."""
    before = answers(page)
    field = page.get_by_role("textbox", name="Text to")
    field.fill(words)
    field.press("Enter")
    answered(page, before)


def answers(page: Page) -> int:
    """How many texts of the shop are on the phone."""
    return page.locator("#texts .sms:is(.bot, .shop, .agent)").count()


def answered(page: Page, before: int) -> None:
    """Wait for a further text of the shop, delivered and told by the engine."""
    page.wait_for_function(
        "before => document.querySelectorAll('#texts .sms:is(.bot, .shop, .agent)').length > before"
        " && !document.querySelector('#texts [data-key=waiting]')"
        " && document.querySelector('#engine .entry .sent .tag')?.textContent === 'Delivered'",
        arg=before,
        timeout=ANSWER_MS,
    )


# -- pictures ------------------------------------------------------------------------------------------------------


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """A page of a browser nobody has used, one pixel a pixel."""
    width, height = WIDE
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=1, reduced_motion="reduce", locale="en-US"
    )
    try:
        page = context.new_page()
        try:
            page.goto(address)
        except Error as exc:
            raise Trouble(f"{address} does not answer; start the engine with ./parley up") from exc
        yield page
    finally:
        context.close()


def both(page: Page, out: Path, name: str) -> None:
    """One picture in light, one in dark."""
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        picture(page, out / f"{name}-{scheme}.png", WIDE)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")


def picture(page: Page, path: Path, size: tuple[int, int]) -> None:
    """The window as it is, at this size, without caret and motion."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.mouse.move(0, size[1] - 1)
    page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    page.evaluate("document.getElementById('texts')?.scrollTo(0, 1e6)")
    page.screenshot(path=path, animations="disabled")
    sys.stdout.write(f"{path} ({path.stat().st_size // 1024} KB)\n")


if __name__ == "__main__":
    main()
