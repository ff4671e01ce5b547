"""Orders by text: where one is, another address, cancelling, swapping and sending back; asked before anything changes.

An order of somebody else is treated like one that does not exist until its postcode or email is told.
"""

import abc
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.shop import catalogue, details, orders, shopfile
from bot.shop.catalogue import ProductView, VariantView
from bot.shop.orders import UNSHIPPED, OrderItem, OrderView, RequestView
from bot.values import (
    Ask,
    CancelOrder,
    ChangeAddress,
    HandOver,
    Option,
    ProveOrder,
    RequestExchange,
    RequestReturn,
    Say,
    Value,
    WithdrawRequest,
)

#: So many orders are told of in one text; it stays within two parts.
TOLD = 2
#: So many choices are listed, for the same reason.
CHOICES = 5
#: A proof may be wrong once; the second time a person looks.
TRIES = 2
#: Two parts of a text, with room for the line the outbox adds.
ROOM = 280
PERSON = 'Text "person" and someone looks at it.'
_HOW = re.compile(r"\bhow\b", re.IGNORECASE)
#: The number of a choice is no size and no order.
_CHOICE = re.compile(r"\W*[0-9]{1,2}\W*")


@dataclass(frozen=True)
class Case:
    """The order and item a turn is about, and what was told of the request so far, this text included."""

    order: OrderView
    products: Sequence[ProductView]
    told: Mapping[str, Any]

    def product(self, item: OrderItem) -> ProductView | None:
        """The product an item is, by its key or its name; None where it is not on sale any more."""
        return _product(item, self.products)


class OrderAction(ShopAction, abc.ABC):
    """An action about one order: finds which, proves whose, asks what is missing; a subclass decides about it."""

    intent: ClassVar[str]
    #: "Which order do you want to {verb}?"
    verb: ClassVar[str]

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """Find the order meant, then decide about it."""
        number = order_named(turn)
        told = told_so_far(turn, number)
        found = await orders.find(session, turn.contact_id, number)
        products = await catalogue.read(session)
        if number is not None and not found:
            return await self._identify(turn, session, number, told, products)
        if not found:
            return self._ask_number(told)
        order = self._pick(turn, found, products, told)
        if order is None:
            return await self._which(turn, session, self._candidates(turn, found, products, told), told)
        return await self.about(turn, session, Case(order, products, told))

    @abc.abstractmethod
    async def about(self, turn: Turn, session: AsyncSession, case: Case) -> Sequence[Value]:
        """The values this turn comes to for this order."""

    @abc.abstractmethod
    def possible(self, order: OrderView) -> bool:
        """Whether it can be done to this order as it stands."""

    async def how(self, session: AsyncSession) -> str:
        """How it is done, for those who ask."""
        return ""

    # -- which order -----------------------------------------------------------------------------------------------

    def _candidates(
        self, turn: Turn, found: Sequence[OrderView], products: Sequence[ProductView], told: Mapping[str, Any]
    ) -> Sequence[OrderView]:
        """The orders it can be done to, among them those with what the text names; all where it can be done to none."""
        possible = [order for order in found if self.possible(order)]
        for among in (possible, found):
            if named := [order for order in among if items_named(turn, order, products, told)]:
                return named
        return possible or found

    def _pick(
        self, turn: Turn, found: Sequence[OrderView], products: Sequence[ProductView], told: Mapping[str, Any]
    ) -> OrderView | None:
        candidates = self._candidates(turn, found, products, told)
        if len(candidates) == 1:
            return candidates[0]
        spoken_of = next((order for order in candidates if order.number == turn.slots.get("order_number")), None)
        if spoken_of is None and not any(self.possible(order) for order in candidates):
            return candidates[0]
        return spoken_of

    async def _which(
        self, turn: Turn, session: AsyncSession, candidates: Sequence[OrderView], told: Mapping[str, Any]
    ) -> Sequence[Value]:
        options = [
            Option(
                label=order.words[0].upper() + order.words[1:],
                words=[order.number, *dict.fromkeys(order.products)],
                intent=self.intent,
                slots={"order_number": order.number},
            )
            for order in candidates[:CHOICES]
        ]
        question = f"Which order do you want to {self.verb}?\n{_lines(options)}\nReply with the number."
        how = await self.how(session) if _HOW.search(turn.text) else ""
        return [
            Say(text=_fitting(how, question)),
            Ask(
                kind="details",
                intent=self.intent,
                slots=dict(told),
                wants="order_number",
                options=options,
                reminder=f"Which order do you want to {self.verb}? Reply with its number.",
            ),
        ]

    def _ask_number(self, told: Mapping[str, Any]) -> Sequence[Value]:
        return [
            Say(text="I find no order for this number. If you ordered with another one, reply with the order number."),
            Ask(
                kind="details",
                intent=self.intent,
                slots=dict(told),
                wants="order_number",
                reminder=f"To {self.verb}, reply with the order number.",
            ),
        ]

    # -- whose order -----------------------------------------------------------------------------------------------

    async def _identify(
        self,
        turn: Turn,
        session: AsyncSession,
        number: str,
        told: Mapping[str, Any],
        products: Sequence[ProductView],
    ) -> Sequence[Value]:
        """Ask for a proof and check it; an order of somebody else and one that does not exist get the same texts."""
        tries = int(told.get("tries", 0))
        proof = _proof(turn)
        told = {key: value for key, value in told.items() if key != "tries"}
        if proof is not None:
            if (proven := await orders.check_proof(session, number, proof)) is not None:
                order, by = proven
                case = Case(order, products, {**told, "order_number": order.number})
                return [ProveOrder(order_id=order.id, by=by), *await self.about(turn, session, case)]
            tries += 1
        asked = await orders.proofs_asked(session, turn.contact_id, turn.now)
        if tries >= TRIES or asked >= orders.PROOFS_ASKED:
            return [HandOver(reason="failed_action", note=f"Could not show that order {number} is theirs.")]
        question = "Reply with the postcode or email of the order."
        opening = "That does not match. Try once more:" if tries else f"I find no order {number} for this number."
        return [
            Say(text=f"{opening} {question}" if tries else f"{opening} Is it yours? {question}"),
            Ask(
                kind="identify",
                intent=self.intent,
                slots={**told, "order_number": number, "tries": tries},
                wants="proof",
                reminder=f"For order {number}, reply with its postcode or email.",
            ),
        ]


