"""A running Rasa for tests, and a stand-in for the engine's action route that records what it is asked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "token-of-these-tests"
READY_SECONDS = 60.0
TURN_SECONDS = 20.0


# -- the engine's side: a stand-in for the action route ------------------------------------------------------------


class Actions:
    """Answers action calls as a test wishes and keeps what was asked; by default an action says its own name."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, Any]], tuple[int, Any]] = says_its_name
        actions = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                actions.calls.append(call)
                actions.headers.append(dict(self.headers))
                status, answer = actions.answer(call)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where Rasa finds it."""
        return f"http://127.0.0.1:{self._server.server_port}/webhook"

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def says_its_name(call: dict[str, Any]) -> tuple[int, Any]:
    """The default: one reply, the action's name."""
    return 200, {"events": [], "responses": [{"text": call["next_action"]}]}


# -- Rasa's side ---------------------------------------------------------------------------------------------------


class Rasa:
    """A running Rasa as bot/supervisor.py starts it."""

    def __init__(self, model: Path, actions_url: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "rasa.log"
        environment = {
            **_clean_environment(),
            "PARLEY_ACTIONS_URL": actions_url,
            "PARLEY_INTERNAL_TOKEN": TOKEN,
            "LOG_LEVEL": "WARNING",
            "MALLOC_ARENA_MAX": "2",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "parley_nlu", "run", "--model", str(model)]
        command += ["--endpoints", "endpoints.yml", "--credentials", "credentials.yml"]
        command += ["--interface", "127.0.0.1", "--port", str(port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def wait_ready(self) -> None:
        """Return when a turn would be answered."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            assert self._process.poll() is None, self.log()
            try:
                if requests.get(f"{self.url}/webhooks/parley/health", timeout=2).status_code == 200:
                    return
            except requests.ConnectionError:
                pass
            time.sleep(0.1)
        raise AssertionError(self.log())

    def post(self, body: Any, token: str | None = TOKEN, route: str = "turn") -> requests.Response:
        """Ask for a turn or another route; `body` is JSON or raw bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}".encode()} if token is not None else {}
        url = f"{self.url}/webhooks/parley/{route}"
        return requests.post(url, data=content, headers=headers, timeout=TURN_SECONDS)

    def turn(self, text: str, state: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The answer to one turn, which must succeed."""
        response = self.post({"sender": str(uuid4()), "text": text, "state": state, **more})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def log(self) -> str:
        """All it has written so far."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run_rasa(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Rasa's command line as Parley runs it, from the root of the checkout."""
    command = [sys.executable, "-m", "parley_nlu", *arguments]
    return subprocess.run(command, cwd=ROOT, env=_clean_environment(), capture_output=True, text=True, timeout=300)


def _clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    return {**kept, "PYTHONPATH": str(ROOT / "nlu"), "RASA_MAX_CACHE_SIZE": "0", "OMP_NUM_THREADS": "1"}
