"""A turn grows until the transaction that ends it: texts that come while it is read are read with it, within limits."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update

from bot import conversation, inbox
from bot.carriers.base import InboundText
from bot.conversation import Conversations
from bot.db import Database
from bot.rasa_client import RasaClient
from bot.tables import Message, Turn

PHONE, NUMBER, KEY = "+16465550123", "+13125550142", "consent-key"


async def texted(db: Database, body: str) -> None:
    """The contact texts."""
    await inbox.receive(db, InboundText(f"SM{uuid4().hex}", PHONE, NUMBER, body), KEY)


class Rasa:
    """Rasa's wire: says what it read; before it answers, `meanwhile` happens."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        self.read: list[str] = []
        self._meanwhile = meanwhile

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """One turn, or readings of pieces that are all the same small talk."""
        body = json.loads(request.content)
        reading = {"intent": "greet", "confidence": 0.9, "ranking": [], "entities": [], "unclear": False}
        if request.url.path.endswith("/read"):
            return httpx.Response(200, json={"readings": [reading for _ in body["texts"]]})
        self.read.append(body["text"])
        if self._meanwhile is not None:
            await self._meanwhile()
        answer: dict[str, Any] = {"replies": [{"text": f"Read: {body['text']}"}], "reading": reading, "state": {}}
        return httpx.Response(200, json={**answer, "ms": {}})


async def take(db: Database, rasa: Rasa, fold_times: int = 2) -> None:
    """Take the conversation's next turn."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(rasa)) as http:
        client = RasaClient(["http://rasa"], "token", 5, http)
        lease = await conversation.claim(db, "worker", 60)
        assert lease is not None
        await Conversations(db, client, timedelta(seconds=60), 15, timedelta(hours=24), fold_times).take_turn(lease)


async def turns(db: Database) -> list[list[str]]:
    """The texts of every turn, in order."""
    async with db.begin() as session:
        ended = list(await session.scalars(select(Turn.id).order_by(Turn.ended_at)))
        rows = (
            await session.execute(
                select(Message.turn_id, Message.body).where(Message.direction == "inbound").order_by(Message.seq)
            )
        ).all()
    return [[row.body for row in rows if row.turn_id == turn_id] for turn_id in ended]


async def test_texts_that_wait_together_are_one_turn(db: Database) -> None:
    """Nobody answers half a thought: a burst is read as one, and answered once."""
    await texted(db, "hi")
    await texted(db, "its me again")
    rasa = Rasa()
    await take(db, rasa)

    assert ["hi\nits me again"] == rasa.read
    assert [["hi", "its me again"]] == await turns(db)


async def test_a_text_that_comes_while_the_turn_is_read_joins_it(db: Database) -> None:
    """The first reading is thrown away, both are read together, and one answer goes out."""
    await texted(db, "hello")
    once = iter([True])

    async def meanwhile() -> None:
        if next(once, False):
            await texted(db, "anybody there")

    rasa = Rasa(meanwhile)
    await take(db, rasa)

    assert ["hello", "hello\nanybody there"] == rasa.read
    assert [["hello", "anybody there"]] == await turns(db)
    async with db.begin() as session:
        sent = list(await session.scalars(select(Message.body).where(Message.direction == "outbound")))
    assert 1 == len(sent)


async def test_somebody_who_never_stops_texting_is_answered_all_the_same(db: Database) -> None:
    """A turn grows twice at most; what comes then is a turn of its own."""
    await texted(db, "text 0")
    count = iter(range(1, 100))

    async def meanwhile() -> None:
        await texted(db, f"text {next(count)}")

    rasa = Rasa(meanwhile)
    await take(db, rasa)

    assert [["text 0", "text 1", "text 2"]] == await turns(db)
    assert 3 == len(rasa.read)


@pytest.mark.parametrize("word", ["CHANGE", "undo"])
async def test_a_command_never_folds(db: Database, word: str) -> None:
    """It is a turn of its own, whatever stands around it."""
    await texted(db, "hello")
    await texted(db, word)
    await texted(db, "are you there")
    for _ in range(3):
        await take(db, Rasa())

    assert [["hello"], [word], ["are you there"]] == await turns(db)


async def test_texts_hours_apart_are_turns_of_their_own(db: Database) -> None:
    """What was caught up after an outage is not one thought."""
    await texted(db, "what are your hours")
    async with db.begin() as session:
        await session.execute(update(Message).values(created_at=Message.created_at - timedelta(hours=1)))
    await texted(db, "where is my order")
    for _ in range(2):
        await take(db, Rasa())

    assert [["what are your hours"], ["where is my order"]] == await turns(db)


async def test_folding_can_be_switched_off(db: Database) -> None:
    """Then every text is a turn."""
    await texted(db, "hi")
    await texted(db, "again")
    for _ in range(2):
        await take(db, Rasa(), fold_times=0)

    assert [["hi"], ["again"]] == await turns(db)


async def test_a_stop_in_the_middle_of_a_burst_takes_effect_by_itself(db: Database) -> None:
    """STOP is decided when it arrives; the texts around it stay a turn."""
    await texted(db, "hello")
    await texted(db, "STOP")
    await texted(db, "are you there")
    await take(db, Rasa())

    assert [["STOP"], ["hello", "are you there"]] == await turns(db)