# -- what was told -------------------------------------------------------------------------------------------------


def order_named(turn: Turn) -> str | None:
    """The order number in the text, else the one told before; digits of an address or a proof are none."""
    elsewhere = [details.address(turn.text), turn.filled.get("address"), turn.entity("address")]
    elsewhere += [turn.filled.get("proof"), turn.entity("postcode"), turn.entity("email")]
    for entity in turn.entities:
        number = str(entity["value"]).strip().lstrip("#") if entity["entity"] == "order_number" else ""
        if number and len(number) <= 20 and not any(number in str(place) for place in elsewhere if place):
            return number
    told = turn.filled.get("order_number")
    return str(told) if told is not None else None


def told_so_far(turn: Turn, number: str | None) -> dict[str, Any]:
    """What is known of the request: told earlier, and the words it was made in, for what they say of the order found.

    An item and the tries to prove an order belong to the order they were told of.
    """
    told = {key: value for key, value in turn.filled.items() if key != "proof"}
    if number != turn.filled.get("order_number"):
        told = {key: value for key, value in told.items() if key not in ("item", "tries", "order_number")}
    if number is not None:
        told["order_number"] = number
    if (address := details.address(turn.text) or turn.entity("address")) is not None:
        told["address"] = address
    return {"words": turn.text[:300], **told}


def _proof(turn: Turn) -> str | None:
    """What this text tells to prove an order: the answer to our question, or an email or postcode beside the number."""
    if turn.filled.get("proof") is not None:
        return str(turn.filled["proof"])
    if details.address(turn.text) or turn.entity("address"):
        return None
    return turn.entity("email") or turn.entity("postcode")


def _product(item: OrderItem, products: Sequence[ProductView]) -> ProductView | None:
    name = item.name.casefold()
    return next(
        (found for found in products if found.key == item.product),
        next((found for found in products if item.product is None and found.name.casefold() == name), None),
    )


