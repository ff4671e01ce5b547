"""Reads a missing detail out of the text that answers a question for it; a text that is no answer gives None."""

import re
from collections.abc import Callable

#: Nobody answers a question for one detail at such length; it is another matter, and Rasa's.
_LONG = 320
_EMAIL = re.compile(
    r"(?<![\w.%+-])[a-z0-9][a-z0-9._%+-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}(?![\w-])", re.I
)
_POSTCODE = re.compile(r"(?<![\w#$.-])([0-9]{5})(?:-[0-9]{4})?(?![\w-]|\.[0-9])")
_ORDER = re.compile(r"(?<![\w.$-])#?([0-9]{4,8})(?![\w-]|\.[0-9])")
_OTHER_ORDER = re.compile(r"\b(?:not|instead of|rather than)\s+(?:order\s+)?(?:number\s+)?#?[0-9]+", re.IGNORECASE)
_QUESTION = re.compile(
    r"^\W*(?:(?:and|but|so|hey|hi|ok|wait)\W+)*(?:what|where|when|how|why|who|which|whose|can|could|do|does|did|is|are|was"
    r"|will|would|should|may|am|have|has)(?:'?s|'?re|n'?t)?\b",
    re.IGNORECASE,
)


def _asks(text: str) -> bool:
    """Whether a text asks rather than answers; a bare "9?" or "#1042?" is an answer given with doubt."""
    return ("?" in text and len(text.split()) > 2) or _QUESTION.match(text) is not None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# -- who and which -------------------------------------------------------------------------------------------------


def email(text: str) -> str | None:
    """The email address in a text, lower case."""
    if _asks(text) or not (found := _EMAIL.search(text)):
        return None
    return found[0].lower()


def postcode(text: str) -> str | None:
    """The five digits of a US postcode in a text, the one called so where there are several, else the last."""
    if _asks(text):
        return None
    called = re.search(r"(?:zip|post(?:al)? ?code)(?: code)?(?: is|'s)?\W{0,3}([0-9]{5})(?![0-9])", text, re.IGNORECASE)
    found = _POSTCODE.findall(text)
    return called[1] if called else found[-1] if found else None


def proof(text: str) -> str | None:
    """What could prove whose order it is: an email address or a postcode."""
    return email(text) or postcode(text)


def order_number(text: str) -> str | None:
    """The digits of an order number, the one with a "#" where there are several, else the last; "not 1042" is none."""
    if _asks(text) or len(text) > _LONG:
        return None
    found = [(match[0].startswith("#"), match[1]) for match in _ORDER.finditer(_OTHER_ORDER.sub(" ", text))]
    marked = [number for sharp, number in found if sharp]
    return (marked or [number for _, number in found] or [None])[-1]


# -- sizes ---------------------------------------------------------------------------------------------------------

#: "One" is left out: "that one" is no size.
_COUNTED = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_COUNTED += ["thirteen", "fourteen", "fifteen"]
_LETTERS = {
    "small": "S",
    "medium": "M",
    "med": "M",
    "large": "L",
    "extra small": "XS",
    "extra large": "XL",
    "x small": "XS",
    "x large": "XL",
    "double xl": "XXL",
}
_HALF = r"(?:\.5|,5|\s*½|\s+1/2|\s+and a half|\s+half)"
_SIZE = re.compile(
    rf"(?<![\w.$#'’/-])(?:(?P<number>[0-9]{{1,2}})(?P<half>{_HALF})?(?:\.0)?"
    rf"|(?P<counted>{'|'.join(_COUNTED[::-1])})(?P<halved>{_HALF})?"
    r"|(?P<word>(?:extra|x)[ -]?(?:small|large)|double[ -]?xl|small|medium|med|large)"
    r"|(?P<letter>[2-5]?x{0,4}[sl]|m))(?![\w'’/-]|[.,:][0-9])",
    re.IGNORECASE,
)
#: What a size is not: "not 8", "instead of the 8".
_REFUSED = re.compile(
    rf"\b(?:not|instead of|rather than|no longer)\s+(?:an?\s+|the\s+|size\s+|my\s+)*{_SIZE.pattern}", re.IGNORECASE
)
#: Beside a number these make something else of it.
_UNITS = _words(
    "am pm oclock o'clock minute minutes min mins hour hours hr hrs day days week weeks month months year years"
    " pair pairs time times people dollars bucks percent star stars of more less thing things both booking order"
    " orders tomorrow today monday tuesday wednesday thursday friday saturday sunday too because broken wrong"
    " cancel"
)
_FILLERS = _words(
    "size sizes sz us usa women's womens men's mens kids a an the in for to me my mine please pls plz thanks"
    " thank you thx ty make it i i'd id i'll ill i'm im is it's its like want need take wear get have do go with"
    " would be should then ok okay k yes yeah yep no nope actually sorry instead let's lets let give swap"
    " exchange change send that and or um hmm well just one ones"
)
#: Of shoes and clothes, in the American count and the European.
_SMALLEST, _LARGEST = 3, 50
#: So many words may be none of these, such as a colour.
_OTHER_WORDS = 1


