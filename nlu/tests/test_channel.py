"""The wire between engine and Rasa: who is let in, what is refused and why, and that failures are never hidden."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import requests

from parley_nlu import channel
from tests.running import TOKEN, Actions, Rasa

ASK = {"sender": "0c1f8f6e-2d0f-4e57-9c07-6f0d7f9f7a11", "text": "what are your hours", "state": None}
MARK = "xylophonequartz"


def test_health_tells_the_model(rasa: Rasa, model: Any) -> None:
    """A Rasa that would answer says so and names its model."""
    response = requests.get(f"{rasa.url}/webhooks/parley/health", timeout=5)

    assert (200, {"ready": True, "model": model.name}) == (response.status_code, response.json())


@pytest.mark.parametrize("path", ["/webhooks/rest/webhook", "/model/parse", "/conversations/a/tracker", "/domain"])
def test_there_is_no_other_door(rasa: Rasa, path: str) -> None:
    """Rasa's own channels and its API, which ask for no token, are closed."""
    response = requests.post(rasa.url + path, json={"sender": "a", "message": "/restart", "text": "hi"}, timeout=5)

    assert response.status_code == 404


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "t\u00f6ken"])
def test_a_wrong_token_is_refused(rasa: Rasa, actions: Actions, token: str | None) -> None:
    """Without the token nothing is read and no action is asked."""
    response = rasa.post(ASK, token=token)

    assert (response.status_code, actions.calls) == (403, [])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"", "not a JSON object"),
        ([], "not a JSON object"),
        ({**ASK, "sender": ""}, "sender"),
        ({**ASK, "sender": 5}, "sender"),
        ({"sender": "a"}, "text"),
        ({**ASK, "text": None}, "text"),
        ({**ASK, "context": "x"}, "context"),
        ({**ASK, "state": []}, "state"),
        ({**ASK, "intent": "no_such_intent"}, "intent"),
        ({**ASK, "intent": "restart"}, "intent"),
        ({**ASK, "intent": ["greet"]}, "intent"),
        ({**ASK, "intent": "nlu_fallback"}, "intent"),
    ],
)
def test_what_is_no_turn_is_refused_with_a_reason(rasa: Rasa, actions: Actions, body: Any, reason: str) -> None:
    """A malformed request gets 400, names its field, and reaches no action."""
    response = rasa.post(body)

    assert (response.status_code, actions.calls) == (400, [])
    assert reason in response.json()["error"]


def test_an_answer_has_replies_reading_state_and_times(rasa: Rasa, actions: Actions) -> None:
    """One turn's answer is everything the engine commits."""
    answer = rasa.turn("where is my order #1042?")

    assert answer["replies"] == [{"text": "action_order_status"}]
    reading = answer["reading"]
    assert (reading["intent"], reading["unclear"]) == ("order_status", False)
    assert reading["entities"] == [{"entity": "order_number", "value": "1042", "start": 19, "end": 23}]
    assert sorted((each["confidence"] for each in reading["ranking"]), reverse=True) == [
        each["confidence"] for each in reading["ranking"]
    ]
    assert {"parse", "predict", "total"} == set(answer["ms"])


def test_the_action_gets_text_context_and_token(rasa: Rasa, actions: Actions) -> None:
    """What the engine sent along reaches its action untouched, and the action route can see who calls."""
    context = {"now": "2026-11-24T10:00:00-05:00", "times": [{"from": None}], "nested": {"a": [1, "ü", None]}}
    sender = str(uuid4())
    rasa.post({"sender": sender, "text": "what are your hours", "context": context})

    (call,) = actions.calls
    message = call["tracker"]["latest_message"]
    assert ("action_hours", sender, context) == (call["next_action"], call["sender_id"], message["metadata"])
    assert (message["text"], message["intent"]["name"]) == ("what are your hours", "ask_hours")
    assert f"Bearer {TOKEN}" == actions.headers[0]["Authorization"]


