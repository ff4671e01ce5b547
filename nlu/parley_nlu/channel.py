"""The door between the engine and Rasa: a text and the dialogue state come in, the answer and the new state go out.

It never reads a command out of a text, keeps nothing of a turn but how its words were read, and never answers 200 when
something failed inside.
"""

from __future__ import annotations

import hmac
import logging
import math
import re
import time
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from rasa.core.agent import Agent
from rasa.core.channels.channel import InputChannel, OutputChannel, UserMessage
from rasa.core.processor import MessageProcessor
from rasa.shared.constants import DEFAULT_NLU_FALLBACK_INTENT_NAME
from rasa.shared.core.constants import ACTION_LISTEN_NAME, DEFAULT_INTENTS
from rasa.shared.core.domain import Domain
from sanic import Blueprint, Request
from sanic.exceptions import SanicException
from sanic.response import HTTPResponse, json

from parley_nlu import actions, runner
from parley_nlu.store import Turn, trim, under_way

logger = logging.getLogger(__name__)

#: Names Rasa gives intents of its own to; only the shop's may be forced. `out_of_scope` is on Rasa's list and ours.
RASAS_OWN = set(DEFAULT_INTENTS) - {"out_of_scope"}

_LEADING = re.compile(r"[\s/]*")
#: More texts than this at once are no longer the pieces of one turn.
MOST_TEXTS = 50
#: Readings kept of each loaded model, some kilobytes each; the one not asked for longest goes first.
KEPT = 1000
_READ_LATELY: WeakKeyDictionary[MessageProcessor, OrderedDict[str, dict[str, Any]]] = WeakKeyDictionary()
#: What there is to understand in a text without any letter, digit or sign.
_NOTHING: dict[str, Any] = {
    "intent": {"name": DEFAULT_NLU_FALLBACK_INTENT_NAME, "confidence": 0.0},
    "intent_ranking": [],
    "entities": [],
}


class Malformed(Exception):
    """The request is not a turn; the message says which field and carries nothing the contact texted."""


class TurnFailed(Exception):
    """Something inside the turn failed; the message names it by names of ours alone."""


@dataclass(frozen=True)
class Question:
    """One turn as asked for: see `asked`."""

    sender: str
    text: str
    intent: str | None
    context: dict[str, Any]
    state: dict[str, Any] | None


