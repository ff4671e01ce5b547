"""The booking page in a browser, from the link in the confirmation text to the change the engine shows."""

import itertools
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock
from bot.shop import bookings, links
from bot.values import Reschedule, Span
from tests.browser.conftest import PHONE, aside, assert_accessible, assert_fits, log_in
from tests.engine import Engine

pytestmark = pytest.mark.xdist_group("engine")

#: Each test books an hour nobody else of this engine has.
FAR = datetime(2027, 3, 3, 15, 0, tzinfo=ZoneInfo("America/New_York"))
weeks = itertools.count()


def booked(engine: Engine) -> tuple[UUID, str, str]:
    """A contact's booking: its id, the contact's number, and the link to its page."""
    contact, phone = aside(engine.new_contact, "Ann")
    booking = aside(engine.book, contact, "alteration", "theo", FAR + timedelta(weeks=next(weeks)))
    return booking, phone, links.booking_link(booking, engine.base_url, engine.secrets.link_key)


async def move(session: AsyncSession, booking_id: UUID) -> None:
    """Move the booking an hour later."""
    view = await bookings.get(session, booking_id)
    assert view is not None
    later = view.starts_at + timedelta(hours=1)
    span = Span(resource_id=view.resource_id, start=later, end=view.ends_at + timedelta(hours=1))
    change = Reschedule(booking_id=view.id, expected_start=view.starts_at, to=span)
    await bookings.apply(session, view.contact_id, change, clock.now())


def status(engine: Engine, booking: UUID) -> str:
    """The booking's status in the database."""
    return str(engine.rows("SELECT status FROM bookings WHERE id = %s", booking)[0]["status"])


def test_the_texts_link_opens_the_booking_and_confirms_it(page: Page, engine: Engine) -> None:
    """From the phone's confirmation text to the page, one press, and the simulator tells of it without a reload."""
    booking, phone, _ = booked(engine)
    log_in(page, engine, "/simulator/")
    page.goto(f"/simulator/?phone={phone.replace('+', '%2B')}")
    page.get_by_role("button", name="Booking confirmation").click()
    link = page.locator("#texts a[href*='/b/']")
    expect(link).to_be_visible(timeout=30_000)

    with page.expect_popup() as opening:
        link.click()
    tab = opening.value
    expect(tab.get_by_role("article")).to_contain_text("Please confirm")
    tab.get_by_role("button", name="Confirm booking").click()

    expect(tab.get_by_role("article")).to_contain_text("Confirmed")
    expect(tab.get_by_role("button", name="Confirm booking")).to_have_count(0)
    expect(page.locator("#engine .entry[open]")).to_contain_text("Changed on the page of the booking link.")
    assert status(engine, booking) == "confirmed"


def test_cancelling_is_asked_once_more(page: Page, engine: Engine) -> None:
    """The first press only asks, by keyboard too; the second cancels, and the page says how to reach the shop."""
    booking, _, link = booked(engine)
    page.goto(link)
    sure = page.get_by_role("button", name="Yes, cancel it")

    expect(sure).to_be_hidden()
    page.locator("summary", has_text="Cancel booking").focus()
    page.keyboard.press("Enter")
    expect(sure).to_be_visible()
    assert status(engine, booking) == "booked"
    page.keyboard.press("Tab")
    expect(sure).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_role("article")).to_contain_text("This booking is cancelled.")
    expect(page.get_by_role("article")).to_contain_text("(312) 555-0142")
    assert status(engine, booking) == "cancelled"


def test_a_page_left_open_while_the_booking_moved_changes_nothing(page: Page, engine: Engine) -> None:
    """The press shows the booking anew, with its new time and a sentence."""
    booking, _, link = booked(engine)
    page.goto(link)
    aside(engine.run, lambda session: move(session, booking))

    page.get_by_role("button", name="Confirm booking").click()

    expect(page.get_by_role("alert")).to_contain_text("was changed since you opened the page")
    expect(page.get_by_role("heading")).to_contain_text("4:00 PM")
    assert status(engine, booking) == "booked"


def test_it_has_no_accessibility_violations_and_fits_a_phone(page: Page, engine: Engine) -> None:
    """At 360 pixels, light and dark: booked, asked once more, confirmed, cancelled, and a wrong link."""
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a ViewportSize
    page.emulate_media(reduced_motion="reduce")  # colours halfway between two themes are nobody's
    _, _, link = booked(engine)

    def check() -> None:
        assert_accessible(page)
        assert_fits(page)

    page.goto(link)
    check()
    page.locator("summary", has_text="Cancel booking").click()
    check()
    page.get_by_role("button", name="Confirm booking").click()
    check()
    page.locator("summary", has_text="Cancel booking").click()
    page.get_by_role("button", name="Yes, cancel it").click()
    check()
    page.goto(f"{link[:-4]}AAAA")
    check()
