"""What the store sells, and finding names of things in what people text."""

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import event

from bot.db import Database
from bot.shop import catalogue
from bot.shop.catalogue import Mention, ProductView, VariantView
from bot.text import measure


@dataclass(frozen=True)
class Thing:
    """A thing with names."""

    key: str
    names: tuple[str, ...]


PRODUCTS = (
    Thing("trail-runner", ("Trail Runner sneakers", "trail runner", "trail runners")),
    Thing("nova-heels", ("Nova heels", "nova")),
    Thing("harbor-raincoat", ("Harbor raincoat", "raincoat", "rain jacket")),
    Thing("linen-shirt", ("Linen shirt", "shirt")),
    Thing("linen-dress", ("Linen dress", "linen")),
)
WORDS = st.text(alphabet="abcdefghij", min_size=3, max_size=9)
NAMES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
THINGS = st.lists(NAMES, min_size=1, max_size=5, unique=True).map(
    lambda names: [Thing(f"k{number}", (name,)) for number, name in enumerate(names)]
)


def keys(text: str) -> list[str]:
    """What is found, in the order of the text."""
    return [mention.key for mention in catalogue.find_mentions(text, PRODUCTS)]


@pytest.mark.parametrize(
    "text, found",
    [
        ("do you have the trail runners in 9", ["trail-runner"]),
        ("TRAIL RUNNER SNEAKERS?", ["trail-runner"]),
        ("trail-runner sneaker", ["trail-runner"]),
        ("trailrunners", ["trail-runner"]),
        ("is the rain coat waterproof", ["harbor-raincoat"]),
        ("linen shirts and novas", ["linen-shirt", "nova-heels"]),
        ("the linen one", ["linen-dress"]),
        ("a shirt's price", ["linen-shirt"]),
        ("raincaot", ["harbor-raincoat"]),
        ("trial runners", ["trail-runner"]),
        ("rain jackt", ["harbor-raincoat"]),
        ("trai runner sneakers", ["trail-runner"]),
        ("harbour raincoat", ["harbor-raincoat"]),
        ("a skirt", []),
        ("a short", []),
        ("nvoa heels", ["nova-heels"]),
        ("nove heels", []),
        ("supernova", []),
        ("t-shirts", ["linen-shirt"]),
        ("no va", []),
        ("", []),
    ],
)
def test_products_are_found_as_people_name_them(text: str, found: list[str]) -> None:
    """Case, plural, hyphen and a typo are forgiven; another word is another word."""
    assert found == keys(text)


def test_the_longest_name_wins_and_its_place_is_told() -> None:
    """Not its own shorter name again, nor the other thing's."""
    assert [Mention("linen-shirt", 4, 15)] == catalogue.find_mentions("the LINEN shirt please", PRODUCTS)


def test_a_name_of_two_things_gives_both_at_one_place() -> None:
    """Whoever asks may ask back."""
    twice = [Thing("a", ("Rosa",)), Thing("b", ("rosa", "Rosa M"))]

    assert [Mention("a", 5, 9), Mention("b", 5, 9)] == catalogue.find_mentions("with Rosa's help", twice)


@given(text=st.text(max_size=200), things=THINGS)
@example(text="s's 's '", things=[Thing("a", ("s",)), Thing("b", ("",)), Thing("c", ("!?",))])
@example(text="İstanbul ß ﬃ", things=[Thing("a", ("istanbul",)), Thing("b", ("SS",))])
def test_no_text_breaks_it_and_places_lie_in_the_text(text: str, things: list[Thing]) -> None:
    """In order, and two names never overlap."""
    mentions = catalogue.find_mentions(text, things)

    for mention in mentions:
        assert 0 <= mention.start < mention.end <= len(text)
    places = sorted({(mention.start, mention.end) for mention in mentions})
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(places))
    assert [mention.start for mention in mentions] == sorted(mention.start for mention in mentions)


@pytest.mark.parametrize(
    ("one", "many"),
    [("hoodie", "hoodies"), ("baby", "babies"), ("dress", "dresses"), ("box", "boxes"), ("niche", "niches")],
)
def test_one_and_many_are_the_same_thing(one: str, many: str) -> None:
    """Whichever of the two the shop wrote down."""
    for name, word in ((one, many), (many, one)):
        assert [("thing", 0, len(word))] == catalogue.find_mentions(word, [Thing("thing", (name,))])


@given(things=THINGS, data=st.data(), before=st.sampled_from(["", "the ", "Do you have "]), upper=st.booleans())
def test_a_name_is_found_wherever_it_stands(things: list[Thing], data: st.DataObject, before: str, upper: bool) -> None:
    """In any case, as singular and plural."""
    thing = data.draw(st.sampled_from(things))
    name = thing.names[0] + data.draw(st.sampled_from(["", "s"]))
    text = before + (name.upper() if upper else name) + "?"

    found = catalogue.find_mentions(text, things)

    assert (thing.key, len(before), len(text) - 1) in found


@given(word=st.text(alphabet="abcdefghij", min_size=6, max_size=12), data=st.data())
def test_one_typo_in_a_long_name_is_forgiven_and_two_are_not(word: str, data: st.DataObject) -> None:
    """A letter too many, too few, or two swapped."""
    at = data.draw(st.integers(1, len(word) - 2))
    dropped = word[:at] + word[at + 1 :]
    doubled = word[:at] + "z" + word[at:]
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    for typo in (dropped, doubled, swapped):
        assert typo == word or catalogue.one_typo(typo, word)
    assert not catalogue.one_typo(doubled + "zz", word)
    assert not catalogue.one_typo("z" + word, word)


