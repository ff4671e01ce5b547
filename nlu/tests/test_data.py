"""What a designer edits stays in order: one topic a file, examples plenty and unambiguous, every intent answered."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.running import ROOT, run_rasa

FEWEST = 25
#: Gives further examples of other topics' intents, and has no rules.
NEIGHBOURS = "not_opt_out.yml"
DOMAIN: dict[str, Any] = yaml.safe_load((ROOT / "domain.yml").read_text())
TOPICS: dict[str, dict[str, Any]] = {
    path.name: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "data").glob("*.yml"))
}
HELD_OUT: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "heldout.yml").read_text())


def _examples() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for topic, content in TOPICS.items():
        for item in content["nlu"]:
            if "intent" in item:
                assert item["intent"] not in found[topic], f"{item['intent']} twice in {topic}"
                found[topic][item["intent"]] = [line[2:] for line in item["examples"].splitlines() if line.strip()]
    return found


EXAMPLES = _examples()


def plain(text: str) -> str:
    """Texts that differ only in case, blanks and closing punctuation are one text."""
    words = " ".join(text.lower().split())
    return words.rstrip(" .!?") or words


def rules() -> dict[str, dict[str, list[str]]]:
    """Per topic, the actions each intent leads to."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for topic, content in TOPICS.items():
        for rule in content.get("rules", []):
            first, *rest = rule["steps"]
            found[topic][first["intent"]] = [step["action"] for step in rest]
    return found


def test_rasa_finds_nothing_to_complain_about() -> None:
    """`rasa data validate` passes without a warning."""
    made_from = ("--config", "config.yml", "--domain", "domain.yml", "--data", "data")
    done = run_rasa("data", "validate", "--fail-on-warnings", *made_from)
    output = done.stdout + done.stderr

    assert done.returncode == 0, output
    assert "Warning" not in output
    assert "WARNING" not in output


@pytest.mark.parametrize("intent", DOMAIN["intents"])
def test_an_intent_has_plenty_of_examples(intent: str) -> None:
    """Every intent of the domain has enough different texts, all in one topic."""
    (texts,) = [found[intent] for topic, found in EXAMPLES.items() if intent in found and topic != NEIGHBOURS]

    assert len({plain(text) for text in texts}) >= FEWEST


def test_no_intent_is_unknown_to_the_domain() -> None:
    """Examples are given for the domain's intents only."""
    assert set(DOMAIN["intents"]) == {intent for found in EXAMPLES.values() for intent in found}


@pytest.mark.parametrize("topic", sorted(set(TOPICS) - {NEIGHBOURS}))
def test_a_topic_is_one_file(topic: str) -> None:
    """Each intent's rule stands in the file of its examples, and leads to exactly one action of the domain."""
    led = rules()[topic]

    assert set(EXAMPLES[topic]) == set(led) - {"nlu_fallback"}
    assert all(len(actions) == 1 and actions[0] in DOMAIN["actions"] for actions in led.values())


def test_every_action_is_led_to() -> None:
    """No action of the domain is out of reach."""
    reached = {actions[0] for led in rules().values() for actions in led.values()}

    assert set(DOMAIN["actions"]) == reached


def test_no_text_is_an_example_of_two_intents() -> None:
    """The same words never teach two readings."""
    taught: dict[str, set[str]] = defaultdict(set)
    for found in EXAMPLES.values():
        for intent, texts in found.items():
            for text in texts:
                taught[plain(text)].add(intent)

    assert {text: intents for text, intents in taught.items() if len(intents) > 1} == {}


@pytest.mark.parametrize("topic", TOPICS)
def test_examples_are_sorted_and_given_once(topic: str) -> None:
    """A diff shows what was added; nothing is listed twice."""
    for intent, texts in EXAMPLES[topic].items():
        assert sorted(texts, key=lambda text: (text.lower(), text)) == texts, intent
        assert len({text.lower() for text in texts}) == len(texts), intent


def test_held_out_texts_are_not_trained_on() -> None:
    """The figure of test_reading.py is of texts the model has never seen."""
    trained = {plain(text) for found in EXAMPLES.values() for texts in found.values() for text in texts}
    held_out = [plain(text) for texts in HELD_OUT.values() for text in texts]

    assert [text for text in held_out if text in trained] == []
    assert len(set(held_out)) == len(held_out)
    assert set(DOMAIN["intents"]) == set(HELD_OUT)


def test_patterns_name_a_value_where_they_name_an_entity() -> None:
    """A pattern of an entity says which part is the value; any other is a hint to the reading and says nothing."""
    for content in TOPICS.values():
        for item in content["nlu"]:
            for line in item["examples"].splitlines() if "regex" in item else ():
                named = "value" in re.compile(line[2:]).groupindex

                assert (item["regex"] in DOMAIN["entities"]) == named, line
