"""Reads the intent of a text with one linear model over its features; it never says how sure is sure enough.

Rasa's own classifier with three changes. Features are scaled by what a text of that length usually has: saying a word
ten times makes no reading ten times as sure, and a text of mostly unknown words has little to be sure by. Intents weigh
as many examples as they have. And the model is kept as plain arrays, which load at once; Rasa's format takes 5 seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.logistic_regression_classifier import LogisticRegressionClassifier
from rasa.shared.nlu.constants import FEATURE_TYPE_SENTENCE, TEXT, TEXT_TOKENS
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from scipy.sparse import csr_matrix, hstack, vstack

FILE = "linear.npz"
#: A text counts as at least this long, in letters: "4" is no surer than a word would be.
SHORTEST = 10


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class LinearClassifier(LogisticRegressionClassifier):
    """Logistic regression over the sparse features of the featurizers before it; with a larger `C` it fits freer."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """Rasa's own settings, and C."""
        return {**LogisticRegressionClassifier.get_default_config(), "C": 1.0}

    def __init__(self, config: dict[str, Any], name: str, model_storage: ModelStorage, resource: Resource) -> None:
        super().__init__(config, name, model_storage, resource)
        # Rasa evens intents out; then a third more of the texts that are no business of the shop are taken for some.
        self.clf.set_params(C=self.config["C"], class_weight=None)
        #: Per featurizer, how strong its features usually are for a text of one letter; learned in training.
        self.usual = np.ones(0)

    def train(self, training_data: TrainingData) -> Resource:
        """Learn the usual strengths, then the model."""
        texts = [each for each in training_data.intent_examples if each.get(TEXT)]
        strengths = [block.power(2).sum(axis=1) for block in _blocks(texts)]
        self.usual = np.array([np.sqrt((each / _lengths(texts)).mean()) or 1.0 for each in strengths])
        return super().train(training_data)

    def _create_X(self, messages: list[Message]) -> csr_matrix:  # noqa: N802 - Rasa's name for it
        scales = 1 / (self.usual * np.sqrt(_lengths(messages)))
        scaled = [block.multiply(scale[:, None]) for block, scale in zip(_blocks(messages), scales.T, strict=True)]
        return hstack(scaled, format="csr")

    def persist(self) -> None:
        """Keep the trained numbers with the model."""
        with self._model_storage.write_to(self._resource) as folder:
            np.savez_compressed(
                folder / FILE,
                coef=self.clf.coef_.astype(np.float32),
                intercept=self.clf.intercept_,
                classes=self.clf.classes_.astype(str),
                usual=self.usual,
            )

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> LinearClassifier:
        """The trained classifier. Raises where the model has none: a bot that understands nothing must not start."""
        component = cls(config, execution_context.node_name, model_storage, resource)
        with model_storage.read_from(resource) as folder, np.load(folder / FILE) as kept:
            component.clf.coef_ = kept["coef"]
            component.clf.intercept_ = kept["intercept"]
            component.clf.classes_ = kept["classes"]
            component.usual = kept["usual"]
        return component


def _blocks(messages: list[Message]) -> list[csr_matrix]:
    """The texts' features, one matrix per featurizer in the pipeline's order, one row per text."""
    rows = (
        [each.features for each in message.features if each.attribute == TEXT and each.type == FEATURE_TYPE_SENTENCE]
        for message in messages
    )
    return [vstack(block, format="csr", dtype=float) for block in zip(*rows, strict=True)]


def _lengths(messages: list[Message]) -> np.ndarray:
    """A column of the texts' lengths in letters of their tokens; blanks and exclamation marks do not count."""
    letters = [sum(len(token.text) for token in message.get(TEXT_TOKENS, [])) for message in messages]
    return np.maximum(letters, SHORTEST)[:, None]
