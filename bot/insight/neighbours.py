"""Which examples are most like a text, by the pieces of its words; it knows spelling, the model knows meaning.

Term frequency and inverse document frequency over words and over runs of three and four characters in them, compared
by cosine (Manning, Raghavan, Schütze: Introduction to Information Retrieval, 6.2 to 6.4): "wheres my ordr" is near
"where's my order". What a text means in other words is for the model's own ranking, which suggestions are blended with.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice
from typing import NamedTuple

from bot.insight.examples import Example, normal

#: From this share of common characters on, two texts are as good as one: a typo apart.
SAME = 0.9
#: The model's word counts so much, that of the neighbours the rest.
MODEL_SHARE = 0.6
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_RUNS = (3, 4)


class Neighbour(NamedTuple):
    """An example, how alike it is (0 to 1), and whether it is all but the same text."""

    example: Example
    likeness: float
    same: bool


class Neighbours:
    """The examples, ready to be compared with; ten thousand of them in about two seconds."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples: list[Example | None] = []
        self._places: dict[str, list[tuple[int, float]]] = {}
        counted = [Counter(_pieces(example.text)) for example in examples]
        spread = Counter(piece for counts in counted for piece in counts)
        self._rarity = {piece: math.log((1 + len(examples)) / (1 + found)) + 1 for piece, found in spread.items()}
        #: That of a piece seen nowhere.
        self._rarest = math.log(1 + len(examples)) + 1
        for example, counts in zip(examples, counted, strict=True):
            self._put(example, counts)

    def renew(self, examples: Sequence[Example]) -> None:
        """Compare with these from now on; quick where few of them are new. How rare a piece is stays as it was."""
        now = {(example.text, example.intent): example for example in examples}
        self._examples = [
            now.pop((each.text, each.intent), None) if each is not None else None for each in self._examples
        ]
        for example in now.values():
            self._put(example, Counter(_pieces(example.text)))

    def _put(self, example: Example, counts: Counter[str]) -> None:
        self._examples.append(example)
        for piece, weight in self._weights(counts).items():
            self._places.setdefault(piece, []).append((len(self._examples) - 1, weight))

    def _weights(self, counts: Counter[str]) -> dict[str, float]:
        raw = {piece: (1 + math.log(n)) * self._rarity.get(piece, self._rarest) for piece, n in counts.items()}
        length = math.sqrt(sum(weight * weight for weight in raw.values())) or 1.0
        return {piece: weight / length for piece, weight in raw.items()}

    def of(self, text: str, most: int = 8) -> list[Neighbour]:
        """The examples most like a text, best first; none that shares nothing with it."""
        likeness: dict[int, float] = {}
        # What stands in no example says nothing of which is nearest: "ordr" is told by what it shares with "order".
        known = Counter(piece for piece in _pieces(text) if piece in self._places)
        for piece, weight in self._weights(known).items():
            for number, other in self._places[piece]:
                likeness[number] = likeness.get(number, 0.0) + weight * other
        ordered = sorted(likeness.items(), key=lambda item: (-item[1], item[0]))
        living = ((each, found) for number, found in ordered if (each := self._examples[number]) is not None)
        near = SequenceMatcher(autojunk=False)
        near.set_seq2(normal(text))
        return [Neighbour(each, min(1.0, found), _same(near, each)) for each, found in islice(living, most)]


def blend(ranking: Iterable[tuple[str, float]], near: Sequence[Neighbour]) -> list[tuple[str, float]]:
    """Labels worth suggesting, best first, with weights that sum to at most 1: the model's ranking and the neighbours'.

    A neighbour's vote is the square of its likeness, so that one near text outweighs several distant ones. Where the
    text was not read, the neighbours alone decide.
    """
    votes: dict[str, float] = {}
    for neighbour in near:
        votes[neighbour.example.intent] = votes.get(neighbour.example.intent, 0.0) + neighbour.likeness**2
    whole = sum(votes.values())
    # What is near to nothing says little: the votes count by how near the nearest is.
    trust = near[0].likeness if near else 0.0
    read = dict(ranking)
    share = MODEL_SHARE if read else 0.0
    scores = {
        intent: share * read.get(intent, 0.0) + (1 - share) * trust * (votes.get(intent, 0.0) / whole if whole else 0.0)
        for intent in {**read, **votes}
    }
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _same(text: SequenceMatcher[str], example: Example) -> bool:
    text.set_seq1(normal(example.text))
    return text.ratio() >= SAME


def _pieces(text: str) -> Iterator[str]:
    for word in _WORD.findall(normal(text)):
        yield word
        edged = f"<{word}>"
        for length in _RUNS:
            for start in range(len(edged) - length + 1):
                yield edged[start : start + length]
