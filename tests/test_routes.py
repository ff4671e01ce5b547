"""Every door of the web process: who may enter, what each answer carries, and how somebody logs in and out."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import iter_route_contexts

from bot import accounts, live
from bot.app import create_app
from bot.db import Database
from bot.settings import Settings
from bot.web import access, login, pages
from bot.web.console import views

PUBLIC = {"GET /", "GET /healthz", "GET /readyz", "GET /login", "POST /login"}
SIGNED = {
    "POST /webhooks/twilio/sms",
    "POST /webhooks/twilio/status",
    "GET /b/{token}",
    "POST /b/{token}/confirm",
    "POST /b/{token}/cancel",
}
#: Files for browsers, the same for everybody.
MOUNTS = {"/static"}
ANN, PASSWORD = "ann@example.com", "a long enough password"
BASE = "http://127.0.0.1:8080"


def settings(folder: Path, **more: Any) -> Settings:
    """Settings of an engine that stands alone."""
    return Settings(data_dir=folder, carrier="simulator", port=8080, **more)


def routes(app: FastAPI) -> dict[str, set[str]]:
    """The accesses each route declares, by method and path; mounts are left out."""
    return {
        f"{method} {route.path}": access.declared(route)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if method != "HEAD"
    }


# -- who may enter -------------------------------------------------------------------------------------------------


def test_every_route_declares_exactly_one_access(tmp_path: Path) -> None:
    """A route that says nothing, or two things, of who may call it is a mistake."""
    found = routes(create_app(settings(tmp_path)))

    assert {} == {name: declared for name, declared in found.items() if len(declared) != 1}
    assert len(found) > 20


def test_what_is_open_to_everybody_is_open_on_purpose(tmp_path: Path) -> None:
    """Public routes, those with a signature of their own, and mounts are exactly the ones listed here."""
    app = create_app(settings(tmp_path))
    found = routes(app)
    mounts = {route.path for route in iter_route_contexts(app.routes) if route.methods is None}

    assert PUBLIC == {name for name, declared in found.items() if declared == {"public"}}
    assert SIGNED == {name for name, declared in found.items() if declared == {"signed"}}
    assert MOUNTS == mounts


def test_without_the_simulator_carrier_there_is_no_simulator(tmp_path: Path) -> None:
    """With a real carrier nobody can play a contact."""
    app = create_app(
        Settings(data_dir=tmp_path, carrier="twilio", twilio_account_sid="AC" + "1" * 32, twilio_auth_token="t" * 32)
    )

    assert [] == [name for name in routes(app) if "/simulator" in name]


@pytest.fixture
async def app(app_url: str, db: Database, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """The real application on a real database, with Ann who answers tickets and Dee who designs."""
    async with db.begin() as session:
        await accounts.create(session, ANN, "Ann Agent", "agent", PASSWORD)
        await accounts.create(session, "dee@example.com", "Dee Signer", "designer", PASSWORD)
    made = create_app(settings(tmp_path, database_url=app_url))
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody's browser, with nobody logged in."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


async def log_in(
    browser: httpx.AsyncClient, email: str = ANN, password: str = PASSWORD, onward: str = ""
) -> httpx.Response:
    """Fill in the login page and send it."""
    page = await browser.get("/login", params={"next": onward})
    return await browser.post(
        "/login", data={"form": field(page, "form"), "next": onward, "email": email, "password": password}
    )


def field(page: httpx.Response, name: str) -> str:
    """The value of a hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, f"no field {name} in {page.text[:300]}"
    return found[1]


@pytest.mark.parametrize("path", ["/console/", "/simulator/"])
async def test_without_a_session_pages_lead_to_the_login_and_back(browser: httpx.AsyncClient, path: str) -> None:
    """Nobody logged in is sent to /login, which knows where they wanted to go."""
    answer = await browser.get(path, params={"q": "a b"})
    there = await log_in(browser, onward=f"{path}?q=a+b")

    assert (303, f"/login?next={path}%3Fq%3Da%2Bb") == (answer.status_code, answer.headers["location"])
    assert (303, f"{path}?q=a+b") == (there.status_code, there.headers["location"])


