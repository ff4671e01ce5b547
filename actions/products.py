"""Questions about what the store sells, answered from its catalogue and never beyond it."""

import re
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.shop import catalogue, details, orders
from bot.shop.catalogue import ProductView
from bot.values import Ask, Option, Say, Value

#: So many products are told of in one text.
TOLD = 2
#: So many are listed to choose from.
LISTED = 5
_PRICE = re.compile(r"\b(?:price[ds]?|pricing|costs?|how much|expensive|cheap|dollars)\b|\$", re.IGNORECASE)
_STOCK = re.compile(
    r"\b(?:in stock|stock|available|availability|sold out|have|got|carry|left|any more|sizes?|colou?rs?|come in|get)\b",
    re.IGNORECASE,
)
#: What the text before was about, which is what they have ordered.
_THEM = re.compile(r"\b(?:it|its|it's|they|them|these|those|this|that|this one|mine|my)\b", re.IGNORECASE)
_DETAIL = re.compile(
    r"\b(?:wash\w*|care|clean\w*|material|made|fabric|leather|linen|cotton|vegan|waterproof|fits?|run|runs|true to size"
    r"|heel|sole|dry\w*|iron\w*|what (?:is|are)|tell me|about|info\w*|details?|describe)\b",
    re.IGNORECASE,
)


class AskProduct(ShopAction):
    """Price, stock and description of what the text names, of what was ordered last, or what there is."""

    called = "action_product"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """An answer for each product named, or which one is meant."""
        products = await catalogue.read(session)
        asked = turn.filled.get("asked") or question(turn.text)
        if meant := await self._meant(turn, session, products):
            return [Say(text="\n".join(_answer(turn, product, str(asked)) for product in meant[:TOLD]))]
        if not products:
            return [Say(text='I can\'t look that up by text. Text "person" and someone tells you.')]
        options = [
            Option(label=product.name, words=list(product.words), intent="ask_product", slots={"product": product.key})
            for product in products[:LISTED]
        ]
        lines = "\n".join(f"{number} {option.label}" for number, option in enumerate(options, 1))
        opening = "Which one do you mean?" if _THEM.search(turn.text) else "We have:"
        among = "We have, among others:" if len(products) > LISTED else opening
        return [
            Say(text=f'{among}\n{lines}\nReply with the number, or text "person" to ask someone.'),
            Ask(
                kind="details",
                intent="ask_product",
                slots={"asked": asked, "words": turn.text[:300]},
                options=options,
                reminder="To hear about a product, reply with its number.",
            ),
        ]

    async def _meant(self, turn: Turn, session: AsyncSession, products: Sequence[ProductView]) -> Sequence[ProductView]:
        """What the text names, else what was chosen, else what was ordered last where the text points at it."""
        named = [mention.key for mention in catalogue.find_mentions(turn.text, products)]
        named += [str(entity["value"]) for entity in turn.entities if entity["entity"] == "product"]
        if not named and turn.filled.get("product") is not None:
            named = [str(turn.filled["product"])]
        if named:
            by_key = {product.key: product for product in products}
            return [by_key[key] for key in dict.fromkeys(named) if key in by_key]
        if not _THEM.search(turn.text):
            return []
        bought = await orders.find(session, turn.contact_id, None)
        items = bought[0].items if bought else ()
        return [
            product
            for product in products
            if any(item.product == product.key or item.name.casefold() == product.name.casefold() for item in items)
        ]


def question(text: str) -> str:
    """What a question about a product asks for: price, stock, about or everything."""
    if _PRICE.search(text):
        return "price"
    if _DETAIL.search(text):
        return "about"
    return "stock" if _STOCK.search(text) else "everything"


def _answer(turn: Turn, product: ProductView, asked: str) -> str:
    text = f"{turn.text} {turn.filled.get('words', '')}" if turn.filled else turn.text
    sizes = [details.size(str(entity["value"])) for entity in turn.entities if entity["entity"] == "size"]
    colors = [str(entity["value"]) for entity in turn.entities if entity["entity"] == "color"]
    known = {color.casefold() for color in catalogue.colors_in(text, product)}
    return catalogue.answer_words(
        product,
        asked,
        list(dict.fromkeys([*catalogue.sizes_in(text, product), *(size for size in sizes if size is not None)])),
        [*catalogue.colors_in(text, product), *(color for color in colors if color.casefold() not in known)],
    )
