"""How many texts that opt out are read as such, and how many others are, by the rules and lines of a live turn."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from bot import requests
from bot.consent import read_keyword
from bot.outreach import opt_outs
from bot.rasa_client import RasaClient, Reading
from tests.engine import Engine

#: The channel's read route takes this many texts at once.
AT_ONCE = 50


@dataclass(frozen=True)
class Measured:
    """The ids read wrongly: `missed` opt-outs, `false` ones; `recall` and `false_stops` are parts of 1."""

    cases: int
    opting_out: int
    missed: Sequence[str]
    false: Sequence[str]

    @property
    def recall(self) -> float:
        """Of the texts that opt out, those read as such."""
        return 1 - len(self.missed) / self.opting_out

    @property
    def false_stops(self) -> float:
        """Of the other texts, those read as an opt-out."""
        return len(self.false) / (self.cases - self.opting_out)


def measure(engine: Engine, cases: Sequence[dict[str, Any]]) -> Measured:
    """Every case (id, text, opt_out) from a contact of whom nothing is asked, read by the engine's real model."""
    texts = [str(case["text"]) for case in cases]
    pieces = {text: requests.cut([text]) for text in texts}
    needed = list(dict.fromkeys([*texts, *(piece for cut in pieces.values() for piece in cut)]))
    readings = dict(zip(needed, asyncio.run(_read(engine, needed)), strict=True))

    def opts_out(text: str) -> bool:
        keyword = read_keyword(text)
        if keyword is not None:
            return keyword.action == "opt_out"
        cut = pieces[text]
        parts = requests.several(cut, [readings[piece] for piece in cut]) if len(cut) > 1 else []
        # A request put together from several pieces was not read by itself; what it begins with was.
        spoken = [part if part in readings else text for part in parts] or [text]
        return any(opt_outs.decide(part, readings[part].likely("opt_out")) is not None for part in spoken)

    found = {str(case["id"]): (opts_out(str(case["text"])), bool(case["opt_out"])) for case in cases}
    return Measured(
        cases=len(found),
        opting_out=sum(meant for _, meant in found.values()),
        missed=[name for name, (read, meant) in found.items() if meant and not read],
        false=[name for name, (read, meant) in found.items() if read and not meant],
    )


async def _read(engine: Engine, texts: Sequence[str]) -> list[Reading]:
    async with httpx.AsyncClient(trust_env=False) as http:
        rasa = RasaClient([f"http://127.0.0.1:{engine.rasa_port}"], engine.secrets.internal_token, 60.0, http)
        return [
            reading
            for first in range(0, len(texts), AT_ONCE)
            for reading in await rasa.read(texts[first : first + AT_ONCE])
        ]
