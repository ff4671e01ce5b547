"""The live model, jobs and addresses as rows: what counts as live, one job at a time, and who follows a move."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import sqlalchemy.exc
from sqlalchemy import text

from bot import accounts, models
from bot.db import MODELS, Database, Waker
from bot.errors import BotError
from bot.insight import trainer, training
from bot.insight.training import Workshop
from bot.models import Choice, Fitting, Published
from bot.rasa_client import RasaClient
from bot.settings import ROOT

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def dee(db: Database) -> UUID:
    """A designer."""
    async with db.begin() as session:
        return (
            await accounts.create(session, "dee@example.com", "Dee Signer", "designer", "a long enough password")
        ).id


async def published(db: Database, *models_and_users: tuple[str, UUID | None]) -> list[tuple[str, str | None, str]]:
    """Publish in this order; the whole list, the live one first."""
    for model, user in models_and_users:
        async with db.begin() as session:
            await models.publish(session, model, user)
    async with db.begin() as session:
        return [(each.model, each.replaced, each.kind) for each in await models.published(session)]


# -- the live model ------------------------------------------------------------------------------------------------


async def test_the_list_of_publications_says_what_was_live_and_how(db: Database, dee: UUID) -> None:
    """A start, a publication, and what was live before is rolled back to; a start with the live one adds no line."""
    found = await published(db, ("a", None), ("a", None), ("b", dee), ("b", None), ("a", dee))

    assert [("a", "b", "rolled_back"), ("b", "a", "published"), ("a", None, "started")] == found


async def test_publications_are_never_changed(db: Database) -> None:
    """The engine's role can neither change nor delete a line."""
    await published(db, ("a", None))
    for statement in ("UPDATE publications SET model = 'b'", "DELETE FROM publications"):
        with pytest.raises(sqlalchemy.exc.ProgrammingError, match="permission denied"):
            async with db.begin() as session:
                await session.execute(text(statement))


def live(kind: str, model: str = "live", at: datetime = NOON) -> Published:
    """A model that is live."""
    return Published(model, None, kind, None, at)


@pytest.mark.parametrize(
    "fitting, now, chosen",
    [
        pytest.param(None, None, None, id="nothing fits: one is trained"),
        pytest.param(Fitting("new", NOON, False), None, "new", id="the first start"),
        pytest.param(Fitting("new", NOON, True), None, "new", id="refused, and nothing else is there"),
        pytest.param(None, live("published"), None, id="the data changed: one is trained"),
        pytest.param(Fitting("new", NOON - HOUR, False), live("published"), "new", id="data set back to an old state"),
        pytest.param(Fitting("new", NOON + HOUR, True), live("published"), "live", id="refused: the live one stays"),
        pytest.param(Fitting("live", NOON, True), live("started"), "live", id="the live one itself was refused later"),
        pytest.param(Fitting("bad", NOON - HOUR, False), live("rolled_back"), "live", id="rolled back since"),
        pytest.param(None, live("rolled_back"), "live", id="rolled back, and nothing trained since"),
        pytest.param(Fitting("new", NOON + HOUR, False), live("rolled_back"), "new", id="trained after the roll back"),
        pytest.param(
            Fitting("new", NOON + HOUR, True), live("rolled_back"), "live", id="trained after it, and refused"
        ),
    ],
)
def test_an_engine_starts_with_the_model_that_fits_but_for_two_reasons(
    fitting: Fitting | None, now: Published | None, chosen: str | None
) -> None:
    """Whatever is not the model that fits is said."""
    choice = models.choose(fitting, now)

    assert chosen == choice.model
    assert bool(choice.words) == (chosen == "live" and (fitting is None or fitting.name != "live"))


def test_a_roll_back_to_what_fits_needs_no_words() -> None:
    """There is nothing to wonder about."""
    assert Choice("live") == models.choose(Fitting("live", NOON - HOUR, False), live("rolled_back"))


# -- jobs ----------------------------------------------------------------------------------------------------------