@pytest.mark.parametrize(
    "headers", [{"X-Fragment": "1"}, {"Accept": "text/event-stream"}], ids=["fragment", "event stream"]
)
async def test_without_a_session_scripts_are_told_so(browser: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """A script gets 401 and a sentence, never a login page to put into another page."""
    answer = await browser.get("/events", headers=headers)

    assert answer.status_code == 401
    assert "You are logged out." in answer.text
    assert "<html" not in answer.text


async def test_a_role_that_answers_no_tickets_is_refused_in_words(browser: httpx.AsyncClient) -> None:
    """A designer reads why the console is not for them, and the start leads them elsewhere."""
    await log_in(browser, "dee@example.com")
    console = await browser.get("/console/")
    start = await browser.get("/")

    assert console.status_code == 403
    assert "Your role is designer; this needs agent or admin." in console.text
    assert start.headers["location"] == "/console/review"


async def test_the_private_side_wants_the_engines_token(browser: httpx.AsyncClient) -> None:
    """A login is no token: /internal answers 403 in JSON to anybody else."""
    await log_in(browser)
    answer = await browser.post("/internal/shop-texts", json={"phone": "+12025550100", "kind": "rating"})

    assert (403, {"detail": "This route is private to the engine."}) == (answer.status_code, answer.json())


# -- what each answer carries --------------------------------------------------------------------------------------


async def breaks() -> None:
    """Fail as a bug would."""
    raise RuntimeError("the inside of it")


async def test_every_kind_of_answer_carries_the_security_headers(app: FastAPI, browser: httpx.AsyncClient) -> None:
    """Pages, redirects, refusals, failures, JSON and files: none is without, and pages are never kept."""
    app.add_api_route("/breaks", breaks, dependencies=[Depends(access.public)])
    answers = {
        "page": await browser.get("/login"),
        "redirect": await browser.get("/console/"),
        "refusal": await browser.post("/login", data={}),
        "missing": await browser.get("/nowhere"),
        "method": await browser.delete("/login"),
        "failure": await browser.get("/breaks"),
        "json": await browser.get("/readyz"),
        "private": await browser.get("/internal/messages"),
        "webhook": await browser.post("/webhooks/twilio/sms", data={"Body": "hi"}),
        "booking": await browser.get("/b/forged"),
        "file": await browser.get("/static/parley.css"),
        "no file": await browser.get("/static/nothing.css"),
    }
    statuses = [200, 303, 403, 404, 405, 500, 503, 403, 403, 404, 200, 404]

    assert statuses == [answer.status_code for answer in answers.values()]
    for name, answer in answers.items():
        assert (
            pages.SECURITY_HEADERS.items() <= {key: answer.headers.get(key) for key in pages.SECURITY_HEADERS}.items()
        ), name
        if not name.endswith("file"):
            assert "no-store" == answer.headers["cache-control"], name


async def test_a_failure_shows_words_and_no_traceback(app: FastAPI, browser: httpx.AsyncClient) -> None:
    """What broke stays in the log."""
    app.add_api_route("/breaks", breaks, dependencies=[Depends(access.public)])
    answer = await browser.get("/breaks")

    assert "Something failed on our side" in answer.text
    assert "the inside of it" not in answer.text
    assert "Traceback" not in answer.text


async def test_files_are_kept_by_their_contents(browser: httpx.AsyncClient) -> None:
    """A file asked for by its hash may be kept; any other is asked for again and answered with 304."""
    page = await browser.get("/login")
    found = re.search(r'href="(/static/parley\.css\?v=[0-9a-f]{12})"', page.text)
    assert found is not None
    kept = await browser.get(found[1])
    asked = await browser.get("/static/parley.css")
    again = await browser.get("/static/parley.css", headers={"If-None-Match": asked.headers["etag"]})

    assert "public, max-age=86400" == kept.headers["cache-control"]
    assert ("no-cache", 304) == (asked.headers["cache-control"], again.status_code)


async def test_no_page_has_a_script_or_style_of_its_own(browser: httpx.AsyncClient) -> None:
    """The policy forbids them, so a page that had one would be broken."""
    login_page = await browser.get("/login")
    await log_in(browser)
    for page in (login_page, await browser.get("/console/"), await browser.get("/nowhere")):
        assert [] == re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page.text)