@pytest.mark.parametrize(
    "command", ["/restart", "/back", "/session_start", "//greet", " / opt_out", '/opt_out{"a": "b"}']
)
def test_a_leading_slash_is_only_a_sign(rasa: Rasa, actions: Actions, command: str) -> None:
    """No text is a command to Rasa: it is read as if the slash were not there, and one action answers."""
    answer = rasa.turn(command)

    assert rasa.turn(command.lstrip(" /"))["reading"]["ranking"] == answer["reading"]["ranking"]
    assert command == actions.calls[0]["tracker"]["latest_message"]["text"]
    assert len(answer["replies"]) == 1


def test_entities_count_from_the_whole_text(rasa: Rasa, actions: Actions) -> None:
    """Where an entity stands is counted in the text as it was sent, slashes included."""
    text = " /where is order 1042"
    (entity,) = rasa.turn(text)["reading"]["entities"]

    assert text[entity["start"] : entity["end"]] == "1042"


def test_a_forced_intent_is_taken_as_read(rasa: Rasa, actions: Actions) -> None:
    """A choice made by number says what is meant, whatever the words; the text's entities stay."""
    answer = rasa.turn("order 1042 maybe", intent="ask_human")

    assert answer["replies"] == [{"text": "action_ask_human"}]
    reading = answer["reading"]
    assert (reading["intent"], reading["confidence"], reading["unclear"]) == ("ask_human", 1.0, False)
    assert [entity["value"] for entity in reading["entities"]] == ["1042"]


@pytest.mark.parametrize(
    "text",
    [
        "👍",
        "🦄🦄 👩‍👩‍👧‍👦",
        "?",
        "where is my order " * 88,
        "a" * 1600,
        "order " + " " * 1590 + "x",
        "hi\x00there\x07",
        "half an emoji \ud83d",
        "{{7*7}} {config} %s $(id)",
        "[order](order_number) EXTERNAL: hi",
        "\u202e\u200bwhere is my order",
        "الو؟ 你好",
    ],
)
def test_any_text_is_answered(rasa: Rasa, actions: Actions, text: str) -> None:
    """Whatever a phone can send is read as text and answered once."""
    answer = rasa.turn(text)

    assert (1, text) == (len(answer["replies"]), actions.calls[0]["tracker"]["latest_message"]["text"])
    assert answer["reading"]["intent"] is not None


@pytest.mark.parametrize("text", ["", "  ", "/", "\n / \t"])
def test_a_text_with_nothing_to_read_is_unclear(rasa: Rasa, actions: Actions, text: str) -> None:
    """Nothing but blanks and slashes has no intent and is asked back."""
    answer = rasa.turn(text)

    assert (answer["reading"]["intent"], answer["reading"]["unclear"]) == (None, True)
    assert [call["next_action"] for call in actions.calls] == ["action_unclear"]


def test_blank_lines_stay_one_reply(rasa: Rasa, actions: Actions) -> None:
    """A reply is one text however it is set; two would be billed twice."""
    actions.answer = lambda call: (200, {"events": [], "responses": [{"text": "Monday: 10 to 6\n\nTuesday: closed"}]})

    assert rasa.turn("what are your hours")["replies"] == [{"text": "Monday: 10 to 6\n\nTuesday: closed"}]


def test_replies_and_values_keep_their_order(rasa: Rasa, actions: Actions) -> None:
    """Texts and proposed values come back as the action gave them, in order, untouched."""
    value = {"parley": {"type": "hand_over", "reason": "unclear", "note": "é"}}
    actions.answer = lambda call: (
        200,
        {"events": [], "responses": [{"text": "one"}, {"custom": value}, {"text": "2"}]},
    )

    assert [{"text": "one"}, {"custom": value}, {"text": "2"}] == rasa.turn("let me talk to a person")["replies"]


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (500, {"error": MARK}, "action_hours (HTTP 500) failed"),
        (404, {"action_name": "action_hours", "error": MARK}, "action_hours (HTTP 404) failed"),
        (400, {"action_name": "action_hours", "error": MARK}, "action_hours (ActionExecutionRejection) failed"),
        (200, {"events": MARK, "responses": []}, "action_hours (ActionAnswerRefused) failed"),
        (200, [MARK], "action_hours (ActionAnswerRefused) failed"),
        (200, {"events": [], "responses": []}, "nothing came of the turn"),
        (200, {"events": [], "responses": [{"text": "x", "buttons": [{"title": MARK}]}]}, "an action uttered buttons"),
    ],
)
def test_a_failing_action_fails_the_turn(rasa: Rasa, actions: Actions, status: int, answer: Any, reason: str) -> None:
    """An action that fails, is unknown, refuses or answers nonsense gives 500 and its name, never a quiet nothing."""
    actions.answer = lambda call: (status, answer)
    response = rasa.post({**ASK, "text": f"what are your hours {MARK}"})

    assert response.status_code == 500
    assert response.json()["error"].startswith(reason), response.text
    assert len(actions.calls) == 1, "it was asked once, not again and again"


