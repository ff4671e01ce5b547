"""Reads what a pattern of the training data points at, such as the digits of "order no. 1042"; it guesses nothing.

Rasa's own extractor takes the whole match; here a pattern names the part that is the value: (?P<value>…). One that
names none is a hint for the RegexFeaturizer.
"""

from __future__ import annotations

import re
from typing import Any

from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.nlu.extractors.regex_entity_extractor import RegexEntityExtractor
from rasa.nlu.utils.pattern_utils import extract_patterns
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class PatternExtractor(RegexEntityExtractor):
    """Entities by the `regex` entries of data/, named as the entry is, case ignored, one at a place."""

    def train(self, training_data: TrainingData) -> Resource:
        """Learn the patterns of data/ that name a value."""
        # Rasa's own would keep only patterns of entities that are also marked in examples.
        patterns = extract_patterns(training_data, use_lookup_tables=False, use_regexes=True)
        self.patterns = [each for each in patterns if "value" in re.compile(each["pattern"]).groupindex]
        self.persist()
        return self._resource

    def _extract_entities(self, message: Message) -> list[dict[str, Any]]:
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for pattern in self.patterns:
            for match in re.finditer(pattern["pattern"], message.get("text"), re.IGNORECASE):
                start, end = match.span("value")
                found[pattern["name"], start] = {
                    "entity": pattern["name"],
                    "value": match["value"],
                    "start": start,
                    "end": end,
                }
        return [found[place] for place in sorted(found, key=lambda place: place[1])]
