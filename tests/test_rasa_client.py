"""Asking Rasa for a turn: every answer it can give, over real HTTP, and that no error tells what was texted."""

import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import httpx
import pytest

from bot.errors import RasaRefused, RasaUnavailable
from bot.rasa_client import Guess, RasaClient, RasaTurn, Reading
from bot.supervisor import free_port
from bot.values import HandOver, Say

SENDER = UUID("0c1f8f6e-2d0f-4e57-9c07-6f0d7f9f7a11")
MARK = "xylophonequartz"
TIMEOUT_S = 0.5

#: As a running Rasa gave it, its ranking cut short.
ANSWER: dict[str, Any] = {
    "replies": [
        {"text": "Order #1042 is on its way.\n\nIt should arrive Friday."},
        {"custom": {"parley": {"type": "hand_over", "reason": "unclear", "note": "why"}}},
    ],
    "reading": {
        "intent": "order_status",
        "confidence": 0.9988,
        "ranking": [{"name": "order_status", "confidence": 0.9988}, {"name": "cancel_order", "confidence": 0.0012}],
        "entities": [{"entity": "order_number", "value": "1042", "start": 19, "end": 23}],
        "unclear": False,
    },
    "state": {
        "version": 1,
        "slots": {"order_number": "1042"},
        "form": None,
        "last": {
            "intent": "order_status",
            "entities": [{"entity": "order_number", "value": "1042"}],
            "actions": ["action_order_status", "action_listen"],
        },
    },
    "ms": {"parse": 3.97, "predict": 6.07, "total": 10.04},
}


class StandIn:
    """A server with Rasa's two routes; `answer` decides what it says, `asked` keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.encoding: str | None = None
        self.answer: Callable[[], tuple[int, bytes]] = lambda: (200, json.dumps(ANSWER).encode())
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(*stand_in.answer())

            def do_POST(self) -> None:
                assert self.path == "/webhooks/parley/turn"
                stand_in.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                stand_in.tokens.append(self.headers["Authorization"])
                self._say(*stand_in.answer())

            def _say(self, status: int, body: bytes) -> None:
                with contextlib.suppress(BrokenPipeError):  # the client has given up waiting
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    if stand_in.encoding is not None:
                        self.send_header("Content-Encoding", stand_in.encoding)
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def says(self, status: int, content: object) -> None:
        """Answer this from now on; bytes go as they are, anything else as JSON."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.answer = lambda: (status, body)