@dataclass(frozen=True)
class _Line:
    """An item under its position, with what its product can be called."""

    key: str
    names: Sequence[str]


def items_named(
    turn: Turn, order: OrderView, products: Sequence[ProductView], told: Mapping[str, Any]
) -> Sequence[int]:
    """The items of the order that the text names, or the words of the request where it names none."""
    named = [(item, _product(item, products)) for item in order.items]
    lines = [
        _Line(str(position), (item.name, *(product.names if product is not None else ())))
        for position, (item, product) in enumerate(named)
    ]
    by_key = [
        position
        for position, (_, product) in enumerate(named)
        if product is not None
        and any(entity["entity"] == "product" and entity["value"] == product.key for entity in turn.entities)
    ]
    for words in (turn.text, str(told.get("words", ""))):
        mentioned = [int(mention.key) for mention in catalogue.find_mentions(words, lines)]
        if mentioned or (words == turn.text and by_key):
            return sorted({*mentioned, *by_key})
    return []


# -- words ---------------------------------------------------------------------------------------------------------


def _lines(options: Sequence[Option]) -> str:
    return "\n".join(f"{number} {option.label}" for number, option in enumerate(options, 1))


def _fitting(opening: str, rest: str) -> str:
    """Both where they fit into two parts, else what matters."""
    return f"{opening} {rest}" if opening and len(opening) + len(rest) < ROOM else rest


def _keep(label: str, say: str) -> Option:
    return Option(label=label, words=["keep", "keep it", "leave it"], say=say)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


# -- where it is ---------------------------------------------------------------------------------------------------


class OrderStatus(OrderAction):
    """Tells where the order named is, or the latest ones."""

    called = "action_order_status"
    intent = "order_status"
    verb = "see where an order is"

    def possible(self, order: OrderView) -> bool:
        """Still on its way."""
        return order.status not in ("delivered", "cancelled")

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """Several orders are told at once rather than asked for."""
        number = order_named(turn)
        found = await orders.find(session, turn.contact_id, number)
        if number is not None or not found:
            return await super().decide(turn, session)
        products = await catalogue.read(session)
        candidates = self._candidates(turn, found, products, {})
        if not any(self.possible(order) for order in candidates):
            candidates = candidates[:1]
        # "and when will it come?" means the order spoken of last.
        moving = sorted(candidates, key=lambda order: order.number != turn.slots.get("order_number"))
        return [Say(text="\n".join(_where(order, turn) for order in moving[:TOLD]))]

    async def about(self, turn: Turn, session: AsyncSession, case: Case) -> Sequence[Value]:
        """State, carrier, tracking and expected day."""
        return [Say(text=_where(case.order, turn))]


def _where(order: OrderView, turn: Turn) -> str:
    """Where an order is; who asks for one that was delivered may miss it."""
    words = orders.status_words(order, turn.zone)
    return f'{words} Not there? Text "person" and someone looks.' if order.status == "delivered" else words


# -- address and cancelling ----------------------------------------------------------------------------------------


def _too_late(order: OrderView, what: str) -> str:
    """Why something cannot be done any more, and what can be done instead."""
    if order.status == "cancelled":
        return f"{_capital(order.words)} was cancelled, so {what}."
    if order.status == "delivered":
        return f'{_capital(order.words)} was delivered already, so {what}. To send it back, text "return".'
    return (
        f"{_capital(order.words)} has shipped already, so {what}. You can return it when it arrives. "
        'For anything else, text "person".'
    )


