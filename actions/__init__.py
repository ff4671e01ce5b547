"""What Rasa may ask the engine to decide, one file per topic; they read the shop and propose, they never write."""

from actions.appointments import Cancel, Confirm, Reschedule
from actions.base import ShopAction
from actions.opt_out import OptIn, OptOut
from actions.orders import OrderStatus
from actions.people import AskHuman
from actions.ratings import Rating
from actions.shop import Hours
from actions.smalltalk import Affirm, Bye, Deny, Greet, Thank
from actions.unclear import OutOfScope, Unclear
from bot.db import Database

ACTIONS: tuple[type[ShopAction], ...] = (
    Reschedule,
    Cancel,
    Confirm,
    OrderStatus,
    Hours,
    Rating,
    AskHuman,
    Affirm,
    Deny,
    Greet,
    Thank,
    Bye,
    OptOut,
    OptIn,
    OutOfScope,
    Unclear,
)


def all_actions(db: Database) -> list[ShopAction]:
    """Every action, each with the database it reads from."""
    return [action(db) for action in ACTIONS]
