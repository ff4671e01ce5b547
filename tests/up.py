"""A real `./parley up` for tests: started, looked at, interrupted, and whatever a failed test leaves ended."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bot import supervisor
from bot.settings import ROOT


class Up:
    """`python -m bot.cli up` on a data folder and a port of its own."""

    def __init__(self, **environment: str) -> None:
        """`environment` is added to this process's, whose settings are taken away."""
        self.home = Path(tempfile.mkdtemp(prefix="parley up "))
        self.home.chmod(0o755)  # PostgreSQL's own user has to get through when we are root
        self.folder = self.home / "data folder"
        self.port = supervisor.free_port()
        self._environment = environment
        self._output = self.home / "output"
        self.process = self.start()

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start one; `environment` is added to what this one has."""
        added = {
            "PARLEY_DATA_DIR": str(self.folder),
            "PARLEY_PORT": str(self.port),
            **self._environment,
            "PYTHONPATH": str(ROOT),
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
        with self._output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "bot.cli", "up"],
                cwd=self.home,
                env={**kept, **added, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def output(self) -> str:
        """What was shown so far."""
        return self._output.read_text(errors="replace")

    def pids(self) -> dict[str, int]:
        """The children that run now, by name."""
        children: dict[str, int | None] = json.loads((self.folder / "engine.json").read_text())["children"]
        return {name: pid for name, pid in children.items() if pid is not None}

    def ready(self) -> bool:
        """Whether a text would be answered."""
        assert self.process.poll() is None, self.output()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def interrupt(self) -> tuple[int, float]:
        """Ctrl-C; the exit code and how long it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30), time.monotonic() - began

    def end(self) -> None:
        """Whatever a failed test left."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        shutil.rmtree(self.home, ignore_errors=True)


def until(look: Callable[[], object], seconds: float) -> None:
    """Return when something is so."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)