class ChangeOrderAddress(OrderAction):
    """Sends an order that has not shipped to another address."""

    called = "action_change_address"
    intent = "change_address"
    verb = "send elsewhere"

    def possible(self, order: OrderView) -> bool:
        """Not shipped."""
        return order.status in UNSHIPPED

    async def about(self, turn: Turn, session: AsyncSession, case: Case) -> Sequence[Value]:
        """The refusal, the question for the address, or the confirmation question."""
        order = case.order
        if not self.possible(order):
            return [Say(text=_too_late(order, "its address cannot be changed"))]
        address = case.told.get("address")
        slots = {"order_number": order.number}
        if address is None:
            question = f"What is the new address for {order.words}? Reply with street, city and postcode."
            reminder = f"For order {order.number}, reply with the new address."
            return [
                Say(text=question),
                Ask(kind="details", intent=self.intent, slots=slots, wants="address", reminder=reminder),
            ]
        if order.address is not None and order.address.casefold() == address.casefold():
            return [Say(text=f"{_capital(order.words)} goes to {order.address} already.")]
        whole = "" if details.postcode_of(address) else " If that is not all of it, text the whole address."
        change = Option(
            label="Change it",
            changes=[ChangeAddress(order_id=order.id, expected=order.address, address=address)],
            say=f"Done: order {order.number} goes to {address}.",
        )
        keep = _keep("Keep the old address", f"OK, order {order.number} goes where it was going.")
        return [
            Say(
                text=f"Shall I send {order.words} to {address}? Reply 1 to change it, 2 to keep the old address.{whole}"
            ),
            Ask(
                kind="order_change",
                intent=self.intent,
                slots={**slots, "address": address},
                wants="address",
                options=[change, keep],
                reminder=f"To change the address of order {order.number}, reply 1. To keep the old one, reply 2.",
            ),
        ]


class CancelTheOrder(OrderAction):
    """Asks before it cancels an order that has not shipped."""

    called = "action_cancel_order"
    intent = "cancel_order"
    verb = "cancel"

    def possible(self, order: OrderView) -> bool:
        """Not shipped."""
        return order.status in UNSHIPPED

    async def about(self, turn: Turn, session: AsyncSession, case: Case) -> Sequence[Value]:
        """The refusal or the confirmation question."""
        if case.order.status == "cancelled":
            return [Say(text=f"{_capital(case.order.words)} is cancelled already.")]
        if not self.possible(case.order):
            return [Say(text=_too_late(case.order, "it cannot be cancelled"))]
        return _propose_cancel(case.order, f"Shall I cancel {case.order.words}?")


def _propose_cancel(order: OrderView, question: str) -> Sequence[Value]:
    cancel = Option(
        label="Cancel it",
        changes=[CancelOrder(order_id=order.id)],
        say=f"Done: {order.words} is cancelled.",
    )
    keep = _keep("Keep it", f"OK, order {order.number} stays as it is.")
    return [
        Say(text=f"{question} Reply 1 to cancel it, 2 to keep it."),
        Ask(
            kind="order_change",
            intent="cancel_order",
            slots={"order_number": order.number},
            options=[cancel, keep],
            reminder=f"To cancel order {order.number}, reply 1. To keep it, reply 2.",
        ),
    ]


# -- exchange and return -------------------------------------------------------------------------------------------


class ItemAction(OrderAction, abc.ABC):
    """An action about one item of an order; asks which where there are several."""

    async def about(self, turn: Turn, session: AsyncSession, case: Case) -> Sequence[Value]:
        """Find the item meant, then decide about it."""
        if (refusal := self.refuse(case)) is not None:
            return refusal
        if not case.order.items:
            note = f"Order {case.order.number} lists no items; wants to {self.verb}."
            return [HandOver(reason="failed_action", note=note)]
        position = self._position(turn, case)
        if position is None:
            return self._which_item(case)
        return self.about_item(turn, case, position)

    @abc.abstractmethod
    def refuse(self, case: Case) -> Sequence[Value] | None:
        """What is said where it cannot be done to any item of the order."""

    @abc.abstractmethod
    def about_item(self, turn: Turn, case: Case, position: int) -> Sequence[Value]:
        """The values this turn comes to for this item."""

    def _position(self, turn: Turn, case: Case) -> int | None:
        items = case.order.items
        if len(items) == 1:
            return 0
        named = items_named(turn, case.order, case.products, {})
        if len(named) == 1:
            return named[0]
        told = case.told.get("item")
        if isinstance(told, int) and 0 <= told < len(items):
            return told
        named = items_named(turn, case.order, case.products, case.told)
        return named[0] if len(named) == 1 else None

    def _which_item(self, case: Case) -> Sequence[Value]:
        options = [
            Option(
                label=_capital(item.words),
                words=[item.name],
                intent=self.intent,
                slots={"order_number": case.order.number, "item": position},
            )
            for position, item in enumerate(case.order.items[:CHOICES])
        ]
        question = f"Which item of order {case.order.number} do you want to {self.verb}?"
        return [
            Say(text=f"{question}\n{_lines(options)}\nReply with the number."),
            Ask(
                kind="details",
                intent=self.intent,
                slots={**case.told, "order_number": case.order.number},
                options=options,
                reminder=f"{question} Reply with the number.",
            ),
        ]


