"""Stock Rasa: the bot `rasa init` makes, trained once and kept, served over its REST channel by plain `rasa run`."""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import processes
from bench.load import Job
from bench.texts import PEOPLE
from bot.errors import BotError
from bot.settings import ROOT
from bot.supervisor import NLU_PYTHON

LOCK = ROOT / "nlu" / "requirements.lock"


class Stock:
    """A running stock Rasa; made by `start`."""

    name = "stock_rasa"

    def __init__(self, pid: int, port: int, folder: Path) -> None:
        self._pid, self._port, self.folder = pid, port, folder

    def pids(self) -> dict[str, int]:
        """Its one process."""
        return {"rasa": self._pid}

    def job(self, texts: list[str], first: int, connections: int) -> Job:
        """The load generator's task: to post texts and read the replies."""
        people = [f"person-{number}" for number in range(PEOPLE)]
        return Job(f"http://127.0.0.1:{self._port}/webhooks/rest/webhook", people, texts, first, connections)


def project(kept: Path) -> Path:
    """Where the bot of this version of Rasa is kept; it need not be there."""
    return kept / f"stock-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"


def make(folder: Path) -> None:
    """Let `rasa init` make and train its bot. Raises BotError where it fails."""
    if not NLU_PYTHON.exists():
        raise BotError("Rasa's environment nlu/.venv is missing; ./parley train builds it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that one killed half way leaves nothing that looks finished.
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".draft-"))
    try:
        command = [str(NLU_PYTHON), "-m", "rasa", "init", "--no-prompt"]
        log = folder.parent / "init.log"
        with processes.running(command, draft, _environment(), log) as child:
            child.wait()
        if child.returncode != 0 or not list(draft.glob("models/*.tar.gz")):
            raise BotError(f"rasa init made no bot; it said last:\n{processes.last_lines(log)}")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextlib.contextmanager
def start(folder: Path) -> Iterator[Stock]:
    """Stock Rasa on a bot that was made before. Raises BotError where it does not start."""
    port = processes.free_port()
    command = [str(NLU_PYTHON), "-m", "rasa", "run", "--enable-api", "--interface", "127.0.0.1", "--port", str(port)]
    log = folder.parent / "run.log"
    with processes.running(command, folder, _environment(), log) as child:
        processes.wait_for(f"http://127.0.0.1:{port}/status", child, "stock Rasa", log)
        yield Stock(child.pid, port, folder.parent)


def _environment() -> dict[str, str]:
    return processes.environment(RASA_TELEMETRY_ENABLED="false", TF_CPP_MIN_LOG_LEVEL="3")
