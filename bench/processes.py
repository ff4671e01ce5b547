"""Starts what is measured, measures its memory and processor time, and leaves none of it running."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import httpx
import psutil

from bench.load import Job, Outcome
from bot.errors import BotError
from bot.services import Leash
from bot.settings import ROOT

#: From SIGTERM to SIGKILL: `up` gives each of its own children six seconds.
PATIENCE_SECONDS = 30.0
#: Loading a model takes ten seconds on a quiet machine.
START_SECONDS = 120.0
LOOK_SECONDS = 0.1
LAST_LINES = 15


def environment(**more: str) -> dict[str, str]:
    """Ours without any setting of the engine, and these."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
    return {**kept, **more}


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, env: dict[str, str], log: Path, pipes: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """A program in a session of its own that ends with the block, and also where this process is killed."""
    held = Leash()
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    held.add(child.pid, signal.SIGTERM)
    try:
        yield child
    finally:
        _end(child)
        held.drop(child.pid)
        held.close()


def _end(child: subprocess.Popen[str]) -> None:
    """Its whole group, and what it left there."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE_SECONDS)
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()


def wait_for(url: str, child: subprocess.Popen[str], name: str, log: Path) -> None:
    """Return when this address answers 200. Raises BotError where the program ends before, or takes too long."""
    until = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False, timeout=5).status_code == httpx.codes.OK:
                return
        if child.poll() is not None or time.monotonic() > until:
            raise BotError(f"{name} did not start; it said last:\n{last_lines(log)}")
        time.sleep(LOOK_SECONDS)


def last_lines(log: Path) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])


def free_port() -> int:
    """A TCP port of the loopback interface that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def generate(job: Job, folder: Path, tell: Callable[[int], None]) -> Outcome:
    """Run the load generator; `tell` hears how many texts are answered. Raises BotError where it fails."""
    log = folder / "load.log"
    command = [sys.executable, "-P", "-m", "bench.load"]
    last: dict[str, object] = {}
    with running(command, folder, environment(PYTHONPATH=str(ROOT)), log, pipes=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(asdict(job)) + "\n")
        child.stdin.flush()
        for line in child.stdout:
            last = json.loads(line)
            if "answered" in last:
                tell(int(str(last["answered"])))
        child.wait()
    if "texts" not in last:
        raise BotError(f"the load generator failed; it said last:\n{last_lines(log)}")
    return Outcome(**last)  # type: ignore[arg-type]  # written by the same class


# -- what a process costs ------------------------------------------------------------------------------------------


def memory_kind() -> str:
    """How memory is counted here: pss shares what several processes have in common among them, rss counts it again."""
    return "pss" if hasattr(psutil.Process().memory_full_info(), "pss") else "rss"


def memory_mb(pids: dict[str, int]) -> dict[str, float]:
    """Memory of each of these processes with its descendants, in megabytes of 1,000,000 bytes."""
    return {name: sum(map(_memory, family)) / 1e6 for name, family in _families(pids).items()}


def cpu_seconds(pids: dict[str, int]) -> dict[str, float]:
    """Processor time of each of these processes with its descendants so far, ended ones included."""
    return {name: sum(map(_cpu, family)) for name, family in _families(pids).items()}


def _families(pids: dict[str, int]) -> dict[str, list[psutil.Process]]:
    """Each process with its descendants, but for those that have a name of their own."""
    named = set(pids.values())
    families: dict[str, list[psutil.Process]] = {}
    for name, pid in pids.items():
        families[name] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            waiting = [psutil.Process(pid)]
            while waiting:
                process = waiting.pop()
                families[name].append(process)
                waiting += [child for child in process.children() if child.pid not in named]
    return families


def _memory(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        used = process.memory_full_info()
        return int(getattr(used, "pss", used.rss))
    return 0


def _cpu(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:4]))  # user, system, and both of children that have ended
    return 0.0
