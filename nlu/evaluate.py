"""Reads texts with one trained model, nothing else running; it judges none of the readings.

`python evaluate.py MODEL TEXTS READINGS` with TEXTS a JSON list of strings, and READINGS the JSON list it writes: in
their order, each [intent, confidence, unclear].
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from parley_nlu import lean

#: How often it says how far it is, in texts.
EVERY = 100


def main() -> None:
    """Read all."""
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    os.environ["SQLALCHEMY_SILENCE_UBER_WARNING"] = "1"
    lean.install()
    model, texts, readings = sys.argv[1:]
    found = asyncio.run(read(model, json.loads(Path(texts).read_text())))
    Path(readings).write_text(json.dumps(found))


async def read(model: str, texts: list[str]) -> list[list[Any]]:
    """The reading of each text."""
    from rasa.core.agent import Agent
    from rasa.utils.log_utils import configure_structlog

    from parley_nlu import runner
    from parley_nlu.channel import parse, reading

    # Rasa would write down every text it reads.
    configure_structlog(logging.WARNING)
    runner.install()
    agent = Agent.load(model)
    found = []
    for number, text in enumerate(texts):
        if number % EVERY == 0:
            print(f"reading text {number} of {len(texts)}", flush=True)
        got = reading(await parse(text, agent))
        found.append([got["intent"], got["confidence"], got["unclear"]])
    return found


if __name__ == "__main__":
    main()
