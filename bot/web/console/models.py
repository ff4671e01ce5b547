"""The pages of models at /console/models: train, judge, publish, roll back; a click is a job, carried out elsewhere.

Whoever runs Rasa (`./parley up`) takes the jobs up; where Rasa runs elsewhere the page says how it is done there.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from bot import models
from bot.accounts import Visitor
from bot.db import MODELS, PAGES
from bot.errors import BotError
from bot.insight import evaluation, training
from bot.insight.evaluation import Figures, Read, Report
from bot.insight.examples import ExamplesError
from bot.insight.training import Difference, Workshop
from bot.models import Published
from bot.tables import ModelJob
from bot.web import access, pages
from bot.web.state import parley

router = APIRouter(prefix="/console/models")

Designer = Annotated[Visitor, Depends(access.designer)]
#: Edge of one square of the confusion picture, and of the calibration picture, in its own units.
SQUARE, SIDE = 14, 240
#: Changed examples the page lists of each kind; the files have the rest.
LISTED = 50
#: Publications it lists.
PAST = 12


@dataclass(frozen=True)
class Row:
    """One model of the list; `action` is what may be done with it: publish (again), roll back, or nothing."""

    name: str
    at: datetime
    report: Report | None
    fits: bool
    live: bool
    action: str


@dataclass(frozen=True)
class Outcome:
    """What came of the latest training; `row` is the model it made, None where there is none or its file is gone."""

    job: ModelJob
    row: Row | None
    verdict: str


@dataclass(frozen=True)
class Desk:
    """All the list's page shows; `changes` is None where nobody knows what the live model was trained on.

    `elsewhere` is true where Rasa is not this engine's own, so that nothing can be asked for.
    """

    elsewhere: bool
    live: Published | None
    reads_with: str | None
    fits: bool
    changes: Difference | None
    rows: list[Row]
    training: ModelJob | None
    publishing: ModelJob | None
    outcome: Outcome | None
    past: list[Published]


@dataclass(frozen=True)
class Square:
    """One cell of the confusion picture; `share` of the texts meant, 0 to 1."""

    x: int
    y: int
    share: float
    right: bool
    words: str


@dataclass(frozen=True)
class Dot:
    """One bin of the calibration picture, in its own units."""

    x: float
    y: float
    radius: float
    words: str


@dataclass(frozen=True)
class Shown:
    """A report as its page draws it."""

    report: Report
    verdict: str
    intents: list[tuple[str, Figures]]
    squares: list[Square]
    dots: list[Dot]
    changed: list[tuple[Read, str | None]]


@router.get("")
async def show(request: Request, visitor: Designer) -> Response:
    """What is live, what training would change, every model, and what goes on."""
    return await _page(request, visitor)


async def _page(request: Request, visitor: Visitor, problem: str = "", status: int = 200) -> Response:
    desk = await _desk(request)
    template = "console/_models.html" if pages.is_fragment(request) else "console/models.html"
    return pages.render(request, template, visitor, status, desk=desk, problem=problem, listed=LISTED, elapsed=_elapsed)


async def _desk(request: Request) -> Desk:
    state = parley(request)
    shop, elsewhere = Workshop.of(state.settings), not state.settings.rasa_site
    async with state.db.begin() as session:
        past = await models.published(session)
        trained, published = await models.latest(session, "train"), await models.latest(session, "publish")
    live = past[0] if past and not elsewhere else None
    try:
        known = [(each.text, each.intent) for each in (await state.library.examples()).all]
    except ExamplesError:
        known = []
    reads_with = await request.app.state.rasa.model() if elsewhere else live.model if live is not None else None
    name = reads_with.removesuffix(".tar.gz") if reads_with is not None else None
    rows = await run_in_threadpool(_rows, shop, name, None if elsewhere else past)
    changes = await run_in_threadpool(training.difference, shop.model(name), known) if name is not None else None
    return Desk(
        elsewhere=elsewhere,
        live=live,
        reads_with=name,
        fits=any(row.live and row.fits for row in rows),
        changes=changes,
        rows=rows,
        training=trained if trained is not None and trained.ended_at is None else None,
        publishing=published if published is not None and published.outcome != "published" else None,
        outcome=await run_in_threadpool(_outcome, trained, rows),
        past=past[:PAST],
    )


def _rows(shop: Workshop, live: str | None, past: Sequence[Published] | None) -> list[Row]:
    """Every model that was judged or is or was live, and still there; the latest first.

    `past` is None where nothing can be done with any from here.
    """
    fitting = training.newest_model(shop)
    # Models in the order in which they first went live, counted back from now.
    lived = {each.model: age for age, each in enumerate(past or [])}
    reports = {report.model: report for _, report in evaluation.reports(shop.models)}
    found = []
    for name in reports.keys() | lived.keys() | ({live} if live is not None else set()):
        path, report = shop.model(name), reports.get(name)
        if not path.exists():
            continue
        kept = evaluation.report_path(path) if report is not None else path
        at = datetime.fromtimestamp(kept.stat().st_mtime, UTC)
        action = ""
        if past is not None and name in lived:
            action = "" if name == live else "roll back" if lived[name] > lived.get(live or "", -1) else "publish again"
        elif past is not None and report is not None and report.accepted:
            action = "publish"
        found.append(Row(name, at, report, fitting == path, name == live, action))
    return sorted(found, key=lambda row: row.at, reverse=True)


def _outcome(trained: ModelJob | None, rows: Sequence[Row]) -> Outcome | None:
    if trained is None or trained.ended_at is None:
        return None
    row = next((each for each in rows if each.name == trained.model), None)
    verdict = ""
    if row is not None and row.report is not None:
        old = next((each.report for each in rows if each.name == row.report.compared_with), None)
        verdict = evaluation.verdict(row.report, old)
    return Outcome(trained, row, verdict)


def _elapsed(step: dict[str, Any]) -> int:
    """The seconds a step took, or has taken until now."""
    seconds: float = step["seconds"] if step["seconds"] is not None else max(0.0, time.time() - step["began"])
    return round(seconds)


# -- ordering ------------------------------------------------------------------------------------------------------


@router.post("/train")
async def train(request: Request, visitor: Designer) -> Response:
    """Ask for a training; it begins within a second wherever Rasa runs."""
    return await _order(request, visitor, "train", None)


@router.post("/train/stop")
async def stop(request: Request, visitor: Designer) -> Response:
    """End the training that goes on; nothing is left of it."""
    state = parley(request)
    async with state.db.begin() as session:
        job = await models.latest(session, "train")
        if job is not None:
            await models.end(session, job.id, "stopped", f"Stopped by {visitor.name}.")
    state.waker.wake(PAGES)
    return RedirectResponse("/console/models", 303)


@router.post("/{name}/publish")
async def publish(request: Request, visitor: Designer, name: str) -> Response:
    """Ask for a model to be made live: one that was accepted, or that was live before."""
    desk = await _desk(request)
    row = next((each for each in desk.rows if each.name == name), None)
    if row is None:
        raise HTTPException(404, "There is no such model any more; go back and choose another.")
    if not row.action and not desk.elsewhere:
        why = "It is live already." if row.live else "It was refused, and a refused model is not published from here."
        return await _page(request, visitor, why, 409)
    return await _order(request, visitor, "publish", name)


async def _order(request: Request, visitor: Visitor, kind: models.Kind, model: str | None) -> Response:
    state = parley(request)
    try:
        if not state.settings.rasa_site:
            raise BotError("Rasa runs elsewhere (PARLEY_RASA_URL), so nothing can be trained or published from here.")
        async with state.db.begin() as session:
            await models.ask(session, kind, visitor.user_id, model)
    except BotError as exc:
        return await _page(request, visitor, str(exc), 409)
    for channel in (MODELS, PAGES):
        state.waker.wake(channel)
    return RedirectResponse("/console/models", 303)


# -- one report ----------------------------------------------------------------------------------------------------


@router.get("/{name}")
async def report(request: Request, visitor: Designer, name: str) -> Response:
    """The report of one model."""
    shown = await run_in_threadpool(_shown, Workshop.of(parley(request).settings), name)
    if shown is None:
        raise HTTPException(404, "There is no report of such a model; ./parley train --evaluate makes one.")
    return pages.render(request, "console/report.html", visitor, shown=shown, square=SQUARE, side=SIDE)


def _shown(shop: Workshop, name: str) -> Shown | None:
    kept = {report.model: report for _, report in evaluation.reports(shop.models)}
    report = kept.get(name)
    if report is None:
        return None
    old = kept.get(report.compared_with or "")
    before = {(each.text, each.intent): each.read for each in old.readings} if old is not None else {}
    changed = [
        (each, before[each.text, each.intent])
        for each in report.readings
        if before.get((each.text, each.intent), each.read) != each.read
    ]
    # Worst first: that is what somebody opens the report for.
    intents = sorted(report.by_intent.items(), key=lambda item: item[1].f1)
    return Shown(report, evaluation.verdict(report, old), intents, _squares(report), _dots(report), changed)


def _squares(report: Report) -> list[Square]:
    """Rows are the intents meant, columns those read; only what happened is drawn."""
    names = list(report.by_intent)
    place = {name: number for number, name in enumerate(names)}
    right = [(name, name, round(figures.recall * figures.texts)) for name, figures in report.by_intent.items()]
    return [
        Square(
            place[read] * SQUARE,
            place[meant] * SQUARE,
            count / report.by_intent[meant].texts,
            meant == read,
            f"{meant} read as {read}: {count} of {report.by_intent[meant].texts}",
        )
        for meant, read, count in [*right, *report.confusions]
        if count and read in place
    ]


def _dots(report: Report) -> list[Dot]:
    most = max((count for *_, count in report.calibration), default=1)
    return [
        Dot(
            round(sure * SIDE, 1),
            round((1 - right) * SIDE, 1),
            round(3 + 9 * (count / most) ** 0.5, 1),
            f"{sure:.0%} sure on average, {right:.0%} right, {count} texts",
        )
        for sure, right, count in report.calibration
    ]
