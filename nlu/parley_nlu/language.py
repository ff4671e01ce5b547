"""The spaCy stage: splits a text as people type it, says what text-speak stands for, and marks what phrases tell alone.

It is a blank English built when Rasa starts: no package of spaCy's models is downloaded and nothing is kept on disk.
What only one shop has, its products and order numbers, is matched in the engine.
"""

from __future__ import annotations

import re
from typing import Any

from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.nlu.utils import spacy_utils
from rasa.nlu.utils.spacy_utils import SpacyModel
from spacy.lang.en import English
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from parley_nlu.speak import plain

NAME = "parley"
#: Two words for one color, and single words that mean nothing else. Plain colors are a pattern of data/: there, which
#: of two colors is wanted hangs on the words around them.
COLORS = (
    "rose gold, hot pink, baby pink, navy blue, royal blue, sky blue, baby blue, forest green, mint green, olive green,"
    " sage green, off white, off-white, wine red, charcoal, charcoal grey, charcoal gray, taupe, lavender, magenta,"
    " fuchsia, mauve, multicolor, leopard print, animal print"
)
#: Sizes that say by which country's scale they go, and half and wide ones.
SIZES: list[list[dict[str, Any]]] = [
    [{"LOWER": {"IN": ["us", "uk", "eu", "eur"]}}, {"TEXT": {"REGEX": r"^(?:[2-9]|[1-4]\d)(?:\.5)?$"}}],
    [{"LOWER": {"REGEX": r"^(?:us|uk|eu)(?:[2-9]|[1-4]\d)(?:\.5)?$"}}],
    [{"TEXT": {"REGEX": r"^(?:[4-9]|1[0-6])$"}}, {"LOWER": {"IN": ["1/2", "wide", "narrow"]}}],
]
#: One emoji with its skin color, or several joined to one picture.
_ONE = "[\U0001f000-\U0001faff\u2600-\u27bf][\U0001f3fb-\U0001f3ff\ufe0f]?"
_EMOJI = f"{_ONE}(?:\u200d{_ONE})*"
_BEFORE = re.compile(rf"""^(?:{_EMOJI}|[("'“”‘\[{{*~_¿¡.,;:!?…-]|[^\w\s#@$€£&/+%])""")
_AFTER = re.compile(rf"""(?:{_EMOJI}|\.{{2,}}|[)"'“”’\]}}*~_.,;:!?…-]|[^\w\s%+/&])$""")
#: Inside a word: commas and the like without a blank, dots in a row, a slash between words, and emoji.
_WITHIN = re.compile(rf"[,;!?…]+(?!\d)|\.{{2,}}|(?<=[a-z]{{2}})/(?=[a-z]{{2}})|{_EMOJI}")


#: Half an emoji is legal in a text and unknown to spaCy.
_HALF = re.compile("[\ud800-\udfff]")


class Texting(English):
    """English as it comes in texts."""

    def make_doc(self, text: str) -> Doc:
        """The tokens of a text, each where it stands there."""
        return super().make_doc(_HALF.sub("\ufffd", text))


@Language.component("parley_spelling")
def spell(doc: Doc) -> Doc:
    """Give each token what it stands for as its lemma; the token itself stays as it was typed."""
    for token in doc:
        token.lemma_ = plain(token.text)
    return doc


def build() -> Language:
    """The stage by itself."""
    language = Texting()
    # The usual rules take "don't" apart, and "n't" alone is no word to learn from.
    language.tokenizer = Tokenizer(
        language.vocab,
        prefix_search=_BEFORE.search,
        suffix_search=_AFTER.search,
        infix_finditer=_WITHIN.finditer,
        url_match=re.compile(r"^(?:https?://|www\.)\S+$").match,
    )
    language.add_pipe("parley_spelling")
    ruler = language.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"})
    ruler.add_patterns([{"label": "color", "pattern": phrase.strip()} for phrase in COLORS.split(",")])
    ruler.add_patterns([{"label": "size", "pattern": pattern} for pattern in SIZES])
    language.meta["name"] = NAME
    return language


@DefaultV1Recipe.register(
    [DefaultV1Recipe.ComponentType.MODEL_LOADER, DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER],
    is_trainable=False,
    model_from="SpacyNLP",
)
class SpacyNLP(spacy_utils.SpacyNLP):
    """Rasa's own loader, by whose name its spaCy components ask for it, with this stage in place of a package."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """Capitals are kept: names begin with them."""
        return {"case_sensitive": True, "model": NAME}

    @staticmethod
    def load_model(spacy_model_name: str) -> SpacyModel:
        """The stage; `spacy_model_name` only tells Rasa when it is another one."""
        return SpacyModel(model=build(), model_name=spacy_model_name)

    @staticmethod
    def ensure_proper_language_model(nlp: Language | None) -> None:
        """Rasa's own wants a folder the stage came from; there is none."""
