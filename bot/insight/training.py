"""Trains the language model when what it is made from has changed; it never decides whether a model is good.

A model's file name is the fingerprint of its sources, so the newest fitting model is the one with today's name.
"""

import hashlib
import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bot.errors import BotError

#: Enough to see what Rasa tripped over, short enough for a terminal.
LAST_LINES = 15


class TrainingFailed(BotError):
    """Rasa could not train on data/, domain.yml and config.yml; the message ends with the last lines it wrote."""


def sources(root: Path) -> Iterator[Path]:
    """Every file a model is made from, in a fixed order: the designer's, the components' and the pinned packages."""
    yield from (root / "config.yml", root / "domain.yml", root / "nlu" / "requirements.lock")
    yield from sorted((root / "data").rglob("*.yml"))
    yield from sorted((root / "nlu" / "parley_nlu").glob("*.py"))


def fingerprint(root: Path) -> str:
    """Sixteen hexadecimal digits that change whenever a source under the checkout `root` changes, moves or appears."""
    digest = hashlib.sha256()
    for source in sources(root):
        content = source.read_bytes()
        digest.update(f"{source.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def newest_model(root: Path) -> Path | None:
    """The trained model that fits the sources as they are now, None where there is none yet."""
    model = root / "models" / f"{fingerprint(root)}.tar.gz"
    return model if model.exists() else None


def train(root: Path, python: Path, on_line: Callable[[str], None]) -> Path:
    """Train with the Python of the nlu environment and give the model's path under `root`/models.

    `on_line` gets each line Rasa writes. The model appears under its name only when it is whole, so a killed training
    leaves nothing behind that looks like one. Raises TrainingFailed.
    """
    if not python.exists():
        raise TrainingFailed(f"Rasa's environment has no {python}; ./parley builds it")
    name = fingerprint(root)
    models = root / "models"
    models.mkdir(exist_ok=True)
    # On the same file system as its place, so that moving it there is one step.
    with tempfile.TemporaryDirectory(dir=models, prefix=".training-") as scratch:
        _run_rasa(root, python, Path(scratch), name, on_line)
        trained = Path(scratch) / f"{name}.tar.gz"
        if not trained.exists():
            raise TrainingFailed("Rasa ended without an error and left no model; its lines above say why")
        return trained.replace(models / trained.name)


def _run_rasa(root: Path, python: Path, scratch: Path, name: str, on_line: Callable[[str], None]) -> None:
    made_from = {"--domain": root / "domain.yml", "--config": root / "config.yml", "--data": root / "data"}
    arguments = ["-m", "parley_nlu", "train", "--out", str(scratch), "--fixed-model-name", name]
    arguments += [str(part) for pair in made_from.items() for part in pair]
    code, last = run_python(root, python, arguments, scratch, on_line)
    if code < 0:
        ended = f"Training was ended by signal {-code}; if nobody did that, the host ran out of memory."
        raise TrainingFailed("\n".join([ended, *last]))
    if code != 0:
        raise TrainingFailed("Rasa could not train a model. It ended with:\n" + "\n".join(last))


def run_python(
    root: Path, python: Path, arguments: Sequence[str], folder: Path, on_line: Callable[[str], None]
) -> tuple[int, Sequence[str]]:
    """Run the Python of the nlu environment in `folder`: its exit code, negative for a signal, and the last lines.

    `on_line` gets each line it writes as it comes, be it output or error.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / "nlu"),
        # Rasa would keep a cache of half-trained components; a training takes seconds without it.
        "RASA_MAX_CACHE_SIZE": "0",
        # The matrices are small: threads would only wait for each other.
        "OMP_NUM_THREADS": "1",
    }
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        [str(python), *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None  # it is a pipe
        try:
            for line in process.stdout:
                last.append(line.rstrip())
                on_line(last[-1])
        except BaseException:
            process.kill()  # leaving the block would wait for the whole work
            raise
    return process.returncode, last
