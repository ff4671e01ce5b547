"""What `./parley bench turns` promises: texts no two alike, every one answered once, figures of one shape.

Stock Rasa's side is not run here: its bot takes minutes to train and a gigabyte to run, and it holds nothing of ours.
The load generator's way of asking it is tried on a stand-in for its channel.
"""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web

from bench import engine, load, processes, stock, texts, turns
from bench.load import Job
from bot.errors import BotError
from bot.settings import ROOT

DAYS = [date(2026, 12, 1) + timedelta(days=number) for number in range(40)]
COMMAND = [sys.executable, "-P", "-m", "bot.cli", "bench", "turns", "--only", "engine", "--connections", "4"]


# -- texts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 20, 8048])
def test_no_text_is_asked_twice(count: int) -> None:
    """So that nobody who remembers answers has an advantage."""
    assert count == len(set(texts.reschedules(count, DAYS)))
    assert count == len(set(texts.smalltalk(count)))


def test_two_runs_ask_the_same() -> None:
    """Figures of two days are of the same texts."""
    assert texts.reschedules(50, DAYS) == texts.reschedules(50, DAYS)
    assert texts.smalltalk(50) == texts.smalltalk(50)


def test_texts_on_their_way_together_wish_for_different_days() -> None:
    """Otherwise it would be measured how contacts get in each other's way."""
    wishes = texts.reschedules(40, DAYS)

    assert all(f"{day.day}" in wish for wish, day in zip(wishes, DAYS, strict=True))


def test_more_texts_than_there_are_is_one_sentence() -> None:
    """It names the option."""
    with pytest.raises(BotError, match="ask for fewer --texts"):
        texts.smalltalk(50_000)


# -- the load generator --------------------------------------------------------------------------------------------


@pytest.fixture
async def channel() -> AsyncIterator[str]:
    """A stand-in for Rasa's REST channel that answers the second person with nothing; its address."""
    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        return web.json_response([] if asked["sender"] == "b" else [{"recipient_id": "a", "text": "Hey!"}])

    app.router.add_post("/webhooks/rest/webhook", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = processes.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/webhooks/rest/webhook"
    await runner.cleanup()


async def test_every_text_is_asked_once_and_empty_answers_are_counted(channel: str, tmp_path: Path) -> None:
    """A bot that says nothing is not faster for it unseen."""
    job = Job(channel, ["a", "b"], [f"text {number}" for number in range(10)], first=4, connections=2)

    outcome = await asyncio.to_thread(processes.generate, job, tmp_path, lambda _: None)

    assert [f"SM{number:032x}" for number in range(4, 14)] == sorted(carrier_id for carrier_id, _, _ in outcome.texts)
    assert (5, 0, 0) == (outcome.silent, outcome.unanswered, outcome.extra)
    assert all(sent <= arrived for _, sent, arrived in outcome.texts)


async def test_a_text_nobody_waits_for_is_counted() -> None:
    """An engine that answers twice is found out."""
    sink = load.Sink()
    port = processes.free_port()
    async with sink.open(port), aiohttp.ClientSession() as http:
        awaited = sink.expect("+12025550100")
        for _ in range(2):
            url = f"http://127.0.0.1:{port}/2010-04-01/Accounts/AC1/Messages.json"
            async with http.post(url, data={"To": "+12025550100", "Body": "Hi"}) as response:
                assert 201 == response.status

        assert awaited.done()
        assert 1 == sink.extra


def test_a_load_generator_that_fails_says_why(tmp_path: Path) -> None:
    """Its last words, not a missing key."""
    job = Job("http://127.0.0.1:9/nobody", ["a"], ["hi"], first=0, connections=1)

    with pytest.raises(BotError, match="the load generator failed"):
        processes.generate(job, tmp_path, lambda _: None)


# -- the engine's side ---------------------------------------------------------------------------------------------


def test_the_engine_answers_every_text_once_and_changes_something(tmp_path: Path) -> None:
    """The shape that is promised, for twenty texts; what they took is nobody's business here."""
    done = subprocess.run(
        [*COMMAND, "--texts", "20", "--json"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=processes.environment(PYTHONPATH=str(ROOT)),
        timeout=120,
    )

    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    head = found["engine"]
    assert {"texts_per_s", "p50_ms", "p99_ms", "rss_mb"} <= set(head)
    assert (4, 20, 20, 20) == (head["connections"], head["texts"], head["answered"], head["replies"])
    assert (0, {"booking.held": 20}) == (head["extra"], head["effects"])
    assert {"up", "postgres", "valkey", "rasa-1", "worker-1", "sender", "web"} == set(head["memory_mb"])
    assert {"webhook", "store, claim", "load", "rasa", "write", "commit, hand over"} <= set(found["steps"])
    assert found["stock_rasa"] is None
    assert [] == turns.complaints(found)
    assert "| 4 | Parley | " in turns.markdown(found)
    titles = [table.title for table in turns.rich_tables(found)]
    assert ["Turns", "Steps of a turn of Parley", "Processes at 4 connections"] == titles


def test_without_rasas_environment_it_says_what_builds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On either side, before anything is started."""
    for side in (engine, stock):
        monkeypatch.setattr(side, "NLU_PYTHON", tmp_path / "python")

    with pytest.raises(BotError, match=r"\./parley train builds it"), engine.start():
        pass
    with pytest.raises(BotError, match=r"\./parley train builds it"):
        stock.make(tmp_path / "stock")


# -- nothing is left running ---------------------------------------------------------------------------------------

KEEPER = """
import pathlib, sys, time
from bench import processes
command = [sys.executable, "-c", "import time; time.sleep(60)"]
with processes.running(command, pathlib.Path(), processes.environment(), pathlib.Path("log")) as child:
    print(child.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_is_measured_ends_with_the_measurement(tmp_path: Path, sign: signal.Signals) -> None:
    """After Ctrl-C, and when it is killed."""
    env = processes.environment(PYTHONPATH=str(ROOT))
    command = [sys.executable, "-P", "-c", KEEPER]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as keeper:
        assert keeper.stdout is not None
        measured = psutil.Process(int(keeper.stdout.readline()))

        keeper.send_signal(sign)

        _, alive = psutil.wait_procs([measured], timeout=20)
        assert [] == alive
