"""Which model is live, what the engine that runs Rasa is asked for, and where its Rasas are; it starts nothing itself.

A publication is a line of a list that only grows; a job is a row that one process takes up; an address is a row that
every worker and page follows.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot import live as pages
from bot.db import MODELS, Bell, Database
from bot.errors import BotError
from bot.rasa_client import RasaClient
from bot.tables import ModelJob, Publication, RasaSite, User

Kind = Literal["train", "publish"]
Outcome = Literal["accepted", "refused", "published", "failed", "stopped"]

#: What open pages hear when a training, a swap or the live model moves on.
TOPIC = "model"


# -- the live model ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """One line of the list of publications; `by` is a name, None where an engine's start chose the model."""

    model: str
    replaced: str | None
    kind: str
    by: str | None
    at: datetime


async def published(session: AsyncSession, limit: int = 100) -> list[Published]:
    """The latest publications, the live one first."""
    rows = await session.execute(
        select(Publication, User.name)
        .outerjoin(User, User.id == Publication.user_id)
        .order_by(Publication.id.desc())
        .limit(limit)
    )
    return [Published(each.model, each.replaced, each.kind, name, each.published_at) for each, name in rows]


async def live(session: AsyncSession) -> Published | None:
    """The publication of the model texts are read with; None before the first start."""
    found = await published(session, 1)
    return found[0] if found else None


async def publish(session: AsyncSession, model: str, user_id: UUID | None) -> None:
    """Write down that `model` is live from now on; one that was live before is rolled back to.

    Without a `user_id` an engine started with it, and a start with the live one is worth no line.
    """
    past = await published(session)
    replaced = past[0].model if past else None
    if user_id is None and replaced == model:
        return
    again = await session.scalar(select(Publication.id).where(Publication.model == model).limit(1))
    kind = "started" if user_id is None else "rolled_back" if again is not None else "published"
    session.add(Publication(model=model, replaced=replaced, kind=kind, user_id=user_id))
    pages.publish(session, TOPIC)


# -- at a start ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fitting:
    """The model that fits the data: `made_at` is when its file was written, `refused` what its evaluation said."""

    name: str
    made_at: datetime
    refused: bool


@dataclass(frozen=True)
class Choice:
    """What an engine starts with: the name of a model, None to train one; `words` where that is not plain."""

    model: str | None
    words: str = ""


def choose(fitting: Fitting | None, live: Published | None) -> Choice:
    """The model to start with: the one that fits the data, trained if need be, with two exceptions.

    A roll back holds until a model is made after it, and a refused model takes no live one's place. `live` is None
    where no model is live whose file is still there. Decision 13 says why.
    """
    if live is not None and live.kind == "rolled_back" and (fitting is None or fitting.made_at < live.at):
        if fitting is not None and fitting.name == live.model:
            return Choice(live.model)
        words = f"reading with {live.model}, rolled back to on {live.at:%b} {live.at.day}, not with the model of data/"
        return Choice(live.model, f"{words}; ./parley train or the console's Models page makes the next")
    if live is not None and fitting is not None and fitting.refused and fitting.name != live.model:
        words = f"the model that fits data/, {fitting.name}, was refused; reading with {live.model} as before"
        return Choice(live.model, f"{words}; the console's Models page says why")
    return Choice(fitting.name if fitting is not None else None)


# -- jobs ----------------------------------------------------------------------------------------------------------


async def ask(session: AsyncSession, kind: Kind, user_id: UUID, model: str | None = None) -> None:
    """Ask for a training, or for `model` to be made live. Raises BotError while the last such job is not done."""
    try:
        async with session.begin_nested():
            session.add(ModelJob(kind=kind, model=model, user_id=user_id))
    except IntegrityError as exc:
        doing = "A model is being trained already." if kind == "train" else "A model is being published already."
        raise BotError(f"{doing} Wait until that is done.") from exc
    pages.publish(session, TOPIC)


async def latest(session: AsyncSession, kind: Kind) -> ModelJob | None:
    """The latest job of a kind, done or not."""
    found: ModelJob | None = await session.scalar(
        select(ModelJob).where(ModelJob.kind == kind).order_by(ModelJob.id.desc()).limit(1)
    )
    return found


