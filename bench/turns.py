"""How many texts a second, and how long one takes: this engine's whole way of a text against stock Rasa's answer.

One side after the other on the same cores, each warmed up first, asked the same number of texts over the same number
of connections by the same load generator.
"""

import contextlib
import os
import platform
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import engine, processes, stock, texts
from bench.engine import Engine
from bench.load import Job, Outcome
from bench.stock import Stock

Side = Literal["engine", "stock_rasa"]
SIDES: tuple[Side, ...] = ("engine", "stock_rasa")
CALLED = {"engine": "Parley", "stock_rasa": "stock Rasa"}
#: Texts on their way at once, one level after the other; the headline is the level named.
LEVELS = (1, 4, 8, 16)
HEADLINE = 8
#: A machine that does more than this beside is not worth measuring on.
QUIET_LOAD = 0.5


@dataclass(frozen=True)
class Level:
    """One side at one number of connections.

    Times are from sending a text to its answer: at the carrier for the engine, in the response for stock Rasa. `extra`
    counts answers nobody waited for, `silent` empty ones, which stock Rasa gives where its stories end. Memory is of
    all processes of the side, and each one's; `cpu_ms` is each one's processor time a text; `load_cpu` is the share of
    one core the load generator used. Replies, effects and the median of each step are the engine's, by its database.
    """

    connections: int
    texts: int
    answered: int
    extra: int
    silent: int
    texts_per_s: float
    p50_ms: float
    p99_ms: float
    mean_ms: float
    rss_mb: float
    memory_mb: dict[str, float]
    cpu_ms: dict[str, float]
    load_cpu: float
    replies: int | None = None
    effects: dict[str, int] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)


class Watch:
    """Says on a terminal what is going on; what is measured goes elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Watch":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def asked(self, name: str, side: Engine | Stock, job: Job) -> Outcome:
        """Run one job with its progress in sight."""
        bar = self._progress.add_task(name, total=len(job.texts))
        try:
            return processes.generate(job, side.folder, lambda done: self._progress.update(bar, completed=done))
        finally:
            self._progress.remove_task(bar)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Something that takes a while."""
        bar, began = self._progress.add_task(name, total=None), time.perf_counter()
        try:
            yield
        finally:
            self._progress.remove_task(bar)
        self.line(name, f"{time.perf_counter() - began:.1f} s")

    def line(self, name: str, note: str) -> None:
        """What is done."""
        self.console.print(f"[green]✓[/] {name:<34}{note}", highlight=False, soft_wrap=True)

    def warn(self, sentence: str) -> None:
        """What to keep in mind about the figures."""
        self.console.print(f"[yellow]![/] {sentence}", highlight=False, soft_wrap=True)


def run(
    count: int, levels: Sequence[int], sides: Sequence[Side], kept: Path, console: Console, *, fresh: bool = False
) -> dict[str, Any]:
    """Measure, and give what `./parley bench turns --json` prints: see `report`.

    `count` texts at each of `levels`; stock Rasa's bot is kept in the folder `kept`, `fresh` makes it anew. Raises
    BotError where a side cannot run.
    """
    began, before = datetime.now(UTC), os.getloadavg()[0]
    measured: dict[Side, list[Level]] = {}
    with Watch(console) as watch:
        if before > QUIET_LOAD:
            watch.warn(f"This machine is busy (load {before:.1f} before the start), so the figures will be worse.")
        if "stock_rasa" in sides:
            bot = _stock_bot(kept, watch, fresh)
        if "engine" in sides:
            with contextlib.ExitStack() as stack:
                with watch.step("Parley starts"):
                    parley = stack.enter_context(engine.start())
                wishes = texts.reschedules(texts.PEOPLE + count * len(levels), parley.days)
                measured["engine"] = _measure(parley, wishes, count, levels, watch)
        if "stock_rasa" in sides:
            with contextlib.ExitStack() as stack:
                with watch.step("stock Rasa starts"):
                    rasa = stack.enter_context(stock.start(bot))
                talk = texts.smalltalk(texts.PEOPLE + count * len(levels))
                measured["stock_rasa"] = _measure(rasa, talk, count, levels, watch)
    return report(measured, began, before)


def _stock_bot(kept: Path, watch: Watch, fresh: bool) -> Path:
    folder = stock.project(kept)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        with watch.step("stock Rasa makes and trains its bot"):
            stock.make(folder)
    return folder


def _measure(
    side: Engine | Stock, all_texts: Sequence[str], count: int, levels: Sequence[int], watch: Watch
) -> list[Level]:
    """Every level, after one text of each person to warm up (not more than are measured); no text is asked twice."""
    name = CALLED[side.name]
    warm = list(all_texts[: min(texts.PEOPLE, count)])
    watch.asked(f"{name} warms up", side, side.job(warm, 0, max(levels)))
    found, first = [], len(warm)
    for connections in levels:
        job = side.job(list(all_texts[first : first + count]), first, connections)
        level = _level(side, job, f"{name}, {_connections(connections)}", watch)
        note = f"{level.texts_per_s:.1f} texts/s, p50 {level.p50_ms:.0f} ms, p99 {level.p99_ms:.0f} ms"
        watch.line(f"{name}, {_connections(connections)}", note)
        found.append(level)
        first += count
    return found


