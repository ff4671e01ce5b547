"""Reads the intent of a text with one linear model over its features; it never says how sure is sure enough.

Sparse features (words and their pieces) and dense ones (a sentence's vector) are first brought to one scale, so that
neither drowns the other. How sure a reading is comes from texts the model had not seen: one factor on all its
scores, fitted on cross-validated ones, makes "70 %" right in about 70 % of cases.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.nlu.featurizers.featurizer import Featurizer
from rasa.shared.nlu.constants import FEATURE_TYPE_SENTENCE, INTENT, TEXT, TEXT_TOKENS
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_matrix, hstack, vstack
from scipy.special import logsumexp
from sklearn.model_selection import StratifiedKFold

FILE = "linear.npz"
#: A text counts as at least this long, in letters: "4" is no surer than a word would be.
SHORTEST = 10
#: Trainings side by side; each holds all examples in memory.
MOST_AT_ONCE = 4
#: Training ends when a step makes the model better by less than this part; with less nothing changes in the readings.
ENOUGH = 1e-5


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class LinearClassifier(IntentClassifier, GraphComponent):
    """Logistic regression over what the featurizers before it found; intents weigh as many examples as they have."""

    @classmethod
    def required_components(cls) -> list[type]:
        """Features to read by."""
        return [Featurizer]

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """With a larger `C` it fits freer; each of `folds` parts is read by what the others teach.

        Of `dense_strengths` (vectors beside words, 1 for as strong) the one is taken that the first part speaks for.
        """
        return {"C": 10.0, "max_iter": 200, "folds": 4, "random_state": 0, "dense_strengths": [1.0, 2.0]}

    def __init__(self, config: dict[str, Any], name: str, model_storage: ModelStorage, resource: Resource) -> None:
        self._config = config
        self._model_storage = model_storage
        self._resource = resource
        self.intents: list[str] = []
        #: One row per feature, one column per intent, confidence's factor included.
        self.weights = np.zeros((0, 0), dtype=np.float32)
        self.bias = np.zeros(0, dtype=np.float32)
        #: Per block of features, what it is multiplied with; learned in training.
        self.scales: list[float] = []
        #: The factor by itself, to be looked at.
        self.factor = 1.0

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> LinearClassifier:
        """An untrained classifier."""
        return cls(config, execution_context.node_name, model_storage, resource)

    # -- learning ------------------------------------------------------------------------------------------------------

    def train(self, training_data: TrainingData) -> Resource:
        """Learn scales, weights and factor, and keep them."""
        texts = [each for each in training_data.intent_examples if each.get(TEXT)]
        self.intents = sorted({each.get(INTENT) for each in texts})
        answers = np.searchsorted(self.intents, [each.get(INTENT) for each in texts])
        lengths = np.array([_length(each) for each in texts])
        blocks = [_stack(block) for block in zip(*map(_features, texts), strict=True)]
        unscaled = [_times(block, 1 / _damping(block, lengths)) for block in blocks]
        even = _learn_scales(blocks, lengths)
        parts = self._parts(answers)
        # Each training holds one core and lets go of Python's lock.
        with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_AT_ONCE)) as cores:

            def together(strength: float) -> _Together:
                scales = _strengthened(even, blocks, strength)
                return _Together.of([block * scale for block, scale in zip(unscaled, scales, strict=True)])

            def first(strength: float) -> np.ndarray:
                return self._unseen(together(strength), answers, *parts[0])

            strengths = self._config["dense_strengths"] if parts else [1.0]
            tried = dict(zip(strengths, cores.map(first, strengths if parts else []), strict=False))
            strength = min(tried, key=lambda each: _surprise(tried[each], answers[parts[0][1]]), default=strengths[0])
            self.scales = _strengthened(even, blocks, strength)
            x = together(strength)
            fitted = cores.submit(self._fit, x, answers)
            others = cores.map(lambda part: self._unseen(x, answers, *part), parts[1:])
            scores = [tried[strength], *others] if parts else []
            weights = fitted.result()
        truth = np.concatenate([answers[unseen] for _, unseen in parts]) if parts else answers[:0]
        self.factor = _best_factor(np.vstack([np.zeros((0, len(self.intents))), *scores]), truth)
        self.weights, self.bias = np.float32(self.factor) * weights[:-1], np.float32(self.factor) * weights[-1]
        self.persist()
        return self._resource

    def _fit(self, x: _Together, answers: np.ndarray) -> np.ndarray:
        """The weights that read these examples best and stay small; the last row is the bias, which may be large."""
        rows, width, intents = np.arange(x.rows), x.width, len(self.intents)
        strength = 1 / (self._config["C"] * x.rows)
        right = np.zeros((x.rows, intents), dtype=np.float32)
        right[rows, answers] = 1

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = flat.reshape(width + 1, intents).astype(np.float32)
            logs = _log_softmax(x.dot(weights[:-1]) + weights[-1])
            kept = np.vstack([weights[:-1], np.zeros_like(weights[-1:])])
            miss = (np.exp(logs) - right) / np.float32(x.rows)
            gradient = np.vstack([x.transposed_dot(miss), miss.sum(0)]) + np.float32(strength) * kept
            large = float(np.vdot(flat[:-intents], flat[:-intents]))
            value = strength / 2 * large - logs[rows, answers].mean(dtype=float)
            return value, gradient.astype(float).ravel()

        options = {"maxiter": self._config["max_iter"], "maxcor": 5, "ftol": ENOUGH, "gtol": 0}
        found = minimize(loss, np.zeros((width + 1) * intents), jac=True, method="L-BFGS-B", options=options)
        return found.x.reshape(width + 1, intents).astype(np.float32)

    def _parts(self, answers: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows to learn from and rows to be read by that, several times; too few examples of an intent give none."""
        folds = min(self._config["folds"], np.bincount(answers).min())
        if folds < 2:
            return []
        split = StratifiedKFold(folds, shuffle=True, random_state=self._config["random_state"])
        return list(split.split(answers, answers))

    def _unseen(self, x: _Together, answers: np.ndarray, seen: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        """What the rows `unseen` score with a model learnt from `seen` alone."""
        weights = self._fit(x.some(seen), answers[seen])
        scores: np.ndarray = x.some(unseen).dot(weights[:-1]) + weights[-1]
        return scores

    # -- reading -------------------------------------------------------------------------------------------------------

    def process(self, messages: list[Message]) -> list[Message]:
        """Give every message its intents, best first, with a confidence from 0 to 1 each, and its `scope`.

        `scope` has no unit: the higher, the more surely the text belongs to any intent at all.
        """
        for message in messages:
            scores = self._scores(message)
            confidences = np.exp(_log_softmax(scores))
            # How much speaks for any intent at all, whichever it is: what is unlike everything learnt scores low in
            # all (the energy score of Liu et al., 2020).
            message.set("scope", float(logsumexp(scores / self.factor)), add_to_output=True)
            best = np.argsort(-confidences, kind="stable")
            ranking = [{"name": self.intents[place], "confidence": float(confidences[place])} for place in best]
            message.set("intent", ranking[0], add_to_output=True)
            message.set("intent_ranking", ranking, add_to_output=True)
        return messages

    def _scores(self, message: Message) -> np.ndarray:
        # One text has few features: their weights are picked out, no matrix is built.
        scores, first, lengths = self.bias.astype(float), 0, np.array([_length(message)])
        for block, scale in zip(_features(message), self.scales, strict=True):
            weights = self.weights[first : first + block.shape[1]]
            told = block[0] @ weights if isinstance(block, np.ndarray) else block.data @ weights[block.indices]
            scores += scale / _damping(block, lengths) * told
            first += block.shape[1]
        return scores

    # -- keeping -------------------------------------------------------------------------------------------------------

    def persist(self) -> None:
        """Keep the trained numbers with the model."""
        with self._model_storage.write_to(self._resource) as folder:
            np.savez_compressed(
                folder / FILE,
                intents=np.array(self.intents, dtype=str),
                weights=self.weights,
                bias=self.bias,
                scales=np.array(self.scales),
                factor=self.factor,
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
            component.intents = kept["intents"].tolist()
            component.weights, component.bias = kept["weights"], kept["bias"]
            component.scales, component.factor = kept["scales"].tolist(), float(kept["factor"])
        return component


class _Together:
    """All features of all examples as training needs them: side by side, in half the usual precision."""

    def __init__(self, sparse: csr_matrix, dense: np.ndarray) -> None:
        self._sparse, self._dense = sparse.astype(np.float32), dense.astype(np.float32)
        self._sparse_transposed = self._sparse.T.tocsr()
        self.rows, self.width = sparse.shape[0], sparse.shape[1] + dense.shape[1]

    @classmethod
    def of(cls, blocks: Sequence[csr_matrix | np.ndarray]) -> _Together:
        """Blocks side by side, the sparse ones first as `_features` gives them."""
        nothing = np.zeros((blocks[0].shape[0], 0))
        sparse = [block for block in blocks if not isinstance(block, np.ndarray)]
        dense = [block for block in blocks if isinstance(block, np.ndarray)]
        return cls(hstack([*sparse, csr_matrix(nothing)], format="csr"), np.hstack([*dense, nothing]))

    def some(self, rows: np.ndarray) -> _Together:
        """These rows alone."""
        return _Together(self._sparse[rows], self._dense[rows])

    def dot(self, weights: np.ndarray) -> np.ndarray:
        """Scores of all rows."""
        border = self._sparse.shape[1]
        scores: np.ndarray = self._sparse @ weights[:border] + self._dense @ weights[border:]
        return scores

    def transposed_dot(self, scores: np.ndarray) -> np.ndarray:
        """What the rows' scores say about the weights."""
        return np.vstack([self._sparse_transposed @ scores, self._dense.T @ scores])


def _learn_scales(blocks: Sequence[csr_matrix | np.ndarray], lengths: np.ndarray) -> list[float]:
    """What brings each sparse block to strength 1 in a usual text, and all dense ones to the strength of all sparse."""
    dense = sum(isinstance(block, np.ndarray) for block in blocks)
    share = np.sqrt((len(blocks) - dense or 1) / (dense or 1))
    scales = []
    for block in blocks:
        squares = _squares(block) / _damping(block, lengths) ** 2
        scales.append((share if isinstance(block, np.ndarray) else 1.0) / (np.sqrt(squares.mean()) or 1.0))
    return scales


def _strengthened(scales: Sequence[float], blocks: Sequence[csr_matrix | np.ndarray], strength: float) -> list[float]:
    """Scales with the dense blocks' as many times as large."""
    return [
        scale * strength if isinstance(block, np.ndarray) else scale
        for scale, block in zip(scales, blocks, strict=True)
    ]


def _damping(block: csr_matrix | np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """What a text's features are divided by: counts grow with its length, a sentence's vector does not.

    The root of the length makes a word said ten times hardly surer than said twice, and a text of mostly unknown words
    less sure.
    """
    return np.ones(len(lengths)) if isinstance(block, np.ndarray) else np.sqrt(lengths)


def _best_factor(scores: np.ndarray, answers: np.ndarray) -> float:
    """What unseen scores must be multiplied with for their confidences to come true.

    One text more counts, whose answer is any: where few examples are all read right, nobody may be sure of all.
    """
    if not len(scores):
        return 1.0

    return float(np.exp(minimize_scalar(_misfit, args=(scores, answers), bounds=(-3, 3), method="bounded").x))


def _surprise(scores: np.ndarray, answers: np.ndarray) -> float:
    """How unlikely the answers are by these scores, with the factor that suits them best."""
    return _misfit(np.log(_best_factor(scores, answers)), scores, answers)


def _misfit(log_factor: float, scores: np.ndarray, answers: np.ndarray) -> float:
    logs = _log_softmax(scores * np.exp(log_factor))
    return -float(logs[np.arange(len(answers)), answers].sum() + logs.mean())


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    lowered = scores - scores.max(-1, keepdims=True)
    logs: np.ndarray = lowered - np.log(np.exp(lowered).sum(-1, keepdims=True))
    return logs


# -- one text's features -------------------------------------------------------------------------------------------


def _features(message: Message) -> list[csr_matrix | np.ndarray]:
    """One row per featurizer in the pipeline's order, the dense ones after the sparse."""
    told = [each for each in message.features if each.attribute == TEXT and each.type == FEATURE_TYPE_SENTENCE]
    sparse = [each.features.tocsr() for each in told if each.is_sparse()]
    return [*sparse, *(each.features for each in told if not each.is_sparse())]


def _stack(rows: Sequence[csr_matrix | np.ndarray]) -> csr_matrix | np.ndarray:
    return np.vstack(rows) if isinstance(rows[0], np.ndarray) else vstack(rows, format="csr", dtype=float)


def _times(block: csr_matrix | np.ndarray, factors: np.ndarray) -> csr_matrix | np.ndarray:
    column = factors[:, None]
    return block * column if isinstance(block, np.ndarray) else csr_matrix(block.multiply(column))


def _squares(block: csr_matrix | np.ndarray) -> np.ndarray:
    """Per text, the sum of its features' squares."""
    return np.asarray((block**2 if isinstance(block, np.ndarray) else block.power(2)).sum(axis=1)).ravel()


def _length(message: Message) -> int:
    """Letters of the text's tokens; blanks and exclamation marks do not count."""
    return max(SHORTEST, sum(len(token.text) for token in message.get(TEXT_TOKENS, [])))