async def test_pages_are_small(browser: httpx.AsyncClient) -> None:
    """The console with everything it loads stays under 100 KB before its data."""
    await log_in(browser)
    page = await browser.get("/console/")
    files = {"/static/events.js", "/static/measure.js", "/static/page.js", "/static/events-worker.js"}
    files |= set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
    size = len(page.content) + sum([len((await browser.get(name)).content) for name in files])

    assert len(files) > 6
    assert size < 100_000


# -- logging in and out --------------------------------------------------------------------------------------------


async def test_the_session_cookie_is_for_the_browser_alone(browser: httpx.AsyncClient, tmp_path: Path) -> None:
    """HttpOnly, SameSite=Lax, for the whole site, not Secure on plain loopback."""
    answer = await log_in(browser)
    (cookie,) = [
        line
        for line in answer.headers.get_list("set-cookie")
        if line.startswith(access.cookie_name(settings(tmp_path)) + "=")
    ]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}

    assert {"httponly", "samesite=lax", "path=/", f"max-age={accounts.SESSION_DAYS * 86400}"} == parts


async def test_over_https_the_cookies_are_secure(app_url: str, db: Database, tmp_path: Path) -> None:
    """Behind a public https address no cookie travels in the clear."""
    async with db.begin() as session:
        await accounts.create(session, ANN, "Ann Agent", "agent", PASSWORD)
    made = create_app(settings(tmp_path, database_url=app_url, public_url="https://texts.example.com"))
    transport = httpx.ASGITransport(made)
    async with (
        made.router.lifespan_context(made),
        httpx.AsyncClient(transport=transport, base_url="https://texts.example.com") as client,
    ):
        shown = await client.get("/login")
        answer = await log_in(client)

    cookies = [*shown.headers.get_list("set-cookie"), *answer.headers.get_list("set-cookie")]
    assert len(cookies) == 3
    assert [] == [cookie for cookie in cookies if "Max-Age=0" not in cookie and "; Secure" not in cookie]


async def test_a_wrong_password_keeps_the_email_and_says_nothing_more(browser: httpx.AsyncClient) -> None:
    """The same words whether the email is known or not."""
    known = await log_in(browser, password="not the password")
    unknown = await log_in(browser, "nobody@example.com", "not the password")
    words = "That email and password do not belong together. Check both and try again."

    assert (401, 401) == (known.status_code, unknown.status_code)
    assert words in known.text
    assert words in unknown.text
    assert f'value="{ANN}"' in known.text
    assert "not the password" not in known.text


async def test_guessing_is_slowed(browser: httpx.AsyncClient) -> None:
    """After five failures even the right password waits, and the page says how long."""
    for _ in range(accounts.FAILURES):
        await log_in(browser, password="a wrong password")
    answer = await log_in(browser)

    assert (429, "900") == (answer.status_code, answer.headers["retry-after"])
    assert "Too many failed logins. Wait 15 minutes" in answer.text


async def test_a_login_form_of_another_site_is_refused(browser: httpx.AsyncClient) -> None:
    """Without the token this browser was given with the page nobody is logged in."""
    await browser.get("/login")
    forged = await browser.post("/login", data={"email": ANN, "password": PASSWORD, "form": "made up"})
    inside = await browser.get("/console/")

    assert (403, 303) == (forged.status_code, inside.status_code)
    assert f'value="{ANN}"' in forged.text


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "evil",
        "",
        "/a\r\nSet-Cookie: a=b",
        "/login?next=/login",
        "/logout",
    ],
)
async def test_the_login_leads_to_this_site_only(browser: httpx.AsyncClient, wanted: str) -> None:
    """Any address but a path of ours is replaced by the start."""
    answer = await log_in(browser, onward=wanted)

    assert (303, "/") == (answer.status_code, answer.headers["location"])
    assert login.local_path("/console/?filter=mine") == "/console/?filter=mine"


