"""What the store sells and has, and names of things found in a text; it changes no stock and promises nothing."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True)
class VariantView:
    """A product in one size and colour; `free` is what lies in the store and is promised to nobody."""

    size: str | None
    color: str | None
    free: int


@dataclass(frozen=True)
class ProductView:
    """Something on sale with its variants, sizes from small to large; `words` are other names people use for it."""

    key: str
    name: str
    words: tuple[str, ...]
    price_cents: int
    about: str
    variants: tuple[VariantView, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What it can be called."""
        return self.name, *self.words

    @property
    def sizes(self) -> list[str]:
        """Every size it is made in, in stock or not."""
        return list(dict.fromkeys(item.size for item in self.variants if item.size is not None))

    @property
    def colors(self) -> list[str]:
        """Every colour it is made in, in stock or not."""
        return list(dict.fromkeys(item.color for item in self.variants if item.color is not None))

    @property
    def price(self) -> str:
        """The price as people write it: "$89", "$24.50"."""
        whole, cents = divmod(self.price_cents, 100)
        return f"${whole:,}" if cents == 0 else f"${whole:,}.{cents:02d}"


# A promise stands as long as the exchange is neither withdrawn nor its order cancelled; an item may be several pieces.
_PROMISED = """
    SELECT request.product, request.size, request.color,
           sum(coalesce((orders.items -> request.item ->> 'quantity')::int, 1)) AS pieces
    FROM order_requests request JOIN orders ON orders.id = request.order_id
    WHERE request.kind = 'exchange' AND request.withdrawn_at IS NULL AND orders.status <> 'cancelled'
    GROUP BY request.product, request.size, request.color
"""
_READ = text(
    f"""
    SELECT products.key, products.name, products.words, products.price_cents, products.about,
           variants.id AS variant, variants.size, variants.color,
           variants.stock - coalesce(promised.pieces, 0) AS free
    FROM products
    LEFT JOIN variants ON variants.product_id = products.id
    LEFT JOIN ({_PROMISED}) promised ON promised.product = products.key
        AND promised.size IS NOT DISTINCT FROM variants.size
        AND promised.color IS NOT DISTINCT FROM variants.color
    WHERE products.listed ORDER BY products.id, variants.id
    """  # noqa: S608 - made of constants
)
_LOCK = text(
    """
    SELECT products.key, variants.size, variants.color, variants.stock
    FROM variants JOIN products ON products.id = variants.product_id
    WHERE products.listed
      AND (products.key = :key OR (CAST(:key AS text) IS NULL AND lower(products.name) = lower(:name)))
      AND lower(variants.size) IS NOT DISTINCT FROM lower(:size)
      AND lower(variants.color) IS NOT DISTINCT FROM lower(:color)
    FOR UPDATE OF variants
    """
)
_COUNT = text(
    f"""
    SELECT coalesce(sum(pieces), 0) FROM ({_PROMISED}) promised
    WHERE product = :key AND size IS NOT DISTINCT FROM :size AND color IS NOT DISTINCT FROM :color
    """  # noqa: S608 - made of constants
)


async def read(session: AsyncSession) -> tuple[ProductView, ...]:
    """Everything on sale with what is free of it, in the order of shop.yml."""
    rows = (await session.execute(_READ)).all()
    variants: dict[str, list[VariantView]] = defaultdict(list)
    for row in rows:
        if row.variant is not None:
            variants[row.key].append(VariantView(row.size, row.color, max(int(row.free), 0)))
    return tuple(
        ProductView(
            key=row.key,
            name=row.name,
            words=tuple(row.words),
            price_cents=row.price_cents,
            about=row.about,
            variants=tuple(sorted(variants[row.key], key=lambda item: size_rank(item.size))),
        )
        for row in {row.key: row for row in rows}.values()
    )


@dataclass(frozen=True)
class LockedVariant:
    """A variant that nobody else can promise before this transaction ends; `free` as in VariantView."""

    product: str
    size: str | None
    color: str | None
    free: int