def _withdrawal(open_request: RequestView | None) -> list[WithdrawRequest]:
    """A new request for an item takes the place of the one before."""
    return [WithdrawRequest(request_id=open_request.id)] if open_request is not None else []


class Exchange(ItemAction):
    """Swaps an item for another size or colour of the same that is in stock."""

    called = "action_exchange"
    intent = "exchange_item"
    verb = "exchange"

    def possible(self, order: OrderView) -> bool:
        """Not cancelled."""
        return order.status != "cancelled"

    async def how(self, session: AsyncSession) -> str:
        """What can be swapped."""
        return "I can swap an item for another size or color that is in stock."

    def refuse(self, case: Case) -> Sequence[Value] | None:
        """A cancelled order has nothing to swap."""
        if case.order.status == "cancelled":
            return [Say(text=_too_late(case.order, "there is nothing to exchange"))]
        return None

    def about_item(self, turn: Turn, case: Case, position: int) -> Sequence[Value]:
        """The confirmation question, or what is in stock."""
        item = case.order.items[position]
        product = case.product(item)
        if product is None or not product.variants:
            note = f"Wants to exchange {item.words} of order {case.order.number}; it is not in the catalogue."
            return [HandOver(reason="failed_action", note=note)]
        size, color = wish(turn, product, item, case.told)
        if size is None and color is None:
            how = "I can swap it for another size or color. " if _HOW.search(turn.text) else ""
            return self._choose(case, position, product, how + self._noted(case, position))
        wanted = VariantView(size or item.size, color or item.color, 0)
        open_request = case.order.request(position)
        if open_request is not None and open_request.kind == "exchange" and _same(wanted, open_request):
            return [Say(text=f"Your {open_request.words} is noted already (order {case.order.number}).")]
        if _same(wanted, item):
            now = catalogue.variant_words(item.size, item.color)
            return self._choose(case, position, product, f"It is {now} already.")
        fits = [
            variant
            for variant in product.variants
            if variant.free >= item.quantity
            and not _same(variant, item)
            and (wanted.size is None or _is(wanted.size, variant.size))
            and (wanted.color is None or _is(wanted.color, variant.color))
        ]
        if not fits:
            gone = "was just taken" if turn.gone else "is not in stock"
            words = catalogue.variant_words(wanted.size, wanted.color)
            return self._choose(case, position, product, f"{item.name} in {words} {gone}.", wanted)
        if len(fits) > 1:
            return self._choose(case, position, product, "", wanted, fits)
        return self._propose(case, position, fits[0])

    def _noted(self, case: Case, position: int) -> str:
        request = case.order.request(position)
        return f"Your {request.words} is noted already." if request is not None else ""

    def _choose(
        self,
        case: Case,
        position: int,
        product: ProductView,
        opening: str,
        wanted: VariantView | None = None,
        fits: Sequence[VariantView] = (),
    ) -> Sequence[Value]:
        """What is in stock to choose from, nearest to what was wanted first; sending it back where that is all."""
        order, item = case.order, case.order.items[position]
        slots: dict[str, Any] = {"order_number": order.number, "item": position}
        near = wanted or VariantView(item.size, item.color, 0)
        request = order.request(position)
        there = [
            variant
            for variant in fits or product.variants
            if variant.free >= item.quantity
            and not _same(variant, item)
            and not (request is not None and _same(variant, request))
        ]
        there.sort(key=lambda variant: (not _is(near.color, variant.color), not _is(near.size, variant.size)))
        options = [_variant_option(variant, there, self.intent, slots) for variant in there[: CHOICES - 1]]
        returnable = order.status not in UNSHIPPED
        if wanted is not None and not fits and returnable:
            back = Option(label="Send it back", words=["return", "return it"], intent="return_item", slots=slots)
            options.append(back)
        if not options:
            return [Say(text=f"{opening} There is nothing else of it in stock. {PERSON}".strip())]
        if not there:
            question = "There is nothing else of it in stock. Reply 1 to send it back."
        else:
            question = f"Which one would you like instead?\n{_lines(options)}\nReply with the number."
        return [
            Say(text=f"{opening} {question}".strip()),
            Ask(
                kind="details",
                intent=self.intent,
                slots={**slots, **({"color": wanted.color} if wanted is not None and wanted.color else {})},
                wants="size" if product.sizes else None,
                options=options,
                reminder=f"To exchange your {item.name}, reply with a number from the list.",
            ),
        ]

    def _propose(self, case: Case, position: int, variant: VariantView) -> Sequence[Value]:
        order, item = case.order, case.order.items[position]
        words = catalogue.variant_words(variant.size, variant.color)
        later = "" if order.status in UNSHIPPED else " We text you how to send yours back."
        swap = Option(
            label="Exchange it",
            words=["swap", "swap it"],
            changes=[
                *_withdrawal(order.request(position)),
                RequestExchange(order_id=order.id, item=position, size=variant.size, color=variant.color),
            ],
            say=f"Done: {item.name} in {words} is kept for you (order {order.number}).{later}",
        )
        keep = _keep("Keep what I have", f"OK, order {order.number} stays as it is.")
        slots = {"order_number": order.number, "item": position, "size": variant.size, "color": variant.color}
        question = f"Shall I exchange {item.words} of order {order.number} for {words}?"
        return [
            Say(text=f"{question} Reply 1 to exchange, 2 to keep what you have."),
            Ask(
                kind="order_change",
                intent=self.intent,
                slots={key: value for key, value in slots.items() if value is not None},
                wants="size" if variant.size is not None else None,
                options=[swap, keep],
                reminder=f"To exchange it for {words}, reply 1. To keep what you have, reply 2.",
            ),
        ]


