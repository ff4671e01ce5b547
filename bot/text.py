"""How long a text is on the wire: GSM-7 or UCS-2, and the parts carriers bill; it changes no text it measures.

GSM 03.38 default alphabet and extension table (3GPP TS 23.038); 160/153 septets or 70/67 UTF-16 units a part.
"""

import math
from typing import Literal, NamedTuple

_GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = "\f^{}\\[~]|€"
GSM_BASIC = frozenset(_GSM)
GSM_EXTENSION = frozenset(_GSM_EXTENDED)
MAX_CHARACTERS = 1600  # Twilio's limit for a body

_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."} | dict.fromkeys("\u00a0\u2009\u202f", " ")
)


class Measure(NamedTuple):
    """Encoding, units used in it (septets or UTF-16 units), and parts billed."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    parts: int


def plain(text: str) -> str:
    """The same words with typographic quotes, dashes and spaces made plain, so that they stay GSM-7."""
    return text.translate(_PLAIN)


def measure(text: str) -> Measure:
    """Encoding, length and parts of an outbound text; an escape or surrogate pair is never split over two parts."""
    if all(char in GSM_BASIC or char in GSM_EXTENSION for char in text):
        widths = [2 if char in GSM_EXTENSION else 1 for char in text]
        return Measure("GSM-7", sum(widths), _parts(widths, 160, 153))
    widths = [2 if ord(char) > 0xFFFF else 1 for char in text]
    return Measure("UCS-2", sum(widths), _parts(widths, 70, 67))


def _parts(widths: list[int], single: int, each: int) -> int:
    total = sum(widths)
    if total <= single:
        return 1
    if 2 not in widths:
        return math.ceil(total / each)
    parts, used = 1, 0
    for width in widths:
        if used + width > each:
            parts, used = parts + 1, 0
        used += width
    return parts


def clean(text: str) -> str:
    """An inbound body as it can be stored and shown: NUL and other control characters out, line ends unified.

    PostgreSQL text cannot hold NUL; the rest would garble a page or a log.
    """
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in unified if char in "\n\t" or (ord(char) >= 32 and ord(char) != 127))
