"""The page behind a booking link: who has the link may confirm or cancel that one booking, and nobody can do more."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from bot import clock
from bot.app import create_app
from bot.db import Database
from bot.settings import Settings, load_secrets
from bot.shop import bookings, links
from bot.tables import Booking, Contact, Effect, PageEvent
from bot.values import Reschedule, Span

#: Numbers whose last digits stand nowhere else on the page.
_numbers = itertools.count(2125557391)
MOVED = "This booking was changed since you opened the page."


@dataclass(frozen=True)
class Page:
    """One booking's page in the real app, asked without a browser."""

    http: httpx.AsyncClient
    db: Database
    booking_id: UUID
    path: str
    start: datetime

    async def get(self) -> httpx.Response:
        """Open it."""
        return await self.http.get(self.path)

    async def post(self, act: str, start: datetime | None = None) -> httpx.Response:
        """Press a button of a page that showed this start, by default the one it was made with."""
        return await self.http.post(f"{self.path}/{act}", data={"start": (start or self.start).isoformat()})

    async def status(self) -> str:
        """The booking's status in the database."""
        async with self.db.begin() as session:
            return (await session.get_one(Booking, self.booking_id)).status

    async def effects(self) -> list[Effect]:
        """Everything that was logged as changed."""
        async with self.db.begin() as session:
            return list(await session.scalars(select(Effect).order_by(Effect.id)))


async def book(db: Database, start: datetime, staff: str = "rosa") -> UUID:
    """A booking of a contact nobody else is."""
    async with db.begin() as session:
        contact = Contact(id=uuid4(), phone=f"+1{next(_numbers)}", phone_hash=uuid4().hex, created_at=clock.now())
        session.add(contact)
        await session.flush()
        resource = (await bookings.resource_ids(session))[staff]
        return (await bookings.book(session, contact.id, "fitting", resource, start, clock.now())).id


@pytest.fixture
async def page(db: Database, app_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Page]:
    """The page of a booking two days from now."""
    settings = Settings(data_dir=tmp_path, database_url=app_url, redis_url=redis_url)
    start = (clock.now() + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
    booking_id = await book(db, start)
    link = links.booking_link(booking_id, settings.base_url, load_secrets(settings).link_key)
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=settings.base_url) as http,
    ):
        yield Page(http, db, booking_id, link.removeprefix(settings.base_url), start)


async def test_the_link_shows_the_booking_and_nothing_of_its_contact(page: Page) -> None:
    """Brand, service, staff, place and address are there; the contact's number is not; nobody need log in."""
    async with page.db.begin() as session:
        phone = await session.scalar(select(Contact.phone))

    response = await page.get()

    assert response.status_code == 200
    for words in ("Juniper Lane", "Shoe fitting with Rosa", "Elm Street", "14 Elm Street, New York", "CHANGE"):
        assert words in response.text
    assert phone is not None
    assert phone[-4:] not in response.text.replace(page.path, "")
    assert "set-cookie" not in response.headers
    assert "noindex, nofollow" == response.headers["x-robots-tag"]


@pytest.mark.parametrize("place", [0, 10, 25, 36])
async def test_an_altered_link_opens_nothing_and_changes_nothing(page: Page, place: int) -> None:
    """Any other character anywhere in the token is 404 in words, for looking and for pressing."""
    token = page.path.removeprefix("/b/")
    other = "A" if token[place] != "A" else "B"
    forged = f"/b/{token[:place]}{other}{token[place + 1 :]}"

    looked = await page.http.get(forged)
    pressed = await page.http.post(f"{forged}/cancel", data={"start": page.start.isoformat()})

    assert (404, 404) == (looked.status_code, pressed.status_code)
    assert "This link opens no booking" in looked.text
    assert await page.status() == "booked"


@pytest.mark.parametrize("token", ["x", "%00", "é", "A" * 38, "A" * 4000])
async def test_what_was_never_a_link_is_answered_in_words(page: Page, token: str) -> None:
    """Nonsense in the address is 404, never a failure."""
    response = await page.http.get(f"/b/{token}")

    assert response.status_code == 404


async def test_looking_changes_nothing(page: Page) -> None:
    """A link preview may fetch every address of the page; nothing is confirmed or cancelled by it."""
    answers = [await page.http.get(page.path + more) for more in ("", "/confirm", "/cancel")]

    assert [200, 405, 405] == [answer.status_code for answer in answers]
    assert await page.status() == "booked"
    assert await page.effects() == []