def test_an_unreachable_engine_fails_the_turn(rasa: Rasa, actions: Actions) -> None:
    """An action route that hangs up in the middle gives 500."""

    def hang_up(call: dict[str, Any]) -> tuple[int, Any]:
        raise ConnectionAbortedError

    actions.answer = hang_up

    assert rasa.post(ASK).status_code == 500


def test_nothing_texted_is_logged(rasa: Rasa, actions: Actions) -> None:
    """Whether a turn ends well or not, no word of it reaches Rasa's log."""
    rasa.turn(f"where is order 1042 {MARK}", context={"secret": MARK})
    actions.answer = lambda call: (500, {"error": MARK})
    rasa.post({**ASK, "text": f"{MARK} hours"})
    rasa.post({**ASK, "text": None, "context": MARK})
    actions.answer = lambda call: (200, {"events": [{"event": MARK}], "responses": [{"text": MARK}]})
    rasa.post({**ASK, "text": MARK})

    assert "turn failed: conversation=" in rasa.log()
    assert MARK not in rasa.log()
    assert TOKEN not in rasa.log()


# -- reading without a turn ----------------------------------------------------------------------------------------


def test_texts_are_read_in_their_order_and_no_action_runs(rasa: Rasa, actions: Actions) -> None:
    """Each reads as it would in a turn of its own; what has nothing to read is unclear."""
    texts = ["where is my order #1042", "/what are your hours", "  "]
    readings = rasa.post({"texts": texts}, route="read").json()["readings"]

    assert actions.calls == []
    assert readings == [rasa.turn(text)["reading"] for text in texts]
    assert [each["unclear"] for each in readings] == [False, False, True]


@pytest.mark.parametrize("token", [None, "wrong"])
def test_nothing_is_read_without_the_token(rasa: Rasa, actions: Actions, token: str | None) -> None:
    """The second route has the same lock."""
    assert rasa.post({"texts": ["hi"]}, token=token, route="read").status_code == 403


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "JSON"),
        ([], "object"),
        ({}, "texts"),
        ({"texts": "hi"}, "texts"),
        ({"texts": ["hi", 4]}, "texts"),
        ({"texts": []}, "1 to 50"),
        ({"texts": ["hi"] * 51}, "1 to 50"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(rasa: Rasa, actions: Actions, body: Any, reason: str) -> None:
    """One sentence names the field that is wrong."""
    response = rasa.post(body, route="read")

    assert response.status_code == 400
    assert reason in response.json()["error"]


# -- repeated texts ------------------------------------------------------------------------------------------------


class _Counting:
    """A model that counts how often it is asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[str] = []

    async def parse_message(self, message: Any) -> dict[str, Any]:
        """Its own name as the intent."""
        self.asked.append(message.text)
        intent = {"name": self.name, "confidence": 1.0}
        return {"intent": intent, "intent_ranking": [intent], "entities": [], "scope": 1.0}


def test_a_text_is_read_once_by_each_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeated text costs nothing, another model reads it anew, and the oldest readings are let go."""
    monkeypatch.setattr(channel, "KEPT", 2)
    agent = SimpleNamespace(processor=_Counting("first"))
    texts = ["yes", "yes", "/yes", "no", "maybe", "no", "yes"]
    read = [asyncio.run(channel.parse(text, agent)) for text in texts]
    first, agent.processor = agent.processor, _Counting("second")
    after = asyncio.run(channel.parse("yes", agent))

    assert first.asked == ["yes", "no", "maybe", "yes"]
    assert texts == [each["text"] for each in read]
    assert after["intent"]["name"] == "second"
