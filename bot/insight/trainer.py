"""Carries out one training asked for from the console: trains, judges beside the live model, and tells how far it is.

It is a process of its own that may be killed at any moment; it publishes nothing.
"""

import asyncio
import logging
import re
from pathlib import Path

from bot import models
from bot.db import PAGES, Database, Waker
from bot.errors import BotError
from bot.insight import evaluation, training
from bot.insight.training import Workshop

log = logging.getLogger(__name__)

#: How often pages hear how far it is, in seconds.
TELL_SECONDS = 0.5
#: Judged models that are kept beside the live one, the one before it and the one that fits the data.
KEPT = 10

_COMPONENT = re.compile(r"Starting to train component '(\w+)'")
_TEXTS = re.compile(r"reading text (\d+) of (\d+)")
#: What Rasa's components do, for people.
_WORDS = {
    "CountVectorsFeaturizer": "counting words and pieces of words",
    "RegexFeaturizer": "marking patterns",
    "SentenceEncoder": "encoding sentences",
    "LinearClassifier": "fitting the classifier",
    "PatternExtractor": "collecting patterns",
    "RulePolicy": "learning the rules",
}


class Trainer:
    """One job under way."""

    def __init__(self, db: Database, shop: Workshop, python: Path, job_id: int) -> None:
        """`python` is that of the nlu environment."""
        self._db = db
        self._shop = shop
        self._python = python
        self._job_id = job_id
        self._steps = models.Steps()

    async def run(self) -> None:
        """Train and judge; whatever comes of it is written to the job."""
        async with self._db.begin() as session:
            live = await models.live(session)
        telling = asyncio.create_task(self._tell())
        try:
            report = await asyncio.to_thread(self._work, live.model if live is not None else None)
        except BotError as exc:
            log.warning("training failed")
            await self._end("failed", str(exc))
        else:
            log.info("model judged", extra={"model": report.model})
            await self._end("accepted" if report.accepted else "refused", " ".join(report.reasons), report.model)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    def _work(self, live: str | None) -> evaluation.Report:
        shop = self._shop
        model = training.newest_model(shop)
        if model is None:
            self._steps.begin("Training")
            model = training.train(shop, self._python, self._note)
        before = shop.model(live) if live is not None else None
        if before is None or before == model:
            accepted = evaluation.last_accepted(shop.models, but=model)
            before = shop.model(accepted.model) if accepted is not None else None
        return evaluation.evaluate(shop, self._python, model, before, self._steps.begin, self._note)

    def _note(self, line: str) -> None:
        component, texts = _COMPONENT.search(line), _TEXTS.search(line)
        if component is not None:
            self._steps.note(_WORDS.get(component[1], component[1]))
        elif texts is not None:
            self._steps.note(f"{texts[1]} of {texts[2]}")
        elif line.startswith("conversation "):
            self._steps.note(line.removeprefix("conversation "))

    async def _tell(self) -> None:
        told: object = None
        while True:
            now = [dict(step) for step in self._steps.all]
            if now != told:
                told = now
                async with self._db.begin() as session:
                    await models.tell(session, self._job_id, now)
                Waker(self._db).wake(PAGES)
            await asyncio.sleep(TELL_SECONDS)

    async def _end(self, outcome: models.Outcome, words: str, model: str | None = None) -> None:
        self._steps.done()
        async with self._db.begin() as session:
            await models.tell(session, self._job_id, self._steps.all)
            await models.end(session, self._job_id, outcome, words, model)
        if model is not None:
            await prune(self._db, self._shop)
        Waker(self._db).wake(PAGES)


async def prune(db: Database, shop: Workshop) -> None:
    """Remove the oldest models that jobs judged, down to KEPT; reports stay.

    The live model stays, the one before it and the one that fits the data, and so does what no job ever judged.
    """
    async with db.begin() as session:
        past = await models.published(session)
        judged = await models.judged(session)
    spared = {await asyncio.to_thread(training.fingerprint, shop)}
    if past:
        spared |= {past[0].model, past[0].replaced or ""}
    for name in [name for name in judged if name not in spared][KEPT:]:
        for path in (shop.model(name), training.examples_path(shop.model(name))):
            path.unlink(missing_ok=True)


async def run(database_url: str, shop: Workshop, python: Path) -> None:
    """Carry out the training that is asked for, taken up and not done; there is one at most."""
    db = Database(database_url, "parley-trainer", pool_size=2)
    async with db.begin() as session:
        job = await models.latest(session, "train")
    if job is not None and job.began_at is not None and job.ended_at is None:
        await Trainer(db, shop, python, job.id).run()
    await db.close()