class Replies(OutputChannel):
    """Gathers what actions utter, in order; a text stays one text however many blank lines it has."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    @classmethod
    def name(cls) -> str:
        """As Rasa knows this channel."""
        return "parley"

    async def send_response(self, recipient_id: str, message: dict[str, Any]) -> None:
        """Keep one utterance. Raises TurnFailed for what a text message cannot carry."""
        for kind in ("text", "custom"):
            if message.get(kind):
                self.items.append({kind: message[kind]})
        for kind in ("buttons", "quick_replies", "image", "attachment", "elements"):
            if message.get(kind):
                raise TurnFailed(f"an action uttered {kind}, which no text message can carry")


class ParleyChannel(InputChannel):
    """POST /webhooks/parley/turn and /webhooks/parley/read, GET /webhooks/parley/health."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    @classmethod
    def name(cls) -> str:
        """As Rasa knows this channel; also the path it is mounted at."""
        return "parley"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> ParleyChannel:
        """The channel as credentials.yml describes it. Raises RasaException without a token."""
        token = (credentials or {}).get("token")
        # Rasa leaves "${NAME}" as it stands when NAME is not set: a token everybody could guess.
        if not token or str(token).startswith("${"):
            cls.raise_missing_credentials_exception()
        actions.install()
        runner.install()
        return cls(str(token))

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """All routes. Rasa's own `on_new_message` is passed by: it answers nothing at all while no model is loaded."""
        blueprint = Blueprint("parley")

        @blueprint.get("/health")
        async def health(request: Request) -> HTTPResponse:
            agent: Agent | None = getattr(request.app.ctx, "agent", None)
            ready = agent is not None and agent.is_ready()
            return json({"ready": ready, "model": agent.model_name if ready else None}, 200 if ready else 503)

        @blueprint.post("/turn")
        async def turn(request: Request) -> HTTPResponse:
            agent = self._agent(request)
            if isinstance(agent, HTTPResponse):
                return agent
            try:
                question = asked(request, agent.domain)
            except Malformed as error:
                return json({"error": str(error)}, 400)
            try:
                return json(await answer(question, agent))
            except Exception as error:
                return json({"error": _log_failure(question.sender, error)}, 500)

        @blueprint.post("/read")
        async def read(request: Request) -> HTTPResponse:
            agent = self._agent(request)
            if isinstance(agent, HTTPResponse):
                return agent
            try:
                texts = asked_texts(request)
            except Malformed as error:
                return json({"error": str(error)}, 400)
            try:
                return json({"readings": [reading(await parse(text, agent)) for text in texts]})
            except Exception as error:
                return json({"error": _log_failure("none", error)}, 500)

        return blueprint

    def _agent(self, request: Request) -> Agent | HTTPResponse:
        """Who answers, or why nobody does."""
        if not self._admits(request):
            return json({"error": "wrong or missing token"}, 403)
        agent: Agent | None = getattr(request.app.ctx, "agent", None)
        return agent if agent and agent.is_ready() else json({"error": "no model is loaded"}, 503)

    def _admits(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and hmac.compare_digest(token.encode(errors="replace"), self._token)


def _log_failure(conversation: str, error: Exception) -> str:
    """One line that finds the place without quoting the error, whose words may be the contact's; gives the reason."""
    reason = str(error) if isinstance(error, TurnFailed) else type(error).__name__
    frame = traceback.extract_tb(error.__traceback__)[-1]
    logger.error("turn failed: conversation=%s reason=%s at=%s:%s", conversation, reason, frame.name, frame.lineno)
    return reason


# -- one turn ------------------------------------------------------------------------------------------------------


def asked(request: Request, domain: Domain) -> Question:
    """The turn a request asks for. Raises Malformed.

    JSON: sender (the conversation's UUID), text, and optionally intent (one of the shop's, taken as read), context
    (what actions need to know, passed on untouched) and state (as the turn before gave it).
    """
    body = _body(request)
    sender, text, intent, context, state = map(body.get, ("sender", "text", "intent", "context", "state"))
    if not isinstance(sender, str) or not sender:
        raise Malformed("sender must be the conversation's id")
    if not isinstance(text, str):
        raise Malformed("text must be a string")
    for name, value in (("context", context), ("state", state)):
        if not isinstance(value, (dict, type(None))):
            raise Malformed(f"{name} must be an object or null")
    if intent is not None and (intent not in domain.intents or intent in RASAS_OWN):
        raise Malformed("intent must be one of the domain's intents or null")
    return Question(sender, text, intent, context or {}, state)


def asked_texts(request: Request) -> list[str]:
    """The texts to be read, each by itself. JSON: texts, 1 to MOST_TEXTS strings. Raises Malformed."""
    texts = _body(request).get("texts")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Malformed("texts must be a list of strings")
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise Malformed(f"texts must be 1 to {MOST_TEXTS}")
    return texts


def _body(request: Request) -> dict[str, Any]:
    try:
        body = request.json
    except SanicException:
        raise Malformed("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Malformed("the body is not a JSON object")
    return body


async def answer(question: Question, agent: Agent) -> dict[str, Any]:
    """Reply, reading and new state of one turn; depends on nothing but the question and the model.

    Raises TurnFailed where an action failed, none ran, or nothing came of it.
    """
    started = time.perf_counter()
    turn = Turn(question.state)
    mark = under_way.set(turn)
    try:
        parsed = await parse(question.text, agent, question.intent)
        read_at = time.perf_counter()
        replies = Replies()
        await agent.processor.handle_message(
            UserMessage(
                question.text,
                replies,
                question.sender,
                parse_data=parsed,
                input_channel=ParleyChannel.name(),
                metadata=question.context,
            )
        )
    finally:
        under_way.reset(mark)
    if turn.failed:
        raise TurnFailed(f"{turn.failed[0]} failed")
    if turn.tracker is None or turn.tracker.latest_action_name != ACTION_LISTEN_NAME:
        raise TurnFailed("the rules did not come to an end")
    if not replies.items:
        raise TurnFailed("nothing came of the turn")
    done = time.perf_counter()
    spent = {"parse": read_at - started, "predict": done - read_at, "total": done - started}
    return {
        "replies": replies.items,
        "reading": reading(parsed),
        "state": trim(turn.tracker),
        "ms": {step: round(seconds * 1000, 2) for step, seconds in spent.items()},
    }


async def parse(text: str, agent: Agent, forced: str | None = None) -> dict[str, Any]:
    """Rasa's parse data of the text: a forced intent replaces the reading, never the text.

    Rasa reads a text that begins with "/" as a command, so blanks and slashes at the beginning are not shown to it.
    """
    start = _LEADING.match(text).end()
    shown = text[start:]
    parsed = await _read(shown, agent) if shown else _NOTHING
    intent = parsed["intent"] if forced is None else {"name": forced, "confidence": 1.0}
    return {
        "text": text,
        "intent": _named(intent),
        "intent_ranking": [_named(each) for each in parsed["intent_ranking"]],
        "scope": parsed.get("scope", -math.inf),
        "entities": [
            {**each, "start": each["start"] + start, "end": each["end"] + start} for each in parsed["entities"]
        ],
    }


async def _read(text: str, agent: Agent) -> dict[str, Any]:
    """What Rasa reads in the text; one read lately by this very model ("yes", "ok", "2") is not read again.

    Nobody may change what is given.
    """
    kept = _READ_LATELY.setdefault(agent.processor, OrderedDict())
    parsed = kept.pop(text, None) or await agent.processor.parse_message(UserMessage(text))
    kept[text] = parsed
    if len(kept) > KEPT:
        kept.popitem(last=False)
    return parsed


def reading(parsed: dict[str, Any]) -> dict[str, Any]:
    """What was understood, best first; where the model was unsure it still names its best intent, marked unclear."""
    unclear = parsed["intent"]["name"] == DEFAULT_NLU_FALLBACK_INTENT_NAME
    ranking = [each for each in parsed["intent_ranking"] if each["name"] != DEFAULT_NLU_FALLBACK_INTENT_NAME]
    best = parsed["intent"] if not unclear else ranking[0] if ranking else {"name": None, "confidence": 0.0}
    return {
        "intent": best["name"],
        "confidence": best["confidence"],
        "ranking": ranking,
        "entities": [{key: each[key] for key in ("entity", "value", "start", "end")} for each in parsed["entities"]],
        "unclear": unclear,
    }


def _named(intent: dict[str, Any]) -> dict[str, Any]:
    # Plain floats: the classifier's own are numpy's, which no JSON writer knows.
    return {"name": intent["name"], "confidence": round(float(intent["confidence"]), 4)}
