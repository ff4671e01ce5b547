"""Measures how well the pipeline of config.yml reads texts it is given in files; it needs no running engine.

The measuring itself is nlu/measure.py, a process of Rasa's environment. Without files it measures CLINC150 (Larson et
al., 2019): each of 150 intents learnt from ten texts, drawn with each of SEEDS, and from all hundred. It is tuned on
`val` alone and scored on the 4,500 texts of `test` and the 1,000 of `oos_test`; `oos_train` is unused.
"""

import csv
import gzip
import json
import random
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import yaml

from bot.errors import BotError
from bot.insight import training
from bot.settings import ROOT
from bot.supervisor import NLU_PYTHON

#: What a figure is asked for by name; each a fraction of 1, seconds, or milliseconds.
FIGURES = ("accuracy", "macro_f1", "auroc", "train_s", "ms_p50")
#: Longer fields than any text has; the module's own limit would stop at an essay.
_LONGEST = 1_000_000


CLINC = ROOT / "bench" / "data" / "clinc150.json.gz"
#: Each draws ten texts of every intent.
SEEDS = (0, 1, 2, 3, 4)
SHOTS = 10
#: The shipped pipeline, the same without its sentence encoders, and what `rasa init` writes.
SIDES = ("parley", "sparse", "stock_rasa")
_STOCK: dict[str, Any] = {
    "recipe": "default.v1",
    "language": "en",
    "pipeline": [
        {"name": "WhitespaceTokenizer"},
        {"name": "RegexFeaturizer"},
        {"name": "LexicalSyntacticFeaturizer"},
        {"name": "CountVectorsFeaturizer"},
        {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
        {"name": "DIETClassifier", "epochs": 100, "constrain_similarities": True},
        {"name": "FallbackClassifier", "threshold": 0.3, "ambiguity_threshold": 0.1},
    ],
}


class Job(TypedDict):
    """What is trained on and scored: pairs of text and intent, and texts of no intent (None: not asked)."""

    train: list[tuple[str, str]]
    test: list[tuple[str, str]]
    oos: list[str] | None


def job(train: Path, test: Path, oos: Path | None) -> Job:
    """The job of three files. Raises BotError naming the file and the mend."""
    pairs = [[(row["text"], row["intent"]) for row in rows(path, ("text", "intent"))] for path in (train, test)]
    beyond = [row["text"] for row in rows(oos, ("text",))] if oos is not None else None
    if len({intent for _, intent in pairs[0]}) < 2:
        raise BotError(f"{train} names one intent alone; there is nothing to tell apart.")
    return {"train": pairs[0], "test": pairs[1], "oos": beyond}


def rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV or CSV.gz in UTF-8 with a header; further columns are left out. Raises BotError."""
    csv.field_size_limit(_LONGEST)
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
        found = list(csv.DictReader(lines, strict=True))
    except OSError as exc:
        raise BotError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    except (UnicodeDecodeError, EOFError, csv.Error) as exc:
        raise BotError(f"{path} is no CSV in UTF-8: {exc}.") from exc
    if not found:
        raise BotError(f"{path} has no rows below its header; it needs {' and '.join(columns)} in each.")
    if missing := [column for column in columns if column not in found[0]]:
        raise BotError(f"{path} has no column {missing[0]}; its first line must name {' and '.join(columns)}.")
    for number, row in enumerate(found, 2):
        if any(row[column] is None for column in columns):
            raise BotError(f"{path}: row {number} is too short; it needs {' and '.join(columns)}.")
    if "intent" in columns and (bare := next((n for n, row in enumerate(found, 2) if not row["intent"].strip()), None)):
        raise BotError(f"{path}: row {bare} names no intent.")
    return [{column: row[column] for column in columns} for row in found]


def measure(work: Job, config: Path, on_line: Callable[[str], None], *, tensorflow: bool = False) -> dict[str, Any]:
    """Train and score in a process of Rasa's environment: FIGURES and `rss_mb`. Raises BotError.

    `on_line` gets what Rasa writes meanwhile.
    """
    if not NLU_PYTHON.exists():
        raise BotError("Rasa's environment nlu/.venv is missing; ./parley train builds it.")
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as scratch:
        asked, figures = Path(scratch) / "job.json", Path(scratch) / "figures.json"
        asked.write_text(json.dumps(work))
        arguments = [str(ROOT / "nlu" / "measure.py"), str(asked), str(figures), "--config", str(config)]
        arguments += ["--tensorflow"] if tensorflow else []
        code, last = training.run_python(ROOT, NLU_PYTHON, arguments, Path(scratch), on_line)
        if code != 0:
            raise BotError("The pipeline could not be measured. It ended with:\n" + "\n".join(last))
        found: dict[str, Any] = json.loads(figures.read_text())
        return found


# -- CLINC150 ------------------------------------------------------------------------------------------------------


def clinc(sides: Sequence[str], on_line: Callable[[str], None], *, full: bool = True) -> dict[str, dict[str, Any]]:
    """Figures by side: `ten` (the mean over SEEDS, `accuracy_sd` beside it) and `full`. Raises BotError.

    `full` False leaves the long training out.
    """
    content: dict[str, list[tuple[str, str]]] = json.loads(gzip.decompress(CLINC.read_bytes()))
    found: dict[str, dict[str, Any]] = {}
    for side in sides:

        def run(train: list[tuple[str, str]], name: str, side: str = side) -> dict[str, Any]:
            work: Job = {"train": train, "test": content["test"], "oos": [text for text, _ in content["oos_test"]]}
            with tempfile.NamedTemporaryFile("w", suffix=".yml") as config:
                yaml.safe_dump(_config(side), config, sort_keys=False)
                config.flush()
                on_line(f"{side}, {name}")
                return measure(work, Path(config.name), on_line, tensorflow=side == "stock_rasa")

        runs = [run(draw(content["train"], seed), f"seed {seed}") for seed in SEEDS]
        ten = {key: statistics.fmean(each[key] for each in runs) for key in runs[0]}
        found[side] = {"ten": {**ten, "accuracy_sd": statistics.stdev(each["accuracy"] for each in runs)}}
        if full:
            found[side]["full"] = run(content["train"], "all texts")
    return found


def draw(texts: Sequence[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """SHOTS texts of every intent, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    by_intent: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for text, intent in texts:
        by_intent[intent].append((text, intent))
    return [each for intent in sorted(by_intent) for each in chance.sample(by_intent[intent], SHOTS)]


def _config(side: str) -> dict[str, Any]:
    if side == "stock_rasa":
        return _STOCK
    config: dict[str, Any] = yaml.safe_load((ROOT / "config.yml").read_text())
    if side == "sparse":
        config["pipeline"] = [step for step in config["pipeline"] if not step["name"].endswith("Encoder")]
    return config
