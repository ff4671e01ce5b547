"""What the sentence encoders share: when they run, on which words, and that a model keeps to the one it was made with.

An encoder turns a text into one vector that lies near those of texts with the same meaning; it learns nothing.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.featurizers.dense_featurizer.dense_featurizer import DenseFeaturizer
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import FEATURE_TYPE_SENTENCE, TEXT
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from parley_nlu.speak import spelled

FILE = "encoder.json"


class EncoderUnfit(RasaException):
    """The encoder is missing, is not the one that was pinned, or is not the one the model was trained with."""


class Encoder(DenseFeaturizer, GraphComponent):
    """One dense vector of length 1 per text."""

    def __init__(
        self,
        config: dict[str, Any],
        name: str,
        model_storage: ModelStorage,
        resource: Resource,
        files: Mapping[str, Path],
    ) -> None:
        """`files` by name are what the encoder is made of."""
        super().__init__(name, config)
        self._model_storage = model_storage
        self._resource = resource
        #: SHA-256 of each file by its name.
        self.digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Encoder:
        """The encoder, to be trained with. Raises EncoderUnfit."""
        return cls(config, execution_context.node_name, model_storage, resource)  # type: ignore[call-arg]  # their own

    def train(self, training_data: TrainingData) -> Resource:
        """Learn nothing, but note in the model which encoder it is made with."""
        with self._model_storage.write_to(self._resource) as folder:
            (folder / FILE).write_text(json.dumps(self.digests))
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> Encoder:
        """The encoder as trained with. Raises EncoderUnfit: with another one every reading would be nonsense."""
        component = cls.create(config, model_storage, resource, execution_context)
        with model_storage.read_from(resource) as folder:
            trained_with = json.loads((folder / FILE).read_text())
        if trained_with != component.digests:
            raise EncoderUnfit("the model was trained with another sentence encoder; run ./parley train")
        return component

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Files are checked when the encoder is made; there is nothing else to say wrong."""

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Give every example its vector."""
        self.process(training_data.training_examples)
        return training_data

    def process(self, messages: list[Message]) -> list[Message]:
        """Give every message its vector; those without a text stay without."""
        told = [message for message in messages if message.get(TEXT)]
        vectors = self.encode([spelled(message) for message in told])
        for message, vector in zip(told, vectors, strict=True):
            message.add_features(Features(vector[None], FEATURE_TYPE_SENTENCE, TEXT, self._identifier))
        return messages

    @abstractmethod
    def encode(self, texts: list[str]) -> np.ndarray:
        """One row per text, in their order; a text's vector does not depend on the texts beside it."""
