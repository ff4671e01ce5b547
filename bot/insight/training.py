"""Trains the language model when what it is made from has changed; it never decides whether a model is good.

A model's file name is the fingerprint of its sources, so the newest fitting model is the one with today's name.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

from bot.errors import BotError
from bot.insight import examples
from bot.insight.examples import ExamplesError
from bot.settings import ROOT, Settings

#: Enough to see what Rasa tripped over, short enough for a terminal.
LAST_LINES = 15
#: How the folders begin a training works in; its process and host follow.
SCRATCH: Final = ".parley-training-"


class TrainingFailed(BotError):
    """Rasa could not train on data/, domain.yml and config.yml; the message ends with the last lines it wrote."""


@dataclass(frozen=True)
class Workshop:
    """Where models are made and kept: the checkout, its examples, the models, and what a model is judged on."""

    root: Path
    examples: Path
    models: Path
    held_out: Path
    conversations: Path

    @classmethod
    def at(cls, root: Path) -> Self:
        """Everything where the checkout `root` has it."""
        return cls(
            root,
            root / "data",
            root / "models",
            root / "nlu" / "tests" / "heldout.yml",
            root / "tests" / "conversations",
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Everything where the settings say."""
        folders = (settings.examples_dir, settings.models_dir, settings.heldout_file, settings.conversations_dir)
        return cls(ROOT, *(folder.resolve() for folder in folders))

    def model(self, name: str) -> Path:
        """Where the model of this name is, or would be."""
        return self.models / f"{name}.tar.gz"


def sources(shop: Workshop) -> dict[str, Path]:
    """Every file a model is made from, by its name in a checkout, in a fixed order: the designer's, the components'."""
    root = shop.root
    named = {name: root / name for name in ("config.yml", "domain.yml", "nlu/requirements.lock")}
    examples = {f"data/{path.relative_to(shop.examples).as_posix()}": path for path in shop.examples.rglob("*.yml")}
    components = {path.relative_to(root).as_posix(): path for path in (root / "nlu" / "parley_nlu").glob("*.py")}
    return named | dict(sorted(examples.items())) | dict(sorted(components.items()))


def fingerprint(shop: Workshop) -> str:
    """Sixteen hexadecimal digits that change whenever a source of a model changes, moves or appears."""
    return _digest(sources(shop))


