"""Trains the pipeline of config.yml on texts of any kind and scores it on others; it measures and changes nothing.

A process of its own, so that the memory it reports is the pipeline's: `python measure.py JOB FIGURES --config F` with
JOB a JSON file of `train` and `test` (lists of [text, intent]) and `oos` (texts that belong to no intent, or null), and
FIGURES the JSON file it writes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import os
import re
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from parley_nlu import lean

#: Read before the clock counts, so that nothing is measured while it is still being loaded.
WARM_UP = 20


def main() -> None:
    """Do one job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", type=Path)
    parser.add_argument("figures", type=Path)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--tensorflow", action="store_true", help="for a config that needs it, such as stock DIET")
    asked = parser.parse_args()
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    os.environ["SQLALCHEMY_SILENCE_UBER_WARNING"] = "1"
    if not asked.tensorflow:
        lean.install()
    job = json.loads(asked.job.read_text())
    asked.figures.write_text(json.dumps(asyncio.run(run(job, asked.config))))


async def run(job: dict[str, Any], config: Path) -> dict[str, Any]:
    """Accuracy, macro-F1 and AUROC as fractions of 1, seconds to train, milliseconds a text, most megabytes held."""
    from rasa.core.agent import Agent
    from rasa.model_training import train_nlu
    from rasa.utils.log_utils import configure_structlog
    from sklearn.metrics import f1_score, roc_auc_score

    from parley_nlu import channel, runner

    # Rasa would write down every text it reads, which takes as long as reading it.
    configure_structlog(logging.WARNING)
    # Intents of any name, "a/b" too, which Rasa would take apart; what a name says may be learnt from.
    names = sorted({intent for _, intent in job["train"]})
    numbered = {name: f"{re.sub('[^a-zA-Z]+', '_', name)}_{number}" for number, name in enumerate(names)}
    examples = [{"text": text, "intent": numbered[intent], "entities": []} for text, intent in job["train"]]
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "nlu.json"
        data.write_text(json.dumps({"rasa_nlu_data": {"common_examples": examples}}))
        _say("training")
        started = time.perf_counter()
        model = train_nlu(config=str(config), nlu_data=str(data), output=scratch, fixed_model_name="measured")
        train_s = time.perf_counter() - started
        if model is None:
            raise SystemExit("Rasa trained no model; its lines above say why")
        runner.install()
        agent = Agent.load(model)
    # Every text is read anew, however often it comes.
    channel.KEPT = 0
    for text, _ in job["test"][:WARM_UP]:
        await _read(text, agent)
    _say("reading")
    read = [(intent, *await _read(text, agent)) for text, intent in job["test"]]
    truth = [numbered.get(intent, intent) for intent, *_ in read]
    told = [intent or "" for _, intent, _, _ in read]
    sure = [confidence for _, _, confidence, _ in read]
    auroc = None
    if job["oos"]:
        beyond = [(await _read(text, agent))[1] for text in job["oos"]]
        auroc = float(roc_auc_score([1] * len(sure) + [0] * len(beyond), sure + beyond))
    return {
        "accuracy": sum(a == b for a, b in zip(truth, told, strict=True)) / len(truth),
        "macro_f1": float(f1_score(truth, told, average="macro", zero_division=0)),
        "auroc": auroc,
        "train_s": round(train_s, 2),
        "ms_p50": round(sorted(ms for *_, ms in read)[len(read) // 2], 3),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


async def _read(text: str, agent: Any) -> tuple[str | None, float, float]:
    """Best intent, how sure it is that the text belongs to any, and milliseconds."""
    from parley_nlu.channel import parse, reading

    started = time.perf_counter()
    parsed = await parse(text, agent)
    sure = parsed["scope"] if parsed["scope"] > -math.inf else reading(parsed)["confidence"]
    return reading(parsed)["intent"], sure, (time.perf_counter() - started) * 1000


def _say(step: str) -> None:
    print(step, flush=True)


if __name__ == "__main__":
    main()