@pytest.mark.parametrize(
    ("act", "status", "kind"),
    [("confirm", "confirmed", "booking.confirmed"), ("cancel", "cancelled", "booking.cancelled")],
)
async def test_a_button_changes_the_booking_once_however_often_it_is_pressed(
    page: Page, act: str, status: str, kind: str
) -> None:
    """The change is written with before and after, open pages hear of it, and a second press is calm."""
    first = await page.post(act)
    second = await page.post(act)
    shown = await page.get()
    effects = await page.effects()
    async with page.db.begin() as session:
        heard = list(await session.scalars(select(PageEvent.topic)))

    assert (303, 303) == (first.status_code, second.status_code)
    assert page.path == first.headers["location"]
    assert status == await page.status()
    assert status.capitalize() in shown.text
    assert [(kind, "page")] == [(effect.kind, effect.actor) for effect in effects]
    assert ("booked", status) == ((effects[0].before or {})["status"], (effects[0].after or {})["status"])
    assert heard == ["booking"]


async def test_presses_at_the_same_moment_change_it_once(page: Page) -> None:
    """A button pressed five times at once writes one effect; every press is answered calmly."""
    answers = await asyncio.gather(*(page.post("confirm") for _ in range(5)))

    assert [303] * 5 == [answer.status_code for answer in answers]
    assert len(await page.effects()) == 1


async def test_a_booking_that_moved_is_shown_again_not_changed(page: Page) -> None:
    """A button pressed on a page with the old time changes nothing and says that the time is another one now."""
    later = page.start + timedelta(hours=3)
    async with page.db.begin() as session:
        view = await bookings.get(session, page.booking_id)
        assert view is not None
        span = Span(resource_id=view.resource_id, start=later, end=later + timedelta(minutes=30))
        moved = Reschedule(booking_id=view.id, expected_start=page.start, to=span)
        await bookings.apply(session, view.contact_id, moved, clock.now())

    stale = await page.post("cancel")
    fresh = await page.post("confirm", later)

    assert stale.status_code == 409
    assert MOVED in stale.text
    assert fresh.status_code == 303
    assert await page.status() == "confirmed"


@pytest.mark.parametrize("start", ["", "soon", "2026-11-27T14:00:00"])
async def test_a_press_without_the_time_it_saw_changes_nothing(page: Page, start: str) -> None:
    """No start, or one that is no instant, counts as a page that is out of date."""
    response = await page.http.post(f"{page.path}/confirm", data={"start": start})

    assert response.status_code == 409
    assert await page.status() == "booked"


async def test_a_cancelled_booking_cannot_be_confirmed(page: Page) -> None:
    """It stays cancelled, the page says so and how to reach the shop, and offers no button."""
    await page.post("cancel")

    pressed = await page.post("confirm")
    shown = await page.get()

    assert pressed.status_code == 409
    assert "cancelled already" in pressed.text
    assert await page.status() == "cancelled"
    assert "<button" not in shown.text.split('<article class="booking">')[1]
    assert "(312) 555-0142" in shown.text
    assert "(202) 555-0199" in shown.text


async def test_a_booking_that_has_begun_has_no_buttons(page: Page) -> None:
    """What has begun is neither confirmed nor cancelled, by button or by a form kept from before."""
    begun = clock.now() - timedelta(minutes=1)
    async with page.db.begin() as session:
        booking = await session.get_one(Booking, page.booking_id)
        booking.starts_at, booking.ends_at = begun, begun + timedelta(minutes=30)

    shown = await page.get()
    pressed = await page.post("cancel", begun)

    assert "has begun or is over" in shown.text
    assert "<button" not in shown.text.split('<article class="booking">')[1]
    assert pressed.status_code == 409
    assert await page.status() == "booked"


async def test_nobody_elses_booking_is_touched(page: Page) -> None:
    """One link is one booking: another contact's at the same hour stays as it was."""
    other = await book(page.db, page.start, "theo")

    await page.post("cancel")

    async with page.db.begin() as session:
        kept = await bookings.get(session, other)
    assert kept is not None
    assert ("booked", page.start) == (kept.status, kept.starts_at)