def size(text: str) -> str | None:
    """A size as shop.yml writes it: "9", "9.5", "M", "XXL"; only from a short text that names one and nothing else."""
    if _asks(text) or len(text) > _LONG:
        return None
    left = _REFUSED.sub(" ", text)
    told = {_size_words(found) for found in _SIZE.finditer(left)}
    if len(told) != 1:
        return None
    rest = re.findall(r"[\w'’]+", _SIZE.sub(" ", left).lower().replace("’", "'"))
    if _UNITS.intersection(rest) or sum(word not in _FILLERS for word in rest) > _OTHER_WORDS:
        return None
    return told.pop()


def sizes(text: str) -> list[tuple[int, int]]:
    """Where a text about clothes or shoes names sizes (`start`, `end` exclusive), wanted or not: "the 9, not the 8"."""
    return [found.span() for found in _SIZE.finditer(text) if not _counts_other(text, found)]


def _counts_other(text: str, found: re.Match[str]) -> bool:
    """Whether a number counts something else ("2 pairs", "20 %"), or a letter is none of a size ("i'm m")."""
    before = re.findall(r"[\w'’]+", text[: found.start()].lower())[-1:]
    after = re.findall(r"[\w'’]+|%", text[found.end() : found.end() + 20].lower())[:1]
    lone = bool(found["letter"]) and len(found["letter"]) == 1 and found["letter"].islower()
    small = bool(found["number"]) and not _SMALLEST <= int(found["number"]) <= _LARGEST
    return bool(small or {*before} & {"order", "number", "no"} or {*after} & (_UNITS | {"%"})) or (
        lone and not {*before} & {"a", "an", "size", "in", "the", "to", "for"}
    )


def _size_words(found: re.Match[str]) -> str:
    if found["number"] or found["counted"]:
        whole = int(found["number"]) if found["number"] else _COUNTED.index(found["counted"].lower()) + 2
        return f"{whole}.5" if found["half"] or found["halved"] else str(whole)
    if found["word"]:
        word = found["word"].lower().replace("-", " ")
        return _LETTERS.get(word) or _LETTERS[re.sub(r"^(extra|x|double)", r"\1 ", word)]
    letter = found["letter"].upper()
    return "X" * int(letter[0]) + letter[-1] if letter[0].isdigit() else letter


# -- addresses -----------------------------------------------------------------------------------------------------

