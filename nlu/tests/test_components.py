"""The components by themselves: what is learned is kept exactly, and patterns point at values and at nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.nlu.featurizers.sparse_featurizer.count_vectors_featurizer import CountVectorsFeaturizer
from rasa.nlu.tokenizers.whitespace_tokenizer import WhitespaceTokenizer
from rasa.shared.nlu.training_data.loading import load_data
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from parley_nlu.lean import TensorFlowLeftOut
from parley_nlu.linear import LinearClassifier
from parley_nlu.patterns import PatternExtractor
from tests.running import ROOT

EXAMPLES = {
    "cancel_booking": ["cancel my appointment", "please cancel", "i must cancel", "cancel tomorrow"],
    "order_status": ["where is my order", "track my order", "order status please", "has my order shipped"],
    "greet": ["hello", "hi there", "good morning", "hey"],
}
CONTEXT = ExecutionContext(GraphSchema({}))


class Pipeline:
    """Tokenizer, two featurizers and the classifier, trained on EXAMPLES and kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.storage = LocalModelStorage.create(folder)
        self.config = {**LinearClassifier.get_default_config(), "C": 30}
        self.tokenizer = WhitespaceTokenizer(WhitespaceTokenizer.get_default_config())
        self.featurizers = [self._featurizer("words", analyzer="word"), self._featurizer("pieces", analyzer="char_wb")]
        data = TrainingData([Message.build(text, intent) for intent, texts in EXAMPLES.items() for text in texts])
        self.tokenizer.process_training_data(data)
        for featurizer in self.featurizers:
            featurizer.train(data)
            featurizer.process_training_data(data)
        self.trained = LinearClassifier.create(self.config, self.storage, Resource("linear"), CONTEXT)
        self.trained.train(data)

    def _featurizer(self, name: str, **config: Any) -> CountVectorsFeaturizer:
        whole = {**CountVectorsFeaturizer.get_default_config(), "max_ngram": 2, **config}
        return CountVectorsFeaturizer.create(whole, self.storage, Resource(name), CONTEXT)

    def loaded(self) -> LinearClassifier:
        """The classifier as a new process gets it."""
        return LinearClassifier.load(self.config, self.storage, Resource("linear"), CONTEXT)

    def read(self, text: str, classifier: LinearClassifier | None = None) -> dict[str, float]:
        """Confidence per intent, best first."""
        (message,) = self.tokenizer.process([Message({"text": text})])
        for featurizer in self.featurizers:
            featurizer.process([message])
        (classifier or self.trained).process([message])
        return {each["name"]: each["confidence"] for each in message.get("intent_ranking")}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A small one, trained once."""
    return Pipeline(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("text", ["cancel", "where is my order please", "good morning", "zzz qqq", "👍"])
def test_the_classifier_reads_alike_after_loading(pipeline: Pipeline, text: str) -> None:
    """A model kept and loaded gives the confidences it was trained to, to the precision it is kept in."""
    trained, loaded = pipeline.read(text), pipeline.read(text, pipeline.loaded())

    assert list(trained) == list(loaded)
    assert list(trained.values()) == pytest.approx(list(loaded.values()), abs=1e-4)


def test_two_trainings_give_one_model(pipeline: Pipeline, tmp_path: Path) -> None:
    """The same data gives the same numbers."""
    again = Pipeline(tmp_path)

    assert np.array_equal(pipeline.trained.clf.coef_, again.trained.clf.coef_)


def test_a_model_without_numbers_does_not_load(tmp_path: Path) -> None:
    """A bot that understands nothing must not start."""
    storage = LocalModelStorage.create(tmp_path)
    with pytest.raises(ValueError):
        LinearClassifier.load(LinearClassifier.get_default_config(), storage, Resource("linear"), CONTEXT)


def test_repeating_a_word_makes_it_no_surer(pipeline: Pipeline) -> None:
    """Ten times "cancel" is read hardly more surely than twice."""
    twice, often = (pipeline.read(" ".join(["cancel"] * times))["cancel_booking"] for times in (2, 10))

    assert often <= twice + 0.1


def test_unknown_words_make_a_reading_less_sure(pipeline: Pipeline) -> None:
    """One known word among strange ones is little to be sure by."""
    alone = pipeline.read("cancel")["cancel_booking"]
    among = pipeline.read("cancel xylograph vuvuzela bjork quizzing fjord")["cancel_booking"]

    assert among < alone - 0.2


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> PatternExtractor:
    """With the patterns of data/."""
    storage = LocalModelStorage.create(tmp_path_factory.mktemp("patterns"))
    made = PatternExtractor.create(PatternExtractor.get_default_config(), storage, Resource("patterns"), CONTEXT)
    made.train(load_data(str(ROOT / "data")))
    return PatternExtractor.load(PatternExtractor.get_default_config(), storage, Resource("patterns"), CONTEXT)


def read_numbers(extractor: PatternExtractor, text: str) -> list[str]:
    """The order numbers found, each of which must stand where it is said to."""
    (message,) = extractor.process([Message({"text": text})])
    found = message.get("entities", [])
    assert all(text[each["start"] : each["end"]] == each["value"] for each in found)
    return [each["value"] for each in found if each["entity"] == "order_number"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("#1042", ["1042"]),
        ("1042", ["1042"]),
        ("It's 1042.", ["1042"]),
        ("order 1042", ["1042"]),
        ("ORDER NO. 1042?", ["1042"]),
        ("order number is #1042", ["1042"]),
        ("my order (1042) is late", ["1042"]),
        ("has 1043 shipped", ["1043"]),
        ("Did 1043 ship?", ["1043"]),
        ("any news on 1043", ["1043"]),
        ("where is 1042 and #1043", ["1042", "1043"]),
        ("the package 5521 please", ["5521"]),
        ("I ordered shoes on 12/04 at 10:30", []),
        ("order 2 pairs", []),
        ("I paid $1500 for my order", []),
        ("where is my order from 2026-11-03", []),
        ("in 2026 I was there", []),
        ("5", []),
        ("see you at 1130", []),
    ],
)
def test_order_numbers_are_found_where_one_is_meant(extractor: PatternExtractor, text: str, numbers: list[str]) -> None:
    """The value is the bare number; prices, dates, times and counts are none."""
    assert numbers == read_numbers(extractor, text)


@pytest.mark.parametrize(
    "text", ["order " + " " * 1590, "order " * 266, "#" * 1600, "1" * 1600, "order is for on " * 100, "news " * 320]
)
def test_no_text_keeps_the_patterns_busy(extractor: PatternExtractor, text: str) -> None:
    """A text of full length is searched at once, whatever is in it."""
    started = time.perf_counter()
    read_numbers(extractor, text)

    assert time.perf_counter() - started < 0.25


def test_what_needs_tensorflow_says_so() -> None:
    """A component that would compute with TensorFlow fails with a sentence rather than with nonsense."""
    import tensorflow

    class Network(tensorflow.keras.Model):  # type: ignore[misc,name-defined]  # it is left out
        """As Rasa's own networks are written."""

    with pytest.raises(TensorFlowLeftOut, match="needs TensorFlow"):
        Network(units=3)
