"""Logging in and out in a browser; who may log in is decided in bot.accounts."""

import re
import secrets
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from bot import accounts
from bot.accounts import LoginRefused, Visitor
from bot.settings import Settings
from bot.web import access, pages
from bot.web.state import parley

router = APIRouter()

START: Final = "/"
_FORM = "login_form"
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


@router.get("/login", dependencies=[Depends(access.public)])
async def show(request: Request, next: str = "") -> Response:
    """The login page; somebody logged in already is sent on."""
    if await pages.visitor_of(request) is not None:
        return RedirectResponse(local_path(next), 303)
    return _page(request, 200, next, "", "")


@router.post("/login", dependencies=[Depends(access.public)])
async def log_in(request: Request) -> Response:
    """Open a session, or the page again with the email kept and the reason."""
    state = parley(request)
    fields = await access.form(request)
    onward, email = fields.get("next", ""), fields.get("email", "")
    # Before the login there is no session to bind a form token to, so the form and a cookie carry the same random one,
    # which another site can neither read nor set. An Origin check would not do: under our Referrer-Policy of
    # no-referrer browsers send "Origin: null" with every form, ours as well.
    mine = request.cookies.get(_form_cookie(state.settings), "")
    if not mine or not secrets.compare_digest(mine.encode(), fields.get("form", "").encode()):
        return _page(request, 403, onward, email, "This page was open for too long. Type the password once more.")
    address = request.client.host if request.client is not None else ""
    try:
        token = await accounts.log_in(
            state.db,
            email,
            fields.get("password", ""),
            address,
            state.secrets.session_key,
            access.token_of(request),
        )
    except LoginRefused as exc:
        return _page(request, 429 if exc.waits else 401, onward, email, str(exc))
    response = RedirectResponse(local_path(onward), 303)
    response.delete_cookie(_form_cookie(state.settings), path="/login")
    response.set_cookie(
        access.cookie_name(state.settings),
        token,
        max_age=accounts.SESSION_DAYS * 24 * 3600,
        path="/",
        httponly=True,
        samesite="lax",
        secure=_https(state.settings),
    )
    return response


@router.post("/logout")
async def log_out(request: Request, visitor: Annotated[Visitor, Depends(access.anyone)]) -> Response:
    """End this browser's session."""
    state = parley(request)
    async with state.db.begin() as session:
        await accounts.log_out(session, access.token_of(request) or "")
    response = RedirectResponse("/login", 303)
    response.delete_cookie(access.cookie_name(state.settings), path="/")
    return response


def local_path(wanted: str) -> str:
    """Where to go after a login: a path of this site, or the start where `wanted` is anything else."""
    # Browsers take "//host", "/\host" and paths with control characters in them for other sites.
    if not wanted.startswith("/") or wanted.startswith("//") or _UNSAFE.search(wanted):
        return START
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or parts.path in ("/login", "/logout"):
        return START
    return wanted


def _page(request: Request, status: int, onward: str, email: str, problem: str) -> Response:
    settings = parley(request).settings
    token = secrets.token_urlsafe(24)
    response = pages.render(
        request, "login.html", status=status, onward=onward, email=email, problem=problem, form_token=token
    )
    response.set_cookie(
        _form_cookie(settings), token, path="/login", httponly=True, samesite="strict", secure=_https(settings)
    )
    if status == 429:
        response.headers["Retry-After"] = str(accounts.WINDOW_MINUTES * 60)
    return response


def _form_cookie(settings: Settings) -> str:
    return f"{access.cookie_name(settings)}_{_FORM}"


def _https(settings: Settings) -> bool:
    return settings.base_url.startswith("https://")
