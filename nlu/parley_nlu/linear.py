"""Reads the intent of a text with one linear model over its features; it never says how sure is sure enough.

Rasa's own classifier, with two changes: features are scaled to the text's length, so that saying a word ten times does
not make the reading ten times as sure, and the model is kept as plain arrays, which load in no time where Rasa's format
takes five seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.logistic_regression_classifier import LogisticRegressionClassifier
from rasa.shared.nlu.training_data.message import Message
from scipy.sparse import csr_matrix
from sklearn.preprocessing import normalize

FILE = "linear.npz"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class LinearClassifier(LogisticRegressionClassifier):
    """Logistic regression over length-scaled features; `C` is its freedom, larger is freer."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """Rasa's own settings, and C."""
        return {**LogisticRegressionClassifier.get_default_config(), "C": 1.0}

    def __init__(self, config: dict[str, Any], name: str, model_storage: ModelStorage, resource: Resource) -> None:
        super().__init__(config, name, model_storage, resource)
        self.clf.set_params(C=self.config["C"])

    def _create_X(self, messages: list[Message]) -> csr_matrix:  # noqa: N802 - Rasa's name for it
        return normalize(super()._create_X(messages))

    def persist(self) -> None:
        """Keep the trained numbers with the model."""
        with self._model_storage.write_to(self._resource) as folder:
            np.savez_compressed(
                folder / FILE,
                coef=self.clf.coef_.astype(np.float32),
                intercept=self.clf.intercept_,
                classes=self.clf.classes_.astype(str),
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
        return component