@contextlib.contextmanager
def running() -> Iterator[StandIn]:
    """A stand-in that listens."""
    stand_in = StandIn()
    thread = threading.Thread(target=stand_in.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.server.shutdown()
        stand_in.server.server_close()
        thread.join()


@pytest.fixture
def rasa() -> Iterator[StandIn]:
    """One Rasa."""
    with running() as stand_in:
        yield stand_in


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """As the engine makes it: no proxy of the host comes between."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def client(rasa: StandIn, http: httpx.AsyncClient) -> RasaClient:
    """A client of that one Rasa."""
    return RasaClient([rasa.url + "/"], "secret", TIMEOUT_S, http)


async def ask(client: RasaClient, text: str = f"where is my {MARK}") -> RasaTurn:
    """One turn with something in every field."""
    return await client.turn(SENDER, text, {"version": 1}, {"now": "2026-11-24T10:00:00-05:00"}, "order_status")


def with_reading(**changed: object) -> dict[str, Any]:
    """The answer with other fields in its reading."""
    return {**ANSWER, "reading": {**ANSWER["reading"], **changed}}


async def test_a_turn_is_asked_and_answered_whole(rasa: StandIn, client: RasaClient) -> None:
    """Text, state, context and intent go out with the token; values, reading, state and times come back."""
    turn = await ask(client, "where is my order #1042?")

    assert ["Bearer secret"] == rasa.tokens
    assert [
        {
            "sender": str(SENDER),
            "text": "where is my order #1042?",
            "intent": "order_status",
            "context": {"now": "2026-11-24T10:00:00-05:00"},
            "state": {"version": 1},
        }
    ] == rasa.asked
    said = Say(text="Order #1042 is on its way.\n\nIt should arrive Friday.")
    assert [said, HandOver(reason="unclear", note="why")] == turn.replies
    reading = turn.reading
    assert ("order_status", 0.9988, False) == (reading.intent, reading.confidence, reading.unclear)
    assert ["order_status", "cancel_order"] == [guess.name for guess in reading.ranking]
    assert [("order_number", "1042")] == [(entity.entity, entity.value) for entity in reading.entities]
    assert ANSWER["state"] == turn.state
    assert {"parse", "predict", "total", "round_trip"} == set(turn.ms)
    assert turn.ms["round_trip"] > 0


async def test_a_fresh_conversation_has_no_state(rasa: StandIn, client: RasaClient) -> None:
    """The first turn sends none, and a text with nothing to read comes back without an intent."""
    rasa.says(200, with_reading(intent=None, confidence=0.0, ranking=[], entities=[], unclear=True))
    turn = await client.turn(SENDER, "", None, {})

    assert (None, None) == (rasa.asked[0]["state"], rasa.asked[0]["intent"])
    assert (None, True) == (turn.reading.intent, turn.reading.unclear)


@pytest.mark.parametrize("text", ["half an emoji \ud83d", "\x00", "👍" * 800, '"}', "\u2028", "/restart"])
async def test_any_text_reaches_rasa_as_it_is(rasa: StandIn, client: RasaClient, text: str) -> None:
    """Whatever was stored is sent unchanged, also what is no UTF-8."""
    await ask(client, text)

    assert [text] == [question["text"] for question in rasa.asked]


@pytest.mark.parametrize(("status", "error"), [(403, "wrong or missing token"), (400, "text must be a string")])
async def test_a_refusal_is_told_with_its_reason(rasa: StandIn, client: RasaClient, status: int, error: str) -> None:
    """What asking again cannot mend is refused at once, in Rasa's words."""
    rasa.says(status, {"error": error})
    with pytest.raises(RasaRefused, match=error):
        await ask(client)

    assert 1 == len(rasa.asked)


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (500, {"error": "action_hours (HTTP 500) failed"}, "action_hours"),
        (503, {"error": "no model is loaded"}, "no model"),
        (502, b"<html>Bad gateway</html>", "502"),
        (500, [], "500"),
    ],
)
async def test_a_failure_inside_may_be_asked_again(
    rasa: StandIn, client: RasaClient, status: int, content: object, reason: str
) -> None:
    """A 5xx is no answer; the reason is Rasa's own or, where something else answered, the status."""
    rasa.says(status, content)

    with pytest.raises(RasaUnavailable, match=reason):
        await ask(client)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json " + MARK.encode(),
        b'"' + MARK.encode() + b'"',
        b"\xff\xfe",
        [],
        None,
        {},
        {**ANSWER, "replies": None},
        {**ANSWER, "replies": [{}]},
        {**ANSWER, "replies": [MARK]},
        {**ANSWER, "replies": [{"text": {"x": MARK}}]},
        {**ANSWER, "replies": [{"custom": {"parley": {"type": "no_such_value", "text": MARK}}}]},
        {**ANSWER, "replies": [{"custom": {"parley": {"type": "hand_over", "reason": MARK}}}]},
        {**ANSWER, "replies": [{"custom": MARK}]},
        with_reading(confidence=MARK),
        with_reading(ranking=[{"name": MARK}]),
        with_reading(entities=MARK),
        {**ANSWER, "reading": None},
        {**ANSWER, "state": MARK},
        {**ANSWER, "state": 5},
        {**ANSWER, "ms": MARK},
    ],
)
async def test_an_answer_not_as_agreed_is_refused_without_quoting_it(
    rasa: StandIn, client: RasaClient, content: object
) -> None:
    """Garbage and half answers are refused by what is wrong, never by what stood there."""
    rasa.says(200, content)
    with pytest.raises(RasaRefused) as caught:
        await ask(client)

    assert MARK not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_rasa_that_takes_too_long_is_unavailable(rasa: StandIn, client: RasaClient) -> None:
    """The limit of one asking holds."""

    def late() -> tuple[int, bytes]:
        time.sleep(TIMEOUT_S * 3)
        return 500, b""

    rasa.answer = late
    started = time.monotonic()
    with pytest.raises(RasaUnavailable, match="ReadTimeout"):
        await ask(client)

    assert time.monotonic() - started < TIMEOUT_S * 2.5


