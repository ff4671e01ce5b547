"""The web process: builds what pages and webhooks share, mounts them, and starts nothing at import."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from rasa_sdk.executor import ActionExecutor
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from actions import all_actions
from bot import clock, live, logs
from bot import models as live_models
from bot.db import Database, Waker
from bot.insight.review import Library
from bot.rasa_client import RasaClient
from bot.settings import ROOT, Settings, load_secrets
from bot.web import access, booking_page, internal, login, pages, stream, twilio
from bot.web.console import models, review
from bot.web.console import routes as console
from bot.web.simulator import faults
from bot.web.simulator import routes as simulator
from bot.web.state import Parley, parley

#: Open event streams are cut this long after Ctrl-C, so that they cannot hold the process.
SHUTDOWN_SECONDS = 3


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application for these settings. Raises SettingsError where they cannot work."""
    secrets = load_secrets(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        db = Database(settings.database_url, "parley-web")
        stream_of_events = live.Stream(db)
        await stream_of_events.start()
        async with httpx.AsyncClient(trust_env=False, timeout=30.0) as http:
            library = Library(settings.examples_dir)
            app.state.parley = Parley(settings, secrets, db, Waker(db), stream_of_events, http, library)
            app.state.rasa = RasaClient(settings.rasa_url, secrets.internal_token, 2.0, http)
            app.state.actions = ActionExecutor()
            for action in all_actions(db):
                app.state.actions.register_action(action)
            follower = live_models.Follower(db, settings.rasa_site, app.state.rasa)
            await follower.look()
            tasks = [asyncio.create_task(follower.run())]
            if settings.carrier == "simulator":
                tasks.append(asyncio.create_task(faults.run(app.state.parley)))
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await stream_of_events.close()
        await db.close()

    app = FastAPI(title="Parley", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/healthz", healthz, dependencies=[Depends(access.public)])
    app.add_api_route("/readyz", readyz, dependencies=[Depends(access.public)])
    for module in (twilio, internal, login, booking_page, stream, console, review, models):
        app.include_router(module.router)
    if settings.carrier == "simulator":
        app.include_router(simulator.router)
    app.mount("/static", StaticFiles(directory=ROOT / "bot" / "web" / "static"), name="static")
    pages.install(app)
    return app


async def healthz() -> dict[str, str]:
    """200 while the process answers."""
    return {"status": "alive"}


async def readyz(request: Request) -> JSONResponse:
    """200 once a text would be answered, else 503 and what is missing."""
    missing = []
    state = parley(request)
    try:
        async with state.db.begin() as session:
            row = (
                await session.execute(
                    text(
                        "SELECT (SELECT count(*) FROM shop) AS shops,"
                        " (SELECT count(*) FROM sender_numbers WHERE is_default) AS numbers,"
                        " ARRAY(SELECT DISTINCT application_name FROM pg_stat_activity"
                        " WHERE datname = current_database()) AS processes"
                    )
                )
            ).one()
        present = {
            "shop": row.shops,
            "sender number": row.numbers,
            "worker": "parley-worker" in row.processes,
            "sender": "parley-sender" in row.processes,
        }
        missing += [name for name, there in present.items() if not there]
    except SQLAlchemyError:
        missing.append("database")
    rasa: RasaClient = request.app.state.rasa
    if not await rasa.ready():
        missing.append("rasa")
    return JSONResponse({"ready": not missing, "missing": missing}, status_code=503 if missing else 200)


def serve(settings: Settings) -> None:
    """Run the web process until SIGTERM."""
    logs.start(settings.log_level, "web")
    clock.start(settings.clock_offset_seconds, settings.clock_file)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