def test_a_long_text_and_a_large_catalogue_take_little_time() -> None:
    """1,600 characters against 3,000 names: no product of the two."""
    many = [Thing(str(number), (f"product line{number} model{number}",)) for number in range(3000)]

    assert [] == catalogue.find_mentions("what about the modle thing " * 60, many)


def test_sizes_are_in_the_order_of_a_shelf() -> None:
    """Numbers by value, letters by size."""
    sizes = ["10", "M", "7.5", "XXL", "S", "7", "XS", "L", "one size", "XL", None, "2XL"]

    assert [None, "7", "7.5", "10", "XS", "S", "M", "L", "XL", "XXL", "2XL", "one size"] == sorted(
        sizes, key=catalogue.size_rank
    )


# -- the store's own -----------------------------------------------------------------------------------------------


async def products(db: Database) -> dict[str, ProductView]:
    """What is on sale."""
    async with db.begin() as session:
        return {product.key: product for product in await catalogue.read(session)}


async def test_the_catalogue_is_read_in_one_query_however_long(db: Database) -> None:
    """With every variant and what is free of it, sizes in order."""
    asked: list[str] = []
    async with db.begin() as session:
        await session.connection()
        event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        found = await catalogue.read(session)

    assert 1 == len(asked)
    assert ["trail-runner", "nova-heels", "harbor-raincoat", "linen-shirt"] == [product.key for product in found]
    assert ("$89", ["7", "8", "9", "10"], ["black", "green"]) == (found[0].price, found[0].sizes, found[0].colors)
    assert VariantView("9", "black", 3) in found[0].variants
    assert ["S", "M", "L"] == found[2].sizes


@pytest.mark.parametrize(
    "text, sizes, colors",
    [
        ("do you have the trail runners in 9", ["9"], []),
        ("trail runners size 15?", ["15"], []),
        ("in black or green, size 8 or 9", ["8", "9"], ["black", "green"]),
        ("Green 9?", ["9"], ["green"]),
        ("9", ["9"], []),
        ("order 9 of them", [], []),
        ("order #1043, they have 9 laces", [], []),
        ("how much is it, $9?", [], []),
        ("two of the S", [], []),
        ("8, 9 and 10", ["8", "9", "10"], []),
        ("trail runners 9?", ["9"], []),
        ("9 green please", ["9"], ["green"]),
        ("9 days ago I asked", [], []),
    ],
)
async def test_sizes_and_colours_of_a_product_are_found_where_they_stand_as_such(
    db: Database, text: str, sizes: list[str], colors: list[str]
) -> None:
    """A number alone in a sentence is no size."""
    runner = (await products(db))["trail-runner"]

    assert (sizes, colors) == (catalogue.sizes_in(text, runner), catalogue.colors_in(text, runner))


@pytest.mark.parametrize(
    "text, sizes",
    [
        ("is the linen shirt available in blue L", ["L"]),
        ("do you have a medium or a large", ["M", "L"]),
        ("it was too large", []),
        ("do you have it in l", ["L"]),
        ("it's nice", []),
        ("size xl", ["XL"]),
    ],
)
async def test_letter_sizes(db: Database, text: str, sizes: list[str]) -> None:
    """A letter is a size where it is written or stands as one."""
    assert sizes == catalogue.sizes_in(text, (await products(db))["linen-shirt"])


@pytest.mark.parametrize(
    "key, asked, sizes, colors, words",
    [
        ("trail-runner", "price", [], [], "Trail Runner sneakers: $89."),
        ("trail-runner", "stock", [], [], "Trail Runner sneakers: in stock: black 7, 8, 9; green 8, 9."),
        ("trail-runner", "stock", ["9"], [], "Yes, we have the Trail Runner sneakers in size 9 in black and green."),
        ("trail-runner", "stock", [], ["green"], "Yes, we have the Trail Runner sneakers in green in 8, 9."),
        ("linen-shirt", "price", ["L"], ["blue"], "Yes, we have the Linen shirt in size L, blue. It is $59."),
        (
            "trail-runner",
            "stock",
            ["10"],
            [],
            "Not in stock: Trail Runner sneakers in size 10. What we have: black 7, 8, 9; green 8, 9.",
        ),
        (
            "nova-heels",
            "stock",
            ["7", "8"],
            ["black"],
            "Yes, we have the Nova heels in size 7, black. Not in stock: Nova heels in size 8, black."
            " What we have: black 6, 7; red 7, 8.",
        ),
        (
            "linen-shirt",
            "about",
            [],
            [],
            "Linen shirt: Pure European linen, straight cut; machine wash warm, iron damp.",
        ),
    ],
)
async def test_answers_come_from_the_catalogue(
    db: Database, key: str, asked: str, sizes: list[str], colors: list[str], words: str
) -> None:
    """Price, stock and description as they stand in shop.yml."""
    assert words == catalogue.answer_words((await products(db))[key], asked, sizes, colors)


async def test_everything_told_of_a_product_fits_two_parts(db: Database) -> None:
    """Also the whole of it."""
    for product in (await products(db)).values():
        words = catalogue.answer_words(product, "everything")
        assert measure(words).parts <= 2, words


def test_what_is_sold_out_or_comes_in_one_form_is_said_so() -> None:
    """No empty list of sizes."""
    bag = ProductView("bag", "Canvas bag", (), 2450, "A bag.", (VariantView(None, None, 3),))
    gone = ProductView("bag", "Canvas bag", (), 2450, "A bag.", (VariantView(None, None, 0),))

    assert "Canvas bag, $24.50: A bag. In stock." == catalogue.answer_words(bag, "everything")
    assert "Canvas bag: sold out at the moment." == catalogue.answer_words(gone, "stock")
    assert "Not in stock: Canvas bag in blue. It is sold out at the moment." == catalogue.answer_words(
        gone, "stock", [], ["blue"]
    )
