"""What the Models page lets a designer ask for, and what it refuses; tests/test_jobs.py sees jobs carried out."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from bot import accounts, models
from bot.app import create_app
from bot.db import Database
from bot.insight import evaluation
from bot.insight.evaluation import Read, Report
from bot.settings import Settings
from bot.tables import ModelJob

PASSWORD = "a long enough password"
PAGE = "/console/models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three judged models: live, good, which was accepted, and bad, which was refused."""
    found = tmp_path / "models"
    found.mkdir()
    for name, reasons in (("live", []), ("good", []), ("bad", ["greet is read right 1 times of 8, after 8 before."])):
        (found / f"{name}.tar.gz").touch()
        read = [Read(text="hi", intent="greet", read="greet" if not reasons else "bye", confidence=0.9, unclear=False)]
        report = Report(model=name, compared_with="live", readings=read, conversations="passed", reasons=reasons)
        evaluation.keep(report, found / f"{name}.tar.gz")
    return found


@asynccontextmanager
async def browsing(db: Database, folder: Path, role: str, **chosen: object) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which somebody of a role is logged in; what changes something carries the form token."""
    settings = Settings(
        data_dir=folder.parent,
        database_url=db.url,
        models_dir=folder,
        port=8080,
        **chosen,  # type: ignore[arg-type]  # pydantic checks each value
    )
    async with db.begin() as session:
        await accounts.create(session, "dee@example.com", "Dee Signer", role, PASSWORD)
        await models.publish(session, "live", None)
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=settings.base_url) as browser,
    ):
        form = re.search(r'name="form" value="([^"]*)"', (await browser.get("/login")).text)
        assert form is not None
        given = {"form": form[1], "next": "", "email": "dee@example.com", "password": PASSWORD}
        await browser.post("/login", data=given)
        token = re.search(r'name="csrf-token" content="([^"]*)"', (await browser.get("/console/review")).text)
        browser.headers["X-CSRF-Token"] = token[1] if token is not None else ""
        yield browser


async def jobs(db: Database) -> list[tuple[str, str | None, str | None]]:
    """Every job: its kind, its model, and what came of it."""
    async with db.begin() as session:
        rows = await session.scalars(text("SELECT id FROM model_jobs ORDER BY id"))
        found = [await session.get_one(ModelJob, number) for number in rows]
    return [(each.kind, each.model, each.outcome) for each in found]


async def test_a_training_is_ordered_once_and_can_be_stopped(db: Database, folder: Path) -> None:
    """The page says that it waits; a second press is answered with why not."""
    async with browsing(db, folder, "designer", rasa_site="here") as browser:
        first = await browser.post(f"{PAGE}/train")
        shown = (await browser.get(PAGE)).text
        second = await browser.post(f"{PAGE}/train")
        going = await jobs(db)
        await browser.post(f"{PAGE}/train/stop")
        stopped = (await browser.get(PAGE)).text

    assert (303, 409) == (first.status_code, second.status_code)
    assert "Waiting for the engine to begin" in shown
    assert "A model is being trained already. Wait until that is done." in second.text
    assert [("train", None, None)] == going
    assert [("train", None, "stopped")] == await jobs(db)
    assert "Stopped by Dee Signer." in stopped


@pytest.mark.parametrize(
    "name, status, words",
    [
        ("good", 303, ""),
        ("bad", 409, "a refused model is not published from here"),
        ("live", 409, "It is live already."),
        ("gone", 404, "There is no such model any more"),
    ],
)
async def test_only_an_accepted_model_is_ordered_to_be_live(
    db: Database, folder: Path, name: str, status: int, words: str
) -> None:
    """Whatever the address says."""
    async with browsing(db, folder, "admin", rasa_site="here") as browser:
        answer = await browser.post(f"{PAGE}/{name}/publish")

    assert status == answer.status_code
    assert words in answer.text
    assert ([("publish", "good", None)] if name == "good" else []) == await jobs(db)


async def test_a_model_that_was_live_may_be_rolled_back_to_even_if_it_would_be_refused_now(
    db: Database, folder: Path
) -> None:
    """It read texts before; in an emergency nobody asks for figures."""
    async with browsing(db, folder, "designer", rasa_site="here") as browser:
        async with db.begin() as session:
            await models.publish(session, "bad", None)
            await models.publish(session, "good", None)
        shown = (await browser.get(PAGE)).text
        answer = await browser.post(f"{PAGE}/bad/publish")

    assert "Roll back to bad" in shown
    assert (303, [("publish", "bad", None)]) == (answer.status_code, await jobs(db))


async def test_with_rasa_elsewhere_the_page_says_how_it_is_done_there(db: Database, folder: Path) -> None:
    """No button that could not work, and a sentence for whoever posts all the same."""
    async with browsing(db, folder, "designer", rasa_url=["http://127.0.0.1:1"]) as browser:
        shown = (await browser.get(PAGE)).text
        answers = [await browser.post(f"{PAGE}/{path}") for path in ("train", "good/publish")]

    assert "Rasa runs elsewhere" in shown
    assert "Train and evaluate" not in shown
    assert "Publish" not in shown
    assert [409, 409] == [answer.status_code for answer in answers]
    assert "nothing can be trained or published from here" in answers[0].text
    assert [] == await jobs(db)


async def test_models_are_for_those_who_design(db: Database, folder: Path) -> None:
    """An agent neither sees nor asks."""
    async with browsing(db, folder, "agent", rasa_site="here") as browser:
        console = await browser.get("/console/")
        token = re.search(r'name="csrf-token" content="([^"]*)"', console.text)
        assert token is not None
        browser.headers["X-CSRF-Token"] = token[1]
        answers = [await browser.get(PAGE), await browser.post(f"{PAGE}/train")]

    assert [403, 403] == [answer.status_code for answer in answers]
    assert [] == await jobs(db)


async def test_what_was_rolled_back_from_is_offered_as_what_it_is(db: Database, folder: Path) -> None:
    """It is no roll back to go on to the newer model again, and no big button invites to it."""
    async with browsing(db, folder, "designer", rasa_site="here") as browser:
        async with db.begin() as session:
            await models.publish(session, "good", None)
            who = (await session.execute(text("SELECT id FROM users"))).scalar_one()
            await models.publish(session, "live", who)
        shown = (await browser.get(PAGE)).text

    assert "Dee Signer went back to it" in shown
    assert "Publish again" in shown
    assert "Roll back to" not in shown