def _variant_option(
    variant: VariantView, there: Sequence[VariantView], intent: str, slots: Mapping[str, Any]
) -> Option:
    """A variant as a choice; a size or colour alone chooses it where no other has the same."""
    size, color = variant.size, variant.color
    words = [f"{size} {color}", f"{color} {size}"] if size and color else []
    if size and sum(other.size == size for other in there) == 1:
        words += [size, f"size {size}"]
    if color and sum(other.color == color for other in there) == 1:
        words.append(color)
    told = {key: value for key, value in (("size", size), ("color", color)) if value is not None}
    return Option(label=catalogue.variant_words(size, color), words=words, intent=intent, slots={**slots, **told})


def _is(wanted: str | None, there: str | None) -> bool:
    return (wanted or "").casefold() == (there or "").casefold()


def _same(one: VariantView | RequestView | OrderItem, other: VariantView | RequestView | OrderItem) -> bool:
    return _is(one.size, other.size) and _is(one.color, other.color)


_UP = re.compile(r"\b(?:up|bigger|larger|too (?:small|tight|snug|narrow)|runs? small)\b", re.IGNORECASE)
_DOWN = re.compile(r"\b(?:down|smaller|too (?:big|large|loose|wide|baggy)|runs? (?:big|large|wide))\b", re.IGNORECASE)


