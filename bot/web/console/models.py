"""The pages of trained models at /console/models: what each reads right, and why one was refused; it trains nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.accounts import Visitor
from bot.insight import evaluation, training
from bot.insight.evaluation import Figures, Read, Report
from bot.insight.training import Workshop
from bot.settings import ROOT
from bot.web import access, pages

router = APIRouter(prefix="/console/models")

Designer = Annotated[Visitor, Depends(access.designer)]
FOLDER = ROOT / "models"
#: Edge of one square of the confusion picture, and of the calibration picture, in its own units.
SQUARE, SIDE = 14, 240


@dataclass(frozen=True)
class Row:
    """One model of the list."""

    name: str
    at: datetime
    report: Report
    fits: bool


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
    """Every evaluated model, the latest first."""
    rows = await run_in_threadpool(_rows, FOLDER)
    return pages.render(request, "console/models.html", visitor, rows=rows)


@router.get("/{name}")
async def report(request: Request, visitor: Designer, name: str) -> Response:
    """The report of one model."""
    shown = await run_in_threadpool(_shown, FOLDER, name)
    if shown is None:
        raise HTTPException(404, "There is no report of such a model; ./parley train --evaluate makes one.")
    return pages.render(request, "console/report.html", visitor, shown=shown, square=SQUARE, side=SIDE)


def _rows(folder: Path) -> list[Row]:
    fitting = training.newest_model(Workshop.at(ROOT))
    return [
        Row(
            report.model,
            datetime.fromtimestamp(evaluation.report_path(model).stat().st_mtime, UTC),
            report,
            fitting is not None and fitting.name == model.name,
        )
        for model, report in evaluation.reports(folder)
    ]


def _shown(folder: Path, name: str) -> Shown | None:
    kept = {report.model: report for _, report in evaluation.reports(folder)}
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