_STREETS = (
    "st|street|str|ave?|avenue|rd|road|blvd|boulevard|ln|lane|dr|drive|ct|court|pl|place|pkwy|parkway|ter|terrace|cir"
    "|circle|hwy|highway|sq|square|pike|alley|trl|plz|plaza|broadway|xing|crossing|quay|wharf|pier|mews|ridge|cove"
    "|heights|hts|esplanade|expy|expressway|fwy|freeway"
)
#: These are streets only where the street ends with them; "2 trail runners" is no address.
_STREETS_LAST = "way|trail|run|row|walk|point|pt|park|path|close|loop|bend|hill|pass"
_NO_NAME = (
    "to|of|my|on|in|i|or|and|for|from|at|is|are|it|by|pairs?|orders?|hours?|hrs?|days?|weeks?|months?|years?|minutes?"
    "|mins?|min|minute|times?|items?|things?|more|less|pm|am|shirts?|shoes?|heels?|sneakers?"
)
_HOUSE = r"(?<![\w#$.:/-])[0-9]{1,6}[a-z]?(?:-[0-9]{1,4})?(?:\s+1/2)?"
#: A house number, up to six words of a name, and what kind of street it is; or a box at a post office.
_STREET = re.compile(
    rf"{_HOUSE}\s+(?:(?:(?!(?:{_NO_NAME})\b)[^\W_][\w.'’-]*\s+){{1,6}}?"
    rf"(?:(?:{_STREETS})\b|(?:{_STREETS_LAST})\b(?=\W*$|,|\s+(?:apt|apartment|unit|suite|ste|floor|fl|#|[nsew]{{1,2}}\b)))"
    r"|(?:broadway|ave(?:nue)?|highway|hwy|route|rte)\b)"
    r"|\bp\.?\s?o\.?\s+box\s+[0-9]+",
    re.IGNORECASE,
)
#: Without the kind of street, a postcode behind the words says it is an address: "350 W 42nd, New York NY 10036".
_WITH_POSTCODE = re.compile(
    rf"{_HOUSE}\s+(?!(?:{_NO_NAME})\b)[^\W\d_][\w.,'’# -]*?(?<![\w#-])[0-9]{{5}}(?:-[0-9]{{4}})?\s*$", re.IGNORECASE
)
_POLITE = re.compile(
    r"^\W*(?:(?:no|ok|yes|hi|hey|so|and|but|oh|wait)\W+)*(?:can|could|would|will) (?:you|u|it|we|i) "
    r"(?:please |pls |just )*(?:go|send|ship|deliver|change|mail|forward|make|use|switch|be sent|be shipped)\b",
    re.IGNORECASE,
)
_REFUSING = re.compile(r"\b(?:not|n['’]?t|never|nor|instead of|rather than)\b", re.IGNORECASE)
_COURTESY = re.compile(
    r"(?:[\s.,;]+(?:please|pls|plz|thanks?(?: you)?(?: so much)?|thx|ty|instead|now|from now on|if possible|ok))+\W*$",
    re.IGNORECASE,
)
#: A name in front is kept ("Ann Becker, 12 Oak St"); words that lead up to the address are not.
_LEADING = _words(
    "it it's its is to the my our new old address addr send ship deliver change update make use please no yes"
    " actually sorry oops wait ok okay sure now instead i i'm im i've we live lives moved move moving home house"
    " place office work at that thats that's should be go for order and oh hi hey hello correct right one meant"
    " mean delivery shipping a parents mom's moms dad's dads sister's brother's friend's neighbor's apartment me"
    " you can could them package"
)
_ADDRESS_LONG = 160


def address(text: str) -> str | None:
    """A postal address in the contact's own words, on one line, without what leads up to it."""
    if len(text) > _LONG or (_asks(text) and not _POLITE.match(text)):
        return None
    line = re.sub(r"\s*[\r\n]+\s*", ", ", text.strip().strip("?!"))
    line = _COURTESY.sub("", " ".join(line.split())).strip(" ,;.?!")
    found = _STREET.search(line) or _WITH_POSTCODE.search(line)
    if found is None or _REFUSING.search(line):
        return None
    told = (_recipient(line[: found.start()]) + line[found.start() :]).strip(" ,;")
    told = re.sub(r"(?:,\s*)+", ", ", told)
    return told if len(told) <= _ADDRESS_LONG else None


def _recipient(before: str) -> str:
    """What stands in front of the street and belongs to the address: a name, a company or a flat, before a comma."""
    parts = [part.strip() for part in before.split(",")]
    if len(parts) < 2 or parts[-1] or ":" in before:
        return ""
    kept = [part for part in parts[:-1] if part and _names(part)]
    return "".join(f"{part}, " for part in kept)


def _names(part: str) -> bool:
    words = part.lower().replace("’", "'").split()
    return len(words) <= 4 and not _LEADING.intersection(word.strip(".!'") for word in words)


def postcode_of(place: str) -> str | None:
    """The five digits of the postcode at the end of a postal address; a house number is none."""
    found = re.search(r"(?<=[\s,])([0-9]{5})(?:-[0-9]{4})?(?:\W+(?:usa?|united states))?\W*$", place, re.IGNORECASE)
    return found[1] if found else None


# -- all of them ---------------------------------------------------------------------------------------------------

READERS: dict[str, Callable[[str], str | None]] = {
    "email": email,
    "postcode": postcode,
    "proof": proof,
    "order_number": order_number,
    "size": size,
    "address": address,
}


def read(wanted: str, text: str) -> str | None:
    """The detail called `wanted` (one of READERS), None where the text does not tell it."""
    reader = READERS.get(wanted)
    return reader(text) if reader is not None else None