async def lock(
    session: AsyncSession, key: str | None, name: str, size: str | None, color: str | None
) -> LockedVariant | None:
    """Lock one variant of a product, found by its key or, where there is none, its name; None where it is not made.

    The promises are counted after the lock is ours, so that of two who want the last pair the second sees the first.
    """
    row = (await session.execute(_LOCK, {"key": key, "name": name, "size": size, "color": color})).first()
    if row is None:
        return None
    promised = await session.scalar(_COUNT, {"key": row.key, "size": row.size, "color": row.color})
    return LockedVariant(row.key, row.size, row.color, row.stock - int(promised or 0))


# -- sizes ---------------------------------------------------------------------------------------------------------

_LETTERS = re.compile(r"(?:(\d{0,2})|(X*))(S|M|L)")
_NUMBER = re.compile(r"\d{1,3}(?:\.\d)?")


def size_rank(size: str | None) -> tuple[int, float, str]:
    """Sorts sizes as a shelf does: 7 before 7.5 before 10, XS before S before XXL, anything else by its letters."""
    if size is None:
        return (0, 0.0, "")
    if _NUMBER.fullmatch(size):
        return (1, float(size), "")
    if found := _LETTERS.fullmatch(size.upper()):
        many = int(found[1]) if found[1] else len(found[2] or "")
        return (2, {"S": -many, "M": 100.0, "L": 200.0 + many}[found[3]], "")
    return (3, 0.0, size)


# -- names in a text -----------------------------------------------------------------------------------------------


class Named(Protocol):
    """Something with a key and what people call it: a product, a service, a place, a member of staff."""

    @property
    def key(self) -> str:
        """As shop.yml knows it."""

    @property
    def names(self) -> Sequence[str]:
        """What it can be called."""


class Mention(NamedTuple):
    """Something named in a text: its key and where in the text its name stands (characters, `end` exclusive)."""

    key: str
    start: int
    end: int


class _Token(NamedTuple):
    stem: str
    start: int
    end: int


_WORD = re.compile(r"[^\W_]+")
#: Below this many letters a name must be spelled right; "nova" is too near to too much.
_FORGIVEN = 6
#: Names written apart or together ("rain coat", "trailrunner") are the same from this many letters on.
_JOINED = 8
#: A typo is looked for among so many words of a text; nobody names a product later than that.
_LOOKED_AT = 80


def find_mentions(text: str, things: Iterable[Named]) -> list[Mention]:
    """What is named in a text, in the order of the text; the longest name wins where names overlap.

    Case, plurals, hyphens and one typo in a long name are forgiven; a name within another word is none. A name that
    several things have gives each of them, at the same place.
    """
    tokens = _tokens(text)
    if not tokens:
        return []
    names: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for thing in things:
        for name in thing.names:
            stems = tuple(token.stem for token in _tokens(name))
            if stems and thing.key not in names[stems]:
                names[stems].append(thing.key)
    taken = [False] * len(tokens)
    mentions = [*_spelled(tokens, names, taken), *_misspelled(tokens, names, taken)]
    return sorted(mentions, key=lambda mention: mention.start)


def _tokens(text: str) -> list[_Token]:
    found = []
    for word in _WORD.finditer(text):
        stem = _stem(word[0].casefold())
        # The s of "Rosa's" is no word of its own; its apostrophe may be a typographic one.
        if stem == "s" and word.start() and text[word.start() - 1] in "'’":
            continue
        found.append(_Token(stem, word.start(), word.end()))
    return found


