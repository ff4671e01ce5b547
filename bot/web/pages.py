"""What all pages share: templates and their filters, security headers, and errors in words; it decides nothing else."""

import hashlib
import logging
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import phonenumbers
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import accounts, clock
from bot.accounts import Visitor
from bot.shop import bookings
from bot.web import access
from bot.web.access import LoginNeeded
from bot.web.state import parley

log = logging.getLogger(__name__)
FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self';"
        " worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # The address of a booking page is the permission to change the booking.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
#: A file asked for by its content's hash cannot change for a day's visit; any other is asked again, by its ETag.
_STATIC_FRESH = "public, max-age=86400"
_STATIC_ASK = "no-cache"


# -- rendering -----------------------------------------------------------------------------------------------------


def render(
    request: Request, template: str, visitor: Visitor | None = None, status: int = 200, **context: object
) -> HTMLResponse:
    """A page. `zone` in the context (a ZoneInfo) is what times are shown in; without it, UTC."""
    body = _environment.get_template(template).render(
        {
            "visitor": visitor,
            "csrf": visitor.csrf if visitor is not None else "",
            "path": request.url.path,
            "simulator": visitor is not None and parley(request).settings.carrier == "simulator",
            "moved": moved_words(clock.moved()),
            "zone": ZoneInfo("UTC"),
            **context,
        }
    )
    return HTMLResponse(body, status)


def is_fragment(request: Request) -> bool:
    """Whether a script asks for a part of a page, to put it where the old part was."""
    return request.headers.get("X-Fragment") == "1"


async def visitor_of(request: Request) -> Visitor | None:
    """Who is logged in in this browser, for pages that are open to everybody; None where nobody is."""
    token = access.token_of(request)
    if not token:
        return None
    async with parley(request).db.begin() as session:
        return await accounts.visitor(session, token)


def static_url(name: str) -> str:
    """The address of a file in static/, with its content's hash, so that a new version is fetched at once."""
    path = STATIC / name
    stamp = path.stat().st_mtime_ns
    if _hashes.get(name, (0, ""))[0] != stamp:
        _hashes[name] = (stamp, hashlib.sha256(path.read_bytes()).hexdigest()[:12])
    return f"/static/{name}?v={_hashes[name][1]}"


_hashes: dict[str, tuple[int, str]] = {}


def phone(number: str) -> str:
    """A number for people: "(202) 555-0100" at home, "+44 20 7946 0018" abroad; a short code as it is."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    home = parsed.country_code == 1
    kind = phonenumbers.PhoneNumberFormat.NATIONAL if home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(parsed, kind)


def moved_words(ahead: timedelta) -> str:
    """How far the clock was moved, in its two largest units: "1 day 2 h ahead"; empty where it was not."""
    minutes = round(abs(ahead).total_seconds() / 60)
    if minutes < 1:
        return ""
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    units = ((days, "day" if days == 1 else "days"), (hours, "h"), (minutes, "min"))
    told = [f"{count} {unit}" for count, unit in units if count]
    return f"{' '.join(told[:2])} {'ahead' if ahead > timedelta(0) else 'behind'}"


def _day_words(moment: datetime, today: datetime) -> str:
    days = (today.date() - moment.date()).days
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    year = f", {moment.year}" if moment.year != today.year else ""
    return f"{moment:%A, %b} {moment.day}{year}"


def _time(moment: datetime, words: str) -> Markup:
    exact = f"{moment:%a %b} {moment.day}, {moment.year} at {bookings.clock_words(moment)} {moment:%Z}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(timespec="seconds"), exact, words)


@pass_context
def _clock_time(context: Context, moment: datetime) -> Markup:
    """The time of day, the exact instant on hover."""
    local = moment.astimezone(context["zone"])
    return _time(local, bookings.clock_words(local))


@pass_context
def _day(context: Context, moment: datetime) -> Markup:
    """Today, Yesterday, or the date."""
    zone = context["zone"]
    local = moment.astimezone(zone)
    return _time(local, _day_words(local, clock.now().astimezone(zone)))


@pass_context
def _ago(context: Context, moment: datetime) -> Markup:
    """How long ago, in the two or three characters a list has room for; the date once it is a week old."""
    zone = context["zone"]
    local, now = moment.astimezone(zone), clock.now().astimezone(zone)
    minutes = int((now - local).total_seconds() // 60)
    if minutes < 1:
        words = "now"
    elif minutes < 60:
        words = f"{minutes} min"
    elif minutes < 24 * 60:
        words = f"{minutes // 60} h"
    elif minutes < 7 * 24 * 60:
        words = f"{minutes // (24 * 60)} d"
    else:
        words = f"{local:%b} {local.day}" + (f", {local.year}" if local.year != now.year else "")
    return _time(local, words)


@pass_context
def _date_time(context: Context, moment: datetime) -> Markup:
    """Day and time in one, as texts say it: "Fri Nov 27 at 2:00 PM"."""
    zone = context["zone"]
    return _time(moment.astimezone(zone), bookings.when_words(moment, zone, clock.now()))


def _make_environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(phone=phone, clock_time=_clock_time, day=_day, ago=_ago, date_time=_date_time)
    made.globals["static_url"] = static_url
    return made


_environment = _make_environment()


# -- what every answer carries -------------------------------------------------------------------------------------


class _Headers:
    """Adds the security headers to every answer; plain ASGI, because BaseHTTPMiddleware holds back event streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message), scope["path"], scope["query_string"])
            await send(message)

        await self._app(scope, receive, with_headers)