async def job(db: Database, kind: models.Kind, user: UUID) -> None:
    """Ask for something."""
    async with db.begin() as session:
        await models.ask(session, kind, user, "a" if kind == "publish" else None)


async def test_one_order_of_a_kind_at_a_time(db: Database, dee: UUID) -> None:
    """A second training is refused while one goes on; a roll back does not wait for it."""
    await job(db, "train", dee)
    await job(db, "publish", dee)
    with pytest.raises(BotError, match="A model is being trained already"):
        await job(db, "train", dee)
    async with db.begin() as session:
        first = await models.latest(session, "train")
        assert first is not None
        await models.end(session, first.id, "stopped", "Stopped.")
        await models.end(session, first.id, "accepted", "Too late.")
    async with db.begin() as session:
        ended = await models.latest(session, "train")
    await job(db, "train", dee)

    assert ended is not None
    assert ("stopped", "Stopped.") == (ended.outcome, ended.words)


async def test_an_order_is_taken_up_once(db: Database, dee: UUID) -> None:
    """However many look at the same moment."""
    await job(db, "train", dee)

    async def claim() -> bool:
        async with db.begin() as session:
            return await models.claim(session) is not None

    assert [False, False, True] == sorted(await asyncio.gather(claim(), claim(), claim()))


async def test_what_an_engine_left_unfinished_has_failed_and_what_waits_still_waits(db: Database, dee: UUID) -> None:
    """A new start tells the two apart."""
    await job(db, "train", dee)
    async with db.begin() as session:
        await models.claim(session)
    await job(db, "publish", dee)
    async with db.begin() as session:
        await models.end_left_over(session)
    async with db.begin() as session:
        left, waiting = await models.latest(session, "train"), await models.claim(session)

    assert left is not None
    assert waiting is not None
    assert ("failed", "publish") == (left.outcome, waiting.kind)


async def test_old_models_go_but_for_those_somebody_may_need(db: Database, dee: UUID, tmp_path: Path) -> None:
    """The live one, the one before it, the one that fits, the latest ten, and whatever no job judged."""
    shop = replace(Workshop.at(ROOT), models=tmp_path)
    fitting, spared = training.fingerprint(shop), ["live", "before", "by-hand"]
    names = ["live", "before", fitting, *(f"{number:02}" for number in range(trainer.KEPT + 3))]
    for name in [*names, "by-hand"]:
        shop.model(name).touch()
    await published(db, ("before", None), ("live", dee))
    for name in names:
        await job(db, "train", dee)
        async with db.begin() as session:
            made = await models.latest(session, "train")
            assert made is not None
            await models.end(session, made.id, "accepted", model=name)
    await trainer.prune(db, shop)

    latest = names[-trainer.KEPT :]
    left = await asyncio.to_thread(lambda: sorted(path.name.partition(".")[0] for path in tmp_path.iterdir()))
    assert sorted([*spared, fitting, *latest]) == left


# -- addresses -----------------------------------------------------------------------------------------------------


async def test_a_client_follows_its_rasas_as_soon_as_they_move(db: Database) -> None:
    """By the wake-up, well before it would look by itself; the addresses of another engine are not its own."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, json={"ready": True, "model": "m.tar.gz"})

    async def move(site: str, urls: Sequence[str]) -> None:
        async with db.begin() as session:
            await models.move(session, site, urls)
        Waker(db).wake(MODELS)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        rasa = RasaClient(["http://first"], "token", 5.0, http)
        follower = models.Follower(db, "here", rasa)
        await follower.look()
        await rasa.ready()
        following = asyncio.create_task(follower.run())
        await move("elsewhere", ["http://wrong"])
        await move("here", ["http://second"])
        for _ in range(100):
            await rasa.ready()
            if asked[-1] == "second":
                break
            await asyncio.sleep(0.05)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    assert ("first", "second") == (asked[0], asked[-1])
    assert "wrong" not in asked