def _stem(word: str) -> str:
    """What a word and its plural share: "hoodie" and "hoodies", "sky" and "skies", "dress" and "dresses"."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) > 3 and word.endswith(("she", "che", "sse", "xe")):
        return word[:-1]
    return word[:-2] + "y" if len(word) > 3 and word.endswith("ie") else word


def _spelled(tokens: list[_Token], names: dict[tuple[str, ...], list[str]], taken: list[bool]) -> list[Mention]:
    joined: dict[str, list[str]] = defaultdict(list)
    for stems, keys in names.items():
        if len("".join(stems)) >= _JOINED:
            joined["".join(stems)].extend(key for key in keys if key not in joined["".join(stems)])
    widest = max((len(stems) for stems in names), default=0) + 1
    found = []
    for width in range(min(widest, len(tokens)), 0, -1):
        for first in range(len(tokens) - width + 1):
            stems = tuple(token.stem for token in tokens[first : first + width])
            keys = names.get(stems) or joined.get("".join(stems), [])
            if keys and not any(taken[first : first + width]):
                found += _take(tokens, first, width, keys, taken)
    return found


def _misspelled(tokens: list[_Token], names: dict[tuple[str, ...], list[str]], taken: list[bool]) -> list[Mention]:
    """Names with one word off by one typo, among the words that named nothing so far."""
    long = [(stems, keys) for stems, keys in names.items() if len("".join(stems)) >= _FORGIVEN]
    found = []
    for stems, keys in sorted(long, key=lambda item: -len("".join(item[0]))):
        for first in range(min(len(tokens), _LOOKED_AT) - len(stems) + 1):
            window = tokens[first : first + len(stems)]
            if any(taken[first : first + len(stems)]):
                continue
            off = [(token.stem, stem) for token, stem in zip(window, stems, strict=True) if token.stem != stem]
            if len(off) == 1 and one_typo(*off[0]):
                found += _take(tokens, first, len(stems), keys, taken)
    return found


def _take(tokens: list[_Token], first: int, width: int, keys: list[str], taken: list[bool]) -> list[Mention]:
    taken[first : first + width] = [True] * width
    return [Mention(key, tokens[first].start, tokens[first + width - 1].end) for key in keys]


def one_typo(typed: str, meant: str) -> bool:
    """Whether `typed` is `meant` with one letter too many, too few, swapped or, in a longer word, wrong.

    The first letter must be right. In a short word a wrong letter makes another word: a skirt is no shirt. Another
    number is always another one.
    """
    if typed.isdigit() or meant.isdigit():
        return False
    if typed == meant or min(len(typed), len(meant)) < 4 or typed[0] != meant[0]:
        return False
    if len(typed) == len(meant):
        off = [index for index, (a, b) in enumerate(zip(typed, meant, strict=True)) if a != b]
        if len(off) == 1:
            return len(meant) >= _FORGIVEN
        swapped = len(off) == 2 and off[1] == off[0] + 1
        return swapped and (typed[off[0]], typed[off[1]]) == (meant[off[1]], meant[off[0]])
    shorter, longer = sorted((typed, meant), key=len)
    return len(longer) - len(shorter) == 1 and any(
        longer[:index] + longer[index + 1 :] == shorter for index in range(len(longer))
    )


# -- sizes and colours in a text -----------------------------------------------------------------------------------

_SPELLED = {"small": "S", "medium": "M", "large": "L"}
_SIZE = re.compile(r"[0-9]{1,2}(?:\.5)?|small|medium|large|[0-9]?x{0,4}[sl]|m", re.IGNORECASE)
_SIZE_LIKE = re.compile(r"(?<![\w.$#'’])(?:[0-9]{1,3}(?:\.5)?|[^\W\d_]+|[0-9]{0,2}x{0,4}[sl])(?![\w'’])", re.IGNORECASE)
_SIZE_BEFORE = re.compile(r"(?:\b(?:sizes?|in|an?|for|to|or|and|my|the)|[,/&])$")
_CALLED_SIZE = re.compile(r"\bsizes?(?: an?)?$")
_NO_SIZE = re.compile(r"\b(?:too|order|number|no\.?)$")
#: What may follow a size that a text begins with: "9, please", "8 or 9"; "9 days" is none.
_AFTER_FIRST = re.compile(r"(?:and|or|in|pls|please|thanks|instead)\b|[,/&?!.]|$")


def colors_in(text: str, product: ProductView) -> list[str]:
    """The colours of the product a text names, in its order."""
    named = [_Thing(color, (color,)) for color in product.colors]
    return list(dict.fromkeys(mention.key for mention in find_mentions(text, named)))


def sizes_in(text: str, product: ProductView) -> list[str]:
    """The sizes of the product a text names, in its order; a bare "s" or "9" only where it stands as a size does."""
    found: list[str] = []
    names = {mention.end for mention in find_mentions(text, [product])}
    colors = [color.casefold() for color in product.colors]
    for word in _SIZE_LIKE.finditer(text):
        size = _size_of(word[0], product)
        before, after = text[: word.start()].rstrip().lower()[-40:], text[word.end() :].lstrip().lower()[:40]
        if size is None and _CALLED_SIZE.search(before) and _SIZE.fullmatch(word[0]):
            size = _SPELLED.get(word[0].lower(), word[0].upper())  # not made, which is an answer as well
        if size is None or _NO_SIZE.search(before):
            continue
        written = word[0].lower() in _SPELLED or (word[0].isalpha() and word[0].isupper())
        first = not before.strip(" ?.!,") and _AFTER_FIRST.match(after)
        beside_color = any(before.endswith(color) or after.startswith(color) for color in colors)
        beside_name = len(text[: word.start()].rstrip()) in names
        if written or first or beside_color or beside_name or _SIZE_BEFORE.search(before):
            found.append(size)
    return list(dict.fromkeys(found))


def _size_of(word: str, product: ProductView) -> str | None:
    wanted = _SPELLED.get(word.lower(), word).casefold()
    return next((size for size in product.sizes if size.casefold() == wanted), None)


class _Thing(NamedTuple):
    key: str
    names: tuple[str, ...]


# -- answers -------------------------------------------------------------------------------------------------------


def variant_words(size: str | None, color: str | None) -> str:
    """A variant in words: "size 9, black", "blue", "size M"; empty where it has neither."""
    return ", ".join(part for part in (f"size {size}" if size else "", color or "") if part)


def stock_words(product: ProductView) -> str:
    """What is in stock of a product, by colour: "black 7, 8, 9; green 8, 9"; empty where it is sold out."""
    by_color: dict[str | None, list[str | None]] = defaultdict(list)
    for item in product.variants:
        if item.free > 0:
            by_color[item.color].append(item.size)
    return "; ".join(_color_words(color, sizes) for color, sizes in by_color.items())


def _color_words(color: str | None, sizes: list[str | None]) -> str:
    told = ", ".join(size for size in sizes if size is not None)
    if not told:
        return color or "yes"
    return f"{color} {told}" if color else told


def answer_words(product: ProductView, asked: str, sizes: Sequence[str] = (), colors: Sequence[str] = ()) -> str:
    """What the catalogue says of a product, in at most two texts.

    `asked` is price, stock, about or everything; sizes and colours narrow the question about stock, unknown ones are
    answered as not in stock.
    """
    if sizes or colors:
        return _has(product, sizes, colors) + (f" It is {product.price}." if asked == "price" else "")
    if asked == "price":
        return f"{product.name}: {product.price}."
    stock = stock_words(product)
    have = f"In stock: {stock}." if stock else "Sold out at the moment."
    if stock == "yes":
        have = "In stock."
    if asked == "stock":
        return f"{product.name}: {have[0].lower()}{have[1:]}"
    if asked == "about":
        return f"{product.name}: {product.about}"
    return f"{product.name}, {product.price}: {product.about} {have}"


def _has(product: ProductView, sizes: Sequence[str], colors: Sequence[str]) -> str:
    there, gone = [], []
    for size, color in itertools.product(sizes or [""], colors or [""]):
        fits = [
            item
            for item in product.variants
            if item.free > 0
            and (not size or (item.size or "").casefold() == size.casefold())
            and (not color or (item.color or "").casefold() == color.casefold())
        ]
        words = variant_words(size, color)
        if not fits:
            gone.append(words)
        elif not color and product.colors:
            there.append(f"{words} in {' and '.join(dict.fromkeys(item.color for item in fits if item.color))}")
        elif not size and product.sizes:
            there.append(f"{words} in {', '.join(dict.fromkeys(item.size for item in fits if item.size))}")
        else:
            there.append(words)
    parts = []
    if there:
        parts.append(f"Yes, we have the {product.name} in {'; '.join(there)}.")
    if gone:
        parts.append(f"Not in stock: {product.name} in {'; '.join(gone)}.")
        stock = stock_words(product)
        parts.append(f"What we have: {stock}." if stock else "It is sold out at the moment.")
    return " ".join(parts)