async def test_logging_out_ends_the_session_everywhere(browser: httpx.AsyncClient) -> None:
    """The token is worth nothing afterwards, even to somebody who kept the cookie."""
    await log_in(browser)
    kept = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    page = await browser.get("/console/")
    out = await browser.post("/logout", data={"csrf": field(page, "csrf")})
    again = await browser.get("/console/", headers={"Cookie": kept})

    assert (200, 303, 303) == (page.status_code, out.status_code, again.status_code)
    assert again.headers["location"].startswith("/login")


@pytest.mark.parametrize("given", [{}, {"csrf": "made up"}])
async def test_a_form_without_its_token_changes_nothing(browser: httpx.AsyncClient, given: dict[str, str]) -> None:
    """A form another site sends in this browser's name is refused with 403, and the session stands."""
    await log_in(browser)
    refused = await browser.post("/logout", data=given)
    page = await browser.get("/console/")

    assert (403, 200) == (refused.status_code, page.status_code)
    assert "This form is from an earlier login." in refused.text


# -- the event stream ----------------------------------------------------------------------------------------------


async def test_the_stream_carries_ids_and_resumes_where_it_ended(
    app: FastAPI, browser: httpx.AsyncClient, db: Database
) -> None:
    """An event reaches an open stream with its headers; one missed in between comes first after a reconnect."""
    await log_in(browser)
    first = Listener(app, browser)
    await first.hear("retry: 1000")
    async with db.begin() as session:
        live.publish(session, "ticket")
    heard = await first.hear("event: ticket")
    await first.leave()
    async with db.begin() as session:
        live.publish(session, "message")
    last = re.findall(r"^id: (\S+)$", heard, re.MULTILINE)[-1]
    second = Listener(app, browser, last)
    missed = await second.hear("event: message")
    await second.leave()

    assert "text/event-stream; charset=utf-8" == first.headers["content-type"]
    assert pages.SECURITY_HEADERS["Content-Security-Policy"] == first.headers["content-security-policy"]
    assert 'data: {"conversation_id": null, "ticket_id": null}' in heard
    assert "event: ticket" not in missed


class Listener:
    """A browser's event stream, spoken to as a server does; httpx's own transport waits for the end of an answer."""

    def __init__(self, app: FastAPI, browser: httpx.AsyncClient, last: str | None = None) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        headers = [(b"cookie", cookies.encode())] + ([(b"last-event-id", last.encode())] if last else [])
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "path": "/events",
            "raw_path": b"/events",
            "query_string": b"",
            "headers": headers,
            "scheme": "http",
            "server": ("127.0.0.1", 8080),
            "client": ("127.0.0.1", 50000),
        }
        self.headers: dict[str, str] = {}
        self._text = ""
        self._more = asyncio.Event()
        self._gone = asyncio.Event()
        self._begun = False
        self._task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self._begun:
            self._begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.headers = {key.decode(): value.decode() for key, value in message["headers"]}
        else:
            self._text += message.get("body", b"").decode()
            self._more.set()

    async def hear(self, wanted: str) -> str:
        """Everything heard so far, once `wanted` is in it."""
        async with asyncio.timeout(10):
            while f"{wanted}\n" not in self._text:
                self._more.clear()
                await self._more.wait()
        return self._text

    async def leave(self) -> None:
        """Close the browser; the stream must end by itself."""
        self._gone.set()
        async with asyncio.timeout(5):
            await self._task


# -- words for people ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, words",
    [
        ("+12025550100", "(202) 555-0100"),
        ("+442079460018", "+44 20 7946 0018"),
        ("72345", "72345"),
    ],
)
def test_numbers_are_written_for_people(number: str, words: str) -> None:
    """At home without the country, abroad with it, a short code as it is."""
    assert words == pages.phone(number)


@pytest.mark.parametrize(
    "wanted, found",
    [("mine", "mine"), ("closed", "closed"), ("", "open"), ("DROP TABLE", "open")],
)
def test_an_unknown_filter_shows_what_is_open(wanted: str, found: str) -> None:
    """An address somebody mistyped still shows who waits."""
    assert found == views.filter_of(wanted)


async def test_an_empty_inbox_says_what_will_be_here(browser: httpx.AsyncClient) -> None:
    """Nobody waits on the first day, and the page says so."""
    await log_in(browser)
    page = await browser.get("/console/")

    assert "Nobody is waiting" in page.text
