"""`up` as an operator meets it: one real start with embedded services, its children killed, and Ctrl-C."""

import asyncio
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import psutil
import psycopg
import pytest

from bot import accounts, children, services, supervisor
from bot.children import Child
from bot.db import Database
from bot.services import Leash, Program
from tests.up import Up, until

T = TypeVar("T")

CHILDREN = {"postgres", "valkey", "worker-1", "sender", "web"}


# -- one child -----------------------------------------------------------------------------------------------------


async def test_a_child_that_dies_is_started_again_until_it_is_stopped(tmp_path: Path) -> None:
    """Kill -9 brings a new process and one sentence; a stop is a stop."""
    told: list[str | None] = []
    child = Child(lambda: Program("sleeper", ["sleep", "600"], tmp_path / "log"), held := Leash(), told.append)
    await child.start()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    second = await until_true(lambda: child.pid if child.pid != first else None)
    child.ask_to_stop()
    await child.stopped()
    await asyncio.sleep(children.FIRST_PAUSE * 2)
    held.close()

    assert (None, False, False) == (child.pid, psutil.pid_exists(first), psutil.pid_exists(second))
    assert [f"sleeper ended (signal 9) and is started again; its log is {tmp_path / 'log'}"] == [
        sentence for sentence in told if sentence is not None
    ]


async def test_a_child_that_will_not_end_is_killed(tmp_path: Path) -> None:
    """Nobody holds Ctrl-C for longer than the patience."""
    stubborn = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
    child = Child(lambda: Program("stubborn", stubborn, tmp_path / "log"), held := Leash(), lambda _: None)
    await child.start()
    pid = child.pid
    await asyncio.sleep(0.5)  # it has to come as far as ignoring the signal
    began = time.monotonic()
    child.ask_to_stop()
    await child.stopped()
    held.close()

    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert time.monotonic() - began < children.PATIENCE_SECONDS + 2


# -- the whole -----------------------------------------------------------------------------------------------------


class Answering(BaseHTTPRequestHandler):
    """A Rasa that is there, and no more than that: its real start would cost every run ten seconds."""

    def do_GET(self) -> None:
        """200 to whoever asks for its health."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """An engine that is ready."""
    rasa = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=rasa.serve_forever, daemon=True).start()
    started = Up(PARLEY_RASA_URL=f"http://127.0.0.1:{rasa.server_port}")
    try:
        until(lambda: "Ctrl-C stops it." in started.output() and started.ready(), 60)
        yield started
    finally:
        started.end()
        rasa.shutdown()
        rasa.server_close()


pytestmark = pytest.mark.xdist_group("up")


async def test_a_start_shows_its_steps_and_a_login_that_works(up: Up) -> None:
    """Every step with its time, the addresses, and an email and password that belong together."""
    shown = up.output()
    for step in ("PostgreSQL", "Valkey", "migrations", "demo shop", "ready for texts"):
        assert re.search(rf"✓ {step} +\d+\.\d s", shown), step
    login = re.search(r"Login +(\S+) +(\S+)", shown)
    assert login is not None
    db = Database(services.app_url(up.folder))
    async with db.begin() as session:
        user = await accounts.check(session, login[1], login[2])
    await db.close()

    assert f"Console    http://127.0.0.1:{up.port}/console/" in shown
    assert f"Simulator  http://127.0.0.1:{up.port}/simulator/" in shown
    assert user is not None
    assert "admin" == user.role


def test_its_children_run_and_are_named(up: Up) -> None:
    """The note in the data folder names every child, and each is there."""
    children = up.pids()

    assert set(children) == CHILDREN
    assert all(psutil.pid_exists(pid) for pid in children.values())


@pytest.mark.parametrize("name", ["worker-1", "web", "valkey", "postgres"])
def test_a_killed_child_comes_back_and_texts_are_answered(up: Up, name: str) -> None:
    """Kill -9 of any child costs seconds."""
    first = up.pids()[name]
    os.kill(first, signal.SIGKILL)
    until(lambda: up.pids().get(name, first) != first, 20)
    until(up.ready, 30)

    assert f"{name} ended (signal 9) and is started again" in " ".join(up.output().split())


def test_a_second_start_on_the_folder_is_refused(up: Up) -> None:
    """One sentence, and the first goes on."""
    with up.start(PARLEY_PORT=str(supervisor.free_port())) as second:
        code = second.wait(20)

    assert 1 == code
    assert f"parley: an engine is running on {up.folder} already; stop it, or choose another --data-dir" in up.output()
    assert up.ready()


def test_a_port_in_use_is_refused(up: Up) -> None:
    """One sentence that names the port; nothing is left running in the other folder."""
    with up.start(PARLEY_DATA_DIR=str(up.home / "other")) as second:
        code = second.wait(20)

    assert 1 == code
    assert f"parley: port {up.port} of 127.0.0.1 cannot be used (Address already in use)" in up.output()
    assert "Traceback" not in up.output()


def test_ctrl_c_ends_every_child_and_loses_nothing(up: Up) -> None:
    """Exit 0 within 20 seconds, no child left, no note left, and the contacts are there in the data folder."""
    children = up.pids()
    code, seconds = up.interrupt()
    kept = services.start(up.folder)
    try:
        with psycopg.connect(kept.app_url) as connection:
            contacts = connection.execute("SELECT count(*) FROM contacts").fetchone()
    finally:
        kept.stop()

    assert 0 == code
    assert seconds < 20
    assert [] == [name for name, pid in children.items() if psutil.pid_exists(pid)]
    assert not (up.folder / "engine.json").exists()
    assert (20,) == contacts


async def until_true(look: Callable[[], T | None], seconds: float = 10) -> T:
    """What `look` returns once it is something."""
    end = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.05)
    return found
