"""The bare words of a text, for keywords that must be the whole of it; it decides nothing."""

import re
import unicodedata

#: Said around a keyword, these change nothing about it.
COURTESY = frozenset(
    [
        *("please", "pls", "plz", "kindly", "thanks", "thank", "you", "u", "thx", "ty", "tks"),
        *("hi", "hello", "hey", "ok", "okay", "yes", "yeah", "yep", "sure", "now", "there"),
    ]
)
YES = frozenset(["yes", "y", "yep", "yeah", "yup", "sure", "ok", "okay", "definitely", "absolutely", "totally"])


def bare(text: str) -> list[str]:
    """Words in lower case; accents, apostrophes, punctuation and emoji are gone."""
    plain = unicodedata.normalize("NFKD", text.replace("'", "").replace("\u2019", "")).casefold()
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return re.findall(r"[^\W_]+", plain)


def without_courtesy(words: list[str]) -> list[str]:
    """The words without greetings, pleases and thanks at either end."""
    start, end = 0, len(words)
    while start < end and words[start] in COURTESY:
        start += 1
    while end > start and words[end - 1] in COURTESY:
        end -= 1
    return words[start:end]
