"""Tells a tapback, a reaction that a phone put into words, from a text somebody wrote; it decides and writes nothing.

Forms as iPhones and Google Messages send them to phones that know no reactions, in English and in Spanish:
`Loved “…”`, `Removed a heart from “…”`, `Reacted 😂 to “…”`, `👍 to “…”`, `Le encantó “…”`, `Loved an image`.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

#: What a phone writes before the quoted words.
_DEEDS: Final = (
    *("loved", "liked", "disliked", "laughed at", "emphasized", "emphasised", "questioned"),
    *(f"removed {what} from" for what in ("a heart", "a like", "a dislike", "a laugh")),
    *("removed an exclamation from", "removed a question mark from"),
    *("le encantó", "le gustó", "no le gustó", "le dio risa", "exclamó por", "dudó sobre"),
)
#: What it writes around an emoji, in place of a verb.
_AROUND: Final = (("reacted", "to"), ("reacted with", "to"), ("removed", "from"), ("reaccionó con", "a"), ("", "to"))
#: What it names where there are no words to quote.
_THINGS: Final = (
    *("an image", "a photo", "a picture", "a movie", "a video", "an audio message", "an attachment", "a sticker"),
    *("una imagen", "una foto", "una película", "un video", "un vídeo", "un mensaje de audio", "un archivo adjunto"),
)
#: Opening and closing marks; one text keeps to one pair.
_QUOTES: Final = {"“": "”", "«": "»", '"': '"'}
#: A phone that cuts the quoted words may drop the closing mark as well.
_CUT: Final = ("…", "...")
#: Letters, digits and ordinary punctuation, none of which an emoji is made of.
_EMOJI = re.compile(r"[^\w\s!-/:-@\[-`{-~¡¿“”«»‘’]{1,16}")


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(each) for each in words)


_LEAD = "|".join(
    [
        *(re.escape(deed) for deed in _DEEDS),
        *(rf"{before} ?{_EMOJI.pattern} {after}".removeprefix(" ?") for before, after in _AROUND),
    ]
)
_QUOTING = re.compile(rf"(?:{_LEAD}) ?(?P<mark>[{''.join(_QUOTES)}])(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_NAMING = re.compile(rf"(?:{_LEAD}) (?:{_any_of(_THINGS)})", re.IGNORECASE)


def is_tapback(body: str) -> bool:
    """Whether the whole text is a phone's reaction; with a word of the writer's own after what it quotes, it is not."""
    # Google Messages parts the pieces with hair spaces and with marks that have no width. One of these, the joiner,
    # is part of an emoji.
    shown = "".join(char for char in body if char == "\u200d" or unicodedata.category(char) != "Cf")
    words = re.sub(r"[^\S\n]+", " ", unicodedata.normalize("NFC", shown)).strip()
    if (quoting := _QUOTING.fullmatch(words)) is not None:
        return _closes_last(quoting["rest"], quoting["mark"])
    return _NAMING.fullmatch(words) is not None


def _closes_last(rest: str, mark: str) -> bool:
    """Whether what follows an opening mark is quoted to its end: the mark is closed there, or the words are cut off.

    What is quoted may hold such marks itself: “Reply “YES” to confirm”.
    """
    closing, depth = _QUOTES[mark], 1
    for place, char in enumerate(rest):
        if char == mark and (mark != closing or _opens(rest, place)):
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0 and place < len(rest) - 1:
                return False
    return rest.endswith((closing, *_CUT))


def _opens(words: str, place: int) -> bool:
    """Whether a straight mark opens a quotation: a word follows it, and none is right before it."""
    before, after = words[place - 1 : place], words[place + 1 : place + 2]
    return not (before and not before.isspace() and before not in "([") and bool(after) and not after.isspace()
