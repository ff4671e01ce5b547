"""What every page and webhook shares: settings, secrets and pools, built once by bot.app; it holds no logic."""

from dataclasses import dataclass

import httpx
from starlette.requests import HTTPConnection

from bot.db import Database, Waker
from bot.insight.review import Library
from bot.live import Stream
from bot.settings import Secrets, Settings


@dataclass(frozen=True)
class Parley:
    """The web process's own things; `http` talks only to this engine and its Rasa, `library` has the examples."""

    settings: Settings
    secrets: Secrets
    db: Database
    waker: Waker
    live: Stream
    http: httpx.AsyncClient
    library: Library


def parley(request: HTTPConnection) -> Parley:
    """The shared things, from a request."""
    state: Parley = request.app.state.parley
    return state