def wish(turn: Turn, product: ProductView, item: OrderItem, told: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The size and colour wanted instead: this text's, else what was told or chosen, else the request's first words."""
    text = "" if turn.filled and _CHOICE.fullmatch(turn.text) else turn.text
    named = [str(entity["value"]) for entity in turn.entities if text and entity["entity"] == "size"]
    colored = [str(entity["value"]) for entity in turn.entities if text and entity["entity"] == "color"]
    first = str(told.get("words", ""))
    size = (
        _size_wanted(text, named, product, item)
        or (str(told["size"]) if told.get("size") is not None else None)
        or _size_wanted(first, [], product, item)
    )
    color = (
        _other([*catalogue.colors_in(text, product), *colored], item.color)
        or (str(told["color"]) if told.get("color") is not None else None)
        or _other(catalogue.colors_in(first, product), item.color)
    )
    # "Exchange the black ones": the colour they have is no wish.
    return size, None if size is None and _is(color, item.color) else color


def _size_wanted(text: str, named: Sequence[str], product: ProductView, item: OrderItem) -> str | None:
    plainly = details.size(text)
    if plainly is not None and any(_is(plainly, size) for size in product.sizes):
        return plainly
    if size := _other([*catalogue.sizes_in(text, product), *(details.size(word) or word for word in named)], item.size):
        return size
    sizes = [size.casefold() for size in product.sizes]
    step = 1 if _UP.search(text) else -1 if _DOWN.search(text) else 0
    if not step or item.size is None or item.size.casefold() not in sizes or "half" in text.lower():
        return None
    position = sizes.index(item.size.casefold()) + step
    return product.sizes[position] if 0 <= position < len(sizes) else None


def _other(named: Sequence[str], now: str | None) -> str | None:
    """The last one named that is not what they have ("my 8 for a 9"), else what is named at all."""
    others = [value for value in named if not _is(value, now)]
    named = others or named
    return named[-1] if named else None


class Return(ItemAction):
    """Notes that an item is sent back; an order that has not shipped is cancelled instead."""

    called = "action_return"
    intent = "return_item"
    verb = "return"

    def possible(self, order: OrderView) -> bool:
        """On its way or there."""
        return order.status in ("shipped", "delivered")

    async def how(self, session: AsyncSession) -> str:
        """The shop's own words."""
        return (await shopfile.read(session)).content.answers.returns

    def refuse(self, case: Case) -> Sequence[Value] | None:
        """Nothing to send back yet, or nothing at all."""
        if case.order.status == "cancelled":
            return [Say(text=_too_late(case.order, "there is nothing to return"))]
        if case.order.status in UNSHIPPED:
            words = _capital(case.order.words)
            return _propose_cancel(case.order, f"{words} has not shipped yet, so I can cancel it instead.")
        return None

    def about_item(self, turn: Turn, case: Case, position: int) -> Sequence[Value]:
        """The confirmation question."""
        order, item = case.order, case.order.items[position]
        open_request = order.request(position)
        if open_request is not None and open_request.kind == "return":
            return [Say(text=f"The return of {item.words} is noted already (order {order.number}).")]
        back = Option(
            label="Return it",
            words=["return", "send it back"],
            changes=[
                *_withdrawal(open_request),
                RequestReturn(order_id=order.id, item=position, reason=_reason(str(case.told.get("words", "")))),
            ],
            say=f"Done: the return of {item.name} (order {order.number}) is noted. We text you how to send it back.",
        )
        instead = f" That takes the place of your {open_request.words}." if open_request is not None else ""
        question = f"Shall I note a return of {item.words}, order {order.number}?{instead}"
        return [
            Say(text=f"{question} Reply 1 to return it, 2 to keep it."),
            Ask(
                kind="order_change",
                intent=self.intent,
                slots={**case.told, "order_number": order.number, "item": position},
                options=[back, _keep("Keep it", f"OK, order {order.number} stays as it is.")],
                reminder=f"To return your {item.name}, reply 1. To keep it, reply 2.",
            ),
        ]


_REASON = re.compile(
    r"\b(?:because|bc|cuz|since|(?:it|they)(?:['’]?s|['’]?re| is| are| do(?:es)?)|too (?:big|small|large|tight|loose)"
    r"|does ?n['’]?t|don['’]?t|wrong|broken|damaged|defective|torn|faulty)\b.*",
    re.IGNORECASE | re.DOTALL,
)


def _reason(words: str) -> str | None:
    """Why, in the contact's own words, where they told."""
    found = _REASON.search(words)
    return " ".join(found[0].split())[:200] if found else None