def _add_headers(headers: MutableHeaders, path: str, query: bytes) -> None:
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    if path.startswith("/static/"):
        headers["Cache-Control"] = _STATIC_FRESH if query.startswith(b"v=") else _STATIC_ASK
    else:
        headers.setdefault("Cache-Control", "no-store")


# -- errors in words -----------------------------------------------------------------------------------------------

_MACHINES = ("/internal/", "/webhooks/", "/healthz", "/readyz")
_WORDS = {
    400: "That request could not be understood. Go back and try again.",
    403: "You may not do that.",
    404: "There is no such page. Check the address, or begin at the start.",
    405: "That address takes no such request. Begin at the start.",
    422: "There is no such page. Check the address, or begin at the start.",
    500: "Something failed on our side; the log says what. Try again in a moment.",
}


async def _answer(request: Request, status: int, words: str) -> Response:
    """One error, as JSON for machines, as a small piece for scripts of ours, as a page for people."""
    if request.url.path.startswith(_MACHINES):
        return JSONResponse({"detail": words}, status)
    if is_fragment(request):
        return HTMLResponse(Markup('<p class="problem" role="alert">{}</p>').format(words), status)
    # Not after a failure of our own: whatever failed may fail again.
    visitor = await visitor_of(request) if status < 500 else None
    heading = _TITLES.get(status, HTTPStatus(status).phrase.capitalize())
    return render(request, "error.html", visitor, status, heading=heading, words=words)


_TITLES = {
    403: "Not allowed",
    404: "Nothing here",
    405: "Nothing here",
    413: "Too much",
    422: "Nothing here",
    500: "Something failed",
}


async def _on_http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, StarletteHTTPException)
    if exc.status_code in (204, 304):
        return Response(status_code=exc.status_code, headers=exc.headers)
    bare = exc.detail in ("", HTTPStatus(exc.status_code).phrase)
    words = _WORDS.get(exc.status_code, exc.detail) if bare else str(exc.detail)
    response = await _answer(request, exc.status_code, words)
    for name, value in (exc.headers or {}).items():
        response.headers[name] = value
    return response


async def _on_invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    if request.url.path.startswith(_MACHINES):
        wrong = "; ".join(f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors())
        return JSONResponse({"detail": wrong}, 422)
    return await _answer(request, 404, _WORDS[404])


async def _on_login_needed(request: Request, exc: Exception) -> Response:
    streams = "text/event-stream" in request.headers.get("Accept", "")
    if is_fragment(request) or streams:
        words = Markup('<p class="problem" role="alert">You are logged out. <a href="/login">Log in again</a>.</p>')
        return HTMLResponse(words, 401)
    if request.method not in ("GET", "HEAD"):
        return RedirectResponse("/login", 303)
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"/login?next={quote(request.url.path + query, safe='/')}", 303)


async def _on_failure(request: Request, exc: Exception) -> Response:
    # Starlette answers these outside every middleware, so the headers are added here; it logs the traceback itself.
    response = await _answer(request, 500, _WORDS[500])
    _add_headers(response.headers, request.url.path, b"")
    return response


async def home(request: Request) -> Response:
    """The start: the console, or for those who answer no tickets the review queue or the simulator."""
    visitor = await visitor_of(request)
    if visitor is not None and visitor.designs and not visitor.answers:
        return RedirectResponse("/console/review", 303)
    simulator = visitor is not None and not visitor.answers and parley(request).settings.carrier == "simulator"
    return RedirectResponse("/simulator/" if simulator else "/console/", 303)


def install(app: FastAPI) -> None:
    """Give an application the headers, the errors in words and the start page."""
    app.add_middleware(_Headers)
    app.add_exception_handler(LoginNeeded, _on_login_needed)
    app.add_exception_handler(StarletteHTTPException, _on_http)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_failure)
    app.add_api_route("/", home, dependencies=[Depends(access.public)])