async def judged(session: AsyncSession) -> list[str]:
    """The models that jobs judged, the latest first."""
    rows = await session.scalars(
        select(ModelJob.model).where(ModelJob.kind == "train", ModelJob.model.is_not(None)).order_by(ModelJob.id.desc())
    )
    return list(dict.fromkeys(name for name in rows if name is not None))


async def claim(session: AsyncSession) -> ModelJob | None:
    """Take up a job nobody has taken up; None where there is none."""
    found: ModelJob | None = await session.scalar(
        select(ModelJob)
        .where(ModelJob.began_at.is_(None), ModelJob.ended_at.is_(None))
        .order_by(ModelJob.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if found is not None:
        moment: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
        found.began_at = moment
        pages.publish(session, TOPIC)
    return found


async def under_way(session: AsyncSession, job_id: int) -> bool:
    """Whether a job goes on; it ends by itself, or because somebody stopped it."""
    return await session.scalar(select(ModelJob.ended_at).where(ModelJob.id == job_id)) is None


async def tell(session: AsyncSession, job_id: int, steps: Sequence[dict[str, Any]]) -> None:
    """Say how far a job is."""
    found = await session.get(ModelJob, job_id)
    if found is not None and found.ended_at is None:
        found.steps = list(steps)
        pages.publish(session, TOPIC)


async def end(session: AsyncSession, job_id: int, outcome: Outcome, words: str = "", model: str | None = None) -> None:
    """A job is done; one that ended already stays as it is."""
    await session.execute(
        text(
            "UPDATE model_jobs SET ended_at = clock_timestamp(), outcome = :outcome, words = :words,"
            " model = coalesce(:model, model) WHERE id = :id AND ended_at IS NULL"
        ),
        {"id": job_id, "outcome": outcome, "words": words, "model": model},
    )
    pages.publish(session, TOPIC)


async def end_left_over(session: AsyncSession) -> None:
    """Jobs taken up by an engine that is gone have failed; those nobody took up are still to be done."""
    await session.execute(
        text(
            "UPDATE model_jobs SET ended_at = clock_timestamp(), outcome = 'failed', words = :words"
            " WHERE began_at IS NOT NULL AND ended_at IS NULL"
        ),
        {"words": "The engine was stopped meanwhile. Nothing was changed; ask again."},
    )


class Steps:
    """The steps of one job as they go on, for `tell`; times are of this machine's clock, in seconds since 1970."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def begin(self, name: str) -> None:
        """The step before is done, this one begins."""
        self.done()
        self.all.append({"name": name, "note": "", "began": time.time(), "seconds": None})

    def note(self, words: str) -> None:
        """How far the step is."""
        self.all[-1]["note"] = words

    def done(self) -> None:
        """The last step is done."""
        if self.all and self.all[-1]["seconds"] is None:
            self.all[-1]["seconds"] = round(time.time() - self.all[-1]["began"], 1)


# -- where Rasa is -------------------------------------------------------------------------------------------------


async def move(session: AsyncSession, site: str, urls: Sequence[str]) -> None:
    """From this commit on the processes of `site` find their Rasas at these addresses."""
    values = {"name": site, "urls": list(urls)}
    changed = {"urls": list(urls), "moved_at": text("now()")}
    await session.execute(insert(RasaSite).values(values).on_conflict_do_update(index_elements=["name"], set_=changed))


async def addresses(session: AsyncSession, site: str) -> list[str]:
    """Where the Rasas of a site are; none where nobody said."""
    urls: list[str] | None = await session.scalar(select(RasaSite.urls).where(RasaSite.name == site))
    return urls or []


class Follower:
    """Keeps a client of Rasa asking where the Rasas of its site are now."""

    def __init__(self, db: Database, site: str, rasa: RasaClient) -> None:
        """`site` is empty where the addresses are settings; then there is nothing to follow."""
        self._db = db
        self._site = site
        self._rasa = rasa
        self._bell = Bell(db, MODELS)

    async def look(self) -> None:
        """Use the addresses of now; the ones before where the database does not say."""
        try:
            async with self._db.begin() as session:
                urls = await addresses(session, self._site)
        except DBAPIError:
            return
        if urls:
            self._rasa.use(urls)

    async def run(self) -> None:
        """Follow until cancelled."""
        if not self._site:
            return
        listening = self._db.background(self._bell.listen())
        try:
            while True:
                await self.look()
                await self._bell.wait()
        finally:
            listening.cancel()