def _digest(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def newest_model(shop: Workshop) -> Path | None:
    """The trained model that fits the sources as they are now, None where there is none yet."""
    model = shop.model(fingerprint(shop))
    return model if model.exists() else None


def train(shop: Workshop, python: Path, on_line: Callable[[str], None]) -> Path:
    """Train with the Python of the nlu environment and give the model's path.

    `on_line` gets each line Rasa writes. It trains on a copy of the sources, so that a label given meanwhile is in the
    next model. The model appears under its name only when it is whole. Raises TrainingFailed.
    """
    if not python.exists():
        raise TrainingFailed(f"Rasa's environment has no {python}; ./parley builds it")
    shop.models.mkdir(exist_ok=True)
    sweep(shop.models)
    # On the same file system as its place, so that moving it there is one step.
    with tempfile.TemporaryDirectory(dir=shop.models, prefix=scratch_prefix()) as folder:
        scratch = Path(folder)
        copied = _copy(sources(shop), scratch / "sources")
        name = _digest(copied)
        _run_rasa(shop.root, python, scratch, name, on_line)
        trained = scratch / f"{name}.tar.gz"
        if not trained.exists():
            raise TrainingFailed("Rasa ended without an error and left no model; its lines above say why")
        _keep_examples(scratch / "sources" / "data", examples_path(shop.model(name)))
        return trained.replace(shop.model(name))


def _copy(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """What a designer edits is copied; components and packages stay where they are."""
    copied = {}
    for name, path in files.items():
        copied[name] = folder / name if not name.startswith("nlu/") else path
        if copied[name] != path:
            copied[name].parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied[name])
    return copied


def sweep(models: Path) -> None:
    """Remove what trainings left that were killed, beside the models and among the host's temporary files.

    Their scratch folders carry their process's number and its host, because nobody can look for another host's.
    """
    for folder in (models, Path(tempfile.gettempdir())):
        for left in folder.glob(f"{SCRATCH}*@{socket.gethostname()}-*"):
            number = left.name.removeprefix(SCRATCH).partition("@")[0]
            if number.isdecimal() and not psutil.pid_exists(int(number)):
                shutil.rmtree(left, ignore_errors=True)


def scratch_prefix() -> str:
    """How the names of this process's scratch folders begin, so that `sweep` knows whose they are."""
    return f"{SCRATCH}{os.getpid()}@{socket.gethostname()}-"


def _run_rasa(root: Path, python: Path, scratch: Path, name: str, on_line: Callable[[str], None]) -> None:
    made_from = {"--domain": "domain.yml", "--config": "config.yml", "--data": "data"}
    arguments = ["-m", "parley_nlu", "train", "--out", str(scratch), "--fixed-model-name", name]
    arguments += [part for option, source in made_from.items() for part in (option, str(scratch / "sources" / source))]
    code, last = run_python(root, python, arguments, scratch, on_line)
    if code < 0:
        ended = f"Training was ended by signal {-code}; if nobody did that, the host ran out of memory."
        raise TrainingFailed("\n".join([ended, *last]))
    if code != 0:
        raise TrainingFailed("Rasa could not train a model. It ended with:\n" + "\n".join(last))


# -- what a model was trained on -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """How the examples differ from those a model was trained on; pairs of text and intent, in order of the texts.

    A text that changed its intent is in `moved` alone, as (text, intent before, intent now).
    """

    added: list[tuple[str, str]]
    removed: list[tuple[str, str]]
    moved: list[tuple[str, str, str]]


def examples_path(model: Path) -> Path:
    """Where the examples a model was trained on are kept: beside it, under its name."""
    return model.with_name(model.name.removesuffix(".tar.gz") + ".examples.json")


def _keep_examples(folder: Path, path: Path) -> None:
    try:
        pairs = [(each.text, each.intent) for each in examples.read(folder).all]
    except ExamplesError:  # Rasa reads more than the review queue edits; such a model has no list
        return
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(pairs))
    part.replace(path)


def difference(model: Path, now: Sequence[tuple[str, str]]) -> Difference | None:
    """How the examples of `now` (pairs of text and intent) differ from a model's; None where its own were not kept."""
    path = examples_path(model)
    if not path.exists():
        return None
    pairs: list[list[str]] = json.loads(path.read_text())
    old, new = {(text, intent) for text, intent in pairs}, set(now)
    added, removed = sorted(new - old), sorted(old - new)
    meant, means = dict(removed), dict(added)
    moved = [(text, meant[text], means[text]) for text in sorted(meant.keys() & means.keys())]
    changed = {text for text, *_ in moved}
    return Difference(
        [pair for pair in added if pair[0] not in changed], [pair for pair in removed if pair[0] not in changed], moved
    )


# -- Rasa's environment --------------------------------------------------------------------------------------------


def run_python(
    root: Path,
    python: Path,
    arguments: Sequence[str],
    folder: Path,
    on_line: Callable[[str], None],
    added: Mapping[str, str] | None = None,
) -> tuple[int, Sequence[str]]:
    """Run the Python of an environment in `folder`: its exit code, negative for a signal, and the last lines.

    `on_line` gets each line it writes as it comes, be it output or error; `added` goes into its environment, which has
    none of our settings.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")},
        "PYTHONPATH": str(root / "nlu"),
        # Rasa would keep a cache of half-trained components; a training takes seconds without it.
        "RASA_MAX_CACHE_SIZE": "0",
        # The matrices are small: threads would only wait for each other.
        "OMP_NUM_THREADS": "1",
        **(added or {}),
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
