"""Who may call a route: each declares exactly one of public, session, internal, signed; nothing is open by omission.

It renders no page; what a browser sees when it is turned away is decided in bot.web.pages.
"""

import hashlib
import secrets
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext
from starlette.routing import BaseRoute

from bot import accounts
from bot.accounts import Visitor
from bot.settings import Settings
from bot.text import clean
from bot.web.state import parley

#: The longest form any page sends, in bytes: 1,600 characters of four bytes, percent-encoded, and room to spare.
MAX_FORM_BYTES = 64 * 1024
_SAFE = ("GET", "HEAD", "OPTIONS")


class LoginNeeded(Exception):
    """Nobody is logged in in this browser."""


# -- the four accesses ---------------------------------------------------------------------------------------------


async def public() -> None:
    """Open to everybody, on purpose."""


async def signed() -> None:
    """The handler itself verifies the caller's signature before it reads anything else."""


async def internal(request: Request) -> None:
    """Only who knows the engine's internal token; 403 otherwise."""
    given = request.headers.get("Authorization", "")
    wanted = f"Bearer {parley(request).secrets.internal_token}"
    if not secrets.compare_digest(given.encode(), wanted.encode()):
        raise HTTPException(403, "This route is private to the engine.")


class session:  # noqa: N801  # reads as a verb's object where routes use it: Depends(access.session())
    """Only somebody logged in, in one of `roles` where any are named; what changes something needs the form token too.

    Calling it returns the Visitor. Raises LoginNeeded, or HTTPException 403 in words for people.
    """

    def __init__(self, *roles: str) -> None:
        self.roles = roles

    async def __call__(self, request: Request) -> Visitor:
        """Who calls."""
        state = parley(request)
        async with state.db.begin() as transaction:
            visitor = await accounts.visitor(transaction, token_of(request))
        if visitor is None:
            raise LoginNeeded
        if self.roles and visitor.role not in self.roles:
            raise HTTPException(403, f"Your role is {visitor.role}; this needs {' or '.join(self.roles)}.")
        if request.method not in _SAFE:
            await _check_form_token(request, visitor.csrf)
        return visitor


#: Anybody logged in.
anyone: Final = session()
#: Those who answer tickets.
agent: Final = session("agent", "admin")
#: Those who decide what the bot learns.
designer: Final = session("designer", "admin")


def declared(route: BaseRoute | RouteContext) -> set[str]:
    """The accesses a route declares, its router's included, by name; a route is right with exactly one.

    fastapi.routing.iter_route_contexts gives every route of an application with what its router adds.
    """
    dependant: Dependant | None = getattr(route, "dependant", None)
    return _declared(dependant) if dependant is not None else set()


def _declared(dependant: Dependant) -> set[str]:
    named: dict[Any, str] = {public: "public", signed: "signed", internal: "internal"}
    call = dependant.call
    found = {"session"} if isinstance(call, session) else {named[call]} if call in named else set()
    return found.union(*(_declared(inner) for inner in dependant.dependencies))


# -- what a browser sends ------------------------------------------------------------------------------------------


def cookie_name(settings: Settings) -> str:
    """The session cookie's name, another for each engine: cookies are shared by all ports of a host."""
    return f"parley_{hashlib.sha256(settings.base_url.encode()).hexdigest()[:8]}"


def token_of(request: Request) -> str | None:
    """The session token this browser sent."""
    return request.cookies.get(cookie_name(parley(request).settings))


async def form(request: Request) -> dict[str, str]:
    """The fields of a form, control characters taken out, the last of a repeated one; raises HTTPException 413."""
    kept: dict[str, str] | None = getattr(request.state, "form", None)
    if kept is not None:
        return kept
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise HTTPException(413, "That is more than this form takes.")
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
    request.state.form = {clean(name): clean(value) for name, value in pairs}
    found: dict[str, str] = request.state.form
    return found


async def _check_form_token(request: Request, wanted: str) -> None:
    given = request.headers.get("X-CSRF-Token") or (await form(request)).get("csrf", "")
    if not secrets.compare_digest(given.encode(), wanted.encode()):
        raise HTTPException(403, "This form is from an earlier login. Go back, reload the page and try again.")
