"""The ladder, asked back once with a numbered choice, then a person; and taking back the last change."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from actions.appointments import choose, names_more
from actions.base import ShopAction, Turn
from actions.smalltalk import OFFER
from bot import values
from bot.values import Ask, HandOver, Option, Say, Value

#: What can be meant, in words a choice can show.
CHOICES = {
    "reschedule_booking": "Move my booking",
    "cancel_booking": "Cancel my booking",
    "confirm_booking": "Confirm my booking",
    "book_appointment": "Book an appointment",
    "order_status": "Where is my order",
    "change_address": "Send my order elsewhere",
    "cancel_order": "Cancel my order",
    "exchange_item": "Exchange an item",
    "return_item": "Return an item",
    "ask_product": "Ask about a product",
    "ask_hours": "Opening hours",
    "ask_location": "Where to find us",
    "ask_shipping": "Shipping",
    "ask_returns": "How returns work",
    "ask_payment": "Ways to pay",
    "ask_privacy": "How we use your number",
    "ask_discount": "Discounts and codes",
    "give_rating": "Give a rating",
    "complain": "Make a complaint",
    "join_contest": "The contest",
    "leave_contest": "Leave the contest",
    "state_preference": "Tell what I like",
    "set_profile": "Update my details",
    "undo": "Take back the last change",
}
PERSON = Option(label="Talk to a person", words=["person"], intent="ask_human")
#: Readings less likely than this are not worth a line; then the usual ones are shown.
WORTH, SHOWN = 0.05, 2
USUAL = ("reschedule_booking", "order_status")


class Unclear(ShopAction):
    """Asks back with the best readings; the second time in a row a person takes over."""

    called = "action_unclear"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """A numbered choice, or the hand-over; who and where are plain enough while a booking's time is chosen."""
        if names_more(turn) and "?" not in turn.text:
            return await choose(turn, session)
        if turn.unclear or turn.out_of_scope:
            return [HandOver(reason="unclear", note="Two texts in a row could not be answered.")]
        likely = [name for name, confidence in turn.ranking if name in CHOICES and confidence >= WORTH]
        names = list(dict.fromkeys([*likely, *USUAL]))[:SHOWN]
        options = [Option(label=CHOICES[name], intent=name) for name in names] + [PERSON]
        lines = "\n".join(f"{number} {option.label}" for number, option in enumerate(options, 1))
        return [
            values.Unclear(),
            Say(
                text=f"I am not sure I got that. Did you mean:\n{lines}\nReply with a number, or say it in other words."
            ),
            Ask(kind="clarify", options=options, reminder="Reply with a number from 1 to 3, or say it in other words."),
        ]


class OutOfScope(ShopAction):
    """Says once what can be done by text; the second time in a row a person takes over."""

    called = "action_out_of_scope"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """What the shop does by text, or the hand-over."""
        if turn.unclear or turn.out_of_scope:
            return [HandOver(reason="out_of_scope", note="Two texts in a row could not be answered.")]
        return [
            values.Unclear(kind="out_of_scope"),
            Say(text=f'I can\'t help with that by text. {OFFER} Text "person" to talk to someone.'),
        ]


class Undo(ShopAction):
    """Takes back the last change; the engine knows which that is and how long it may be taken back."""

    called = "action_undo"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The wish alone."""
        return [values.Undo()]
