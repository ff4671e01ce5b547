"""Teaches each intent its own name: "reschedule_booking" is learnt as the text "reschedule booking", once.

Where an intent has few examples its name says as much as one more of them; where it has many, hardly anything.
"""

from __future__ import annotations

import re
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

#: A name without such a word ("i17") says nothing.
_WORD = re.compile(r"[^\W\d_]{3,}")
_SEAM = re.compile(r"[\W_\d]+|(?<=[a-z])(?=[A-Z])")


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=False)
class IntentNames(GraphComponent):
    """One more example for every intent; stands before the tokenizer and does nothing to texts that are read."""

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> IntentNames:
        """There is nothing to set."""
        return cls()

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """The examples and the names."""
        named = [Message.build(words, intent) for intent in sorted(training_data.intents) if (words := spoken(intent))]
        return training_data.merge(TrainingData(named))

    def process(self, messages: list[Message]) -> list[Message]:
        """The messages as they are."""
        return messages


def spoken(intent: str) -> str | None:
    """An intent's name as words, None where it has none."""
    return " ".join(_SEAM.split(intent)).strip().lower() if _WORD.search(intent) else None