async def test_an_answer_that_cannot_be_unpacked_is_unavailable(rasa: StandIn, client: RasaClient) -> None:
    """What comes back broken on its way is no answer, and no error of the HTTP library's shows."""
    rasa.encoding = "gzip"

    with pytest.raises(RasaUnavailable, match="DecodingError"):
        await ask(client)
    assert not await client.ready()


async def test_nobody_there_is_unavailable(http: httpx.AsyncClient) -> None:
    """A refused connection says that nobody answered, and nothing of the text."""
    client = RasaClient([f"http://127.0.0.1:{free_port()}"], "secret", TIMEOUT_S, http)
    with pytest.raises(RasaUnavailable, match="ConnectError") as caught:
        await ask(client)

    assert MARK not in repr(caught.value)
    assert not await client.ready()


async def test_no_address_is_unavailable(http: httpx.AsyncClient) -> None:
    """A client without addresses says so instead of failing otherwise."""
    client = RasaClient([], "secret", TIMEOUT_S, http)
    with pytest.raises(RasaUnavailable, match="no address is set"):
        await ask(client)

    assert not await client.ready()


async def test_one_of_two_addresses_down_costs_nothing(rasa: StandIn, http: httpx.AsyncClient) -> None:
    """Every turn is answered by the one that is up, whichever was next."""
    client = RasaClient([f"http://127.0.0.1:{free_port()}", rasa.url], "secret", TIMEOUT_S, http)
    turns = [await ask(client) for _ in range(4)]

    assert [ANSWER["state"]] * 4 == [turn.state for turn in turns]
    assert await client.ready()


async def test_a_failing_rasa_leaves_the_turn_to_the_next(rasa: StandIn, http: httpx.AsyncClient) -> None:
    """A 5xx of one address is asked of the other; both share the turns while they are well."""
    with running() as second:
        client = RasaClient([rasa.url, second.url], "secret", TIMEOUT_S, http)
        for _ in range(4):
            await ask(client)
        assert (2, 2) == (len(rasa.asked), len(second.asked))
        rasa.says(503, {"error": "no model is loaded"})
        for _ in range(4):
            await ask(client)

        assert 6 == len(second.asked)


async def test_ready_is_what_health_says(rasa: StandIn, client: RasaClient) -> None:
    """200 is ready, anything else is not."""
    rasa.says(200, {"ready": True, "model": "m.tar.gz"})
    ready = await client.ready()
    rasa.says(503, {"ready": False, "model": None})

    assert (True, False) == (ready, await client.ready())


def test_a_reading_known_to_be_wrong_leaves_its_part_to_the_others() -> None:
    """The next best reading stands in where it is more likely than not; the parts still make one."""
    ranking = [Guess(name=name, confidence=part) for name, part in (("opt_out", 0.6), ("deny", 0.3), ("bye", 0.1))]
    read = Reading(intent="opt_out", confidence=0.6, ranking=ranking, entities=[], unclear=False)
    left = read.without("opt_out")

    assert (0.6, 0.0) == (read.likely("opt_out"), read.likely("greet"))
    assert ("deny", False, 0.0) == (left.intent, left.unclear, left.likely("opt_out"))
    assert [0.75, 0.25] == [pytest.approx(guess.confidence) for guess in left.ranking]
    assert left.without("deny").without("bye").unclear