def _level(side: Engine | Stock, job: Job, name: str, watch: Watch) -> Level:
    pids = side.pids()
    used = processes.cpu_seconds(pids)
    outcome = watch.asked(name, side, job)
    cpu = {each: seconds - used[each] for each, seconds in processes.cpu_seconds(pids).items()}
    memory = processes.memory_mb(pids)
    answered = len(outcome.texts)
    took = sorted((arrived - sent) * 1000 for _, sent, arrived in outcome.texts) or [0.0]
    # The generator listens on for a moment after the last answer, which `wall_s` leaves out.
    return Level(
        connections=job.connections,
        texts=len(job.texts),
        answered=answered,
        extra=outcome.extra,
        silent=outcome.silent,
        texts_per_s=round(answered / outcome.wall_s, 2),
        p50_ms=round(statistics.median(took), 1),
        p99_ms=round(took[min(len(took) - 1, int(len(took) * 0.99))], 1),
        mean_ms=round(statistics.fmean(took), 1),
        rss_mb=round(sum(memory.values()), 1),
        memory_mb={each: round(megabytes, 1) for each, megabytes in memory.items()},
        cpu_ms={each: round(seconds * 1000 / max(answered, 1), 2) for each, seconds in cpu.items()},
        load_cpu=round(outcome.cpu_s / outcome.wall_s, 3),
        **(_what_came(side.came(outcome)) if isinstance(side, Engine) else {}),
    )


def _what_came(came: engine.Came) -> dict[str, Any]:
    return {"replies": came.replies, "effects": came.effects, "steps": engine.medians(came.steps)}


# -- what is shown -------------------------------------------------------------------------------------------------


def report(measured: dict[Side, list[Level]], began: datetime, load: float) -> dict[str, Any]:
    """Each side's headline level by its name (None where it was left out), every level, and what they ran on."""
    head = {side: _headline(measured[side]) if side in measured else None for side in SIDES}
    return {
        "engine": None if (level := head["engine"]) is None else asdict(level),
        "stock_rasa": None if (level := head["stock_rasa"]) is None else asdict(level),
        "levels": {side: [asdict(level) for level in levels] for side, levels in measured.items()},
        "memory": processes.memory_kind(),
        "steps": head["engine"].steps if head["engine"] is not None else {},
        "at": began.isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
            "system": f"{platform.system()} {platform.machine()}",
            "load_before": round(load, 2),
        },
    }


def _headline(levels: Sequence[Level]) -> Level:
    return next((level for level in levels if level.connections == HEADLINE), levels[-1])


def complaints(found: dict[str, Any]) -> list[str]:
    """What went otherwise than it should, one sentence each."""
    wrong = []
    for side, levels in found["levels"].items():
        for level in levels:
            at = f"{CALLED[side]} at {_connections(level['connections'])}"
            if level["answered"] != level["texts"] or level["extra"]:
                wrong.append(f"{at} answered {level['answered']} of {level['texts']} texts, {level['extra']} twice.")
            if side == "engine" and level["replies"] != level["texts"]:
                wrong.append(f"{at} wrote {level['replies']} replies to {level['texts']} texts.")
            changed = sum(level["effects"].values())
            if side == "engine" and changed < level["texts"]:
                wrong.append(f"{at} changed something for {changed} of {level['texts']} texts.")
    return wrong


def tables(found: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """The figures as titled tables, their first row the heading."""
    names = list(found["levels"])
    speed = [["connections", "", "texts/s", "p50 ms", "p99 ms", "CPU ms/text", "memory MB", "generator CPU"]]
    for row in zip(*found["levels"].values(), strict=True):
        speed += [_speed(level, CALLED[name]) for name, level in zip(names, row, strict=True)]
    shown = [("Turns", speed)]
    if "engine" in found["levels"]:
        levels = found["levels"]["engine"]
        heading = ["median ms", *(_connections(level["connections"]) for level in levels)]
        steps = [[step, *(f"{level['steps'].get(step, 0):.1f}" for level in levels)] for step in levels[0]["steps"]]
        shown.append(("Steps of a turn of Parley", [heading, *steps]))
    parts = [["process", f"memory MB ({found['memory'].upper()})", "CPU ms/text"]]
    for name in names:
        head = found[name]
        parts += [
            [f"{CALLED[name]}: {part}", f"{head['memory_mb'][part]:.0f}", f"{head['cpu_ms'][part]:.1f}"]
            for part in head["memory_mb"]
        ]
    shown.append((f"Processes at {_connections(found[names[0]]['connections'])}", parts))
    return shown


def _speed(level: dict[str, Any], name: str) -> list[str]:
    return [
        str(level["connections"]),
        name,
        f"{level['texts_per_s']:.1f}",
        f"{level['p50_ms']:.0f}",
        f"{level['p99_ms']:.0f}",
        f"{sum(level['cpu_ms'].values()):.0f}",
        f"{level['rss_mb']:.0f}",
        f"{100 * level['load_cpu']:.0f} %",
    ]


def _connections(number: int) -> str:
    return f"{number} connection{'' if number == 1 else 's'}"


def rich_tables(found: dict[str, Any]) -> Iterator[Table]:
    """For a terminal."""
    for title, (heading, *rows) in tables(found):
        table = Table(*heading, title=title, title_justify="left", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        yield table


def markdown(found: dict[str, Any]) -> str:
    """For docs/benchmarks.md."""
    machine, head = found["machine"], found["engine"] or found["stock_rasa"]
    on = f"{machine['cores']} cores, {machine['memory_gb']:.0f} GiB, {machine['system']}, load {machine['load_before']}"
    lines = [f"Measured on {found['at'][:10]} ({on} before), {head['texts']} texts at each number of connections."]
    for title, (heading, *rows) in tables(found):
        lines += ["", f"{title}:", "", _row(heading), _row(["---"] * len(heading)), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
